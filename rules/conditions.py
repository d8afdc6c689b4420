"""Conditions on an instance: attribute by attribute, a literal, a list of them, a pattern.

    {BurnedInAnnotation: "YES"}                one value equals
    {Modality: [SR, PR, KO]}                   one value equals one of these
    {SeriesDescription: /dose report/i}        the text holds what the pattern describes
    {PatientIdentityRemoved: null}             absent or empty

All keys of a condition must hold. Patterns are the regular part of regular expressions (no
backreference, no look-around) and take time linear in the text, whatever the pattern: a
sender cannot make the node think. `re` reads each single character of a pattern; the
automaton around them is ours, made as the text needs it.

Source: PS3.5 6.4 (several values); R. Cox, "Regular Expression Matching Can Be Simple And
Fast" (2007), for the automaton.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rules.errors import Mark

MAX_PATTERN_CHARACTERS = 256
MAX_SUBJECT_CHARACTERS = 1 << 14
_MAX_INSTRUCTIONS = 512
_MAX_REPEAT = 100
_REMEMBERED = 4096


class Test(Protocol):
    """What is asked of one attribute."""

    def matches(self, value: str | None) -> bool:
        """Whether it holds for a value; None and blanks mean absent or empty."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The attribute is absent or empty."""

    def matches(self, value: str | None) -> bool:
        """See Test."""
        return not _plain(value)


@dataclass(frozen=True, slots=True)
class Equals:
    """One value of the attribute, or all of it, is this text; case counts, padding does not."""

    text: str

    def matches(self, value: str | None) -> bool:
        """See Test."""
        plain = _plain(value)
        wanted = self.text.strip()
        return bool(plain) and (plain == wanted or wanted in map(_plain, plain.split("\\")))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of several tests holds."""

    tests: tuple[Test, ...]

    def matches(self, value: str | None) -> bool:
        """See Test."""
        return any(test.matches(value) for test in self.tests)


@dataclass(frozen=True, slots=True)
class Condition:
    """Tests by tag, all of which must hold; never empty."""

    tests: tuple[tuple[int, Test], ...]
    mark: Mark

    def matches(self, lookup: Callable[[int], str | None]) -> bool:
        """Whether it holds for an instance.

        Args:
            lookup: The decoded text of a root attribute by its tag; None when absent.
        """
        return all(test.matches(lookup(tag)) for tag, test in self.tests)


def parse_test(value: object) -> Test:
    """Read what a condition asks of one attribute.

    Args:
        value: Text, None, or a list of them, as a document has it.

    Raises:
        ValueError: a sentence with the remedy.
    """
    if value is None:
        return Absent()
    if isinstance(value, list):
        if not value:
            raise ValueError("the list is empty: nothing could match")
        return AnyOf(tuple(_parse_one(one) for one in value))
    return _parse_one(value)


def _parse_one(value: object) -> Test:
    if value is None:
        return Absent()
    if not isinstance(value, str):
        raise ValueError("a condition asks for a text, a /pattern/, null, or a list of those")  # noqa: TRY004 - every mistake of a rule is a ValueError
    if value.startswith("/"):
        return _parse_pattern(value)
    if not value.strip():
        raise ValueError("to ask for absent or empty, write null")
    return Equals(value)


def _parse_pattern(text: str) -> Pattern:
    body, slash, flags = text[1:].rpartition("/")
    if not slash:
        raise ValueError("a pattern ends with a slash: /.../ or /.../i")
    if flags not in ("", "i"):
        raise ValueError("behind a pattern stands nothing or i, for capitals and small alike")
    return Pattern(body, ignore_case=flags == "i")


def _plain(value: str | None) -> str:
    return value.strip(" \0\t\r\n") if value else ""


# ---- patterns

# Kinds of the characters around a position, for ^ $ \b \B.
_EDGE, _WORD, _OTHER = "edge", "word", "other"
_WORD_CHARACTER = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class _Char:
    """Go on behind a character that `accepts` takes."""

    accepts: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Split:
    """Go on at both places, which are relative to this one."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class _Position:
    r"""Go on if `^`, `$`, `\b` or `\B` holds here."""

    assertion: str

    def holds(self, before: str, behind: str) -> bool:
        if self.assertion == "^":
            return before == _EDGE
        if self.assertion == "$":
            return behind == _EDGE
        at_boundary = (before == _WORD) != (behind == _WORD)
        return at_boundary == (self.assertion == "\\b")


_Program = list["_Char | _Split | _Position"]
_State = tuple[int, str]
_MATCHED: _State = (-1, _EDGE)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is searched for anywhere in the text of an attribute.

    A text of more than 16384 characters is not searched and counts as a match: a condition
    that refuses must not be evaded by length.

    Raises:
        ValueError: the pattern cannot be read, or is more than regular.
    """

    source: str
    ignore_case: bool = False
    _automaton: _Automaton = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        program = _Reader(self.source, ignore_case=self.ignore_case).read()
        object.__setattr__(self, "_automaton", _Automaton(program))

    def matches(self, value: str | None) -> bool:
        """See Test: absent and empty match no pattern."""
        plain = _plain(value)
        return bool(plain) and (len(plain) > MAX_SUBJECT_CHARACTERS or self.search(plain))

    def search(self, text: str) -> bool:
        """Whether the pattern describes any part of a text."""
        return self._automaton.search(text)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of every part that the pattern describes, none of them empty.

        Leftmost first, and of those that begin there the longest; a question mark behind a
        repetition changes nothing. They do not overlap.

        Raises:
            ValueError: the text has more than 16384 characters.
        """
        if len(text) > MAX_SUBJECT_CHARACTERS:
            raise ValueError(f"a text has more than {MAX_SUBJECT_CHARACTERS} characters")
        return self._automaton.spans(text)


class _Automaton:
    """Runs a program over a text, all ways at once.

    A set of places in the program is an integer with their bits set, so that a character
    moves all of them in one shift. What was worked out is remembered, within bounds; threads
    may share it, for at worst the same is worked out twice.
    """

    __slots__ = (
        *("_accepted", "_closures", "_end", "_pairs", "_program", "_settled", "_steps"),
        "_takers",
    )

    def __init__(self, program: _Program) -> None:
        self._program = program
        self._end = 1 << len(program)
        self._takers: dict[re.Pattern[str], int] = {}
        for place, one in enumerate(program):
            if isinstance(one, _Char):
                self._takers[one.accepts] = self._takers.get(one.accepts, 0) | 1 << place
        self._settled = self._end | sum(self._takers.values())
        self._closures: dict[tuple[int, str, str], int] = {}
        self._pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._accepted: dict[str, int] = {}
        self._steps: dict[tuple[_State, str], _State] = {}

    def search(self, text: str) -> bool:
        state: _State = (0, _EDGE)
        for character in text:
            state = self._steps.get((state, character)) or self._step(state, character)
            if state is _MATCHED:
                return True
        return self._step(state, "") is _MATCHED

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """See Pattern; the text is read once backwards and once forwards."""
        kinds = [_EDGE, *map(_kind, text), _EDGE]
        alive = self._alive(text, kinds)
        position = 0
        while position < len(text):
            waiting = self._closure(0, kinds[position], kinds[position + 1]) & alive[position]
            start, end = position, position + 1
            # What waits here ends somewhere behind, so this never reads too far.
            while waiting:
                position += 1
                reached = self._behind(waiting, kinds[position], kinds[position + 1])
                end = position if reached & self._end else end
                waiting = reached & alive[position]
            if position > start:
                yield start, end
            position = end

    def _alive(self, text: str, kinds: list[str]) -> list[int]:
        """At each position the places that take its character and reach the end from there."""
        alive = [0] * (len(text) + 1)
        known: dict[tuple[int, str, str], int] = {}
        for position in range(len(text) - 1, -1, -1):
            goal, behind = alive[position + 1] | self._end, kinds[position + 2]
            key = goal, text[position], behind
            if key not in known:
                known[key] = self._reaching(*key)
            alive[position] = known[key]
        return alive

    def _reaching(self, goal: int, character: str, behind: str) -> int:
        """The places that take a character and are then at one of those in `goal`."""
        pairs = self._moves(_kind(character), behind)
        return self._takers_of(character) & sum(bit for bit, after in pairs if after & goal)

    def _behind(self, places: int, before: str, behind: str) -> int:
        """The settled places behind a character that all of `places` take."""
        reached = 0
        for bit, after in self._moves(before, behind):
            if bit & places:
                reached |= after
        return reached

    def _moves(self, before: str, behind: str) -> list[tuple[int, int]]:
        """Each place that takes a character, and the settled places behind it."""
        known = self._pairs.get((before, behind))
        if known is None:
            places = [place for place, one in enumerate(self._program) if isinstance(one, _Char)]
            known = [(1 << place, self._closure(place + 1, before, behind)) for place in places]
            self._pairs[before, behind] = known
        return known

    def _step(self, state: _State, character: str) -> _State:
        """The state behind one more character; empty is the end of the text."""
        waiting, before = state
        behind = _kind(character)
        # A match may begin anywhere, so the first place always waits too.
        reached = self._closure(0, before, behind) | waiting & self._settled
        unsettled = waiting & ~self._settled
        while unsettled:
            lowest = unsettled & -unsettled
            reached |= self._closure(lowest.bit_length() - 1, before, behind)
            unsettled ^= lowest
        after = (reached & self._takers_of(character)) << 1, behind
        return self._remember(state, character, _MATCHED if reached & self._end else after)

    def _remember(self, state: _State, character: str, after: _State) -> _State:
        if len(self._steps) >= _REMEMBERED:
            self._steps.clear()
        self._steps[(state, character)] = after
        return after

    def _takers_of(self, character: str) -> int:
        """The places whose character this one may be; none behind the end."""
        if not character:
            return 0
        known = self._accepted.get(character)
        if known is None:
            pairs = self._takers.items()
            known = sum(places for accepts, places in pairs if accepts.fullmatch(character))
            if len(self._accepted) >= _REMEMBERED:
                self._accepted.clear()
            self._accepted[character] = known
        return known

    def _closure(self, start: int, before: str, behind: str) -> int:
        """Every settled place that is reached from one without taking a character."""
        key = (start, before, behind)
        known = self._closures.get(key)
        if known is None:
            known = self._closures[key] = self._walk(start, before, behind)
        return known

    def _walk(self, start: int, before: str, behind: str) -> int:
        passed: set[int] = set()
        todo = [start]
        settled = 0
        while todo:
            place = todo.pop()
            if place in passed:
                continue
            passed.add(place)
            one = self._program[place] if place < len(self._program) else None
            if isinstance(one, _Split):
                todo += (place + one.first, place + one.second)
            elif isinstance(one, _Position):
                todo += [place + 1] if one.holds(before, behind) else []
            else:
                settled |= 1 << place
        return settled


def _kind(character: str) -> str:
    if not character:
        return _EDGE
    return _WORD if _WORD_CHARACTER.match(character) else _OTHER


_ATOM = re.compile(
    r"\[\^?\]?(?:\\.|[^\]\\])*\]"  # a class
    r"|\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[dDsSwWtnrf]|[^0-9A-Za-z])"  # an escape
    r"|[^\\\[(){|*+?^$]",
    re.DOTALL,
)
_REPEAT = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<least>[0-9]{1,3})(?P<most>,[0-9]{0,3})?\})\??")
_DOUBTFUL_CLASS = re.compile(r"\[\^?\[|[^\\]\[:|--|&&|~~|\|\|")


class _Reader:
    """Reads a pattern into a program by recursive descent."""

    def __init__(self, source: str, *, ignore_case: bool) -> None:
        if len(source) > MAX_PATTERN_CHARACTERS:
            raise ValueError(f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters")
        if not source:
            raise ValueError("the pattern is empty: it would match everything")
        self._source = source
        self._at = 0
        self._flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)

    def read(self) -> _Program:
        program = self._alternatives()
        if self._at < len(self._source):
            raise self._error("a ) that nothing opens")
        return program

    def _alternatives(self) -> _Program:
        program = self._sequence()
        while self._take("|"):
            other = self._sequence()
            jump = len(other) + 1
            program = [
                _Split(1, len(program) + 2),
                *program,
                _Split(jump, jump),
                *other,
            ]
        return self._sized(program)

    def _sequence(self) -> _Program:
        program: _Program = []
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            program += self._repeated(self._atom())
        return program

    def _atom(self) -> _Program:
        for assertion in ("^", "$", "\\b", "\\B"):
            if self._take(assertion):
                return [_Position(assertion)]
        if self._take("("):
            return self._group()
        found = _ATOM.match(self._source, self._at)
        if not found:
            raise self._error("write \\ before a special character that means itself")
        if found[0].startswith("[") and _DOUBTFUL_CLASS.search(found[0]):
            raise self._error("inside [ ] write \\[ for a bracket, and no character twice")
        accepts = self._accepts(found[0])
        self._at = found.end()
        return [_Char(accepts)]

    def _accepts(self, atom: str) -> re.Pattern[str]:
        try:
            return re.compile(atom, self._flags)
        except re.error as error:
            raise self._error(f"{error.msg}") from None

    def _group(self) -> _Program:
        if self._take("?") and not self._take(":"):
            raise self._error("only plain groups ( ) and (?: ) can be used")
        program = self._alternatives()
        if not self._take(")"):
            raise self._error("a ( that is never closed")
        return program

    def _repeated(self, once: _Program) -> _Program:
        found = _REPEAT.match(self._source, self._at)
        if not found:
            return once
        self._at = found.end()
        if _REPEAT.match(self._source, self._at) or self._source[self._at : self._at + 1] == "+":
            raise self._error("a repetition of a repetition: use a group")
        if found["sign"]:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[found["sign"]]
        else:
            least, most = self._bounds(found)
        return self._sized(_repeat(once, least, most))

    def _bounds(self, found: re.Match[str]) -> tuple[int, int | None]:
        least = int(found["least"])
        most = int(found["most"][1:]) if found["most"] and found["most"][1:] else None
        if found["most"] is None:
            most = least
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise self._error(f"a repetition goes from fewer to more, at most {_MAX_REPEAT}")
        return least, most

    def _take(self, text: str) -> bool:
        if not self._source.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def _sized(self, program: _Program) -> _Program:
        if len(program) > _MAX_INSTRUCTIONS:
            raise self._error("the pattern is too large: repeat less")
        return program

    def _error(self, sentence: str) -> ValueError:
        return ValueError(f"{sentence}, at character {self._at + 1} of the pattern")


def _repeat(once: _Program, least: int, most: int | None) -> _Program:
    if len(once) * max(least, most or 0) > _MAX_INSTRUCTIONS:
        raise ValueError("the pattern is too large: repeat less")
    program = once * least
    if most is None:
        return [*program, _Split(1, len(once) + 2), *once, _Split(-len(once) - 1, -len(once) - 1)]
    for _ in range(most - least):
        program += [_Split(1, len(once) + 1), *once]
    return program

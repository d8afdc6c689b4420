"""Where a text says what its own instance says elsewhere: names, identifiers, phrases.

Names are found in any order, in any case, with or without diacritics, run together, with
their initials, as genitives, and within scripts that set no blanks between words. Identifiers
are found however they are broken up, within longer words, with or without leading zeros.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from rules.text.wording import LONGEST_WORD, fold, is_clinical, is_unspaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.identity import Identity
    from rules.text.wording import Span, Word

Phrases = dict[str, list[tuple[str, ...]]]
"""Folded words in their order, by the first of them."""

_MOST_STEPS, _MOST_FOUND = 1 << 28, 1 << 16
_LONG_IDENTIFIER, _GLUED_IDENTIFIER = 6, 4
_LEAST_PART = 3
_INSTANCES_REMEMBERED = 2  # texts of one instance follow each other; no more is held
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ATTACHED = re.compile(r"[.^_'\u2019-]{1,2}|\. ")
_NEAR = re.compile(r"[., ^_'\u2019-]{0,3}")


class TooMuch(Exception):
    """A text, or what its instance says, is made to keep the search busy."""


@dataclass(frozen=True, slots=True)
class Own:
    """An identity in the form that texts are searched for it.

    Attributes:
        names: Words.
        unspaced: Those of scripts without blanks, to be found within words.
        initials: First letters of the names.
        identifiers: Letters and digits.
        phrases: By their first word.
    """

    names: frozenset[str]
    unspaced: tuple[str, ...]
    initials: frozenset[str]
    identifiers: tuple[str, ...]
    phrases: Mapping[str, list[tuple[str, ...]]]


@lru_cache(_INSTANCES_REMEMBERED)
def own(identity: Identity) -> Own:
    """What to search for; longer identifiers first."""
    names = identity.names
    return Own(
        names=names,
        unspaced=tuple(name for name in names if len(name) > 1 and is_unspaced(name)),
        initials=frozenset(name[0] for name in names),
        identifiers=tuple(sorted(identity.identifiers, key=len, reverse=True)),
        phrases=by_first_word(identity.phrases),
    )


def by_first_word(phrases: Iterable[tuple[str, ...]]) -> Phrases:
    """Phrases, each of at least one word, in the form that `phrases_in` takes."""
    index: Phrases = {}
    for phrase in phrases:
        index.setdefault(phrase[0], []).append(phrase)
    return index


def phrases_in(seen: list[Word], index: Mapping[str, list[tuple[str, ...]]]) -> Iterator[Span]:
    """Where phrases stand, whatever is between their words."""
    for at, (start, _, word) in enumerate(seen):
        for phrase in index.get(word, ()):
            stretch = seen[at : at + len(phrase)]
            if tuple(one[2] for one in stretch) == phrase:
                yield start, stretch[-1][1]


def own_in(text: str, seen: list[Word], wanted: Own) -> Iterator[Span]:
    """Where the instance's own values stand.

    Raises:
        TooMuch: see there.
    """
    if len(text) * (len(wanted.identifiers) + len(wanted.unspaced)) > _MOST_STEPS:
        raise TooMuch
    if wanted.names:
        yield from _names(text, seen, wanted)
    if wanted.unspaced:
        for word in seen:
            if is_unspaced(word[2]):
                yield from within(text, word, wanted.unspaced)
    if wanted.phrases:
        yield from phrases_in(seen, wanted.phrases)
    if wanted.identifiers:
        yield from _identifiers(text, seen, wanted.identifiers)


# ---- names


def _names(text: str, seen: list[Word], wanted: Own) -> Iterator[Span]:
    for at, (start, end, word) in enumerate(seen):
        if word in wanted.names or _is_made_of(text[start:end], word, wanted):
            yield start, end
            yield from _initials(text, seen, at, 1, wanted)
            yield from _initials(text, seen, at, -1, wanted)


def _is_made_of(spelled: str, word: str, wanted: Own) -> bool:
    """Whether a word is a genitive of a name, or names run together."""
    names = wanted.names
    if not _LEAST_PART < len(word) <= LONGEST_WORD:
        return False
    if word[-1] == "s" and word[:-1] in names:
        return True
    if _runs_together(word, wanted):
        return not is_clinical(word)
    if spelled.isalpha() and (spelled.isupper() or spelled[1:].islower()):
        return False
    parts = (fold(part) for part in _PARTS.findall(spelled))
    return any(len(part) >= _LEAST_PART and part in names for part in parts)


def _runs_together(word: str, wanted: Own) -> bool:
    """JOHNDOE, JohnQDoe, jdoe, doej."""
    names, initials = wanted.names, wanted.initials
    if len(word) > _LEAST_PART:
        for rest, initial in ((word[1:], word[0]), (word[:-1], word[-1])):
            if rest in names and initial in initials:
                return True
    for split in range(_LEAST_PART, len(word) - _LEAST_PART + 1):
        if word[:split] in names and (word[split:] in names or word[split + 1 :] in names):
            return True
    return False


def _initials(text: str, seen: list[Word], at: int, step: int, wanted: Own) -> Iterator[Span]:
    """Single letters beside a name: attached to it, with a full stop, or of a name's own."""
    while 0 <= at + step < len(seen):
        one, other = seen[at], seen[at + step]
        gap = text[one[1] : other[0]] if step > 0 else text[other[1] : one[0]]
        letter = other[2]
        if len(letter) != 1 or not letter.isalpha() or not _NEAR.fullmatch(gap):
            return
        behind = text[other[1] : other[1] + 1]
        if behind == "/" or not (
            behind == "." or letter in wanted.initials or _ATTACHED.fullmatch(gap)
        ):
            return
        yield other[:2]
        at += step


def within(text: str, word: Word, names: Iterable[str]) -> Iterator[Span]:
    """Where names stand within a word of a script without blanks."""
    start, end, _ = word
    letters = [(fold(text[at]), at) for at in range(start, end)]
    folded = "".join(letter for letter, _ in letters)
    places = [at for letter, at in letters for _ in letter]
    places.append(end)
    for name in names:
        at = folded.find(name)
        while at >= 0:
            yield places[at], max(places[at + len(name)], places[at + len(name) - 1] + 1)
            at = folded.find(name, at + len(name))


# ---- identifiers


def _identifiers(text: str, seen: list[Word], identifiers: Iterable[str]) -> Iterator[Span]:
    joined = "".join(word for _, _, word in seen)
    starts = list(accumulate((len(word) for _, _, word in seen), initial=0))
    found = 0
    for one in identifiers:
        at = joined.find(one)
        while at >= 0:
            found += 1
            if found > _MOST_FOUND:
                raise TooMuch
            first, last = _words_of(starts, at, at + len(one))
            span = seen[first][0], seen[last][1]
            bounds = joined[starts[first] : at], joined[at + len(one) : starts[last + 1]]
            if _stands(one, bounds, text[span[0] : span[1]]):
                yield span
                at = starts[last + 1] - 1
            at = joined.find(one, at + 1)


def _words_of(starts: list[int], begin: int, end: int) -> Span:
    return bisect_right(starts, begin) - 1, bisect_right(starts, end - 1) - 1


def _stands(one: str, bounds: tuple[str, str], spelled: str) -> bool:
    """Whether what was found is the identifier, not a part of other words or numbers."""
    front, back = bounds
    if len(one) >= _LONG_IDENTIFIER and not one.isalpha():
        return True
    if back or any(map(str.isspace, spelled)):
        return False
    glued = one.isdigit() and len(one) >= _GLUED_IDENTIFIER
    return not front.strip("0") or (glued and front.rstrip("0").isalpha())

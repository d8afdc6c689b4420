"""Clean Descriptors: free text keeps its clinical words and loses what points at people.

- What the instance says of people elsewhere goes (`rules.text.own_words`), and what identifies by
  its look: numbers, addresses of networks, ages over 89 (`rules.text.numbers`), dates
  (`rules.text.spelled_dates`), names with a title, a degree or a label (`rules.text.titles`).
- Words that always go (deny) go before anything else; words that always stay (allow) stay
  even if they are the patient's name, but save no part of something longer.
- Cleaning is repeated until nothing more goes; a text that keeps yielding goes whole, and so
  does a word too long to be one.
- Everything else stays as it is, in its order.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from rules.charsets import decoded
from rules.operators import encode_literal
from rules.text.excision import without
from rules.text.numbers import of_anybody
from rules.text.own_words import TooMuch, by_first_word, own, own_in, phrases_in, within
from rules.text.spelled_dates import dates_in
from rules.text.titles import titled
from rules.text.wording import LONGEST_WORD, folded_words, is_unspaced, words
from rules.values import DATA_PREFIX, Unencodable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.identity import Identity
    from rules.operators import Context, Operator
    from rules.text.own_words import Phrases
    from rules.text.wording import Span, Word

_PASSES = 8
_LONGEST_TEXT = 1 << 20
_LISTS_REMEMBERED, _TEXTS_REMEMBERED, _REMEMBERED_CHARACTERS = 16, 256, 256
_ONE_VALUE = frozenset(("LT", "ST", "UT"))
_MOST_CHARACTERS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "UC": None, "UT": None}
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_BREAKS = re.compile("[\t-\r\x85\u2028\u2029]")
_BREAKS_OF_LINES = re.compile("[\x0b\x85\u2028\u2029]")
_UNREADABLE = ("\ufffd", "\x1b")


@dataclass(frozen=True, slots=True)
class Lists:
    """Words, casefolded: that stay whatever they are, and that always go."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()


def clean(text: str, identity: Identity, lists: Lists) -> str:
    """A text without identifiers; everything else as it was, in its order.

    Empty where no letter or digit is left. Cleaning a text again changes nothing.
    """
    if len(text) <= _REMEMBERED_CHARACTERS:
        return _remembered(text, identity, lists)
    return _cleaned(text, identity, lists)


@dataclass(frozen=True, slots=True)
class CleanText:
    """C of a text attribute; where nothing is left, `otherwise` takes its place."""

    lists: Lists
    otherwise: Operator
    code: str = "C"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "clean: keep clinical words, lose what identifies"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator.

        What cannot be read in the character sets of the instance, and what is no text, is not
        cleaned but replaced.

        Raises:
            Unencodable: the character sets of the instance cannot hold the result.
        """
        if vr not in _MOST_CHARACTERS or len(value) > _LONGEST_TEXT:
            return self.otherwise.apply(vr, value, context)
        text = decoded(value, "\\".join(context.charsets))
        result = (
            "" if any(map(text.__contains__, _UNREADABLE)) else self._cleaned(vr, text, context)
        )
        if result == text and text:
            return value
        if not any(map(str.isalnum, result)) or result.startswith(DATA_PREFIX):
            return self.otherwise.apply(vr, value, context)
        try:
            return encode_literal(vr, result, context.charsets)
        except Unencodable:
            raise
        except ValueError:  # a character set that the standard does not know
            return self.otherwise.apply(vr, value, context)

    def _cleaned(self, vr: str, text: str, context: Context) -> str:
        parts = [text] if vr in _ONE_VALUE else text.split("\\")
        return "\\".join(self._part(vr, part, context.identity()) for part in parts)

    def _part(self, vr: str, received: str, identity: Identity) -> str:
        """One value; if anything goes, what its VR does not hold goes too."""
        shorter = clean(_printable(vr, received), identity, self.lists)
        return received if shorter == received else shorter[: _MOST_CHARACTERS[vr]].strip(" ")


def _printable(vr: str, text: str) -> str:
    """Without the control characters that the VR does not allow (PS3.5 6.2)."""
    if text.isprintable():
        return text
    breaks = _BREAKS_OF_LINES if vr in _ONE_VALUE else _BREAKS
    return breaks.sub(" ", _CONTROLS.sub("", text))


@lru_cache(_TEXTS_REMEMBERED)
def _remembered(text: str, identity: Identity, lists: Lists) -> str:
    """The instances of a series share their descriptors."""
    return _cleaned(text, identity, lists)


def _cleaned(text: str, identity: Identity, lists: Lists) -> str:
    for _ in range(_PASSES):
        try:
            shorter = _once(text, identity, lists)
        except TooMuch:
            return ""
        if shorter == text:
            return text
        text = shorter
    return ""


def _once(text: str, identity: Identity, lists: Lists) -> str:
    seen = words(text)
    if not seen:
        return text
    found = [*_found(text, seen, identity)]
    allow, deny, unspaced = _compiled(lists)
    if allow and found:
        found = _not_allowed(found, sorted(phrases_in(seen, allow)))
    if deny:
        found += phrases_in(seen, deny)
    for word in seen if unspaced else ():
        if is_unspaced(word[2]):
            found += within(text, word, unspaced)
    return without(text, found) if found else text


def _found(text: str, seen: list[Word], identity: Identity) -> Iterator[Span]:
    yield from own_in(text, seen, own(identity))
    yield from of_anybody(text, seen)
    yield from dates_in(text, seen, identity.dates)
    yield from titled(text, seen)
    for start, end, word in seen:
        if end - start > LONGEST_WORD and not is_unspaced(word):
            yield start, end


def _not_allowed(found: list[Span], allowed: list[Span]) -> list[Span]:
    """What is not within an allowed phrase; `allowed` is sorted."""
    begins = [begin for begin, _ in allowed]
    ends = [0, *accumulate((end for _, end in allowed), max)]
    return [span for span in found if span[1] > ends[bisect_right(begins, span[0])]]


@lru_cache(_LISTS_REMEMBERED)
def _compiled(lists: Lists) -> tuple[Phrases, Phrases, tuple[str, ...]]:
    allow, deny = (
        [said for said in map(folded_words, listed) if said]
        for listed in (lists.allow, lists.deny)
    )
    alone = (said[0] for said in deny if len(said) == 1)
    return by_first_word(allow), by_first_word(deny), tuple(filter(is_unspaced, alone))

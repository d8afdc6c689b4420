r"""Whether an attribute is what a query asks for.

    *DOE*  and  D?E             wildcards
    20200101-20201231           a range of a date or time, either end open
    CT\MR                       one of several
    Doe^Jane                    the same; letters of either case, unless told otherwise
    ""  and  *                  anything, also where the attribute is absent

Source: PS3.4 C.2.2.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_VR

if TYPE_CHECKING:
    from collections.abc import Iterable

_RANGED: Final = frozenset({"DA", "DT", "TM"})
_ANYTHING: Final = frozenset({"", "*"})
MOST_CHARACTERS: Final = 1024
"""Of a pattern: its time is bounded by its length times that of the value."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One constraint of a query.

    Attributes:
        tag: The attribute.
        pattern: As above.
        case_sensitive: Whether the case of letters counts.
    """

    tag: int
    pattern: str
    case_sensitive: bool = False

    @property
    def is_anything(self) -> bool:
        """Whether it asks for nothing."""
        return self.pattern in _ANYTHING

    def accepts(self, value: str) -> bool:
        """Whether a value is what is asked for; an absent one is empty."""
        if self.is_anything:
            return True
        return any(self._accepts_one(choice, value) for choice in self._choices())

    def accepts_any(self, values: Iterable[str]) -> bool:
        """Whether one of several values is."""
        return self.is_anything or any(self.accepts(value) for value in values)

    def _choices(self) -> list[str]:
        return self.pattern.split("\\")

    def _accepts_one(self, choice: str, value: str) -> bool:
        start, dash, end = choice.partition("-")
        if dash and _vr(self.tag) in _RANGED:
            return bool(value) and _in_range(value, start.strip(), end.strip())
        if not self.case_sensitive:
            choice, value = choice.casefold(), value.casefold()
        if "*" in choice or "?" in choice:
            return fits(choice, value)
        return choice == value


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern of `*` and `?`, in time of one length times the other."""
    first, *rest = re.split(r"\*+", pattern)
    if not _same(first, text[: len(first)]):
        return False
    if not rest:
        return len(text) == len(first)
    at = len(first)
    for piece in rest[:-1]:
        found = _find(piece, text, at)
        if found < 0:
            return False
        at = found + len(piece)
    last = rest[-1]
    return len(text) - at >= len(last) and _same(last, text[len(text) - len(last) :])


def _find(piece: str, text: str, start: int) -> int:
    if "?" not in piece:
        return text.find(piece, start)
    places = range(start, len(text) - len(piece) + 1)
    return next((at for at in places if _same(piece, text[at : at + len(piece)])), -1)


def _same(piece: str, text: str) -> bool:
    return len(piece) == len(text) and all(
        wanted in ("?", there) for wanted, there in zip(piece, text, strict=True)
    )


def _in_range(value: str, start: str, end: str) -> bool:
    """Compared as far as the end goes, so that `-20201231` includes that day's times."""
    return (not start or value >= start) and (not end or value[: len(end)] <= end)


def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""

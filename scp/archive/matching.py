r"""Whether an attribute is what a query asks for.

    *DOE*  and  D?E             wildcards
    20200101-20201231           a range of a date or time, either end open
    CT\MR                       one of several
    Doe^Jane                    the same; letters of either case, unless told otherwise
    ""  and  *                  anything, also where the attribute is absent

Of a long value wildcards look at the first characters only, so many as a pattern may have: what
one comparison costs is bounded, whoever wrote the two.

Source: PS3.4 C.2.2.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_VR

if TYPE_CHECKING:
    from collections.abc import Iterable

_RANGED: Final = frozenset({"DA", "DT", "TM"})
_ANYTHING: Final = frozenset({"", "*"})
MOST_CHARACTERS: Final = 1024
"""Of a pattern, and of a value that is held against wildcards."""
_REMEMBERED: Final = 1024
"""Choices with wildcards: more than one pattern can have."""


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
        folded = self._folded(value)
        return any(self._accepts_one(choice, folded) for choice in self._choices())

    def accepts_any(self, values: Iterable[str]) -> bool:
        """Whether one of several values is."""
        return self.is_anything or any(self.accepts(value) for value in values)

    def _choices(self) -> list[str]:
        return self._folded(self.pattern).split("\\")

    def _folded(self, text: str) -> str:
        return text if self.case_sensitive else text.casefold()

    def _accepts_one(self, choice: str, value: str) -> bool:
        start, dash, end = choice.partition("-")
        if dash and _vr(self.tag) in _RANGED:
            return bool(value) and _in_range(value, start.strip(), end.strip())
        if "*" in choice or "?" in choice:
            return fits(choice, value[:MOST_CHARACTERS])
        return choice == value


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern of `*` and `?`, in time of one length times the other."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(_REMEMBERED)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Each piece between two `*` is taken where it is first found, and never looked for again."""
    first, *rest = map(_expression, re.split(r"\*+", pattern))
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    last = f".*{rest[-1]}" if rest else ""
    return re.compile(first + middle + last, re.DOTALL)


def _expression(piece: str) -> str:
    return "".join("." if one == "?" else re.escape(one) for one in piece)


def _in_range(value: str, start: str, end: str) -> bool:
    """Compared as far as the end goes, so that `-20201231` includes that day's times."""
    return (not start or value >= start) and (not end or value[: len(end)] <= end)


def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""

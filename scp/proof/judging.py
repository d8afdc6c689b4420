"""Whether a word of an original that was found in a result gives somebody away.

`leak` is what only an original can have put there; `possible` is what also chance, or a name
that is a word of the trade, can have put there: a person should look. What a result says that
it keeps (options of PS3.15 in its marks) is no finding.

- A UID, identifier or date inside a longer run of the like is another value, unless it is long.
- In DA and DT a date counts only where the same original had it in the same place: two
  patients' dates may be equal once they are moved.
- In values of bytes a short word stands by chance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from pydicom.datadict import DicomDictionary, private_dictionaries  # type: ignore[attr-defined]
from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]  # not re-exported by name

from rules.options import (
    BASIC_PROFILE,
    FULL_DATES,
    MODIFIED_DATES,
    OPTIONS,
    RETAIN_UIDS,
    action,
    code,
)
from scp.proof.traces import Kind, Trace, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.proof.leaves import Leaf
    from scp.proof.second_reader import Reading

_REMOVED, _CODES, _CODE_VALUE, _DATES = 0x00120062, 0x00120064, 0x00080100, 0x00280303
_NUMBERS = frozenset(("AS", "DA", "DS", "DT", "IS", "TM", "UI"))
_BYTES = frozenset(
    (
        "AT",
        "FD",
        "FL",
        "OB",
        "OD",
        "OF",
        "OL",
        "OV",
        "OW",
        "SL",
        "SS",
        "SV",
        "UL",
        "UN",
        "US",
        "UV",
    )
)
_MAKERS = frozenset((0x00080070, 0x00081090, 0x00181016, 0x00181018, 0x00080116))
_FREE = frozenset(("LT", "ST", "UT", "UN", "OB", "OW", ""))
_BY_CHANCE, _HARDLY, _NEVER = 5, 6, 8
_TIME_BEHIND = re.compile(rb"(?:[0-9]{4}|[0-9]{6})(?![0-9])")
_WORD = re.compile("[a-z]{2,}")


class Severity(StrEnum):
    """How sure a finding is."""

    LEAK = "leak"
    POSSIBLE = "possible"
    FAULT = "fault"
    """Nothing of an original, but not as a de-identified instance should be."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a result says of itself.

    Attributes:
        codes: Of CID 7050, from (0012,0064).
        options: Words of those that are options.
        dates: The term of (0028,0303); empty if absent.
        marked: Whether (0012,0062) says that the patient's identity is removed.
    """

    codes: frozenset[str]
    options: frozenset[str]
    dates: str
    marked: bool = True

    @property
    def strict(self) -> bool:
        """Whether nothing that the table names may stay but by an option.

        A result that says it is de-identified, but does not claim the Basic Application
        Confidentiality Profile, may keep more by rules of its own.
        """
        return BASIC_PROFILE in self.codes or not self.marked

    @property
    def keeps_dates(self) -> bool:
        """Whether dates are what they were."""
        return FULL_DATES in self.options or self.dates == "UNMODIFIED"

    @property
    def keeps_uids(self) -> bool:
        """Whether UIDs are what they were."""
        return RETAIN_UIDS in self.options

    def retains(self, tag: int) -> bool:
        """Whether an option that it claims keeps an attribute, or cleans it."""
        return bool(self._option(tag))

    def retains_date(self, tag: int) -> bool:
        """Whether an option that it claims keeps a date as it is, and does not move it."""
        return self._option(tag) not in ("", MODIFIED_DATES)

    def _option(self, tag: int) -> str:
        row = row_of(tag)
        return action(row, self.options).option if row else ""


def claims_of(result: Reading) -> Claims:
    """What the marks of a result say."""
    marked = (leaf for leaf in result.leaves if leaf.tags == (_CODES, _CODE_VALUE))
    codes = frozenset(text for leaf in marked for text in leaf.texts)
    options = frozenset(option for option in OPTIONS if code(option)[0] in codes)
    is_marked = result.text(_REMOVED) == "YES"
    return Claims(codes, options, result.text(_DATES), is_marked)


@dataclass(frozen=True, slots=True)
class Spot:
    """A word in a value: what is around it.

    `vr` is empty outside of elements; `kept` says that the value is that of the same original
    in the same place.
    """

    value: bytes
    start: int
    end: int
    vr: str
    tag: int
    kept: bool

    @property
    def before(self) -> bytes:
        """The byte in front."""
        return self.value[max(self.start - 1, 0) : self.start]

    @property
    def behind(self) -> bytes:
        """The byte behind."""
        return self.value[self.end : self.end + 1]

    @property
    def length(self) -> int:
        """In bytes."""
        return self.end - self.start

    @property
    def is_binary(self) -> bool:
        """Whether the value is not one of text."""
        return self.vr in _BYTES and not _reads_as_text(self.value)


def spots(word: bytes, leaf: Leaf, *, kept: bool) -> Iterator[Spot]:
    """Every place of a word in the value of an element."""
    value = leaf.raw.lower()
    start = value.find(word)
    while start >= 0:
        yield Spot(value, start, start + len(word), leaf.vr, leaf.tag, kept)
        start = value.find(word, start + 1)


def judged(trace: Trace, spot: Spot, claims: Claims) -> Severity | None:
    """What it means that a trace stands in this spot; None for nothing."""
    if spot.is_binary and spot.length < _BY_CHANCE:
        return None
    if spot.tag in trace.tags:
        is_date = trace.kind is Kind.DATE
        if claims.retains_date(spot.tag) if is_date else claims.retains(spot.tag):
            return None
        if spot.kept and not claims.strict and trace.kind is not Kind.UID:
            return None if trace.kind is Kind.TEXT else Severity.POSSIBLE
    found = _JUDGES[trace.kind](trace, spot, claims)
    is_by_chance = spot.is_binary and spot.length < _NEVER
    is_chosen = spot.kept and claims.retains(spot.tag)
    return Severity.POSSIBLE if found and (is_by_chance or is_chosen) else found


def _uid(trace: Trace, spot: Spot, claims: Claims) -> Severity | None:
    if claims.keeps_uids or (spot.vr in _NUMBERS and spot.vr != "UI"):
        return None
    is_long = len(trace.text) >= 2 * _BY_CHANCE
    if _in_run(spot, rb"[0-9.]"):
        return Severity.POSSIBLE if is_long and spot.vr != "UI" else None
    is_own_choice = spot.tag in trace.tags and not claims.strict
    return Severity.LEAK if is_long and not is_own_choice else Severity.POSSIBLE


def _name(trace: Trace, spot: Spot, _claims: Claims) -> Severity | None:
    is_word = not _in_run(spot, rb"[a-z0-9\x80-\xff]")
    is_of_the_trade = trace.text in vocabulary()
    if spot.vr in _NUMBERS or (is_of_the_trade and _may_say_so(spot)):
        return None
    if is_of_the_trade or spot.length < _BY_CHANCE - 1:
        return Severity.POSSIBLE if is_word else None
    if is_word:
        return Severity.POSSIBLE if _is_of_makers(spot) or spot.vr == "CS" else Severity.LEAK
    return Severity.POSSIBLE if spot.length >= _HARDLY else None


def _identifier(trace: Trace, spot: Spot, _claims: Claims) -> Severity | None:
    is_number = trace.text.isdecimal()
    if is_number and spot.vr in _NUMBERS:
        return None
    if _in_run(spot, rb"[a-z0-9.]" if is_number else rb"[a-z0-9\x80-\xff]"):
        return Severity.LEAK if spot.length >= _NEVER else None
    has_digit = any(character.isdigit() for character in trace.text)
    if spot.vr == "CS" or (not has_digit and _is_of_the_trade(trace.text)):
        return None if _may_say_so(spot) else Severity.POSSIBLE
    is_harmless = _is_of_makers(spot) or (_may_say_so(spot) and not has_digit)
    is_sure = spot.length >= _BY_CHANCE and not is_harmless
    return Severity.LEAK if is_sure else Severity.POSSIBLE


def _date(_trace: Trace, spot: Spot, claims: Claims) -> Severity | None:
    if claims.keeps_dates or spot.vr in ("AS", "DS", "TM", "UI"):
        return None
    if spot.vr in ("DA", "DT"):
        return Severity.LEAK if spot.kept else None
    if spot.before.isdigit():
        return None
    if spot.behind.isdigit() and not _TIME_BEHIND.match(spot.value, spot.end):
        return None
    return Severity.POSSIBLE if spot.vr == "IS" else Severity.LEAK


def _text(trace: Trace, spot: Spot, _claims: Claims) -> Severity | None:
    is_free = spot.vr in _FREE or (spot.tag >> 16 & 1 and not _is_creator(spot.tag))
    if not is_free or spot.tag in trace.tags or _in_run(spot, rb"[a-z0-9.\x80-\xff]"):
        return None
    return Severity.POSSIBLE


_JUDGES = {
    Kind.UID: _uid,
    Kind.NAME: _name,
    Kind.IDENTIFIER: _identifier,
    Kind.DATE: _date,
    Kind.TEXT: _text,
}


def _may_say_so(spot: Spot) -> bool:
    """Whether it is a term, or an attribute that the table does not name has what it had."""
    if spot.vr == "CS" or _is_creator(spot.tag):
        return True
    is_standard = spot.tag >> 16 & 1 == 0 and row_of(spot.tag) is None
    return spot.kept and is_standard and spot.vr in ("LO", "SH")


def _is_creator(tag: int) -> bool:
    return tag >> 16 & 1 == 1 and tag & 0xFF00 == 0


def _is_of_makers(spot: Spot) -> bool:
    """Whether an attribute that says who made the device has what it had."""
    return spot.kept and spot.tag in _MAKERS


def _in_run(spot: Spot, characters: bytes) -> bool:
    """Whether it goes on, in front or behind, with such characters."""
    return bool(re.match(characters, spot.before) or re.match(characters, spot.behind))


def _reads_as_text(value: bytes) -> bool:
    text = value.rstrip(b"\0 ")
    return bool(text) and all(byte >= ord(" ") or byte in b"\t\n\r\f\x1b" for byte in text)


def _is_of_the_trade(text: str) -> bool:
    words = _WORD.findall(text)
    return all(word in vocabulary() for word in words)


@cache
def vocabulary() -> frozenset[str]:
    """Words of the names of attributes, classes and private creators, makers among them."""
    names = [entry[2] for entry in DicomDictionary.values()]
    names += [entry[0] for entry in UID_dictionary.values()]
    names += private_dictionaries
    return frozenset(word for name in names for word in _WORD.findall(name.casefold()))

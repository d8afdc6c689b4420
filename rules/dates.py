"""Dates and times: shifted by an offset of the patient's own, or made coarse.

- Intervals between full dates of one patient stay exactly what they are.
- What cannot be read as a date, a time or a range of them, or leaves the years 0001 to 9999,
  is replaced as a whole: nothing passes because it was not understood.
- Forms of ACR-NEMA (`2001.12.31`, `10:59:00`) are read, and written as the standard has it now.

Source: PS3.5 6.2 (DA, DT, TM); PS3.15 E.3.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from pydicom.datadict import tag_for_keyword

from rules.elements import padded
from rules.operators import plain
from rules.tables.dictionary import keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.operators import Context, Operator

    Found = re.Match[str]

_DAY = 24 * 60 * 60
_YEARS = range(1, 10000)
_MOST_CHARACTERS = 64  # a range of two DT with everything has 53
_REMEMBERED = 1 << 12

_CLOCK = (
    r"(?P<hour>[01][0-9]|2[0-3])"
    r"(?::?(?P<minute>[0-5][0-9])(?::?(?P<second>[0-5][0-9]|60)(?P<fraction>\.[0-9]{1,6})?)?)?"
)
_FORMS = {
    "DA": re.compile(
        r"(?P<year>[0-9]{4})(?P<dot>\.?)(?P<month>[0-9]{2})(?P=dot)(?P<day>[0-9]{2})"
    ),
    "TM": re.compile(_CLOCK),
    "DT": re.compile(
        rf"(?P<year>[0-9]{{4}})(?:(?P<month>[0-9]{{2}})(?:(?P<day>[0-9]{{2}})(?:{_CLOCK})?)?)?"
        r"(?P<zone>[+-](?:0[0-9]|1[0-4])[0-5][0-9])?"
    ),
}


@dataclass(frozen=True, slots=True)
class Shift:
    """Move dates by the patient's offset; intervals within a patient stay what they are.

    - Each of several values is moved; those that are empty stay so. Of a range both ends move.
    - Without `seconds`, times of day and offsets from UTC stay what they are.
    - With `seconds`, a date and its time move as one moment: of several dates each goes with
      the time of its place, or with the first. A date without a time, and the end of a range
      of dates, moves as if it were midnight; a time moves within its day. A leap second
      counts as the second behind it.
    - A DT of a year or month alone moves as its first instant, and is written no finer.

    Attributes:
        scope: Of the keyed offset.
        days: Least and greatest offset, in days, both included; the offset is never zero.
        seconds: Likewise of times; (0, 0) leaves times of day alone.
        partner: The tag of the time of a date, or of the date of a time, in the same level;
            0 if it has none.
        otherwise: Takes the place of what does not parse.
    """

    scope: str
    days: tuple[int, int]
    seconds: tuple[int, int]
    partner: int
    otherwise: Operator
    code: str = "C"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"shift by the patient's offset, scope {self.scope}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        try:
            return self._moved(vr, value, context)
        except ValueError:
            return self.otherwise.apply(vr, value, context)

    def _moved(self, vr: str, value: bytes, context: Context) -> bytes:
        offset = self._offset(context)
        if vr == "DA" and offset.seconds and self.partner:
            clocks = _clocks(context.sibling(self.partner))
            return _dates_with_times(value, clocks, offset)
        return _changed(vr, value, offset.change(vr))

    def _offset(self, context: Context) -> _Offset:
        asked = self.scope, self.days, self.seconds
        if asked not in context.offsets:
            context.offsets[asked] = self._keyed(context)
        return _Offset(*context.offsets[asked])

    def _keyed(self, context: Context) -> tuple[int, int]:
        """The patient's offset in days and seconds."""
        keyed = context.pseudonyms.offset
        days = keyed("days", self.scope, context.patient, *self.days)
        if self.seconds == (0, 0):
            return days, 0
        seconds = keyed("seconds", self.scope, context.patient, *self.seconds)
        # A day of seconds against a day would leave every moment where it was.
        return days, seconds if days * _DAY + seconds else 0


@dataclass(frozen=True, slots=True)
class Coarsen:
    """`{date: year}` or `{date: month}`: what is finer becomes its first value.

    A DA stays a date, of the first day; a DT keeps at most the date, without the time of day
    and the offset from UTC; a TM becomes midnight. Each of several values, and both ends of a
    range, are made coarse; an empty value stays empty.

    Attributes:
        unit: `year` or `month`.
        otherwise: Takes the place of what does not parse, and of any VR but DA, DT and TM.
    """

    unit: str
    otherwise: Operator
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"no finer than the {self.unit}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        try:
            return _changed(vr, value, self._midnight if vr == "TM" else self._first_day)
        except ValueError:
            return self.otherwise.apply(vr, value, context)

    def _first_day(self, found: Found) -> str:
        year, month, _ = _day_text(_ordinal(found))
        first = year + (month if self.unit == "month" else "01") + "01"
        return first[: _digits(found)]

    def _midnight(self, _: Found) -> str:
        return "000000"


@lru_cache(_REMEMBERED)
def partner_of(tag: int) -> int:
    """The tag of the time that belongs to a date attribute, and the reverse; 0 if none.

    They belong together by their keywords: Study Date and Study Time, Date of Secondary
    Capture and Time of Secondary Capture.
    """
    words = {"DA": ("Date", "Time", "TM"), "TM": ("Time", "Date", "DA")}.get(vr_of(tag) or "")
    if not words:
        return 0
    own, other, vr = words
    partner = tag_for_keyword(keyword_of(tag).replace(own, other)) or 0
    return partner if vr_of(partner) == vr else 0


# ---- moving


@dataclass(frozen=True, slots=True)
class _Offset:
    """By how much a patient's moments move."""

    days: int
    seconds: int

    def change(self, vr: str) -> Callable[[Found], str]:
        """What becomes of one value of a VR.

        Raises:
            ValueError: it is no VR of dates or times.
        """
        changes = {"DA": self.date, "DT": self.moment, "TM": self.time}
        if vr not in changes:
            raise ValueError(f"{vr} is no date")
        return changes[vr]

    def date(self, found: Found, clock: int = 0) -> str:
        """The date of a moment `clock` seconds behind midnight."""
        over = (clock + self.seconds) // _DAY if self.seconds else 0
        return "".join(_day_text(_ordinal(found) + self.days + over))

    def time(self, found: Found) -> str:
        """A time of day, as precise as it was."""
        if not self.seconds:
            return "".join(found[part] or "" for part in ("hour", "minute", "second", "fraction"))
        minutes, second = divmod((_clock(found) + self.seconds) % _DAY, 60)
        hour, minute = divmod(minutes, 60)
        text = f"{hour:02}"
        text += f"{minute:02}" if found["minute"] else ""
        return text + (f"{second:02}{found['fraction'] or ''}" if found["second"] else "")

    def moment(self, found: Found) -> str:
        """A date with or without a time of day, as precise as it was."""
        date = self.date(found, _clock(found))[: _digits(found)]
        return date + (self.time(found) if found["hour"] else "") + (found["zone"] or "")


def _dates_with_times(value: bytes, clocks: list[int], offset: _Offset) -> bytes:
    """Dates moved, each along with the time at its place."""

    def moved(text: str, index: int) -> str:
        found = _FORMS["DA"].fullmatch(text)
        if not found:
            return _of_range("DA", text, offset.date)
        return offset.date(found, clocks[index] if index < len(clocks) else clocks[0])

    return _joined("DA", [text and moved(text, at) for at, text in enumerate(_texts(value))])


def _clocks(times: bytes) -> list[int]:
    """Seconds behind midnight; of what is no time, none."""
    found = [_FORMS["TM"].fullmatch(text) for text in _texts(times)]
    return [_clock(one) if one else 0 for one in found]


# ---- values and ranges


def _changed(vr: str, value: bytes, change: Callable[[Found], str]) -> bytes:
    """Each value changed, and both ends of a range; what is empty stays empty.

    Raises:
        ValueError: one of them cannot be read as its VR, or is no VR of dates or times.
    """
    if vr not in _FORMS:
        raise ValueError(f"{vr} is no date")
    return _joined(vr, [text and _of_range(vr, text, change) for text in _texts(value)])


def _texts(value: bytes) -> list[str]:
    return [text.strip(" \0") for text in plain(value).split("\\")]


def _joined(vr: str, texts: list[str]) -> bytes:
    return padded(vr, "\\".join(texts).encode("ascii"))


def _of_range(vr: str, text: str, change: Callable[[Found], str]) -> str:
    """One value, or one range such as `20010101-20011231`, `-20011231` and `20010101-`."""
    form = _FORMS[vr]
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"{vr} is not so long")
    found = form.fullmatch(text)
    if found:
        return change(found)
    # The offset from UTC of a DT may have a hyphen too.
    for hyphen in re.finditer("-", text):
        ends = text[: hyphen.start()], text[hyphen.end() :]
        read = [form.fullmatch(end) for end in ends]
        if any(ends) and all(one or not end for one, end in zip(read, ends, strict=True)):
            return "-".join(change(one) if one else "" for one in read)
    raise ValueError(f"{vr} is neither a value nor a range")


# ---- the calendar


def _digits(found: Found) -> int:
    """How many digits of YYYYMMDD there are."""
    return 8 if found["day"] else 6 if found["month"] else 4


def _clock(found: Found) -> int:
    """Seconds behind midnight of the first instant that is meant."""
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    return 3600 * hour + 60 * minute + second


def _ordinal(found: Found) -> int:
    """The number of the first day that is meant; 1 is 1 January of the year 1.

    Raises:
        ValueError: it is not a day of the calendar.
    """
    date = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
    ordinal = _to_ordinal(*date)
    if _from_ordinal(ordinal) != date or date[0] not in _YEARS:
        raise ValueError("no day of the calendar")
    return ordinal


def _day_text(ordinal: int) -> tuple[str, str, str]:
    year, month, day = _from_ordinal(ordinal)
    if year not in _YEARS:
        raise ValueError("a year has four digits")
    return f"{year:04}", f"{month:02}", f"{day:02}"


# Years that begin in March have their leap day last, so every month begins at a number of days
# that does not depend on it: (153 * month + 2) // 5, with March as month 0.


def _to_ordinal(year: int, month: int, day: int) -> int:
    months = (month + 9) % 12
    return _days_before(year - (months > 9)) + (153 * months + 2) // 5 + day - 306  # noqa: PLR2004 - January and February


def _from_ordinal(ordinal: int) -> tuple[int, int, int]:
    days = ordinal + 305
    year = (10_000 * days + 14_780) // 3_652_425
    if days < _days_before(year):
        year -= 1
    days -= _days_before(year)
    months = (5 * days + 2) // 153
    return year + (months > 9), (months + 2) % 12 + 1, days - (153 * months + 2) // 5 + 1  # noqa: PLR2004 - as above


def _days_before(year: int) -> int:
    """Days between 1 March of the year 0 and 1 March of another, by the Gregorian calendar."""
    return 365 * year + year // 4 - year // 100 + year // 400

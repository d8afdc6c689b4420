"""Dates in text, in the spellings that people use.

A complete date goes, whosever it is. A part of one (29 Feb, Feb 2024, 02/29) goes when it is
of a date of the instance; without that it is hard to tell from other numbers.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.text.wording import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.text.wording import Span, Word

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janner janvier janv enero ene gennaio gen janeiro januari",
            "feb february februar fevrier fevr fev febrero febbraio febr fevereiro februari",
            "mar march marz mars mrz marzo marco maart maerz",
            "apr april avril avr abril abr aprile",
            "may mai mayo maggio mag maio mei",
            "jun june juni juin junio giugno giu junho",
            "jul july juli juillet juil julio luglio lug julho",
            "aug august aout agosto ago augustus augusti",
            "sep sept september septembre septiembre settembre setembro set",
            "oct october oktober okt octobre octubre ottobre ott outubro out",
            "nov november novembre noviembre novembro",
            "dec december dezember dez decembre diciembre dicembre dic dezembro desember",
        ),
        start=1,
    )
    for name in names.split()
}
_DASH = "\\-\u2010-\u2015\u2212\uff0d"
_SIGN = rf"(?: ?[/._,\\{_DASH}\uff0e\uff0f] ?| )"
_TIME = r"(?:T\d\d:?\d\d(?::?\d\d(?:\.\d{1,6})?)?)?"
_MONTH = r"(?P<month>[^\W\d_]{3,11})"
_DAY = r"(?P<day>\d{1,2})"
_OF = rf"(?:(?:st|nd|rd|th|er|º|ª|°|\.)?[ .,/_{_DASH}]{{0,3}}(?:(?:of|de|den) )?)"
_TO = rf"[ .,/_'\u2019{_DASH}]{{0,3}}(?:(?:de|del|of) )?"
_APART = rf"[ .,/_'\u2019{_DASH}]"
_YEAR = r"(?P<year>\d{4}|\d\d)(?!\d)"

# A look ahead finds dates that overlap what only begins like one.
_NUMERIC = re.compile(
    rf"(?<!\d)(?=(?P<all>(?P<a>\d{{1,4}})(?P<one>{_SIGN})(?P<b>\d{{1,2}})(?P<two>{_SIGN})"
    rf"(?P<c>\d{{1,4}})(?!\d){_TIME}))"
)
_CHARACTERS = re.compile(r"(?<!\d)\d{1,4} ?[年년] ?\d{1,2} ?[月월] ?\d{1,2} ?[日일]?")
_WRITTEN = tuple(
    re.compile(rf"(?=(?P<all>{form}))", re.IGNORECASE)
    for form in (
        rf"(?<![^\W_]){_DAY}{_OF}{_MONTH}{_TO}{_YEAR}",
        rf"(?<![^\W_]){_MONTH}[ .,/_{_DASH}]{{0,3}}{_DAY}(?:st|nd|rd|th)?"
        rf"(?:{_APART}{{0,3}}\d{{4}}|{_APART}{{1,3}}\d\d)(?!\d)",
        rf"(?<!\d)(?P<year>\d{{4}})[ ./_{_DASH}]{{0,3}}{_MONTH}[ ./_{_DASH}]{{0,3}}{_DAY}(?!\d)",
    )
)
_PARTS = tuple(
    re.compile(rf"(?=(?P<all>{form}))", re.IGNORECASE)
    for form in (
        rf"(?<![^\W_]){_DAY}{_OF}{_MONTH}(?![^\W_])",
        rf"(?<![^\W_]){_MONTH}[ .,/_{_DASH}]{{0,3}}{_DAY}(?:st|nd|rd|th)?(?!\d)",
        rf"(?<![^\W_]){_MONTH}[ .,/_'\u2019{_DASH}]{{0,3}}(?P<year>\d{{4}})(?!\d)",
    )
)
_NUMERIC_PARTS = re.compile(
    rf"(?<![\w.,/])(?=(?P<all>(?P<a>\d\d)(?:/(?P<b>\d\d)(?![\w/])|\.(?P<c>\d\d)\.(?!\d))"
    rf"|(?P<month>\d{{1,2}})[/.{_DASH}](?P<year>\d{{4}})(?![^\W_])))"
)
_DIGIT = re.compile(r"\d")
_DIGITS = "0123456789"
_LEAST_DIGITS = 4  # 1/1/24, 2/2024
_LONGEST_DAY, _LAST_MONTH = 31, 12
_YEARS = range(1800, 2200)
_YEAR_DIGITS, _SHORT_YEAR_DIGITS = 4, 2


def dates_in(text: str, seen: list[Word], known: frozenset[str]) -> Iterator[Span]:
    """Where dates stand.

    Args:
        text: To be searched.
        seen: Its words.
        known: Dates of the instance, YYYYMMDD.
    """
    digits = len(_DIGIT.findall(text))
    if digits >= _LEAST_DIGITS:
        yield from _numeric(text)
        if known:
            yield from _numeric_parts(text, known)
    if digits and any(word.strip(_DIGITS) in _MONTHS for _, _, word in seen):
        yield from _written(text, known)


def _numeric(text: str) -> Iterator[Span]:
    for found in _NUMERIC.finditer(text):
        if _is_numeric(text, found):
            yield found.span("all")
    if not text.isascii():
        yield from (found.span() for found in _CHARACTERS.finditer(text))


def _written(text: str, known: frozenset[str]) -> Iterator[Span]:
    for pattern in _WRITTEN:
        for found in pattern.finditer(text):
            if _month(found) and 1 <= int(found["day"]) <= _LONGEST_DAY:
                yield found.span("all")
    of_year, of_time = _days(known), _months(known)
    for pattern in _PARTS:
        for found in pattern.finditer(text):
            month, said = _month(found), found.groupdict()
            if "day" in said:
                matched = (month, int(said["day"])) in of_year
            else:
                matched = (int(said["year"]), month) in of_time
            if matched:
                yield found.span("all")


def _numeric_parts(text: str, known: frozenset[str]) -> Iterator[Span]:
    of_year, of_time = _days(known), _months(known)
    for found in _NUMERIC_PARTS.finditer(text):
        if found["year"]:
            matched = (int(found["year"]), int(found["month"])) in of_time
        else:
            one, other = int(found["a"]), int(found["b"] or found["c"])
            matched = (one, other) in of_year or (other, one) in of_year
        if matched:
            yield found.span("all")


def _days(known: frozenset[str]) -> set[tuple[int, int]]:
    return {(int(date[4:6]), int(date[6:])) for date in known}


def _months(known: frozenset[str]) -> set[tuple[int, int]]:
    return {(int(date[:4]), int(date[4:6])) for date in known}


def _is_numeric(text: str, found: re.Match[str]) -> bool:
    first, middle, last = found["a"], found["b"], found["c"]
    if len(first) == _YEAR_DIGITS:
        return int(first) in _YEARS and _may_be_day(middle, last)
    if len(last) == _YEAR_DIGITS:
        return int(last) in _YEARS and _may_be_day(first, middle)
    glued = found.start() > 0 and text[found.start() - 1].isalpha()
    signs = found["one"], found["two"]
    if glued or " " in signs[0] or signs[0] != signs[1] or len(last) != _SHORT_YEAR_DIGITS:
        return False
    if len(first) == _SHORT_YEAR_DIGITS and _may_be_day(middle, last):
        return True
    return _may_be_day(first, middle)


def _may_be_day(one: str, other: str) -> bool:
    """Whether two numbers are a day and a month, in either order."""
    low, high = sorted((int(one), int(other)))
    return 1 <= low <= _LAST_MONTH and high <= _LONGEST_DAY


def _month(found: re.Match[str]) -> int:
    return _MONTHS.get(fold(found["month"]), 0)

"""Dates in text: complete ones go, parts of one if the instance has it (PS3.15 E.3.5)."""

from __future__ import annotations

import pytest

from rules.text.excision import without
from rules.text.spelled_dates import dates_in
from rules.text.wording import words

BIRTH = frozenset({"19320405"})


def undated(said: str, known: frozenset[str] = frozenset()) -> str:
    """A text without its dates."""
    return without(said, dates_in(said, words(said), known))


@pytest.mark.parametrize(
    "said",
    [
        *("2024/2/29", "2024-02-29", "29.02.2024", "02/29/2024", "29/02/24", "29. 2. 2024"),
        *("29 Feb 2024", "Feb 29, 2024", "February 29th 2024", "29. Februar 2024", "29FEB2024"),
        *("le 29 février 2024", "29 de febrero de 2024", "2024年2月29日", "2024-02-29T10:11:12"),
        *("2024 02 29", "24-02-29", "Mar-3-99", "3-Mar-99"),
    ],
)
def test_a_complete_date_goes_whosever_it_is(said: str) -> None:
    """In the spellings of several languages."""
    cleaned = undated(f"Thorax {said} nativ")

    assert cleaned.replace("le ", "") == "Thorax nativ"


@pytest.mark.parametrize("said", ["5 Apr", "April 5th", "Apr 1932", "04/05", "05.04.", "4/1932"])
def test_a_part_of_a_date_goes_if_it_is_one_of_the_instance(said: str) -> None:
    """On its own it is a number among others."""
    assert undated(f"liver {said} lesion", BIRTH) == "liver lesion"
    assert undated(f"liver {said} lesion") == f"liver {said} lesion"


@pytest.mark.parametrize(
    "said",
    [
        *("C5/6 L4/5", "1/3", "1.5 T", "5.0/2.5", "512x512x200", "3 March", "May 5", "12:30:15"),
        *("5 Abd 2024", "31.13.2024", "2024-14-40", "L4/5/20", "32 Jan 2024", "0/0/2024", "2024"),
    ],
)
def test_what_is_no_date_stays(said: str) -> None:
    """Levels, fractions, matrices, and days that no calendar has."""
    assert undated(f"{said} lesion") == f"{said} lesion"


def test_a_date_that_begins_like_another_number_is_found() -> None:
    """The search does not step over it."""
    assert undated("slice 1.5 29.02.2024 liver") == "slice 1.5 liver"

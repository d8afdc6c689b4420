"""Whether an attribute is what a query asks for."""

from __future__ import annotations

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.archive.attributes import MOST_READ
from scp.archive.matching import MOST_CHARACTERS, Wanted, fits

PATIENT_NAME, STUDY_DATE, STUDY_TIME = 0x00100010, 0x00080020, 0x00080030


@given(st.text("ab?*", max_size=8), st.text("ab", max_size=10))
def test_wildcards_are_those_of_a_regular_expression(pattern, text):
    """`*` is any characters, `?` is one."""
    expression = "".join({"*": ".*", "?": "."}.get(one, one) for one in pattern)

    assert fits(pattern, text) == bool(re.fullmatch(expression, text))


def test_a_hostile_pattern_ends_soon():
    """Where a backtracking reader would not."""
    assert not fits("*a" * 300 + "b", "a" * 2000)


@pytest.mark.parametrize(
    "pattern",
    [
        "*" + "?" * 500 + "b*",
        "*?a" * 340 + "b",
        "*" + "?" * 500 + "b",
        "\\".join(f"*?{chr(0x4E00 + number)}" for number in range(256)),
    ],
    ids=["one piece", "many pieces", "the last piece", "many choices"],
)
def test_no_pattern_takes_long_on_a_long_value(pattern):
    """Each is tried on as many values as one request may have read, in less than a minute."""
    wanted, value = Wanted(PATIENT_NAME, pattern), "a" * 40_000
    wanted.accepts(value)
    began = process_time()

    assert not any(wanted.accepts(value) for _ in range(10))
    assert process_time() - began < 10 * 60 / MOST_READ


def test_wildcards_look_at_the_beginning_of_a_long_value():
    """What is behind it is not looked at; a pattern without wildcards is all of the value."""
    long = "a" * MOST_CHARACTERS

    assert Wanted(PATIENT_NAME, "a*").accepts(long + "b")
    assert not Wanted(PATIENT_NAME, "*b*").accepts(long + "b")
    assert not Wanted(PATIENT_NAME, long).accepts(long + "b")


@pytest.mark.parametrize(
    ("tag", "pattern", "value", "accepted"),
    [
        (PATIENT_NAME, "doe^jane", "Doe^Jane", True),
        (PATIENT_NAME, "doe", "Doe^Jane", False),
        (PATIENT_NAME, "ÄRGER", "ärger", True),
        (PATIENT_NAME, "A-B", "a-b", True),
        (PATIENT_NAME, "", "", True),
        (PATIENT_NAME, "*", "", True),
        (PATIENT_NAME, "x", "", False),
        (PATIENT_NAME, "?*", "", False),
        (PATIENT_NAME, "a\\b", "B", True),
        (STUDY_DATE, "20200101-20201231", "20200615", True),
        (STUDY_DATE, "20200101-20201231", "20210101", False),
        (STUDY_DATE, "20200101-", "20200101", True),
        (STUDY_DATE, "-20200101", "20200101", True),
        (STUDY_DATE, "-20200101", "20200102", False),
        (STUDY_DATE, "-20200101", "", False),
        (STUDY_TIME, "10-11", "115959", True),
        (STUDY_TIME, "10-11", "12", False),
    ],
)
def test_a_pattern_accepts_what_it_means(tag, pattern, value, accepted):
    """Letters of either case, several choices, and ranges of dates and times."""
    assert Wanted(tag, pattern).accepts(value) == accepted


def test_case_can_count():
    """If it is asked for."""
    assert not Wanted(PATIENT_NAME, "doe*", case_sensitive=True).accepts("Doe^Jane")

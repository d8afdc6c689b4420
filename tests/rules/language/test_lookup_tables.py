"""Lookup files: two columns, and mistakes that name a line and no value."""

from __future__ import annotations

import csv
import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language.lookup_tables import read_table


def anything(_: str) -> None:
    """Every replacement fits."""


def digits(text: str) -> None:
    """Only digits fit."""
    if not text.isdigit():
        raise ValueError("digits only")


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("A,1\nB,2", {"A": "1", "B": "2"}),
        ("A,1\r\nB,2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA,1\n\n\nB,2\n", {"A": "1", "B": "2"}),
        (" A , 1 \n", {"A": "1"}),
        ('"Last, First","1"\n', {"Last, First": "1"}),
        ('"say ""no""",1\n', {'say "no"': "1"}),
        ("A,1\nA,1\n", {"A": "1"}),
        ("A,\n", {"A": ""}),
        ("Mu\u0308ller,1\n", {"M\u00fcller": "1"}),
    ],
)
def test_the_second_column_takes_the_place_of_the_first(text, table):
    """As spreadsheets write it: with quotes, a byte order mark, blank lines."""
    assert read_table(text, anything) == table


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is nothing in it"),
        ("\n\n", "there is nothing in it"),
        ("A,1\nB\n", "line 2 has 1 column, not 2"),
        ("A,1,x\n", "line 1 has 3 columns, not 2"),
        ("A,1\n , 2\n", "line 2 has no value to look for"),
        ("A,1\n\nA,2\n", "line 3 gives another value"),
        ('A,1\n"B,2\n', "line 2 is not CSV"),
        ('A,1\n"B"x,2\n', "line 2 is not CSV"),
        ("A,1\nB,\0\n", "line 2 "),
        ("A,1\nB,x\n", "line 2 does not fit: digits only"),
        ("A," + "1" * 200_000, "is not CSV"),
    ],
)
def test_the_first_mistake_is_told_by_its_line(text, said):
    """A file of thousands of lines is mended line by line."""
    with pytest.raises(ValueError, match=re.escape(said)):
        read_table(text, digits)


SECRET = st.text("XYZ", min_size=5, max_size=8)


@given(
    SECRET,
    st.sampled_from(["{0}\n", "{0},1,2\n", "{0},1\n{0},2\n", '"{0}\n', "{0},{0}\n", "{0},"]),
)
def test_no_message_holds_a_value(value, form):
    """What stands in the file are the identities of patients."""
    try:
        read_table(form.format(value), digits)
    except ValueError as refused:
        assert value not in str(refused)  # noqa: PT017 - the else is the point
    else:
        pytest.fail("nothing was wrong with it")


@given(st.dictionaries(st.text('abé,"', min_size=1), st.text("123"), min_size=1))
def test_what_was_written_as_csv_is_read(table):
    """Quotes and commas in a value are part of it."""
    written = StringIO()
    csv.writer(written).writerows(table.items())

    assert read_table(written.getvalue(), anything) == table

"""The functions of Replace: what a map becomes, and that it never becomes anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.conditions import Pattern
from rules.errors import DocumentError
from rules.language.calls import FUNCTIONS, check_held, read_call
from rules.language.schema import parse_profile
from rules.profile import (
    CapAge,
    CoarseDate,
    Hash,
    KeyedUID,
    Lookup,
    Profile,
    Regex,
    ShiftDate,
)
from rules.tables.dictionary import vr_of

LOOKUP = "A-1,001\nM\u00fcller , 002\n"


def profile(text: str) -> Profile:
    """The profile that a file makes; any lookup file that it names holds LOOKUP."""
    return parse_profile(text, name="research", file="f", read_lookup=lambda _: LOOKUP)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("PatientID: {hash: 64}", Hash(64)),
        ("AccessionNumber: {hash: 16}", Hash(16)),
        ("PatientName: {hash: 1}", Hash(1)),
        ("StudyInstanceUID: {uid: keyed}", KeyedUID()),
        ("ReferencedStudySequence[*].ReferencedSOPInstanceUID: {uid: keyed}", KeyedUID()),
        ("StudyDate: {shift: patient}", ShiftDate()),
        ("AcquisitionDateTime: {shift: patient}", ShiftDate()),
        ("StudyTime: {shift: patient}", ShiftDate()),
        ("PatientBirthDate: {date: year}", CoarseDate("year")),
        ("AcquisitionDateTime: {date: month}", CoarseDate("month")),
        ("PatientAge: {age: cap-89}", CapAge(89)),
        ("PatientAge: {age: cap-007}", CapAge(7)),
        ("StudyDescription: {regex: '[0-9]{6,}', with: X}", Regex(Pattern("[0-9]{6,}"), "X")),
        (
            "StudyDescription: {regex: '/dr .+/i', with: ''}",
            Regex(Pattern("dr .+", ignore_case=True), ""),
        ),
        ("StudyDate: {regex: '....$', with: '0101'}", Regex(Pattern("....$"), "0101")),
        ("OverlayDescription: {hash: 12}", Hash(12)),
    ],
)
def test_a_function_is_a_map_of_one_key(line, value):
    """Two for those that take a second word."""
    (rule,) = profile(f"Replace:\n  {line}").replace

    assert rule.value == value


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("PatientID: {lookup: ids.csv}", "reject"),
        ("PatientID: {lookup: ids.csv, missing: remove}", "remove"),
        ("PatientID: {missing: reject, lookup: ids.csv}", "reject"),
    ],
)
def test_a_lookup_holds_the_table_of_its_file(line, missing):
    """Blanks around a value do not count, and what is in it is not shown."""
    (rule,) = profile(f"Replace:\n  {line}").replace

    assert rule.value == Lookup({"A-1": "001", "M\u00fcller": "002"}, missing, "ids.csv")
    assert "A-1" not in repr(rule)
    assert "001" not in repr(rule)


def test_a_body_that_comes_without_a_folder_names_no_lookup_file():
    """A request must not read the files of the node."""
    with pytest.raises(DocumentError, match="needs a file beside a configuration"):
        parse_profile("Replace:\n  PatientID: {lookup: /etc/passwd}", name="p", file="f")


TAGS = st.sampled_from(
    [
        *(0x00100020, 0x0020000D, 0x00080020, 0x00080030, 0x0008002A, 0x00101010, 0x00080050),
        *(0x00080060, 0x00280010, 0x7FE00010, 0x00081030, 0x00080018, 0x00100010, 0x00080005),
    ]
)
WORDS = st.sampled_from(
    [
        "patient",
        "keyed",
        "year",
        "cap-89",
        "16",
        "99",
        "a.csv",
        "remove",
        "[0-9]+",
        "/x/i",
        "",
        "(",
    ]
)
KEYS = st.sampled_from([*FUNCTIONS, "missing", "with", "hsh"])


@given(
    st.dictionaries(KEYS, WORDS | st.text(max_size=5) | st.none() | st.lists(WORDS), max_size=3),
    TAGS,
    st.text('ab,"\n1.', max_size=12),
)
def test_any_map_is_a_function_or_a_value_error(plain, tag, lookup):
    """Whatever a person may write, and whatever is in the file."""
    try:
        value = read_call(plain, tag, vr_of(tag), lambda _: lookup)
    except ValueError as refused:
        assert str(refused)  # noqa: PT017 - either outcome is right
    else:
        assert type(value).__name__ in (
            *("Pseudonym", "Hash", "KeyedUID", "ShiftDate", "CoarseDate", "CapAge"),
            *("Lookup", "Regex"),
        )


def test_an_attribute_newer_than_the_dictionary_takes_a_literal():
    """The supplement knows its VR, and nobody its VM."""
    check_held("a\\b", 0x00100011, "LO")
    with pytest.raises(ValueError, match="cannot be this: LO holds at most 64"):
        check_held("x" * 65, 0x00100011, "LO")

"""Tags and paths of a request, in every spelling that Orthanc and dcmodify know."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.requests import RequestFault
from rules.requests.tags import parse_path, parse_tag
from rules.selectors import PrivateTag, Step
from tests.asked import fault


@pytest.mark.parametrize(
    "text",
    [
        "PatientID",
        "0010,0020",
        "0010-0020",
        "00100020",
        "(0010,0020)",
        "( 0010 , 0020 )",
        " 0010,0020 ",
    ],
)
def test_a_tag_has_many_spellings(text):
    """Keyword, and hexadecimal in all its forms."""
    assert parse_tag(text) == 0x00100020


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("OtherPatientIDs", 0x00101000),
        ("0040a730", 0x0040A730),
        ("OverlayData", 0x60003000),
        ("0009,1001", 0x00091001),
        ("0010,0000", 0x00100000),
    ],
)
def test_old_names_private_tags_and_group_lengths_are_tags(text, tag):
    """Whatever the dictionary of a user still says."""
    assert parse_tag(text) == tag


@pytest.mark.parametrize(
    "text",
    [
        "ReferencedStudySequence[0].SeriesInstanceUID",
        "(0008,1110)[0].(0020,000e)",
        " ReferencedStudySequence [ 0 ] . SeriesInstanceUID ",
    ],
)
def test_a_path_leads_into_an_item(text):
    """Counted from zero, with blanks wherever they may stand."""
    selector = parse_path(text)

    assert selector.steps == (Step(0x00081110, 0),)
    assert selector.text == "ReferencedStudySequence[0].SeriesInstanceUID"


def test_a_star_is_every_item():
    """As dcmodify has it."""
    assert parse_path("ReferencedStudySequence[*].StudyDate").steps == (Step(0x00081110, None),)


def test_a_private_tag_can_be_named_by_its_creator():
    """Whatever block the creator has in an instance."""
    assert parse_path("(0009,{A.B}01)").target == PrivateTag(0x0009, "A.B", 0x01)


def test_a_misspelt_tag_is_told_the_nearest_one():
    """Orthanc answers 500 here."""
    told = fault(parse_path, "PatinetName")

    assert told.status == 27
    assert told.details == "Unknown DICOM tag: PatinetName; did you mean PatientName?"


@pytest.mark.parametrize(
    "text", ["", "  ", "0010,00", "0010,002x", "zzz", "x" * 5000, "\x00", "\ud800"]
)
def test_what_is_no_tag_is_unknown(text):
    """Half tags, masks and nothing at all."""
    assert fault(parse_path, text).status == 27


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ReferencedStudySequence.StudyDate", "an index"),
        ("ReferencedStudySequence[].StudyDate", "counted from zero"),
        ("ReferencedStudySequence[-1].StudyDate", "counted from zero"),
        ("ReferencedStudySequence[one].StudyDate", "counted from zero"),
        ("ReferencedStudySequence[0.StudyDate", "an index"),
        ("PatientName[0].StudyDate", "no sequence"),
        ("ReferencedStudySequence[0].ReferencedSeriesSequence[0]", "ends with a tag"),
        (".".join(["ReferencedStudySequence[0]"] * 17) + ".StudyDate", "at most 16"),
        ("(0009,{A}", "private"),
        ('(0009,"A', "private"),
    ],
)
def test_a_path_that_leads_nowhere_is_out_of_range(text, told):
    """Each with what is wrong."""
    found = fault(parse_path, text)

    assert found.status == 3
    assert told in found.details


@pytest.mark.parametrize(
    "text", ["0002,0010", "TransferSyntaxUID", "0000,0002", "FFFE,E000", "0009,0001", "0003,1001"]
)
def test_what_is_no_part_of_a_dataset_cannot_be_named(text):
    """Nor can elements that no private creator can own."""
    assert fault(parse_path, text).status == 8


@given(st.text(max_size=60) | st.text('Patient(0,1)[*].{}"', max_size=60))
def test_any_text_is_a_path_or_a_fault(text):
    """Never another exception."""
    with contextlib.suppress(RequestFault):
        assert parse_path(text).text

"""Selectors: what a rule may name, and how."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, RepeatersDictionary

from rules.selectors import (
    EXACT,
    PrivateTag,
    Selector,
    Step,
    TagPattern,
    is_half_a_tag,
    parse_selector,
)

PATIENT_ID = TagPattern(0x00100020, EXACT)
REFERENCED_STUDIES = 0x00081110
KEYWORDS = sorted(
    entry[4]
    for tag, entry in DicomDictionary.items()
    if entry[4] and tag >> 16 not in (0, 2, 0xFFFE)
)
SEQUENCES = sorted(entry[4] for entry in DicomDictionary.values() if entry[0] == "SQ")


@pytest.mark.parametrize(
    "text",
    ["PatientID", "0010,0020", "(0010,0020)", "0010-0020", "00100020", " ( 0010 , 0020 ) "],
)
def test_a_tag_has_many_spellings(text):
    """Each tool writes tags in its own way; all of them are read."""
    assert parse_selector(text) == Selector((), PATIENT_ID, "PatientID")


def test_the_case_of_hexadecimal_digits_does_not_count():
    """Keywords are another matter."""
    assert parse_selector("7fe0,0010") == parse_selector("(7FE0,0010)")


@pytest.mark.parametrize(
    ("text", "value", "mask"),
    [
        ("50xx,xxxx", 0x50000000, 0xFF000000),
        ("(60XX,3000)", 0x60003000, 0xFF00FFFF),
        ("0008002X", 0x00080020, 0xFFFFFFF0),
        ("OverlayRows", 0x60000010, 0xFF00FFFF),
    ],
)
def test_an_x_stands_for_any_digit(text, value, mask):
    """The keyword of a repeating group names the whole group."""
    assert parse_selector(text).target == TagPattern(value, mask)


@pytest.mark.parametrize(
    "text",
    [
        "(0019,{SIEMENS MR HEADER}0C)",
        '(0019,"SIEMENS MR HEADER",0C)',
        "0019,{ SIEMENS MR HEADER }0c",
    ],
)
def test_a_private_attribute_is_named_by_its_creator(text):
    """XNAT's spelling and deid's."""
    assert parse_selector(text).target == PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C)


def test_a_path_leads_through_the_items_of_sequences():
    """The spelling is that of dcmodify and Orthanc."""
    selector = parse_selector("ReferencedStudySequence[*].(0008,1199)[2].StudyDate")

    assert selector.steps == (Step(REFERENCED_STUDIES, None), Step(0x00081199, 2))
    assert selector.text == "ReferencedStudySequence[*].ReferencedSOPSequence[2].StudyDate"


def test_a_dot_in_a_creator_is_no_step():
    """Creators are free text."""
    text = "ReferencedStudySequence[0].(0019,{ACME 1.2}01)"

    assert parse_selector(text).target == PrivateTag(0x0019, "ACME 1.2", 1)
    assert parse_selector(text).text == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an attribute is missing"),
        ("  ", "an attribute is missing"),
        ("PatientNam", "PatientNam is no attribute; did you mean PatientName?"),
        ("patientid", "patientid is no attribute; did you mean PatientID?"),
        ("Zzzzzzzz", "Zzzzzzzz is no attribute"),
        ("0010001", "a tag has eight hexadecimal digits"),
        ("0x0010,0x0020", "a tag has eight hexadecimal digits"),
        ("(0010,0020", "a tag has eight hexadecimal digits"),
        ("0010", 'half a tag: quote the whole, "(0010,0020)"'),
        ("xxxx,xxxx", "this names every attribute"),
        ("(0008,0000)", "group length"),
        ("(xxxx,0000)", "group length"),
        ("(0000,0100)", "belongs to the command"),
        ("TransferSyntaxUID", "group 0002 is written anew"),
        ("(FFFE,E000)", "marks items"),
        ("(0019,100C)", "write (0019,{CREATOR}0C)"),
        ("(0019,0010)", "by creator"),
        ("(0019,xxxx)", "write (0019,{CREATOR}ee)"),
        ("(0018,{X}01)", "group 0018 is not private"),
        ("(0001,{X}01)", "group 0001 is not private"),
        ("(FFFF,{X}01)", "group FFFF is not private"),
        ("(0019,{}01)", "the private creator is empty"),
        ("(0019,{X}100C)", "two digits, not 100C"),
        ("(0019,{X}xx)", "two digits, not xx"),
        ("(0019,{X01)", "a private creator stands in { }"),
        ("(0019,{X}01", "is written (gggg,{CREATOR}ee)"),
        ("(0019,{" + "X" * 65 + "}01)", "at most 64"),
        ("(0019,{A\\B}01)", "no backslash"),
        ("ReferencedStudySequence.StudyDate", "write ReferencedStudySequence[*].StudyDate"),
        ("ReferencedStudySequence[*]", "ends with an attribute"),
        ("ReferencedStudySequence[x].StudyDate", "[x] is no item"),
        ("ReferencedStudySequence[].StudyDate", "[] is no item"),
        ("ReferencedStudySequence[-1].StudyDate", "[-1] is no item"),
        ("PatientName[*].StudyDate", "PatientName is not a sequence"),
        ("(60xx,0010)[*].StudyDate", "single sequences"),
        ("[0].StudyDate", "an attribute is missing"),
        ("ReferencedStudySequence[0].", "an attribute is missing"),
        ("ReferencedStudySequence[0]." * 17 + "StudyDate", "at most 16 sequences"),
    ],
)
def test_what_cannot_be_named_says_how_to_name_it(text, said):
    """One sentence, with the remedy or the nearest spelling."""
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_selector(text)


@pytest.mark.parametrize("keyword", sorted(entry[4] for entry in RepeatersDictionary.values()))
def test_every_repeating_keyword_is_its_own_pattern(keyword):
    """The table of keywords of pydicom leaves them out."""
    pattern = parse_selector(keyword).target

    assert not pattern.exact
    assert parse_selector(parse_selector(keyword).text).target == pattern


@pytest.mark.parametrize("text", ["0010", "(0010", "0020)", "50xx"])
def test_half_a_tag_is_known_as_such(text):
    """It is what YAML leaves of a tag in a list between brackets."""
    assert is_half_a_tag(text)


TARGETS = (
    st.sampled_from(KEYWORDS)
    | st.builds(
        "({:04X},{:04X})".format,
        st.integers(4, 0xFFFD).filter(lambda group: group % 2 == 0),
        st.integers(1, 0xFFFF),
    )
    | st.from_regex(r"\([0-9A-Fx]{3}[02468ACE],[0-9A-Fx]{4}\)", fullmatch=True)
    | st.builds(
        "({:04X},{{{}}}{:02X})".format,
        st.integers(0x0009, 0xFFFD).filter(lambda group: group % 2 == 1),
        st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=20).map(
            lambda text: re.sub(r"[{}\\]", ".", text)
        ),
        st.integers(0, 0xFF),
    )
)
STEPS = st.lists(
    st.builds("{}[{}].".format, st.sampled_from(SEQUENCES), st.just("*") | st.integers(0, 999)),
    max_size=3,
).map("".join)


@given(STEPS, TARGETS)
def test_the_text_of_a_selector_is_the_selector(steps, target):
    """What `check` prints can be copied back into the file."""
    try:
        selector = parse_selector(steps + target)
    except ValueError:
        assume(condition=False)

    again = parse_selector(selector.text)

    assert again == selector
    assert again.text == selector.text


@given(st.text(max_size=40) | st.text('0019,{}"()[*].xAB -', max_size=30))
def test_any_text_is_a_selector_or_a_value_error(text):
    """Nothing a person may type ends in a traceback."""
    with contextlib.suppress(ValueError):
        assert parse_selector(text).text

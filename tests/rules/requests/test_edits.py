"""Which of Remove, Replace and Keep holds, and what a request may not ask for."""

from __future__ import annotations

import pytest

from rules.profile import Literal
from rules.requests.edits import read_edits
from rules.selectors import PrivateTag
from tests.asked import fault

FORCED = {"is_forced": True}


def named(selectors):
    """Their texts."""
    return [selector.text for selector in selectors]


def test_the_last_mention_of_a_tag_holds():
    """Remove, then Replace, then Keep."""
    tag = "StudyDescription"

    replaced = read_edits({"Remove": [tag], "Replace": {tag: "x"}}, **FORCED)
    kept = read_edits({"Remove": [tag], "Replace": {tag: "x"}, "Keep": [tag]}, **FORCED)

    assert (replaced.remove, replaced.values(), replaced.keep) == (
        (),
        {0x00081030: Literal("x")},
        (),
    )
    assert (kept.remove, kept.replace, named(kept.keep)) == ((), (), [tag])


def test_paths_are_applied_last():
    """Replace before Remove, Remove before Keep."""
    path = "ReferencedStudySequence[0].StudyDate"

    replaced = read_edits({"Remove": [path], "Replace": {path: None}, "Keep": [path]}, **FORCED)
    removed = read_edits({"Remove": [path], "Keep": [path]}, **FORCED)

    assert (replaced.remove, len(replaced.replace), replaced.keep) == ((), 1, ())
    assert (named(removed.remove), removed.keep) == ([path], ())


def test_two_spellings_are_one_tag():
    """The second value holds."""
    edits = read_edits({"Replace": {"StudyDate": "20260101", "0008,0020": "20260102"}}, **FORCED)

    assert edits.values() == {0x00080020: Literal("20260102")}


@pytest.mark.parametrize("tag", ["PatientID", "0020,000D", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize(
    ("body", "verb"),
    [
        (lambda tag: {"Remove": [tag]}, "removed"),
        (lambda tag: {"Replace": {tag: "1.2"}}, "replaced"),
        (lambda tag: {"Keep": [tag]}, "kept"),
    ],
)
def test_an_identifier_needs_force(tag, body, verb):
    """In any list, in any spelling."""
    told = fault(read_edits, body(tag), is_forced=False)

    assert told.status == 8
    assert f'as to be {verb} requires the "Force" option to be set to true' in told.details


def test_an_identifier_under_a_path_needs_no_force():
    """It identifies something else."""
    edits = read_edits(
        {"Remove": ["ReferencedStudySequence[*].StudyInstanceUID"]}, is_forced=False
    )

    assert len(edits.remove) == 1


@pytest.mark.parametrize(
    "tag", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
)
def test_an_identifier_is_never_removed(tag):
    """Not even by force; unless a later list speaks of it."""
    told = fault(read_edits, {"Remove": [tag]}, **FORCED)

    assert (told.status, tag in told.details) == (8, True)
    assert read_edits({"Remove": [tag], "Keep": [tag]}, **FORCED).remove == ()


@pytest.mark.parametrize(
    "body",
    [
        {"Remove": ["SOPClassUID"]},
        {"Remove": ["SpecificCharacterSet"]},
        {"Remove": ["0009,0010"]},
        {"Replace": {"StudyInstanceUID": ""}},
        {"Replace": {"SOPClassUID": None}},
        {"Replace": {"SpecificCharacterSet": "ISO_IR 100"}},
        {"Replace": {"PixelData": None}},
        {"Replace": {"DigitalSignaturesSequence": []}},
        {"Replace": {"0010,FFFF": "x"}},
        {"Replace": {"0009,1001": "x"}},
        {"Replace": {"0009,0010": "OWNER"}},
        {"Replace": {"0009,1001": "x"}, "PrivateCreator": "Ö"},
        {"Replace": {"0009,1001": "x"}, "PrivateCreator": "a\\b"},
        {"Replace": {"0009,0010": ["x"], "0009,1001": "x"}},
        {"Keep": ["ContentSequence"], "Remove": ["ContentSequence[0].TextValue"]},
        {"Replace": {"ContentSequence": [], "ContentSequence[0].TextValue": "x"}},
        {"Remove": "PatientName"},
        {"Remove": [1]},
        {"Keep": {}},
        {"Replace": []},
    ],
)
def test_what_would_leave_no_sound_instance_is_a_bad_request(body):
    """Each with a sentence."""
    told = fault(read_edits, body, **FORCED)

    assert told.status == 8
    assert told.details


def test_a_path_through_what_goes_is_nothing():
    """As in Orthanc, where the sequence is not there any more."""
    edits = read_edits(
        {"Remove": ["ContentSequence"], "Replace": {"ContentSequence[0].TextValue": "x"}}, **FORCED
    )

    assert (named(edits.remove), edits.replace) == (["ContentSequence"], ())


def test_a_private_tag_belongs_to_the_creator_of_the_request():
    """In the block that its number says, if it is free."""
    edits = read_edits({"Replace": {"0009,1142": "x"}, "PrivateCreator": "OWNER"}, **FORCED)

    ((selector, value),) = edits.replace
    assert selector.target == PrivateTag(0x0009, "OWNER", 0x42)
    assert (selector.target.block, value) == (0x11, Literal("x"))


def test_a_creator_that_is_replaced_along_is_the_owner():
    """How Orthanc's users write a creator."""
    body = {"Replace": {"00090010": "OWNER", "00091042": "x"}, "PrivateCreator": "OTHER"}

    ((selector, _),) = read_edits(body, **FORCED).replace

    assert selector.target == PrivateTag(0x0009, "OWNER", 0x42)


def test_group_lengths_are_ignored():
    """They are always made anew."""
    assert read_edits({"Replace": {"0010,0000": "12"}}, **FORCED).replace == ()


def test_keeping_a_creator_says_nothing():
    """It stays exactly when an element of its block does."""
    assert named(read_edits({"Keep": ["0009,0010", "0009,1001"]}, **FORCED).keep) == [
        "(0009,1001)"
    ]

"""What a body of split or merge asks for."""

from __future__ import annotations

import pytest

from rules.profile import Literal
from rules.requests import Touched, read_merge, read_split, renaming_of_move
from rules.tables.study_modules import study_module_tags
from tests import driving
from tests.asked import fault


def test_a_split_names_what_moves_and_what_changes():
    """Replace holds before Remove."""
    split = read_split(
        {
            "Series": ["a"],
            "Instances": ["b", "c"],
            "Replace": {"PatientID": "X", "StudyDate": ""},
            "Remove": ["0010,0020", "AccessionNumber"],
        }
    )

    assert split.replace == ((0x00080020, Literal("")), (0x00100020, Literal("X")))
    assert split.remove == (0x00080050,)
    assert (split.series, split.instances) == (("a",), ("b", "c"))


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 8, 'Both the "Series" and the "Instances" fields are missing'),
        ({"Series": [], "Instances": []}, 8, "missing"),
        ({"Series": "x"}, 15, "List of strings expected in field: Series"),
        ({"Series": ["x"], "Remove": "x"}, 8, "Remove"),
        ({"Series": ["x"], "Replace": {"PatientName": None}}, 15, "by a string only"),
        ({"Series": ["x"], "Replace": {"PatientName": []}}, 15, "by a string only"),
        ({"Series": ["x"], "Replace": {"PatientSex": "female"}}, 15, "PatientSex"),
        (
            {"Series": ["x"], "Remove": ["SeriesDescription"]},
            3,
            "Cannot modify the following tag while splitting a study (not in the patient/study "
            "modules): SeriesDescription (0008,103e)",
        ),
        ({"Series": ["x"], "Replace": {"StudyInstanceUID": "1.2"}}, 3, "StudyInstanceUID"),
        ({"Series": ["x"], "Remove": ["ReferencedStudySequence[0].StudyDate"]}, 27, "Unknown"),
        ({"Series": ["x"], "Remove": ["PatinetName"]}, 27, "did you mean PatientName"),
    ],
)
def test_a_split_that_cannot_be_is_a_fault(body, status, told):
    """As Orthanc has it, with its sentences."""
    found = fault(read_split, body)

    assert found.status == status
    assert told in found.details


def test_a_merge_names_resources():
    """Of any level."""
    assert read_merge({"Resources": ["a", "b"]}).resources == ("a", "b")
    assert fault(read_merge, {}).status == 15


def test_what_moves_is_renamed_by_scope_and_key():
    """A study that moves as a whole becomes the one it moves to."""
    keys = driving.pseudonyms()

    renaming = renaming_of_move(Touched({"1"}, {"2"}, {"3"}), keys, "s", "9")

    assert [renaming(uid) for uid in "1234"] == ["9", keys.uid("s", "2"), keys.uid("s", "3"), "4"]


def test_the_modules_have_41_attributes():
    """24 of the patient and 17 of the study."""
    tags = study_module_tags()

    assert len(tags) == 41
    assert {0x00100020, 0x0020000D, 0x00120064, 0x00401012} <= tags

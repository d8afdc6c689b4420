"""Values of Replace: checked before anything is done, and never quoted."""

from __future__ import annotations

import pytest

from rules.profile import Items, Literal
from rules.requests.held import private_value_of, value_of
from rules.selectors import PrivateTag
from rules.values import DATA_PREFIX
from tests.asked import fault

ROWS, STUDY_DATE, PATIENT_NAME = 0x00280010, 0x00080020, 0x00100010
REFERENCED_STUDIES, ENCAPSULATED_DOCUMENT = 0x00081110, 0x00420011


def test_a_text_is_the_value_of_an_attribute():
    """And null is its empty value."""
    assert value_of("20260101", STUDY_DATE) == Literal("20260101")
    assert value_of(None, STUDY_DATE) == Literal("")
    assert value_of("", ROWS) == Literal("")


@pytest.mark.parametrize("plain", [1, 1.5, True, {}, {"a": "b"}, float("nan")])
def test_nothing_but_texts_arrays_and_null_is_a_value(plain):
    """JSON has more types than DICOM knows what to do with."""
    assert fault(value_of, plain, ROWS).status == 5


def test_an_array_is_for_sequences_only():
    """And a sequence is nothing but an array."""
    assert fault(value_of, [], ROWS).status == 5
    assert fault(value_of, "text", REFERENCED_STUDIES).status == 15


@pytest.mark.parametrize(
    ("plain", "tag"),
    [
        ("garbage", STUDY_DATE),
        ("20261301", STUDY_DATE),
        ("70000", ROWS),
        ("x" * 65, PATIENT_NAME),
        ("1.02.3", 0x00081155),
        ("M\\F", 0x00100040),
        ("\ud800", PATIENT_NAME),
        (DATA_PREFIX + "!", ENCAPSULATED_DOCUMENT),
        ("plain text", ENCAPSULATED_DOCUMENT),
        ("1\\2" * 30000, 0x00280009),
    ],
)
def test_what_does_not_fit_is_a_fault_that_does_not_quote_it(plain, tag):
    """VR, VM and length; Orthanc writes most of it as it comes."""
    told = fault(value_of, plain, tag)

    assert told.status == 15
    assert plain not in told.details


def test_items_are_objects_of_values():
    """Recursively; an empty array is an empty item."""
    plain = [{"StudyDate": "20260101", "00081199": [{}]}, []]

    assert value_of(plain, REFERENCED_STUDIES) == Items(
        (
            ((STUDY_DATE, Literal("20260101")), (0x00081199, Items(((),)))),
            (),
        )
    )


@pytest.mark.parametrize("item", [1, "x", None, [1]])
def test_an_item_is_an_object(item):
    """Whatever else an array holds is of a wrong type."""
    assert fault(value_of, [item], REFERENCED_STUDIES).status == 5


@pytest.mark.parametrize("key", ["0009,1001", "SpecificCharacterSet", "0010,FFFF"])
def test_an_item_has_attributes_of_the_standard(key):
    """What cannot be written well is not written."""
    assert fault(value_of, [{key: "x"}], REFERENCED_STUDIES).status == 8


def test_sequences_do_not_nest_without_end():
    """A body of brackets costs nothing."""
    plain: list[object] = []
    for _ in range(100):
        plain = [{"ReferencedStudySequence": plain}]

    assert fault(value_of, plain, REFERENCED_STUDIES).status == 3


def test_a_document_comes_under_any_media_type():
    """Its attribute says what it is; here are its bytes."""
    plain = "data:application/pdf;base64,JVBERg=="

    assert value_of(plain, ENCAPSULATED_DOCUMENT) == Literal(DATA_PREFIX + "JVBERg==")


def test_a_private_value_is_of_the_vr_that_its_creator_gives():
    """(0019,xx0C) of a Siemens MR header is an IS."""
    target = PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0C)

    assert private_value_of("1000", target) == Literal("1000")
    assert fault(private_value_of, "no number", target).status == 15


def test_a_private_value_of_an_unknown_creator_is_a_text():
    """Of any length."""
    target = PrivateTag(0x0009, "NOBODY KNOWS", 1)

    assert private_value_of("x" * 100, target) == Literal("x" * 100)
    assert fault(private_value_of, [], target).status == 5

"""Headers: what a test of a region rule may hold. Replace and Reject are read in test_schema."""

from __future__ import annotations

import pytest

from rules.language.document import parse
from rules.language.places import Places
from rules.language.readings import condition, header
from rules.language.shapes import Problems


def places(text: str) -> Places:
    """Those of a document."""
    return Places(parse(text, "f"), (), Problems())


def said_of(one: Places) -> list[str]:
    """What was said of it."""
    return [str(problem) for problem in one.problems.all()]


def test_a_header_is_attributes_and_their_texts():
    """As a condition will look them up; null is an absent one."""
    one = places("{Modality: US, Rows: '480', 0008-0070: null, ImageType: ORIGINAL\\PRIMARY}")

    assert header(one) == {
        0x00080060: "US",
        0x00280010: "480",
        0x00080070: "",
        0x00080008: "ORIGINAL\\PRIMARY",
    }
    assert said_of(one) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "f:1:1: a header is a map such as"),
        ("{}", "f:1:1: a header is a map such as"),
        ("{Modality: PET/CT}", "f:1:12: Modality cannot be this: CS is"),
        ("{Rows: many}", "f:1:8: Rows cannot be this: US is"),
        ("{Modality: [US, CT]}", "f:1:12: Modality takes one text here"),
        ("{Modalty: US}", "f:1:2: Modalty is no attribute; did you mean Modality?"),
        ("{PixelData: a}", "f:1:2: a condition on an attribute of VR OB or OW"),
        ("{Modality: US, 0008-0060: CT}", "f:1:16: Modality stands here already"),
    ],
)
def test_a_header_that_no_instance_has_proves_nothing(text, said):
    """Lists of regions have been seen whose conditions no image could ever meet."""
    one = places(text)

    header(one)

    assert [line[: len(said)] for line in said_of(one)] == [said]


def test_a_condition_keeps_what_can_be_read_of_it():
    """The rest is a problem already."""
    one = places("{Modality: US, Manufacturer: /(/, Foo1: x}")
    read = condition(one)

    assert read is not None
    assert [tag for tag, _ in read.tests] == [0x00080060]
    assert len(said_of(one)) == 2

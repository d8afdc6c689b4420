"""Pixels and BurnedIn: a rule proves itself when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.conditions import Equals, Pattern
from rules.errors import DocumentError, Mark
from rules.language.region_rules import parse_box
from rules.language.schema import parse_profile
from rules.regions import KINDS, Box

if TYPE_CHECKING:
    from rules.profile import Profile


def profile(text: str) -> Profile:
    """The profile that a file makes."""
    return parse_profile(text, name="research", file="f")


def problems_of(text: str) -> list[str]:
    """What reading it says."""
    with pytest.raises(DocumentError) as refused:
        profile(text)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("text", "burned_in"),
    [
        ("{}", {}),
        ("BurnedIn: keep", dict.fromkeys(KINDS, "keep")),
        ("BurnedIn: refuse", dict.fromkeys(KINDS, "refuse")),
        ("BurnedIn: {Ultrasound: keep}", {"Ultrasound": "keep"}),
        (
            "BurnedIn: {ScreenSave: refuse, Declared: keep}",
            {"ScreenSave": "refuse", "Declared": "keep"},
        ),
    ],
)
def test_burned_in_text_is_refused_or_kept_by_kind(text, burned_in):
    """One word is for all kinds."""
    assert profile(text).burned_in == burned_in


REGION = """\
Pixels:
  - When: {Manufacturer: /GE/i, Rows: 512}
    Blank: ["0,0 512x110", "10 , 20 30 x 40"]
    Test:
      Matches: {Manufacturer: GE MEDICAL SYSTEMS, Rows: 512}
      Passes:
        - {Manufacturer: GE MEDICAL SYSTEMS, Rows: 1024}
        - {Manufacturer: null, Rows: 512}
"""


def test_a_region_rule_is_a_signature_boxes_and_a_test():
    """The headers of the test stay with it, so that it can be tried again."""
    (rule,) = profile(REGION).pixels

    assert rule.when.tests == (
        (0x00080070, Pattern("GE", ignore_case=True)),
        (0x00280010, Equals("512")),
    )
    assert rule.blank == (Box(0, 0, 512, 110), Box(10, 20, 30, 40))
    assert not rule.keep_regions
    assert rule.matches == ({0x00080070: "GE MEDICAL SYSTEMS", 0x00280010: "512"},)
    assert [header[0x00280010] for header in rule.passes] == ["1024", "512"]
    assert rule.mark == Mark("f", 2, 5)


def test_ultrasound_may_keep_only_its_regions():
    """Without a list of devices."""
    (rule,) = profile(
        "Pixels:\n  - When: {Modality: US}\n    KeepOnly: UltrasoundRegions\n"
        "    Test: {Matches: {Modality: US}, Passes: {Modality: CT}}"
    ).pixels

    assert rule.keep_regions
    assert rule.blank == ()


def test_a_rule_that_blanks_nothing_says_that_there_is_nothing():
    """A device that is known to write no text is let through by an empty list."""
    text = REGION.replace('["0,0 512x110", "10 , 20 30 x 40"]', "[]")

    assert profile(text).pixels[0].blank == ()


def test_every_header_of_a_test_is_tried():
    """A signature with a mistake in it would match nothing, and nobody would see it."""
    found = problems_of(REGION.replace("/GE/i", "/ge /").replace("Rows: 1024", "Rows: 512"))
    assert found == ["f:5:16: When does not match this header, and must: compare Manufacturer"]

    found = problems_of(REGION.replace("1024", "512"))
    assert found == [
        "f:7:11: When matches this header, and must not: ask for more, or move it to Matches"
    ]


def test_all_mistakes_of_a_region_rule_are_told_at_once():
    """Boxes, signature and test are read whatever is wrong with the others."""
    found = problems_of(
        "Pixels:\n"
        "  - When: {Manfacturer: GE}\n"
        '    Blank: ["0,0", "0,0 9x9", "0,0 99999x1"]\n'
        "    KeepOnly: [x]\n"
        "    Test: {Matches: {Rows: many}, Passes: {PixelData: x}}\n"
    )

    assert [line.split(":")[1:3] for line in found] == [
        *(["2", "12"], ["3", "13"], ["3", "31"], ["4", "15"], ["5", "28"], ["5", "44"])
    ]


SIDES = st.integers(0, 0xFFFF)


@given(SIDES, SIDES, SIDES.filter(bool), SIDES.filter(bool), st.sampled_from(["", " "]))
def test_a_box_is_read_as_it_is_written(x, y, width, height, blank):
    """Corner, then size; blanks around the signs do not count."""
    text = f"{x}{blank},{blank}{y} {width}{blank}x{blank}{height}"

    assert parse_box(text) == Box(x, y, width, height)


@pytest.mark.parametrize(
    "text", ["", "0,0", "0,0,5,5", "0,0 5x0", "0,0 0x5", "-1,0 5x5", "65536,0 1x1", "0,0 5\u00d75"]
)
def test_what_is_no_box_is_a_value_error(text):
    """A box of another tool has other numbers in its place."""
    with pytest.raises(ValueError, match="is a list of boxes such as"):
        parse_box(text)


@given(st.text("0123456789, x", max_size=24))
def test_any_text_is_a_box_or_a_value_error(text):
    """Nothing that a person may type ends in a traceback."""
    try:
        box = parse_box(text)
    except ValueError as refused:
        assert "such as" in str(refused)  # noqa: PT017 - either outcome is right
    else:
        assert box.width * box.height > 0

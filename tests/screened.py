"""A profile that knows where one maker burns text in, and that maker's instances.

What is in the pixels comes from `tests.rules.test_pixels`: a gradient, and a name under the
boxes of `TOP`.
"""

from __future__ import annotations

from io import BytesIO

from rules import Mark, compile_plan
from rules.conditions import Condition, parse_test
from rules.profile import Profile
from rules.regions import PixelRule
from tests.rules.test_pixels import TOP

MARK = Mark("test.yaml", 1, 1)
MAKER = "MAKER"
RULE = PixelRule(
    when=Condition(((0x00080070, parse_test(MAKER)),), MARK),
    blank=TOP.boxes,
    keep_regions=False,
    matches=({0x00080070: MAKER},),
    passes=({0x00080070: "OTHER"},),
    mark=MARK,
)
PROFILE = Profile(name="screened", mark=MARK, pixels=(RULE,))
PLAN = compile_plan(PROFILE)

PIXELS = """
    Pixels:
      - When: {Manufacturer: MAKER}
        Blank: ["4,2 100x14", "0,90 20x50"]
        Test: {Matches: {Manufacturer: MAKER}, Passes: {Manufacturer: OTHER}}
"""
"""The same rule as a profile writes it."""


def made_by(dataset, maker=MAKER):
    """The instance as of this maker, whose images the rule knows."""
    dataset.Manufacturer = maker
    return dataset


def written(dataset):
    """The instance as a Part 10 file."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()

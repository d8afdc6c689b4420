"""ShiftDays, ShiftSeconds and Descriptors: how far the options go."""

from __future__ import annotations

import pytest

from rules.language.schema import parse_profile
from rules.profile import Profile, WordLists


def profile(text: str) -> Profile:
    """The profile that a file makes."""
    return parse_profile(text, name="research", file="f")


@pytest.mark.parametrize(
    ("text", "days", "seconds"),
    [
        ("{}", (-3650, -1), (0, 0)),
        ("ShiftDays: [-10, 10]", (-10, 10), (0, 0)),
        ("ShiftDays: ['+5', 5]", (5, 5), (0, 0)),
        ("ShiftDays: [0, 36500]\nShiftSeconds: [-86399, 86399]", (0, 36500), (-86399, 86399)),
        ("ShiftSeconds: [0, 0]", (-3650, -1), (0, 0)),
    ],
)
def test_how_far_dates_move_can_be_said(text, days, seconds):
    """The least and the greatest offset, both included."""
    read = profile(text)

    assert (read.shift_days, read.shift_seconds) == (days, seconds)


def test_words_are_listed_for_free_text():
    """Those that stay and those that go."""
    read = profile("Options: [clean-descriptors]\nDescriptors: {Allow: [Hand], Deny: [Ulm, 007]}")

    assert read.descriptors == WordLists(("Hand",), ("Ulm", "007"))


@pytest.mark.parametrize("option", ["retain-safe-private", "retain-patient-characteristics"])
def test_lists_of_words_need_an_option_that_cleans_text(option):
    """Any that cleans will do, safe private attributes among them."""
    read = profile(f"Options: [{option}]\nDescriptors: {{Allow: [Hand]}}")

    assert read.descriptors.allow == ("Hand",)

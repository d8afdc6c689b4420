"""The fields beside the tags: how a job runs, and what the profile starts from."""

from __future__ import annotations

import pytest

from rules.requests import (
    JobOptions,
    Level,
    options,
    read_job_options,
    read_level,
    read_resources,
)
from tests.asked import fault


def test_a_job_is_synchronous_and_plain_unless_it_says_otherwise():
    """The defaults of Orthanc."""
    assert read_job_options({}, keep_source_default=True) == JobOptions()
    assert not read_job_options({}, keep_source_default=False).keep_source


def test_every_option_of_a_job_is_read():
    """User data may be anything."""
    body = {
        "Asynchronous": True,
        "Priority": -3,
        "Permissive": True,
        "KeepSource": False,
        "KeepLabels": True,
        "UserData": {"any": [1, None]},
    }

    found = read_job_options(body, keep_source_default=True)

    assert found == JobOptions(False, -3, True, False, True, {"any": [1, None]})  # noqa: FBT003


def test_synchronous_goes_before_asynchronous():
    """Where a body says both."""
    body = {"Synchronous": True, "Asynchronous": True}

    assert read_job_options(body, keep_source_default=True).synchronous


def test_a_level_is_one_of_four():
    """Spelled as Orthanc spells it."""
    assert read_level({"Level": "Series"}) is Level.SERIES
    assert read_level({}) is None
    assert fault(read_level, {"Level": "series"}).status == 3
    assert fault(read_level, {"Level": 2}).status == 15


def test_resources_are_a_list_of_texts():
    """Empty is a list too; nothing is none."""
    assert read_resources({"Resources": []}) == []
    for body in ({}, {"Resources": "x"}, {"Resources": [1]}):
        told = fault(read_resources, body)
        assert (told.status, told.details) == (15, "List of strings expected in field: Resources")


def test_a_transfer_syntax_is_one_of_the_standard():
    """The status is that of the route; other UIDs of the standard are none."""
    assert (
        options.transcode({"Transcode": "1.2.840.10008.1.2.4.70"}, 15) == "1.2.840.10008.1.2.4.70"
    )
    assert options.transcode({}, 15) is None
    for uid in ("1.2.3", "", "1.2.840.10008.5.1.4.1.1.2"):
        assert fault(options.transcode, {"Transcode": uid}, 3).status == 3
    assert fault(options.transcode, {"Transcode": 70}, 3).status == 15


def test_a_quality_is_from_1_to_100():
    """90 by default."""
    assert options.lossy_quality({}) == 90
    assert options.lossy_quality({"LossyQuality": 1}) == 1
    assert fault(options.lossy_quality, {"LossyQuality": 0}).status == 3
    assert fault(options.lossy_quality, {"LossyQuality": 101}).status == 3
    assert fault(options.lossy_quality, {"LossyQuality": "90"}).status == 15


def test_an_edition_is_one_that_is_there():
    """The newest by default."""
    assert options.edition({}) == "2026d"
    assert options.edition({"DicomVersion": "2017c"}) == "2017c"
    told = fault(options.edition, {"DicomVersion": "nope"})
    assert told.status == 3
    assert told.details.startswith("Unknown specific version of the DICOM standard")
    assert fault(options.edition, {"DicomVersion": 2023}).status == 15


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["retain-uid"], "did you mean retain-uids"),
        (["clean-recognizable-visual-features"], "leave this option out"),
        (
            ["retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"],
            "choose one",
        ),
        (["zzzzzzzz"], "there are"),
    ],
)
def test_options_are_those_of_the_standard(words, told):
    """With the nearest spelling, or why not."""
    found = fault(options.options, {"Options": words}, "2026d")

    assert found.status == 8
    assert told in found.details


def test_an_edition_without_options_takes_none():
    """The table of 2008 has no columns for them."""
    assert fault(options.options, {"Options": ["retain-uids"]}, "2008").status == 8


def test_a_scope_is_a_printable_name():
    """As in a profile."""
    assert options.consistent({"Consistent": "trial"}) == "trial"
    assert options.consistent({}) is None
    for name in ("", "x" * 65, "\n"):
        assert fault(options.consistent, {"Consistent": name}).status == 8

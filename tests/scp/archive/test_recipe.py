"""Recipes: another process makes of them the plan that the job made."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread

from rules.requests import RequestFault
from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRequest
from scp.archive.recipe import Recipe, modification_of
from tests import instances
from tests.scp.archive.archives import archive

NAMES = {"1.2.3": "2.25.7"}
REQUESTS = [
    JobRequest(JobKind.MODIFICATION, {}, ("a",), is_anonymization=True, patient_name="X^Y"),
    JobRequest(
        JobKind.MODIFICATION,
        {"Replace": {"StudyDescription": "other"}, "KeepPrivateTags": True},
        ("a",),
        is_anonymization=True,
        origin={"RemoteIP": "::7"},
    ),
    JobRequest(
        JobKind.MODIFICATION,
        {"Replace": {"PatientID": "new"}, "Remove": ["StationName"], "Force": True},
        ("a",),
        level=Level.PATIENT,
    ),
    JobRequest(
        JobKind.SPLIT, {"Series": ["b"], "Replace": {"PatientName": "Z"}}, ("a",), user_data=[1]
    ),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=range(len(REQUESTS)))
def test_a_recipe_that_has_travelled_makes_the_same_file(tmp_path, request_) -> None:
    """Byte for byte, and with the same words for the journal."""
    here = Recipe(request_, "job:1", NAMES, "2.25.99")
    there = Recipe.from_json(here.to_json())
    with archive(tmp_path / "data") as stored:
        stored.store(instances.small_ct())
        [one] = stored.instances()
        both = [
            b"".join(stored.modifier.rewrite(one, recipe.treatment())) for recipe in (here, there)
        ]

    assert both[0] == both[1]
    assert dcmread(BytesIO(both[0])).SOPInstanceUID != one.sop_instance_uid
    first, second = here.treatment(), there.treatment()
    assert (first.profile, first.remote_ip) == (second.profile, second.remote_ip)
    assert second.plan.renaming == NAMES


def test_a_recipe_shows_neither_names_nor_values() -> None:
    """Not even to a traceback."""
    shown = repr(Recipe(REQUESTS[0], "job:1", {"1.2.840.SECRET": "2.25.7"}))

    assert "SECRET" not in shown


@pytest.mark.parametrize(
    ("body", "of_bytes"), [({}, True), ({"Transcode": "1.2.840.10008.1.2.4.70"}, False)]
)
def test_a_recipe_says_whether_pixels_stay(body, of_bytes) -> None:
    """Encoding them anew is for the processes of codecs."""
    request = JobRequest(JobKind.MODIFICATION, body, (), is_anonymization=True)

    assert Recipe(request, "s", {}).is_of_bytes is of_bytes


def test_a_body_that_cannot_be_understood_is_refused() -> None:
    """As it was when the job was submitted."""
    with pytest.raises(RequestFault):
        modification_of(JobRequest(JobKind.MODIFICATION, {"Keep": 7}, (), is_anonymization=True))

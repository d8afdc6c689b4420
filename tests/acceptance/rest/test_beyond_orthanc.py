"""What docs/quirks.md promises beyond Orthanc, where it is not a matter of single attributes."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.rest.asking import packaged_file, packaged_files

pytestmark = pytest.mark.slow

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


@pytest.fixture
def stored(ours):
    """The CT and three studies of MR: what uploads were answered with."""
    ours.clear()
    paths = [packaged_file("CT_small.dcm"), *packaged_files("98892003")]
    return [ours.upload(path) for path in paths]


def studies(stored) -> list[str]:
    """Identifiers of the studies, the CT's first."""
    return list(dict.fromkeys(one["ParentStudy"] for one in stored))


def anonymized(ours, study: str, **body: object):
    """The first instance of what a study becomes."""
    answer = ours.line(
        f"curl http://localhost:8042/studies/{study}/anonymize -d '{json.dumps(body)}'"
    )
    assert answer.status == 200, answer
    return ours.datasets("studies", answer.json["ID"])[0]


def test_studies_of_a_patient_agree_across_requests(ours, stored):
    """With `Consistent`, and with it only."""
    first, second = studies(stored)[1:3]

    agreeing = [anonymized(ours, one, Consistent="trial") for one in (first, second)]
    alone = [anonymized(ours, one) for one in (first, second)]

    assert agreeing[0].PatientID == agreeing[1].PatientID
    assert agreeing[0].PatientName == agreeing[1].PatientName
    assert len({one.PatientID for one in (agreeing[0], *alone)}) == 3


def test_an_option_keeps_what_it_stands_for(ours, stored):
    """Dates as they were, and the code of the option beside the profile's."""
    study = studies(stored)[0]

    made = anonymized(ours, study, Options=["retain-longitudinal-full-dates"])

    assert made.StudyDate == "20040119"
    assert made.LongitudinalTemporalInformationModified == "UNMODIFIED"
    codes = {item.CodeValue for item in made.DeidentificationMethodCodeSequence}
    assert codes == {"113100", "113106"}


def test_a_merge_keeps_the_sequences_of_the_target(ours, stored):
    """Other Patient IDs of the CT in what joins its study."""
    target, source = studies(stored)[:2]
    (before,) = ours.datasets("studies", target)

    ours.post(f"/studies/{target}/merge", {"Resources": [source]})

    after = ours.datasets("studies", target)
    assert len(after) > 1
    assert {str(one.OtherPatientIDsSequence) for one in after} == {
        str(before.OtherPatientIDsSequence)
    }


@pytest.mark.parametrize("verb", ["split", "merge"])
def test_what_was_moved_says_where_it_came_from(ours, stored, verb):
    """ModifiedFrom of the series, after a split as after a merge."""
    target, source = studies(stored)[1:3]
    moved = ours.get(f"/studies/{source}")["Series"]
    path, body = f"/studies/{target}/merge", {"Resources": [source]}
    if verb == "split":
        path, body = f"/studies/{source}/split", {"Series": moved}

    study = ours.post(path, body)["TargetStudy"]

    found = [ours.get(f"/series/{one}") for one in ours.get(f"/studies/{study}")["Series"]]
    assert sorted(one.get("ModifiedFrom", "") for one in found if "ModifiedFrom" in one) == sorted(
        moved
    )


def test_permissive_leaves_what_failed_where_it_is(ours, stored):
    """A dose of 32 bits cannot become JPEG: it stays, although sources are to go."""
    dose = ours.upload(packaged_file("rtdose_1frame.dcm"))
    body = {
        "Resources": [stored[0]["ParentStudy"], dose["ParentStudy"]],
        "Transcode": JPEG_LOSSLESS,
        "Permissive": True,
        "KeepSource": False,
    }

    answer = ours.post("/tools/bulk-modify", body)

    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (2, 1)
    there = ours.get("/instances")
    assert dose["ID"] in there
    assert stored[0]["ID"] not in there
    assert len(there) == len(stored) + 1


def test_a_job_that_fails_changes_nothing(ours, stored):
    """The same without Permissive."""
    dose = ours.upload(packaged_file("rtdose_1frame.dcm"))
    before = sorted(ours.get("/instances"))
    body = {
        "Resources": [stored[0]["ParentStudy"], dose["ParentStudy"]],
        "Transcode": JPEG_LOSSLESS,
        "KeepSource": False,
    }

    answer = ours.ask("POST", "/tools/bulk-modify", body)

    assert answer.status == 400
    assert sorted(ours.get("/instances")) == before

"""Many requests about one study at once: each makes all of its own, and nobody loses anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.rest.asking import packaged_files

REQUESTS = 40
INSTANCES = 50


def study_of_fifty(ours) -> str:
    """A real study of fifty instances in one series."""
    stored = [ours.upload(path) for path in packaged_files("TINY_ALPHA")]
    assert len({one["ID"] for one in stored}) == INSTANCES
    (study,) = {one["ParentStudy"] for one in stored}
    return study


@pytest.mark.slow
def test_forty_anonymizations_at_once_make_forty_studies(ours, node):
    """Exactly the expected patients, studies, series and instances; every file can be read."""
    study = study_of_fifty(ours)

    with ThreadPoolExecutor(REQUESTS) as pool:
        asked = [
            pool.submit(
                ours.line, f"curl http://localhost:8042/studies/{study}/anonymize -d '{{}}'"
            )
            for _ in range(REQUESTS)
        ]
        made = [one.result() for one in asked]

    assert {one.status for one in made} == {200}
    studies = [one.json["ID"] for one in made]
    assert {one.json["InstancesCount"] for one in made} == {INSTANCES}
    assert len(set(studies)) == REQUESTS
    counted = ours.get("/statistics")
    assert counted["CountPatients"] == counted["CountStudies"] == REQUESTS + 1
    assert counted["CountSeries"] == REQUESTS + 1
    assert counted["CountInstances"] == INSTANCES * (REQUESTS + 1)
    for one in studies:
        assert ours.get(f"/studies/{one}/statistics")["CountInstances"] == INSTANCES
    names = {ours.get(f"/studies/{one}")["PatientMainDicomTags"]["PatientName"] for one in studies}
    assert len(names) == REQUESTS
    found = ours.datasets("studies", studies[-1])
    assert len({one.SOPInstanceUID for one in found}) == INSTANCES
    assert len({one.StudyInstanceUID for one in found}) == 1
    files = [path for path in node.data.rglob("*.dcm") if path.stat().st_size]
    assert len(files) == INSTANCES * (REQUESTS + 1)


@pytest.mark.slow
def test_deletions_and_modifications_at_once_agree_in_the_end(ours):
    """Of twenty that take their source away, each that says so has moved all of it, once."""
    ours.clear()
    study = study_of_fifty(ours)
    body = '{"KeepSource":false,"Replace":{"StudyDescription":"x"}}'

    with ThreadPoolExecutor(20) as pool:
        line = f"curl http://localhost:8042/studies/{study}/modify -d '{body}'"
        answers = list(pool.map(ours.line, [line] * 20))
    statuses = [one.status for one in answers]

    assert 200 in statuses
    assert set(statuses) <= {200, 404, 409}, {one.body for one in answers}
    assert ours.get("/statistics")["CountInstances"] == INSTANCES * statuses.count(200)
    assert study not in ours.get("/studies")

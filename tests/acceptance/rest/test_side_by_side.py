"""The same requests to a node of ours and to Debian's Orthanc, compared attribute by attribute.

Whatever differs is one of the improvements that docs/quirks.md promises, and nothing else does.
"""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.acceptance.rest.asking import packaged_file, packaged_files
from tests.acceptance.rest.bodies import FILES, REQUESTS, Asked, nested_instance
from tests.acceptance.rest.differing import Renaming, differences
from tests.acceptance.rest.improvements import IMPROVEMENTS, improvement

QUIRKS = Path(__file__).parents[3] / "docs" / "quirks.md"
HEADING = "## Better than Orthanc, on purpose"
PARENTS = {"series": "ParentSeries", "studies": "ParentStudy", "patients": "ParentPatient"}


def source(name: str, folder: Path) -> Path:
    """One of the ten files."""
    if name != "nested.dcm":
        return packaged_file(name)
    path = folder / name
    path.write_bytes(nested_instance())
    return path


def result(server, path, asked):
    """What becomes of a file, alone on a server."""
    server.clear()
    stored = server.upload(path)
    id_ = stored[PARENTS.get(asked.level, "ID")]
    answer = server.ask("POST", f"/{asked.level}/{id_}/{asked.verb}", asked.body)
    assert answer.status == 200, (asked, answer)
    if asked.level == "instances":
        return dcmread(BytesIO(answer.body))
    (dataset,) = server.datasets(asked.level, answer.json["ID"])
    return dataset


def section() -> str:
    """What docs/quirks.md says under the heading."""
    return QUIRKS.read_text("utf-8").partition(HEADING)[2].partition("\n## ")[0]


@pytest.mark.parametrize("title", [one.title for one in IMPROVEMENTS])
def test_an_improvement_is_written_down(title):
    """With a row of its own."""
    assert f"| {title} |" in section()


@pytest.mark.slow
def test_results_differ_from_orthancs_by_the_improvements_only(ours, theirs, tmp_path):
    """Thirty bodies and more over ten files."""
    seen: Counter[str] = Counter()
    unexplained = []

    for name in FILES:
        path = source(name, tmp_path)
        before = dcmread(path)
        for asked in REQUESTS:
            pair = (result(server, path, asked) for server in (ours, theirs))
            for one in differences(before, *pair):
                title = improvement(one, asked)
                seen[title] += 1
                if not title:
                    unexplained.append(f"{name}, {asked.name}: {one}")

    print(f"{len(FILES) * len(REQUESTS)} pairs, {sum(seen.values())} differences: {seen}")
    assert not unexplained, "\n".join(unexplained)
    assert {one.title for one in IMPROVEMENTS} == seen.keys()


TOGETHER = (
    Asked("patients", "patients", "anonymize", {"DicomVersion": "2021b"}),
    Asked("bulk", "tools", "anonymize", {"DicomVersion": "2021b"}),
    Asked("a name", "patients", "modify", {"Replace": {"PatientID": "Hello"}, "Force": True}),
    Asked("a level", "tools", "modify", {"Level": "Study", "Replace": {"StudyID": "7"}}),
    Asked("no level", "tools", "modify", {"Replace": {"InstitutionName": "x"}}),
)


def results(server, asked):
    """Sources and results of a request about a patient's studies, by the source's identifier."""
    server.clear()
    for path in packaged_files("98892003"):
        server.upload(path)
    before = server.get("/instances")
    (patient,) = server.get("/patients")
    path, body = f"/patients/{patient}/{asked.verb}", asked.body
    if asked.level == "tools":
        studies = sorted(server.get("/studies"))[:2]
        path, body = f"/tools/bulk-{asked.verb}", {"Resources": studies, **asked.body}
    server.post(path, body)
    link = "AnonymizedFrom" if asked.verb == "anonymize" else "ModifiedFrom"
    made = [one for one in server.get("/instances") if one not in before]
    linked = {
        server.ask("GET", f"/instances/{one}/metadata/{link}").body.decode(): one for one in made
    }
    return {
        source: (server.dataset(source), server.dataset(one)) for source, one in linked.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("asked", TOGETHER, ids=lambda asked: asked.name)
def test_results_of_many_instances_agree_with_each_other(ours, theirs, asked):
    """Equal UIDs stay equal over studies and series, exactly where they do at Orthanc's."""
    left, right = (results(server, asked) for server in (ours, theirs))
    renaming = Renaming()

    assert left.keys() == right.keys()
    assert len(left) > 5
    found = [
        one
        for source in left
        for one in differences(left[source][0], left[source][1], right[source][1], renaming)
        if not improvement(one, asked)
    ]
    assert not found, "\n".join(map(str, found))
    assert len(set(renaming.theirs.values())) == len(renaming.theirs)

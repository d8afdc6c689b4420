"""Lists, details, relatives, labels, metadata and deletion, as Orthanc answers them."""

from __future__ import annotations

import pytest

from scp.archive.identifiers import identifier
from tests.instances import ROOT
from tests.scp.api.noding import api

UNKNOWN = "0" * 8 + "-" + "-".join(["0" * 8] * 4)
LEVELS = ("patients", "studies", "series", "instances")
PATIENT = identifier("P")
STUDY = identifier("P", f"{ROOT}.1")
SERIES = identifier("P", f"{ROOT}.1", f"{ROOT}.1.1")
INSTANCE = identifier("P", f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.1.1")
IDS = dict(zip(LEVELS, (PATIENT, STUDY, SERIES, INSTANCE), strict=True))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A patient of two studies, three series and four instances; nobody changes it."""
    with api(tmp_path_factory.mktemp("node")) as running:
        running.upload(instance=1)
        running.upload(instance=2)
        running.upload(series=2)
        running.upload(study=2)
        yield running


@pytest.fixture
def own(tmp_path):
    """A node that a test may change: two instances in two series of a study."""
    with api(tmp_path) as running:
        running.upload()
        running.upload(series=2)
        yield running


def test_a_level_is_a_list_of_identifiers(node):
    """In the order they came, from `since` on, at most `limit`."""
    assert node.get("/patients") == [PATIENT]
    assert len(node.get("/instances")) == 4
    assert node.get("/instances")[0] == INSTANCE
    assert node.get("/instances?since=1&limit=2") == node.get("/instances")[1:3]
    assert node.get("/instances?since=9&limit=2") == []


@pytest.mark.parametrize("level", LEVELS)
def test_an_expanded_list_says_of_each_what_its_address_says(node, level):
    """With one request instead of many."""
    expanded = node.get(f"/{level}?expand")

    assert expanded == [node.get(f"/{level}/{one}") for one in node.get(f"/{level}")]
    assert node.get(f"/{level}?expand=false") == node.get(f"/{level}")


def test_a_study_is_described_as_orthanc_describes_it(node):
    """All of it but the moment."""
    said = node.get(f"/studies/{STUDY}")

    assert len(said.pop("LastUpdate")) == 15
    assert said.pop("MainDicomTags")["StudyInstanceUID"] == f"{ROOT}.1"
    assert said == {
        "ID": STUDY,
        "IsStable": False,
        "Labels": [],
        "ParentPatient": PATIENT,
        "PatientMainDicomTags": node.get(f"/patients/{PATIENT}")["MainDicomTags"],
        "Series": [SERIES, identifier("P", f"{ROOT}.1", f"{ROOT}.1.2")],
        "Type": "Study",
    }


def test_an_instance_is_described_as_orthanc_describes_it(node):
    """Its size is that of its file."""
    said = node.get(f"/instances/{INSTANCE}")

    assert said["FileSize"] == len(node.ask("GET", f"/instances/{INSTANCE}/file").body)
    assert len(said["FileUuid"]) == 36
    assert said["IndexInSeries"] == 1
    assert said["MainDicomTags"]["SOPInstanceUID"] == f"{ROOT}.1.1.1"
    assert said["ParentSeries"] == SERIES
    assert said["Type"] == "Instance"


def test_a_series_is_described_as_orthanc_describes_it(node):
    """How many instances it should have nobody knows."""
    said = node.get(f"/series/{SERIES}")

    assert said["ExpectedNumberOfInstances"] is None
    assert said["Status"] == "Unknown"
    assert len(said["Instances"]) == 2
    assert said["ParentStudy"] == STUDY


def test_relatives_are_found_in_both_directions(node):
    """Whole, or by identifier."""
    assert [one["ID"] for one in node.get(f"/patients/{PATIENT}/studies")] == node.get("/studies")
    assert node.get(f"/patients/{PATIENT}/instances?expand=false") == node.get("/instances")
    assert len(node.get(f"/studies/{STUDY}/series")) == 2
    assert len(node.get(f"/studies/{STUDY}/instances")) == 3
    assert len(node.get(f"/series/{SERIES}/instances")) == 2
    assert node.get(f"/instances/{INSTANCE}/series")["ID"] == SERIES
    assert node.get(f"/instances/{INSTANCE}/study")["ID"] == STUDY
    assert node.get(f"/series/{SERIES}/patient")["ID"] == PATIENT


def test_statistics_count_what_is_below(node):
    """By level, in bytes and mebibytes."""
    said = node.get(f"/patients/{PATIENT}/statistics")
    counts = (said["CountStudies"], said["CountSeries"], said["CountInstances"])

    assert counts == (2, 3, 4)
    assert said["DiskSize"] == said["DicomDiskSize"]
    assert int(node.get(f"/instances/{INSTANCE}/statistics")["DiskSize"]) > 0
    assert "CountStudies" not in node.get(f"/studies/{STUDY}/statistics")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("rest", ["", "/statistics", "/labels", "/metadata", "/metadata/X"])
def test_an_identifier_that_is_unknown_or_of_another_level_is_not_found(node, level, rest):
    """404 without a body; an address means what it says."""
    others = [UNKNOWN, "x", "%00", *(id_ for of, id_ in IDS.items() if of != level)]
    told = [node.ask("GET", f"/{level}/{id_}{rest}") for id_ in others]

    assert {(one.status, one.body) for one in told} == {(404, b"")}


def test_labels_are_given_listed_and_taken_away(own):
    """At any level, each once."""
    base = f"/studies/{STUDY}/labels"
    assert [own.ask("PUT", f"{base}/{name}", b"").status for name in ("b", "a", "a")] == [200] * 3

    assert own.get(base) == ["a", "b"]
    assert own.get(f"/studies/{STUDY}")["Labels"] == ["a", "b"]
    assert own.get("/tools/labels") == ["a", "b"]
    assert own.ask("GET", f"{base}/a").status == 200

    assert own.ask("DELETE", f"{base}/a").status == 200
    assert own.ask("GET", f"{base}/a").status == 404
    assert own.ask("PUT", f"{base}/a%20b", b"").json["OrthancStatus"] == 3


def test_metadata_of_the_node_is_read_and_not_written(own):
    """What it says is true, whatever somebody would like."""
    names = own.get(f"/instances/{INSTANCE}/metadata")

    assert {"ReceptionDate", "TransferSyntax", "SopClassUid", "Origin"} <= set(names)
    assert own.ask("GET", f"/instances/{INSTANCE}/metadata/Origin").body == b"RestApi"
    base = f"/instances/{INSTANCE}/metadata"
    assert own.ask("PUT", f"{base}/Origin", b"x").status == 403
    assert own.ask("DELETE", f"{base}/ModifiedFrom").status == 403


def test_metadata_of_ones_own_is_written_read_and_removed(own):
    """Any text in UTF-8."""
    base = f"/series/{SERIES}/metadata"
    assert own.ask("PUT", f"{base}/Mine", "süß".encode()).status == 200

    assert own.ask("GET", f"{base}/Mine").body == "süß".encode()
    assert own.get(f"{base}?expand")["Mine"] == "süß"
    assert own.ask("PUT", f"{base}/Mine", b"\xff").json["OrthancStatus"] == 15
    assert own.ask("PUT", f"{base}/Mi%20ne", b"").json["OrthancStatus"] == 3

    assert own.ask("DELETE", f"{base}/Mine").status == 200
    assert own.ask("GET", f"{base}/Mine").status == 404
    assert own.ask("DELETE", f"{base}/Mine").status == 404


def test_what_is_deleted_is_gone_with_what_was_below_it(own, tmp_path):
    """And what is left above it is told."""
    told = own.ask("DELETE", f"/series/{SERIES}")

    assert told.json == {
        "RemainingAncestor": {"ID": STUDY, "Path": f"/studies/{STUDY}", "Type": "Study"}
    }
    assert own.ask("GET", f"/instances/{INSTANCE}").status == 404
    assert own.ask("DELETE", f"/patients/{PATIENT}").json == {"RemainingAncestor": None}
    assert own.ask("DELETE", f"/patients/{PATIENT}").status == 404
    assert own.get("/statistics")["CountInstances"] == 0
    assert not [
        one for one in (tmp_path / "data" / "instances").rglob("*.dcm") if one.stat().st_size
    ]


def test_a_list_of_resources_is_deleted_together(own):
    """Of any level; what is gone already is no mistake."""
    told = own.ask("POST", "/tools/bulk-delete", {"Resources": [INSTANCE, SERIES, UNKNOWN]})

    assert told.status == 200
    assert own.get("/series") == [identifier("P", f"{ROOT}.1", f"{ROOT}.1.2")]


@pytest.mark.parametrize("body", ["[]", "{}", '{"Resources": "x"}', '{"Resources": [1]}', ""])
def test_a_list_that_is_none_deletes_nothing(node, body):
    """Bad file format."""
    assert node.ask("POST", "/tools/bulk-delete", body).json["OrthancStatus"] == 15

"""Anonymize, modify, split and merge by their addresses: what is answered, and what is stored."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from pydicom import dcmread

from scp.archive.identifiers import identifier
from tests.instances import ROOT
from tests.scp.api.noding import api

PATIENT = identifier("P")
STUDY = identifier("P", f"{ROOT}.1")
SERIES = identifier("P", f"{ROOT}.1", f"{ROOT}.1.1")
INSTANCE = identifier("P", f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.1.1")
UNKNOWN = identifier("nobody")
PATHS = {"patients": PATIENT, "studies": STUDY, "series": SERIES}


@pytest.fixture
def node(tmp_path):
    """A study of two series, three instances."""
    with api(tmp_path) as running:
        running.upload()
        running.upload(instance=2)
        running.upload(series=2)
        yield running


def dataset(answer):
    """The DICOM file of an answer."""
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/dicom"
    return dcmread(BytesIO(answer.body))


def test_an_instance_is_answered_with_its_file_and_nothing_is_stored(node):
    """Anonymized or modified."""
    anonymized = dataset(node.ask("POST", f"/instances/{INSTANCE}/anonymize", {}))
    modified = dataset(
        node.ask("POST", f"/instances/{INSTANCE}/modify", {"Replace": {"PatientName": "Roe"}})
    )

    assert anonymized.PatientID != "P"
    assert anonymized.PatientName == "Anonymized1"
    assert anonymized.StudyInstanceUID != f"{ROOT}.1"
    assert modified.PatientName == "Roe"
    assert modified.PatientID == "P"
    assert modified.StudyInstanceUID == f"{ROOT}.1"
    assert modified.SOPInstanceUID != f"{ROOT}.1.1.1"
    assert len(node.get("/instances")) == 3


def test_two_requests_for_an_instance_get_different_uids(node):
    """Nobody can join them, unless `Consistent` asks for it."""
    asked = [
        dataset(node.ask("POST", f"/instances/{INSTANCE}/anonymize", body)).SOPInstanceUID
        for body in ({}, {}, {"Consistent": "a"}, {"Consistent": "a"})
    ]

    assert asked[0] != asked[1]
    assert asked[2] == asked[3]


@pytest.mark.parametrize("level", PATHS)
def test_a_resource_is_answered_with_the_new_one(node, level):
    """And the source stays."""
    made = node.post(f"/{level}/{PATHS[level]}/anonymize", {})

    assert made["Type"].lower() in level.replace("studies", "study")
    assert made["Path"] == f"/{level}/{made['ID']}"
    assert made["IsAnonymization"] is True
    assert made["FailedInstancesCount"] == 0
    assert made["InstancesCount"] == (2 if level == "series" else 3)
    assert made["PatientID"] in node.get("/patients")
    assert made["ParentResources"] == [PATHS[level]]
    assert node.get(made["Path"])["AnonymizedFrom"] == PATHS[level]
    assert len(node.get("/patients")) == 2


def test_the_source_goes_where_that_is_asked_for(node):
    """All in one step."""
    made = node.post(
        f"/studies/{STUDY}/modify", {"Replace": {"StudyDescription": "X"}, "KeepSource": False}
    )

    assert node.get("/studies") == [made["ID"]]
    assert node.get(made["Path"])["MainDicomTags"]["StudyDescription"] == "X"
    assert len(node.get("/instances")) == 3


def test_a_request_that_does_not_wait_is_answered_with_its_job(node):
    """Whose content is what the other answer would have been."""
    told = node.post(f"/studies/{STUDY}/anonymize", {"Asynchronous": True, "UserData": {"a": 1}})
    assert told["Path"] == f"/jobs/{told['ID']}"

    node.node._rest._jobs.wait(told["ID"], 20)

    job = node.get(told["Path"])
    assert (job["State"], job["Progress"], job["ErrorCode"]) == ("Success", 100, 0)
    assert job["Type"] == "ResourceModification"
    assert job["UserData"] == {"a": 1}
    assert job["Content"]["ID"] in node.get("/studies")
    assert {"CompletionTime", "CreationTime", "Timestamp", "EffectiveRuntime"} <= job.keys()


def test_resources_of_any_level_are_changed_together(node):
    """And everything that came of it is listed."""
    made = node.post("/tools/bulk-anonymize", {"Resources": [SERIES, INSTANCE]})
    changed = node.post(
        "/tools/bulk-modify",
        {"Resources": [STUDY], "Level": "Study", "Replace": {"StudyDescription": "X"}},
    )

    assert [one["Type"] for one in made["Resources"]].count("Instance") == 2
    assert [one["Type"] for one in changed["Resources"]].count("Study") == 1
    assert "ID" not in made


def test_a_study_is_split_and_merged_again(node):
    """What was moved is gone where it was."""
    other = identifier("P", f"{ROOT}.1", f"{ROOT}.1.2")

    split = node.post(
        f"/studies/{STUDY}/split", {"Series": [other], "Replace": {"PatientID": "Q"}}
    )
    assert node.get(f"/studies/{split['TargetStudy']}")["ParentPatient"] == identifier("Q")
    assert split["TargetStudyUID"].startswith("2.25.")
    assert len(node.get(f"/studies/{STUDY}")["Series"]) == 1

    merged = node.post(f"/studies/{STUDY}/merge", {"Resources": [split["TargetStudy"]]})
    assert merged["TargetStudy"] == STUDY
    assert len(node.get(f"/studies/{STUDY}")["Series"]) == 2
    assert node.get("/studies") == [STUDY]


@pytest.mark.parametrize("verb", ["anonymize", "modify"])
@pytest.mark.parametrize("level", ["patients", "studies", "series", "instances"])
def test_an_identifier_that_is_unknown_or_of_another_level_is_404_with_a_body(shared, level, verb):
    """The level of an address counts."""
    for id_ in {UNKNOWN, PATIENT, STUDY, SERIES, INSTANCE} - {
        (PATHS | {"instances": INSTANCE})[level]
    }:
        told = shared.ask("POST", f"/{level}/{id_}/{verb}", {})
        assert (told.status, told.json["OrthancStatus"]) == (404, 17)
        assert told.json["Method"] == "POST"


@pytest.mark.parametrize("verb", ["split", "merge"])
def test_an_unknown_study_is_404_with_a_body(shared, verb):
    """As above."""
    told = shared.ask("POST", f"/studies/{UNKNOWN}/{verb}", {"Resources": [], "Series": [SERIES]})

    assert (told.status, told.json["OrthancStatus"]) == (404, 17)


@pytest.mark.parametrize(
    "path",
    [
        *(
            f"/{level}/{id_}/{verb}"
            for level, id_ in PATHS.items()
            for verb in ("anonymize", "modify")
        ),
        *(f"/instances/{INSTANCE}/{verb}" for verb in ("anonymize", "modify")),
        *(f"/studies/{STUDY}/{verb}" for verb in ("split", "merge")),
        *("/tools/bulk-anonymize", "/tools/bulk-modify"),
    ],
)
@pytest.mark.parametrize("body", ["", "[]", "1", "{", '"x"', "null"])
def test_a_body_that_is_no_object_is_a_bad_file(shared, path, body):
    """At every address."""
    told = shared.ask("POST", path, body)

    assert (told.status, told.json["OrthancStatus"]) == (400, 15)
    assert told.json["Message"] == "Bad file format"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A node that refuses everything, thus stays as it is."""
    with api(tmp_path_factory.mktemp("node")) as running:
        running.upload()
        yield running


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"Replace": []}, 8),
        ({"Replace": {"PatientNme": "x"}}, 27),
        ({"Replace": {"PatientName": 1}}, 5),
        ({"Replace": {"StudyInstanceUID": "1.2"}}, 8),
        ({"Force": 1}, 15),
        ({"KeepSource": "no"}, 15),
        ({"Synchronous": "no"}, 15),
    ],
)
def test_a_field_that_is_wrong_is_refused_by_its_number(shared, body, number):
    """400, and nothing is made of it."""
    told = shared.ask("POST", f"/studies/{STUDY}/anonymize", body)

    assert (told.status, told.json["OrthancStatus"]) == (400, number)
    assert told.json["Details"]
    assert len(shared.get("/studies")) == 1


def test_get_is_no_method_of_these(shared):
    """405 with Allow."""
    told = shared.ask("GET", f"/studies/{STUDY}/anonymize")

    assert (told.status, told.headers["allow"], told.body) == (405, "POST", b"")


def test_results_say_where_the_request_came_from(node):
    """Metadata of each new instance."""
    made = node.post(f"/series/{SERIES}/anonymize", {})

    (first, _) = node.get(f"{made['Path']}/instances?expand=false")
    metadata = json.loads(node.ask("GET", f"/instances/{first}/metadata?expand").body)
    assert metadata["Origin"] == "RestApi"
    assert metadata["RemoteIP"] == "127.0.0.1"

"""Resources by what they say."""

from __future__ import annotations

import pytest

from scp.api import find
from scp.api.errors import Fault
from scp.archive.identifiers import Level, identifier
from tests.encoded import EXPLICIT
from tests.instances import ROOT, file, text
from tests.scp.api.archiving import archive, patient

FAULTS = {
    "no object": ([], 8),
    "no level": ({"Query": {}}, 8),
    "no query": ({"Level": "Study"}, 8),
    "unknown level": ({"Level": "Nope", "Query": {}}, 3),
    "pattern that is no text": ({"Level": "Study", "Query": {"PatientName": 5}}, 8),
    "misspelt tag": ({"Level": "Study", "Query": {"PatientNam": "*"}}, 27),
    "negative limit": ({"Level": "Study", "Query": {}, "Limit": -1}, 3),
    "endless limit": ({"Level": "Study", "Query": {}, "Limit": 10**30}, 3),
    "endless since": ({"Level": "Study", "Query": {}, "Since": 10**30}, 3),
    "limit that is no number": ({"Level": "Study", "Query": {}, "Limit": "5"}, 8),
    "expand that is no switch": ({"Level": "Study", "Query": {}, "Expand": "yes"}, 8),
    "labels that are no list": ({"Level": "Study", "Query": {}, "Labels": "a"}, 8),
    "unknown constraint": ({"Level": "Study", "Query": {}, "LabelsConstraint": "Some"}, 8),
    "endless pattern": ({"Level": "Study", "Query": {"PatientName": "*" * 5000}}, 8),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Three patients, the second of another study date and modality."""
    with archive(tmp_path_factory.mktemp("node")) as running:
        running.upload(patient(1))
        mr = [text(0x00080060, "CS", "MR"), text(0x00080020, "DA", "20210505")]
        running.upload(patient(2, extra=mr))
        second_series = [
            text(0x00080018, "UI", f"{ROOT}.2.1.2.1"),
            text(0x0020000E, "UI", f"{ROOT}.2.1.2"),
            text(0x00080060, "CS", "SR"),
        ]
        running.upload(patient(2, instance=2, extra=second_series))
        running.upload(patient(3, extra=[text(0x00101000, "LO", "OLD-3")]))
        yield running


def study(number: int) -> str:
    """Identifier of the study of a patient."""
    return identifier(f"PAT-{number}", f"{ROOT}.{number}.1")


def found(node, query: dict[str, str], level: str = "Study", **more: object) -> list[object]:
    """What a query finds."""
    return node.ask("POST", "/tools/find", {"Level": level, "Query": query, **more})


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [1, 2, 3]),
        ({"PatientName": "*"}, [1, 2, 3]),
        ({"PatientName": ""}, [1, 2, 3]),
        ({"PatientName": "doe^jane2"}, [2]),
        ({"PatientName": "DOE*"}, [1, 2, 3]),
        ({"PatientName": "*jane?"}, [1, 2, 3]),
        ({"PatientName": "jane*"}, []),
        ({"PatientID": "PAT-1\\PAT-3"}, [1, 3]),
        ({"0010,0020": "PAT-3"}, [3]),
        ({"StudyDate": "20210101-20211231"}, [2]),
        ({"StudyDate": "-20201231"}, [1, 3]),
        ({"StudyDate": "20210505-"}, [2]),
        ({"StudyDate": "20210505"}, [2]),
        ({"StudyInstanceUID": f"{ROOT}.1.1"}, [1]),
        ({"ModalitiesInStudy": "SR"}, [2]),
        ({"ModalitiesInStudy": "CT\\SR"}, [1, 2, 3]),
        ({"OtherPatientIDs": "OLD*"}, [3]),
        ({"PatientName": "Doe*", "StudyDate": "2021*", "StationName": ""}, [2]),
    ],
)
def test_a_query_finds_what_fits_it(node, query, numbers):
    """Names, tags, wildcards, ranges, lists, and what only the instances say."""
    assert found(node, query) == [study(number) for number in numbers]


def test_case_counts_if_it_is_asked_for(node):
    """It does not otherwise."""
    assert found(node, {"PatientName": "doe*"}, CaseSensitive=True) == []


@pytest.mark.parametrize(("level", "count"), [("Patient", 3), ("Series", 4), ("Instance", 4)])
def test_every_level_can_be_asked_for(node, level, count):
    """What is above counts as its own."""
    assert len(found(node, {"PatientName": "Doe*"}, level)) == count


def test_limit_and_since_cut_the_list(node):
    """In the order in which the resources came."""
    assert found(node, {}, Limit=1) == [study(1)]
    assert found(node, {}, Since=1, Limit=1) == [study(2)]
    assert found(node, {}, Since=5) == []


def test_expand_gives_what_is_said_of_each(node):
    """As `?expand` does; requested tags beside it."""
    [line] = found(
        node,
        {"PatientID": "PAT-2"},
        Expand=True,
        RequestedTags=["PatientName", "ModalitiesInStudy", "Rows", "NumberOfStudyRelatedSeries"],
    )

    assert (line["ID"], line["Type"]) == (study(2), "Study")
    assert line["MainDicomTags"]["StudyDate"] == "20210505"
    assert line["RequestedTags"] == {
        "PatientName": "Doe^Jane2",
        "ModalitiesInStudy": "MR\\SR",
        "Rows": "8",
        "NumberOfStudyRelatedSeries": "2",
    }


def test_labels_narrow_the_list(node):
    """All of them, any, or none."""
    catalogue = node.services.catalogue
    catalogue.set_label(study(1), "a")
    catalogue.set_label(study(1), "b")
    catalogue.set_label(study(2), "b")

    assert found(node, {}, Labels=["a", "b"]) == [study(1)]
    assert found(node, {}, Labels=["a", "b"], LabelsConstraint="Any") == [study(1), study(2)]
    assert found(node, {}, Labels=["a", "b"], LabelsConstraint="None") == [study(3)]


def test_a_parent_narrows_the_list(node):
    """To what is below it."""
    parent = identifier("PAT-2")

    assert len(found(node, {}, "Series", ParentPatient=parent)) == 2
    fault = node.fault(
        "POST", "/tools/find", {"Level": "Series", "Query": {}, "ParentPatient": "nope"}
    )
    assert fault["HttpStatus"] == 404


@pytest.mark.parametrize("case", FAULTS)
def test_a_query_that_is_none_is_a_fault(node, case):
    """400, with Orthanc's number."""
    body, number = FAULTS[case]
    fault = node.fault("POST", "/tools/find", body)

    assert (fault["HttpStatus"], fault["OrthancStatus"]) == (400, number)


def test_lookup_finds_resources_by_their_identifiers(node):
    """PatientID, UIDs and accession numbers, as the body is."""
    [line] = node.ask("POST", "/tools/lookup", b"PAT-1")
    id_ = identifier("PAT-1")

    assert line == {"ID": id_, "Path": f"/patients/{id_}", "Type": "Patient"}
    assert [line["Type"] for line in node.ask("POST", "/tools/lookup", f"{ROOT}.1.1")] == ["Study"]
    assert node.ask("POST", "/tools/lookup", b"\xff\xfe nobody") == []


def test_requested_tags_of_several_resources(node):
    """By identifier and keyword; what a resource has not is left out."""
    resources = node.services.catalogue.listing(Level.STUDY)
    values = find.requested_tags(node.services, resources, ["0010,0020", "OtherPatientIDs"])

    assert values[study(1)] == {"PatientID": "PAT-1"}
    assert values[study(3)] == {"PatientID": "PAT-3", "OtherPatientIDs": "OLD-3"}


def test_a_requested_tag_that_is_none_is_a_fault(node):
    """Before anything is read."""
    with pytest.raises(Fault, match="PatientName"):
        find.requested_tags(node.services, [], ["PatientNam"])


def test_an_instance_that_comes_later_is_found(node):
    """The list follows what is stored."""
    node.ask("POST", "/instances", file(patient(9, patient_id="LATE"), EXPLICIT))

    assert len(found(node, {"PatientID": "LATE"})) == 1

"""Every line of Orthanc's page on anonymization and modification, sent by the real curl.

The identifiers of the page stand for resources of its author; they are filled in here.
"""

from __future__ import annotations

import base64
import json

import pytest
from pydicom import dcmread

from tests.acceptance.rest.asking import packaged_file, packaged_files

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
HELLO = "f7ff9e8b-7bb2e09b-70935a5d-785e0cc5-d9d0abf0"
JOB_KEYS = {
    *("Description", "FailedInstancesCount", "ID", "InstancesCount", "IsAnonymization"),
    *("ParentResources", "Path", "PatientID", "Resources", "Type"),
}
BULK_KEYS = JOB_KEYS - {"ID", "Path", "PatientID", "Type"}
MOVE_KEYS = {"Description", "FailedInstancesCount", "InstancesCount", "TargetStudy"}
IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@pytest.fixture
def ct(ours):
    """What the upload of pydicom's CT is answered with, on an archive that has nothing else."""
    ours.clear()
    return ours.upload(packaged_file("CT_small.dcm"))


@pytest.fixture
def mr(ours):
    """The identifiers of the studies of a patient with three of MR, each of several series."""
    ours.clear()
    uploaded = [ours.upload(path) for path in packaged_files("98892003")]
    return list(dict.fromkeys(one["ParentStudy"] for one in uploaded))


def original():
    """The CT as pydicom ships it."""
    return dcmread(packaged_file("CT_small.dcm"))


def sent(ours, path: str, body: str, *, to: str = ""):
    """A line as the page writes it."""
    target = f" > {to}" if to else ""
    return ours.line(f"curl http://localhost:8042{path} -X POST -d '{body}'{target}")


def downloaded(ours, name: str):
    """What a line has written to a file."""
    return dcmread(ours.folder / name)


def same(first, second, *names: str) -> bool:
    """Whether two datasets agree in attributes."""
    return all(first.get(name) == second.get(name) for name in names)


def is_jpeg_lossless(dataset) -> bool:
    """Whether it says so and its values of pixels are those of the original."""
    return dataset.file_meta.TransferSyntaxUID == JPEG_LOSSLESS and bool(
        (dataset.pixel_array == original().pixel_array).all()
    )


# ---- single instances


def test_an_instance_is_anonymized_into_a_file(ours, ct):
    """The page's first line: the basic profile, and nothing is stored."""
    answer = sent(ours, f"/instances/{ct['ID']}/anonymize", "{}", to="Anonymized.dcm")
    made = downloaded(ours, "Anonymized.dcm")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/dicom")
    assert not any(same(made, original(), name) for name in (*IDENTIFIERS, "PatientName"))
    assert made.PatientIdentityRemoved == "YES"
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert "InstitutionName" not in made
    assert not any(element.tag.is_private for element in made)
    assert ours.get("/instances") == [ct["ID"]]


def test_an_instance_is_anonymized_as_a_body_says(ours, ct):
    """Replace by name and by hexadecimal, Keep, KeepPrivateTags and DicomVersion."""
    body = (
        '{"Replace":{"PatientName":"Hello","0010-1001":"World"},'
        '"Keep":["StudyDescription", "SeriesDescription"],'
        '"KeepPrivateTags": true, "DicomVersion" : "2017c"}'
    )

    answer = sent(ours, f"/instances/{ct['ID']}/anonymize", body, to="Anonymized.dcm")
    made = downloaded(ours, "Anonymized.dcm")

    assert answer.status == 200
    assert made.PatientName == "Hello"
    assert made.OtherPatientNames == "World"
    assert same(made, original(), "StudyDescription", "SeriesDescription")
    assert made[0x00091027] == original()[0x00091027]
    assert made[0x00090010] == original()[0x00090010]


def test_an_instance_is_modified_into_a_file(ours, ct):
    """Replace, Remove, RemovePrivateTags, Force and Transcode."""
    body = (
        '{"Replace":{"PatientName":"hello","PatientID":"world"},"Remove":["InstitutionName"],'
        f'"RemovePrivateTags": true, "Force": true, "Transcode": "{JPEG_LOSSLESS}"}}'
    )

    answer = sent(ours, f"/instances/{ct['ID']}/modify", body, to="Modified.dcm")
    made = downloaded(ours, "Modified.dcm")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/dicom")
    assert (made.PatientName, made.PatientID) == ("hello", "world")
    assert "InstitutionName" not in made
    assert not any(element.tag.is_private for element in made)
    assert is_jpeg_lossless(made)
    assert ours.get("/instances") == [ct["ID"]]


def test_a_sequence_is_replaced_by_a_list_of_maps(ours, ct):
    """Items within items, too."""
    body = (
        '{"Replace":{"ReferencedStudySequence":[{"ReferencedSOPClassUID":'
        '"1.2.840.10008.3.1.2.3.1","ReferencedSOPInstanceUID":"1.2.3",'
        '"PurposeOfReferenceCodeSequence":[{"CodeValue":"A","CodingSchemeDesignator":"B",'
        '"CodeMeaning":"C"}]}]}}'
    )

    answer = sent(ours, f"/instances/{ct['ID']}/modify", body, to="Modified.dcm")
    (item,) = downloaded(ours, "Modified.dcm").ReferencedStudySequence

    assert answer.status == 200
    assert item.ReferencedSOPInstanceUID == "1.2.3"
    assert item.PurposeOfReferenceCodeSequence[0].CodeMeaning == "C"


def test_a_value_is_given_in_base64(ours, ct):
    """As a data URI of bytes."""
    encoded = base64.b64encode(b"Hello^World").decode()
    body = json.dumps(
        {"Replace": {"PatientName": f"data:application/octet-stream;base64,{encoded}"}}
    )

    answer = sent(ours, f"/instances/{ct['ID']}/modify", body, to="Modified.dcm")

    assert answer.status == 200
    assert downloaded(ours, "Modified.dcm").PatientName == "Hello^World"


def test_a_path_reaches_into_items(ours, ct):
    """As dcmodify writes them: one item by number, and every item."""
    body = (
        '{"Replace":{"OtherPatientIDsSequence[0].PatientID":"Nested"},'
        '"Remove":["OtherPatientIDsSequence[*].TypeOfPatientID"]}'
    )

    answer = sent(ours, f"/instances/{ct['ID']}/modify", body, to="Modified.dcm")
    items = downloaded(ours, "Modified.dcm").OtherPatientIDsSequence

    assert answer.status == 200
    assert items[0].PatientID == "Nested"
    assert not any("TypeOfPatientID" in item for item in items)


# ---- series, studies, patients


def test_a_series_is_modified(ours, ct):
    """A new series in the same study; the source stays."""
    answer = sent(
        ours, f"/series/{ct['ParentSeries']}/modify", '{"Replace":{"InstitutionName":"hello"}}'
    )
    made = answer.json
    (dataset,) = ours.datasets("series", made["ID"])

    assert answer.status == 200
    assert set(made) == JOB_KEYS
    assert (made["Type"], made["Path"]) == ("Series", f"/series/{made['ID']}")
    assert made["IsAnonymization"] is False
    assert made["ParentResources"] == [ct["ParentSeries"]]
    assert made["PatientID"] == ct["ParentPatient"]
    assert dataset.InstitutionName == "hello"
    assert same(dataset, original(), "PatientID", "StudyInstanceUID", "PatientName")
    assert not same(dataset, original(), "SeriesInstanceUID")
    assert ours.get("/studies") == [ct["ParentStudy"]]
    assert ours.get(f"/series/{made['ID']}")["ModifiedFrom"] == ct["ParentSeries"]
    assert len(ours.get("/series")) == 2


def test_a_study_is_modified_and_its_source_goes(ours, ct):
    """With KeepSource false."""
    body = '{"Replace":{"InstitutionName":"hello"},"KeepSource":false}'

    answer = sent(ours, f"/studies/{ct['ParentStudy']}/modify", body)
    made = answer.json
    (dataset,) = ours.datasets("studies", made["ID"])

    assert answer.status == 200
    assert set(made) == JOB_KEYS
    assert made["Type"] == "Study"
    assert dataset.InstitutionName == "hello"
    assert not same(dataset, original(), "StudyInstanceUID")
    assert ours.get("/studies") == [made["ID"]]
    assert ours.get("/patients") == [ct["ParentPatient"]]


def test_a_study_keeps_its_uids_if_told_to(ours, ct):
    """Keep of the three UIDs with Force, and another patient."""
    body = (
        '{"Replace":{"PatientID":"Other"},"Keep":["StudyInstanceUID","SeriesInstanceUID",'
        '"SOPInstanceUID"],"Force":true,"KeepSource":false}'
    )

    made = sent(ours, f"/studies/{ct['ParentStudy']}/modify", body).json
    (dataset,) = ours.datasets("studies", made["ID"])

    assert same(dataset, original(), "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    assert dataset.PatientID == "Other"


def test_a_patient_is_modified(ours, ct):
    """Its identifier is the one that the page shows."""
    body = '{"Replace":{"PatientID":"Hello","PatientName":"Sample patient name"},"Force":true}'

    answer = sent(ours, f"/patients/{ct['ParentPatient']}/modify", body)
    (dataset,) = ours.datasets("patients", HELLO)

    assert answer.status == 200
    assert set(answer.json) == JOB_KEYS
    assert answer.json["ID"] == answer.json["PatientID"] == HELLO
    assert answer.json["Path"] == f"/patients/{HELLO}"
    assert answer.json["Type"] == "Patient"
    assert dataset.PatientName == "Sample patient name"
    assert not any(same(dataset, original(), name) for name in IDENTIFIERS)


def test_a_patient_without_a_new_patient_id_is_not_modified(ours, ct):
    """As the page says."""
    body = '{"Replace":{"PatientName":"Sample patient name"}}'

    answer = sent(ours, f"/patients/{ct['ParentPatient']}/modify", body)

    assert answer.status == 400
    assert ours.get("/patients") == [ct["ParentPatient"]]


@pytest.mark.parametrize(
    ("level", "parent"),
    [("patients", "ParentPatient"), ("studies", "ParentStudy"), ("series", "ParentSeries")],
)
def test_what_is_anonymized_is_new_at_every_level(ours, ct, level, parent):
    """The three lines of the page."""
    answer = sent(ours, f"/{level}/{ct[parent]}/anonymize", "{}")
    made = answer.json
    (dataset,) = ours.datasets(level, made["ID"])

    assert answer.status == 200
    assert set(made) == JOB_KEYS
    assert made["IsAnonymization"] is True
    assert made["Path"] == f"/{level}/{made['ID']}"
    assert not any(same(dataset, original(), name) for name in (*IDENTIFIERS, "PatientName"))
    assert ours.get(made["Path"])["AnonymizedFrom"] == ct[parent]
    assert [len(ours.get(f"/{one}")) for one in ("patients", "studies", "series")] == [2, 2, 2]


def test_the_studies_of_an_anonymized_patient_stay_together(ours, mr):
    """Equal UIDs before, equal UIDs after, in one job."""
    (patient,) = ours.get("/patients")
    before = ours.datasets("patients", patient)

    made = sent(ours, f"/patients/{patient}/anonymize", "{}").json
    after = ours.datasets("patients", made["ID"])

    for name in IDENTIFIERS:
        assert len({one[name].value for one in after}) == len({one[name].value for one in before})
    assert len(mr) == len({one.StudyInstanceUID for one in after})
    assert not {one.SOPInstanceUID for one in after} & {one.SOPInstanceUID for one in before}


# ---- bulk


def test_resources_of_several_levels_are_anonymized_together(ours, mr):
    """The answer lists what was made, instances first."""
    series = ours.get(f"/studies/{mr[1]}")["Series"][0]
    body = json.dumps({"Resources": [mr[0], series]})

    answer = sent(ours, "/tools/bulk-anonymize", body)
    made = answer.json

    assert answer.status == 200
    assert set(made) == BULK_KEYS
    assert made["ParentResources"] == [mr[0], series]
    found = [one["Type"] for one in made["Resources"]]
    assert found == sorted(found, key=["Instance", "Series", "Study", "Patient"].index)
    assert found.count("Instance") == made["InstancesCount"]
    assert found.count("Study") == 2
    assert found.count("Patient") == 1
    assert all(ours.get(one["Path"])["ID"] == one["ID"] for one in made["Resources"])


def test_resources_are_modified_together_at_a_level(ours, mr):
    """With Level, UIDs change as those of a study do."""
    body = json.dumps(
        {"Resources": mr[:2], "Level": "Study", "Replace": {"InstitutionName": "hello"}}
    )

    answer = sent(ours, "/tools/bulk-modify", body)
    made = answer.json
    studies = [one["ID"] for one in made["Resources"] if one["Type"] == "Study"]

    assert answer.status == 200
    assert set(made) == BULK_KEYS
    assert len(studies) == 2
    assert not set(studies) & set(mr)
    for study in studies:
        assert {one.InstitutionName for one in ours.datasets("studies", study)} == {"hello"}


# ---- split and merge


def test_a_study_is_split(ours, mr):
    """A series moves to a study of its own, with another name and no accession number."""
    found = next(one for one in map(ours.get, (f"/studies/{s}" for s in mr)) if one["Series"][1:])
    series = found["Series"][0]
    before = ours.datasets("series", series)
    body = json.dumps(
        {"Series": [series], "Replace": {"PatientName": "Hello"}, "Remove": ["AccessionNumber"]}
    )

    answer = sent(ours, f"/studies/{found['ID']}/split", body)
    made = answer.json
    after = ours.datasets("studies", made["TargetStudy"])

    assert answer.status == 200
    assert set(made) == MOVE_KEYS | {"TargetStudyUID"}
    assert {one.StudyInstanceUID for one in after} == {made["TargetStudyUID"]}
    assert {str(one.PatientName) for one in after} == {"Hello"}
    assert not any("AccessionNumber" in one for one in after)
    assert {one.PatientID for one in after} == {before[0].PatientID}
    assert len(after) == len(before) == made["InstancesCount"]
    assert series not in ours.get(f"/studies/{found['ID']}")["Series"]


def test_a_study_is_split_by_instances(ours, mr):
    """KeepSource true makes copies of them."""
    instances = [one["ID"] for one in ours.get(f"/studies/{mr[0]}/instances")]
    body = json.dumps({"Instances": instances[:1], "KeepSource": True})

    answer = sent(ours, f"/studies/{mr[0]}/split", body)

    assert answer.status == 200
    assert answer.json["InstancesCount"] == 1
    assert len(ours.datasets("studies", answer.json["TargetStudy"])) == 1
    assert len(ours.datasets("studies", mr[0])) == len(instances)


def test_studies_are_merged(ours, mr):
    """All series are in the target afterwards, and the source is gone."""
    target, source, other = mr
    series = [*ours.get(f"/studies/{target}")["Series"], *ours.get(f"/studies/{source}")["Series"]]
    uid = ours.get(f"/studies/{target}")["MainDicomTags"]["StudyInstanceUID"]

    answer = sent(ours, f"/studies/{target}/merge", json.dumps({"Resources": [source]}))
    after = ours.datasets("studies", target)

    assert answer.status == 200
    assert set(answer.json) == MOVE_KEYS
    assert answer.json["TargetStudy"] == target
    assert {one.StudyInstanceUID for one in after} == {uid}
    assert len(ours.get(f"/studies/{target}")["Series"]) == len(series)
    assert set(ours.get("/studies")) == {target, other}


def test_a_merge_keeps_its_sources_if_told_to(ours, mr):
    """KeepSource true makes copies."""
    target, source, _ = mr
    count = len(ours.datasets("studies", target)) + len(ours.datasets("studies", source))
    body = json.dumps({"Resources": [source], "KeepSource": True})

    answer = sent(ours, f"/studies/{target}/merge", body)

    assert answer.status == 200
    assert len(ours.datasets("studies", target)) == count
    assert set(ours.get("/studies")) == set(mr)


# ---- jobs


def test_a_job_is_followed(ours, ct):
    """Asynchronous: the answer is a job, and the job says what became of it."""
    body = '{"Asynchronous":true,"Priority":3,"UserData":{"ticket":7}}'

    answer = sent(ours, f"/studies/{ct['ParentStudy']}/anonymize", body)
    job = answer.json
    state = ours.finished(job["ID"])

    assert answer.status == 200
    assert job == {"ID": job["ID"], "Path": f"/jobs/{job['ID']}"}
    assert state["State"] == "Success"
    assert (state["Type"], state["Progress"]) == ("ResourceModification", 100)
    assert (state["Priority"], state["UserData"]) == (3, {"ticket": 7})
    assert (state["ErrorCode"], state["ErrorDescription"]) == (0, "Success")
    assert set(state["Content"]) == JOB_KEYS
    assert job["ID"] in ours.line("curl http://localhost:8042/jobs").json
    listed = ours.line("curl 'http://localhost:8042/jobs?expand'").json
    assert job["ID"] in {one["ID"] for one in listed}

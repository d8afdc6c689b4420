"""Orthanc's clients in Python, as they are released, against a node of ours."""

from __future__ import annotations

from itertools import chain

import pyorthanc
import pytest
from orthanc_api_client import LabelsConstraint, OrthancApiClient
from orthanc_api_client.exceptions import BadFileFormat, HttpError, ResourceNotFound
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage
from pyorthanc.jobs import State

from tests.acceptance.rest.asking import CONFIG, packaged_file, packaged_files
from tests.acceptance.running import RunningNode

pytestmark = pytest.mark.slow

HELLO = "f7ff9e8b-7bb2e09b-70935a5d-785e0cc5-d9d0abf0"
CT = packaged_file("CT_small.dcm")
POLLING_S = 0.02
DESTINATIONS = """
destinations:
  pacs: {{ae_title: PACS, host: 127.0.0.1, port: {port}}}
  nobody: {{ae_title: NOBODY, host: 127.0.0.1, port: 1}}
"""


@pytest.fixture(scope="module")
def received():
    """A peer of pynetdicom that takes CT: its port, and the UIDs that it has got."""
    uids: list[str] = []

    def store(event) -> int:
        uids.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    entity = AE("PACS")
    entity.add_supported_context(CTImageStorage)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    yield server.socket.getsockname()[1], uids
    server.shutdown()


@pytest.fixture(scope="module")
def node(received, tmp_path_factory):
    """A node that knows the peer, and a destination where nobody is."""
    known = DESTINATIONS.format(port=received[0])
    with RunningNode(tmp_path_factory.mktemp("node"), CONFIG + known) as started:
        yield started
    assert "Traceback" not in started.output.read_text()


@pytest.fixture
def api(ours):
    """orthanc-api-client, on an empty archive."""
    client = OrthancApiClient(f"http://127.0.0.1:{ours.port}")
    client.delete_all_content()
    yield client
    client._http_session.close()


@pytest.fixture
def study(api):
    """The identifier of the CT's study, uploaded by the client."""
    (instance,) = api.upload_file(CT)
    return api.instances.get_parent_study_id(instance)


@pytest.fixture
def mr_studies(api):
    """Three studies of MR, of one patient."""
    ids = chain.from_iterable(api.upload_file(path) for path in packaged_files("98892003"))
    return list(dict.fromkeys(api.instances.get_parent_study_id(one) for one in ids))


@pytest.fixture
def py(ours):
    """pyorthanc, on an empty archive."""
    with pyorthanc.Orthanc(f"http://127.0.0.1:{ours.port}") as client:
        for patient in client.get_patients():
            client.delete_patients_id(patient)
        yield client


@pytest.fixture
def py_study(py):
    """The CT's study, uploaded by pyorthanc."""
    (instance,) = pyorthanc.upload(py, CT)
    return instance.parent_study


# ---- orthanc-api-client


def test_the_api_client_finds_the_server_alive(api):
    """It takes the node for an Orthanc of the level that is spoken."""
    assert api.is_alive()
    assert api.is_orthanc_version_at_least(1, 12, 0)
    assert api.get_statistics().patients_count == 0


def test_the_api_client_uploads_and_finds(api, study):
    """Upload, lookup by UID, find by a pattern and by tags that are asked for."""
    uid = dcmread(CT).StudyInstanceUID

    (found,) = api.studies.find({"PatientID": "1C*"}, requested_tags=["ReferringPhysicianName"])

    assert api.studies.lookup(uid) == study == found.orthanc_id
    assert found.main_dicom_tags.get("StudyInstanceUID") == uid
    assert api.studies.get_modalities(study) == {"CT"}
    assert api.instances.get_tags(api.studies.get_first_instance_id(study))["PatientID"] == "1CT1"


def test_the_api_client_is_told_that_a_file_is_none(api):
    """By the error that its own class stands for."""
    with pytest.raises(BadFileFormat):
        api.upload(b"no DICOM")


def test_the_api_client_anonymizes_a_study(api, study):
    """And deletes the original, as it does unless told otherwise."""
    made = api.studies.anonymize(study, replace_tags={"PatientName": "X"}, keep_tags=["StudyDate"])
    tags = api.studies.get_first_instance_tags(made)

    assert api.studies.get_all_ids() == [made]
    assert tags["PatientName"] == "X"
    assert tags["StudyDate"] == dcmread(CT).StudyDate
    assert tags["PatientIdentityRemoved"] == "YES"
    assert api.get_json(f"studies/{made}")["AnonymizedFrom"] == study


def test_the_api_client_modifies_a_study(api, study):
    """Replace, Remove and Keep."""
    made = api.studies.modify(
        study,
        replace_tags={"PatientName": "X", "InstitutionName": "Y"},
        remove_tags=["StudyID"],
        delete_original=False,
    )
    tags = api.studies.get_first_instance_tags(made)

    assert tags["InstitutionName"] == "Y"
    assert "StudyID" not in tags
    assert set(api.studies.get_all_ids()) == {study, made}


def test_the_api_client_modifies_a_patient(api, study):
    """To the identifier that Orthanc's page shows."""
    patient = api.studies.get_parent_patient_id(study)

    made = api.patients.modify(patient, replace_tags={"PatientID": "Hello"}, force=True)

    assert made == HELLO
    assert api.patients.get_all_ids() == [HELLO]


def test_the_api_client_modifies_an_instance(api, study):
    """Which comes back as a file."""
    instance = api.studies.get_first_instance_id(study)

    data = api.instances.modify(instance, replace_tags={"PatientName": "X"})

    assert isinstance(data, bytes)
    (again,) = api.upload(data)
    assert again != instance
    assert api.instances.get_tags(again)["PatientName"] == "X"


def test_the_api_client_works_in_bulk(api, mr_studies):
    """Its lists of what was made, by level."""
    made = api.studies.anonymize_bulk(mr_studies[:2], delete_original=False)
    instances, series, studies, patients = made

    assert len(studies) == 2
    assert len(patients) == 1
    assert set(api.studies.get_instances_ids(studies[0])) <= set(instances)
    assert set(api.studies.get_series_ids(studies[1])) <= set(series)


def test_the_api_client_sends_to_a_modality(api, study, received):
    """At once, and as a job that it follows."""
    uid = dcmread(CT).SOPInstanceUID
    api.modalities.send("pacs", study, timeout=10)
    job = api.modalities.send_async("pacs", [study])

    assert job.wait_completed(timeout=20, polling_interval=POLLING_S)
    assert (job.info.status, job.info.type) == ("Success", "DicomModalityStore")
    assert received[1] == [uid, uid]


def test_the_api_client_is_told_what_was_not_sent(api, study):
    """By an error, or by a job that has failed."""
    with pytest.raises(HttpError):
        api.modalities.send("nobody", study)
    job = api.modalities.send_async("nobody", study)

    assert job.wait_completed(timeout=20, polling_interval=POLLING_S)
    assert job.info.status == "Failure"


def test_the_api_client_follows_a_job(api, mr_studies):
    """As an object that waits."""
    job = api.studies.modify_bulk_async(
        mr_studies, replace_tags={"InstitutionName": "Y"}, delete_original=False
    )

    assert job.wait_completed(timeout=20, polling_interval=POLLING_S)
    assert job.info.status == "Success"
    assert job.orthanc_id in api.jobs.get_all_ids()
    with pytest.raises(HttpError):
        api.jobs.resubmit(job.orthanc_id)


def test_the_api_client_splits_and_merges(api, mr_studies):
    """Apart and together again."""
    source = next(one for one in mr_studies if len(api.studies.get_series_ids(one)) > 1)
    series = api.studies.get_series_ids(source)

    split = api.post(f"studies/{source}/split", json={"Series": series[:1]}).json()
    apart = len(api.studies.get_series_ids(source))
    api.studies.merge(source, split["TargetStudy"], keep_source=False)

    assert apart == len(series) - 1
    assert len(api.studies.get_series_ids(source)) == len(series)
    assert sorted(api.studies.get_all_ids()) == sorted(mr_studies)


def test_the_api_client_labels(api, study):
    """Labels are given, found by and taken away."""
    api.studies.add_labels(study, ["one", "two"])
    wanted = {"labels": ["one", "three"], "labels_constraint": LabelsConstraint.ANY}

    assert sorted(api.studies.get_labels(study)) == ["one", "two"]
    assert [one.orthanc_id for one in api.studies.find({}, **wanted)] == [study]
    assert sorted(api.get_all_labels()) == ["one", "two"]
    api.studies.delete_label(study, "one")
    assert api.studies.get_labels(study) == ["two"]
    assert api.studies.find({}, labels=["one"]) == []


def test_the_api_client_deletes(api, study):
    """What is gone is not found any more."""
    api.studies.delete(study)

    assert not api.studies.exists(study)
    assert api.patients.get_all_ids() == []
    with pytest.raises(ResourceNotFound):
        api.studies.delete(study)


def test_the_api_client_reads_changes_and_metadata(api, study):
    """New resources of every level, and where an instance came from."""
    changes, _, _ = api.get_changes(since=0, limit=1000)
    instance = api.studies.get_first_instance_id(study)
    of_study = {one.change_type for one in changes if one.resource_id == study}

    assert "NewStudy" in of_study
    assert api.instances.get_string_metadata(instance, "Origin") == "RestApi"
    api.studies.set_string_metadata(study, "1024", "mine")
    assert api.studies.get_string_metadata(study, "1024") == "mine"


# ---- pyorthanc


def test_pyorthanc_uploads_and_finds(py, py_study):
    """By query, with the resources as objects."""
    (found,) = pyorthanc.find_studies(py, {"PatientID": "1CT1"})
    (series,) = found.series

    assert found == py_study
    assert found.uid == dcmread(CT).StudyInstanceUID
    assert series.modality == "CT"
    assert series.instances[0].get_pydicom().PatientID == "1CT1"
    assert found.parent_patient.patient_id == "1CT1"


def test_pyorthanc_anonymizes_at_every_level(py, py_study):
    """Patient, study and series become objects; an instance a file."""
    series = py_study.series[0]
    made = [
        py_study.parent_patient.anonymize(replace={"PatientName": "X"}),
        py_study.anonymize(replace={"PatientName": "X"}, keep=["StudyDescription"]),
        series.anonymize(replace={"PatientName": "X"}, keep_private_tags=True),
    ]
    file = series.instances[0].anonymize(replace={"PatientName": "X"})

    assert len(py.get_patients()) == 4
    assert made[1].get_main_information()["AnonymizedFrom"] == py_study.id_
    assert made[1].patient_information["PatientName"] == "X"
    assert b"DICM" in file[:132]


def test_pyorthanc_modifies_at_every_level(py, py_study):
    """With the identifiers that it may give by force."""
    series = py_study.series[0]

    patient = py_study.parent_patient.modify(replace={"PatientID": "Hello"}, force=True)
    of_series = series.modify(replace={"InstitutionName": "Y"})
    of_series_study = of_series.parent_study
    of_study = py_study.modify(replace={"StudyID": "9"}, remove=["StudyTime"], keep_source=False)

    assert patient.id_ == HELLO
    assert of_series_study == py_study
    assert of_study.get_main_information()["MainDicomTags"]["StudyID"] == "9"
    assert py_study.id_ not in py.get_studies()


def test_pyorthanc_follows_a_job(py, py_study):
    """Its Job reads all that a job says."""
    job = py_study.anonymize_as_job(priority=2)

    job.wait_until_completion(time_interval=POLLING_S)

    assert job.state is State.success
    assert (job.type, job.priority, job.progress) == ("ResourceModification", 2, 100)
    assert job.error.value == 0
    assert job.completion_time >= job.creation_time
    assert job.id_ in py.get_jobs()
    assert py.get_studies_id(job.content["ID"])["AnonymizedFrom"] == py_study.id_


def test_pyorthanc_splits_and_merges(py):
    """By the addresses that its client has for them."""
    for path in packaged_files("98892003"):
        pyorthanc.upload(py, path)
    source = next(one for one in pyorthanc.find_studies(py) if len(one.series) > 1)
    series = [one.id_ for one in source.series]

    split = py.post_studies_id_split(source.id_, {"Series": series[:1], "KeepSource": True})
    merged = py.post_studies_id_merge(split["TargetStudy"], {"Resources": [source.id_]})

    assert merged["TargetStudy"] == split["TargetStudy"]
    assert source.id_ not in py.get_studies()
    target = pyorthanc.Study(split["TargetStudy"], py)
    assert len(target.series) == len(series) + 1
    assert target.uid == split["TargetStudyUID"]


def test_pyorthanc_works_in_bulk_and_deletes(py, py_study):
    """And labels a study in between."""
    py_study.add_label("mine")
    made = py.post_tools_bulk_anonymize({"Resources": [py_study.id_], "KeepLabels": True})
    (study,) = [one["ID"] for one in made["Resources"] if one["Type"] == "Study"]

    assert pyorthanc.Study(study, py).labels == ["mine"]
    assert len(pyorthanc.find_studies(py, labels=["mine"])) == 2
    py.delete_studies_id(study)
    py.post_tools_bulk_delete({"Resources": [py_study.id_]})
    assert py.get_studies() == []


def test_pyorthanc_creates_and_previews(py, py_study):
    """An instance of text alone, and the picture of one that has pixels."""
    made = py.post_tools_create_dicom({"Tags": {"PatientID": "New", "Modality": "OT"}})

    assert pyorthanc.Instance(made["ID"], py).parent_patient.patient_id == "New"
    instance = py_study.series[0].instances[0]
    assert py.get_instances_id_preview(instance.id_)[:4] == b"\x89PNG"

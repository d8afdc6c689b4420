"""What each kind of job makes: which UIDs change, what follows them, what is refused."""

from __future__ import annotations

import pytest
from pydicom.uid import UID

from rules.requests import RequestFault
from scp.archive.identifiers import Level, identifier
from scp.archive.job import JobKind, JobRefused, JobRequest, JobState, Status
from tests import instances
from tests.instances import CT_IMAGE, ROOT, text
from tests.scp.archive.archives import archive
from tests.scp.archive.test_jobs import engine

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@pytest.fixture
def stored(tmp_path):
    """A study with a series of two CT and a report on the first of them."""
    with archive(tmp_path / "data") as made:
        made.store(instances.small_ct(instance=1))
        made.store(instances.small_ct(instance=2))
        made.store(instances.report_on(1))
        yield made


@pytest.fixture
def jobs(stored):
    """Its jobs."""
    with engine(stored, workers=1) as made:
        yield made


def other_study(number=7, patient="PAT-4711", name="Doe^Jane"):
    """A CT of another study."""
    return instances.small_ct(
        [
            text(0x00080018, "UI", f"{ROOT}.{number}.1.1"),
            text(0x00081030, "LO", "Another study"),
            text(0x00100010, "PN", name),
            text(0x00100020, "LO", patient),
            text(0x0020000D, "UI", f"{ROOT}.{number}"),
            text(0x0020000E, "UI", f"{ROOT}.{number}.1"),
        ]
    )


def named(keyword, value, stored):
    """The datasets in which an attribute has a value."""
    return [one for one in stored.datasets() if one.get(keyword) == value]


def modify(stored, level, body, *, number=0, **changes):
    """A request to modify a resource of a level."""
    request = {"ids": (stored.ids(level)[number],), "level": level, **changes}
    return JobRequest(JobKind.MODIFICATION, body, **request)


# ---------------------------------------------------------------- modifying


@pytest.mark.parametrize(
    ("level", "new"),
    [
        (Level.PATIENT, UIDS),
        (Level.STUDY, UIDS),
        (Level.SERIES, UIDS[1:]),
        (Level.INSTANCE, UIDS[2:]),
    ],
)
def test_the_level_says_which_uids_are_new(stored, jobs, level, new) -> None:
    """Those of the level and below; the ones above stay."""
    old = stored.datasets()[0]
    body = {"Replace": {"InstitutionName": "here"}, "Force": True}
    changes = {"is_bulk": True} if level is Level.INSTANCE else {}

    job = jobs.run(modify(stored, level, body, **changes))

    assert job.state is JobState.SUCCESS, job.error
    made = named("InstitutionName", "here", stored)[0]
    assert [name for name in UIDS if made[name] != old[name]] == list(new)
    assert made.PatientID == old.PatientID


def test_references_among_what_is_modified_follow(stored, jobs) -> None:
    """The report refers to the new image, in the new series of the new study."""
    jobs.run(modify(stored, Level.STUDY, {"Replace": {"InstitutionName": "here"}}))

    made = named("InstitutionName", "here", stored)
    image = next(one for one in made if one.SOPClassUID == CT_IMAGE and one.InstanceNumber == 1)
    [report] = [one for one in made if one.Modality == "SR"]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0]
    series = evidence.ReferencedSeriesSequence[0]
    assert evidence.StudyInstanceUID == image.StudyInstanceUID == report.StudyInstanceUID
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID


def test_references_to_what_is_not_modified_stay(stored, jobs) -> None:
    """The report alone is modified: the image keeps its UID."""
    body = {"Replace": {"InstitutionName": "here"}}
    jobs.run(modify(stored, Level.SERIES, body, number=1))

    [report] = named("InstitutionName", "here", stored)
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == f"{ROOT}.1.1"
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == f"{ROOT}.1.1.1"


def test_what_is_modified_says_what_it_was(stored, jobs) -> None:
    """Of each resource that has another identifier now, and where the request came from."""
    [study] = stored.ids(Level.STUDY)
    origin = {"Origin": "RestApi", "RemoteIP": "::9", "HttpUsername": "ann"}

    job = jobs.run(modify(stored, Level.STUDY, {}, origin=origin))

    metadata = stored.catalogue.metadata(job.content["ID"])
    assert metadata["ModifiedFrom"] == study
    of_instance = stored.catalogue.metadata(stored.ids(Level.INSTANCE)[-1])
    assert of_instance["HttpUsername"] == "ann"
    assert (of_instance["Origin"], of_instance["RemoteIP"]) == ("RestApi", "::9")


def test_labels_pass_if_they_are_asked_for(stored, jobs) -> None:
    """And only then."""
    [study] = stored.ids(Level.STUDY)
    stored.catalogue.set_label(study, "seen")

    without = jobs.run(modify(stored, Level.STUDY, {})).content["ID"]
    with_them = jobs.run(
        JobRequest(JobKind.MODIFICATION, {"KeepLabels": True}, (study,), level=Level.STUDY)
    ).content["ID"]

    assert stored.catalogue.labels(without) == []
    assert stored.catalogue.labels(with_them) == ["seen"]


def test_a_study_can_be_changed_in_place(stored, jobs) -> None:
    """With every UID kept the results take the places of their sources."""
    before = stored.ids(Level.INSTANCE)
    body = {"Replace": {"StudyDescription": "better"}, "Keep": list(UIDS), "Force": True}

    job = jobs.run(modify(stored, Level.STUDY, body))

    assert job.state is JobState.SUCCESS, job.error
    assert sorted(stored.ids(Level.INSTANCE)) == sorted(before)
    assert len(named("StudyDescription", "better", stored)) == 3
    assert len(stored.files()) == 3
    assert stored.catalogue.find(job.content["ID"]).tags["StudyDescription"] == "better"


def test_a_change_in_place_must_keep_its_source(stored, jobs) -> None:
    """Else it would remove what it has made: Orthanc says so too."""
    body = {"Keep": list(UIDS), "Force": True, "KeepSource": False}

    with pytest.raises(JobRefused) as raised:
        jobs.submit(modify(stored, Level.STUDY, body))

    assert raised.value.status is Status.BAD_REQUEST


def test_a_literal_uid_for_several_instances_is_refused(stored, jobs) -> None:
    """They would overwrite one another."""
    body = {"Replace": {"SOPInstanceUID": "1.2.3"}, "Force": True, "KeepSource": False}

    job = jobs.run(modify(stored, Level.STUDY, body))

    assert job.error.status == Status.DUPLICATE
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 3


def test_kept_instance_uids_need_the_source_to_go(stored, jobs) -> None:
    """Two instances of one UID cannot both be stored; moved ones can."""
    body = {"Keep": ["SOPInstanceUID"], "Force": True}

    beside = jobs.run(modify(stored, Level.STUDY, body))
    moved = jobs.run(modify(stored, Level.STUDY, {**body, "KeepSource": False}))

    assert beside.error.status == Status.DUPLICATE
    assert moved.state is JobState.SUCCESS, moved.error
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 3


def test_a_permissive_job_keeps_the_sources_of_what_failed(stored, jobs) -> None:
    """The damaged one stays, and is counted."""
    third = stored.instances()[2]
    path = stored.data / "instances" / third.file_name
    path.write_bytes(path.read_bytes()[:-2])

    job = jobs.run(modify(stored, Level.STUDY, {"Permissive": True, "KeepSource": False}))

    assert job.state is JobState.SUCCESS
    assert job.content["FailedInstancesCount"] == 1
    left = stored.instances()
    assert [one.id for one in left].count(third.id) == 1
    assert len(left) == 3


def test_a_body_that_cannot_be_done_makes_no_job(stored, jobs) -> None:
    """Faults of the body and of the level are told before there is a job."""
    for body in ({"Replace": {"PatientNam": "x"}}, {"KeepSource": 1}, {"Replace": 3}):
        with pytest.raises(RequestFault):
            jobs.submit(modify(stored, Level.STUDY, body))
    with pytest.raises(RequestFault):
        jobs.submit(modify(stored, Level.PATIENT, {}))
    study = stored.ids(Level.STUDY)[0]
    with pytest.raises(JobRefused):
        jobs.submit(JobRequest(JobKind.MODIFICATION, {}, (study,), level=Level.SERIES))

    assert jobs.listing() == []


def test_a_job_whose_resource_is_gone_fails(stored) -> None:
    """It has not succeeded in doing nothing."""
    with engine(stored, workers=0) as waiting:
        id_ = waiting.submit(modify(stored, Level.STUDY, {}))
    stored.catalogue.delete(stored.ids(Level.STUDY)[0])

    with engine(stored) as jobs:
        job = jobs.wait(id_)

    assert job.error.status == Status.UNKNOWN_RESOURCE


# ---------------------------------------------------------------- one patient, one name


def test_a_patient_of_one_study_can_be_renamed(stored, jobs) -> None:
    """Nobody is contradicted."""
    job = jobs.run(modify(stored, Level.STUDY, {"Replace": {"PatientName": "Other"}}))

    assert job.state is JobState.SUCCESS


@pytest.mark.parametrize(
    ("replaced", "named_tag"),
    [
        ({"PatientName": "Other"}, "Failing tag: 0010,0010"),
        ({"PatientName": "Doe^Jane"}, "Missing tag in the 'Replace' tags: 0010,0030"),
    ],
)
def test_a_study_cannot_contradict_the_others_of_its_patient(
    stored, jobs, replaced, named_tag
) -> None:
    """The fault names the tag."""
    stored.store(other_study())

    with pytest.raises(JobRefused, match=named_tag) as raised:
        jobs.submit(modify(stored, Level.STUDY, {"Replace": replaced}))

    assert raised.value.status is Status.BAD_REQUEST


def test_a_study_can_be_given_to_another_patient_who_is_named_in_full(stored, jobs) -> None:
    """Every main attribute of that patient is in the request."""
    stored.store(other_study(patient="PAT-2", name="Two"))
    [mine, other] = stored.ids(Level.PATIENT)
    body = {
        "Replace": {
            "PatientID": "PAT-2",
            "PatientName": "Two",
            "PatientBirthDate": "19700102",
            "PatientSex": "F",
        },
        "Force": True,
        "KeepSource": False,
    }

    job = jobs.run(modify(stored, Level.STUDY, body))

    assert job.content["PatientID"] == other
    assert stored.ids(Level.PATIENT) == [other]
    assert stored.catalogue.find(mine) is None


# ---------------------------------------------------------------- anonymizing


def test_a_patient_without_a_name_gets_a_number(stored, jobs) -> None:
    """One for each request that names nobody."""
    request = modify(stored, Level.STUDY, {}, is_anonymization=True)

    for _ in range(2):
        jobs.run(request)
    jobs.run(
        modify(stored, Level.STUDY, {"Replace": {"PatientName": "Me"}}, is_anonymization=True)
    )
    jobs.run(request)

    found = {str(one.PatientName) for one in stored.datasets()}
    assert found == {"Doe^Jane", "Anonymized1", "Anonymized2", "Anonymized3", "Me"}


def test_anonymizing_gives_new_uids_at_every_level(stored, jobs) -> None:
    """Also when only a series is asked for; references follow."""
    old = stored.datasets()[0]

    job = jobs.run(modify(stored, Level.SERIES, {}, is_anonymization=True))

    made = [one for one in stored.datasets() if one.get("PatientIdentityRemoved") == "YES"]
    assert len(made) == 2
    assert all(made[0][name] != old[name] for name in (*UIDS, "PatientID"))
    assert made[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID == made[1].SOPInstanceUID
    [series] = stored.ids(Level.SERIES)[:1]
    assert stored.catalogue.metadata(job.content["ID"])["AnonymizedFrom"] == series
    assert (job.content["Type"], job.content["Path"]) == ("Series", f"/series/{job.content['ID']}")


def test_two_requests_agree_where_the_scope_is_named(stored, jobs) -> None:
    """So that studies of one patient that are anonymized apart stay together."""
    stored.store(other_study())
    body = {"Consistent": "trial"}

    for number in (0, 1):
        jobs.run(modify(stored, Level.STUDY, body, number=number, is_anonymization=True))
    apart = jobs.run(modify(stored, Level.STUDY, {}, is_anonymization=True))

    assert len(stored.ids(Level.PATIENT)) == 3
    assert apart.content["PatientID"] == stored.ids(Level.PATIENT)[-1]


def test_a_bulk_job_lists_everything_it_made(stored, jobs) -> None:
    """Instances, then series, studies and patients."""
    stored.store(other_study(patient="PAT-2"))
    ids = (stored.ids(Level.SERIES)[0], stored.ids(Level.PATIENT)[1])

    job = jobs.run(JobRequest(JobKind.MODIFICATION, {}, ids, is_anonymization=True, is_bulk=True))

    made = job.content["Resources"]
    assert [one["Type"] for one in made] == [
        *["Instance"] * 3,
        *["Series"] * 2,
        *["Study"] * 2,
        *["Patient"] * 2,
    ]
    assert all(stored.catalogue.find(one["ID"]) for one in made)
    assert made[0]["Path"] == f"/instances/{made[0]['ID']}"
    assert "ID" not in job.content
    assert job.content["ParentResources"] == list(ids)


def test_an_instance_that_is_named_twice_is_made_once(stored, jobs) -> None:
    """By itself and by its study."""
    ids = (stored.ids(Level.INSTANCE)[0], stored.ids(Level.STUDY)[0])

    job = jobs.run(JobRequest(JobKind.MODIFICATION, {}, ids, is_anonymization=True, is_bulk=True))

    assert job.content["InstancesCount"] == 3
    assert len(stored.ids(Level.INSTANCE)) == 6


# ---------------------------------------------------------------- splitting


def split(stored, **body):
    """A request to split the first study."""
    return JobRequest(JobKind.SPLIT, body, (stored.ids(Level.STUDY)[0],), level=Level.STUDY)


def test_a_split_moves_series_to_a_new_study(stored, jobs) -> None:
    """With what the request replaces and removes; the rest of the study stays."""
    report = stored.ids(Level.SERIES)[1]
    body = {"Series": [report], "Replace": {"PatientID": "P9"}, "Remove": ["AccessionNumber"]}

    job = jobs.run(split(stored, **body))

    assert job.state is JobState.SUCCESS, job.error
    [moved] = named("PatientID", "P9", stored)
    assert job.content == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 1,
        "TargetStudy": identifier("P9", moved.StudyInstanceUID),
        "TargetStudyUID": moved.StudyInstanceUID,
    }
    assert moved.StudyInstanceUID != f"{ROOT}.1"
    assert UID(moved.SeriesInstanceUID).is_valid
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 3
    assert stored.catalogue.find(report) is None
    metadata = stored.catalogue.metadata(job.content["TargetStudy"])
    assert metadata["ModifiedFrom"] == stored.ids(Level.STUDY)[0]


def test_references_of_what_stays_to_the_old_study_are_not_touched(stored, jobs) -> None:
    """The report moves away from the image that it is about: it goes on naming it."""
    jobs.run(split(stored, Series=[stored.ids(Level.SERIES)[1]], Replace={"PatientID": "P9"}))

    [moved] = named("PatientID", "P9", stored)
    evidence = moved.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == f"{ROOT}.1"
    series = evidence.ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == f"{ROOT}.1.1.1"


def test_a_split_of_everything_moves_the_references_too(stored, jobs) -> None:
    """The old study is gone: whatever named it names the new one."""
    job = jobs.run(split(stored, Series=stored.ids(Level.SERIES)))

    [report] = [one for one in stored.datasets() if one.Modality == "SR"]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == report.StudyInstanceUID == job.content["TargetStudyUID"]
    assert stored.ids(Level.STUDY) == [job.content["TargetStudy"]]


def test_an_instance_can_be_split_off_and_its_source_kept(stored, jobs) -> None:
    """By `Instances`."""
    job = jobs.run(split(stored, Instances=[stored.ids(Level.INSTANCE)[1]], KeepSource=True))

    assert job.content["InstancesCount"] == 1
    assert len(stored.ids(Level.INSTANCE)) == 4


def test_a_split_refuses_what_is_not_in_the_study(stored, jobs) -> None:
    """A series of another study, an unknown one, an unknown study, and nothing at all."""
    stored.store(other_study())
    foreign = stored.ids(Level.SERIES)[-1]

    for body in ({"Series": [foreign]}, {"Series": ["nope"]}, {"Instances": [foreign]}):
        with pytest.raises(JobRefused, match="does not belong to the study") as raised:
            jobs.submit(split(stored, **body))
        assert raised.value.status is Status.UNKNOWN_RESOURCE
    with pytest.raises(JobRefused, match="Cannot split unknown study"):
        jobs.submit(JobRequest(JobKind.SPLIT, {"Series": [foreign]}, ("nope",)))
    with pytest.raises(RequestFault):
        jobs.submit(split(stored))


# ---------------------------------------------------------------- merging


def merge(stored, *resources, target=0, **body):
    """A request to merge into a study."""
    ids = (stored.ids(Level.STUDY)[target],)
    return JobRequest(JobKind.MERGE, {"Resources": list(resources), **body}, ids)


def test_a_merged_study_becomes_part_of_the_target(stored, jobs) -> None:
    """Its patient and study attributes are the target's; it is gone itself."""
    stored.store(other_study(patient="PAT-2", name="Two"))
    target, source = stored.ids(Level.STUDY)

    job = jobs.run(merge(stored, source))

    assert job.state is JobState.SUCCESS, job.error
    assert job.content == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 1,
        "TargetStudy": target,
    }
    assert stored.ids(Level.STUDY) == [target]
    assert len(stored.ids(Level.SERIES)) == 3
    merged = stored.datasets()[-1]
    assert (merged.PatientID, merged.PatientName) == ("PAT-4711", "Doe^Jane")
    assert merged.StudyDescription == "Abdomen of Mrs Doe"
    assert merged.StudyInstanceUID == f"{ROOT}.1"
    assert merged.SeriesInstanceUID != f"{ROOT}.7.1"


def test_references_inside_what_is_merged_follow(stored, jobs) -> None:
    """The study of images and report moves into another one as a whole."""
    stored.store(other_study())
    source, _ = stored.ids(Level.STUDY)

    jobs.run(merge(stored, source, target=1))

    made = stored.datasets()
    image = next(one for one in made if one.InstanceNumber == 1 and one.Modality == "CT")
    [report] = [one for one in made if one.Modality == "SR"]
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0]
    series = evidence.ReferencedSeriesSequence[0]
    named_image = series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert evidence.StudyInstanceUID == f"{ROOT}.7"
    assert named_image in {one.SOPInstanceUID for one in made}
    assert series.SeriesInstanceUID in {one.SeriesInstanceUID for one in made}
    assert image.StudyInstanceUID == f"{ROOT}.7"


def test_a_merge_refuses_what_cannot_go_into_the_study(stored, jobs) -> None:
    """Itself, its own parts, a patient, and what is not there."""
    target, series = stored.ids(Level.STUDY)[0], stored.ids(Level.SERIES)[0]
    patient = stored.ids(Level.PATIENT)[0]

    for source, sentence in [
        (target, "Cannot merge a study into the same study"),
        (series, "Cannot merge series .* into its parent study"),
        (patient, "is a Patient"),
        ("nope", "Cannot find this resource"),
    ]:
        with pytest.raises(JobRefused, match=sentence) as raised:
            jobs.submit(merge(stored, source))
        assert raised.value.status is Status.UNKNOWN_RESOURCE
    with pytest.raises(JobRefused, match="Cannot merge into an unknown study"):
        jobs.submit(JobRequest(JobKind.MERGE, {"Resources": []}, ("nope",)))


def test_a_merge_of_nothing_succeeds(stored, jobs) -> None:
    """As with Orthanc."""
    job = jobs.run(merge(stored))

    assert (job.state, job.content["InstancesCount"]) == (JobState.SUCCESS, 0)

"""Jobs in the journal: what is read is what was written, and requests go when they may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scp.archive.identifiers import Level
from scp.archive.job import Job, JobError, JobKind, JobRequest, JobState
from scp.archive.job_store import JobStore, outcome
from scp.journal import Journal

REQUEST = JobRequest(
    JobKind.SPLIT,
    {"Replace": {"PatientName": "Ünal\ud800"}, "Series": ["a"]},
    ("study",),
    is_anonymization=False,
    is_bulk=False,
    level=Level.STUDY,
    priority=-4,
    user_data=[{"x": None}],
    origin={"Origin": "RestApi"},
    patient_name="Anonymized7",
)
JOB = Job(
    "id-1",
    JobKind.SPLIT,
    JobState.PENDING,
    -4,
    {"Description": "REST API"},
    1000.5,
    user_data=[{"x": None}],
    seq=3,
)


@pytest.fixture
def store(tmp_path):
    """The jobs of an empty journal."""
    journal = Journal(tmp_path / "journal.sqlite3")
    yield JobStore(journal)
    journal.close()


def test_a_job_and_its_request_are_read_as_they_were_written(store) -> None:
    """Whatever JSON the request holds."""
    store.add(JOB, REQUEST)

    assert store.all() == [JOB]
    assert store.request(JOB.id) == REQUEST


def test_a_change_of_state_is_kept(store) -> None:
    """With everything that goes with it; the request stays while it may be needed."""
    failed = replace(
        JOB,
        state=JobState.FAILURE,
        content={"InstancesCount": 3},
        progress=40,
        started_at=1001.0,
        completed_at=1002.0,
        runtime_s=0.5,
        error=JobError(37, "This job was canceled", "by hand"),
    )
    store.add(JOB, REQUEST)

    store.save(lambda: failed)

    assert store.all() == [failed]
    assert store.request(JOB.id) == REQUEST


def test_the_request_of_a_job_that_has_succeeded_goes(store) -> None:
    """Nobody can run it again."""
    store.add(JOB, REQUEST)

    store.save(lambda: replace(JOB, state=JobState.SUCCESS))

    assert store.request(JOB.id) is None


def test_an_outcome_is_part_of_somebody_else_s_transaction(store) -> None:
    """If that fails, the job stands where it stood."""
    store.add(JOB, REQUEST)
    note = outcome(replace(JOB, state=JobState.SUCCESS))

    def fail_after(writer) -> None:
        note(writer.core)
        raise LookupError

    with pytest.raises(LookupError):
        store._journal.write(fail_after, durable=True)

    assert store.all() == [JOB]
    assert store.request(JOB.id) == REQUEST


def test_jobs_are_listed_in_the_order_they_came_and_can_be_dropped(store) -> None:
    """Some of them, or all."""
    for number in (2, 1, 3):
        store.add(replace(JOB, id=f"id-{number}", seq=number), REQUEST)

    store.drop(["id-2"])

    assert [job.id for job in store.all()] == ["id-1", "id-3"]
    assert store.request("id-2") is None

"""The engine of jobs: what waits, runs, is held, ended, repeated, forgotten, and survives."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest

from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRefused, JobRequest, JobState, Status
from scp.archive.jobs import Jobs
from tests import instances
from tests.scp.archive.archives import Silent, archive, series

COUNT = 6
PATIENCE_S = 20.0


class Gate:
    """A spool's reading that stops before a number of instances until it is opened."""

    def __init__(self, stored, passing: int) -> None:
        self._draft = stored.modifier.draft
        self._lock = threading.Lock()
        self._passing = passing
        self.reached = threading.Event()
        self.opened = threading.Event()
        stored.modifier.draft = self

    def __call__(self, *arguments):
        with self._lock:
            self._passing -= 1
            stops = self._passing < 0
        if stops:
            self.reached.set()
            assert self.opened.wait(PATIENCE_S)
        return self._draft(*arguments)


@pytest.fixture
def stored(tmp_path):
    """An archive with one series of six."""
    with series(tmp_path / "data", COUNT) as made:
        yield made


@contextmanager
def engine(stored, **settings):
    """The jobs of an archive, started, and stopped in the end."""
    settings = {"workers": 2, "threads": 1, **settings}
    made = Jobs(
        stored.catalogue,
        stored.modifier,
        stored.journal,
        stored.pseudonyms,
        log=Silent(),
        **settings,
    )
    made.start()
    try:
        yield made
    finally:
        assert made.stop(PATIENCE_S)


def anonymize(stored, **body) -> JobRequest:
    """A request to anonymize the only study."""
    [study] = stored.ids(Level.STUDY)[:1]
    return JobRequest(
        JobKind.MODIFICATION, body, (study,), is_anonymization=True, level=Level.STUDY
    )


def test_a_job_that_has_ended_says_what_it_made(stored) -> None:
    """The content has Orthanc's fields, and the identifiers are those of what is stored."""
    request = anonymize(stored, UserData={"a": [1]}, Priority=3)
    with engine(stored) as jobs:
        job = jobs.run(request)

    new = stored.ids(Level.STUDY)[1]
    assert job.state is JobState.SUCCESS
    assert job.content == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "ID": new,
        "InstancesCount": COUNT,
        "IsAnonymization": True,
        "ParentResources": list(request.ids),
        "Path": f"/studies/{new}",
        "PatientID": stored.ids(Level.PATIENT)[1],
        "Resources": [{"ID": request.ids[0], "Type": "Study"}],
        "Type": "Study",
    }
    assert (job.progress, job.priority, job.user_data) == (100, 3, {"a": [1]})
    assert job.error.status == 0
    assert job.runtime_s > 0
    assert job.created_at <= job.started_at <= job.completed_at


def test_a_job_can_be_waited_for(stored) -> None:
    """By a thread, with or without a limit, or by being told."""
    ended = threading.Event()
    gate = Gate(stored, 2)
    with engine(stored) as jobs:
        id_ = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        early = jobs.wait(id_, timeout_s=0.01)
        assert jobs.when_ended(id_, lambda _: ended.set())
        gate.opened.set()
        late = jobs.wait(id_)

        assert early.state is JobState.RUNNING
        assert late.state is JobState.SUCCESS
        assert ended.wait(PATIENCE_S)
        assert jobs.when_ended(id_, lambda _: None)


def test_an_unknown_job_is_no_job(stored) -> None:
    """Whatever is asked of it."""
    with engine(stored) as jobs:
        assert jobs.job("nope") is None
        assert jobs.wait("nope") is None
        acts = (jobs.cancel, jobs.pause, jobs.resume, jobs.resubmit, jobs.delete)
        assert not any(act("nope") for act in acts)
        assert not jobs.when_ended("nope", lambda _: None)


def test_progress_is_what_is_done(stored) -> None:
    """While it runs; the whole only when the results are committed."""
    gate = Gate(stored, 3)
    with engine(stored) as jobs:
        id_ = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        running = jobs.job(id_)
        gate.opened.set()
        jobs.wait(id_)

    assert running.progress == 49
    assert running.content["InstancesCount"] == COUNT


def test_a_request_for_what_is_not_there_makes_no_job(stored) -> None:
    """It is refused with Orthanc's number."""
    request = JobRequest(JobKind.MODIFICATION, {}, ("nope",), level=Level.STUDY)
    with engine(stored) as jobs, pytest.raises(JobRefused) as raised:
        jobs.submit(request)

    assert raised.value.status is Status.UNKNOWN_RESOURCE
    assert jobs.listing() == []


def test_a_cancelled_job_leaves_nothing(stored) -> None:
    """In the middle of it: no file, no resource, and the sources stay."""
    before = stored.files()
    gate = Gate(stored, 3)
    with engine(stored) as jobs:
        id_ = jobs.submit(anonymize(stored, KeepSource=False))
        assert gate.reached.wait(PATIENCE_S)
        assert jobs.cancel(id_)
        gate.opened.set()
        job = jobs.wait(id_)

    assert (job.state, job.error.status) == (JobState.FAILURE, 37)
    assert job.error.message == "This job was canceled"
    assert stored.files() == before
    assert len(stored.ids(Level.INSTANCE)) == COUNT


def test_a_waiting_job_can_be_cancelled_at_once(stored) -> None:
    """It never begins."""
    gate = Gate(stored, 0)
    with engine(stored, workers=1) as jobs:
        first = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        second = jobs.submit(anonymize(stored))
        assert jobs.cancel(second)
        state = jobs.job(second).state
        gate.opened.set()
        jobs.wait(first)

    assert state is JobState.FAILURE
    assert jobs.job(second).started_at is None


def test_a_job_that_has_ended_cannot_be_cancelled_or_paused(stored) -> None:
    """Nothing happens, and nobody complains, as with Orthanc."""
    with engine(stored) as jobs:
        job = jobs.run(anonymize(stored))

        assert jobs.cancel(job.id)
        assert jobs.pause(job.id)
        assert jobs.job(job.id) == job


def test_a_paused_job_lets_others_run_and_goes_on_where_it_was(stored) -> None:
    """What it had made is not made again."""
    gate = Gate(stored, 3)
    with engine(stored, workers=1) as jobs:
        paused = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        assert jobs.pause(paused)
        gate.opened.set()
        jobs.run(anonymize(stored))
        held = jobs.job(paused)
        assert not jobs.resubmit(paused)
        assert jobs.resume(paused)
        done = jobs.wait(paused)

    assert (held.state, held.progress) == (JobState.PAUSED, 66)
    assert done.state is JobState.SUCCESS
    assert len(stored.ids(Level.INSTANCE)) == 3 * COUNT
    assert len(stored.files()) == 3 * COUNT


def test_a_paused_job_can_be_cancelled(stored) -> None:
    """Its files go."""
    before = stored.files()
    gate = Gate(stored, 3)
    with engine(stored) as jobs:
        id_ = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        jobs.pause(id_)
        gate.opened.set()
        while jobs.job(id_).state is JobState.RUNNING:
            jobs.wait(id_, timeout_s=0.01)
        jobs.cancel(id_)

        assert jobs.job(id_).state is JobState.FAILURE
    assert stored.files() == before


@pytest.mark.parametrize(
    ("wish", "state"), [("cancel", JobState.FAILURE), ("pause", JobState.PAUSED)]
)
def test_what_was_wished_before_a_stop_holds_after_it(stored, wish, state) -> None:
    """A job whose end was promised does not run again at the next start."""
    gate = Gate(stored, 3)
    with engine(stored) as jobs:
        id_ = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        assert getattr(jobs, wish)(id_)
        stopping = threading.Thread(target=jobs.stop, args=(PATIENCE_S,))
        stopping.start()
        while not jobs._stopping:
            stopping.join(0.001)
        gate.opened.set()
        stopping.join()
    with engine(stored) as jobs:
        later = jobs.wait(id_, timeout_s=0.1)

    assert later.state is state


def test_the_more_urgent_job_runs_first(stored) -> None:
    """Of those that wait; equal ones in the order they came."""
    gate = Gate(stored, 0)
    order: list[str] = []
    with engine(stored, workers=1) as jobs:
        first = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        low, normal, urgent, later = (
            jobs.submit(anonymize(stored, Priority=priority)) for priority in (-1, 0, 5, 0)
        )
        for id_ in (low, normal, urgent, later):
            jobs.when_ended(id_, lambda job: order.append(job.id))
        gate.opened.set()
        for id_ in (first, low, normal, urgent, later):
            jobs.wait(id_)

    assert order == [urgent, normal, later, low]


def failing(stored) -> JobRequest:
    """A request that fails of its last instance: its file is damaged."""
    path = stored.data / "instances" / stored.instances()[-1].file_name
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    return anonymize(stored, KeepSource=False)


def test_a_job_that_fails_says_why_and_leaves_nothing(stored) -> None:
    """The results of the other instances go, and every source stays."""
    request = failing(stored)
    before = stored.files()
    with engine(stored) as jobs:
        job = jobs.run(request)

    assert (job.state, job.error.status) == (JobState.FAILURE, Status.CORRUPTED_FILE)
    assert job.error.details == "a stored file is damaged"
    assert stored.files() == before
    assert len(stored.ids(Level.INSTANCE)) == COUNT


def test_a_resubmitted_job_gives_the_same_uids(stored) -> None:
    """Because they are keyed by the job; so the second run is the first one, repeated."""
    path = stored.data / "instances" / stored.instances()[-1].file_name
    good = path.read_bytes()
    request = failing(stored)
    with engine(stored) as jobs:
        failed = jobs.run(request)
        assert not jobs.resume(failed.id)
        path.write_bytes(good)
        assert jobs.resubmit(failed.id)
        done = jobs.wait(failed.id)
        assert not jobs.resubmit(failed.id)

    assert done.state is JobState.SUCCESS
    uids = {one.sop_instance_uid for one in stored.instances()}
    expected = stored.pseudonyms.uid(f"job:{failed.id}", f"{instances.ROOT}.1.1.1")
    assert expected in uids
    assert len(uids) == COUNT


def test_a_job_that_has_ended_can_be_forgotten(stored) -> None:
    """Only then."""
    gate = Gate(stored, 0)
    with engine(stored) as jobs:
        id_ = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        early = jobs.delete(id_)
        gate.opened.set()
        jobs.wait(id_)

        assert not early
        assert jobs.delete(id_)
        assert jobs.listing() == []


def test_the_oldest_jobs_are_forgotten(stored) -> None:
    """Of those that have ended; in memory and in the journal."""
    with engine(stored, history=2) as jobs:
        ids = [jobs.run(anonymize(stored)).id for _ in range(4)]

        assert [job.id for job in jobs.listing()] == ids[2:]
    with engine(stored) as jobs:
        assert [job.id for job in jobs.listing()] == ids[2:]


def test_what_was_not_done_is_done_after_the_next_start(stored) -> None:
    """Jobs that ran or waited run from their beginning; their results are there once."""
    gate = Gate(stored, 3)
    with engine(stored, workers=1) as jobs:
        running = jobs.submit(anonymize(stored))
        waiting = jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        stopper = threading.Thread(target=jobs.stop, args=(PATIENCE_S,))
        stopper.start()
        stopped = jobs.wait(running)
        gate.opened.set()
        stopper.join()
    left = stored.files()

    with engine(stored) as jobs:
        done = [jobs.wait(id_) for id_ in (running, waiting)]

    assert stopped.state is JobState.RUNNING
    assert len(left) == COUNT
    assert [job.state for job in done] == [JobState.SUCCESS, JobState.SUCCESS]
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 3 * COUNT


def test_a_job_remembers_after_a_restart(stored) -> None:
    """What has ended is told as before; what is paused stays so until it is resumed."""
    gate = Gate(stored, 1)
    with engine(stored, workers=1) as jobs:
        paused = jobs.submit(anonymize(stored, UserData="x"))
        assert gate.reached.wait(PATIENCE_S)
        jobs.pause(paused)
        gate.opened.set()
        ended = jobs.run(anonymize(stored))
        before = jobs.job(paused)

    with engine(stored) as jobs:
        after = jobs.job(paused)
        again = jobs.job(ended.id)
        assert jobs.resume(paused)
        done = jobs.wait(paused)

    assert again == ended
    assert (after.state, after.user_data) == (before.state, "x") == (JobState.PAUSED, "x")
    assert done.state is JobState.SUCCESS
    assert len(stored.ids(Level.INSTANCE)) == 3 * COUNT


def test_a_stop_does_not_wait_for_ever(stored) -> None:
    """An instance that takes too long is left behind; the end of the process ends it."""
    gate = Gate(stored, 0)
    with engine(stored) as jobs:
        jobs.submit(anonymize(stored))
        assert gate.reached.wait(PATIENCE_S)
        in_time = jobs.stop(0.05)
        gate.opened.set()

    assert not in_time


def test_many_jobs_at_once_make_exactly_what_each_alone_would(stored) -> None:
    """Forty anonymizations of one study, and a study more for each."""
    with engine(stored, threads=2) as jobs:
        request = anonymize(stored)
        ids = [jobs.submit(request) for _ in range(40)]
        states = {jobs.wait(id_).state for id_ in ids}

    statistics = stored.catalogue.statistics()
    assert states == {JobState.SUCCESS}
    assert (statistics.patients, statistics.studies, statistics.series) == (41, 41, 41)
    assert statistics.instances == len(stored.files()) == 41 * COUNT


@pytest.mark.slow
def test_forty_anonymizations_of_fifty_instances(tmp_path) -> None:
    """As above, of a series asked for by forty threads that wait."""
    with archive(tmp_path / "data") as stored:
        for number in range(1, 51):
            stored.store(instances.ct(128, 128, instance=number))
        with engine(stored, threads=2) as jobs:
            request = anonymize(stored)
            ended: list[JobState] = []
            waiting = [
                threading.Thread(target=lambda: ended.append(jobs.run(request).state))
                for _ in range(40)
            ]
            for thread in waiting:
                thread.start()
            for thread in waiting:
                thread.join(120)

        statistics = stored.catalogue.statistics()
        assert ended == [JobState.SUCCESS] * 40
        assert (statistics.patients, statistics.studies, statistics.series) == (41, 41, 41)
        assert statistics.instances == len(stored.files()) == 41 * 50

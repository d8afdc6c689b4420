"""Jobs that send: beside the others, ended, held, and taken up again."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRefused, JobRequest, JobState, Status
from scp.config import parse_config
from tests.encoded import EXPLICIT
from tests.scp.archive.archives import series
from tests.scp.archive.rewriting_apart import until
from tests.scp.archive.test_jobs import COUNT, PATIENCE_S, anonymize, engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG = """\
version: 1
destinations:
  pacs: {{ae_title: PACS, host: 127.0.0.1, port: {port}}}
routes:
  - {{from: "*", profile: basic}}
"""


@pytest.fixture
def stored(tmp_path):
    """An archive with one series of six."""
    with series(tmp_path / "data", COUNT) as made:
        yield made


@contextmanager
def receiving(on_store: Callable[[], None] = lambda: None) -> Iterator[tuple[int, list[str]]]:
    """A peer of pynetdicom: its port, and what it has got."""
    got: list[str] = []

    def store(event) -> int:
        got.append(event.request.AffectedSOPInstanceUID)
        on_store()
        return 0x0000

    entity = AE("PACS")
    entity.add_supported_context(CTImageStorage, [EXPLICIT])
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield server.socket.getsockname()[1], got
    finally:
        server.shutdown()


def destinations(tmp_path, port: int):
    """Those of a configuration that names one."""
    found = parse_config(CONFIG.format(port=port), "config.yaml", tmp_path).destinations
    return lambda: found


def send(stored, **changes) -> JobRequest:
    """A request to send the only study."""
    request = {"ids": tuple(stored.ids(Level.STUDY)[:1]), "destination": "pacs", **changes}
    return JobRequest(JobKind.STORE, {}, **request)


def test_destinations_that_do_not_answer_hold_up_no_other_jobs(stored, tmp_path) -> None:
    """More of them than there are threads that send."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        engine(stored, destinations=destinations(tmp_path, silent.getsockname()[1])) as jobs,
    ):
        sending = [jobs.submit(send(stored)) for _ in range(6)]
        made = jobs.run(anonymize(stored))
        silent.close()
        for id_ in sending:
            jobs.cancel(id_)

    assert made.state is JobState.SUCCESS


def test_a_held_job_sends_the_rest_when_it_goes_on(stored, tmp_path) -> None:
    """Nothing is sent twice."""

    def hold() -> None:
        if len(got) == 1:
            jobs.pause(jobs.listing()[0].id)

    with (
        receiving(hold) as (port, got),
        engine(stored, destinations=destinations(tmp_path, port)) as jobs,
    ):
        id_ = jobs.submit(send(stored))
        assert until(lambda: jobs.job(id_).state is JobState.PAUSED)
        held = jobs.job(id_).progress
        jobs.resume(id_)
        ended = jobs.wait(id_, PATIENCE_S)

    assert 0 < held < 99
    assert ended.state is JobState.SUCCESS
    assert (len(got), len(set(got))) == (COUNT, COUNT)


def test_a_job_that_a_stop_cut_short_is_done_after_the_next_start(stored, tmp_path) -> None:
    """It was noted before its identifier was told."""
    with receiving() as (port, got):
        named = destinations(tmp_path, port)
        with engine(stored, senders=0, destinations=named) as jobs:
            id_ = jobs.submit(send(stored))
        with engine(stored, destinations=named) as jobs:
            ended = jobs.wait(id_, PATIENCE_S)

    assert ended.state is JobState.SUCCESS
    assert len(got) == COUNT


def test_a_destination_that_the_configuration_does_not_name_is_refused(stored, tmp_path) -> None:
    """Before there is a job."""
    with engine(stored, destinations=destinations(tmp_path, 1)) as jobs:
        with pytest.raises(JobRefused) as refused:
            jobs.submit(send(stored, destination="else"))

        assert refused.value.status is Status.NO_SUCH_ITEM
        assert jobs.listing() == []


def test_a_job_whose_destination_is_gone_fails(stored, tmp_path) -> None:
    """The configuration was changed between the request and its turn."""
    with engine(stored, senders=0, destinations=destinations(tmp_path, 1)) as jobs:
        id_ = jobs.submit(send(stored))
    with engine(stored) as jobs:
        ended = jobs.wait(id_, PATIENCE_S)

    assert (ended.state, ended.error.status) == (JobState.FAILURE, Status.NO_SUCH_ITEM)

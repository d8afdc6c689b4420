"""All workers of a node: each runs by itself."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

import pytest

from scp.forwarder import Forwarder
from scp.patience import Policy
from tests.scp.delivering import Site, site_in
from tests.scp.storing import stored, uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Nothing is stored and nothing is owed."""
    with site_in(tmp_path) as made:
        yield made


@pytest.fixture
def forwarder(site: Site, deadline_s: Callable[[float], float]) -> Iterator[Forwarder]:
    """Two real workers with real clocks."""
    forwarder = Forwarder(site.journal, site.spool, ["pacs", "archive"], site.pacs.open)
    yield forwarder
    assert forwarder.stop(deadline_s(10))


def test_a_woken_worker_delivers(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """From what was owed at the start to what comes later; unknown names are harmless."""
    arrived = threading.Semaphore(0)
    site.pacs.during = lambda _: arrived.release()
    site.owe(1)
    forwarder.start()
    assert arrived.acquire(timeout=deadline_s(10))
    site.owe(2)
    forwarder.wake(["pacs", "unknown"])

    assert arrived.acquire(timeout=deadline_s(10))


def test_a_stuck_destination_does_not_delay_another(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """One hangs in the middle of an instance; the other gets everything; stop says who hangs."""
    hangs, arrived, go_on = threading.Event(), threading.Semaphore(0), threading.Event()

    def during(instance: str) -> None:
        if instance == uid(1):
            hangs.set()
            go_on.wait(deadline_s(30))
        else:
            arrived.release()

    site.pacs.during = during
    site.owe(1)
    forwarder.start()
    assert hangs.wait(deadline_s(10))
    for number in range(2, 12):
        site.journal.add(stored(site.spool, number, "archive"))
    forwarder.wake(["archive"])
    for _ in range(10):
        assert arrived.acquire(timeout=deadline_s(10))
    assert not forwarder.stop(0.01)
    go_on.set()

    assert forwarder.stop(deadline_s(10))


def test_a_destination_that_was_taken_out_of_the_configuration_is_pointed_out(
    site: Site, forwarder: Forwarder
) -> None:
    """What it is owed stays owed, and the log says so at every start."""
    site.journal.add(stored(site.spool, 1, "gone"))
    forwarder.start()

    [line] = site.logged("a destination is owed instances and is not in the configuration")
    assert (line["destination"], line["count"]) == ("gone", 1)


def test_what_a_destination_without_configuration_refused_is_pointed_out_too(
    site: Site, forwarder: Forwarder
) -> None:
    """It is held, and would wait for ever."""
    site.owe(1, 2)
    site.pacs.answer = 0x0124
    site.run(site.worker(), 10)
    assert set(site.states().values()) == {"held"}
    assert forwarder.stop(0)
    elsewhere = Forwarder(site.journal, site.spool, ["archive"], site.pacs.open)
    elsewhere.start()
    assert elsewhere.stop(10)

    [line] = site.logged("a destination is owed instances and is not in the configuration")
    assert (line["destination"], line["count"]) == ("pacs", 2)


def test_a_destination_that_comes_is_served_at_once(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """Also with what it is owed from before."""
    arrived = threading.Semaphore(0)
    site.pacs.during = lambda _: arrived.release()
    site.journal.add(stored(site.spool, 1, "new"))
    forwarder.start()

    forwarder.follow({"pacs": Policy(), "archive": Policy(), "new": Policy()})

    assert arrived.acquire(timeout=deadline_s(10))


def test_a_destination_that_goes_gets_nothing_more_until_it_is_back(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """What it is owed stays due, and the log says that it is served no more."""
    arrived = threading.Semaphore(0)
    site.pacs.during = lambda _: arrived.release()
    forwarder.start()

    forwarder.follow({"archive": Policy()})

    assert [line["destination"] for line in site.logged("a destination is served no more")] == [
        "pacs"
    ]
    site.owe(1)
    forwarder.wake(["pacs"])
    site.journal.add(stored(site.spool, 2, "archive"))
    forwarder.wake(["archive"])
    assert arrived.acquire(timeout=deadline_s(10))
    assert site.pacs.offered == [uid(2)]
    forwarder.follow({"archive": Policy(), "pacs": Policy()})
    assert arrived.acquire(timeout=deadline_s(10))


def test_a_destination_never_has_two_workers_at_work(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """One that has changed finishes its instance as it was; only then the new one begins."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def during(_: str) -> None:
        begun.release()
        go_on.wait(deadline_s(30))

    site.pacs.during = during
    site.owe(1, 2)
    forwarder.start()
    assert begun.acquire(timeout=deadline_s(10))
    before = len(site.pacs.associations)
    forwarder.follow({"archive": Policy(), "pacs": Policy(batch=1)}, anew={"pacs"})
    assert not begun.acquire(timeout=0.2)
    assert len(site.pacs.associations) == before

    go_on.set()

    assert begun.acquire(timeout=deadline_s(10))
    assert site.pacs.offered == [uid(1), uid(2)]


def test_workers_that_come_and_go_are_in_time(
    forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the housekeeping looks: before a thread begins, behind its predecessor, after."""
    begin, seen = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        seen.append(forwarder.overdue_s(time.monotonic()))
        begin(thread)
        seen.append(forwarder.overdue_s(time.monotonic()))

    monkeypatch.setattr(threading.Thread, "start", start)
    forwarder.start()
    forwarder.follow({"pacs": Policy(), "new": Policy()}, anew={"pacs"})
    forwarder.follow({"archive": Policy(), "new": Policy()})
    monkeypatch.undo()

    assert len(seen) == 2 * 5
    assert max(seen) <= 0.0


def test_a_look_is_not_disturbed_by_workers_that_come(forwarder: Forwarder) -> None:
    """What it goes through is never changed, only replaced."""
    forwarder.start()
    workers, lanes = forwarder._workers, forwarder._lanes
    before = dict(workers), dict(lanes)

    forwarder.follow({"pacs": Policy(), "archive": Policy(), "new": Policy()})

    assert (workers, lanes) == before
    assert len(forwarder._lanes) == 3


def test_a_worker_that_could_not_be_started_is_overdue(
    forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has no threads left; a stop ends all the same."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    forwarder.start()
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError):
        forwarder.follow({"pacs": Policy(), "archive": Policy(), "new": Policy()})
    monkeypatch.undo()

    assert forwarder.overdue_s(time.monotonic()) == math.inf


def test_a_worker_that_has_ended_is_overdue_for_ever(forwarder: Forwarder) -> None:
    """One that waits within its time is not."""
    forwarder.start()
    assert forwarder.overdue_s(time.monotonic()) <= 0.0

    worker = forwarder._workers["pacs"]
    worker.stopping.set()
    worker.wake()
    forwarder._lanes["pacs"].join()

    assert forwarder.overdue_s(time.monotonic()) == math.inf

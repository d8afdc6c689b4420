"""Who comes together commits together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from scp.group_commit import CommitQueue, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable


class Ledger:
    """Commits batches one at a time, each as soon as the test lets it."""

    def __init__(self) -> None:
        """Begin with the gate shut."""
        self.batches: list[int] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.busy = threading.Lock()

    def commit(self, batch: list[Ticket[None, Any]]) -> None:
        """Run a batch as a journal would."""
        assert self.busy.acquire(blocking=False), "two commits at once"
        self.batches.append(len(batch))
        self.begun.release()
        self.gate.acquire()
        for ticket in batch:
            ticket.result = ticket.work(None)
        self.busy.release()


def wait_for(condition: Callable[[], bool], limit_s: float) -> None:
    """Wait until other threads have come so far."""
    pause = threading.Event()
    for _ in range(int(limit_s * 1000)):
        if condition():
            return
        pause.wait(0.001)
    pytest.fail("it did not happen")


def test_who_is_alone_commits_at_once() -> None:
    """Nobody waits for company."""
    ledger = Ledger()
    ledger.gate.release()

    assert CommitQueue(ledger.commit).run(Ticket(lambda _: 7, durable=True)) == 7
    assert ledger.batches == [1]


def test_those_who_wait_share_the_next_commit(deadline_s: Callable[[float], float]) -> None:
    """Whoever comes during a commit is in the next one, and each gets the own result."""
    ledger = Ledger()
    queue = CommitQueue(ledger.commit)
    results: dict[int, int] = {}

    def submit(number: int) -> None:
        results[number] = queue.run(Ticket(lambda _: number * number, durable=True))

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(9)]
    threads[0].start()
    assert ledger.begun.acquire(timeout=deadline_s(10))
    for thread in threads[1:]:
        thread.start()
    wait_for(lambda: len(queue._waiting) == 8, deadline_s(10))
    ledger.gate.release(2)
    for thread in threads:
        thread.join(deadline_s(10))

    assert ledger.batches == [1, 8]
    assert results == {number: number * number for number in range(9)}


def test_an_error_reaches_the_one_who_caused_it() -> None:
    """A ticket's error is raised where the ticket came from, and the queue goes on."""

    def commit(batch: list[Ticket[None, Any]]) -> None:
        for ticket in batch:
            ticket.error = ValueError("refused") if ticket.durable else None

    queue = CommitQueue(commit)
    with pytest.raises(ValueError, match="refused"):
        queue.run(Ticket(lambda _: 1, durable=True))

    assert queue.run(Ticket(lambda _: 1, durable=False)) is None


def test_many_threads_all_get_their_turn(deadline_s: Callable[[float], float]) -> None:
    """The lead is handed on without a gap: nobody is left waiting."""
    counted: list[int] = []

    def commit(batch: list[Ticket[None, Any]]) -> None:
        for ticket in batch:
            ticket.result = ticket.work(None)

    queue = CommitQueue(commit)

    def submit() -> None:
        for _ in range(300):
            queue.run(Ticket(lambda _: counted.append(1), durable=True))

    threads = [threading.Thread(target=submit, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline_s(30))

    assert len(counted) == 2400

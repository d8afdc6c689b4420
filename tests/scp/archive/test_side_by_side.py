"""Several threads at one list: everything is done once, or what is left is still in it."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from scp.archive.side_by_side import drain


def always() -> bool:
    """Nobody asks for a stop."""
    return True


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_everything_is_done_once(threads) -> None:
    """Whatever the number of threads, nothing is left out or done twice."""
    todo = deque(range(100))
    done: list[int] = []

    drain(todo, done.append, threads=threads, go_on=always)

    assert sorted(done) == list(range(100))


def test_several_work_at_once() -> None:
    """Two items that need each other both finish."""
    together = threading.Barrier(2, timeout=5)

    drain(deque([1, 2]), lambda _: together.wait(), threads=2, go_on=always)

    assert together.n_waiting == 0


def test_what_is_not_begun_stays_in_the_list() -> None:
    """A stop comes between two items; later the rest can be done."""
    todo = deque(range(10))
    done: list[int] = []

    drain(todo, done.append, threads=1, go_on=lambda: len(done) < 4)
    left = list(todo)
    drain(todo, done.append, threads=1, go_on=always)

    assert left == [4, 5, 6, 7, 8, 9]
    assert done == list(range(10))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_failure_ends_all(threads) -> None:
    """What fails is raised in the caller's thread, and nothing more is begun."""
    todo = deque(range(1000))

    def fail_at_five(item: int) -> None:
        if item == 5:
            raise LookupError

    with pytest.raises(LookupError):
        drain(todo, fail_at_five, threads=threads, go_on=always)

    assert todo or threads > 1

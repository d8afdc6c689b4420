"""Several threads at one list of things to do, which stop between two of them.

What is not done stays in the list, so that it can be gone on with later.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

T = TypeVar("T")


def drain(
    todo: deque[T], work: Callable[[T], None], *, threads: int, go_on: Callable[[], bool]
) -> None:
    """Do what is to do, the caller's thread among those that do; returns when all rest.

    Args:
        todo: Taken from the left.
        work: Done to each; the first that raises is the last that is begun.
        threads: How many, at most.
        go_on: Asked before each one.

    Raises:
        Exception: what `work` raised first.
    """
    failures: list[BaseException] = []

    def hand() -> None:
        try:
            while not failures and go_on():
                try:
                    item = todo.popleft()
                except IndexError:
                    return
                work(item)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            failures.append(error)

    count = min(threads, len(todo)) - 1
    others = [threading.Thread(target=hand, name="job", daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    hand()
    for other in others:
        other.join()
    if failures:
        raise failures[0]

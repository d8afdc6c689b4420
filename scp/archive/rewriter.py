"""A process that makes instances anew beside the node; it begins in `rewriter_start`.

The promise:

1. What it answers is synced before it says so; it commits nothing, and names nothing for good.
2. Of what it cannot do it says only that: the node does it again and sees why for itself.
3. It does not outlive the node: when its orders end while it works, it ends at once, and what it
   has written and not answered has no row, so that the next start deletes it.
4. A sync that fails is said at once, and is the last thing it says.

One thread rewrites and a few sync behind it, so that neither waits for the other.
"""

from __future__ import annotations

import gc
import os
import queue
import select
import threading
from typing import TYPE_CHECKING, BinaryIO, Final

from rules import Pseudonyms
from scp import logs
from scp.archive.facts import facts_of
from scp.archive.modifier import Modifier
from scp.archive.recipe import Recipe
from scp.archive.rewriter_talk import (
    FATAL,
    READY,
    Setup,
    line_of,
    read_frame,
    read_order,
)
from scp.limits import Budget
from scp.process import seal
from scp.spool import Spool

if TYPE_CHECKING:
    from scp.archive.modifier import Treatment, Written
    from scp.archive.rewriter_talk import Task

_SEALERS: Final = 3
_UNSEALED: Final = 2 * _SEALERS
"""Instances that are written and not synced, at most."""
_COLLECT_AFTER: Final = 50_000
_MS_PER_S: Final = 1000


class _Worker:
    """Does what it is told, and answers."""

    def __init__(self, setup: Setup, answers: BinaryIO) -> None:
        self._spool = Spool(setup.data, marks=setup.marks)
        self._modifier = Modifier(
            self._spool,
            Pseudonyms(setup.key),
            limits=setup.limits,
            budget=Budget(setup.budget_bytes),
        )
        self._answers = answers
        self._answering = threading.Lock()
        self._orders: queue.SimpleQueue[str | list[Task] | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[tuple[int, Written]] = queue.SimpleQueue()
        self._room = threading.Semaphore(_UNSEALED)
        self._open = 0
        threading.Thread(target=self._rewrite, name="rewriting", daemon=True).start()
        for number in range(_SEALERS):
            threading.Thread(target=self._seal, name=f"sealing {number}", daemon=True).start()

    @property
    def is_idle(self) -> bool:
        """Whether everything is answered."""
        with self._answering:
            return not self._open

    def put(self, order: str | list[Task]) -> None:
        """Do this next."""
        if not isinstance(order, str):
            with self._answering:
                self._open += len(order)
        self._orders.put(order)

    def leave(self) -> None:
        """Remove the empty files that were made in advance."""
        self._spool.close()

    def _rewrite(self) -> None:
        treatment: Treatment | None = None
        while (order := self._orders.get()) is not None:
            if isinstance(order, str):
                treatment = _treatment(order)
                continue
            for task in order:
                self._begin(task, treatment)

    def _begin(self, task: Task, treatment: Treatment | None) -> None:
        if treatment is None:
            self._answer(line_of(task.number))
            return
        self._room.acquire()
        try:
            written = self._modifier.write(task, treatment)
        except Exception:  # noqa: BLE001 - whatever it is, the node will see it
            self._room.release()
            self._answer(line_of(task.number))
        else:
            self._written.put((task.number, written))

    def _seal(self) -> None:
        while True:
            number, written = self._written.get()
            try:
                line = line_of(number, facts_of(written.seal()))
            except Exception:  # noqa: BLE001 - as above
                line = line_of(number)
            self._room.release()
            self._answer(line)

    def _answer(self, line: bytes) -> None:
        failed = self._spool.fatal.is_set()
        try:
            with self._answering:
                self._answers.write(FATAL + b"\n" if failed else line)
                self._answers.flush()
                self._open -= 1
        except OSError:
            failed = True  # nobody listens
        if failed:
            os._exit(1)


def _treatment(recipe: str) -> Treatment | None:
    try:
        return Recipe.from_json(recipe).treatment()
    except Exception:  # noqa: BLE001 - as above
        return None


def main() -> None:
    """Do what comes over stdin until it ends, or until nothing has come for a while."""
    seal()
    logs.configure(level="error")
    # What a library may print must not mix with answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    orders = os.fdopen(0, "rb", buffering=0)
    begin = read_frame(orders)
    if begin is None:
        return
    setup = Setup.from_json(begin)
    worker = _Worker(setup, answers)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    answers.write(READY + b"\n")
    answers.flush()
    _serve(worker, orders, setup.idle_s)
    worker.leave()


def _serve(worker: _Worker, orders: BinaryIO, idle_s: float) -> None:
    poll = select.poll()
    poll.register(orders.fileno(), select.POLLIN)
    while True:
        if not poll.poll(idle_s * _MS_PER_S):
            if worker.is_idle:
                return
            continue
        content = read_frame(orders)
        if content is None:
            if worker.is_idle:
                return
            os._exit(1)
        worker.put(read_order(content))

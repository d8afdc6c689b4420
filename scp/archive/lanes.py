"""The work of a job shared with the processes beside the node.

Threads of the node work until every process has its lane: then these alone go on. What a process
cannot do, or had to leave undone, goes back into the list for the threads.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from scp.archive.rewriter_talk import Lost
from scp.archive.side_by_side import drain
from scp.errors import ScpError

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence

    from scp.archive.resources import StoredInstance
    from scp.archive.rewriters import Rewriter, Rewriters

CHUNK: Final = 8
"""Instances that are given to a process together, and that a stop may have to wait for twice."""


class Work(Protocol):
    """What the lanes need of a job."""

    def make(self, number: int) -> None:
        """Make one in this thread; raises what ends the job."""

    def note(self, number: int, source: StoredInstance, facts: bytes) -> None:
        """A process has made one; raises what ends the job."""

    def fail_disk(self) -> None:
        """A sync has failed."""


class Lanes:
    """One round of work on a list of numbers."""

    def __init__(
        self,
        work: Work,
        todo: deque[int],
        sources: Sequence[StoredInstance],
        rewriters: Rewriters,
        recipe: str,
    ) -> None:
        """Bind it.

        Args:
            work: The job's.
            todo: Numbers; what is not done is in it afterwards.
            sources: By number.
            rewriters: The processes.
            recipe: What they are told.
        """
        self._work = work
        self._todo = todo
        self._sources = sources
        self._rewriters = rewriters
        self._recipe = recipe
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._undone: list[int] = []
        self._failures: list[BaseException] = []

    def run(self, threads: int, go_on: Callable[[], bool]) -> None:
        """Work until nothing is left but what the processes could not do.

        Args:
            threads: Of the node, while processes are missing.
            go_on: Asked before each instance.

        Raises:
            Exception: what ended the job.
        """

        def still() -> bool:
            return not self._failures and go_on()

        try:
            drain(self._todo, self._work.make, threads=threads, go_on=lambda: self._alone(still))
        except BaseException as error:  # noqa: BLE001 - raised below, when the lanes have ended
            self._failures.append(error)
        for thread in self._threads:
            thread.join()
        self._todo.extendleft(sorted(self._undone, reverse=True))
        if self._failures:
            raise self._failures[0]

    def _alone(self, still: Callable[[], bool]) -> bool:
        """Whether the node's threads are to go on; opens a lane where a process is ready."""
        with self._lock:
            while self._busy < self._rewriters.count and len(self._todo) > CHUNK:
                rewriter = self._rewriters.take()
                if rewriter is None:
                    break
                self._busy += 1
                lane = threading.Thread(
                    target=self._serve, args=(rewriter, still), name="job lane", daemon=True
                )
                self._threads.append(lane)
                lane.start()
            return self._busy < self._rewriters.count and still()

    def _serve(self, rewriter: Rewriter, still: Callable[[], bool]) -> None:
        waiting: dict[int, StoredInstance] = {}
        try:
            rewriter.begin(self._recipe)
            while self._feed(rewriter, waiting, still):
                self._hear(rewriter, waiting)
        except Lost:
            if rewriter.failed:
                self._work.fail_disk()
        except BaseException as error:  # noqa: BLE001 - raised in the job's own thread
            rewriter.lost = True
            self._failures.append(error)
        finally:
            with self._lock:
                self._undone += waiting
            self._rewriters.give_back(rewriter)

    def _feed(
        self,
        rewriter: Rewriter,
        waiting: dict[int, StoredInstance],
        still: Callable[[], bool],
    ) -> bool:
        """Keep it busy; whether it owes answers."""
        while len(waiting) <= CHUNK and still() and (chunk := self._chunk()):
            waiting.update(chunk)
            rewriter.give(chunk)
        return bool(waiting)

    def _chunk(self) -> dict[int, StoredInstance]:
        found: dict[int, StoredInstance] = {}
        with suppress(IndexError):
            while len(found) < CHUNK:
                number = self._todo.popleft()
                try:
                    found[number] = self._sources[number]
                except ScpError:
                    self._leave(number)
        return found

    def _hear(self, rewriter: Rewriter, waiting: dict[int, StoredInstance]) -> None:
        number, facts = rewriter.answer()
        source = waiting.pop(number, None)
        if source is None:
            rewriter.lost = True
            raise Lost
        if not facts:
            self._leave(number)
            return
        try:
            self._work.note(number, source, facts)
        except Exception as error:  # noqa: BLE001 - the others are still to be heard
            self._failures.append(error)

    def _leave(self, number: int) -> None:
        with self._lock:
            self._undone.append(number)

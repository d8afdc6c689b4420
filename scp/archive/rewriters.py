"""The processes that rewrite beside the node: started when a large job comes, ended when idle.

- One for each processor, up to a few. Python runs one thread at a time in each process, and the
  node goes on with what else it does.
- They are started one after the other while the job that wants them goes on without.
- Each gets a share of the node's budget while it works.
- One that fails costs nothing but time: what it has not answered is done again in the node.
- They end with the node, however it ends: see `rewriter`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.archive.rewriter_talk import (
    FATAL,
    READY,
    Lost,
    chunk_of,
    framed,
    read_line,
    recipe_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scp.archive.modifier import Stored
    from scp.archive.rewriter_talk import Setup
    from scp.limits import Budget
    from scp.logs import Log

MOST: Final = 4
"""Processes, however many processors there are."""
SHARE_BYTES: Final = 16 << 20
"""Of the node's budget, for each process while it works."""
IDLE_S: Final = 60.0
"""After so long without work a process ends."""
MODULE: Final = "scp.archive.rewriter_start"
"""What a process runs."""
_LAST_WORDS_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of jobs, in instances.

    Attributes:
        worth_using: So many are shared with processes that are there.
        worth_starting: For so many, processes are started.
    """

    worth_using: int = 32
    worth_starting: int = 128


class Rewriters:
    """The processes of one node; safe for use by many threads."""

    def __init__(
        self,
        setup: Setup,
        budget: Budget,
        *,
        processes: int | None = None,
        sizes: Sizes = Sizes(),
        log: Log | None = None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            setup: What each must know.
            budget: The node's.
            processes: How many; None for one per processor, up to `MOST`.
            sizes: Of jobs.
            log: Where events go.
        """
        self.count = processes or min(len(os.sched_getaffinity(0)), MOST)
        self.sizes = sizes
        self._setup = setup
        self._budget = budget
        self._log = log if log is not None else logs.log()
        self._lock = threading.Lock()
        self._all: set[Rewriter] = set()
        self._free: list[Rewriter] = []
        self._starting = False
        self._closed = False

    @property
    def ready(self) -> int:
        """How many wait for something to do."""
        with self._lock:
            return len(self._free)

    @property
    def pids(self) -> list[int]:
        """The process ids of all of them."""
        with self._lock:
            return sorted(one.pid for one in self._all)

    def prepare(self) -> None:
        """Start what is missing, in the background."""
        with self._lock:
            self._reap()
            if self._starting or self._closed or len(self._all) >= self.count:
                return
            self._starting = True
        threading.Thread(target=self._start, name="starting rewriters", daemon=True).start()

    def take(self) -> Rewriter | None:
        """One that is ready, to be given back; None if there is none, or no room for its work."""
        with self._lock:
            self._reap()
            if self._closed or not self._free:
                return None
            if not self._budget.reserve(self._setup.budget_bytes, 0.0):
                return None
            return self._free.pop()

    def give_back(self, rewriter: Rewriter) -> None:
        """It has nothing to do any more, or is lost."""
        self._budget.release(self._setup.budget_bytes)
        with self._lock:
            if not rewriter.lost and not self._closed:
                self._free.append(rewriter)
                return
            self._all.discard(rewriter)
        rewriter.end()

    def keep(self) -> None:
        """Let go of those that have ended by themselves; to be called now and then."""
        with self._lock:
            self._reap()

    def close(self) -> None:
        """End all of them; what one is doing is lost."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
            working = self._all.difference(free)
            self._all.difference_update(free)
        for rewriter in working:
            rewriter.kill()
        for rewriter in free:
            rewriter.dismiss()
        for rewriter in free:
            rewriter.end()

    def _reap(self) -> None:
        """Under the lock: forget those among the free that have ended."""
        for rewriter in [one for one in self._free if not one.is_alive]:
            self._free.remove(rewriter)
            self._all.discard(rewriter)
            rewriter.end()

    def _start(self) -> None:
        while (rewriter := self._begin_one()) is not None:
            if not rewriter.is_ready():
                rewriter.lost = True
                self._log.error("a process that rewrites has failed to start")
                break
            with self._lock:
                if self._closed:
                    rewriter.lost = True
                    break
                self._free.append(rewriter)
        with self._lock:
            self._starting = False
            if rewriter is not None:
                self._all.discard(rewriter)
        if rewriter is not None:
            rewriter.end()

    def _begin_one(self) -> Rewriter | None:
        with self._lock:
            if self._closed or len(self._all) >= self.count:
                return None
            try:
                rewriter = Rewriter(self._setup)
            except OSError as error:
                self._log.error("a process that rewrites was not started", **logs.of_error(error))
                return None
            self._all.add(rewriter)
            return rewriter


class Rewriter:
    """One process and the pipes to it; one thread at a time.

    Attributes:
        lost: Whether it is of no use any more.
        failed: Whether it has said that a sync failed.
    """

    def __init__(self, setup: Setup) -> None:
        """Start it.

        Raises:
            OSError: it cannot be started.
        """
        # -B writes no bytecode; -P imports nothing from where the node happens to be started.
        self._process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            [sys.executable, "-B", "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # an interrupt at the terminal is for the node to judge
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        assert self._process.stdout is not None  # noqa: S101
        self._to, self._from = self._process.stdin, self._process.stdout
        self.lost = False
        self.failed = False
        with suppress(Lost):
            self._say(setup.to_json())

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def is_ready(self) -> bool:
        """Wait until it can be given something; False if that will never be."""
        with suppress(OSError):
            return self._from.readline() == READY + b"\n"
        return False

    def begin(self, recipe: str) -> None:
        """Do what comes next by this recipe.

        Raises:
            Lost: it is gone.
        """
        self._say(recipe_of(recipe))

    def give(self, sources: Mapping[int, Stored]) -> None:
        """Some instances by number; each gets one answer.

        Raises:
            Lost: it is gone.
        """
        self._say(chunk_of(sources))

    def answer(self) -> tuple[int, bytes]:
        """Wait for the next answer: a number, and the facts, empty where there is no result.

        Raises:
            Lost: there is none.
        """
        try:
            line = self._from.readline()
            self.failed = line == FATAL + b"\n"
            return read_line(line)
        except (Lost, OSError):
            self.lost = True
            raise Lost from None

    def dismiss(self) -> None:
        """Tell it to end, if it has nothing to do."""
        with suppress(OSError):
            self._to.close()

    def kill(self) -> None:
        """Stop it at once, whatever it does; another thread may be waiting for it."""
        self._process.kill()

    def end(self) -> None:
        """Give back what it took; it is stopped, unless it ends by itself."""
        self.dismiss()
        if self.lost:
            self.kill()
        try:
            self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._from.close()

    def _say(self, content: bytes) -> None:
        try:
            self._to.write(framed(content))
            self._to.flush()
        except (OSError, ValueError):
            self.lost = True
            raise Lost from None

"""Group commit: those who commit at the same moment share one transaction and one sync.

There is no thread for it, and nobody who is alone waits for anybody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
W = TypeVar("W")


class Ticket(Generic[W, T]):
    """A piece of work that waits for a transaction."""

    __slots__ = ("done", "durable", "error", "result", "turn", "work")

    def __init__(self, work: Callable[[W], T], *, durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.turn: threading.Event | None = None
        self.done = False
        self.error: BaseException | None = None
        self.result: T | None = None


class CommitQueue(Generic[W]):
    """Runs work in transactions; the first who comes commits for all who come meanwhile.

    The leader commits one batch, then hands the lead to the first of those who came during that
    commit. So nobody waits for more than the commit in progress and his own.
    """

    def __init__(self, commit: Callable[[list[Ticket[W, Any]]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[Ticket[W, Any]] = []
        self._busy = False

    def run(self, ticket: Ticket[W, T]) -> T:
        """Return what the work returned, committed; raises what it or the commit raised."""
        with self._lock:
            self._waiting.append(ticket)
            if self._busy:
                ticket.turn = threading.Event()
            self._busy = True
        if ticket.turn is not None:
            ticket.turn.wait()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return cast("T", ticket.result)

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._commit(batch)
        finally:
            with self._lock:
                heir = self._waiting[0] if self._waiting else None
                self._busy = heir is not None
            for ticket in batch:
                ticket.done = True
                if ticket.turn is not None:
                    ticket.turn.set()
            if heir is not None and heir.turn is not None:
                heir.turn.set()

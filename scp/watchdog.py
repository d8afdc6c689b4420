"""Whether the node gets on with its work, judged by the work itself.

- systemd hears that the node is alive only while every part of it has moved within its time; a
  node that is up and does nothing is started again.
- A slow or silent peer is no reason: what waits for a peer has a deadline of its own.
- A stop of the whole process, by a debugger or a machine that was suspended, is no reason: who
  was late himself lets the others move first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scp import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LISTENER_S: Final = 30.0
"""Without a turn of an accepting thread, which turns every 5 s: see `scp.listener`."""
DISK_S: Final = 30.0
"""For one transaction or sync; SQLite waits 10 s for another writer, a disk syncs in seconds."""
WORKER_S: Final = 30.0
"""Behind the end of a wait of a forwarder."""
_FEEDS: Final = 3
"""In the time that systemd waits for one, so that a lost or late message does no harm."""
_LATE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the node that has to move.

    Attributes:
        name: A fixed sentence for the log.
        still_s: How long it has not moved, at a moment of the monotonic clock.
        most_s: How long it may be so.
    """

    name: str
    still_s: Callable[[float], float]
    most_s: float


class Watchdog:
    """Looks at the parts whenever it is told to; one thread calls `look`, every second or so."""

    def __init__(
        self,
        parts: Sequence[Part],
        feed: Callable[[], object],
        *,
        patience_s: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with all parts in motion.

        Args:
            parts: What has to move.
            feed: Says that the node is alive.
            patience_s: Within how many seconds somebody waits to hear so; None for nobody, and
                then a part that stands still is only logged.
            monotonic: The clock, in seconds.
        """
        self._parts = parts
        self._feed = feed
        self._every_s = None if patience_s is None else patience_s / _FEEDS
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._fed_at = -float("inf")
        self._still: frozenset[str] = frozenset()
        self._log = logs.log()

    def look(self) -> None:
        """Judge every part, say what has changed, and feed if all move and it is time."""
        now = self._monotonic()
        was_late = now - self._looked_at > _LATE_S
        self._looked_at = now
        if not was_late:
            self._judge(now)
        if self._every_s is not None and not self._still and now - self._fed_at >= self._every_s:
            self._fed_at = now
            self._feed()

    def _judge(self, now: float) -> None:
        still = frozenset(part.name for part in self._parts if part.still_s(now) > part.most_s)
        for name in still - self._still:
            self._log.error("a part of the node does not move any more", reason=name)
        for name in self._still - still:
            self._log.warning("a part of the node moves again", reason=name)
        self._still = still

"""Who may come in now: places for connections, and how fast one address may take them.

Promises: all listeners of a node together keep to the same caps; an address that connects too
often waits, and only it; what is remembered of addresses is bounded.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from scp.limits import Limits

_BURST_S: Final = 2.0
_MOST_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """What a connection gets.

    Attributes:
        address: of the peer.
        full: whether all places are taken, so that its request is only rejected.
        pause_s: how long it waits before anything is read from it.
    """

    address: str
    full: bool
    pause_s: float


class Places:
    """The places of a node; any thread may take one or give it back."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = monotonic) -> None:
        """All are free."""
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._rejecting = 0
        self._paid_until: dict[str, float] = {}

    def take(self, address: str) -> Place | None:
        """Take a place; None if the connection is to be closed without a word."""
        limits = self._limits
        with self._lock:
            now = self._clock()
            pause_s = max(0.0, self._paid_until.get(address, now) - now - _BURST_S)
            full = (
                self._taken.total() >= limits.connections
                or self._taken[address] >= limits.connections_per_address
            )
            # Those that are only told to go away take no place of the others.
            if pause_s > limits.pause_s or (full and self._rejecting >= limits.turned_away):
                return None
            self._pay(address, now)
            if full:
                self._rejecting += 1
            else:
                self._taken[address] += 1
            return Place(address, full, pause_s)

    def leave(self, place: Place) -> None:
        """Give a place back; once."""
        with self._lock:
            if place.full:
                self._rejecting -= 1
                return
            self._taken[place.address] -= 1
            if not self._taken[place.address]:
                del self._taken[place.address]

    def _pay(self, address: str, now: float) -> None:
        """Each connection costs its part of a second, from now or from when the last is paid."""
        if len(self._paid_until) >= _MOST_REMEMBERED:
            held = {one: until for one, until in self._paid_until.items() if until > now}
            # So many in two seconds are too many to keep apart: the caps must do.
            self._paid_until = held if len(held) < _MOST_REMEMBERED else {}
        begun = max(now, self._paid_until.get(address, now))
        self._paid_until[address] = begun + 1 / self._limits.connections_per_s

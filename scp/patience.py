"""How patient the forwarder is with a destination: pure, the clock and chance are handed in.

A destination is a circuit with one breaker. It is closed while the destination works. A failure
that is the destination's opens it, for a time that doubles up to a cap, with full jitter. Then it
is half open: one instance in one association decides whether it closes or opens again.

What fails while it is being sent may itself be what makes the destination fail. The first such
failure opens nothing: the next instance tells which of the two it was. What failed before is a
suspect; suspects wait for each other, and nothing that was never tried waits for them.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

Context = tuple[str, str]
"""SOP class and transfer syntax."""

_DOUBLINGS: Final = 62
"""More would not fit a float's exact range; the cap has long been reached."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the forwarder is.

    Attributes:
        base_s: Upper bound of the first wait; each further one is twice as long.
        cap_s: Upper bound of every wait.
        lifetime_s: How long a delivery is tried before it has failed.
        strikes: Attempts that count against an instance before its delivery has failed.
        batch: Deliveries taken at a time.
        contexts: Presentation contexts proposed in an association (PS3.8 9.3.2.2: 128).
        look_again_s: How soon a worker sees what another process asked for.
    """

    base_s: float = 5.0
    cap_s: float = 900.0
    lifetime_s: float = 5 * 86400.0
    strikes: int = 3
    batch: int = 256
    contexts: int = 128
    look_again_s: float = 15.0

    def wait_s(self, failures: int, random: Callable[[], float]) -> float:
        """How long to wait after so many failures in a row."""
        return next_attempt(failures, random, self.base_s, self.cap_s)


def next_attempt(failures: int, random: Callable[[], float], base_s: float, cap_s: float) -> float:
    """How long to wait after so many failures in a row: full jitter.

    Args:
        failures: At least 1.
        random: Uniform in [0, 1).
        base_s: Upper bound of the first wait.
        cap_s: Upper bound of every wait.

    Returns:
        Seconds, uniform between 0 and the bound.
    """
    bound_s: float = min(cap_s, base_s * 2.0 ** min(failures - 1, _DOUBLINGS))
    return random() * bound_s


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that a worker takes from outside, so that a simulation can take its place.

    Attributes:
        wall: Clock of what is stored, seconds since 1970.
        monotonic: Clock of waits and durations, in seconds.
        random: Uniform in [0, 1).
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random


@dataclass(slots=True)
class Breaker:
    """Whether a destination may be asked now; every moment is one of the monotonic clock.

    Attributes:
        failures: Failed attempts since the destination last worked; 0 while it is closed.
        until: While it is open, the moment at which it becomes half open.
        refused: The contexts that a hold is about; empty means everything.
        doubted: Whether an instance failed since, and nobody knows yet whose fault it was.
        suspects: When the next of those that failed before may be offered.
        suspicions: How many of those have failed since the destination last worked.
    """

    failures: int = 0
    until: float = -math.inf
    refused: frozenset[Context] = field(default_factory=frozenset)
    doubted: bool = False
    suspects: float = -math.inf
    suspicions: int = 0

    @property
    def probes(self) -> bool:
        """Whether the next association is one attempt with one instance."""
        return self.failures > 0

    def left_s(self, now: float) -> float:
        """Seconds until it is half open; 0.0 if it is not open."""
        return max(0.0, self.until - now)

    def suspects_left_s(self, now: float) -> float:
        """Seconds until what failed before may be offered."""
        return max(0.0, self.suspects - now)

    def open(self, now: float, wait_s: float) -> None:
        """The destination does not work: leave it alone."""
        self.failures += 1
        self.until = now + wait_s
        self.refused = frozenset()

    def hold(self, now: float, wait_s: float, refused: frozenset[Context]) -> None:
        """The destination refuses these contexts, or everything if there are none."""
        known = self.refused
        self.open(now, wait_s)
        self.refused = known | refused if refused else frozenset()

    def is_first_doubt(self) -> bool:
        """An instance failed that never did before: whether the next one shall decide."""
        first = not self.doubted and not self.failures
        self.doubted = True
        return first

    def suspect(self, now: float, wait_s: float) -> None:
        """What failed before has failed again: the others of its kind wait."""
        self.suspicions += 1
        self.suspects = now + wait_s

    def rest(self, now: float, wait_s: float) -> None:
        """Something of this node failed: count nothing, and leave it alone for a moment."""
        self.until = now + wait_s

    def close(self) -> bool:
        """The destination works; whether it was thought not to."""
        known = self.failures > 0
        self.failures, self.until, self.refused = 0, -math.inf, frozenset()
        self.doubted, self.suspects, self.suspicions = False, -math.inf, 0
        return known

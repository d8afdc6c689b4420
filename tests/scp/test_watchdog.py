"""Who feeds the watchdog, and who does not: on a clock that the test turns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from scp.watchdog import Part, Watchdog

PATIENCE_S = 30.0
MOST_S = 20.0


@dataclass
class Kennel:
    """A watchdog with two parts to watch."""

    now: float = 0.0
    still_s: dict[str, float] = field(default_factory=lambda: {"one": 0.0, "two": 0.0})
    fed_at: list[float] = field(default_factory=list)
    patience_s: float | None = PATIENCE_S

    def __post_init__(self) -> None:
        parts = [
            Part(name, lambda _, name=name: self.still_s[name], MOST_S) for name in self.still_s
        ]
        self.dog = Watchdog(
            parts,
            lambda: self.fed_at.append(self.now),
            patience_s=self.patience_s,
            monotonic=lambda: self.now,
        )

    def pass_by(self, seconds: int) -> int:
        """Let time pass and look every second; how often it was fed meanwhile."""
        before = len(self.fed_at)
        for _ in range(seconds):
            self.now += 1.0
            self.dog.look()
        return len(self.fed_at) - before


@pytest.fixture
def kennel() -> Kennel:
    """One whose parts move."""
    return Kennel()


def test_it_is_fed_three_times_in_its_patience(kennel: Kennel) -> None:
    """A message may be lost or late."""
    assert kennel.pass_by(60) == 6
    assert {later - earlier for earlier, later in pairwise(kennel.fed_at)} == {10.0}


@pytest.mark.parametrize("name", ["one", "two"])
def test_it_is_not_fed_while_a_part_stands_still(kennel: Kennel, name: str) -> None:
    """Whichever it is; once that moves again, it is fed again."""
    kennel.pass_by(10)
    kennel.still_s[name] = MOST_S + 1.0
    assert kennel.pass_by(60) == 0

    kennel.still_s[name] = 0.0
    assert kennel.pass_by(1) == 1


def test_a_part_that_has_ended_stands_still(kennel: Kennel) -> None:
    """Infinitely long."""
    kennel.pass_by(10)
    kennel.still_s["two"] = math.inf

    assert kennel.pass_by(60) == 0


def test_a_part_that_is_slow_within_its_time_is_alive(kennel: Kennel) -> None:
    """Slow is not dead."""
    kennel.still_s["one"] = MOST_S

    assert kennel.pass_by(30) == 3


def test_after_a_pause_of_the_whole_process_the_others_move_first(kennel: Kennel) -> None:
    """A debugger or a suspended machine has stopped them, not a defect."""
    kennel.pass_by(10)
    kennel.now += 3600.0
    kennel.still_s = {"one": 3600.0, "two": 3600.0}
    assert kennel.pass_by(1) == 1

    kennel.still_s = {"one": 0.0, "two": 0.0}
    assert kennel.pass_by(60) == 6


def test_where_nobody_waits_nothing_is_said() -> None:
    """The parts are looked at all the same, for the log."""
    kennel = Kennel(patience_s=None)

    assert kennel.pass_by(60) == 0

"""A simulation of everything that keeps instances, from seeds: no seed breaks a promise.

ANONODE_SEED=7 replays one seed and prints its story.
"""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.model.judge import Violated
from tests.model.seeds import run_side_by_side
from tests.sizes import NIGHTLY, size

if TYPE_CHECKING:
    from tests.model.simulation import Worlds

QUICK = 12
"""Seeds of the run that is not slow."""


def test_a_few_seeds_break_no_promise(worlds: Worlds) -> None:
    """Acknowledged is delivered, owed or failed for a reason, after any death."""
    for seed in range(QUICK):
        worlds.run(seed)


def test_equal_seeds_give_equal_runs(worlds: Worlds) -> None:
    """A seed that fails can be replayed: every operation on the disk is the same."""
    once, again = (worlds.simulation(5) for _ in range(2))
    once.run()
    again.run()

    assert once.story == again.story
    assert once.tally == again.tally


@pytest.mark.slow
def test_no_seed_breaks_a_promise(worlds: Worlds, deadline_s, figures) -> None:
    """T-SIM: receptions, deliveries, faults, deaths and losses of power in every order."""
    chosen = os.environ.get("ANONODE_SEED")
    if chosen is not None:
        replay(worlds, int(chosen))
        return
    count = size(ci=500, nightly=10_000)
    # What runs for every change is the same each time; a night looks where nobody has been.
    first = random.SystemRandom().randrange(1 << 32) if NIGHTLY else 0
    print(f"seeds from {first}")
    begun = time.monotonic()

    tally, failures = run_side_by_side(first, count, deadline_s(1200))

    print(f"{count} seeds in {time.monotonic() - begun:.0f} s: {tally}")
    assert failures == []
    figures(
        "T-SIM",
        seeds=count,
        acknowledged=tally.acknowledged,
        deaths=tally.deaths,
        losses_of_power=tally.losses,
        faults=tally.faults,
        lost=0,
    )


def replay(worlds: Worlds, seed: int) -> None:
    """Run one seed, and tell its story."""
    simulation = worlds.simulation(seed)
    try:
        simulation.run()
    except Violated:
        print("\n".join(simulation.story))
        raise

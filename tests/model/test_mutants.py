"""The simulation can fail: it finds every safeguard that is taken away from the product."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.judge import Violated
from tests.model.mutants import ORDERS, SYNCS, Mutant
from tests.sizes import size

if TYPE_CHECKING:
    from tests.model.simulation import Worlds


def caught_at(worlds: Worlds, mutant: Mutant, most: int) -> int:
    """How many seeds it takes until one fails; 0 if none does."""
    with mutant.applied():
        for seed in range(most):
            try:
                worlds.run(seed, mutant.parts)
            except Violated as violated:
                print(f"{mutant.lacks}: {violated}")
                return seed + 1
    return 0


@pytest.mark.slow
def test_every_mutant_is_caught(worlds: Worlds, figures) -> None:
    """T-MUTANT: without any one sync, or with any one order reversed, something is lost."""
    most = size(ci=600, nightly=2000)
    taken = {mutant.lacks: caught_at(worlds, mutant, most) for mutant in (*SYNCS, *ORDERS)}

    missed = [lacks for lacks, seeds in taken.items() if not seeds]
    assert missed == []
    figures(
        "T-MUTANT",
        mutants=len(taken),
        caught=len(taken) - len(missed),
        most_seeds=max(taken.values()),
    )

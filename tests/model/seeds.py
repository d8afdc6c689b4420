"""Runs seeds of the simulation in a process of their own: `python -m tests.model.seeds 7 1 500`.

Every further number is one seed later; the third says how many. What it prints is one object of
JSON: what happened in all of them together, and the failures.
"""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from scp import logs
from tests.model.judge import Violated
from tests.model.simulation import Tally, Worlds

CHECKOUT = Path(__file__).parents[2]
MOST_FAILURES = 5


def run(first: int, step: int, count: int) -> tuple[Tally, list[str]]:
    """Run so many seeds, or fewer if many fail."""
    worlds, tally, failures = Worlds(), Tally(), []
    for seed in range(first, first + count * step, step):
        try:
            tally.add(worlds.run(seed))
        except Violated as violated:
            failures.append(str(violated))
            if len(failures) == MOST_FAILURES:
                break
    return tally, failures


def run_side_by_side(first: int, count: int, limit_s: float) -> tuple[Tally, list[str]]:
    """The same in as many processes as there are processors."""
    processes = len(os.sched_getaffinity(0))
    shares = [(count + processes - 1 - number) // processes for number in range(processes)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(first + number), str(processes), str(share)],
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
        )
        for number, share in enumerate(shares)
    ]
    tally, failures = Tally(), []
    for process in running:
        output, _ = process.communicate(timeout=limit_s)
        assert process.returncode == 0
        found = json.loads(output)
        tally.add(Tally(**found["tally"]))
        failures += found["failures"]
    return tally, failures


if __name__ == "__main__":
    logs.configure(io.StringIO())
    gc.freeze()
    gc.set_threshold(50_000)
    TALLY, FAILURES = run(*map(int, sys.argv[1:]))
    print(json.dumps({"tally": vars(TALLY), "failures": FAILURES}))  # noqa: T201 - for its parent

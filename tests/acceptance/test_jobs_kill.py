"""kill -9 in the middle of jobs that remove their sources: nothing is lost, nothing is doubled."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scp.archive.job import JobState
from scp.archive.job_store import JobStore
from scp.instance import StoredFile
from tests import instances
from tests.instances import ROOT, text
from tests.scp.archive.archives import archive
from tests.scp.archive.rewriting_apart import until
from tests.sizes import size

CHECKOUT = Path(__file__).parents[2]
KILLS = 50
KILLS_APART = size(ci=10, nightly=50)
PROCESSES = 2
GONE_S = 5.0
"""How long a process may outlive the node: it ends at once, on a machine that is busy."""
STUDIES = 2
SERIES = 12
MOST_LINES = 3
"""Some die before their first job has ended, some after two."""
LATER_S = 0.3
"""And then up to so much later, at whatever step."""


def fill(data: Path) -> None:
    """Two studies of a dozen."""
    with archive(data, dies=True) as stored:
        for study in range(1, STUDIES + 1):
            for number in range(1, SERIES + 1):
                extra = [
                    text(0x00080018, "UI", f"{ROOT}.{study}.1.{number}"),
                    text(0x0020000D, "UI", f"{ROOT}.{study}"),
                    text(0x0020000E, "UI", f"{ROOT}.{study}.1"),
                    text(0x00200011, "IS", str(study)),
                ]
                stored.store(instances.ct(64, 64, instance=number, extra=extra))


def move_and_die(data: Path, lines: int, later_s: float, processes: int = 0) -> list[int]:
    """Let the mover say some lines, and kill it a little later; the processes that helped it."""
    command = [sys.executable, "-m", "tests.acceptance.mover", data, str(processes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as mover:
        assert mover.stdout
        _, *pids = mover.stdout.readline().split()
        for _ in range(lines - 1):
            assert mover.stdout.readline()
        time.sleep(later_s)
        mover.kill()
    assert len(pids) == processes
    return [int(pid) for pid in pids]


def is_alive(pid: int) -> bool:
    """Whether there is such a process, one that has ended and waits to be noticed aside."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text("ascii")
    except OSError:
        return False


def look(data: Path) -> tuple[list[tuple[int, int]], set[str], int]:
    """Which originals are stored, their studies, and how many jobs were cut short."""
    with archive(data, dies=True) as stored:
        found = stored.instances()
        files = [StoredFile(one.file_name, one.size_bytes, one.digest) for one in found]
        assert all(map(stored.spool.intact, files))
        assert stored.files() == {file.name for file in files}
        assert not stored.missing
        cut = [job for job in JobStore(stored.journal).all() if not job.state.is_final]
        assert all(job.state is not JobState.PAUSED for job in cut)
        shown = [stored.dataset(one) for one in found]
        originals = sorted((int(one.SeriesNumber), int(one.InstanceNumber)) for one in shown)
        return originals, {one.StudyInstanceUID for one in shown}, len(cut)


@pytest.mark.slow
def test_killed_jobs_lose_nothing(tmp_path) -> None:
    """Fifty times: every original is there once, under old UIDs or new ones, and whole."""
    chance = random.Random(4)  # noqa: S311 - the same moments every time
    data = tmp_path / "data"
    fill(data)
    everything = [(s, n) for s in range(1, STUDIES + 1) for n in range(1, SERIES + 1)]
    seen: set[str] = set()
    interrupted = 0

    for _ in range(KILLS):
        move_and_die(data, chance.randint(1, MOST_LINES), chance.uniform(0.0, LATER_S))
        originals, studies, cut = look(data)
        assert originals == everything
        assert len(studies) == STUDIES
        seen |= studies
        interrupted += cut

    print(f"{KILLS} kills, {interrupted} jobs cut short, {len(seen)} studies seen")
    assert interrupted > KILLS // 2
    assert len(seen) > KILLS // 2  # so that what was killed was work


@pytest.mark.slow
def test_processes_that_help_a_killed_node_end_with_it(tmp_path) -> None:
    """None goes on, none has left a file that the next start does not delete; nothing is lost."""
    chance = random.Random(5)  # noqa: S311 - the same moments every time
    data = tmp_path / "data"
    fill(data)
    everything = [(s, n) for s in range(1, STUDIES + 1) for n in range(1, SERIES + 1)]
    interrupted = 0
    seen: set[str] = set()

    for _ in range(KILLS_APART):
        lines, later_s = chance.randint(1, MOST_LINES), chance.uniform(0.0, LATER_S)
        pids = move_and_die(data, lines, later_s, PROCESSES)
        assert until(lambda pids=pids: not any(map(is_alive, pids)), GONE_S)
        originals, studies, cut = look(data)
        assert originals == everything
        assert len(studies) == STUDIES
        interrupted += cut
        seen |= studies

    print(f"{KILLS_APART} kills, {interrupted} jobs cut short, {len(seen)} studies seen")
    assert interrupted > KILLS_APART // 2
    assert len(seen) > KILLS_APART // 2

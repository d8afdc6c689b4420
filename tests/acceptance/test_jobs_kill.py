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

CHECKOUT = Path(__file__).parents[2]
KILLS = 50
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


def move_and_die(data: Path, lines: int, later_s: float) -> None:
    """Let the mover say some lines, and kill it a little later."""
    command = [sys.executable, "-m", "tests.acceptance.mover", data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as mover:
        assert mover.stdout
        for _ in range(lines):
            assert mover.stdout.readline()
        time.sleep(later_s)
        mover.kill()


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

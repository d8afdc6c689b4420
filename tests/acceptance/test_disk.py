"""A disk that is full, of bytes or of inodes: nothing is lost, and it goes on by itself."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from rules import Pseudonyms
from scp.journal import FILE_NAME
from tests import instances
from tests.acceptance.filling import Foreigner, Senders, small_disk
from tests.acceptance.peers import Archive
from tests.acceptance.running import RunningNode
from tests.encoded import EXPLICIT
from tests.sizes import size

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
version: 1
node:
  ae_title: ANONODE
  listen: "127.0.0.1:{port}"
  disk_low_bytes: 4194304
  disk_high_bytes: 8388608
  disk_low_inodes: 20
  disk_high_inodes: 40
rest: {{listen: "127.0.0.1:0", profile: research}}
profiles:
  research: {{Base: basic}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}, retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: CT1, to: ANONODE, profile: research, store: false, forward: [archive]}}
"""
HOLD_S = size(ci=3, nightly=60)
LOG_BYTES_PER_MINUTE = 1 << 20
TURNED_AWAY = ({0xA700}, {(2, 3, 1)})
"""The only status, and the only rejection, that a full disk may be answered with."""


def post(node: RunningNode, path: str, body: bytes) -> int:
    """The status of HTTP."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{node.rest_port}{path}", body, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - as above
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def uploaded() -> bytes:
    """A file for the REST API."""
    return instances.file(instances.ct(8, 8, instance=99), EXPLICIT)


def is_consistent(node: RunningNode) -> bool:
    """What SQLite says of the journal."""
    with closing(sqlite3.connect(node.data / FILE_NAME)) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def said(node: RunningNode, event: str) -> int:
    """How often the log says something."""
    lines = [line for line in node.output.read_text().splitlines() if line.startswith("{")]
    return sum(json.loads(line)["event"] == event for line in lines)


def arrived(archive: Archive, node: RunningNode, senders: Senders, limit_s: float) -> int:
    """How many acknowledged instances never reach the archive."""
    pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
    expected = {pseudonyms.uid("research", uid) for uid in senders.acknowledged}
    deadline = time.monotonic() + limit_s
    while not expected <= set(archive.uids()) and time.monotonic() < deadline:
        archive.wait_for(len(archive.received) + 1, 1.0)
    return len(expected - set(archive.uids()))


def fill_hold_and_free(folder: Path, *, inodes: bool, deadline_s) -> dict[str, float]:
    """Fill the disk, hold it full, deliver from it, start anew on it, and give it back.

    Whatever a delivery frees is taken by somebody else.

    Returns:
        What was seen.
    """
    archive = Archive()
    archive.start()
    archive.stop()  # its port is known now, and nobody answers there yet
    node = RunningNode(folder, CONFIG.format(port=0, archive=archive.port))
    node.start()
    node.config = CONFIG.format(port=node.port, archive=archive.port)
    try:
        rows = 64 if inodes else 256
        with Senders(node.port, rows=rows) as senders, ExitStack() as later:
            assert senders.wait_for(lambda: bool(senders.refused), 60)
            with Foreigner(node.data, inodes=inodes) as foreigner:
                seen = _hold(node, senders)
                archive.start()
                later.callback(archive.stop)
                seen["delivered_while_full"] = _deliver(node, archive, senders)
                # A stop empties the journal's log: what that frees is taken as well.
                assert node.terminate() == 0
                foreigner.rest()
                foreigner.take()
                foreigner.rest()
                node.start()
                foreigner.take()
                _settle(senders)
                acknowledged = len(senders.acknowledged)
                _settle(senders)
                assert len(senders.acknowledged) == acknowledged
            freed = time.monotonic()
            assert senders.wait_for(lambda: len(senders.acknowledged) > acknowledged, 30)
            seen["again_s"] = round(time.monotonic() - freed, 2)
            senders.stop()
            seen["acknowledged"] = len(senders.acknowledged)
            seen["lost"] = arrived(archive, node, senders, deadline_s(30))
            assert {*senders.refused} <= TURNED_AWAY[0]
            assert {*senders.rejected} == TURNED_AWAY[1]
        assert post(node, "/instances", uploaded()) == 200
    finally:
        code = node.terminate()
    assert code == 0
    assert is_consistent(node)
    return seen


def _settle(senders: Senders) -> None:
    """What had been begun before the disk was full may be completed."""
    enough = senders.refusals() + 10 * senders.count
    assert senders.wait_for(lambda: senders.refusals() >= enough, 20)


def _hold(node: RunningNode, senders: Senders) -> dict[str, float]:
    """Nothing is taken in, by either door, and the log does not fill what is left."""
    _settle(senders)
    acknowledged, turned_away = len(senders.acknowledged), senders.refusals()
    begun, logged = time.monotonic(), node.output.stat().st_size
    statuses = [post(node, "/instances", uploaded())]
    threading.Event().wait(HOLD_S)
    statuses.append(post(node, "/instances", uploaded()))
    held_s = time.monotonic() - begun
    turned_away = senders.refusals() - turned_away
    logged = node.output.stat().st_size - logged
    assert len(senders.acknowledged) == acknowledged
    assert statuses == [507, 507]
    assert turned_away > held_s
    assert logged * 60 / held_s < LOG_BYTES_PER_MINUTE
    return {"held_s": round(held_s), "turned_away": turned_away, "log_bytes": logged}


def _deliver(node: RunningNode, archive: Archive, senders: Senders) -> int:
    """What is owed goes out although nothing is free; each instance once."""
    owed = len(senders.acknowledged)
    assert archive.wait_for(owed, 60), f"{len(archive.received)} of {owed} delivered"
    assert len(archive.received) == len(set(archive.uids())) == owed
    assert len(senders.acknowledged) == owed
    assert said(node, "a forwarder failed") == 0
    return owed


@pytest.mark.slow
def test_a_full_disk_costs_nothing_that_was_acknowledged(tmp_path, deadline_s, figures):
    """T-DISK: 64 MiB of ext4 to the last block; only 0xA700 and 2-3-1, then on within 5 s."""
    with small_disk(tmp_path / "node" / "data", image=tmp_path / "disk.img"):
        seen = fill_hold_and_free(tmp_path / "node", inodes=False, deadline_s=deadline_s)
    figures("T-DISK", **seen)

    assert seen["lost"] == 0
    assert seen["again_s"] <= deadline_s(5)


@pytest.mark.slow
def test_a_disk_without_inodes_costs_nothing_that_was_acknowledged(tmp_path, deadline_s, figures):
    """T-INODE: 200 inodes to the last one; as above."""
    with small_disk(tmp_path / "node" / "data", options="size=256m,nr_inodes=200,mode=0700"):
        seen = fill_hold_and_free(tmp_path / "node", inodes=True, deadline_s=deadline_s)
    figures("T-INODE", **seen)

    assert seen["lost"] == 0
    assert seen["again_s"] <= deadline_s(5)

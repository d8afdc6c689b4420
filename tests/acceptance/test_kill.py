"""kill -9 at random moments under load: what was acknowledged is not lost, and not doubled."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import random
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from rules import Pseudonyms
from scp.errors import TransportError
from scp.journal import FILE_NAME
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.peers import SUCCESS, Archive
from tests.acceptance.running import RunningNode
from tests.encoded import EXPLICIT

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:{port}"}}
profiles:
  research: {{Base: basic}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}, retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: CT1, to: ANONODE, profile: research, forward: [archive]}}
"""
PROFILE = "research"
KILLS = 20
SENDERS = 4
MOST_BETWEEN = 40
"""Instances acknowledged from a start to the kill, at most: some die at the first message."""
LATER_S = 0.02
"""And then up to so much later, so that no step of the reception is always spared."""
AGAIN_S = 0.02
PATIENCE_S = 20.0


@dataclass
class Load:
    """Senders that never give up: each instance is offered until it is acknowledged.

    Attributes:
        port: Of the node.
        acknowledged: Original SOP Instance UIDs answered with 0x0000, held outside the node.
        offered: All that were ever sent.
        odd: Statuses other than success.
    """

    port: int = 0
    acknowledged: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    odd: set[int] = field(default_factory=set)
    up: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, number: int) -> None:
        """Be one sender until told to stop."""
        waiting = self._instances(number)
        uid, dataset = next(waiting)
        while not self.stopping.is_set():
            if not self.up.wait(AGAIN_S):
                continue
            with suppress(TransportError), self._association() as association:
                while self.up.is_set() and not self.stopping.is_set():
                    self.offered.add(uid)
                    status = association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset])
                    if self._noted(uid, status):
                        uid, dataset = next(waiting)
            self.stopping.wait(AGAIN_S)

    def wait_for(self, count: int) -> None:
        """Until so many more are acknowledged."""
        with self.changed:
            wanted = len(self.acknowledged) + count
            enough = self.changed.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE_S)
            assert enough, f"{len(self.acknowledged)} of {wanted} acknowledged, {self.odd}"

    def _association(self) -> SenderAssociation:
        context = (instances.CT_IMAGE, EXPLICIT)
        return SenderAssociation(("127.0.0.1", self.port), "CT1", "ANONODE", [context])

    def _noted(self, uid: str, status: int) -> bool:
        with self.changed:
            if status != SUCCESS:
                self.odd.add(status)
                return False
            self.acknowledged.append(uid)
            self.changed.notify_all()
            return True

    @staticmethod
    def _instances(number: int) -> Iterator[tuple[str, bytes]]:
        count = 0
        while True:
            count += 1
            instance = 10_000_000 * (number + 1) + count
            uid = f"{instances.ROOT}.1.1.{instance}"
            yield uid, instances.dataset(instances.ct(64, 64, instance=instance), EXPLICIT)


@pytest.fixture
def load():
    """Four senders, which end with the test."""
    made = Load()
    threads = [threading.Thread(target=made.send, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    yield made
    made.stopping.set()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def _start(node: RunningNode) -> float:
    """Start it; the seconds until it was ready."""
    begun = time.monotonic()
    node.start()
    return time.monotonic() - begun


def _files_and_rows(node: RunningNode) -> tuple[set[str], set[str]]:
    """The files of instances, and those that the journal names."""
    top = node.data / "instances"
    on_disk = {path.name for path in top.rglob("*") if path.is_file()}
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT file_name FROM instances WHERE file_name > ''")
        return on_disk, {name.rpartition("/")[2] for (name,) in rows}


def _arrived(archive: Archive, expected: set[str], limit_s: float) -> set[str]:
    """The expected UIDs that are at the archive, once all are or nothing comes any more."""
    while not expected <= set(archive.uids()):
        if not archive.wait_for(len(archive.received) + 1, limit_s):
            break
    return expected & set(archive.uids())


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_by_twenty_kills(tmp_path, deadline_s, load):
    """Each acknowledged instance arrives under its one new UID; each start is quick and clean."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)  # noqa: S311 - moments, no secret
    starts = []
    with Archive() as archive:
        node = RunningNode(tmp_path, CONFIG.format(port=0, archive=archive.port))
        try:
            for _ in range(KILLS):
                starts.append(_start(node))
                node.config = CONFIG.format(port=node.port, archive=archive.port)
                on_disk, named = _files_and_rows(node)
                assert on_disk == named
                load.port = node.port
                load.up.set()
                load.wait_for(moments.randrange(MOST_BETWEEN))
                load.stopping.wait(moments.random() * LATER_S)
                node.kill()
                load.up.clear()
            load.stopping.set()
            starts.append(_start(node))
            pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
            new = {uid: pseudonyms.uid(PROFILE, uid) for uid in load.offered}
            expected = {new[uid] for uid in load.acknowledged}
            arrived = _arrived(archive, expected, deadline_s(20))
        finally:
            node.terminate()

    contents = {}
    for uid, content in archive.received:
        contents.setdefault(uid, set()).add(content)
    doubled = len(archive.received) - len(contents)
    print(
        f"{len(load.acknowledged)} acknowledged, {len(contents)} arrived, {doubled} sent again;"
        f" starts took {max(starts):.2f} s at most"
    )
    assert load.odd == set()
    assert expected - arrived == set()
    assert set(contents) <= set(new.values())
    assert {len(versions) for versions in contents.values()} == {1}
    assert max(starts) < deadline_s(2)

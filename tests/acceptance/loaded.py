"""A node under load that dies: senders that never give up, and what is left of it then."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from xxhash import xxh3_128

from rules import Pseudonyms
from scp.errors import TransportError
from scp.journal import FILE_NAME
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.peers import SUCCESS
from tests.encoded import EXPLICIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.peers import Archive
    from tests.acceptance.running import RunningNode

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
SENDERS = 4
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
        rows: Size of each instance: so many rows and columns of pixels.
    """

    port: int = 0
    acknowledged: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    odd: set[int] = field(default_factory=set)
    up: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)
    rows: int = 64

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Four senders, which end with the block."""
        threads = [threading.Thread(target=self.send, args=(number,)) for number in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads)

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

    def offer(self, number: int) -> bool:
        """Send one instance once, without the senders; whether it was acknowledged."""
        uid, dataset = self.made(number)
        self.offered.add(uid)
        with suppress(TransportError), self._association() as association:
            return self._noted(
                uid, association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset])
            )
        return uid in self.acknowledged

    def wait_for(self, count: int) -> None:
        """Until so many more are acknowledged."""
        with self.changed:
            wanted = len(self.acknowledged) + count
            enough = self.changed.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE_S)
            assert enough, f"{len(self.acknowledged)} of {wanted} acknowledged, {self.odd}"

    def made(self, number: int) -> tuple[str, bytes]:
        """An instance that is never the same for two numbers: UID and dataset."""
        uid = f"{instances.ROOT}.1.1.{number}"
        made = instances.ct(self.rows, self.rows, instance=number)
        return uid, instances.dataset(made, EXPLICIT)

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

    def _instances(self, number: int) -> Iterator[tuple[str, bytes]]:
        count = 0
        while True:
            count += 1
            yield self.made(10_000_000 * (number + 1) + count)


def pseudonyms_of(node: RunningNode, uids: set[str] | list[str]) -> dict[str, str]:
    """The new UID of each original one."""
    pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
    return {uid: pseudonyms.uid(PROFILE, uid) for uid in uids}


def rows_of(data: Path, statement: str) -> list[tuple]:
    """What the journal of a node says, running or not."""
    with closing(sqlite3.connect(f"file:{data / FILE_NAME}?mode=ro", uri=True)) as db:
        return db.execute(statement).fetchall()


def files_and_rows(node: RunningNode) -> tuple[set[str], set[str]]:
    """The files of instances, and those that the journal names."""
    top = node.data / "instances"
    on_disk = {path.name for path in top.rglob("*") if path.is_file()}
    named = rows_of(node.data, "SELECT file_name FROM instances WHERE file_name > ''")
    return on_disk, {name.rpartition("/")[2] for (name,) in named}


def torn_objects(node: RunningNode) -> list[str]:
    """Names of files that have not the bytes whose digest is in the journal."""
    rows = rows_of(node.data, "SELECT file_name, digest FROM instances WHERE file_name > ''")
    top = node.data / "instances"
    return [name for name, digest in rows if _digest(top / name) != digest]


def _digest(path: Path) -> str:
    return xxh3_128(path.read_bytes()).hexdigest() if path.exists() else ""


def arrived(archive: Archive, expected: set[str], limit_s: float) -> set[str]:
    """The expected UIDs that are at the archive, once all are or nothing comes any more."""
    while not expected <= set(archive.uids()):
        if not archive.wait_for(len(archive.received) + 1, limit_s):
            break
    return expected & set(archive.uids())


def versions(archive: Archive) -> dict[str, set[bytes]]:
    """Every content under which each UID has arrived."""
    contents: dict[str, set[bytes]] = {}
    for uid, content in archive.received:
        contents.setdefault(uid, set()).add(content)
    return contents

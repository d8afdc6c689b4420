"""A disk that fails: the system call of a running node that fails is chosen, one at a time.

strace makes the n-th call of a kind fail in each thread of the node while instances arrive.
"""

from __future__ import annotations

import errno
import signal
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from rules import Pseudonyms
from scp.errors import TransportError
from scp.journal import Journal
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.peers import SUCCESS, Archive
from tests.acceptance.running import RunningNode
from tests.encoded import EXPLICIT
from tests.sizes import NIGHTLY

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
OUT_OF_RESOURCES = 0xA700
FAILED = 1
"""Exit status of a node that a failed sync has ended."""
SYNCS = ("fsync", "fdatasync")
OTHERS = ("write,writev,pwrite64", "openat", "unlink,unlinkat")
TURNS = tuple(range(1, 21)) if NIGHTLY else (1, 3)
OFFERED = 12
"""Instances that are offered under each fault."""


@dataclass
class Sending:
    """One sender that offers each instance until it is acknowledged, and gives up on nothing.

    Attributes:
        acknowledged: Original SOP Instance UIDs answered with 0x0000.
        statuses: All other answers.
    """

    acknowledged: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    _number: int = 0

    def offer(self, node: RunningNode, count: int) -> None:
        """Offer so many times, as long as the node is up."""
        left = count
        while left and node.process.poll() is None:
            try:
                with self._association(node.port) as association:
                    while left:
                        left -= 1
                        self._offer_one(association)
            except TransportError:
                left -= bool(left)
                threading.Event().wait(0.05)

    def _association(self, port: int) -> SenderAssociation:
        context = (instances.CT_IMAGE, EXPLICIT)
        return SenderAssociation(("127.0.0.1", port), "CT1", "ANONODE", [context])

    def _offer_one(self, association: SenderAssociation) -> None:
        uid = f"{instances.ROOT}.1.1.{1000 + self._number}"
        dataset = instances.dataset(instances.ct(32, 32, instance=1000 + self._number), EXPLICIT)
        status = association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset])
        if status == SUCCESS:
            self.acknowledged.append(uid)
            self._number += 1
        else:
            self.statuses.add(status)


class Fault:
    """The n-th call of some kinds fails in each thread of a process, while this is entered."""

    def __init__(self, strace: Path, node: RunningNode, calls: str, code: int, turn: int) -> None:
        injected = f"inject={calls}:error={errno.errorcode[code]}:when={turn}"
        self._log = node.folder / "strace.txt"
        # Without the calls that are traced for nothing, the node is as quick as ever.
        self._words = [
            *(strace, "-f", "-qq", "-o", self._log, "-e", f"trace={calls}", "-e", injected),
            *("-p", str(node.process.pid)),
        ]
        self._pid = node.process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while not self._is_attached():
            assert self._process.poll() is None, self._process.stderr.read()
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=20)

    def _is_attached(self) -> bool:
        """Whether every thread of the node is traced."""
        tasks = f"/proc/{self._pid}/task"
        try:
            found = [(thread / "status").read_text() for thread in Path(tasks).iterdir()]
        except FileNotFoundError:
            return False
        return all("TracerPid:\t0" not in status for status in found)

    @property
    def hits(self) -> int:
        """How often a call failed because of this."""
        return self._log.read_text().count("(INJECTED)")


def points() -> list[tuple[str, int, int]]:
    """Calls, error and turn of every fault."""
    enospc = (errno.ENOSPC,) if NIGHTLY else ()
    return [
        (calls, code, turn)
        for calls in (*SYNCS, *OTHERS)
        for code in (errno.EIO, *enospc)
        for turn in TURNS
    ]


@pytest.mark.slow
def test_an_error_of_the_disk_costs_nothing_that_was_acknowledged(
    tmp_path, peer, deadline_s, figures
):
    """T-EIO: 0xA700 or no answer; a failed sync ends the node; a restart has all it has owned."""
    strace = peer("strace")
    sending, hits, ended = Sending(), 0, 0
    with Archive() as archive:
        node = RunningNode(tmp_path, CONFIG.format(port=0, archive=archive.port))
        node.start()
        node.config = CONFIG.format(port=node.port, archive=archive.port)
        try:
            for calls, code, turn in points():
                with Fault(strace, node, calls, code, turn) as fault:
                    sending.offer(node, OFFERED)
                hit = fault.hits
                hits += hit
                if hit and calls in SYNCS and code == errno.EIO:
                    assert node.process.wait(deadline_s(40)) == FAILED, (calls, turn)
                if node.process.poll() is not None:
                    ended += 1
                    node.start()
                sending.offer(node, 1)
            pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
            expected = {pseudonyms.uid("research", uid) for uid in sending.acknowledged}
            deadline = time.monotonic() + deadline_s(30)
            while not expected <= set(archive.uids()) and time.monotonic() < deadline:
                archive.wait_for(len(archive.received) + 1, 1.0)
        finally:
            node.terminate(60)
        contents: dict[str, set[bytes]] = {}
        for uid, content in archive.received:
            contents.setdefault(uid, set()).add(content)
    with closing(Journal.existing(node.data)) as journal:
        consistent = journal.is_consistent()
    lost = len(expected - set(archive.uids()))
    figures(
        "T-EIO",
        points=len(points()),
        failed_calls=hits,
        ended=ended,
        acknowledged=len(sending.acknowledged),
        lost=lost,
    )

    assert lost == 0
    assert sending.statuses <= {OUT_OF_RESOURCES}
    assert hits >= len(points()) // 2
    assert ended >= len(TURNS)
    assert all(len(versions) == 1 for versions in contents.values())
    assert consistent

"""Disks small enough to fill, somebody who fills them, and senders who never give up."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

from scp.errors import PeerRejected, TransportError
from scp.sender import SenderAssociation
from tests import instances
from tests.encoded import EXPLICIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SUCCESS = 0x0000
AGAIN_S = 0.01
PATIENCE_S = 20.0
REFUSALS_IN_A_ROW = 20
"""After which a sender begins a new association, as modalities do."""
LEFT_BYTES = 8 << 10
"""What somebody who fills the disk leaves, lest the test waits for the last block."""


def _run(*words: str | Path) -> bool:
    done = subprocess.run(words, capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def small_disk(folder: Path, *, image: Path | None = None, options: str = "") -> Iterator[None]:
    """A file system of 64 MiB on a folder; the test is skipped where none can be mounted.

    Args:
        folder: Made if absent.
        image: The file that an ext4 lies in; a tmpfs without it.
        options: Of a tmpfs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if image is None:
        mounted = _run("mount", "-t", "tmpfs", "-o", options, "none", folder)
    else:
        with image.open("wb") as file:
            file.truncate(64 << 20)
        made = _run("mkfs.ext4", "-q", "-m", "0", image)
        mounted = made and _run("mount", "-o", "loop", image, folder)
    if not mounted:
        _unmountable(folder)
    try:
        yield
    finally:
        _run("umount", folder) or _run("umount", "-l", folder)


def _unmountable(folder: Path) -> None:
    """Skip; but where peers are required and anything at all can be mounted, it is a failure."""
    sentence = "no small file system can be mounted here (it takes root, and mount)"
    if os.environ.get("ANONODE_REQUIRE_PEERS") == "1" and _run(
        "mount", "-t", "tmpfs", "none", folder
    ):
        _run("umount", folder)
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


class Foreigner:
    """Somebody else who takes whatever is free on a disk; a context manager that gives it back."""

    def __init__(self, folder: Path, *, inodes: bool = False) -> None:
        self._folder = folder / "foreign"
        self._inodes = inodes
        self._stopping = threading.Event()
        self._full = threading.Event()
        self._thread = threading.Thread(target=self._fill)

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()

    def take(self) -> None:
        """Begin to take; returns when nothing is left."""
        self._stopping.clear()
        self._full.clear()
        self._thread = threading.Thread(target=self._fill)
        self._thread.start()
        assert self._full.wait(PATIENCE_S)

    def rest(self) -> None:
        """Keep what was taken, and take no more."""
        self._stopping.set()
        self._thread.join(PATIENCE_S)

    def _fill(self) -> None:
        while not self._stopping.is_set():
            if self._free() <= (0 if self._inodes else LEFT_BYTES):
                self._full.set()
                self._stopping.wait(AGAIN_S)
                continue
            with suppress(OSError):
                self._take_one(self._folder / f"{time.monotonic_ns()}")

    def _free(self) -> int:
        stat = os.statvfs(self._folder)
        return stat.f_favail if self._inodes else stat.f_bavail * stat.f_frsize

    def _take_one(self, path: Path) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
        try:
            if not self._inodes:
                os.posix_fallocate(descriptor, 0, max(4096, self._free() // 2))
        finally:
            os.close(descriptor)


@dataclass
class Senders:
    """They offer each instance until it is acknowledged; a context manager that ends them.

    Attributes:
        port: Of the node.
        acknowledged: Original SOP Instance UIDs answered with 0x0000, in this order.
        offered: All that were ever sent.
        refused: How often each other status was answered.
        rejected: How often each A-ASSOCIATE-RJ was: result, source, reason.
    """

    port: int
    count: int = 4
    rows: int = 128
    acknowledged: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)
    rejected: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(self.count)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End them."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def wait_for(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Whether something comes true within the limit, looked at after every answer."""
        with self._changed:
            return self._changed.wait_for(condition, limit_s)

    def refusals(self) -> int:
        """How often somebody was turned away."""
        with self._changed:
            return sum(self.refused.values()) + sum(self.rejected.values())

    def _send(self, sender: int) -> None:
        waiting = self._instances(sender)
        uid, dataset = next(waiting)
        while not self._stopping.is_set():
            try:
                with self._association() as association:
                    in_a_row = 0
                    while in_a_row < REFUSALS_IN_A_ROW and not self._stopping.is_set():
                        self.offered.add(uid)
                        status = association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset])
                        if self._noted(uid, status):
                            uid, dataset = next(waiting)
                            in_a_row = 0
                        else:
                            in_a_row += 1
                            self._stopping.wait(AGAIN_S)
            except PeerRejected as error:
                self._note_rejection((error.result, error.source, error.reason))
                self._stopping.wait(AGAIN_S)
            except TransportError:
                self._stopping.wait(AGAIN_S)

    def _association(self) -> SenderAssociation:
        context = (instances.CT_IMAGE, EXPLICIT)
        return SenderAssociation(("127.0.0.1", self.port), "CT1", "ANONODE", [context])

    def _noted(self, uid: str, status: int) -> bool:
        with self._changed:
            if status == SUCCESS:
                self.acknowledged.append(uid)
            else:
                self.refused[status] = self.refused.get(status, 0) + 1
            self._changed.notify_all()
        return status == SUCCESS

    def _note_rejection(self, said: tuple[int, int, int]) -> None:
        with self._changed:
            self.rejected[said] = self.rejected.get(said, 0) + 1
            self._changed.notify_all()

    def _instances(self, sender: int) -> Iterator[tuple[str, bytes]]:
        count = 0
        while True:
            count += 1
            instance = 10_000_000 * (sender + 1) + count
            uid = f"{instances.ROOT}.1.1.{instance}"
            dataset = instances.ct(self.rows, self.rows, instance=instance)
            yield uid, instances.dataset(dataset, EXPLICIT)

"""The folder of the instances: new files in it whose names are durable.

A file is made empty and its folder synced before anything is written to it, a few at a time,
which costs one sync of the folder for all of them. The next few are made while the last are
being filled, so that nobody waits for them under load.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from scp.disk import NO_SPACE, translated
from scp.errors import SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scp.disk import FileSystem
    from scp.room import Room

SUFFIX: Final = ".dcm"
BATCH_FILES: Final = 32
"""Files made at once, at most. The first batch is one file and each is twice the one before, so
that a quiet node keeps no empty files."""


class SpoolFolder:
    """What `Spool` and `Draft` both do to the folder; safe for use by many threads."""

    def __init__(
        self,
        path: Path,
        files: FileSystem,
        random_bytes: Callable[[int], bytes],
        room: Room,
    ) -> None:
        self.path = path
        self.files = files
        self.room = room
        self.fatal = threading.Event()
        self._syncing: dict[int, float] = {}
        self._random_bytes = random_bytes
        self._making = threading.Lock()
        self._blank: list[tuple[int, str]] = []
        self._durable: set[str] = set()
        self._batch_files = 1

    @property
    def syncing_s(self) -> float:
        """How long the longest sync that is going on has taken so far; 0.0 if there is none."""
        begun = list(self._syncing.values())
        return monotonic() - min(begun) if begun else 0.0

    def take(self) -> tuple[int, str]:
        """An empty file whose name is durable: a descriptor to fill it with, and the name."""
        if self.fatal.is_set():
            raise SpoolError("the disk has failed: nothing is accepted until the node restarts")
        self.room.begin()
        with translated("a file cannot be created"):
            while True:
                if self._is_low():
                    self._refill(wait=not self._blank)
                if (blank := self._pop()) is not None:
                    return blank

    def remove_blanks(self) -> None:
        """Remove the empty files that nobody took."""
        while (blank := self._pop()) is not None:
            self._drop(*blank)

    def make_folder(self, path: Path) -> None:
        """Make a folder and those above it, each synced into its parent."""
        try:
            made = self.files.make_folder(path)
        except FileNotFoundError:
            self.make_folder(path.parent)
            made = self.files.make_folder(path)
        if made:
            self.sync_folder(path.parent)

    def sync_folder(self, path: Path) -> None:
        """Make what was created in a folder durable."""
        descriptor = self.files.open_folder(path)
        try:
            self.sync(lambda: self.files.sync(descriptor))
        finally:
            self.files.close(descriptor)

    def sync(self, action: Callable[[], None]) -> None:
        """Run a sync or close; its failure is final (promise 7)."""
        own = threading.get_ident()
        self._syncing[own] = monotonic()
        try:
            action()
        except OSError as error:
            if error.errno not in NO_SPACE:
                self.fatal.set()
            raise
        finally:
            self._syncing.pop(own, None)

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with translated("a stored file cannot be removed"):
            try:
                self.files.unlink(self.path / name)
            except FileNotFoundError:
                return

    def set_aside(self, names: Iterable[str], folder: Path) -> None:
        """Move files out of the folder, durably; one that is gone already is fine."""
        with translated("a stored file cannot be set aside"):
            self.make_folder(folder)
            for name in names:
                with suppress(FileNotFoundError):
                    self.files.move(
                        self.path / name, folder / name.removeprefix("../").replace("/", "-")
                    )
            self.sync_folder(folder)

    def _pop(self) -> tuple[int, str] | None:
        try:
            return self._blank.pop()
        except IndexError:
            return None

    def _is_low(self) -> bool:
        return len(self._blank) <= self._batch_files // 4

    def _refill(self, *, wait: bool) -> None:
        """Make a batch, unless another thread does: then wait for it, or leave it at that."""
        if not self._making.acquire(blocking=wait):
            return
        try:
            if self._is_low():
                self._blank.extend(self._make_batch())
        finally:
            self._making.release()

    def _make_batch(self) -> list[tuple[int, str]]:
        """Some empty files in one folder, with one sync of that folder."""
        shard = self._random_bytes(1).hex()
        made: list[tuple[int, str]] = []
        try:
            self._make_shard(shard)
            for _ in range(self._batch_files):
                name = f"{shard}/{self._random_bytes(15).hex()}{SUFFIX}"
                made.append((self.files.create(self.path / name), name))
            self.sync_folder(self.path / shard)
        except OSError:
            self._batch_files = 1
            for descriptor, name in made:
                self._drop(descriptor, name)
            raise
        self._batch_files = min(2 * self._batch_files, BATCH_FILES)
        return made

    def _make_shard(self, shard: str) -> None:
        if shard in self._durable:
            return
        self.files.make_folder(self.path / shard)
        # Also if it was there: who made it may have failed to sync it.
        self.sync_folder(self.path)
        self._durable.add(shard)

    def _drop(self, descriptor: int, name: str) -> None:
        with translated("an empty file cannot be closed"):
            self.files.close(descriptor)
        self.remove(name)

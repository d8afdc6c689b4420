"""Instances as files.

The promise, in the order in which a reviewer can hold the code to it:

1. Only bytes that came out of de-identification are written here, and a file is taken at the
   first of them: a refused instance touches no disk.
2. A file is made under its final name (O_EXCL, 0600), which is random and ours: nothing from the
   wire becomes part of a path. There is no temporary name and no rename.
3. `Draft.seal` returns after the file is synced. Its entry in its folder was synced before it
   was written: files are made empty, a few at a time, which costs one sync of the folder for all
   of them. A folder is synced into its parent before a file is made in it.
4. Only then may the journal name the file, and only then is it acknowledged. A file that no row
   names was never acknowledged, or is not wanted any more: `recover` deletes it, but only where
   the journal is known to have every row (see `continuity`); elsewhere only if it has no bytes.
   Recovery runs before anything listens.
5. Every failure unlinks the file. An unlink is not synced: what a crash brings back has no row.
6. A full disk is `OutOfSpace`, found before a reserve is touched that the journal needs in order
   to note deliveries, which is what makes room again: see `room`.
7. An error of fsync or close is final (`fatal` is set, nothing is accepted any more): the kernel
   may have dropped the pages, and a second fsync would report success. Restart to go on. A file
   that was sealed before stays then, whoever discards it: the journal's commit that failed may
   stand on the disk all the same, and the next start knows.
8. One node per folder: `recover` takes a lock, and holds it until `close`.
9. An instance is read back in pieces, never as a whole, and its digest can be checked first: also
   against what is on the disk rather than in memory.
10. Damaged bytes, and files whose rows a damaged journal may have lost, are set aside in a folder
    of their own, never deleted.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_128

from scp.disk import Disk, translated
from scp.errors import SpoolError
from scp.instance import StoredFile
from scp.room import LOOK_BYTES, Ballast, Marks, Room
from scp.spool_folder import SpoolFolder

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scp.disk import Buffer, FileSystem

PIECE_BYTES: Final = 1 << 18
"""How much of a file is read at once: bounds the memory of a delivery."""
RESERVE_BYTES: Final = 64 << 20
"""Free space never used for instances: room for the journal and the log."""
IOV_MAX: Final = 1024
"""Buffers the kernel takes in one writev (IOV_MAX of Linux)."""
ASIDE: Final = "set-aside"
"""The folder of the data folder for what is damaged, or belongs to nobody."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start found.

    Attributes:
        deleted: Files that no row named: receptions that a crash cut short.
        aside: Such files that were set aside instead.
        missing: Names in the journal without a file: something outside the node removed them.
    """

    deleted: int
    missing: tuple[str, ...]
    aside: int = 0


class Spool:
    """The durable bytes of every instance, below `data`/instances.

    Safe for use by many threads; each `Draft` belongs to one.
    """

    def __init__(
        self,
        data: Path,
        *,
        files: FileSystem | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        reserve_bytes: int = RESERVE_BYTES,
        marks: Marks | None = None,
    ) -> None:
        """Make the folders that are missing, durably.

        Args:
            data: The data folder of the node.
            files: The file system; the real one unless told otherwise.
            random_bytes: Makes names; must not repeat itself.
            reserve_bytes: Free space below which no instance is begun; `marks` says more.
            marks: When the disk counts as full, and when not any more.

        Raises:
            SpoolError: The folders cannot be made or synced.
        """
        self._files = files if files is not None else Disk()
        self._data = data
        self._locked: int | None = None
        marks = marks or Marks(reserve_bytes, reserve_bytes, 0, 0)
        self.room = Room(self._files, data, marks)
        """The room that instances may take."""
        self.ballast = Ballast(self._files, data, marks)
        """The room of the journal."""
        self._root = SpoolFolder(data / "instances", self._files, random_bytes, self.room)
        with translated(f"{data}, the data folder of node.data, cannot be made or synced"):
            self._root.make_folder(self._root.path)
            # A node that died between making a folder and syncing it leaves one that exists and
            # is not durable: the folders of ours are synced at every start.
            self._root.sync_folder(self._root.path)
            self._root.sync_folder(data)
        for folder in data.parents:
            self._sync_foreign(folder)

    def _sync_foreign(self, folder: Path) -> None:
        """Sync a folder above ours as far as we may: most were durable long before us."""
        with suppress(OSError):
            descriptor = self._files.open_folder(folder)
            try:
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)

    @property
    def fatal(self) -> threading.Event:
        """Set when a sync has failed: stop the node and start it again."""
        return self._root.fatal

    @property
    def syncing_s(self) -> float:
        """How long the longest sync that is going on has taken so far; 0.0 if there is none."""
        return self._root.syncing_s

    def draft(self) -> Draft:
        """Begin one instance; nothing touches the disk before its first bytes."""
        return Draft(self._root)

    def scratch(self) -> Scratch:
        """A file without a name, for facts of results that no row names yet; `close` it.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError: It cannot be made.
        """
        descriptor, name = self._root.take()
        try:
            with translated("a file cannot be opened"):
                reader = self._files.open(self._root.path / name)
        except BaseException:
            self._files.close(descriptor)
            raise
        finally:
            self._root.remove(name)
        return Scratch(self._files, descriptor, reader)

    def private_file(self, name: str) -> Path:
        """Path of a file beside the instances, made empty, 0600 and durable if it is absent.

        Raises:
            SpoolError: It cannot be made.
        """
        with translated("a file of the data folder cannot be made"):
            if name not in self._files.names(self._data):
                self._files.close(self._files.create(self._data / name))
                self._root.sync_folder(self._data)
        return self._data / name

    def renew_private(self, name: str) -> None:
        """Write what is read of a file beside the instances over it, and sync that.

        Bytes whose sync has failed are read as if they were on the disk, and no later sync
        writes them.

        Raises:
            SpoolError: It cannot be read or written.
        """
        files, path = self._files, self._data / name
        with translated("a file of the data folder cannot be made durable"):
            reader, writer = files.open(path), files.open_to_write(path)
            try:
                while piece := files.read(reader, PIECE_BYTES):
                    _write_all(files, writer, [piece])
                self._root.sync(lambda: files.sync(writer))
            finally:
                files.close(reader)
                files.close(writer)

    def read_private(self, name: str, size_bytes: int) -> bytes:
        """The beginning of a file beside the instances; nothing if it is absent.

        Raises:
            SpoolError: It cannot be read.
        """
        with translated("a file of the data folder cannot be read"):
            if name not in self._files.names(self._data):
                return b""
            descriptor = self._files.open(self._data / name)
            try:
                return self._files.read(descriptor, size_bytes)
            finally:
                self._files.close(descriptor)

    def write_private(self, name: str, data: bytes) -> None:
        """Write over the beginning of a file beside the instances, durably.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError: It cannot be written.
        """
        files = self._files
        with translated("a file of the data folder cannot be written"):
            writer = files.open_to_write(self._data / name)
            try:
                _write_all(files, writer, [data])
                self._root.sync(lambda: files.sync(writer))
            finally:
                files.close(writer)

    def lock(self) -> None:
        """Keep every other node away from the folder until `close`; may be called again.

        Raises:
            SpoolError: Another node uses it.
        """
        if self._locked is None:
            with translated("the data folder is in use by another node, or cannot be locked"):
                self._locked = self._files.lock(self._data / ".lock")

    def is_empty(self) -> bool:
        """Whether there is no file of an instance, not even one that is empty.

        Raises:
            SpoolError: The folder cannot be read.
        """
        with translated("the data folder cannot be read"):
            shards = self._files.names(self._root.path)
            return not any(self._files.names(self._root.path / shard) for shard in shards)

    def recover(
        self, named: Callable[[str], frozenset[str]], *, setting_aside: bool = False
    ) -> Recovery:
        """Delete every file that no row names; call once, before anything listens.

        Args:
            named: The file names in the journal that begin with a prefix.
            setting_aside: Move those that have bytes instead: the journal may have lost the
                rows. They take no more room there than they did.

        Raises:
            SpoolError: Another node uses the folder, or it cannot be read.
        """
        self.lock()
        deleted = aside = 0
        missing: list[str] = []
        with translated("the data folder cannot be put in order"):
            present = set(self._files.names(self._root.path))
            for shard in (f"{number:02x}" for number in range(256)):
                rows = named(f"{shard}/")
                names = self._files.names(self._root.path / shard) if shard in present else []
                found = {f"{shard}/{name}" for name in names}
                kept = [one for one in found - rows if setting_aside and not self._is_blank(one)]
                if kept:
                    self.set_aside(*kept)
                for orphan in found - rows - set(kept):
                    self._files.unlink(self._root.path / orphan)
                    deleted += 1
                aside += len(kept)
                missing.extend(sorted(rows - found))
        return Recovery(deleted, tuple(missing), aside)

    def _is_blank(self, name: str) -> bool:
        """Whether a file was made and never written to."""
        descriptor = self._files.open(self._root.path / name)
        try:
            return not self._files.read(descriptor, 1)
        finally:
            self._files.close(descriptor)

    def close(self) -> None:
        """Leave a tidy folder, and let another node have it; no draft is open any more.

        Raises:
            SpoolError: An empty file cannot be removed; the next start does.
        """
        self._root.remove_blanks()
        locked, self._locked = self._locked, None
        if locked is not None:
            self._files.close(locked)

    def read(
        self, file: StoredFile, offset: int = 0, *, from_disk: bool = False
    ) -> Iterator[bytes]:
        """Read a file from `offset` to its end, piece by piece.

        Args:
            file: Which.
            offset: Where to begin.
            from_disk: Whether to pass over what the system remembers of it: after a sync that
                failed this may be other than what is on the disk.

        Raises:
            SpoolError: It is gone or cannot be read; raised while iterating.
        """
        with translated("a stored file cannot be read"):
            descriptor = self._files.open(self._root.path / file.name)
            try:
                if from_disk:
                    self._files.forget(descriptor)
                if offset:
                    self._files.seek(descriptor, offset)
                left = file.size_bytes - offset
                # A byte more than there should be, so that a file that has grown shows it.
                while left > 0 and (
                    piece := self._files.read(descriptor, min(left + 1, PIECE_BYTES))
                ):
                    left -= len(piece)
                    yield piece
            finally:
                self._files.close(descriptor)

    def read_intact(self, file: StoredFile, offset: int = 0) -> Iterator[bytes]:
        """Read a file as `read` does, and say behind its last piece if it is damaged.

        Raises:
            SpoolError: It is gone, cannot be read, or has not the bytes that were acknowledged;
                raised while iterating.
        """
        digest = xxh3_128()
        for piece in self.read(file):
            digest.update(piece)
            before, offset = min(offset, len(piece)), max(0, offset - len(piece))
            if before < len(piece):
                yield piece[before:] if before else piece
        if digest.hexdigest() != file.digest:
            raise SpoolError("a stored file is damaged")

    def intact(
        self,
        file: StoredFile,
        *,
        from_disk: bool = False,
        pace: Callable[[int], None] = lambda _: None,
    ) -> bool:
        """Whether a file is there and still has the bytes that were acknowledged.

        Args:
            file: Which.
            from_disk: As in `read`.
            pace: Told how many bytes were read after each piece; may wait.

        Raises:
            SpoolError: It is there and cannot be read.
        """
        if not file.name:
            return False
        digest = xxh3_128()
        try:
            for piece in self.read(file, from_disk=from_disk):
                digest.update(piece)
                pace(len(piece))
        except SpoolError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise
        return digest.hexdigest() == file.digest

    def holds(self, name: str, size_bytes: int) -> bool:
        """Whether a file is there and has this size, which is not 0; its bytes are not read.

        Raises:
            SpoolError: Nobody can say now.
        """
        with translated("a stored file cannot be looked at"):
            try:
                descriptor = self._files.open(self._root.path / name)
            except FileNotFoundError:
                return False
            try:
                self._files.seek(descriptor, size_bytes - 1)
                return len(self._files.read(descriptor, 2)) == 1
            finally:
                self._files.close(descriptor)

    def remove(self, name: str) -> None:
        """Remove a file that no row names any more; one that is gone already is fine.

        Raises:
            SpoolError: It cannot be removed; the next start does.
        """
        self._root.remove(name)

    def set_aside(self, *names: str) -> None:
        """Move files that are damaged, or that no row names, out of the way, durably.

        Raises:
            SpoolError: They cannot be moved.
        """
        self._root.set_aside(names, self._data / ASIDE)

    def set_aside_private(self, name: str) -> None:
        """Move a file from beside the instances out of the way, durably.

        Raises:
            SpoolError: It cannot be moved.
        """
        self._root.set_aside([f"../{name}"], self._data / ASIDE)


class Draft:
    """One instance on its way to the disk; used by one thread.

    Exactly one of these ends it: `keep` after the journal named the file, or `discard`.
    """

    __slots__ = ("_descriptor", "_digest", "_looks_at", "_name", "_root", "_sealed", "_size")

    def __init__(self, root: SpoolFolder) -> None:
        self._root = root
        self._descriptor: int | None = None
        self._name = ""
        self._size = 0
        self._looks_at = LOOK_BYTES
        self._sealed = False
        self._digest = xxh3_128()

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append de-identified bytes; they may be reused when this returns.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError: It cannot be written. Either way: `discard`.
        """
        waiting = [buffer for buffer in buffers if len(buffer)]
        if not waiting:
            return
        if self._descriptor is None:
            self._descriptor, self._name = self._root.take()
        for buffer in waiting:
            self._digest.update(buffer)
            self._size += len(buffer)
        if self._size >= self._looks_at:
            self._root.room.go_on(self._size + LOOK_BYTES - self._looks_at)
            self._looks_at = self._size + LOOK_BYTES
        with translated("a file cannot be written"):
            _write_all(self._root.files, self._descriptor, waiting)

    def seal(self) -> StoredFile:
        """Make the bytes durable.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError: Nothing was written, or the disk failed. Either way: `discard`.
        """
        if self._descriptor is None:
            raise SpoolError("an instance without bytes cannot be stored")
        descriptor, files = self._descriptor, self._root.files
        with translated("a file cannot be synced"):
            self._root.sync(lambda: files.sync(descriptor))
            # After a close that failed the descriptor is gone all the same: never close it again.
            self._descriptor = None
            self._root.sync(lambda: files.close(descriptor))
        self._sealed = True
        return StoredFile(self._name, self._size, self._digest.hexdigest())

    def keep(self) -> None:
        """The journal names the file: it is no draft any more."""
        self._name = ""

    def discard(self) -> None:
        """Leave nothing on the disk; may be called again, and after `keep`, to no effect.

        Once the disk has failed, what was sealed stays for the next start to decide upon.

        Raises:
            SpoolError: The file cannot be removed; the next start does.
        """
        descriptor, name = self._descriptor, self._name
        self._descriptor, self._name = None, ""
        try:
            if descriptor is not None:
                with translated("a file cannot be closed"):
                    self._root.files.close(descriptor)
        finally:
            if name and not (self._sealed and self._root.fatal.is_set()):
                self._root.remove(name)


class Scratch:
    """A file that ends with the process, if it is not closed before; used by one thread."""

    __slots__ = ("_files", "_reader", "_size", "_writer")

    def __init__(self, files: FileSystem, writer: int, reader: int) -> None:
        self._files = files
        self._writer = writer
        self._reader = reader
        self._size = 0

    def append(self, data: bytes) -> int:
        """Write behind all there is; where it begins.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError: It cannot be written.
        """
        place = self._size
        with translated("a file cannot be written"):
            self._files.seek(self._writer, place)
            _write_all(self._files, self._writer, [data])
        self._size += len(data)
        return place

    def read(self, place: int, size_bytes: int) -> bytes:
        """At most so many bytes from there.

        Raises:
            SpoolError: They cannot be read.
        """
        with translated("a file cannot be read"):
            self._files.seek(self._reader, place)
            return self._files.read(self._reader, size_bytes)

    def close(self) -> None:
        """Nothing is left of it."""
        with translated("a file cannot be closed"):
            self._files.close(self._writer)
            self._files.close(self._reader)


def _write_all(files: FileSystem, descriptor: int, buffers: list[Buffer]) -> None:
    """Write every buffer, however little the kernel takes at a time."""
    while buffers:
        taken = files.write(descriptor, buffers[:IOV_MAX])
        if taken == 0:
            raise OSError(errno.EIO, "the disk takes no bytes")
        buffers = _after(taken, buffers)


def _after(taken: int, buffers: list[Buffer]) -> list[Buffer]:
    """What is left of `buffers` when the first `taken` bytes are gone."""
    for index, buffer in enumerate(buffers):
        if taken < len(buffer):
            return [memoryview(buffer)[taken:], *buffers[index + 1 :]]
        taken -= len(buffer)
    return []

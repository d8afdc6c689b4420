"""Instances as files, and the only owner of fsync.

The promise, in the order in which a reviewer can hold the code to it:

1. Only bytes that came out of de-identification are written here, and a file is taken at the
   first of them: a refused instance touches no disk.
2. A file is made under its final name (O_EXCL, 0600), which is random and ours: nothing from the
   wire becomes part of a path. There is no temporary name and no rename.
3. `Draft.seal` returns after the file is synced. Its entry in its folder was synced before it
   was written: files are made empty, a few at a time, which costs one sync of the folder for all
   of them. A folder is synced into its parent before a file is made in it.
4. Only then may the journal name the file, and only then is it acknowledged. A file that no row
   names was never acknowledged: `recover` deletes it. Recovery runs before anything listens.
5. Every failure unlinks the file. An unlink is not synced: what a crash brings back has no row.
6. A full disk is `OutOfSpace`, found before a reserve is touched that the journal needs in order
   to note deliveries, which is what makes room again.
7. An error of fsync or close is final (`fatal` is set, nothing is accepted any more): the kernel
   may have dropped the pages, and a second fsync would report success. Restart to go on.
8. One node per folder: `recover` takes a lock, and holds it until `close`.
9. An instance is read back in pieces, never as a whole, and its digest can be checked first.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from xxhash import xxh3_128

from scp.errors import OutOfSpace, SpoolError
from scp.instance import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Buffer = bytes | bytearray | memoryview

SUFFIX: Final = ".dcm"
PIECE_BYTES: Final = 1 << 18
"""How much of a file is read at once: bounds the memory of a delivery."""
BATCH_FILES: Final = 32
"""Files made at once, at most. The first batch is one file and each is twice the one before, so
that a quiet node keeps no empty files."""
RESERVE_BYTES: Final = 64 << 20
"""Free space never used for instances: room for the journal and the log."""
IOV_MAX: Final = 1024
"""Buffers the kernel takes in one writev (IOV_MAX of Linux)."""
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})


class FileSystem(Protocol):
    """The system calls of the spool; tests put a disk behind it that forgets."""

    def make_folder(self, path: Path) -> bool:
        """Create a folder (0700); False if it is there already."""

    def create(self, path: Path) -> None:
        """Create an empty file (0600) that must not exist."""

    def open_to_write(self, path: Path) -> int:
        """Open a file in order to fill it, without following a link."""

    def open(self, path: Path) -> int:
        """Open a file for reading, without following a link."""

    def open_folder(self, path: Path) -> int:
        """Open a folder in order to sync it."""

    def write(self, descriptor: int, buffers: Sequence[Buffer]) -> int:
        """Write some of `buffers`; the number of bytes taken."""

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        """Read at most so much; empty at the end."""

    def seek(self, descriptor: int, offset: int) -> None:
        """Move to `offset` bytes from the start."""

    def sync(self, descriptor: int) -> None:
        """Return when the file or folder will survive a loss of power."""

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""

    def unlink(self, path: Path) -> None:
        """Remove a file."""

    def names(self, path: Path) -> list[str]:
        """The names in a folder."""

    def free_bytes(self, path: Path) -> int:
        """What an ordinary process may still write on this disk."""

    def lock(self, path: Path) -> int:
        """Lock a file, which is made if absent, until the descriptor is closed."""


class Disk:
    """The real thing."""

    def make_folder(self, path: Path) -> bool:
        """Create a folder (0700); False if it is there already."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return False
        return True

    def create(self, path: Path) -> None:
        """Create an empty file (0600) that must not exist."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    def open_to_write(self, path: Path) -> int:
        """Open a file in order to fill it, without following a link."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def open(self, path: Path) -> int:
        """Open a file for reading, without following a link."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def open_folder(self, path: Path) -> int:
        """Open a folder in order to sync it."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def write(self, descriptor: int, buffers: Sequence[Buffer]) -> int:
        """Write some of `buffers`; the number of bytes taken."""
        return os.writev(descriptor, buffers)

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        """Read at most so much; empty at the end."""
        return os.read(descriptor, size_bytes)

    def seek(self, descriptor: int, offset: int) -> None:
        """Move to `offset` bytes from the start."""
        os.lseek(descriptor, offset, os.SEEK_SET)

    def sync(self, descriptor: int) -> None:
        """Return when the file or folder will survive a loss of power."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def names(self, path: Path) -> list[str]:
        """The names in a folder."""
        return [entry.name for entry in path.iterdir()]

    def free_bytes(self, path: Path) -> int:
        """What an ordinary process may still write on this disk."""
        stat = os.statvfs(path)
        return stat.f_bavail * stat.f_frsize

    def lock(self, path: Path) -> int:
        """Lock a file, which is made if absent, until the descriptor is closed."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start found.

    Attributes:
        deleted: Files that no row named: receptions that a crash cut short.
        missing: Names in the journal without a file: something outside the node removed them.
    """

    deleted: int
    missing: tuple[str, ...]


class _Root:
    """The folder of the instances: what `Spool` and `Draft` both do to it."""

    def __init__(
        self,
        path: Path,
        files: FileSystem,
        random_bytes: Callable[[int], bytes],
        reserve_bytes: int,
    ) -> None:
        self.path = path
        self.files = files
        self.fatal = threading.Event()
        self._random_bytes = random_bytes
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._blank: list[str] = []
        self._durable: set[str] = set()
        self._batch_files = 1

    def take(self) -> tuple[int, str]:
        """An empty file whose name is durable: a descriptor to fill it with, and the name."""
        if self.fatal.is_set():
            raise SpoolError("the disk has failed: nothing is accepted until the node restarts")
        with _translated("a file cannot be created"):
            if self.files.free_bytes(self.path) < self._reserve_bytes:
                raise OutOfSpace("less is free on the disk than the node keeps in reserve")
            with self._lock:
                if not self._blank:
                    self._blank = self._make_batch()
                name = self._blank.pop()
            return self.files.open_to_write(self.path / name), name

    def remove_blanks(self) -> None:
        """Remove the empty files that nobody took."""
        with self._lock:
            names, self._blank = self._blank, []
        for name in names:
            self.remove(name)

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
        try:
            action()
        except OSError as error:
            if error.errno not in _NO_SPACE:
                self.fatal.set()
            raise

    def remove(self, name: str) -> None:
        with _translated("a stored file cannot be removed"):
            try:
                self.files.unlink(self.path / name)
            except FileNotFoundError:
                return

    def _make_batch(self) -> list[str]:
        """Some empty files in one folder, with one sync of that folder."""
        shard = self._random_bytes(1).hex()
        made: list[str] = []
        try:
            if shard not in self._durable:
                self.files.make_folder(self.path / shard)
                # Also if it was there: who made it may have failed to sync it.
                self.sync_folder(self.path)
                self._durable.add(shard)
            for _ in range(self._batch_files):
                name = f"{shard}/{self._random_bytes(15).hex()}{SUFFIX}"
                self.files.create(self.path / name)
                made.append(name)
            self.sync_folder(self.path / shard)
        except OSError:
            self._batch_files = 1
            for name in made:
                self.remove(name)
            raise
        self._batch_files = min(2 * self._batch_files, BATCH_FILES)
        return made


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
    ) -> None:
        """Make the folders that are missing, durably.

        Args:
            data: The data folder of the node.
            files: The file system; the real one unless told otherwise.
            random_bytes: Makes names; must not repeat itself.
            reserve_bytes: Free space that instances never use.

        Raises:
            SpoolError: The folders cannot be made or synced.
        """
        self._files = files if files is not None else Disk()
        self._data = data
        self._locked: int | None = None
        self._root = _Root(data / "instances", self._files, random_bytes, reserve_bytes)
        with _translated("the data folder cannot be made"):
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

    def draft(self) -> Draft:
        """Begin one instance; nothing touches the disk before its first bytes."""
        return Draft(self._root)

    def private_file(self, name: str) -> Path:
        """Path of a file beside the instances, made empty, 0600 and durable if it is absent.

        Raises:
            SpoolError: It cannot be made.
        """
        with _translated("a file of the data folder cannot be made"):
            if name not in self._files.names(self._data):
                self._files.create(self._data / name)
                self._root.sync_folder(self._data)
        return self._data / name

    def recover(self, named: Callable[[str], frozenset[str]]) -> Recovery:
        """Delete every file that no row names; call once, before anything listens.

        Args:
            named: The file names in the journal that begin with a prefix.

        Raises:
            SpoolError: Another node uses the folder, or it cannot be read.
        """
        with _translated("the data folder is in use by another node, or cannot be locked"):
            self._locked = self._files.lock(self._data / ".lock")
        deleted = 0
        missing: list[str] = []
        with _translated("the data folder cannot be put in order"):
            present = set(self._files.names(self._root.path))
            for shard in (f"{number:02x}" for number in range(256)):
                rows = named(f"{shard}/")
                names = self._files.names(self._root.path / shard) if shard in present else []
                found = {f"{shard}/{name}" for name in names}
                for orphan in found - rows:
                    self._files.unlink(self._root.path / orphan)
                deleted += len(found - rows)
                missing.extend(sorted(rows - found))
        return Recovery(deleted, tuple(missing))

    def close(self) -> None:
        """Leave a tidy folder, and let another node have it; no draft is open any more.

        Raises:
            SpoolError: An empty file cannot be removed; the next start does.
        """
        self._root.remove_blanks()
        locked, self._locked = self._locked, None
        if locked is not None:
            self._files.close(locked)

    def read(self, file: StoredFile, offset: int = 0) -> Iterator[bytes]:
        """Read a file from `offset` to its end, piece by piece.

        Raises:
            SpoolError: It is gone or cannot be read; raised while iterating.
        """
        with _translated("a stored file cannot be read"):
            descriptor = self._files.open(self._root.path / file.name)
            try:
                if offset:
                    self._files.seek(descriptor, offset)
                while piece := self._files.read(descriptor, PIECE_BYTES):
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

    def intact(self, file: StoredFile) -> bool:
        """Whether a file is there and still has the bytes that were acknowledged.

        Raises:
            SpoolError: It is there and cannot be read.
        """
        if not file.name:
            return False
        digest = xxh3_128()
        try:
            for piece in self.read(file):
                digest.update(piece)
        except SpoolError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise
        return digest.hexdigest() == file.digest

    def remove(self, name: str) -> None:
        """Remove a file that no row names any more; one that is gone already is fine.

        Raises:
            SpoolError: It cannot be removed; the next start does.
        """
        self._root.remove(name)


class Draft:
    """One instance on its way to the disk; used by one thread.

    Exactly one of these ends it: `keep` after the journal named the file, or `discard`.
    """

    __slots__ = ("_descriptor", "_digest", "_name", "_root", "_size")

    def __init__(self, root: _Root) -> None:
        self._root = root
        self._descriptor: int | None = None
        self._name = ""
        self._size = 0
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
        with _translated("a file cannot be written"):
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
        with _translated("a file cannot be synced"):
            self._root.sync(lambda: files.sync(descriptor))
            # After a close that failed the descriptor is gone all the same: never close it again.
            self._descriptor = None
            self._root.sync(lambda: files.close(descriptor))
        return StoredFile(self._name, self._size, self._digest.hexdigest())

    def keep(self) -> None:
        """The journal names the file: it is no draft any more."""
        self._name = ""

    def discard(self) -> None:
        """Leave nothing on the disk; may be called again, and after `keep`, to no effect.

        Raises:
            SpoolError: The file cannot be removed; the next start does.
        """
        descriptor, name = self._descriptor, self._name
        self._descriptor, self._name = None, ""
        try:
            if descriptor is not None:
                with _translated("a file cannot be closed"):
                    self._root.files.close(descriptor)
        finally:
            if name:
                self._root.remove(name)


@contextmanager
def _translated(sentence: str) -> Iterator[None]:
    """Turn an OSError into an error of the spool; its text has no path in it."""
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "unknown error")
        sort = OutOfSpace if error.errno in _NO_SPACE else SpoolError
        raise sort(f"{sentence} ({code})") from error


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

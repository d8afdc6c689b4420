"""The system calls of the data folder, and the only owner of fsync.

`FileSystem` is what the spool needs of a disk; `Disk` is the real one. Tests put others behind it:
one that forgets what was not synced, one that fails to order.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from scp.errors import OutOfSpace, SpoolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Buffer = bytes | bytearray | memoryview

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
"""What passes when something is removed or closed; any other error of a sync is final."""
NO_LIMIT: Final = 1 << 62
"""Inodes of a file system that does not count them."""


class FileSystem(Protocol):
    """What is asked of a disk; every call raises OSError as the system does."""

    def make_folder(self, path: Path) -> bool:
        """Create a folder (0700); False if it is there already."""

    def create(self, path: Path) -> int:
        """Create an empty file (0600) that must not exist; a descriptor to fill it with."""

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

    def free_inodes(self, path: Path) -> int:
        """How many files an ordinary process may still make on this disk."""

    def move(self, path: Path, to: Path) -> None:
        """Give a file another name on this disk."""

    def allocate(self, descriptor: int, size_bytes: int) -> None:
        """Make a file so long that writing over it takes no more room."""

    def forget(self, descriptor: int) -> None:
        """Make the next reads of a file come from the disk, as far as it was written there."""

    def lock(self, path: Path) -> int:
        """Lock a file, which is made if absent, until the descriptor is closed."""


class Disk:
    """The disk of this machine."""

    def make_folder(self, path: Path) -> bool:
        """Create a folder (0700); False if it is there already."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return False
        return True

    def create(self, path: Path) -> int:
        """Create an empty file (0600) that must not exist; a descriptor to fill it with."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

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

    def free_inodes(self, path: Path) -> int:
        """How many files an ordinary process may still make on this disk."""
        stat = os.statvfs(path)
        # Some file systems make inodes as they need them, and say that there are none at all.
        return stat.f_favail if stat.f_files else NO_LIMIT

    def move(self, path: Path, to: Path) -> None:
        """Give a file another name on this disk."""
        path.rename(to)

    def allocate(self, descriptor: int, size_bytes: int) -> None:
        """Make a file so long that writing over it takes no more room."""
        os.posix_fallocate(descriptor, 0, size_bytes)

    def forget(self, descriptor: int) -> None:
        """Make the next reads of a file come from the disk, as far as it was written there."""
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def lock(self, path: Path) -> int:
        """Lock a file, which is made if absent, until the descriptor is closed."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


@contextmanager
def translated(sentence: str) -> Iterator[None]:
    """Turn an OSError into an error of the spool; its text has the sentence and no path else."""
    try:
        yield
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "unknown error")
        sort = OutOfSpace if error.errno in NO_SPACE else SpoolError
        raise sort(f"{sentence} ({code})") from error

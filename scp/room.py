"""How much room the disk has, and when the node stops and begins again to take instances in.

The promise:

1. Two marks, each for bytes and for inodes. Below the low one nothing new is begun; it is begun
   again once both are at the high one. Between them stays whatever was.
2. An instance that has begun may use half of what is below the low mark, never the rest: that is
   for the journal and the log, so that deliveries go on, which is what makes room again.
3. What several instances write side by side counts for all of them: each looks again after every
   `LOOK_BYTES` of its own.
4. The disk is asked at every look, so nothing has to notice that there is room again.
5. One line when it begins and one when it ends, which says how many were turned away. Refusals
   in between have none of their own.

Inodes of a file system that does not count them are never short.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.disk import translated
from scp.errors import OutOfSpace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scp.disk import FileSystem
    from scp.logs import Log

LOOK_BYTES: Final = 1 << 20
"""How much an instance writes between two looks at the disk."""
BALLAST_BYTES: Final = 16 << 20
"""Of the file that stands for the journal's room, at most."""
BALLAST: Final = ".reserve"
"""Its name in the data folder."""
FEW_INODES: Final = 4
"""What SQLite needs to open a database: its log, its index, and some to spare."""
QUIET_S: Final = 10.0
"""Between two lines about refusals for want of room that the marks did not foresee: a quota."""


@dataclass(frozen=True, slots=True)
class Marks:
    """When the disk counts as full, and when it does not any more.

    Attributes:
        low_bytes: With fewer free bytes nothing new is begun.
        high_bytes: With so many it is begun again.
        low_inodes: With fewer free inodes nothing new is begun.
        high_inodes: With so many it is begun again.
    """

    low_bytes: int = 256 << 20
    high_bytes: int = 512 << 20
    low_inodes: int = 1000
    high_inodes: int = 2000

    @property
    def floor_bytes(self) -> int:
        """What an instance that has begun must leave free."""
        return self.low_bytes // 2


class Room:
    """The room of one data folder; safe for use by many threads."""

    def __init__(
        self,
        files: FileSystem,
        folder: Path,
        marks: Marks,
        *,
        log: Log | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind it; nothing is asked of the disk yet.

        Args:
            files: The file system.
            folder: A folder on the disk that counts.
            marks: See `Marks`.
            log: Where events go.
            monotonic: The clock of durations, in seconds; it decides over lines of the log only.
        """
        self._files = files
        self._folder = folder
        self._marks = marks
        self._log = log
        self._monotonic = monotonic
        self._changing = threading.Lock()
        self._full_since: float | None = None
        self._turned_away = 0
        self._told_at = -QUIET_S

    @property
    def marks(self) -> Marks:
        """When the disk counts as full."""
        return self._marks

    def is_full(self) -> bool:
        """Whether nothing new may be begun, as the disk is now.

        Raises:
            SpoolError: The disk does not say.
        """
        free_bytes, free_inodes = self._free()
        was_full = self._full_since is not None
        marks = self._marks
        if was_full:
            full = free_bytes < marks.high_bytes or free_inodes < marks.high_inodes
        else:
            full = free_bytes < marks.low_bytes or free_inodes < marks.low_inodes
        if full is not was_full:
            self._change(full=full, free_bytes=free_bytes, free_inodes=free_inodes)
        return full

    def begin(self) -> None:
        """An instance is to be begun.

        Raises:
            OutOfSpace: There is no room for another.
            SpoolError: The disk does not say.
        """
        if self.is_full():
            raise OutOfSpace("less is free on the disk than the node keeps in reserve")

    def go_on(self, count_bytes: int = 0) -> None:
        """Something that has begun is to be continued.

        Args:
            count_bytes: What it will write before it asks again.

        Raises:
            OutOfSpace: What is left is not for instances.
            SpoolError: The disk does not say.
        """
        if self._free()[0] - count_bytes < self._marks.floor_bytes:
            raise OutOfSpace("what is free on the disk is needed for the journal")

    def turn_away(self) -> bool:
        """Count somebody who is refused for want of room; whether that takes a line of its own."""
        now = self._monotonic()
        with self._changing:
            if self._full_since is not None:
                self._turned_away += 1
                return False
            told, self._told_at = self._told_at, max(self._told_at, now)
            if now - told >= QUIET_S:
                return True
            self._told_at = told
            return False

    def _free(self) -> tuple[int, int]:
        with translated("the disk does not say what is free"):
            free_bytes = self._files.free_bytes(self._folder)
            return free_bytes, self._files.free_inodes(self._folder)

    def _change(self, *, full: bool, free_bytes: int, free_inodes: int) -> None:
        now = self._monotonic()
        with self._changing:
            since, turned_away = self._full_since, self._turned_away
            if (since is not None) is full:
                return  # another thread has seen it
            self._full_since, self._turned_away = (now if full else None), 0
        log = self._log if self._log is not None else logs.log()
        free = {"free_bytes": free_bytes, "free_inodes": free_inodes}
        if since is None:
            log.error("the disk is full: nothing is taken in until there is room", **free)
        else:
            spent = {"duration_s": round(now - since, 3), "count": turned_away}
            log.warning("the disk has room again: instances are taken in", **free, **spent)


class Ballast:
    """Room that is really taken, and given to the journal where the disk has none left at all.

    The marks keep instances away from the journal's room; this keeps everybody else away from
    the least that it needs.
    """

    def __init__(self, files: FileSystem, folder: Path, marks: Marks) -> None:
        """Bind it; nothing is taken yet."""
        self._files = files
        self._path = folder / BALLAST
        self._size_bytes = min(BALLAST_BYTES, marks.low_bytes // 4)
        self._changing = threading.Lock()
        self._held = False

    @property
    def size_bytes(self) -> int:
        """How much it is."""
        return self._size_bytes

    def hold(self) -> None:
        """Take the room, unless it is taken.

        Raises:
            OutOfSpace: There is none to take.
            SpoolError: It cannot be taken.
        """
        with self._changing:
            if self._held or not self._size_bytes:
                return
            with translated("the reserve cannot be made"):
                self._unlink()  # one of an earlier life may be shorter than it should be
                self._make()
            self._held = True

    def give_if_short(self) -> bool:
        """Let the room go where the journal could not even be opened; whether it was so."""
        with translated("the disk does not say what is free"):
            folder = self._path.parent
            short = self._files.free_bytes(folder) < self._size_bytes
            short = short or self._files.free_inodes(folder) < FEW_INODES
        return short and self.give()

    def give(self) -> bool:
        """Let the room go; whether there was any."""
        with self._changing:
            self._held = False
            try:
                self._files.unlink(self._path)
            except OSError:
                return False
            return True

    def _unlink(self) -> None:
        with suppress(FileNotFoundError):
            self._files.unlink(self._path)

    def _make(self) -> None:
        descriptor = self._files.create(self._path)
        try:
            self._files.allocate(descriptor, self._size_bytes)
        except OSError:
            self._unlink()
            raise
        finally:
            self._files.close(descriptor)

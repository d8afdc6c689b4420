"""How much room the disk has: two marks, a floor, and a reserve for the journal."""

from __future__ import annotations

import errno
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scp import logs
from scp.errors import OutOfSpace, SpoolError
from scp.room import BALLAST, QUIET_S, Ballast, Marks, Room
from scp.spool import Spool
from tests.scp.disks import ForgetfulDisk

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS = Marks(low_bytes=100, high_bytes=200, low_inodes=10, high_inodes=20)
DATA = Path("/data")


class Measured(ForgetfulDisk):
    """A disk that says what is free on it as the test wants it."""

    bytes_left = 1000
    inodes_left = 1000
    fails = False

    def free_bytes(self, path: Path) -> int:
        del path
        if self.fails:
            raise OSError(errno.EIO, "ordered by the test")
        return self.bytes_left

    def free_inodes(self, path: Path) -> int:
        del path
        return self.inodes_left

    def allocate(self, descriptor: int, size_bytes: int) -> None:
        if self.bytes_left < size_bytes:
            raise OSError(errno.ENOSPC, "ordered by the test")
        self.bytes_left -= size_bytes
        super().allocate(descriptor, size_bytes)

    def unlink(self, path: Path) -> None:
        size = len(self._find(path).data)
        super().unlink(path)
        self.bytes_left += size


@dataclass
class Looking:
    """A room, the disk it looks at, and what it says."""

    disk: Measured
    room: Room
    lines: io.StringIO
    now: float = 0.0

    def logged(self) -> list[dict[str, object]]:
        """The lines of the log."""
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


@pytest.fixture
def looking() -> Iterator[Looking]:
    """Plenty of room, to begin with."""
    lines = io.StringIO()
    logs.configure(lines, strict=True)
    disk = Measured()
    looking = Looking(disk, Room(disk, Path("/"), MARKS, monotonic=lambda: looking.now), lines)
    return looking


@pytest.mark.parametrize("what", ["bytes_left", "inodes_left"])
def test_a_disk_is_full_from_the_low_mark_to_the_high_one(looking: Looking, what: str) -> None:
    """Either of them is enough to begin, and takes both to end; between them nothing changes."""
    low, high = (100, 200) if what == "bytes_left" else (10, 20)
    seen = []
    for free in (high, low, low - 1, low, high - 1, high, low):
        setattr(looking.disk, what, free)
        seen.append(looking.room.is_full())

    assert seen == [False, False, True, True, True, False, False]


def test_an_instance_is_begun_only_where_there_is_room(looking: Looking) -> None:
    """And again as soon as there is: nothing else has to notice."""
    looking.disk.bytes_left = 99
    with pytest.raises(OutOfSpace):
        looking.room.begin()
    looking.disk.bytes_left = 200
    looking.room.begin()


def test_what_has_begun_may_use_half_of_what_is_below_the_mark(looking: Looking) -> None:
    """The other half is the journal's."""
    looking.disk.bytes_left = 50
    looking.room.go_on()
    with pytest.raises(OutOfSpace):
        looking.room.go_on(1)


def test_a_disk_that_says_nothing_takes_nothing_in(looking: Looking) -> None:
    """Nobody knows what would become of it."""
    looking.disk.fails = True
    with pytest.raises(SpoolError):
        looking.room.begin()


def test_it_says_so_once_at_each_end(looking: Looking) -> None:
    """Whoever was turned away in between is counted in the second line."""
    looking.disk.bytes_left = 1
    for _ in range(3):
        looking.room.is_full()
    assert [looking.room.turn_away() for _ in range(7)] == [False] * 7
    looking.disk.bytes_left = 1000
    looking.now = 42.0
    for _ in range(3):
        looking.room.is_full()

    begun, ended = looking.logged()
    assert (begun["level"], begun["free_bytes"]) == ("error", 1)
    assert (ended["count"], ended["duration_s"]) == (7, 42.0)


def test_refusals_that_no_mark_foresaw_have_a_line_now_and_then(looking: Looking) -> None:
    """A quota fills no disk: it must not fill the log."""
    told = [looking.room.turn_away() for _ in range(5)]
    looking.now = QUIET_S
    told += [looking.room.turn_away() for _ in range(5)]

    assert told == [True, *[False] * 4, True, *[False] * 4]


def test_an_instance_that_grows_leaves_the_floor(looking: Looking) -> None:
    """However large it is: it looks again while it is written, and what it wrote goes."""
    disk = Measured()
    disk.bytes_left = 1 << 30
    spool = Spool(DATA, files=disk, marks=Marks(64 << 20, 128 << 20, 0, 0))
    draft = spool.draft()
    piece = bytes(1 << 20)
    written = 0
    with suppress(OutOfSpace):
        while True:
            draft.write([piece])
            written += len(piece)
            disk.bytes_left -= len(piece)
    draft.discard()

    assert disk.bytes_left >= 1 << 30  # `unlink` has given it back
    assert (1 << 30) - written in range(32 << 20, 34 << 20)
    assert looking.logged() == []


def test_room_for_the_journal_is_taken_and_given_once() -> None:
    """It is a file of its size; giving it twice gives nothing."""
    disk = Measured()
    ballast = Ballast(disk, Path("/"), Marks(low_bytes=400))
    ballast.hold()
    ballast.hold()
    assert disk.bytes_left == 900

    assert [ballast.give(), ballast.give()] == [True, False]
    assert disk.bytes_left == 1000
    assert disk.names(Path("/")) == []


def test_room_that_is_not_there_is_not_taken() -> None:
    """Nothing stays of the attempt."""
    disk = Measured()
    disk.bytes_left = 99
    with pytest.raises(OutOfSpace):
        Ballast(disk, Path("/"), Marks(low_bytes=400)).hold()

    assert disk.names(Path("/")) == []


@pytest.mark.parametrize(
    ("bytes_left", "inodes_left", "given"), [(99, 1000, True), (100, 1000, False), (100, 3, True)]
)
def test_the_reserve_goes_where_the_journal_could_not_be_opened(
    bytes_left: int, inodes_left: int, *, given: bool
) -> None:
    """SQLite needs bytes, and inodes for its log and index, before it can note anything."""
    disk = Measured()
    ballast = Ballast(disk, Path("/"), Marks(low_bytes=400))
    ballast.hold()
    disk.bytes_left, disk.inodes_left = bytes_left, inodes_left

    assert ballast.give_if_short() is given
    assert (BALLAST in disk.names(Path("/"))) is not given

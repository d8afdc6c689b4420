"""Damage in the journal's write-ahead log, found before SQLite reads it.

SQLite takes the log up to the first frame whose checksum is wrong, and passes over the rest in
silence: one bit that flips there takes back every commit behind it. The rest of a commit that a
crash cut short looks the same at first. The difference: each frame's checksum goes on from the
one that is written in the frame before, so that a commit behind the damage still shows itself; and
the log's index, a file of its own, says how many frames there were.

Where the damaged part had been moved into the database already, the log is not needed, and would
turn pages back to older ones: it is to be set aside.

Source: the file formats of SQLite, "The WAL File Format" and "WAL-Index File Format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
MAGIC: Final = 0x377F0682
"""Of a log whose checksums read little-endian words; one more for big-endian ones."""
_MASK: Final = 0xFFFFFFFF
_SUM_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class LogState:
    """What the log of a journal holds.

    Attributes:
        valid: Frames up to the last commit that SQLite will find.
        written: Frames up to the last commit that there was; more than `valid` if it is damaged.
        moved: Frames that are in the database proper, as far as that is known.
    """

    valid: int = 0
    written: int = 0
    moved: int = 0

    @property
    def is_damaged(self) -> bool:
        """Whether commits are lost to SQLite."""
        return self.written > self.valid

    @property
    def is_outdated(self) -> bool:
        """Whether the database proper has more than SQLite will find in the log."""
        return self.is_damaged and self.moved > self.valid

    @property
    def is_loss(self) -> bool:
        """Whether commits are in neither."""
        return self.written > max(self.valid, self.moved)


def read_log(log: Path, index: Path, found: Callable[[], int | None] = lambda: None) -> LogState:
    """Look at a log that nobody writes.

    Args:
        log: The file that SQLite names `-wal`; may be absent.
        index: The file that SQLite names `-shm`; may be absent.
        found: Says how many frames SQLite finds, which is quicker than to look at all of them
            here; called once both files are read, because SQLite makes the index anew. None
            where it cannot say.

    Raises:
        OSError: They cannot be read.
    """
    data = log.read_bytes() if log.exists() else b""
    if not data.rstrip(b"\0"):
        return LogState()
    whole = _Log(data)
    known = LogIndex(index.read_bytes() if index.exists() else b"")
    if not whole.is_whole:
        # Without the header nothing of it counts; what it held only the index knows.
        return LogState(0, known.frames or 1, known.moved)
    state = whole.state(found())
    if known.salts != whole.salts:
        return state
    return LogState(state.valid, max(state.written, known.frames), known.moved)


class _Log:
    """The log as bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.is_whole = False
        self.salts = b""
        if len(data) < HEADER_BYTES:
            return
        magic, _, page_bytes = struct.unpack_from(">III", data)
        self._order = ">" if magic & 1 else "<"
        stored = data[HEADER_BYTES - _SUM_BYTES : HEADER_BYTES]
        total = self._sum(data[: HEADER_BYTES - _SUM_BYTES], (0, 0))
        self.is_whole = magic in (MAGIC, MAGIC + 1) and struct.pack(">II", *total) == stored
        if not self.is_whole:
            return  # nothing of the header can be believed, the size of a page least of all
        self.salts = data[16:24]
        self._start = total
        self._frame_bytes: int = FRAME_HEADER_BYTES + page_bytes
        self._page_factors = _factors(page_bytes // 4)

    def state(self, found: int | None) -> LogState:
        """Valid frames, as many as were found already, and commits behind them."""
        valid = self._valid() if found is None else found
        frames = (len(self._data) - HEADER_BYTES) // self._frame_bytes
        behind = [
            later + 1
            for later in range(valid + 1, frames)
            if self._is_commit(later) and self._follows(later, self._stored(later - 1))
        ]
        return LogState(valid, max([valid, *behind]))

    def _valid(self) -> int:
        frames = (len(self._data) - HEADER_BYTES) // self._frame_bytes
        before, valid, number = self._start, 0, 0
        while number < frames and self._follows(number, before):
            number += 1
            before = self._stored(number - 1)
            if self._is_commit(number - 1):
                valid = number
        return valid

    def _at(self, number: int) -> int:
        return HEADER_BYTES + number * self._frame_bytes

    def _stored(self, number: int) -> tuple[int, int]:
        first, second = struct.unpack_from(">II", self._data, self._at(number) + 16)
        return first, second

    def _is_commit(self, number: int) -> bool:
        at = self._at(number)
        ends = self._data[at + 4 : at + 8] != bytes(4)
        return ends and self._data[at + 8 : at + 16] == self.salts

    def _follows(self, number: int, before: tuple[int, int]) -> bool:
        """Whether a frame belongs to this log and its checksum goes on from `before`."""
        at = self._at(number)
        if self._data[at + 8 : at + 16] != self.salts:
            return False
        page = self._data[at + FRAME_HEADER_BYTES : at + self._frame_bytes]
        total = self._sum(self._data[at : at + 8], before)
        return self._sum(page, total, self._page_factors) == self._stored(number)

    def _sum(
        self,
        data: bytes,
        before: tuple[int, int],
        factors: tuple[list[int], list[int], int, int, int, int] | None = None,
    ) -> tuple[int, int]:
        """SQLite's checksum of some words, which goes on from another."""
        words = struct.unpack(f"{self._order}{len(data) // 4}I", data)
        first, second, aa, ab, ba, bb = factors or _factors(len(words))
        return (
            (sum(map(mul, first, words)) + aa * before[0] + ab * before[1]) & _MASK,
            (sum(map(mul, second, words)) + ba * before[0] + bb * before[1]) & _MASK,
        )


def _factors(words: int) -> tuple[list[int], list[int], int, int, int, int]:
    """What each word, and each of the two sums before, adds to the two sums behind.

    The checksum is `a += x + b; b += y + a` for each two words x and y, so linear in all of them:
    one pass over products is many times faster here than the two sums step by step.
    """
    first: list[int] = []
    second: list[int] = []
    # How the sums in front of the words that are still to come act on those behind them.
    aa, ab, ba, bb = 1, 0, 0, 1
    for _ in range(words // 2):
        first += [ab, (aa + ab) & _MASK]
        second += [bb, (ba + bb) & _MASK]
        aa, ab = (aa + ab) & _MASK, (aa + 2 * ab) & _MASK
        ba, bb = (ba + bb) & _MASK, (ba + 2 * bb) & _MASK
    return first[::-1], second[::-1], aa, ab, ba, bb


class LogIndex:
    """What the log's index says, if it is whole.

    Attributes:
        frames: Of the log, up to the last commit.
        salts: Of the log that it is the index of; empty if it is not whole.
        moved: Frames that are in the database proper.
    """

    def __init__(self, data: bytes) -> None:
        self.frames = self.moved = 0
        self.salts = b""
        # Two copies of a header of 48 bytes, then how many frames were moved.
        if len(data) < 100 or data[:48] != data[48:96] or not any(data[:48]):  # noqa: PLR2004
            return
        self.frames = int(struct.unpack_from("=I", data, 16)[0])
        self.salts = data[32:40]
        self.moved = min(self.frames, int(struct.unpack_from("=I", data, 96)[0]))

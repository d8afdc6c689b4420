"""What a job has made so far, on the disk, so that memory does not grow with it.

The file has no name: it ends with the job or the process, and holds only what the journal will
say of the results. It need not be durable: results that no row names are made again.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.spool import Scratch, Spool

_WINDOW_BYTES: Final = 1 << 16
_NOTHING: Final = -1
_BETWEEN: Final = b"\t"


@dataclass(frozen=True, slots=True)
class Entry:
    """A result.

    Attributes:
        source: Identifier of what it was made from.
        digest: Of the bytes it was made from.
        facts: See `facts_of`.
    """

    source: str
    digest: str
    facts: bytes


class Ledger:
    """Results by number; added by many threads, read when nobody adds."""

    def __init__(self, spool: Spool, count: int) -> None:
        """Make it for so many; nothing touches the disk before the first."""
        self._spool = spool
        self._lock = threading.Lock()
        self._file: Scratch | None = None
        self._places = array("q", [_NOTHING]) * count
        self._sizes = array("l", [0]) * count
        self._made = 0

    def __len__(self) -> int:
        """How many are made."""
        return self._made

    def add(self, number: int, entry: Entry) -> None:
        """Note a result.

        Raises:
            OutOfSpace: the disk is full.
            SpoolError: it cannot be written; it is not noted.
        """
        line = _BETWEEN.join((entry.source.encode(), entry.digest.encode(), entry.facts))
        with self._lock:
            if self._file is None:
                self._file = self._spool.scratch()
            self._places[number] = self._file.append(line)
            self._sizes[number] = len(line)
            self._made += 1

    def __iter__(self) -> Iterator[Entry]:
        """All of them by number; raises SpoolError where they cannot be read."""
        if self._file is None:
            return
        start, window = 0, b""
        for place, size in zip(self._places, self._sizes, strict=True):
            if place == _NOTHING:
                continue
            if place < start or place + size > start + len(window):
                # Neighbours may have been noted somewhat earlier.
                start = max(0, place - _WINDOW_BYTES // 2)
                window = self._file.read(start, max(_WINDOW_BYTES, place - start + size))
            source, digest, facts = window[place - start : place - start + size].split(_BETWEEN, 2)
            yield Entry(source.decode(), digest.decode(), facts)

    def close(self) -> None:
        """Forget all of them."""
        file, self._file = self._file, None
        self._places = self._sizes = array("q")
        self._made = 0
        if file is not None:
            file.close()

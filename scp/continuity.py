"""Whether the journal that a start finds is the one that the life before it wrote.

A journal that was restored from a copy, or made anew from what could be read of one, lacks rows
of files that were acknowledged. Only where it is known to be neither may a start delete a file.

The promise:

1. A number is kept twice: as a fact of the journal, and in a file beside it. Both grow together,
   the journal's first, each durable before the next step. So the journal has at least the number
   of the file, whenever a node dies, unless it is an older one.
2. They grow at every start before anything listens, at the end of every second in which something
   durable was committed, and at a stop. A copy is recognised unless it was made in the last of
   these seconds before a death.
3. A journal that another program has made anew holds the number too. It is recognised because
   its file does not say that it has a write-ahead log, as every journal of a node does.
4. A doubt is durable before anything follows from it: the file's number is 0 then, and there is
   a new one only when the folder is in order. A death in between leaves the doubt as it is.
5. No file, or one that cannot be understood, is a doubt as well: so is the first start of a node
   that keeps the number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.journal import FILE_NAME

if TYPE_CHECKING:
    from scp.journal import Journal
    from scp.spool import Spool

MARK: Final = "journal.mark"
"""The file beside the journal."""
FACT: Final = "mark"
"""Name of the fact in the journal."""
_DIGITS: Final = 20
_VERSIONS: Final = slice(18, 20)
"""Where the header of a database says which versions of SQLite may write and read it."""
_LOGGED: Final = b"\x02\x02"
"""What it says there if it has a write-ahead log (SQLite, "Database File Format", 1.3.3)."""


def is_made_anew(spool: Spool) -> bool:
    """Whether another program than a node wrote the journal; before it is opened for writing.

    Raises:
        SpoolError: It cannot be read.
    """
    head = spool.read_private(FILE_NAME, _VERSIONS.stop)
    return bool(head) and head[_VERSIONS] != _LOGGED


def doubt(spool: Spool) -> None:
    """Let no start believe the journal until `Mark.advance` was called; durable on return.

    Raises:
        SpoolError: It cannot be noted.
    """
    if _number(spool):
        spool.write_private(MARK, _text(0))


class Mark:
    """The number of a journal in use; `advance` and `keep` are called by one thread at a time."""

    def __init__(self, journal: Journal, spool: Spool) -> None:
        self._journal = journal
        self._spool = spool
        self._seen = -1

    def is_unbroken(self) -> bool:
        """Whether the journal has all that the last life committed.

        Raises:
            SpoolError, JournalError: The number cannot be read.
        """
        number = _number(self._spool)
        return 0 < number <= self._noted()

    def keep(self) -> None:
        """Advance if something durable was committed since.

        Raises:
            SpoolError, JournalError: As `advance`.
        """
        if self._journal.commits != self._seen:
            self.advance()

    def advance(self) -> None:
        """Tell the journal from every copy that was made of it so far.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError, JournalError: It cannot be noted.
        """
        before = self._journal.commits
        number = max(self._noted(), _number(self._spool)) + 1
        self._journal.note_fact(FACT, str(number))
        self._spool.private_file(MARK)
        self._spool.write_private(MARK, _text(number))
        self._seen = before + 1

    def _noted(self) -> int:
        noted = self._journal.fact(FACT)
        return int(noted) if noted.isdecimal() else 0


def _number(spool: Spool) -> int:
    """The number in the file; 0 if there is none."""
    text = spool.read_private(MARK, _DIGITS + 1)
    whole = len(text) == _DIGITS and text.isdigit()
    return int(text) if whole else 0


def _text(number: int) -> bytes:
    """Always of one length, so that it is written over within a sector, which is never torn."""
    return b"%0*d" % (_DIGITS, number)

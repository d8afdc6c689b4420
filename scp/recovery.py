"""The data folder put in order before anything listens, and what it is left with at a stop.

The promise:

1. Nobody else uses the folder from the first step on.
2. Damage is found before it does harm. A log that has lost commits, an index that disagrees with
   its table: the node goes on with the rest and says so. A table that cannot be read is refused,
   with the remedy.
3. Files that no row names are deleted only where the journal is known to be sound and to be the
   one of the life before: see `continuity`. Where it is damaged, restored from a copy, made anew
   or too large to be looked at, those with bytes are set aside; where it is gone altogether the
   node does not start. A doubt is durable before anything is mended, and outlives a death.
4. Whatever an earlier life has left in the log is durable before anything follows from it: what
   it did not sync reads as if it had, also where the sync has failed.
5. Rows without their files are noted as lost: what is owed of them has failed, and a resend
   brings them back.
6. Only a stop in good order says that what is stored needs no look. Whatever was added since the
   last one is compared with its digests after the start: see `scrub`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.continuity import Mark, doubt, is_made_anew
from scp.disk import translated
from scp.errors import JournalError, OutOfSpace, ScpError
from scp.journal import FILE_NAME, REMEDY, Journal, frames_found, index_of, log_of
from scp.journal_log import read_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scp.journal_log import LogState
    from scp.logs import Log
    from scp.spool import Spool

CHECKED: Final = "checked_through"
"""Name of the fact: the last instance whose bytes are known to be on the disk."""
MOST_CHECKED_BYTES: Final = 256 << 20
"""Of a journal that is read as a whole before the start; of a larger one after it."""
_BROKEN: Final = "the journal is damaged, or not the one that was used last"
_UNCHECKED: Final = "the journal is too large to be checked before the start"
_GONE: Final = (
    "the journal is gone, but the folder of the instances holds files: restore the journal, or"
    " move both away to begin anew"
)


class Recovery:
    """Opens the journal of a spool; call `journal`, then `put_in_order`, once each.

    Attributes:
        journal_is_checked: Whether the journal as a whole has been looked at.
    """

    def __init__(self, spool: Spool, *, log: Log | None = None) -> None:
        self._spool = spool
        self._log = log if log is not None else logs.log()
        self._is_doubtful = False
        self.journal_is_checked = False

    def journal(self, wall: Callable[[], float] = time.time) -> Journal:
        """The journal, as sound as it can be made.

        Args:
            wall: The clock of its timestamps, seconds since 1970.

        Raises:
            SpoolError: Another node uses the folder, or it cannot be used.
            JournalError: The journal cannot be used.
        """
        spool = self._spool
        spool.lock()
        if spool.ballast.give_if_short():
            self._log.warning("the disk is full: the journal gets what was reserved for it")
        path = spool.private_file(FILE_NAME)
        if not path.stat().st_size and not spool.is_empty():
            raise JournalError(_GONE)
        if is_made_anew(spool):
            self._doubt()
        self._look_at_log(path)
        journal = Journal(
            path,
            wall=wall,
            fatal=spool.fatal,
            make_room=spool.ballast.give,
            holds=spool.holds,
        )
        try:
            self._look_at(journal, path)
        except BaseException:
            journal.close()
            raise
        return journal

    def put_in_order(self, journal: Journal) -> None:
        """Bring files and rows together.

        Raises:
            SpoolError: The folder cannot be put in order.
            JournalError: The journal cannot be read.
        """
        mark = Mark(journal, self._spool)
        is_broken = self._is_doubtful or not mark.is_unbroken()
        if is_broken:
            self._doubt()
        may_lack_rows = is_broken or not self.journal_is_checked
        found = self._spool.recover(journal.files, setting_aside=may_lack_rows)
        if found.deleted:
            self._log.info("unacknowledged files deleted", count=found.deleted)
        if found.aside:
            say = self._log.error if is_broken else self._log.warning
            reason = _BROKEN if is_broken else _UNCHECKED
            say("files without a row were set aside", count=found.aside, reason=reason)
        if found.missing:
            self._log.error("stored files are missing", count=len(found.missing))
            journal.lose(found.missing, outcome="the stored file is missing")
        # A node on a full disk must start; it does so in doubt until there is room.
        with suppress(OutOfSpace):
            mark.advance()

    def _doubt(self) -> None:
        """No file without a row is deleted, neither now nor after a death."""
        self._is_doubtful = True
        doubt(self._spool)

    def _look_at_log(self, path: Path) -> None:
        log, index = log_of(path), index_of(path)
        with translated("the journal's log cannot be read"):
            state = read_log(log, index, lambda: frames_found(path))
        if state.is_loss:
            self._doubt()
        if state.is_outdated:
            self._spool.set_aside_private(log.name)
            with suppress(OSError):
                index.unlink()
        elif state.written:
            self._spool.renew_private(log.name)
        if state.is_damaged:
            self._tell(state)

    def _tell(self, state: LogState) -> None:
        if state.is_loss:
            lost = "the journal's log is damaged, the last commits are lost"
            self._log.error(lost, count=state.written - max(state.valid, state.moved))
        else:
            self._log.error("the journal's log is damaged, nothing of it was needed")

    def _look_at(self, journal: Journal, path: Path) -> None:
        """Mend what follows from something else; refuse what cannot be mended."""
        if path.stat().st_size > MOST_CHECKED_BYTES and not self._is_doubtful:
            return
        self.journal_is_checked = True
        if journal.is_consistent():
            return
        self._doubt()
        with suppress(JournalError):
            journal.mend()
        if not journal.is_consistent():
            raise JournalError(f"the journal is damaged: {REMEDY}")
        self._log.error("the journal was damaged, it is mended")


def end_well(journal: Journal) -> None:
    """Note that all is on the disk, as a stop in good order leaves it.

    Raises:
        JournalError: It could not be noted: the next start looks for itself.
    """
    journal.note_fact(CHECKED, str(journal.newest()))
    journal.empty_log()


def checked_through(journal: Journal) -> int:
    """The last instance whose bytes are known to be on the disk.

    Raises:
        JournalError: It cannot be read.
    """
    noted = journal.fact(CHECKED)
    return int(noted) if noted.isdecimal() else 0


def note_checked(journal: Journal, instance_id: int) -> None:
    """Note up to which instance all bytes have been compared; a full disk is no harm.

    Raises:
        JournalError: It could not be noted.
    """
    with suppress(ScpError):
        journal.note_fact(CHECKED, str(instance_id), durable=False)

"""Stored bytes compared with their digests while the node works, slowly and for ever.

The promise:

1. First comes what was added since the last stop in good order: after a failure of the disk, or a
   loss of power, it must be on the disk and not only in what the system remembers of it.
2. Then everything that is stored, in the order it came, once a week; a stop goes on where it was.
3. Never faster than so many bytes a second, one file at a time; nobody waits for it.
4. A damaged file is read twice before it is believed. Then it is set aside, what is owed of it has
   failed with the reason, and the same instance sent again takes its place. Only that one.
5. A file that cannot be read may be there all the same: that is said, and nothing is changed.

Before a send the bytes are compared as well, by whoever sends them.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.errors import ScpError, SpoolError
from scp.quarantine import DAMAGED, quarantine
from scp.recovery import checked_through, note_checked

if TYPE_CHECKING:
    from scp.journal import Journal, KeptFile
    from scp.logs import Log
    from scp.spool import Spool

SCRUBBED: Final = "scrubbed_through"
"""Name of the fact: the last instance of the present round."""
FIRST_BYTES_PER_S: Final = 64 << 20
"""Of what was added since the last stop in good order."""
BYTES_PER_S: Final = 8 << 20
"""Of the rest: half a terabyte in a day."""
FILE_BYTES: Final = 256 << 10
"""What a file costs beside its bytes: 256 of them in a second, at most."""
BEGIN_S: Final = 2.0
"""After the start, which is not to wait for this."""
ROUND_S: Final = 7 * 86_400.0
BATCH: Final = 200
AGAIN_S: Final = 60.0
"""After the journal could not be read."""


class Scrub:
    """One thread; start it once, stop it once."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        *,
        log: Log | None = None,
        bytes_per_s: float = BYTES_PER_S,
        first_bytes_per_s: float = FIRST_BYTES_PER_S,
        is_journal_checked: bool = True,
    ) -> None:
        """Bind it.

        Args:
            journal: What is stored.
            spool: The bytes.
            log: Where events go.
            bytes_per_s: How fast, at most.
            first_bytes_per_s: Likewise, of what was added since the last stop in good order.
            is_journal_checked: Whether the journal itself needs no look.
        """
        self._journal = journal
        self._spool = spool
        self._log = log if log is not None else logs.log()
        self._bytes_per_s = bytes_per_s
        self._first_bytes_per_s = first_bytes_per_s
        self._is_journal_checked = is_journal_checked
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)
        self.is_through = False
        """Whether all of what was added since the last stop in good order was compared."""

    def start(self) -> None:
        """Begin; after a stop in good order there is nothing new to compare."""
        with suppress(ScpError):
            self.is_through = checked_through(self._journal) >= self._journal.newest()
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """End between two pieces of a file; whether it has in time."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def look_at_new(self) -> int:
        """Compare what was added since the last stop in good order; how many were damaged."""
        first = checked_through(self._journal)
        last = self._journal.newest()
        done, damaged = self._go_through(first, last, self._first_bytes_per_s, from_disk=True)
        if self._stopping.is_set():
            return damaged
        self.is_through = True
        note_checked(self._journal, last)
        if last > first:
            self._log.info(
                "what was stored before the last start is compared", count=done, refused=damaged
            )
        return damaged

    def look_at_all(self) -> int:
        """Compare everything that is stored, from where the last stop was; how many damaged."""
        noted = self._journal.fact(SCRUBBED)
        at = int(noted) if noted.isdecimal() else 0
        done, damaged = self._go_through(at, self._journal.newest(), self._bytes_per_s)
        if not self._stopping.is_set():
            self._journal.note_fact(SCRUBBED, "0", durable=False)
            self._log.info("all that is stored is compared", count=done, refused=damaged)
        return damaged

    def _run(self) -> None:
        self._stopping.wait(BEGIN_S)
        while not self._stopping.is_set():
            try:
                if not self._is_journal_checked:
                    self._look_at_journal()
                if not self.is_through:
                    self.look_at_new()
                self.look_at_all()
                wait_s = ROUND_S
            except ScpError as error:
                self._log.warning("what is stored was not compared", **logs.of_error(error))
                wait_s = AGAIN_S
            except Exception as error:  # noqa: BLE001 - it is tried again, and the node goes on
                self._log.error("comparing what is stored failed", **logs.of_error(error))
                wait_s = AGAIN_S
            self._stopping.wait(wait_s)

    def _look_at_journal(self) -> None:
        if not self._journal.is_consistent():
            self._log.error("the journal is damaged: start the node again as soon as you can")
        self._is_journal_checked = True

    def _go_through(
        self, after: int, last: int, bytes_per_s: float, *, from_disk: bool = False
    ) -> tuple[int, int]:
        """How many were compared, and how many of those were damaged."""
        done = damaged = 0
        while not self._stopping.is_set():
            kept = [one for one in self._journal.kept_after(after, BATCH) if one.id <= last]
            for one in kept:
                if self._stopping.is_set():
                    return done, damaged
                damaged += self._is_damaged(one, bytes_per_s, from_disk=from_disk)
                done += 1
                after = one.id
            if not kept:
                break
            if not from_disk:
                self._journal.note_fact(SCRUBBED, str(after), durable=False)
        return done, damaged

    def _is_damaged(self, kept: KeptFile, bytes_per_s: float, *, from_disk: bool) -> bool:
        def pace(count_bytes: int) -> None:
            self._stopping.wait(count_bytes / bytes_per_s)

        pace(FILE_BYTES)
        if not kept.file.name:
            return False
        try:
            if self._spool.intact(kept.file, from_disk=from_disk, pace=pace):
                return False
            # What was read may have been damaged on its way; and a sweep may have come between.
            if self._spool.intact(kept.file, from_disk=True):
                return False
        except SpoolError as error:
            self._log.error(
                "a stored file cannot be read",
                instance=kept.sop_instance_uid,
                **logs.of_error(error),
            )
            return False
        if not self._journal.names(kept.file.name):
            return False
        self._quarantine(kept)
        return True

    def _quarantine(self, kept: KeptFile) -> None:
        quarantine(self._journal, self._spool, kept.file.name)
        self._log.error(
            "a stored instance is damaged", instance=kept.sop_instance_uid, reason=DAMAGED
        )

"""What is done with a stored file whose bytes are known to have changed.

It is set aside, what is owed of it has failed with the reason, and the same instance sent again
takes its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scp.journal import Journal
    from scp.spool import Spool

DAMAGED: Final = "the stored bytes have changed: the file was set aside"


def quarantine(journal: Journal, spool: Spool, file_name: str) -> None:
    """In this order: a row whose file is gone is what the next start knows how to treat.

    Raises:
        SpoolError: It cannot be set aside.
        JournalError: The loss could not be committed.
    """
    spool.set_aside(file_name)
    journal.lose([file_name], outcome=DAMAGED)

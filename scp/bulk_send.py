"""Sends Part 10 files as they are: a storescu with one outcome for every file.

One association after the other, because each proposes at most 128 presentation contexts: one
for every pair of SOP class and transfer syntax among its files. A file that no context could be
proposed for, because what should be a UID is none, fails alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scp.dimse import is_uid
from scp.errors import TransportError
from scp.sender import SenderAssociation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scp.part10 import Part10

MOST_CONTEXTS = 128
_SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file; `failure` is empty when the peer has it."""

    file: Part10
    failure: str

    @property
    def ok(self) -> bool:
        """Whether the peer has it."""
        return not self.failure


def send_files(
    files: Sequence[Part10], address: tuple[str, int], *, calling_ae: str, called_ae: str
) -> Iterator[Sent]:
    """Send files in order of their presentation contexts, after those that cannot be sent.

    Yields:
        One outcome for each file, as soon as it is known.

    Raises:
        TransportError: an association could not be made.
        ValueError: one of the titles is no AE title.
    """
    sendable: list[Part10] = []
    for file in files:
        if flaw := _flaw(file):
            yield Sent(file, flaw)
        else:
            sendable.append(file)
    for batch in _batches(sendable):
        contexts = sorted({_context(file) for file in batch})
        association = SenderAssociation(address, calling_ae, called_ae, contexts)
        with association:
            yield from _send_batch(association, batch)


def _flaw(file: Part10) -> str:
    """What of it is not a UID; empty if all is well."""
    uids = {
        "SOP Class UID": file.sop_class_uid,
        "SOP Instance UID": file.sop_instance_uid,
        "Transfer Syntax UID": file.transfer_syntax_uid,
    }
    return next((f"its {name} is not a UID" for name, uid in uids.items() if not is_uid(uid)), "")


def _send_batch(association: SenderAssociation, batch: Sequence[Part10]) -> Iterator[Sent]:
    lost = ""
    for file in batch:
        failure = lost or _send_one(association, file)
        if failure.startswith(_LOST):
            lost = failure
        yield Sent(file, failure)


_LOST = "the association was lost"


def _send_one(association: SenderAssociation, file: Part10) -> str:
    """Why the peer does not have the file now; empty if it does."""
    if not association.accepted(*_context(file)):
        return "the peer does not accept its SOP class in its transfer syntax"
    try:
        status = association.store(
            file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax_uid, file.chunks()
        )
    except TransportError as error:
        return f"{_LOST}: {error}"
    if status == _SUCCESS or status in _WARNINGS:
        return ""
    return f"refused with status {status:#06x} {association.last_comment}".rstrip()


def _context(file: Part10) -> tuple[str, str]:
    return file.sop_class_uid, file.transfer_syntax_uid


def _batches(files: Sequence[Part10]) -> Iterator[list[Part10]]:
    """Files that one association can carry; those of one context stay together."""
    batch: list[Part10] = []
    contexts: set[tuple[str, str]] = set()
    for file in sorted(files, key=_context):
        if _context(file) not in contexts and len(contexts) == MOST_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        contexts.add(_context(file))
        batch.append(file)
    if batch:
        yield batch

"""What can go wrong when the node acts, and nothing an element ever held.

ScpError
    SpoolError              an instance cannot be kept on disk
        OutOfSpace          because no space is left for it
    JournalError            a fact cannot be written down or read
    CameBack                an instance was forwarded from here, and nobody else would have it
    CatalogueError          something cannot be said of a resource, or done with it
        Conflict            because other bytes are stored under a UID
        UnknownResource     because there is none
        BadName             because a metadata or label cannot have that name
    KeyFileError            the key of the pseudonyms cannot be used
    NotPart10               a file is not what a folder of DICOM files should hold
    TransportError          a peer or the network between
        PeerRejected        the peer answered A-ASSOCIATE-RJ
        PeerAborted         the peer sent A-ABORT
        ProtocolError       the peer broke the protocol, or a limit that stands for it
        Timeout             the peer was given its time and did not use it
        ConnectionLost      the connection ended without a word
            Distrusted      because the peer could not prove who it is
        Stopping            this node is about to stop
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


class ScpError(Exception):
    """Anything the node raises about its own work."""


class SpoolError(ScpError):
    """An instance cannot be written, synced, read or removed."""


class OutOfSpace(SpoolError):
    """No space is left, or less than the node keeps in reserve."""


class JournalError(ScpError):
    """The journal cannot be read or written."""


class CameBack(ScpError):
    """What was forwarded has come back, and would be kept by nobody if it were taken."""


class CatalogueError(ScpError):
    """A request to the catalogue that it cannot fulfil; nothing has changed."""


class Conflict(CatalogueError):
    """Other bytes are stored under one of the SOP Instance UIDs."""


class UnknownResource(CatalogueError):
    """There is no such resource, or not any more."""


class BadName(CatalogueError):
    """A metadata or label cannot have this name, or is none of the user's own."""


class KeyFileError(ScpError):
    """The key cannot be used; the message names the file and the remedy, never the key."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")


class NotPart10(ScpError):
    """A file cannot be read as a Part 10 file."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(f"{path}: {message}")


class TransportError(ScpError):
    """A peer, or the network between, made it impossible to go on."""


class AbortSource(IntEnum):
    """Who aborts, as an A-ABORT says it (PS3.8 Table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why a service provider aborts (PS3.8 Table 9-26); a service user says 0."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


REJECTIONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by the ACSE provider",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21) as a sentence."""


class PeerRejected(TransportError):
    """The peer rejected the association.

    Attributes:
        result: 1 permanent, 2 transient (PS3.8 Table 9-21).
        source: 1 service user, 2 ACSE provider, 3 presentation provider.
        reason: its meaning depends on `source`.
    """

    def __init__(self, result: int, source: int, reason: int) -> None:
        self.result = result
        self.source = source
        self.reason = reason
        kind = "for now" if self.transient else "for good"
        said = REJECTIONS.get((source, reason), "unknown reason")
        super().__init__(
            f"the peer rejects the association {kind}: {said} ({result},{source},{reason})"
        )

    @property
    def transient(self) -> bool:
        """Whether the peer says that a later attempt may succeed."""
        return self.result == 2  # noqa: PLR2004 - PS3.8 Table 9-21


class PeerAborted(TransportError):
    """The peer aborted the association; source and reason as in PS3.8 Table 9-26."""

    def __init__(self, source: int, reason: int) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"the peer aborts the association ({source},{reason})")


class ProtocolError(TransportError):
    """The peer broke the protocol; `source` and `reason` are for the A-ABORT it gets."""

    def __init__(
        self,
        message: str,
        reason: AbortReason = AbortReason.NOT_SPECIFIED,
        source: AbortSource = AbortSource.SERVICE_PROVIDER,
    ) -> None:
        self.source = source
        self.reason = reason
        super().__init__(message)


class Timeout(TransportError):
    """A deadline passed; the message says which."""


class ConnectionLost(TransportError):
    """The connection could not be made, or it ended without release or abort."""


class Distrusted(ConnectionLost):
    """The peer's certificate is none that this node trusts; nothing was said to it."""


class Stopping(TransportError):
    """The node is stopping and gives this association up."""

"""Errors to DIMSE statuses, and DIMSE statuses to what a delivery does next.

Two tables, one for each role:

* as Storage SCP, `answer_to(error)` says what the sender is told. Comments are fixed sentences:
  nothing of an instance can reach the wire, whatever the error was.
* as Storage SCU, `judge_status` and `judge_error` put an attempt into one of five classes.

Source: PS3.4 B.2.3 (statuses of the Storage service), PS3.7 C.4 and C.5.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rules.errors import DeidentificationError, InstanceRefused, Reason
from scp.errors import (
    CameBack,
    Distrusted,
    JournalError,
    OutOfSpace,
    PeerRejected,
    SpoolError,
    Stopping,
)
from scp.instance import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMENT_LIMIT: Final = 64
"""Error Comment (0000,0902) is an LO: at most 64 characters."""


class Answer(Enum):
    """Every status a C-STORE-RSP of this node can carry, with its Error Comment."""

    STORED = (0x0000, "")
    PROCESSING_FAILURE = (0x0110, "The node could not process the instance")
    NOT_AUTHORISED = (0x0124, "No route of this node accepts this sender")
    OUT_OF_RESOURCES = (0xA700, "The node has no room for the instance, try again later")
    TOO_LARGE = (0xA700, "The dataset is larger than this node accepts")
    CLASS_DIFFERS = (0xA900, "SOP Class UID of dataset and request differ")
    INSTANCE_DIFFERS = (0xA900, "SOP Instance UID of dataset and request differ")
    REJECTED = (0xC101, "A rule of this node rejects the instance")
    NOT_DEIDENTIFIED = (0xC102, "The instance could not be de-identified")
    UNREADABLE = (0xC103, "The dataset cannot be read, or lacks its UIDs")
    TOO_COMPLEX = (0xC104, "The dataset has too many elements or levels")
    CONFLICT = (0xC105, "Other content is stored under this SOP Instance UID")
    BURNED_IN = (0xC106, "Burned-in text is possible, and no rule says where")
    NOT_BLANKED = (0xC107, "Regions of the pixels must be blanked, and cannot be")
    NOT_LISTED = (0xC108, "A list of this node has no entry for the instance")
    NOT_TRANSCODED = (0xC109, "The pixels cannot be in the transfer syntax asked for")
    CAME_BACK = (0xC10A, "The instance was forwarded from here and came back")

    @property
    def status(self) -> int:
        """Status (0000,0900)."""
        return self.value[0]

    @property
    def comment(self) -> str:
        """Error Comment (0000,0902), empty for success."""
        return self.value[1]

    @property
    def outcome(self) -> Outcome:
        """The answer as the listener sends it."""
        return Outcome(self.status, self.comment)


BY_REASON: Final[Mapping[Reason, Answer]] = MappingProxyType(
    {
        Reason.REJECTED: Answer.REJECTED,
        Reason.SOP_CLASS_DIFFERS: Answer.CLASS_DIFFERS,
        Reason.SOP_INSTANCE_DIFFERS: Answer.INSTANCE_DIFFERS,
        Reason.NO_SOP_CLASS: Answer.UNREADABLE,
        Reason.NO_SOP_INSTANCE: Answer.UNREADABLE,
        Reason.UNREADABLE: Answer.UNREADABLE,
        Reason.TRUNCATED: Answer.UNREADABLE,
        Reason.TRANSFER_SYNTAX: Answer.UNREADABLE,
        Reason.TOO_DEEP: Answer.TOO_COMPLEX,
        Reason.TOO_MANY_ELEMENTS: Answer.TOO_COMPLEX,
        Reason.TOO_LARGE: Answer.TOO_LARGE,
        Reason.OPERATOR: Answer.NOT_DEIDENTIFIED,
        Reason.BURNED_IN: Answer.BURNED_IN,
        Reason.PIXELS_UNREADABLE: Answer.NOT_BLANKED,
        Reason.PIXELS_TOO_LARGE: Answer.TOO_LARGE,
        Reason.NOT_IN_LOOKUP: Answer.NOT_LISTED,
        Reason.TRANSCODE: Answer.NOT_TRANSCODED,
    }
)
"""Why the rules do not let an instance through, and what its sender is told."""

BY_ERROR: Final[tuple[tuple[type[BaseException], Answer], ...]] = (
    (OutOfSpace, Answer.OUT_OF_RESOURCES),
    (SpoolError, Answer.OUT_OF_RESOURCES),
    (MemoryError, Answer.OUT_OF_RESOURCES),
    (Stopping, Answer.OUT_OF_RESOURCES),
    (JournalError, Answer.OUT_OF_RESOURCES),
    (CameBack, Answer.CAME_BACK),
)
"""Failures of the node itself; the first row that fits counts, no row is 0x0110."""


def answer_to(error: BaseException) -> Answer:
    """Say what the sender of an instance is told after `error`; anything unknown is 0x0110."""
    if isinstance(error, InstanceRefused | DeidentificationError):
        return BY_REASON.get(error.reason, Answer.NOT_DEIDENTIFIED)
    for kind, answer in BY_ERROR:
        if isinstance(error, kind):
            return answer
    return Answer.PROCESSING_FAILURE


class Verdict(Enum):
    """What an attempt to deliver came to; each value is a sentence for the operator."""

    DELIVERED = "delivered"
    DELIVERED_WITH_WARNING = "delivered, the destination answered with a warning"
    INSTANCE_REFUSED = "the destination refuses this instance"
    DESTINATION_REFUSES = "the destination refuses this node"
    TEMPORARY = "failed for now, tried again by itself"

    @property
    def delivered(self) -> bool:
        """Whether the destination has the instance."""
        return self in (Verdict.DELIVERED, Verdict.DELIVERED_WITH_WARNING)


BY_STATUS: Final[tuple[tuple[int, int, Verdict], ...]] = (
    (0x0000, 0x0000, Verdict.DELIVERED),
    (0x0001, 0x0001, Verdict.DELIVERED_WITH_WARNING),
    (0x0107, 0x0107, Verdict.DELIVERED_WITH_WARNING),
    (0x0110, 0x0110, Verdict.TEMPORARY),
    # Duplicate SOP instance: not for C-STORE, yet some archives send it when the response to a
    # first attempt was lost. Equal UIDs of ours mean equal content, so it has the instance.
    (0x0111, 0x0111, Verdict.DELIVERED_WITH_WARNING),
    (0x0116, 0x0116, Verdict.DELIVERED_WITH_WARNING),
    (0x0117, 0x0117, Verdict.INSTANCE_REFUSED),
    (0x0122, 0x0122, Verdict.INSTANCE_REFUSED),
    (0x0124, 0x0124, Verdict.DESTINATION_REFUSES),
    (0x0210, 0x0210, Verdict.TEMPORARY),
    (0x0211, 0x0212, Verdict.INSTANCE_REFUSED),
    (0x0213, 0x0213, Verdict.TEMPORARY),
    (0xA700, 0xA7FF, Verdict.TEMPORARY),
    (0xA900, 0xA9FF, Verdict.INSTANCE_REFUSED),
    (0xB000, 0xBFFF, Verdict.DELIVERED_WITH_WARNING),
    (0xC000, 0xCFFF, Verdict.INSTANCE_REFUSED),
)
"""First status, last status, class. Statuses outside every range are temporary: the lifetime of
a delivery bounds them, and nothing is given up because of a number nobody defined."""

REJECTED_PERMANENT: Final = 1
"""Result of an A-ASSOCIATE-RJ that says: do not try again as you are (PS3.8 9.3.4)."""


def judge_status(status: int) -> Verdict:
    """Class of the Status of a C-STORE-RSP (PS3.4 Table B.2-1)."""
    for first, last, verdict in BY_STATUS:
        if first <= status <= last:
            return verdict
    return Verdict.TEMPORARY


def judge_error(error: BaseException) -> Verdict:
    """Class of whatever ended an attempt without a response; anything unknown is temporary."""
    if isinstance(error, PeerRejected):
        permanent = error.result == REJECTED_PERMANENT
        return Verdict.DESTINATION_REFUSES if permanent else Verdict.TEMPORARY
    if isinstance(error, Distrusted):
        return Verdict.DESTINATION_REFUSES
    return Verdict.TEMPORARY

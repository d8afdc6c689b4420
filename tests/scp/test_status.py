"""The two tables of statuses, row by row."""

from __future__ import annotations

import pytest

from rules.errors import DeidentificationError, InstanceRefused, Reason
from scp.errors import (
    CameBack,
    ConnectionLost,
    Distrusted,
    JournalError,
    OutOfSpace,
    PeerAborted,
    PeerRejected,
    ProtocolError,
    SpoolError,
    Timeout,
)
from scp.status import (
    BY_REASON,
    COMMENT_LIMIT,
    Answer,
    Verdict,
    answer_to,
    judge_error,
    judge_status,
)

REASONS = {
    Reason.REJECTED: 0xC101,
    Reason.OPERATOR: 0xC102,
    Reason.UNREADABLE: 0xC103,
    Reason.TRUNCATED: 0xC103,
    Reason.TRANSFER_SYNTAX: 0xC103,
    Reason.NO_SOP_CLASS: 0xC103,
    Reason.NO_SOP_INSTANCE: 0xC103,
    Reason.TOO_DEEP: 0xC104,
    Reason.TOO_MANY_ELEMENTS: 0xC104,
    Reason.BURNED_IN: 0xC106,
    Reason.PIXELS_UNREADABLE: 0xC107,
    Reason.NOT_IN_LOOKUP: 0xC108,
    Reason.TRANSCODE: 0xC109,
    Reason.TOO_LARGE: 0xA700,
    Reason.PIXELS_TOO_LARGE: 0xA700,
    Reason.SOP_CLASS_DIFFERS: 0xA900,
    Reason.SOP_INSTANCE_DIFFERS: 0xA900,
}

STATUSES = {
    0x0000: Verdict.DELIVERED,
    0x0001: Verdict.DELIVERED_WITH_WARNING,
    0x0107: Verdict.DELIVERED_WITH_WARNING,
    0x0110: Verdict.TEMPORARY,
    0x0111: Verdict.DELIVERED_WITH_WARNING,
    0x0116: Verdict.DELIVERED_WITH_WARNING,
    0x0117: Verdict.INSTANCE_REFUSED,
    0x0122: Verdict.INSTANCE_REFUSED,
    0x0124: Verdict.DESTINATION_REFUSES,
    0x0210: Verdict.TEMPORARY,
    0x0211: Verdict.INSTANCE_REFUSED,
    0x0212: Verdict.INSTANCE_REFUSED,
    0x0213: Verdict.TEMPORARY,
    0xA6FF: Verdict.TEMPORARY,
    0xA700: Verdict.TEMPORARY,
    0xA7FF: Verdict.TEMPORARY,
    0xA900: Verdict.INSTANCE_REFUSED,
    0xA9FF: Verdict.INSTANCE_REFUSED,
    0xB000: Verdict.DELIVERED_WITH_WARNING,
    0xB006: Verdict.DELIVERED_WITH_WARNING,
    0xB007: Verdict.DELIVERED_WITH_WARNING,
    0xC000: Verdict.INSTANCE_REFUSED,
    0xCFFF: Verdict.INSTANCE_REFUSED,
    0xFE00: Verdict.TEMPORARY,
    0xFF00: Verdict.TEMPORARY,
}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_status(reason: Reason) -> None:
    """A reason that the rules add later cannot be forgotten here."""
    assert BY_REASON[reason].status == REASONS[reason]


@pytest.mark.parametrize("kind", [InstanceRefused, DeidentificationError])
def test_both_kinds_of_refusal_are_answered_by_their_reason(kind: type) -> None:
    """What the rules raise is answered by why they raise it."""
    assert answer_to(kind(Reason.TOO_DEEP, 0x00081110)) is Answer.TOO_COMPLEX


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OutOfSpace("full"), 0xA700),
        (SpoolError("failed"), 0xA700),
        (MemoryError(), 0xA700),
        (JournalError("failed"), 0xA700),
        (CameBack("came back"), 0xC10A),
        (ValueError("SMITH^JOHN"), 0x0110),
        (KeyError(), 0x0110),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else hex(value),
)
def test_a_failure_of_the_node_is_a_failure_status(error: Exception, status: int) -> None:
    """Nothing that goes wrong inside can become a success or a warning."""
    assert answer_to(error).status == status


def test_only_success_is_a_success() -> None:
    """Every answer but one tells the sender to keep its instance."""
    kept = [answer for answer in Answer if answer.status == 0x0000 or answer.status >> 12 == 0xB]

    assert kept == [Answer.STORED]


@pytest.mark.parametrize("answer", Answer)
def test_a_comment_fits_and_is_a_sentence(answer: Answer) -> None:
    """Error Comment is an LO: 64 characters, no backslash."""
    assert len(answer.comment) <= COMMENT_LIMIT
    assert answer.comment.isascii()
    assert "\\" not in answer.comment
    assert answer is Answer.STORED or answer.comment[0].isupper()


@pytest.mark.parametrize("status", STATUSES, ids=hex)
def test_every_status_of_a_destination_has_its_class(status: int) -> None:
    """The classes decide whether a delivery is made, tried again or given up."""
    assert judge_status(status) is STATUSES[status]


def wrapped(cause: Exception) -> Exception:
    """An error of the transport with this cause."""
    error = ConnectionLost("no connection could be made")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (PeerRejected(1, 1, 3), Verdict.DESTINATION_REFUSES),
        (PeerRejected(2, 3, 1), Verdict.TEMPORARY),
        (PeerRejected(2, 3, 2), Verdict.TEMPORARY),
        (Distrusted("TLS: certificate has expired"), Verdict.DESTINATION_REFUSES),
        (wrapped(OSError()), Verdict.TEMPORARY),
        (PeerAborted(0, 0), Verdict.TEMPORARY),
        (Timeout("too slow"), Verdict.TEMPORARY),
        (ProtocolError("broken"), Verdict.TEMPORARY),
        (ConnectionLost("gone"), Verdict.TEMPORARY),
        (OSError(), Verdict.TEMPORARY),
        (ValueError(), Verdict.TEMPORARY),
    ],
)
def test_every_error_of_an_attempt_has_its_class(error: Exception, verdict: Verdict) -> None:
    """Only what a peer says for good holds its queue."""
    assert judge_error(error) is verdict

"""Whatever ends a job -> what the job says of it, without a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.errors import DeidentificationError, InstanceRefused, Reason
from rules.requests import RequestFault
from scp.archive.job import JobError, JobRefused, Status
from scp.archive.sending import NotSent
from scp.errors import Conflict, JournalError, OutOfSpace, SpoolError, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping

CANCELLED: Final = JobError(Status.CANCELLED, Status.CANCELLED.sentence)
_BY_KIND: Final = (
    (Conflict, Status.DUPLICATE),
    (OutOfSpace, Status.FULL_STORAGE),
    (MemoryError, Status.FULL_STORAGE),
    (SpoolError, Status.CORRUPTED_FILE),
    (JournalError, Status.DATABASE),
    (TransportError, Status.NETWORK),
    (NotSent, Status.NETWORK),
)
_BY_REASON: Final[Mapping[Reason, Status]] = {
    Reason.UNREADABLE: Status.BAD_FORMAT,
    Reason.TRUNCATED: Status.BAD_FORMAT,
    Reason.TRANSFER_SYNTAX: Status.BAD_FORMAT,
    Reason.TRANSCODE: Status.NOT_IMPLEMENTED,
}


def job_error(error: BaseException) -> JobError:
    """What a job says of the exception that ended it; of one nobody foresaw, only that."""
    if isinstance(error, RequestFault):
        return JobError(error.status, Status(error.status).sentence, error.details)
    if isinstance(error, JobRefused):
        return JobError(error.status, error.status.sentence, error.details)
    if isinstance(error, InstanceRefused | DeidentificationError):
        status = _BY_REASON.get(error.reason, Status.CANNOT_STORE)
        return JobError(status, status.sentence, str(error))
    for kind, status in _BY_KIND:
        if isinstance(error, kind):
            return JobError(status, status.sentence, str(error))
    return JobError(Status.INTERNAL, Status.INTERNAL.sentence)

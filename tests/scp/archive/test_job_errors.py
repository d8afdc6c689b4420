"""What a job says of the exception that ended it: a number, a sentence, never a value."""

from __future__ import annotations

import pytest

from rules.errors import DeidentificationError, InstanceRefused, Reason
from rules.requests import RequestFault
from scp.archive.job import JobRefused, Status
from scp.archive.job_errors import job_error
from scp.errors import Conflict, JournalError, OutOfSpace, SpoolError


@pytest.mark.parametrize(
    ("error", "status", "details"),
    [
        (OutOfSpace("no room"), 19, "no room"),
        (SpoolError("damaged"), 20, "damaged"),
        (JournalError("locked"), 11, "locked"),
        (Conflict("other bytes"), 46, "other bytes"),
        (JobRefused(Status.REVISION, "changed"), 43, "changed"),
        (RequestFault(27, "Unknown DICOM tag: Nme"), 27, "Unknown DICOM tag: Nme"),
        (DeidentificationError(Reason.TRUNCATED), 15, str(Reason.TRUNCATED)),
        (DeidentificationError(Reason.TRANSCODE), 2, str(Reason.TRANSCODE)),
        (InstanceRefused(Reason.REJECTED, 0x00100010), 2018, f"{Reason.REJECTED} at (0010,0010)"),
        (ValueError("Doe^Jane"), -1, ""),
    ],
)
def test_an_error_has_orthanc_s_number_and_a_sentence_of_ours(error, status, details) -> None:
    """The text of an exception that nobody foresaw is not repeated."""
    found = job_error(error)

    assert (found.status, found.details) == (status, details)
    assert found.message == Status(status).sentence

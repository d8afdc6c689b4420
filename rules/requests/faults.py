"""What is wrong with a request: an Orthanc status and one sentence, never a value.

Every one of them is answered with HTTP 400. The sentence names the field or the tag, and the
remedy where there is one.

Source: the Orthanc Book, "REST API" (statuses of errors).
"""

from __future__ import annotations

from enum import IntEnum

from rules.errors import RulesError


class Status(IntEnum):
    """Numbers of Orthanc's errors, as far as a body can cause them."""

    OUT_OF_RANGE = 3
    BAD_TYPE = 5
    BAD_REQUEST = 8
    BAD_FILE = 15
    UNKNOWN_TAG = 27


class RequestFault(RulesError):
    """A body that cannot be done.

    Attributes:
        status: Orthanc's number.
        details: One sentence.
    """

    def __init__(self, status: int, details: str) -> None:
        self.status = int(status)
        self.details = details
        super().__init__(details)

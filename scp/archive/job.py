"""The nouns of jobs: what is asked for, where it stands, and what went wrong.

The words and numbers are Orthanc's: its clients read them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from scp.archive.identifiers import Level
from scp.errors import ScpError

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobKind(StrEnum):
    """What a job does."""

    MODIFICATION = "ResourceModification"
    SPLIT = "SplitStudy"
    MERGE = "MergeStudy"
    STORE = "DicomModalityStore"

    @property
    def sends(self) -> bool:
        """Whether it waits for a peer, and makes nothing."""
        return self is JobKind.STORE


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESS = "Success"
    FAILURE = "Failure"
    PAUSED = "Paused"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens any more unless somebody asks for it."""
        return self in (JobState.SUCCESS, JobState.FAILURE)


class Status(IntEnum):
    """Orthanc's numbers of errors, as far as jobs have them; `sentence` is its text."""

    INTERNAL = -1
    SUCCESS = 0
    NOT_IMPLEMENTED = 2
    BAD_PARAMETER = 3
    BAD_TYPE = 5
    NO_SUCH_ITEM = 7
    BAD_REQUEST = 8
    NETWORK = 9
    DATABASE = 11
    CANNOT_WRITE = 14
    BAD_FORMAT = 15
    UNKNOWN_RESOURCE = 17
    FULL_STORAGE = 19
    CORRUPTED_FILE = 20
    UNKNOWN_TAG = 27
    CANCELLED = 37
    REVISION = 43
    DUPLICATE = 46
    CANNOT_STORE = 2018

    @property
    def sentence(self) -> str:
        """What the number says."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Status.INTERNAL: "Internal error",
    Status.SUCCESS: "Success",
    Status.NOT_IMPLEMENTED: "Not implemented yet",
    Status.BAD_PARAMETER: "Parameter out of range",
    Status.BAD_TYPE: "Bad type for a parameter",
    Status.NO_SUCH_ITEM: "Accessing an inexistent item",
    Status.BAD_REQUEST: "Bad request",
    Status.NETWORK: "Error in the network protocol",
    Status.DATABASE: "Error with the database engine",
    Status.CANNOT_WRITE: "Cannot write to file",
    Status.BAD_FORMAT: "Bad file format",
    Status.UNKNOWN_RESOURCE: "Unknown resource",
    Status.FULL_STORAGE: "The file storage is full",
    Status.CORRUPTED_FILE: "Corrupted file (inconsistent MD5 hash)",
    Status.UNKNOWN_TAG: "Unknown DICOM tag",
    Status.CANCELLED: "This job was canceled",
    Status.REVISION: (
        "A bad revision number was provided, which might indicate conflict between multiple "
        "writers"
    ),
    Status.DUPLICATE: "Duplicate resource",
    Status.CANNOT_STORE: "Cannot store an instance",
}


class JobRefused(ScpError):
    """A request is about resources that it cannot be done to.

    Attributes:
        status: Orthanc's number.
        details: A sentence without an element's value.
    """

    def __init__(self, status: Status, details: str) -> None:
        super().__init__(details)
        self.status = status
        self.details = details


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has failed; status 0 of one that has not.

    Attributes:
        status: Orthanc's number.
        message: Its text.
        details: A sentence without an element's value; may be empty.
    """

    status: int = 0
    message: str = "Success"
    details: str = ""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What somebody asks for.

    Attributes:
        kind: What to do.
        body: The JSON object as it was sent.
        ids: Identifiers of the resources of the address, or of the list of a bulk request.
        is_anonymization: Whether it is to anonymize; else to modify.
        is_bulk: Whether `ids` is a list: its results are a list as well.
        level: Of the resource in the address, or of `Level`; None if nothing says so.
        priority: Higher ones go first.
        user_data: JSON that the job hands back.
        origin: Metadata of every result: where the request came from.
        patient_name: Of the results of an anonymization that names none; the jobs fill it in, so
            that another run says the same.
        destination: Name of the one to send to, in the configuration.
    """

    kind: JobKind
    body: Mapping[str, object]
    ids: tuple[str, ...]
    is_anonymization: bool = False
    is_bulk: bool = False
    level: Level | None = None
    priority: int = 0
    user_data: object = None
    origin: Mapping[str, str] = field(default_factory=dict)
    patient_name: str = ""
    destination: str = ""

    def to_json(self) -> str:
        """As the journal keeps it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` was of."""
        values: dict[str, Any] = json.loads(text)
        level = values.pop("level")
        return cls(
            kind=JobKind(values.pop("kind")),
            ids=tuple(values.pop("ids")),
            level=None if level is None else Level(level),
            **values,
        )


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment; times are seconds since 1970, UTC.

    Attributes:
        progress: From 0 to 100; the latter only when its results are committed.
        content: Orthanc's `Content`, JSON.
        started_at: Of its last run; None before the first.
        completed_at: None until its state is final.
        runtime_s: How long it has run, over all runs.
        user_data: JSON that came with the request; None if nothing did.
        seq: The order in which jobs came.
    """

    id: str
    kind: JobKind
    state: JobState
    priority: int
    content: Mapping[str, object]
    created_at: float
    progress: int = 0
    started_at: float | None = None
    completed_at: float | None = None
    runtime_s: float = 0.0
    error: JobError = JobError()
    user_data: object = None
    seq: int = 0

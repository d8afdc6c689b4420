"""The nouns that ingest, journal and forwarder exchange; nothing here acts.

Every value below that describes an instance is a value of the *de-identified* instance. The
only exception is `StoreRequest`, which is what the sender's command said: it lives as long as
the message and never reaches disk, journal or log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of an association.

    Attributes:
        calling_ae: The AE title that the peer gives itself, without padding.
        called_ae: The AE title that the peer asked for, without padding.
        address: The IP address of the peer, without a port.
        origin: The way it came: Orthanc's word, `DicomProtocol` or `RestApi`.
    """

    calling_ae: str
    called_ae: str
    address: str
    origin: str = "DicomProtocol"


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What a C-STORE-RQ says of the dataset that follows it (PS3.7 9.1.1.1).

    The UIDs are the sender's own, thus identifying: compare them, never keep them.
    """

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a C-STORE-RSP says.

    Attributes:
        status: Status (0000,0900); 0x0000 only if the instance is safe.
        comment: Error Comment (0000,0902), at most 64 characters; empty means none is sent.
    """

    status: int
    comment: str = ""


class DeliveryState(StrEnum):
    """Where a delivery stands; `sentence` is what an operator reads."""

    DUE = "due"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    HELD = "held"

    @property
    def sentence(self) -> str:
        """What the state means."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    DeliveryState.DUE: "waits for its turn or for its next attempt",
    DeliveryState.SENDING: "is part of the association that is open now",
    DeliveryState.DELIVERED: "the destination answered that it has the instance",
    DeliveryState.FAILED: "given up, and kept until an operator decides",
    DeliveryState.HELD: "waits because the destination refuses this node; asked again by itself",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Durable bytes of one instance, as the spool wrote them.

    Attributes:
        name: The path below the spool's folder, made by the spool, never from the wire.
        size_bytes: Length of the whole file.
        digest: XXH3-128 of the whole file, in hexadecimal: it tells damage, not malice.
    """

    name: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance that is safe on disk and about to be named in the journal.

    Attributes:
        file: Its durable bytes.
        dataset_offset: Where the dataset starts in the file, behind the file meta information.
        tags: The main attributes of the result by keyword.
        destinations: Who shall get it; empty for an instance that is only stored.
        store: False if the file may go as soon as nobody is owed it any more.
        actions: How many elements were touched, by action code (PS3.15 Table E.1-1a).
        rule_set: Digest of the plan that did it.
        origin: The way it came: Orthanc's word, `DicomProtocol` or `RestApi`.
        remote_ip: The IP address of who sent it; empty if nobody did.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    modality: str
    file: StoredFile
    dataset_offset: int
    profile: str
    calling_ae: str
    called_ae: str
    destinations: tuple[str, ...]
    store: bool
    tags: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, int] = field(default_factory=dict)
    rule_set: str = ""
    origin: str = "DicomProtocol"
    remote_ip: str = ""


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One row of the journal's instances; times are seconds since 1970, UTC.

    Attributes:
        file_name: Path below the spool's folder; empty once the file has been swept.
        actions: As in `NewInstance`; empty for what came before they were noted.
        rule_set: Likewise.
        origin, remote_ip: As in `NewInstance`.
        deliveries: One per destination; only filled where one instance is asked for.
    """

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    modality: str
    tags: Mapping[str, str]
    file_name: str
    size_bytes: int
    dataset_offset: int
    digest: str
    profile: str
    calling_ae: str
    called_ae: str
    received_at: float
    store: bool
    actions: Mapping[str, int] = field(default_factory=dict)
    rule_set: str = ""
    origin: str = "DicomProtocol"
    remote_ip: str = ""
    deliveries: tuple[DeliveryRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One row of the journal's deliveries; times are seconds since 1970, UTC.

    Attributes:
        attempts: How often the instance was offered to the destination.
        refusals: How many of those count against the instance itself.
        due_since: When the destination began to be owed this instance; a retry starts anew.
        next_attempt_at: Not before this moment; 0.0 means as soon as possible.
        last_status: Status of the last C-STORE-RSP, None if there was none.
        last_outcome: One sentence, empty before the first attempt.
    """

    id: int
    instance_id: int
    destination: str
    state: DeliveryState
    attempts: int
    refusals: int
    due_since: float
    next_attempt_at: float
    last_status: int | None
    last_outcome: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """Everything the forwarder needs to offer one instance to one destination."""

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    file: StoredFile
    dataset_offset: int
    attempts: int
    refusals: int
    due_since: float

    @property
    def context(self) -> tuple[str, str]:
        """The presentation context it needs: abstract syntax and transfer syntax."""
        return (self.sop_class_uid, self.transfer_syntax_uid)


@dataclass(frozen=True, slots=True)
class QueueLine:
    """What a destination is owed in one state; times are seconds since 1970, UTC.

    Attributes:
        oldest_at: Since when the oldest of them is owed.
        next_attempt_at: When the destination is asked next; 0.0 means as soon as possible.
        last_outcome: The latest outcome among them; empty if there was none yet.
    """

    destination: str
    state: DeliveryState
    count: int
    oldest_at: float
    next_attempt_at: float
    last_outcome: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What the digest of a plan stands for.

    Attributes:
        base: `basic`, `none` or `nothing`.
        edition: Of PS3.15 Table E.1-1.
        options: Words of PS3.15 E.3.
        release: The version of this software that compiled it.
    """

    digest: str
    profile: str
    base: str
    edition: str
    options: tuple[str, ...]
    release: str


@dataclass(frozen=True, slots=True)
class StudyShare:
    """The instances of one study that have all of this in common; times as above.

    Attributes:
        actions: Of each of them, not of all together.
    """

    study_instance_uid: str
    profile: str
    rule_set: str
    calling_ae: str
    actions: Mapping[str, int]
    instances: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class StudyDelivery:
    """How many instances of one study are in one state at one destination."""

    study_instance_uid: str
    destination: str
    state: DeliveryState
    instances: int

"""The nouns of the archive: resources, changes, and what a job hands over to be committed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping

    from scp.archive.identifiers import Level
    from scp.instance import NewInstance


@dataclass(frozen=True, slots=True)
class Resource:
    """A patient, study, series or instance that is stored; times are seconds since 1970, UTC.

    Attributes:
        id: Its Orthanc identifier.
        level: Which of the four.
        uid: PatientID, or the UID of its level.
        parent: Identifier of the resource above; empty for a patient.
        tags: Main attributes of its own level by keyword (PS3.4 C.6.1.1), of the de-identified
            instance it was first seen with.
        created_at: When its first instance came.
        changed_at: When an instance was last added below it.
        is_stable: Whether nothing has been added for the stable age.
    """

    id: str
    level: Level
    uid: str
    parent: str
    tags: Mapping[str, str]
    created_at: float
    changed_at: float
    is_stable: bool


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance with everything above it, and where its bytes are.

    Attributes:
        patient, study, series: Identifiers of what is above it.
        row: Of the journal's instances.
    """

    id: str
    patient: str
    study: str
    series: str
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    transfer_syntax_uid: str
    row: int
    file_name: str
    size_bytes: int
    digest: str
    dataset_offset: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Keys:
    """What stands for some instances while a job lasts: sixteen bytes for each.

    Attributes:
        numbers: Ascending. SQLite may give one that has become free to another instance.
        checks: Hashes of the identifiers, which tell that other one from the one that was meant.
    """

    numbers: array[int]
    checks: array[int]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a resource; `kind` is Orthanc's word, such as `NewStudy`."""

    seq: int
    kind: str
    level: Level
    id: str
    at: float


@dataclass(frozen=True, slots=True)
class Produced:
    """An instance that a job has made, synced and not yet named in the journal.

    Attributes:
        new: As ingest hands it over.
        source: Identifier of the instance it was made from; empty for one made from nothing.
        link: `AnonymizedFrom` or `ModifiedFrom`, written as metadata to the new instance, and to
            each resource above it whose identifier differs from the source's; empty for neither.
        metadata: Further metadata of the new instance by name.
        keeps_labels: Whether labels of the source's resources pass to the new ones.
    """

    new: NewInstance
    source: str
    link: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    keeps_labels: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit has done.

    Attributes:
        added: Identifiers of the produced instances, in order.
        known: Those among them that were stored already, byte for byte: discard their drafts.
        replaced: Files that may go now.
    """

    added: tuple[str, ...]
    known: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion has done.

    Attributes:
        ids: Identifiers of every resource that is gone, instances first.
        ancestor: The nearest resource above that is left: identifier and level; None if nothing.
        files: Files that may go now.
    """

    ids: tuple[str, ...]
    ancestor: tuple[str, Level] | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of what is stored below a resource, or at all; sizes in bytes."""

    patients: int
    studies: int
    series: int
    instances: int
    size_bytes: int

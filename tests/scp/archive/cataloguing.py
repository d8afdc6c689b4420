"""What the tests of the catalogue store: instances by their place in the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scp.archive.catalogue import Catalogue
from scp.archive.identifiers import identifier
from scp.archive.resources import Produced
from scp.instance import StoredFile
from scp.journal import FILE_NAME, Journal
from tests.scp.storing import new, uid

if TYPE_CHECKING:
    from pathlib import Path

    from scp.instance import NewInstance


class Clock:
    """A wall clock that the test sets."""

    def __init__(self) -> None:
        """Begin some day."""
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class Archive:
    """A journal and its catalogue in a folder."""

    def __init__(self, folder: Path) -> None:
        """Open both."""
        self.clock = Clock()
        self.journal = Journal(folder / FILE_NAME, wall=self.clock)
        self.catalogue = Catalogue(self.journal, stable_age_s=60.0)

    def add(self, number: int, place: str = "A/1/1", *destinations: str, **changes: object) -> str:
        """Receive an instance; its identifier."""
        one = instance(number, place, *destinations, **changes)
        self.journal.add(one)
        return id_of(one)

    def listed(self) -> list[str]:
        """The identifiers of everything, level by level."""
        return [one.id for level in range(4) for one in self.catalogue.listing(level)]

    def kinds(self, since: int = 0) -> list[str]:
        """The changes behind a number, in words."""
        changes, _ = self.catalogue.changes(since=since, limit=0)
        return [f"{change.kind} {change.level.word}" for change in changes]

    def newest(self) -> int:
        """The number of the last change."""
        last = self.catalogue.last_change()
        return 0 if last is None else last.seq


def uids(place: str) -> tuple[str, str, str]:
    """PatientID and UIDs of `A/1/2`: second series of the first study of patient A."""
    patient, study, series = place.split("/")
    return patient, f"2.25.1{study}", f"2.25.2{study}{series}"


def instance(
    number: int, place: str = "A/1/1", *destinations: str, data: int = 0, **changes: object
) -> NewInstance:
    """An instance in a series; `data` tells one from another under the same UID."""
    patient, study, series = uids(place)
    where = {"patient_id": patient, "study_instance_uid": study, "series_instance_uid": series}
    file = StoredFile(f"ab/{number}-{data}.dcm", 1000 + number, f"{number:032x}{data:032x}")
    return new(number, *destinations, **{**where, "file": file, **changes})


def id_of(one: NewInstance) -> str:
    """The identifier of an instance."""
    return identifier(
        one.patient_id, one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid
    )


def at(place: str, levels: int = 3) -> str:
    """The identifier of a series, or of what is above it."""
    return identifier(*uids(place)[:levels])


def produced(
    number: int, place: str = "B/1/1", source: str = "", link: str = "", **changes: object
) -> Produced:
    """A result of a job."""
    keeps_labels = bool(changes.pop("keeps_labels", False))
    metadata = changes.pop("metadata", {})
    one = instance(number, place, **changes)
    return Produced(one, source, link, metadata, keeps_labels)


__all__ = ("Archive", "Clock", "at", "id_of", "instance", "produced", "uid", "uids")

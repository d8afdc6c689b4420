"""What the resources of a job are called afterwards, so that references to them follow.

A job knows which studies, series and instances it touches; what becomes of their UIDs follows
from the request and the scope alone. So it is settled once per job, before the first instance:
a resumed job settles the same, and instances may be made in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Touched:
    """The UIDs, as stored, of what a job touches.

    Attributes:
        studies: StudyInstanceUIDs; of a split or a merge only of studies that move as a whole.
        series: SeriesInstanceUIDs.
        instances: SOPInstanceUIDs.
    """

    studies: Collection[str] = ()
    series: Collection[str] = ()
    instances: Collection[str] = ()

    def __iter__(self) -> Iterator[Collection[str]]:
        return iter((self.studies, self.series, self.instances))


@dataclass(frozen=True, slots=True)
class Renaming:
    """UIDs with a settled name; a UID that stays although it is touched may be named itself."""

    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, uid: str) -> str:
        """The new UID of a touched resource, or the same UID."""
        return self.names.get(uid, uid)


NOTHING_RENAMED = Renaming()

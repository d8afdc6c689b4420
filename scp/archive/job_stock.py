"""What the kinds of jobs look up: resources, their instances, and the scope of their UIDs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.requests import Touched
from scp.archive.job import JobRefused, Status
from scp.archive.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules import Pseudonyms
    from scp.archive.catalogue import Catalogue
    from scp.archive.identifiers import Level
    from scp.archive.job import JobRequest
    from scp.archive.resources import Resource

DESCRIPTION: Final = {"Description": "REST API"}
_OF_JOURNAL: Final = frozenset(("Origin", "RemoteIP"))


@dataclass(frozen=True, slots=True)
class Stock:
    """What is stored, and the functions that name what is made of it."""

    catalogue: Catalogue
    pseudonyms: Pseudonyms

    def resource(
        self, id_: str, level: Level | None = None, sentence: str = "Cannot find this resource"
    ) -> Resource:
        """A resource.

        Raises:
            JobRefused: there is none, or it is not of that level.
        """
        found = self.catalogue.find(id_, level)
        if found is None:
            raise unknown(f"{sentence}: {id_}")
        return found

    def instances(self, ids: Sequence[str]) -> Sources:
        """The instances at or below some resources, each once, in the order they came."""
        return Sources(self.catalogue, self.catalogue.keys(ids))

    def touched(self, sources: Sources) -> Touched:
        """The UIDs of instances and of what is above them.

        Of studies only those that are touched as a whole: what stays behind in one is rightly
        referred to under its old UID.
        """
        counts: Counter[str] = Counter()
        studies: dict[str, str] = {}
        series: set[str] = set()
        instances: set[str] = set()
        for study, study_uid, series_uid, uid in self.catalogue.uids(sources.keys.numbers):
            counts[study] += 1
            studies[study] = study_uid
            series.add(series_uid)
            instances.add(uid)
        whole = (s for s, count in counts.items() if self._size(s) == count)
        return Touched({studies[study] for study in whole}, series, instances)

    def _size(self, study: str) -> int:
        return self.catalogue.statistics(study).instances


def scope_of(job_id: str) -> str:
    """The scope of the keyed functions in one job."""
    return f"job:{job_id}"


def further_metadata(request: JobRequest) -> dict[str, str]:
    """Where a request came from, but for what the journal says of each instance anyway."""
    return {name: value for name, value in request.origin.items() if name not in _OF_JOURNAL}


def unknown(details: str) -> JobRefused:
    """There is no such resource, or it is not where the request says."""
    return JobRefused(Status.UNKNOWN_RESOURCE, details)

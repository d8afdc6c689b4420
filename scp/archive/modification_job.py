"""Anonymizing and modifying whole resources: series, studies, patients, and lists of any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rules import requests
from scp.archive.identifiers import Level, identifier
from scp.archive.job import JobRefused, Status
from scp.archive.job_stock import DESCRIPTION, Stock, further_metadata, scope_of
from scp.archive.patients import refuse_inconsistent
from scp.archive.recipe import Recipe, modification_of
from scp.archive.rewriting import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.requests import Modification
    from scp.archive.job import JobRequest
    from scp.archive.resources import Resource
    from scp.instance import NewInstance

_NAMES: Final = "AnonymizedPatientName"
"""Counter of `Anonymized1`, `Anonymized2`, ..."""
_UIDS: Final = frozenset(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
_IN_PLACE: Final = (
    "When keeping StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID, you must set KeepSource "
    "to true to avoid deleting the modified files at the end of the process"
)


@dataclass(frozen=True, slots=True)
class ModificationJob:
    """ResourceModification."""

    stock: Stock

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """Refuse what cannot be done; a name for who is to have none; the content."""
        resources = self._resources(request)
        modification = modification_of(request)
        self._check_patient(modification, resources)
        self._check_source(request, modification)
        name = ""
        if modification.needs_patient_name:
            name = f"Anonymized{self.stock.catalogue.next_number(_NAMES)}"
        return replace(request, patient_name=name), _content(request, modification, resources)

    def order(self, job_id: str, request: JobRequest) -> Order:
        """Every instance of the resources, by the plan of the request."""
        self._resources(request)
        modification = modification_of(request)
        options = requests.read_job_options(request.body, keep_source_default=True)
        instances = self.stock.instances(request.ids)
        scope = modification.consistent or scope_of(job_id)
        touched = self.stock.touched(instances)
        renaming = requests.renaming_of(modification, touched, self.stock.pseudonyms, scope)
        recipe = Recipe(request, scope, renaming.names)
        return Order(
            instances,
            recipe.treatment(),
            results=lambda news: _results(request, modification, news),
            link="AnonymizedFrom" if request.is_anonymization else "ModifiedFrom",
            permissive=options.permissive,
            keeps_source=options.keep_source,
            keeps_labels=options.keep_labels,
            metadata=further_metadata(request),
            recipe=recipe,
        )

    def _resources(self, request: JobRequest) -> list[Resource]:
        level = None if request.is_bulk else request.level
        return [self.stock.resource(id_, level) for id_ in request.ids]

    def _check_patient(self, modification: Modification, resources: Sequence[Resource]) -> None:
        if modification.is_anonymization or modification.level is not requests.Level.STUDY:
            return
        for one in resources:
            if one.level is Level.STUDY:
                refuse_inconsistent(self.stock.catalogue, one, modification.replacements)

    def _check_source(self, request: JobRequest, modification: Modification) -> None:
        options = requests.read_job_options(request.body, keep_source_default=True)
        in_place = modification.kept >= _UIDS and "PatientID" not in modification.replaced
        if in_place and not modification.is_anonymization and not options.keep_source:
            raise JobRefused(Status.BAD_REQUEST, _IN_PLACE)


def _content(
    request: JobRequest, modification: Modification, resources: Sequence[Resource]
) -> dict[str, object]:
    content: dict[str, object] = {
        **DESCRIPTION,
        "IsAnonymization": request.is_anonymization,
        "ParentResources": list(request.ids),
    }
    if not request.is_bulk:
        content["Resources"] = [{"ID": one.id, "Type": one.level.word} for one in resources]
    if modification.transcode:
        content["Transcode"] = modification.transcode
    return content


def _results(
    request: JobRequest, modification: Modification, news: Iterable[NewInstance]
) -> dict[str, object]:
    if request.is_bulk:
        return {"Resources": _every_resource(news)}
    first = next(iter(news), None)
    if first is None:
        return {}
    level = Level(modification.level) if request.level is None else request.level
    patient = identifier(first.patient_id)
    return {**_named(level, _line(first)[level]), "PatientID": patient}


def _every_resource(news: Iterable[NewInstance]) -> list[dict[str, object]]:
    """What the results are, and what lies above them: instances first, patients last."""
    found: dict[Level, dict[str, None]] = {level: {} for level in reversed(Level)}
    for new in news:
        for level, id_ in zip(Level, _line(new), strict=True):
            found[level][id_] = None
    return [_named(level, id_) for level, ids in found.items() for id_ in ids]


def _line(new: NewInstance) -> list[str]:
    """The identifiers of an instance and of all above it, by level."""
    uids = (
        new.patient_id,
        new.study_instance_uid,
        new.series_instance_uid,
        new.sop_instance_uid,
    )
    return [identifier(*uids[: level + 1]) for level in Level]


def _named(level: Level, id_: str) -> dict[str, object]:
    return {"ID": id_, "Path": f"/{level.path}/{id_}", "Type": level.word}

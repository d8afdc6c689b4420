"""Merging: studies, series and instances of elsewhere become part of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules import requests
from scp.archive.identifiers import Level
from scp.archive.job_stock import DESCRIPTION, Stock, further_metadata, scope_of, unknown
from scp.archive.modifier import Treatment
from scp.archive.rewriting import Order

if TYPE_CHECKING:
    from scp.archive.job import JobRequest
    from scp.archive.modifier import Modifier
    from scp.archive.resources import Resource

_UNKNOWN_STUDY: Final = "Cannot merge into an unknown study"


@dataclass(frozen=True, slots=True)
class MergeJob:
    """MergeStudy."""

    stock: Stock
    modifier: Modifier

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """Refuse what cannot go into the study."""
        study, _ = self._parts(request)
        return request, {**DESCRIPTION, "TargetStudy": study.id}

    def order(self, job_id: str, request: JobRequest) -> Order:
        """The named resources, as parts of the study."""
        study, resources = self._parts(request)
        options = requests.read_job_options(request.body, keep_source_default=False)
        instances = self.stock.instances(resources)
        scope = scope_of(job_id)
        renaming = requests.renaming_of_move(
            self.stock.touched(instances), self.stock.pseudonyms, scope, study.uid
        )
        modules = self.modifier.modules(self.stock.instances([study.id])[0])
        plan = requests.merge_plan(modules, scope=scope, renaming=renaming)
        return Order(
            instances,
            Treatment(plan, remote_ip=request.origin.get("RemoteIP", "")),
            results=lambda _: {},
            link="ModifiedFrom",
            permissive=options.permissive,
            keeps_source=options.keep_source,
            keeps_labels=options.keep_labels,
            metadata=further_metadata(request),
        )

    def _parts(self, request: JobRequest) -> tuple[Resource, tuple[str, ...]]:
        """The study, and what is to become part of it."""
        study = self.stock.resource(request.ids[0], Level.STUDY, _UNKNOWN_STUDY)
        resources = requests.read_merge(request.body).resources
        for id_ in resources:
            self._check_source(study, self.stock.resource(id_))
        return study, resources

    def _check_source(self, study: Resource, source: Resource) -> None:
        if source.level is Level.PATIENT:
            raise unknown(
                "This resource is neither a study, nor a series, nor an instance: "
                f"{source.id} is a Patient"
            )
        if source.id == study.id:
            raise unknown(f"Cannot merge a study into the same study: {study.id}")
        if study.id in {above.id for above in self.stock.catalogue.above(source.id)}:
            word = source.level.word.lower()
            raise unknown(f"Cannot merge {word} {source.id} into its parent study {study.id}")

"""Splitting a study: some of its series and instances become a study of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules import requests
from scp.archive.identifiers import Level, identifier
from scp.archive.job_stock import DESCRIPTION, Stock, further_metadata, scope_of, unknown
from scp.archive.recipe import Recipe
from scp.archive.rewriting import Order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.requests import Split
    from scp.archive.job import JobRequest
    from scp.archive.resources import Resource
    from scp.instance import NewInstance

_UNKNOWN_STUDY = "Cannot split unknown study"
_SERIES = "This series does not belong to the study to be split"
_INSTANCE = "This instance does not belong to the study to be split"


@dataclass(frozen=True, slots=True)
class SplitJob:
    """SplitStudy."""

    stock: Stock

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """Refuse what is not in the study."""
        self._members(request)
        return request, dict(DESCRIPTION)

    def order(self, job_id: str, request: JobRequest) -> Order:
        """The named series and instances, under the UID of a new study."""
        study, split = self._members(request)
        options = requests.read_job_options(request.body, keep_source_default=False)
        instances = self.stock.instances([*split.series, *split.instances])
        scope = scope_of(job_id)
        target_uid = self.stock.pseudonyms.uid(scope, study.uid)
        renaming = requests.renaming_of_move(
            self.stock.touched(instances), self.stock.pseudonyms, scope, target_uid
        )
        recipe = Recipe(request, scope, renaming.names, target_uid)
        return Order(
            instances,
            recipe.treatment(),
            results=lambda news: _results(target_uid, news),
            link="ModifiedFrom",
            permissive=options.permissive,
            keeps_source=options.keep_source,
            keeps_labels=options.keep_labels,
            metadata=further_metadata(request),
            recipe=recipe,
        )

    def _members(self, request: JobRequest) -> tuple[Resource, Split]:
        """The study, and the request if it is about nothing but parts of it."""
        study = self.stock.resource(request.ids[0], Level.STUDY, _UNKNOWN_STUDY)
        split = requests.read_split(request.body)
        for id_ in split.series:
            self._check_member(study, id_, Level.SERIES, _SERIES)
        for id_ in split.instances:
            self._check_member(study, id_, Level.INSTANCE, _INSTANCE)
        return study, split

    def _check_member(self, study: Resource, id_: str, level: Level, sentence: str) -> None:
        found = self.stock.resource(id_, level, sentence)
        if study.id not in {above.id for above in self.stock.catalogue.above(found.id)}:
            raise unknown(f"{sentence}: {id_}")


def _results(target_uid: str, news: Iterable[NewInstance]) -> dict[str, object]:
    content: dict[str, object] = {"TargetStudyUID": target_uid}
    first = next(iter(news), None)
    if first is not None:
        content["TargetStudy"] = identifier(first.patient_id, target_uid)
    return content

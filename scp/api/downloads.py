"""Many instances in one answer: a zip file of all of a resource, the tags that all of it share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response

from scp.api.answers import Streamed, answer
from scp.api.details import of_level
from scp.api.parameters import Flag, is_set
from scp.api.stored import begun
from scp.api.tags import entries_of
from scp.archive import tag_json as forms
from scp.archive.identifiers import Level
from scp.archive.packed import packed
from scp.errors import SpoolError

if TYPE_CHECKING:
    from scp.api.services import Services
    from scp.archive.tag_json import Entry

_ZIP: Final = "application/zip"
_ABOVE_INSTANCES: Final = (Level.PATIENT, Level.STUDY, Level.SERIES)


def routes(services: Services) -> APIRouter:
    """The routes of the levels that have instances below them."""
    router = APIRouter()
    for level in _ABOVE_INSTANCES:
        _add_archive(router, services, level)
        _add_shared_tags(router, services, level)
    return router


def _add_archive(router: APIRouter, services: Services, level: Level) -> None:
    @router.get(f"/{level.path}/{{id_}}/archive", tags=[level.path])
    def archive(id_: str) -> Response:
        """Everything below it in one zip file, as folders of patient, study and series."""
        of = of_level(services.catalogue, id_, level)
        instances = services.catalogue.instances([of.id])
        headers = {"Content-Disposition": f'filename="{of.id}.zip"'}
        pieces = begun(packed(services.spool, instances))
        return Streamed(pieces, _ZIP, headers)


def _common(some: list[Entry], others: list[Entry]) -> list[Entry]:
    by_tag = {entry.tag: entry for entry in others}
    return [entry for entry in some if by_tag.get(entry.tag) == entry]


def _add_shared_tags(router: APIRouter, services: Services, level: Level) -> None:
    @router.get(f"/{level.path}/{{id_}}/shared-tags", tags=[level.path])
    def shared_tags(id_: str, *, simplify: Flag = None, short: Flag = None) -> Response:
        """The attributes that have the same value in all instances below it."""
        of = of_level(services.catalogue, id_, level)
        shared: list[Entry] | None = None
        for instance in services.catalogue.instances([of.id]):
            try:
                own = entries_of(services, instance)
            except SpoolError:
                if services.catalogue.find(instance.id, Level.INSTANCE) is not None:
                    raise
                continue  # deleted meanwhile
            shared = own if shared is None else _common(shared, own)
        form = forms.simple if is_set(simplify) else forms.short if is_set(short) else forms.full
        return answer(form(shared or []))

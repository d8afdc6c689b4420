"""What an instance holds, as JSON in Orthanc's three forms, and single values by path.

Values are decoded into UTF-8. Nothing is changed by looking at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Response

from scp.api.answers import Streamed, answer
from scp.api.errors import Missing
from scp.api.parameters import Flag, is_set
from scp.api.stored import begun, named_tag, stored_instance
from scp.archive.content import NoContent, content
from scp.archive.reading import dataset_of, file_meta_of
from scp.archive.tag_json import entries, full, pixel_entry, short, simple

if TYPE_CHECKING:
    from scp.api.services import Services
    from scp.archive.resources import StoredInstance
    from scp.archive.tag_json import Entry

_BYTES: Final = "application/octet-stream"

IgnoreLength = Annotated[str, Query(alias="ignore-length")]
"""Attributes whose texts are given however long they are, separated by `;`."""


def routes(services: Services) -> APIRouter:
    """The routes of these."""
    router = APIRouter(tags=["instances"])

    @router.get("/instances/{id_}/tags")
    def tags(
        id_: str, *, simplify: Flag = None, short: Flag = None, ignore_length: IgnoreLength = ""
    ) -> Response:
        """All attributes by tag with names and types; `?simplify` by name, `?short` by tag."""
        found = tag_entries(services, id_, _named(ignore_length))
        return _answer(found, simplify=is_set(simplify), short_form=is_set(short))

    @router.get("/instances/{id_}/simplified-tags")
    def simplified_tags(id_: str, ignore_length: IgnoreLength = "") -> Response:
        """All attributes by name."""
        return answer(simple(tag_entries(services, id_, _named(ignore_length))))

    @router.get("/instances/{id_}/header")
    def header(id_: str, *, simplify: Flag = None, short: Flag = None) -> Response:
        """The file meta information."""
        found = entries(file_meta_of(services.spool, stored_instance(services, id_)))
        return _answer(found, simplify=is_set(simplify), short_form=is_set(short))

    @router.get("/instances/{id_}/content")
    def top(id_: str) -> Response:
        """The tags that are there."""
        return _content(services, id_, "")

    @router.get("/instances/{id_}/content/{path:path}")
    def inner(id_: str, path: str) -> Response:
        """What is at a path such as `0008-1140/0/0008-1155`: a list, or the bytes of a value."""
        return _content(services, id_, path)

    return router


def tag_entries(services: Services, id_: str, whole: frozenset[int] = frozenset()) -> list[Entry]:
    """The elements of an instance.

    Raises:
        Missing: there is no such instance.
    """
    return entries_of(services, stored_instance(services, id_), whole)


def entries_of(
    services: Services, instance: StoredInstance, whole: frozenset[int] = frozenset()
) -> list[Entry]:
    """The elements of an instance that was looked up.

    Raises:
        SpoolError: it is gone.
    """
    dataset, pixels = dataset_of(services.spool, instance)
    found = entries(dataset, whole)
    return found if pixels is None else [*found, pixel_entry(pixels.tag)]


def _named(names: str) -> frozenset[int]:
    return frozenset(named_tag(name) for name in names.split(";") if name)


def _answer(found: list[Entry], *, simplify: bool, short_form: bool) -> Response:
    form = simple if simplify else short if short_form else full
    return answer(form(found))


def _content(services: Services, id_: str, path: str) -> Response:
    try:
        found = content(services.spool, stored_instance(services, id_), path)
    except NoContent:
        raise Missing from None
    if isinstance(found, list):
        return answer(found)
    return Streamed(begun(found), _BYTES)

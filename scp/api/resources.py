"""Patients, studies, series and instances: lists, details, relatives, labels, metadata, deletion.

Every address begins with one of the four levels; an identifier of another level is not found
there. What is deleted is gone from the API at once, and from the disk as soon as no destination
is owed it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Response

from scp.api.answers import answer, plain
from scp.api.bodies import JsonBody, WholeBody  # noqa: TC001 - FastAPI reads annotations
from scp.api.details import details, of_level, reference
from scp.api.errors import Code, Fault, Missing
from scp.api.parameters import Count, Flag, is_set
from scp.archive.identifiers import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scp.api.parameters import RequestedTags
    from scp.api.services import Services
    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import Resource

_MIB: Final = 1 << 20
_LONGEST_METADATA: Final = 1 << 16
RESERVED: Final = frozenset(
    {
        *("AnonymizedFrom", "CalledAET", "ExpectedNumberOfInstances", "HttpHost", "HttpUsername"),
        *("IndexInSeries", "LastUpdate", "MainDicomSequences", "MainDicomTagsSignature"),
        *(
            "ModifiedFrom",
            "Origin",
            "PixelDataOffset",
            "PixelDataVR",
            "ReceptionDate",
            "RemoteAET",
        ),
        *("RemoteIP", "SopClassUid", "TransferSyntax"),
    }
)
"""Metadata that the node writes and nobody else may."""


def routes(services: Services, requested_tags: RequestedTags) -> APIRouter:
    """The routes of all levels."""
    router = APIRouter()
    for level in Level:
        _add_lists(router, services.catalogue, level, requested_tags)
        _add_relatives(router, services.catalogue, level)
        _add_labels(router, services.catalogue, level)
        _add_metadata(router, services.catalogue, level)
        _add_deletion(router, services, level)
    _add_tools(router, services)
    return router


def remove(services: Services, id_: str) -> tuple[str, Level] | None:
    """Delete a resource and its files; what is left above it.

    Raises:
        Missing: there is none.
    """
    deleted = services.catalogue.delete(id_)
    if deleted is None:
        raise Missing
    for file in deleted.files:
        services.spool.remove(file)
    return deleted.ancestor


def _add_lists(
    router: APIRouter, catalogue: Catalogue, level: Level, requested_tags: RequestedTags
) -> None:
    def described(found: Sequence[Resource], names: str) -> list[dict[str, object]]:
        lines = details(catalogue, found)
        if names:
            values = requested_tags(found, [name for name in names.split(";") if name])
            for line, one in zip(lines, found, strict=True):
                line["RequestedTags"] = dict(values.get(one.id, {}))
        return lines

    @router.get(f"/{level.path}", tags=[level.path])
    def listing(
        *,
        expand: Flag = None,
        since: Count = 0,
        limit: Count = 0,
        requested_tags: Annotated[str, Query(alias="requested-tags")] = "",
    ) -> Response:
        """Identifiers in the order they came, or `?expand`: all that is said of each."""
        found = catalogue.listing(level, since=since, limit=limit)
        if not is_set(expand):
            return answer([one.id for one in found])
        return answer(described(found, requested_tags))

    @router.get(f"/{level.path}/{{id_}}", tags=[level.path])
    def single(
        id_: str,
        requested_tags: Annotated[str, Query(alias="requested-tags")] = "",
    ) -> Response:
        """All that is said of one."""
        return answer(described([of_level(catalogue, id_, level)], requested_tags)[0])


def _add_relatives(router: APIRouter, catalogue: Catalogue, level: Level) -> None:
    for other in Level:
        if other > level:
            _add_below(router, catalogue, level, other)
        if other < level:
            _add_above(router, catalogue, level, other)


def _add_below(router: APIRouter, catalogue: Catalogue, level: Level, other: Level) -> None:
    @router.get(f"/{level.path}/{{id_}}/{other.path}", tags=[level.path])
    def below(id_: str, expand: Flag = None) -> Response:
        """What is below it, in full unless `?expand=false`."""
        of_level(catalogue, id_, level)
        found = catalogue.below(id_, other)
        if expand is not None and not is_set(expand):
            return answer([one.id for one in found])
        return answer(details(catalogue, found))


def _add_above(router: APIRouter, catalogue: Catalogue, level: Level, other: Level) -> None:
    @router.get(f"/{level.path}/{{id_}}/{other.word.lower()}", tags=[level.path])
    def above(id_: str) -> Response:
        """What is above it."""
        of_level(catalogue, id_, level)
        found = next((one for one in catalogue.above(id_) if one.level is other), None)
        if found is None:
            raise Missing
        return answer(details(catalogue, [found])[0])


def _add_labels(router: APIRouter, catalogue: Catalogue, level: Level) -> None:
    base = f"/{level.path}/{{id_}}/labels"

    @router.get(base, tags=["labels"])
    def labels(id_: str) -> Response:
        """Its labels."""
        of_level(catalogue, id_, level)
        return answer(catalogue.labels(id_))

    @router.get(f"{base}/{{label}}", tags=["labels"])
    def has_label(id_: str, label: str) -> Response:
        """200 if it has the label, 404 if not."""
        of_level(catalogue, id_, level)
        if label not in catalogue.labels(id_):
            raise Missing
        return plain("")

    @router.put(f"{base}/{{label}}", tags=["labels"])
    def set_label(id_: str, label: str) -> Response:
        """Give it a label."""
        of_level(catalogue, id_, level)
        catalogue.set_label(id_, label)
        return plain("")

    @router.delete(f"{base}/{{label}}", tags=["labels"])
    def drop_label(id_: str, label: str) -> Response:
        """Take a label away; one that it has not is no mistake."""
        of_level(catalogue, id_, level)
        catalogue.drop_label(id_, label)
        return plain("")


def _add_metadata(router: APIRouter, catalogue: Catalogue, level: Level) -> None:
    base = f"/{level.path}/{{id_}}/metadata"

    @router.get(base, tags=["metadata"])
    def metadata(id_: str, expand: Flag = None) -> Response:
        """Names of its metadata, or `?expand`: with what they say."""
        of_level(catalogue, id_, level)
        found = catalogue.metadata(id_)
        return answer(found if is_set(expand) else sorted(found))

    @router.get(f"{base}/{{name}}", tags=["metadata"])
    def value(id_: str, name: str) -> Response:
        """What one says, as plain text."""
        of_level(catalogue, id_, level)
        found = catalogue.metadata(id_)
        if name not in found:
            raise Missing
        return plain(found[name])

    @router.put(f"{base}/{{name}}", tags=["metadata"])
    def set_value(id_: str, name: str, body: WholeBody) -> Response:
        """Write one of your own; the body is its text."""
        of_level(catalogue, id_, level)
        _check_name(name)
        catalogue.set_metadata(id_, name, _text(body))
        return plain("")

    @router.delete(f"{base}/{{name}}", tags=["metadata"])
    def drop_value(id_: str, name: str) -> Response:
        """Remove one of your own."""
        of_level(catalogue, id_, level)
        _check_name(name)
        if name not in catalogue.metadata(id_):
            raise Missing
        catalogue.drop_metadata(id_, name)
        return plain("")


def _check_name(name: str) -> None:
    if name in RESERVED:
        raise Fault(Code.BAD_REQUEST, "This metadata is the node's own", http_status=403)


def _text(body: bytes) -> str:
    if len(body) > _LONGEST_METADATA:
        raise Fault(Code.BAD_REQUEST, f"Metadata is at most {_LONGEST_METADATA} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Fault(Code.BAD_FILE, "Metadata is a text in UTF-8") from None


def _add_deletion(router: APIRouter, services: Services, level: Level) -> None:
    catalogue = services.catalogue

    @router.delete(f"/{level.path}/{{id_}}", tags=[level.path])
    def delete(id_: str) -> Response:
        """Remove it with all that is below it, for good."""
        of_level(catalogue, id_, level)
        ancestor = remove(services, id_)
        return answer({"RemainingAncestor": reference(*ancestor) if ancestor else None})

    @router.get(f"/{level.path}/{{id_}}/statistics", tags=[level.path])
    def statistics(id_: str) -> Response:
        """How much is below it; sizes in bytes."""
        of_level(catalogue, id_, level)
        found = catalogue.statistics(id_)
        counts = {
            "CountStudies": (Level.STUDY, found.studies),
            "CountSeries": (Level.SERIES, found.series),
            "CountInstances": (Level.INSTANCE, found.instances),
        }
        below = {name: count for name, (of, count) in counts.items() if of > level}
        return answer(below | _sizes(found.size_bytes))

    @router.get(f"/{level.path}/{{id_}}/is-stable", tags=[level.path])
    def is_stable(id_: str) -> Response:
        """1 if nothing has come for the stable age, else 0."""
        return plain("1" if of_level(catalogue, id_, level).is_stable else "0")


def _sizes(size_bytes: int) -> dict[str, object]:
    kinds = ("DicomDisk", "DicomUncompressed", "Disk", "Uncompressed")
    return {f"{kind}Size": str(size_bytes) for kind in kinds} | {
        f"{kind}SizeMB": size_bytes // _MIB for kind in kinds
    }


def _add_tools(router: APIRouter, services: Services) -> None:
    @router.get("/tools/labels", tags=["labels"])
    def all_labels() -> Response:
        """Every label in use."""
        return answer(services.catalogue.all_labels())

    @router.post("/tools/bulk-delete", tags=["tools"])
    def bulk_delete(body: JsonBody) -> Response:
        """Remove resources of any level: `{"Resources": [ID, ...]}`; unknown ones are gone."""
        for id_ in _ids(body):
            if services.catalogue.find(id_) is not None:
                remove(services, id_)
        return plain("")


def _ids(body: object) -> list[str]:
    listed = body.get("Resources") if isinstance(body, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise Fault(Code.BAD_FILE, "List of strings expected in field: Resources")
    return listed

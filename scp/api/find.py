"""`/tools/find` and `/tools/lookup`: resources by what they say.

What the catalogue notes is compared there; any other attribute is read from an instance of each
resource that the rest of the query leaves.

Source: PS3.4 C.2.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response

from scp.api.answers import answer
from scp.api.bodies import JsonBody, WholeBody  # noqa: TC001 - FastAPI reads annotations
from scp.api.details import details, reference
from scp.api.errors import Code, Fault, unknown_resource
from scp.api.stored import named_tag
from scp.archive.attributes import MODALITIES_IN_STUDY, Attributes, TooMuchToRead
from scp.archive.identifiers import Level
from scp.archive.matching import MOST_CHARACTERS, Wanted
from scp.archive.tag_names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scp.api.services import Services
    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import Resource

_LEVELS: Final = {
    spelling: level for level in Level for spelling in (level.word.upper(), level.path.upper())
}
_LEVELS["IMAGE"] = Level.INSTANCE
_CHUNK: Final = 500
_MOST_COUNTED: Final = 1 << 31
_PARENTS: Final = ("ParentPatient", "ParentStudy", "ParentSeries")


@dataclass(frozen=True, slots=True)
class Query:
    """What a body of `/tools/find` asks for.

    Attributes:
        parent: Identifier of what must be above; empty for anything.
        labels_constraint: `All`, `Any` or `None` of the labels.
        limit: At most so many; 0 for all.
    """

    level: Level
    wanted: tuple[Wanted, ...]
    expand: bool
    since: int
    limit: int
    labels: frozenset[str]
    labels_constraint: str
    requested: tuple[str, ...]
    parent: str


def routes(services: Services) -> APIRouter:
    """The routes of these."""
    router = APIRouter(tags=["tools"])
    catalogue = services.catalogue

    @router.post("/tools/find")
    def find(body: JsonBody) -> Response:
        """Resources of a level that fit a query; `Expand` gives all that is said of each."""
        query = read_query(body)
        found = _found(services, query)
        if not query.expand:
            return answer([one.id for one in found])
        lines = details(catalogue, found)
        if query.requested:
            values = requested_tags(services, found, query.requested)
            lines = [line | {"RequestedTags": values[str(line["ID"])]} for line in lines]
        return answer(lines)

    @router.post("/tools/lookup")
    def lookup(body: WholeBody) -> Response:
        """Resources whose PatientID, UID or accession number is the body."""
        value = body.decode("utf-8", "replace")
        return answer([reference(id_, level) for level, id_ in catalogue.lookup(value)])

    return router


def requested_tags(
    services: Services, resources: Sequence[Resource], names: Sequence[str]
) -> Mapping[str, Mapping[str, object]]:
    """Values by identifier and keyword.

    Raises:
        Fault: a name is none, or too much would have to be read.
    """
    tags = [named_tag(name) for name in names]
    return _values(Attributes(services.catalogue, services.spool), resources, tags)


def read_query(body: object) -> Query:
    """The query of a body.

    Raises:
        Fault: a field is missing, or is not what it should be.
    """
    if not isinstance(body, dict):
        raise _bad("The body must contain a JSON object")
    level = body.get("Level")
    if not isinstance(level, str):
        raise _bad('Field "Level" is missing, or should be a string')
    wanted = body.get("Query")
    if not isinstance(wanted, dict):
        raise _bad('Field "Query" is missing, or should be a JSON object')
    case_sensitive = _switch(body, "CaseSensitive")
    return Query(
        level=_level(level),
        wanted=tuple(_wanted(*one, case_sensitive=case_sensitive) for one in wanted.items()),
        expand=_switch(body, "Expand"),
        since=_count(body, "Since"),
        limit=_count(body, "Limit"),
        labels=frozenset(_texts(body, "Labels")),
        labels_constraint=_constraint(body.get("LabelsConstraint", "All")),
        requested=tuple(_texts(body, "RequestedTags")),
        parent=_parent(body),
    )


def _wanted(name: str, pattern: object, *, case_sensitive: bool) -> Wanted:
    tag = named_tag(name)
    if not isinstance(pattern, str):
        raise _bad(f'Tag "{name_of(tag)}" should be associated with a string')
    if len(pattern) > MOST_CHARACTERS:
        raise _bad(f"A pattern has at most {MOST_CHARACTERS} characters")
    return Wanted(tag, pattern, case_sensitive)


def _level(text: str) -> Level:
    if text.upper() not in _LEVELS:
        known = ", ".join(level.word for level in Level)
        raise Fault(Code.OUT_OF_RANGE, f"Level is one of {known}")
    return _LEVELS[text.upper()]


def _switch(body: Mapping[str, object], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise _bad(f'Field "{name}" should be a Boolean')
    return value


def _count(body: Mapping[str, object], name: str) -> int:
    value = body.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _bad(f'Field "{name}" should be an integer')
    if not 0 <= value <= _MOST_COUNTED:
        raise Fault(Code.OUT_OF_RANGE, f'Field "{name}" should be a positive integer')
    return value


def _texts(body: Mapping[str, object], name: str) -> list[str]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _bad(f'Field "{name}" should be an array of strings')
    return value


def _constraint(value: object) -> str:
    if value not in ("All", "Any", "None"):
        raise _bad('Field "LabelsConstraint" should be "All", "Any" or "None"')
    return str(value)


def _parent(body: Mapping[str, object]) -> str:
    given = [body[name] for name in _PARENTS if name in body]
    if not all(isinstance(one, str) for one in given) or len(given) > 1:
        raise _bad('One of "ParentPatient", "ParentStudy" and "ParentSeries", a string')
    return str(given[0]) if given else ""


def _bad(details: str) -> Fault:
    return Fault(Code.BAD_REQUEST, details)


# ---- the search


def _found(services: Services, query: Query) -> list[Resource]:
    stop = query.since + query.limit if query.limit else None
    return list(islice(_fitting(services, query), query.since, stop))


def _fitting(services: Services, query: Query) -> Iterator[Resource]:
    """In the order they came, as far as they are asked for."""
    attributes = Attributes(services.catalogue, services.spool)
    candidates = _candidates(services.catalogue, query)
    # What must be read comes last: it is read of those only that are left.
    wanted = sorted(
        (one for one in query.wanted if not one.is_anything),
        key=lambda one: not attributes.notes(query.level, one.tag),
    )
    for start in range(0, len(candidates), _CHUNK):
        left = candidates[start : start + _CHUNK]
        for constraint in wanted:
            left = _accepted(attributes, left, constraint)
        yield from left


def _accepted(
    attributes: Attributes, resources: Sequence[Resource], wanted: Wanted
) -> list[Resource]:
    values = _values(attributes, resources, [wanted.tag])
    name = name_of(wanted.tag)
    return [one for one in resources if _accepts(wanted, values[one.id].get(name, ""))]


def _accepts(wanted: Wanted, value: object) -> bool:
    if not isinstance(value, str):
        return False
    if wanted.tag == MODALITIES_IN_STUDY:
        return wanted.accepts_any(value.split("\\"))
    return wanted.accepts(value)


def _values(
    attributes: Attributes, resources: Sequence[Resource], tags: Sequence[int]
) -> dict[str, dict[str, object]]:
    try:
        return attributes.of(resources, tags)
    except TooMuchToRead as error:
        raise _bad(str(error)) from None


def _candidates(catalogue: Catalogue, query: Query) -> list[Resource]:
    if not query.parent:
        found = catalogue.listing(query.level)
    elif catalogue.find(query.parent) is None:
        raise unknown_resource()
    else:
        found = catalogue.below(query.parent, query.level)
    if not query.labels:
        return found
    about = catalogue.surroundings(query.level, [one.id for one in found])
    return [one for one in found if _labelled(set(about[one.id].labels), query)]


def _labelled(labels: set[str], query: Query) -> bool:
    if query.labels_constraint == "None":
        return not labels & query.labels
    if query.labels_constraint == "Any":
        return bool(labels & query.labels)
    return query.labels <= labels

"""A resource as Orthanc describes it in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.api.answers import moment
from scp.api.errors import Missing
from scp.archive.catalogue import index_in_series
from scp.archive.identifiers import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scp.archive.catalogue import Catalogue
    from scp.archive.catalogue_surroundings import Surroundings
    from scp.archive.resources import Resource, StoredInstance

CHILDREN: Final = {Level.PATIENT: "Studies", Level.STUDY: "Series", Level.SERIES: "Instances"}
"""The field that lists what is right below a found_."""
_ORIGINS: Final = ("AnonymizedFrom", "ModifiedFrom")
_EXPECTED: Final = "ExpectedNumberOfInstances"
_UUID_GROUPS: Final = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))


def details(catalogue: Catalogue, found: Sequence[Resource]) -> list[dict[str, object]]:
    """What `GET /{level}/{id}` answers, `?expand` and `/tools/find` for each of theirs.

    Args:
        catalogue: Where they are.
        found: All of one level.
    """
    if not found:
        return []
    ids = [one.id for one in found]
    about = catalogue.surroundings(found[0].level, ids)
    if found[0].level is Level.INSTANCE:
        stored = {one.id: one for one in catalogue.instances(ids)}
        return [_usual(one, about[one.id]) | _of_instance(stored.get(one.id)) for one in found]
    return [_usual(one, about[one.id]) | _of_group(one, about[one.id]) for one in found]


def _usual(one: Resource, about: Surroundings) -> dict[str, object]:
    said: dict[str, object] = {
        "ID": one.id,
        "Labels": about.labels,
        "MainDicomTags": dict(one.tags),
        "Type": one.level.word,
    }
    said |= {name: about.written[name] for name in _ORIGINS if name in about.written}
    if one.level is not Level.PATIENT:
        said[f"Parent{Level(one.level - 1).word}"] = one.parent
    return said


def _of_group(one: Resource, about: Surroundings) -> dict[str, object]:
    said: dict[str, object] = {
        CHILDREN[one.level]: about.children,
        "IsStable": one.is_stable,
        "LastUpdate": moment(one.changed_at),
    }
    if one.level is Level.STUDY:
        said["PatientMainDicomTags"] = about.above
    if one.level is Level.SERIES:
        expected = _number(about.written.get(_EXPECTED, ""))
        said |= {"ExpectedNumberOfInstances": expected, "Status": "Unknown"}
    return said


def of_level(catalogue: Catalogue, id_: str, level: Level) -> Resource:
    """The resource of an address.

    Raises:
        Missing: there is none of that level.
    """
    found = catalogue.find(id_, level)
    if found is None:
        raise Missing
    return found


def reference(id_: str, level: Level) -> dict[str, str]:
    """A resource by identifier, address and type."""
    return {"ID": id_, "Path": f"/{level.path}/{id_}", "Type": level.word}


def _of_instance(stored: StoredInstance | None) -> dict[str, object]:
    if stored is None:  # it went in between
        return {}
    return {
        "FileSize": stored.size_bytes,
        "FileUuid": "-".join(stored.digest[start:end] for start, end in _UUID_GROUPS),
        "IndexInSeries": _number(index_in_series(stored.tags)),
    }


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None

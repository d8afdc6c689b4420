"""A resource as Orthanc describes it in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.api.answers import moment
from scp.api.errors import Missing
from scp.archive.identifiers import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import Resource

CHILDREN: Final = {Level.PATIENT: "Studies", Level.STUDY: "Series", Level.SERIES: "Instances"}
"""The field that lists what is right below a found_."""
_ORIGINS: Final = ("AnonymizedFrom", "ModifiedFrom")
_INDEX: Final = "IndexInSeries"
_EXPECTED: Final = "ExpectedNumberOfInstances"
_UUID_GROUPS: Final = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))


def details(catalogue: Catalogue, one: Resource) -> dict[str, object]:
    """What `GET /{level}/{id}` answers, `?expand` and `/tools/find` for each of theirs."""
    metadata = catalogue.metadata(one.id)
    said: dict[str, object] = {
        "ID": one.id,
        "Labels": catalogue.labels(one.id),
        "MainDicomTags": dict(one.tags),
        "Type": one.level.word,
    }
    said |= {name: metadata[name] for name in _ORIGINS if name in metadata}
    if one.level is not Level.PATIENT:
        said[f"Parent{Level(one.level - 1).word}"] = one.parent
    if one.level is Level.INSTANCE:
        return said | _of_instance(catalogue, one, metadata)
    said[CHILDREN[one.level]] = [child.id for child in catalogue.children(one.id)]
    said["IsStable"] = one.is_stable
    said["LastUpdate"] = moment(one.changed_at)
    if one.level is Level.STUDY:
        patients = catalogue.above(one.id)  # none if it went in between
        said["PatientMainDicomTags"] = dict(patients[0].tags) if patients else {}
    if one.level is Level.SERIES:
        said |= {"ExpectedNumberOfInstances": _number(metadata, _EXPECTED), "Status": "Unknown"}
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


def _of_instance(
    catalogue: Catalogue, one: Resource, metadata: Mapping[str, str]
) -> dict[str, object]:
    (stored,) = catalogue.instances([one.id]) or (None,)
    if stored is None:  # it went in between
        return {}
    return {
        "FileSize": stored.size_bytes,
        "FileUuid": "-".join(stored.digest[start:end] for start, end in _UUID_GROUPS),
        "IndexInSeries": _number(metadata, _INDEX),
    }


def _number(metadata: Mapping[str, str], name: str) -> int | None:
    text = metadata.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else None

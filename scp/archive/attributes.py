"""Attributes of resources, whichever are asked for.

- The main ones are in the catalogue, those of the levels above included.
- Some are counted: what is below a resource, and which modalities.
- All others are read from one of its instances, of a bounded number of resources: an archive is
  not read through for one request.

Source: PS3.4 C.6.1.1; PS3.4 Table C.3-1 (counted attributes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.report import MAIN_TAGS
from scp.archive.identifiers import Level
from scp.archive.main_tags import KEYWORDS
from scp.archive.reading import dataset_of
from scp.archive.tag_json import entries, simple
from scp.archive.tag_names import name_of
from scp.errors import ScpError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import Resource
    from scp.spool import Spool

MOST_READ: Final = 10_000
"""Instances that one request may have read."""
MODALITIES_IN_STUDY: Final = 0x00080061
_SOP_CLASSES_IN_STUDY: Final = 0x00080062
_AVAILABILITY: Final = 0x00080056
_COUNTS: Final = {
    0x00201200: (Level.PATIENT, Level.STUDY),
    0x00201202: (Level.PATIENT, Level.SERIES),
    0x00201204: (Level.PATIENT, Level.INSTANCE),
    0x00201206: (Level.STUDY, Level.SERIES),
    0x00201208: (Level.STUDY, Level.INSTANCE),
    0x00201209: (Level.SERIES, Level.INSTANCE),
}
_NOTED: Final = frozenset(name_of(tag) for tag in MAIN_TAGS)

Values = dict[str, object]


class TooMuchToRead(ScpError):
    """More instances would have to be read than one request may."""


class Attributes:
    """Reads attributes for one request."""

    def __init__(self, catalogue: Catalogue, spool: Spool, *, most_read: int = MOST_READ) -> None:
        """Bind where they are."""
        self._catalogue = catalogue
        self._spool = spool
        self._left = most_read

    def of(self, resources: Sequence[Resource], tags: Collection[int]) -> dict[str, Values]:
        """Values of tags by identifier and keyword; what a resource does not have is left out.

        Raises:
            TooMuchToRead: of too many resources.
            SpoolError: an instance cannot be read.
        """
        main = self._catalogue.main_tags([one.id for one in resources])
        return {one.id: self._values(one, main.get(one.id, {}), tags) for one in resources}

    def notes(self, level: Level, tag: int) -> bool:
        """Whether the catalogue says it of a resource, or that it is absent."""
        name = name_of(tag)
        levels = [above for above in Level if above <= level]
        is_main = name in _NOTED and any(name in KEYWORDS[above] for above in levels)
        return is_main or tag in _counted_at(level)

    def _values(self, one: Resource, main: Mapping[str, str], tags: Collection[int]) -> Values:
        names = {tag: name_of(tag) for tag in tags}
        found: Values = {name: main[name] for name in names.values() if name in main}
        for tag in names.keys() & _counted_at(one.level):
            found[names[tag]] = self._counted(one, tag)
        unread = [tag for tag in names if not self.notes(one.level, tag)]
        if unread:
            found |= self._read(one, frozenset(unread))
        return found

    def _counted(self, one: Resource, tag: int) -> str:
        if tag == _AVAILABILITY:
            return "ONLINE"
        if tag == MODALITIES_IN_STUDY:
            return self._modalities(one)
        if tag == _SOP_CLASSES_IN_STUDY:
            return self._classes(one)
        return str(len(self._catalogue.below(one.id, _COUNTS[tag][1])))

    def _modalities(self, study: Resource) -> str:
        series = self._catalogue.children(study.id)
        return "\\".join(sorted({one.tags.get("Modality", "") for one in series} - {""}))

    def _classes(self, study: Resource) -> str:
        instances = self._catalogue.instances([study.id])
        return "\\".join(sorted({one.sop_class_uid for one in instances} - {""}))

    def _read(self, one: Resource, tags: frozenset[int]) -> Values:
        if self._left <= 0:
            raise TooMuchToRead("too many instances would have to be read: ask for fewer")
        self._left -= 1
        while one.level is not Level.INSTANCE:
            children = self._catalogue.children(one.id)
            if not children:
                return {}
            one = children[0]
        for instance in self._catalogue.instances([one.id]):
            dataset, _ = dataset_of(self._spool, instance)
            return simple(entries(dataset, tags, tags))
        return {}


def _counted_at(level: Level) -> frozenset[int]:
    """Attributes of a level that are worked out."""
    found = {tag for tag, (of, _) in _COUNTS.items() if of is level} | {_AVAILABILITY}
    if level is Level.STUDY:
        found |= {MODALITIES_IN_STUDY, _SOP_CLASSES_IN_STUDY}
    return frozenset(found)

"""Two results of one request, attribute by attribute, and where they differ.

What is random on both sides does not count: where both have given a new UID, identifier or name
to the same place, the two stand for each other, and must do so wherever they occur.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.datadict import keyword_for_tag
from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

METHOD = 0x00120063
"""De-identification Method: each server tells of itself there."""
_MADE_UP = {0x00100010, 0x00100020}

Place = tuple[int | tuple[int, int], ...]
"""Pairs of a sequence's tag and the number of an item, then the tag of an attribute."""


@dataclass(frozen=True, slots=True)
class Element:
    """One attribute: its VR, and its value as text; of a sequence the number of its items."""

    vr: str
    value: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two results are not the same.

    Attributes:
        place: Where.
        source: What was there; None for nothing.
        ours: What is there in our result.
        theirs: What is there in Orthanc's.
        creator: Of a private attribute, whose it is in the source; else empty.
    """

    place: Place
    source: Element | None
    ours: Element | None
    theirs: Element | None
    creator: str = ""

    @property
    def tag(self) -> int:
        """Of the attribute."""
        return int(self.place[-1])

    @property
    def group(self) -> int:
        """Of the attribute."""
        return self.tag >> 16

    @property
    def is_nested(self) -> bool:
        """Whether it lies in an item."""
        return len(self.place) > 1

    @property
    def is_private(self) -> bool:
        """Whether its group is odd."""
        return bool(self.group & 1)

    @property
    def within(self) -> tuple[int, ...]:
        """The tags of the sequences that it lies in."""
        return tuple(step[0] for step in self.place[:-1])

    def __str__(self) -> str:
        """Where, without what is there."""
        steps = [f"{keyword_for_tag(tag) or hex(tag)}[{item}]" for tag, item in self.place[:-1]]
        name = keyword_for_tag(self.tag) or f"({self.group:04x},{self.tag & 0xFFFF:04x})"
        sides = (("source", self.source), ("ours", self.ours), ("theirs", self.theirs))
        there = [f"{side} {one.vr}:{one.value[:30]!r}" for side, one in sides if one is not None]
        return f"{'.'.join([*steps, name])}: {', '.join(there)}"


@dataclass
class Renaming:
    """Which random value of ours stands for which of theirs."""

    theirs: dict[str, str] = field(default_factory=dict)

    def agrees(self, source: Element | None, ours: Element, theirs: Element, tag: int) -> bool:
        """Whether both made up a value here, and the same one as elsewhere."""
        if tag == METHOD:
            return True
        if ours.vr != "UI" and tag not in _MADE_UP:
            return False
        before = source.value if source else ""
        if before in (ours.value, theirs.value) or not (ours.value and theirs.value):
            return False
        left, right = ours.value.split("\\"), theirs.value.split("\\")
        if len(left) != len(right):
            return False
        pairs = zip(left, right, strict=True)
        return all(self.theirs.setdefault(one, other) == other for one, other in pairs)


def flattened(dataset: Dataset) -> dict[Place, Element]:
    """Every attribute by its place; group lengths tell nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(_flattened(dataset, ()))


def _flattened(dataset: Dataset, above: Place) -> Iterator[tuple[Place, Element]]:
    for element in dataset:
        if element.tag.element == 0:
            continue
        place = (*above, int(element.tag))
        if element.VR != "SQ":
            yield place, Element(element.VR, _text(element.value))
            continue
        yield place, Element("SQ", f"{len(element.value)} items")
        for number, item in enumerate(element.value):
            yield from _flattened(item, (*above, (int(element.tag), number)))


def _text(value: object) -> str:
    if isinstance(value, MultiValue):
        return "\\".join(map(_text, value))
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ").hex()
    return str(value).rstrip("\0 ")


def differences(
    source: Dataset, ours: Dataset, theirs: Dataset, renaming: Renaming | None = None
) -> list[Difference]:
    """Where two results of the same source differ, in the order of tags.

    Args:
        source: What both were asked about.
        ours: Our result.
        theirs: Orthanc's.
        renaming: Of other results of the same request, which this one must agree with.
    """
    before, left, right = map(flattened, (source, ours, theirs))
    renaming = renaming or Renaming()
    found = []
    for place in sorted(left.keys() | right.keys(), key=str):
        one, other = left.get(place), right.get(place)
        if one == other:
            continue
        if one and other and renaming.agrees(before.get(place), one, other, int(place[-1])):
            continue
        creator = _creator(before, place)
        found.append(Difference(place, before.get(place), one, other, creator))
    return found


def _creator(flat: dict[Place, Element], place: Place) -> str:
    tag = int(place[-1])
    reserving = (*place[:-1], tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8)
    return flat[reserving].value if tag & 0x10000 and reserving in flat else ""

"""Compound action codes, decided by the type of the attribute where it stands.

Of `X/Z/D` and its like the first code that leaves the object valid is taken: type 1 asks for D,
type 2 for Z, and what has type 3 or is no part of the IOD goes. Where nobody knows the type, the
last code is taken: whatever the type is, it conforms and says nothing. D and Z change what is
there and never add what is not.

Plain X meets attributes that an IOD wants at its top level: there the IOD wins, with D or Z.

Source: PS3.15 E.1.1 and Table E.1-1a; PS3.5 7.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.tables.attribute_types import nested_types, root_types, sop_class_names
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_TYPE = {  # types 1, 2 and 3
    "X/Z": "DZX",
    "X/D": "DDX",
    "Z/D": "DZZ",
    "X/Z/D": "DZX",
}
_AT_THE_TOP = {"X": "DZX"}
KEEP_REFERENCES = "X/Z/U*"
"""References to images: kept, and the UIDs in them replaced, which conforms for every type."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where attributes stand.

    Attributes:
        name: Of the SOP class or the sequence; empty where nothing is known.
        sequence: The tag of the sequence whose items these are; None at the root, and
            wherever the sequence makes no difference.
        types: Type 1 or 2 by tag; None where types are not known.
        top: Whether it is the top level of an IOD.
    """

    name: str = ""
    sequence: int | None = None
    types: Mapping[int, int] | None = None
    top: bool = False

    def type_of(self, tag: int) -> int | None:
        """1, 2 or 3; None if nobody knows."""
        return None if self.types is None else self.types.get(tag, 3)


ANYWHERE = Place()


def root_of(sop_class_uid: str) -> Place | None:
    """The root of a SOP class; None if its IOD is not known."""
    types = root_types(sop_class_uid)
    if types is None:
        return None
    return Place(sop_class_names()[sop_class_uid], None, types, top=True)


def items_of(sequence: int) -> Place | None:
    """The items of a sequence, whatever the SOP class; None if they are not known."""
    types = nested_types().get(sequence)
    return None if types is None else Place(keyword_of(sequence), sequence, types)


def resolved(code: str, tag: int, place: Place) -> str:
    """One of D, Z, X, U or K: what a code of the table comes to in a place."""
    wanted = place.type_of(tag)
    if code == KEEP_REFERENCES:
        return "U"
    if wanted is None:
        return code[-1]
    by_type = _BY_TYPE.get(code) or (_AT_THE_TOP.get(code) if place.top else None)
    return by_type[wanted - 1] if by_type else code


def why(code: str, tag: int, place: Place) -> str:
    """The type that decided, for the reason of an action; empty if none did."""
    wanted = place.type_of(tag)
    if wanted is None or code == KEEP_REFERENCES or resolved(code, tag, place) == code:
        return ""
    return f", type {wanted} in {place.name}"

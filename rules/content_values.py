"""The values of a content item by its value type, and what may take their place.

Numbers, codes, coordinates and references stay what they are in an item that no table lists: the
UIDs in a reference are replaced anyway.

Source: PS3.3 10.2 (Content Item Macro), C.17.3.2.1 (value types); PS3.15 E.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.dummies import dummy_items
from rules.operators import REMOVE, Dummy, Items, RemapUID, code_items, constant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.operators import Operator

DATETIME, DATE, TIME, PERSON_NAME = 0x0040A120, 0x0040A121, 0x0040A122, 0x0040A123
UID, TEXT, CONCEPT_CODE = 0x0040A124, 0x0040A160, 0x0040A168
DATES = (DATETIME, DATE, TIME)
_FLOAT, _NUMERATOR, _DENOMINATOR = 0x0040A161, 0x0040A162, 0x0040A163
_UNITS, _MEASURED, _NUMERIC = 0x004008EA, 0x0040A300, 0x0040A30A

VALUES: Mapping[str, tuple[int, ...]] = {
    "CODE": (CONCEPT_CODE,),
    "COMPOSITE": (),
    "CONTAINER": (),
    "DATE": (DATE,),
    "DATETIME": (DATETIME,),
    "IMAGE": (),
    "NUM": (_FLOAT, _NUMERATOR, _DENOMINATOR, _MEASURED, _NUMERIC),
    "PNAME": (PERSON_NAME,),
    "SCOORD": (),
    "SCOORD3D": (),
    "TABLE": (),
    "TCOORD": (),
    "TEXT": (TEXT,),
    "TIME": (TIME,),
    "UIDREF": (UID,),
    "WAVEFORM": (),
}
"""The tags of the attributes that hold a value, by value type; none that could identify."""

ALL_VALUES = tuple(tag for tags in VALUES.values() for tag in tags)

_FAMILIES = {
    **dict.fromkeys(("DATE", "DATETIME", "TIME"), "dates"),
    **dict.fromkeys(("COMPOSITE", "IMAGE", "UIDREF", "WAVEFORM"), "references"),
}


def says_the_same(value_type: str, listed: tuple[str, ...]) -> bool:
    """Whether what is said of some value types holds for this one too: a time is like a date."""
    families = {_FAMILIES.get(one, one) for one in listed}
    return _FAMILIES.get(value_type, value_type) in families


def dummies(scope: str) -> dict[int, Operator]:
    """D of each value by its tag.

    Args:
        scope: Of keyed UIDs.
    """
    number = (
        (_UNITS, "SQ", code_items("1", "UCUM", "no units")),
        (_NUMERIC, "DS", constant("DS", "0")),
    )
    return {
        **dict.fromkeys((*DATES, PERSON_NAME, TEXT, _NUMERIC), Dummy()),
        **dict.fromkeys((_FLOAT, _NUMERATOR, _DENOMINATOR), REMOVE),  # they repeat the number
        UID: RemapUID(scope, never_empty=True),
        CONCEPT_CODE: dummy_items("ConceptCodeSequence", scope),
        _MEASURED: Items((number,), "one dummy number"),
    }

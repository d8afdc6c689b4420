"""Dummy values that keep an object valid: of the VR, and a legal term where terms are defined.

Items of dummy sequences hold what PS3.3 asks of an item with type 1; they say nothing of anyone.

Source: PS3.15 E.1.1 (action D); PS3.5 6.2; PS3.3 as cited at each entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.operators import (
    DUMMY_DATETIME,
    DUMMY_TEXT,
    Constant,
    Dummy,
    Empty,
    Items,
    RemapUID,
    code_items,
    constant,
)

if TYPE_CHECKING:
    from rules.operators import Operator

Element = tuple[int, str, "Operator"]

TERMS = {
    0x00080201: "+0000",  # SOP Common: an offset from UTC (PS3.3 C.12.1)
    0x00100040: "O",  # Patient's Sex: other (C.7.1.1)
    0x00102203: "UNALTERED",  # Patient's Sex Neutered (C.7.1.1)
    0x04000565: "COERCE",  # Reason for the Attribute Modification (C.12.1)
}
"""Attributes whose dummy must be one of the terms, or of the form, that PS3.3 defines."""

_SCHEME = "99ANONODE"
_PROCEDURE_STEP_CLASS = "1.2.840.10008.3.1.2.3.3"


def dummy(tag: int, vr: str, keyword: str, scope: str) -> Operator:
    """D of an attribute.

    Args:
        tag: Of the attribute.
        vr: Of the dictionary.
        keyword: Likewise; empty if there is none.
        scope: Of keyed UIDs.
    """
    if tag in TERMS:
        return constant(vr, TERMS[tag])
    if vr == "SQ":
        return dummy_items(keyword, scope)
    return RemapUID(scope, never_empty=True) if vr == "UI" else Dummy()


def dummy_items(keyword: str, scope: str) -> Items:
    """D of a sequence: one item that is valid where this sequence stands."""
    if keyword.endswith("CodeSequence"):
        return _code()
    return Items((_known_items(scope).get(keyword, ()),), "one dummy item")


def _code() -> Items:
    return code_items(DUMMY_TEXT, _SCHEME, "Anonymized")


def _text(tag: int, vr: str, text: str = DUMMY_TEXT) -> Element:
    return tag, vr, constant(vr, text)


def _uid(tag: int, scope: str) -> Element:
    return tag, "UI", RemapUID(scope, never_empty=True)


def _items(*elements: Element) -> Items:
    return Items((elements,), "one dummy item")


def _known_items(scope: str) -> dict[str, tuple[Element, ...]]:
    return {
        "ContentSequence": (  # PS3.3 C.17.3
            _text(0x0040A010, "CS", "CONTAINS"),
            _text(0x0040A040, "CS", "TEXT"),
            (0x0040A043, "SQ", code_items("121106", "DCM", "Comment")),
            _text(0x0040A160, "UT"),
        ),
        "FlowIdentifierSequence": ((0x00340002, "OB", Constant(b"\0\0", "zero")),),
        "GraphicAnnotationSequence": (  # PS3.3 C.10.5
            _text(0x00700002, "CS"),
            (0x00700008, "SQ", _items(*_ANCHORED_TEXT)),
        ),
        "OperatorIdentificationSequence": (  # PS3.3 10.1
            _text(0x00080080, "LO"),
            (0x00401101, "SQ", _code()),
        ),
        "ReferencedPerformedProcedureStepSequence": (  # PS3.3 10.3
            _text(0x00081150, "UI", _PROCEDURE_STEP_CLASS),
            _uid(0x00081155, scope),
        ),
        "VerifyingObserverSequence": (  # PS3.3 C.17.2
            _text(0x0040A027, "LO"),
            _text(0x0040A030, "DT", DUMMY_DATETIME),
            _text(0x0040A075, "PN"),
            (0x0040A088, "SQ", Empty()),
        ),
        "WaveformAnnotationSequence": (  # PS3.3 C.10.10
            (0x0040A0B0, "US", Constant(b"\1\0\0\0", "all channels of the first group")),
            _text(0x00700006, "ST"),
        ),
    }


_ANCHORED_TEXT: tuple[Element, ...] = (  # at the top left corner of the image
    _text(0x00700004, "CS", "PIXEL"),
    _text(0x00700006, "ST"),
    (0x00700014, "FL", Constant(bytes(8), "0,0")),
    _text(0x00700015, "CS", "N"),
)

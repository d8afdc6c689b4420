"""Where a result of ours is meant to differ from Orthanc's: the rows of docs/quirks.md, as rules.

A difference that no rule explains is a mistake on one of the two sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.datadict import keyword_for_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.rest.bodies import Asked
    from tests.acceptance.rest.differing import Difference, Element

_DATES = frozenset({"DA", "DT", "TM"})
_RECORD = frozenset({0x00120063, 0x00120064, 0x00280303})
_CHARACTER_SET = 0x00080005
_TRAILING_PADDING = 0xFFFCFFFC
_WITHIN_RECORD = 0x00120064


@dataclass(frozen=True)
class Improvement:
    """One reason to differ.

    Attributes:
        title: The first cell of its row in docs/quirks.md.
        explains: Whether a difference between the answers to a request is of this kind.
    """

    title: str
    explains: Callable[[Difference, Asked], bool]


def _overlays(one: Difference, asked: Asked) -> bool:
    is_graphic = one.group & 0xFF00 in (0x5000, 0x6000)
    return asked.verb == "anonymize" and is_graphic and one.ours is None


def _record(one: Difference, asked: Asked) -> bool:
    is_record = one.tag in _RECORD or _WITHIN_RECORD in one.within
    return asked.verb == "anonymize" and is_record and one.theirs is None


def _creators(one: Difference, asked: Asked) -> bool:
    if "PrivateCreator" in asked.body:
        return one.is_private and _value(one.source) == ""
    is_creator = one.is_private and 0x10 <= one.tag & 0xFFFF <= 0xFF
    return is_creator and one.ours == one.source and one.theirs is None


def _character_set(one: Difference, asked: Asked) -> bool:
    if one.tag == _CHARACTER_SET:
        return _value(one.ours) == "ISO_IR 192"
    return _value(one.theirs) == "" and _value(one.ours) in asked.body.get("Replace", {}).values()


def _dates(one: Difference, asked: Asked) -> bool:
    is_date = one.source is not None and one.source.vr in _DATES
    return (
        asked.verb == "anonymize" and is_date and one.theirs == one.source and _is_dummy(one.ours)
    )


def _names_and_uids(one: Difference, asked: Asked) -> bool:
    if asked.verb != "anonymize" or one.source is None or one.theirs != one.source:
        return False
    if one.tag == _TRAILING_PADDING:
        return one.ours is None
    if one.source.vr == "UI":
        return _value(one.ours).startswith("2.25.")
    return one.source.vr == "PN" and _is_dummy(one.ours)


def _nested_identifiers(one: Difference, asked: Asked) -> bool:
    is_identifier = one.tag in (0x00100010, 0x00100020)
    return (
        asked.verb == "anonymize"
        and one.is_nested
        and is_identifier
        and one.theirs == one.source
        and one.ours != one.source
    )


def _dummies(one: Difference, asked: Asked) -> bool:
    """Theirs is empty or gone; ours is there and says nothing of the source."""
    is_hollow = _value(one.theirs) in ("", "0 items") and one.ours is not None
    if asked.verb != "anonymize" or not is_hollow:
        return False
    was_empty = _value(one.source) in ("", "0 items")
    return one.ours.vr == "SQ" or was_empty or one.ours != one.source


def _edition(one: Difference, asked: Asked) -> bool:
    is_newest = asked.verb == "anonymize" and "DicomVersion" not in asked.body
    is_kept = one.theirs is not None and one.theirs == one.source
    return is_newest and is_kept and one.ours != one.source


def _references(one: Difference, asked: Asked) -> bool:
    if not one.is_nested or one.source is None or one.source.vr != "UI":
        return False
    if asked.verb == "modify":
        return one.theirs == one.source and _value(one.ours).startswith("2.25.")
    return "SOPInstanceUID" in asked.body.get("Keep", ()) and one.ours == one.source


def _equal_uids(one: Difference, asked: Asked) -> bool:
    """New on both sides; or kept by us, as the study's UID is that it equals."""
    is_frame = "FrameOfReference" in keyword_for_tag(one.tag)
    is_new_there = _value(one.theirs) not in ("", _value(one.source), _value(one.ours))
    is_ours = one.ours != one.source or "StudyInstanceUID" in asked.body.get("Keep", ())
    return asked.verb == "anonymize" and is_frame and is_new_there and is_ours


def _several_uids(one: Difference, asked: Asked) -> bool:
    count = _value(one.source).count("\\")
    return (
        asked.verb == "anonymize"
        and count > 0
        and _value(one.ours).count("\\") == count
        and "\\" not in _value(one.theirs)
    )


def _nested_private(one: Difference, asked: Asked) -> bool:
    is_private = one.is_private or any((tag >> 16) & 1 for tag in one.within)
    removes = asked.body.get("RemovePrivateTags") is True
    return removes and is_private and one.is_nested and one.ours is None


def _value(element: Element | None) -> str:
    return element.value if element else ""


def _is_dummy(element: Element | None) -> bool:
    dummies = ("", "ANONYMIZED", "19000101", "000000", "19000101000000")
    return _value(element) in dummies


IMPROVEMENTS = (
    Improvement("Overlays and curves go as a whole", _overlays),
    Improvement("What was done is written into the instance", _record),
    Improvement("A kept private element keeps its creator", _creators),
    Improvement("RemovePrivateTags enters sequences", _nested_private),
    Improvement("No character is lost", _character_set),
    Improvement("Names and identifiers in items follow", _nested_identifiers),
    Improvement("Each of several UIDs is replaced", _several_uids),
    Improvement("Equal UIDs stay equal, whatever they name", _equal_uids),
    Improvement("References follow when UIDs are modified", _references),
    Improvement("Dates that the table forgets get dummies", _dates),
    Improvement("Names and UIDs that the table forgets are replaced", _names_and_uids),
    Improvement("What an object needs gets a dummy", _dummies),
    Improvement("The newest edition of the table", _edition),
)


def improvement(one: Difference, asked: Asked) -> str:
    """The title of the first that explains a difference; empty for none."""
    return next((rule.title for rule in IMPROVEMENTS if rule.explains(one, asked)), "")

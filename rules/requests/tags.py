"""What a tag of a request names, as Orthanc and dcmodify spell it.

    PatientID   0010,0020   (0010,0020)   0010-0020   00100020
    0009,1001                               private, block and all
    (0009,{CREATOR}01)                      private, by its creator
    ReferencedStudySequence[0].StudyDate    in the first item; [*] is every item

Blanks around names, dots and brackets do not count. A keyword of a repeating group names the
first of its tags. A tag that does not exist is a fault with the nearest spelling.

Source: PS3.5 7.1, 7.8; PS3.6 by way of pydicom; the dcmodify manual (paths).
"""

from __future__ import annotations

import re
from typing import Final

from rules.errors import tag_text
from rules.requests.faults import RequestFault, Status
from rules.selectors import (
    EXACT,
    MAX_STEPS,
    PrivateTag,
    Selector,
    Step,
    TagPattern,
    keyword_pattern,
    nearest_keyword,
    parse_selector,
)
from rules.tables.dictionary import keyword_of, vr_of

PRIVATE: Final = 0x10000
CREATORS: Final = range(0x10, 0x100)
_ELEMENTS = range(0x1000, 0x10000)
_HEXADECIMAL = re.compile(
    r"\(\s*([0-9A-Fa-f]{4})\s*,\s*([0-9A-Fa-f]{4})\s*\)"
    r"|([0-9A-Fa-f]{4})\s*[,-]?\s*([0-9A-Fa-f]{4})"
)
_PART = re.compile(r'((?:\{[^}]*\}|"[^"]*"|[^.{"])*)(\.|$)', re.DOTALL)
_STEP = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]", re.DOTALL)
_SHOWN_CHARACTERS = 64
_MOST_CHARACTERS = 4096
_INDEX_DIGITS = 9
# The command, the file meta information, and the marks of items.
_NOT_IN_A_DATASET = frozenset({0x0000, 0x0002, 0xFFFE})
# PS3.5 7.8: these odd groups are not for private elements.
_NEVER_PRIVATE = frozenset({0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF})


def parse_path(text: str) -> Selector:
    """What a tag or a path names.

    Raises:
        RequestFault: nothing, or nothing that a request may name.
    """
    *parents, last = _parts(text)
    if len(parents) > MAX_STEPS:
        raise RequestFault(
            Status.OUT_OF_RANGE, f"A path leads through at most {MAX_STEPS} sequences"
        )
    steps = tuple(_step(parent) for parent in parents)
    if steps and last.strip().endswith("]"):
        raise RequestFault(Status.OUT_OF_RANGE, "A path ends with a tag, not with an item")
    target = _target(last.strip())
    path = "".join(f"{name(step.tag)}[{_index_text(step)}]." for step in steps)
    return Selector(steps, target, path + _target_name(target))


def parse_tag(text: str) -> int:
    """The one tag that a text names, without a path.

    Raises:
        RequestFault: it names none.
    """
    selector = parse_path(text) if len(text) < _MOST_CHARACTERS else None
    if selector is None or selector.steps or not isinstance(selector.target, TagPattern):
        raise RequestFault(Status.UNKNOWN_TAG, f"Unknown DICOM tag: {_shown(text)}")
    return selector.target.value


def name(tag: int) -> str:
    """The keyword of a tag, or the tag itself where it has none."""
    return keyword_of(tag) or tag_text(tag)


def _parts(text: str) -> list[str]:
    """The text between dots; a dot inside a private creator is no separator."""
    if len(text) > _MOST_CHARACTERS:
        raise RequestFault(Status.UNKNOWN_TAG, f"Unknown DICOM tag: {_shown(text)}")
    parts, position = [], 0
    while True:
        found = _PART.match(text, position)
        if not found:
            raise RequestFault(
                Status.OUT_OF_RANGE, "A private creator stands in { } or in quotation marks"
            )
        parts.append(found[1])
        position = found.end()
        if not found[2]:
            return parts


def _step(part: str) -> Step:
    found = _STEP.fullmatch(part.strip())
    if not found:
        raise RequestFault(
            Status.OUT_OF_RANGE,
            f"Parent path doesn't contain an index: write {_shown(part.strip())}[*] or [0]",
        )
    target = _target(found[1].strip())
    if not isinstance(target, TagPattern) or vr_of(target.value) != "SQ":
        raise RequestFault(
            Status.OUT_OF_RANGE,
            f"{_target_name(target)} is no sequence of the standard: no path leads through it",
        )
    return Step(target.value, _index(found[2].strip()))


def _index(text: str) -> int | None:
    if text == "*":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS):
        raise RequestFault(
            Status.OUT_OF_RANGE, "An item of a path is [*], or counted from zero: [0]"
        )
    return int(text)


def _index_text(step: Step) -> str:
    return "*" if step.index is None else str(step.index)


def _target(text: str) -> TagPattern | PrivateTag:
    if "{" in text or '"' in text:
        return _by_creator(text)
    found = _HEXADECIMAL.fullmatch(text)
    if found:
        return _checked(int((found[1] or found[3]) + (found[2] or found[4]), 16))
    by_keyword = _by_keyword(text)
    if by_keyword is None:
        raise RequestFault(
            Status.UNKNOWN_TAG, f"Unknown DICOM tag: {_shown(text)}{nearest_keyword(text)}"
        )
    return _checked(by_keyword.value)


def _by_keyword(text: str) -> TagPattern | None:
    try:
        return keyword_pattern(text)
    except ValueError:
        raise RequestFault(
            Status.BAD_REQUEST, f"{_shown(text)} is not part of a dataset: it is written anew"
        ) from None


def _by_creator(text: str) -> PrivateTag:
    try:
        target = parse_selector(text).target
    except ValueError:
        target = None
    if not isinstance(target, PrivateTag):
        raise RequestFault(
            Status.OUT_OF_RANGE, "A private tag by its creator is written (gggg,{CREATOR}ee)"
        )
    return target


def _checked(tag: int) -> TagPattern:
    group, element = tag >> 16, tag & 0xFFFF
    if group in _NOT_IN_A_DATASET:
        raise RequestFault(
            Status.BAD_REQUEST, f"Group {group:04X} is not part of a dataset: it is written anew"
        )
    is_private = group & 1 and (element in _ELEMENTS or element in CREATORS)
    if group & 1 and element and (group in _NEVER_PRIVATE or not is_private):
        raise RequestFault(Status.BAD_REQUEST, f"{tag_text(tag)} is not a private element")
    return TagPattern(tag, EXACT)


def _target_name(target: TagPattern | PrivateTag) -> str:
    if isinstance(target, PrivateTag):
        return f"({target.group:04X},{{{target.creator}}}{target.element:02X})"
    return name(target.value)


def _shown(text: str) -> str:
    """The beginning of a misspelt name, printable; a name is no value."""
    short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    return "".join(character if character.isprintable() else "?" for character in short)

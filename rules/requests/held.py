"""A value of Replace as JSON -> the value of a profile: checked for its VR, VM and length.

- A text is the value of any VR but SQ; null is the empty value of all; an array is a sequence
  of objects, and nothing else is a value.
- `data:application/octet-stream;base64,` gives the bytes of any VR but SQ, and any media type
  those of Encapsulated Document.
- What does not fit is a fault that names the tag and what it asks for, never the value.

Source: PS3.5 6.2, 6.4; RFC 2397 (data URLs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.language.calls import check_held
from rules.operators import literal
from rules.profile import Items, Literal
from rules.replacing import private_vr_to_write, vr_to_write
from rules.requests.faults import RequestFault, Status
from rules.requests.tags import PRIVATE, name, parse_tag
from rules.tables.dictionary import vr_of
from rules.values import DATA_PREFIX

if TYPE_CHECKING:
    from rules.profile import Value
    from rules.selectors import PrivateTag

_CHARSET = 0x00080005
_ENCAPSULATED_DOCUMENT = 0x00420011
_ANY_DATA = re.compile(r"data:[A-Za-z0-9.+/-]{1,128};base64,")
_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is to hold a value: how faults call it, its tag for the VM, and its VR."""

    name: str
    tag: int
    vr: str


def value_of(plain: object, tag: int) -> Value:
    """The value of a standard attribute.

    Args:
        plain: As JSON has it.
        tag: Of the dictionary.

    Raises:
        RequestFault: the attribute cannot hold it.
    """
    return _value(plain, _standard(tag), 0)


def private_value_of(plain: object, target: PrivateTag) -> Value:
    """The value of a private attribute; of which VR that is its creator and the value say.

    Raises:
        RequestFault: the attribute cannot hold it.
    """
    vr = private_vr_to_write(target, plain if isinstance(plain, str) else "")
    shown = f"({target.group:04X},xx{target.element:02X})"
    return _value(plain, Attribute(shown, target.group << 16, vr), 0)


def _standard(tag: int) -> Attribute:
    if vr_of(tag) is None:
        raise RequestFault(
            Status.BAD_REQUEST, f"{name(tag)} is not in the dictionary: its VR is unknown"
        )
    return Attribute(name(tag), tag, vr_to_write(tag))


def _value(plain: object, attribute: Attribute, depth: int) -> Value:
    if plain is None:
        return Literal("")
    if isinstance(plain, str):
        return _text(plain, attribute)
    if isinstance(plain, list) and attribute.vr == "SQ":
        return _items(plain, attribute, depth)
    asked = "a sequence" if attribute.vr == "SQ" else f"a value of VR {attribute.vr}"
    how = "an array of objects" if attribute.vr == "SQ" else "a string"
    raise RequestFault(
        Status.BAD_TYPE, f"{attribute.name} is {asked}: it is given as {how}, or null"
    )


def _text(text: str, attribute: Attribute) -> Literal:
    if attribute.tag == _ENCAPSULATED_DOCUMENT:
        text = _ANY_DATA.sub(DATA_PREFIX, text, count=1)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RequestFault(
            Status.BAD_FILE, f"{attribute.name} cannot be this: half a surrogate pair is no text"
        ) from None
    try:
        check_held(text, attribute.tag, attribute.vr)
        if attribute.vr != "SQ":
            literal(attribute.vr, text)
    except ValueError as error:
        raise RequestFault(Status.BAD_FILE, f"{attribute.name} {_sentence(error)}") from None
    if attribute.vr == "SQ":
        raise RequestFault(
            Status.BAD_FILE, f"{attribute.name} is a sequence: it is given as an array of objects"
        )
    return Literal(text)


def _sentence(error: ValueError) -> str:
    """What follows the name: checks of a literal say that by themselves."""
    said = str(error)
    return said if said.startswith(("is ", "cannot ")) else f"cannot be this: {said}"


def _items(plain: list[object], attribute: Attribute, depth: int) -> Items:
    if depth >= _DEPTH:
        raise RequestFault(Status.OUT_OF_RANGE, f"Sequences nest at most {_DEPTH} levels deep")
    return Items(tuple(_item(one, attribute, depth) for one in plain))


def _item(plain: object, attribute: Attribute, depth: int) -> tuple[tuple[int, Value], ...]:
    if plain == []:  # as Lua writes an empty object
        return ()
    if not isinstance(plain, dict):
        raise RequestFault(Status.BAD_TYPE, f"An item of {attribute.name} is an object of tags")
    held: dict[int, Value] = {}
    for key, inner in plain.items():
        tag = parse_tag(key)
        if tag & 0xFFFF:  # a group length is not written
            held[tag] = _value(inner, _of_item(tag), depth + 1)
    return tuple(sorted(held.items(), key=_tag))


def _of_item(tag: int) -> Attribute:
    if tag & PRIVATE:
        raise RequestFault(
            Status.BAD_REQUEST, f"{name(tag)}: a new item cannot have private elements"
        )
    if tag == _CHARSET:
        raise RequestFault(
            Status.BAD_REQUEST, "SpecificCharacterSet of an item is that of its instance"
        )
    return _standard(tag)


def _tag(pair: tuple[int, Value]) -> int:
    return pair[0]

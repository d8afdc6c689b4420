r"""The elements of an instance as JSON, as Orthanc writes them.

Three forms, each an object by tag or name:

    full      {"0010,0010": {"Name": "PatientName", "Type": "String", "Value": "..."}}
    short     {"0010,0010": "..."}
    simple    {"PatientName": "..."}

Texts come decoded, without padding, numbers as text, several values with `\` between them, items
as a list, bytes as null. A text longer than `LONGEST_BYTES` is null too, unless asked for.

An element without a name, or with that of another one, is listed by its tag in the simple form, so
that none hides another.

Source: PS3.5 6.2; PS3.6 (names).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Final, cast

from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_VR,
    keyword_for_tag,
    private_dictionary_description,
    private_dictionary_VR,
)
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from rules.charsets import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

LONGEST_BYTES: Final = 256
"""Of a text in UTF-8 that is shown unasked."""
UNNAMED: Final = "Unknown Tag & Data"
_CREATOR_NAME: Final = "PrivateCreator"
Json = dict[str, object]
"""An object of JSON."""

_TEXTS: Final = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
        *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
    }
)
_NUMBERS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
    "AT": "HH",
}
# Where a code extension is switched to; some decoders leave it in the text (PS3.5 6.1.2.5).
_ESCAPE: Final = re.compile("\x1b[ -/]+[0-~]")
_CHARSET: Final = 0x00080005
_SIGNED: Final = 0x00280103
_CREATORS: Final = range(0x10, 0x100)


@dataclass(frozen=True, slots=True)
class Entry:
    """One element, whatever form it will take.

    Attributes:
        creator: Of a private element; empty if it has none.
        kind: Orthanc's `Type`.
        value: Text, items, or None.
    """

    tag: int
    name: str
    creator: str
    kind: str
    value: str | list[list[Entry]] | None = field(repr=False)

    @property
    def key(self) -> str:
        """The tag as Orthanc spells it."""
        return f"{self.tag >> 16:04x},{self.tag & 0xFFFF:04x}"


@dataclass(frozen=True, slots=True)
class _Context:
    charsets: str
    signed: bool
    whole: frozenset[int]


def entries(
    dataset: Dataset,
    whole: frozenset[int] = frozenset(),
    only: frozenset[int] | None = None,
) -> list[Entry]:
    """The elements of a dataset in the order of their tags.

    Args:
        dataset: As pydicom read it.
        whole: Tags whose texts are given however long they are.
        only: Tags that are wanted at the root; None for all.
    """
    signed = _raw(dataset, _SIGNED) in (b"\1\0", b"\0\1", b"1")
    return list(_entries(dataset, _Context("", signed, whole), only))


def full(found: list[Entry]) -> Json:
    """By tag, with names and types."""
    return {entry.key: _full(entry) for entry in found}


def short(found: list[Entry]) -> Json:
    """By tag, values only."""
    return {entry.key: _plain(entry, short) for entry in found}


def simple(found: list[Entry]) -> Json:
    """By name, values only."""
    result: Json = {}
    for entry in found:
        taken = entry.name in (UNNAMED, _CREATOR_NAME) or entry.name in result
        result[entry.key if taken else entry.name] = _plain(entry, simple)
    return result


def pixel_entry(tag: int) -> Entry:
    """Of pixel data, which are never shown."""
    return Entry(tag, keyword_for_tag(tag), "", "Null", None)


def raw_value(dataset: Dataset, tag: int) -> bytes:
    """The encoded value of an element; empty where it is absent, or has items."""
    return _raw(dataset, tag)


def is_sequence(dataset: Dataset, tag: int) -> bool:
    """Whether an element that is there has items."""
    element = _element(dataset, tag)
    return element is not None and _vr(element, tag, _creator(dataset, tag), signed=False) == "SQ"


def items_of(dataset: Dataset, tag: int) -> list[Dataset]:
    """The items of an element that is there; none if they cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = dataset[tag].value
    return list(value) if isinstance(value, Sequence) else []


def _full(entry: Entry) -> Json:
    creator = {"PrivateCreator": entry.creator} if entry.creator else {}
    return {"Name": entry.name, **creator, "Type": entry.kind, "Value": _plain(entry, full)}


def _plain(entry: Entry, form: Callable[[list[Entry]], Json]) -> object:
    if isinstance(entry.value, list):
        return [form(item) for item in entry.value]
    return entry.value


def _entries(
    dataset: Dataset, context: _Context, only: frozenset[int] | None = None
) -> Iterator[Entry]:
    charsets = _raw(dataset, _CHARSET).decode("latin-1").strip(" \0") or context.charsets
    inner = _Context(charsets, context.signed, context.whole)
    for element in sorted(dataset.values(), key=lambda one: int(one.tag)):
        if only is None or int(element.tag) in only:
            yield _entry(dataset, element, inner)


def _entry(dataset: Dataset, element: DataElement | RawDataElement, context: _Context) -> Entry:
    tag = int(element.tag)
    creator = _creator(dataset, tag)
    vr = _vr(element, tag, creator, signed=context.signed)
    value: str | list[list[Entry]] | None
    if vr == "SQ":
        value = [list(_entries(item, context)) for item in items_of(dataset, tag)]
        return Entry(tag, _name(tag, creator), creator, "Sequence", value)
    text = _text(dataset, tag, vr, context.charsets)
    kind = "Null" if text is None else "String"
    if text is not None and len(text.encode("utf-8", "replace")) > LONGEST_BYTES:
        whole = tag in context.whole
        text, kind = (text, "String") if whole else (None, "TooLong")
    return Entry(tag, _name(tag, creator), creator, kind, text)


def _creator(dataset: Dataset, tag: int) -> str:
    group, number = tag >> 16, tag & 0xFFFF
    if not group & 1 or number >> 8 not in _CREATORS:
        return ""
    return _raw(dataset, group << 16 | number >> 8).decode("latin-1").strip(" \0")


def _vr(element: DataElement | RawDataElement, tag: int, creator: str, *, signed: bool) -> str:
    """As it was encoded; where that says nothing, as the dictionaries say (PS3.5 6.2.2)."""
    is_private = bool(tag >> 16 & 1)
    if element.VR and (element.VR != "UN" or is_private):
        return str(element.VR)
    if not tag & 0xFFFF:
        return "UL"
    try:
        vr = private_dictionary_VR(tag, creator) if is_private else dictionary_VR(tag)
    except KeyError:
        is_creator = is_private and tag & 0xFFFF in _CREATORS
        return "LO" if is_creator else "UN"
    if vr == "US or SS":
        return "SS" if signed else "US"
    return vr


def _name(tag: int, creator: str) -> str:
    if not tag & 0xFFFF:
        return "PrivateGroupLength" if tag >> 16 & 1 else "GenericGroupLength"
    if tag >> 16 & 1:
        return _CREATOR_NAME if tag & 0xFFFF in _CREATORS else _private_name(tag, creator)
    return (keyword_for_tag(tag) if dictionary_has_tag(tag) else "") or UNNAMED


def _private_name(tag: int, creator: str) -> str:
    try:
        described = private_dictionary_description(tag, creator)
    except KeyError:
        return UNNAMED
    if described == "Unknown":
        return UNNAMED
    words = "".join(c if c.isalnum() else " " for c in described).split()
    return "".join(word[:1].upper() + word[1:] for word in words) or UNNAMED


def _raw(dataset: Dataset, tag: int) -> bytes:
    """The bytes of an element; of the few that pydicom has converted, encoded again."""
    element = _element(dataset, tag)
    if isinstance(element, RawDataElement):
        return bytes(element.value or b"")
    if element is None or isinstance(element.value, Sequence):
        return b""
    return b"\\".join(_bytes(one) for one in _values(element))


def _element(dataset: Dataset, tag: int) -> DataElement | RawDataElement | None:
    """As it was read, before any conversion."""
    found = dataset.get_item(tag) if tag in dataset else None
    return cast("DataElement | RawDataElement | None", found)


def _values(element: DataElement) -> list[object]:
    value = element.value
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue) else [value]


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8")


def _text(dataset: Dataset, tag: int, vr: str, charsets: str) -> str | None:
    """The value as text; None for bytes."""
    element = _element(dataset, tag)
    if vr in _TEXTS:
        return _ESCAPE.sub("", decoded(_raw(dataset, tag), charsets))
    if vr not in _NUMBERS:
        return None
    if isinstance(element, RawDataElement):
        return _numbers(vr, bytes(element.value or b""), little=element.is_little_endian)
    return _raw(dataset, tag).decode("utf-8")


def _numbers(vr: str, value: bytes, *, little: bool) -> str:
    form = Struct(("<" if little else ">") + _NUMBERS[vr])
    whole = value[: len(value) - len(value) % form.size]
    return "\\".join(_number(vr, each) for each in form.iter_unpack(whole))


def _number(vr: str, each: tuple[float, ...]) -> str:
    if vr == "AT":
        return f"{int(each[0]):04x},{int(each[1]):04x}"
    return f"{each[0]:.17g}" if vr in ("FL", "FD") else str(each[0])

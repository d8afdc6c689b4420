"""The elements of what pydicom has read, as the bytes they are made of.

Whatever pydicom can decode is not wanted: a value comes as it is encoded, with the texts that
those bytes may be, at every depth, also from behind UN.

Source: PS3.5 6.1, 6.2.2, 7.5, 7.8.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, get_private_entry
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_sequence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

TEXT_VRS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI")
)
"""VRs of text with several values."""
LONG_TEXT_VRS = frozenset(("LT", "ST", "UT", "UR"))
UNDEFINED = 0xFFFFFFFF
_OF_CHARSET = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_DELIMITERS = {0x5C, 0x5E, 0x3D}
_CHARSET = 0x00080005
_ITEM = b"\xfe\xff\x00\xe0"

Place = tuple[object, ...]
"""Tags from the root, without the numbers of items; a private one is group, creator, low byte."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One element that is no sequence.

    Attributes:
        place: Where it stands, the same in every instance.
        tags: Its tag and those of the sequences around it, as they are, from the root.
        vr: As received; where that says nothing, as the dictionary says.
        raw: The encoded value; empty for a bulk value, which `span` finds in the file.
        texts: Its values, without padding; none for a VR of numbers or bytes.
        span: Start and end of the value at the root that it is, or is part of, in bytes.
    """

    place: Place
    tags: tuple[int, ...]
    vr: str
    raw: bytes = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    span: tuple[int, int]

    @property
    def tag(self) -> int:
        """Its own tag."""
        return self.tags[-1]

    @property
    def shown(self) -> str:
        """As a finding names it."""
        return shown(self.tags)


def shown(tags: Sequence[int]) -> str:
    """Tags from the root, such as `(0008,1140)[].(0008,1155)`."""
    return "[].".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags)


class Walk:
    """Makes leaves of what pydicom read, without letting it convert a value.

    `base` is added to its offsets, and `end` is where the last value ends at the latest.
    """

    def __init__(self, base: int, end: int) -> None:
        self._base = base
        self._end = end

    def leaves(self, dataset: Dataset) -> Iterator[Leaf]:
        """The leaves of a root, in the order of its elements."""
        elements = sorted(dataset.items())
        starts = sorted(_tell(one) for _, one in elements)
        codecs = _codecs(dataset, ["iso8859"])
        for tag, one in elements:
            span = self._base + _tell(one), self._stop(one, starts)
            yield from _inside(dataset, int(tag), one, _Above((), (), codecs, span))

    def _stop(self, one: RawDataElement | DataElement, starts: list[int]) -> int:
        """Where a value at the root ends: by its length, else where the next one starts."""
        start = _tell(one)
        if isinstance(one, RawDataElement) and one.length != UNDEFINED:
            return self._base + start + int(one.length)
        later = bisect_right(starts, start)
        return self._base + starts[later] if later < len(starts) else self._end


@dataclass(frozen=True, slots=True)
class _Above:
    """What an element is inside of."""

    place: Place
    tags: tuple[int, ...]
    codecs: list[str]
    span: tuple[int, int]


def _inside(
    dataset: Dataset, tag: int, one: RawDataElement | DataElement, above: _Above
) -> Iterator[Leaf]:
    place, tags = (*above.place, _key(dataset, tag)), (*above.tags, tag)
    vr = _vr(dataset, tag, one)
    items = _items(dataset, tag, one, vr)
    if items is None:
        raw = _raw(one)
        yield Leaf(place, tags, vr, raw, _texts(vr, raw, above.codecs), above.span)
        return
    for item in items:
        within = _Above(place, tags, _codecs(item, above.codecs), above.span)
        for inner, element in sorted(item.items()):
            yield from _inside(item, int(inner), element, within)


def _tell(one: RawDataElement | DataElement) -> int:
    if isinstance(one, RawDataElement):
        return int(one.value_tell)
    return int(one.file_tell or 0)


def _key(dataset: Dataset, tag: int) -> object:
    """A tag that means the same everywhere."""
    group, number = tag >> 16, tag & 0xFFFF
    if group & 1 and number > 0xFF:  # noqa: PLR2004 - PS3.5 7.8.1
        return group, _creator(dataset, tag), number & 0xFF
    return tag


def _creator(dataset: Dataset, tag: int) -> str:
    block = (tag >> 16 << 16) | (tag >> 8 & 0xFF)
    if block not in dataset:
        return ""
    return _raw(dataset.get_item(block)).decode("latin-1").strip(" \0")


def _vr(dataset: Dataset, tag: int, one: RawDataElement | DataElement) -> str:
    vr = str(one.VR or "UN")
    if vr != "UN":
        return vr
    if tag >> 16 & 1 == 0:
        return _of_dictionary(tag)
    if tag & 0xFF00 == 0:
        return "LO"
    try:
        return str(get_private_entry(tag, _creator(dataset, tag))[0]).split(" or ")[0]
    except KeyError:
        return "UN"


def _of_dictionary(tag: int) -> str:
    try:
        return str(dictionary_VR(tag)).split(" or ")[0]
    except KeyError:
        return "UN"


def _items(
    dataset: Dataset, tag: int, one: RawDataElement | DataElement, vr: str
) -> Sequence[Dataset] | None:
    """The items of a sequence, also of one behind UN; None for what is none."""
    if not isinstance(one, RawDataElement):
        return list(one.value or ()) if one.VR == "SQ" else None
    if vr == "SQ" and one.VR != "UN":
        return list(dataset[tag].value or ())
    value = one.value
    if vr in ("SQ", "UN") and isinstance(value, bytes) and value.startswith(_ITEM):
        return _hidden(value)
    return None


def _hidden(value: bytes) -> Sequence[Dataset] | None:
    """Items in implicit VR little endian, which is what UN holds (PS3.5 6.2.2)."""
    for is_implicit in (True, False):
        try:
            found = read_sequence(BytesIO(value), is_implicit, True, len(value), ["iso8859"])  # noqa: FBT003
            return list(found)
        except Exception:  # noqa: BLE001, S112 - whatever it is, it stays a value of bytes
            continue
    return None


def _raw(one: RawDataElement | DataElement) -> bytes:
    value = one.value
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    many = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
    return "\\".join(str(each) for each in many).encode()


def _texts(vr: str, raw: bytes, codecs: list[str]) -> tuple[str, ...]:
    if not raw or vr not in TEXT_VRS | LONG_TEXT_VRS:
        return ()
    text = _decoded(raw, codecs) if vr in _OF_CHARSET else raw.decode("latin-1")
    parts = [text] if vr in LONG_TEXT_VRS else text.split("\\")
    return tuple(stripped for part in parts if (stripped := part.strip(" \0")))


def _decoded(raw: bytes, codecs: list[str]) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    return decode_bytes(raw, codecs, _DELIMITERS)


def _codecs(dataset: Dataset, inherited: list[str]) -> list[str]:
    """Those of the character sets that hold in a dataset or item."""
    if _CHARSET not in dataset:
        return inherited
    terms = _raw(dataset.get_item(_CHARSET)).decode("latin-1").split("\\")
    try:
        return list(convert_encodings([term.strip(" \0") for term in terms]))
    except LookupError:
        return inherited

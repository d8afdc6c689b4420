"""The encoded form of a dataset, for tests: an encoder that obeys and a reader that insists.

The encoder writes what it is told, also what no correct writer would write (wrong order,
wrong lengths), so that tests can make irregular input. The reader is the opposite: it reads
only what PS3.5 allows, with ascending tags and no duplicates, and raises `Irregular` with
the reason otherwise. Neither shares anything with the engine under test nor with pydicom's
reader: of pydicom only the data dictionary is used.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_VR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # noqa: SIM905
SHORT_VRS = frozenset(
    "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
UNIT_BYTES = {
    **dict.fromkeys(["AT", "OW", "SS", "US"], 2),
    **dict.fromkeys(["FL", "OF", "OL", "SL", "UL"], 4),
    **dict.fromkeys(["FD", "OD", "OV", "SV", "UV"], 8),
}

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"


class Irregular(Exception):
    """The bytes are not a well-formed dataset; the message is the reason and the place."""


@dataclass(frozen=True, slots=True)
class Form:
    """How elements are written: VR stated or not, byte order."""

    implicit: bool
    big: bool = False

    @classmethod
    def of(cls, transfer_syntax: str) -> Form:
        """The form of a transfer syntax; compressed ones are explicit little endian."""
        return cls(implicit=transfer_syntax == IMPLICIT, big=transfer_syntax == BIG_ENDIAN)

    @property
    def order(self) -> str:
        """The byte order as `struct` spells it."""
        return ">" if self.big else "<"


HIDDEN = Form(implicit=True)  # what a UN value of undefined length holds, whatever is around it


# ---------------------------------------------------------------- the encoder


@dataclass(slots=True)
class El:
    """One element to be encoded.

    `value` is the value in little endian, or the items of a sequence, or, with `fragments`,
    the items of encapsulated pixel data. `undefined` and `items_undefined` choose the length
    forms; `vr` is what the header states (nothing, in implicit VR).
    """

    tag: int
    vr: str
    value: bytes | list[list[El]] = b""
    undefined: bool = False
    items_undefined: bool | Sequence[bool] = False
    fragments: list[bytes] | None = field(default=None)

    def item_is_undefined(self, index: int) -> bool:
        """The length form of one item; a sequence of forms repeats."""
        if isinstance(self.items_undefined, bool):
            return self.items_undefined
        return self.items_undefined[index % len(self.items_undefined)]


def tag_bytes(tag: int, form: Form) -> bytes:
    """A tag as encoded: group and element, each in the byte order."""
    return struct.pack(form.order + "HH", tag >> 16, tag & 0xFFFF)


def header(tag: int, vr: str, length: int, form: Form) -> bytes:
    """An element's tag, VR and length; item tags and delimiters have no VR in any form."""
    start = tag_bytes(tag, form)
    if form.implicit or tag >> 16 == 0xFFFE:
        return start + struct.pack(form.order + "I", length)
    if vr in LONG_VRS or vr not in SHORT_VRS:
        return start + vr.encode("ascii") + b"\0\0" + struct.pack(form.order + "I", length)
    return start + vr.encode("ascii") + struct.pack(form.order + "H", length)


def swapped(value: bytes, vr: str) -> bytes:
    """A value of this VR with the bytes of each number in the other order."""
    unit = UNIT_BYTES.get(vr, 1)
    usable = len(value) - len(value) % unit
    turned = (value[at : at + unit][::-1] for at in range(0, usable, unit))
    return b"".join(turned) + value[usable:]


def encode(elements: Sequence[El], form: Form) -> bytes:
    """The dataset of these elements, in the order given."""
    return b"".join(encode_one(element, form) for element in elements)


def encode_one(element: El, form: Form) -> bytes:
    """One element, header and value."""
    if element.fragments is not None:
        content = encode_fragments(element.fragments, form)
        return header(element.tag, element.vr, UNDEFINED, form) + content
    if isinstance(element.value, list):
        return _encode_sequence(element, form)
    value = swapped(element.value, element.vr) if form.big else element.value
    return header(element.tag, element.vr, len(value), form) + value


def encode_fragments(fragments: Sequence[bytes], form: Form) -> bytes:
    """The value of encapsulated pixel data, with its delimiter; the first is the offset table."""
    items = (header(ITEM, "", len(fragment), form) + fragment for fragment in fragments)
    return b"".join(items) + header(SEQUENCE_END, "", 0, form)


def _encode_sequence(element: El, form: Form) -> bytes:
    assert isinstance(element.value, list)
    inner = HIDDEN if element.vr == "UN" else form
    content = b""
    for index, elements in enumerate(element.value):
        body = encode(elements, inner)
        if element.item_is_undefined(index):
            content += header(ITEM, "", UNDEFINED, inner) + body + header(ITEM_END, "", 0, inner)
        else:
            content += header(ITEM, "", len(body), inner) + body
    if element.undefined:
        ended = content + header(SEQUENCE_END, "", 0, inner)
        return header(element.tag, element.vr, UNDEFINED, form) + ended
    return header(element.tag, element.vr, len(content), form) + content


def deflate(dataset: bytes) -> bytes:
    """Raw deflate as PS3.5 A.5 asks, padded to even length."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(dataset) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)


def inflate(packed: bytes) -> bytes:
    """Undo `deflate`; a padding byte behind the stream is ignored."""
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(packed)


def transferred(dataset: bytes, transfer_syntax: str) -> bytes:
    """A dataset in explicit VR little endian as this transfer syntax carries it."""
    return deflate(dataset) if transfer_syntax == DEFLATED else dataset


def part10(dataset: bytes, transfer_syntax: str, *, meta: Sequence[El] = ()) -> bytes:
    """A Part 10 file around a dataset that is already in its transfer syntax."""
    padded = transfer_syntax.encode() + b"\0" * (len(transfer_syntax) % 2)
    elements = [El(0x00020001, "OB", b"\0\1"), El(0x00020010, "UI", padded), *meta]
    body = encode(sorted(elements, key=lambda element: element.tag), Form(implicit=False))
    length = encode([El(0x00020000, "UL", struct.pack("<I", len(body)))], Form(implicit=False))
    return bytes(128) + b"DICM" + length + body + dataset


# ---------------------------------------------------------------- the reader


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it stands: `data[start:end]` is all of it, delimiter included."""

    data: bytes = field(repr=False)
    tag: int
    vr: str | None
    start: int
    value_start: int
    end: int
    undefined: bool = False
    items: tuple[Item, ...] | None = None

    @property
    def raw(self) -> bytes:
        """Header and value, delimiter included."""
        return self.data[self.start : self.end]

    @property
    def value(self) -> bytes:
        """The value, delimiter included where there is one."""
        return self.data[self.value_start : self.end]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a sequence."""

    elements: tuple[Element, ...]
    undefined: bool


def read(data: bytes, form: Form) -> tuple[Element, ...]:
    """All elements of a dataset; raises Irregular for anything PS3.5 does not allow."""
    return _Reader(data).dataset(form)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def dataset(self, form: Form) -> tuple[Element, ...]:
        return tuple(self._elements(form, len(self.data), undefined=False))

    def one(self, form: Form) -> Iterator[Element]:
        start = self.at
        yield self._element(start, self._tag(form, len(self.data)), form, len(self.data))

    def _elements(self, form: Form, end: int, *, undefined: bool) -> Iterator[Element]:
        last = -1
        while undefined or self.at < end:
            start = self.at
            tag = self._tag(form, end)
            if undefined and tag == ITEM_END:
                self._zero_length(form, end)
                return
            if tag >> 16 == 0xFFFE:
                raise Irregular(f"delimiter {tag:08X} out of place")
            if tag >> 16 == 0xFFFF:
                raise Irregular("group FFFF, which is nobody's (PS3.5 7.1)")
            if tag <= last:
                raise Irregular(f"{tag:08X} {'again' if tag == last else f'after {last:08X}'}")
            last = tag
            yield self._element(start, tag, form, end)

    def _element(self, start: int, tag: int, form: Form, end: int) -> Element:
        vr, length = self._vr_and_length(tag, form, end)
        value_start = self.at
        inner = HIDDEN if vr == "UN" else form
        if self._is_sequence(tag, vr, length, form):
            stop = end if length == UNDEFINED else self._advance_to(length, end, tag)
            items = tuple(self._items(inner, stop, undefined=length == UNDEFINED))
            undefined = length == UNDEFINED
            return Element(self.data, tag, vr, start, value_start, self.at, undefined, items)
        if length == UNDEFINED:
            self._fragments(form, end)
            return Element(self.data, tag, vr, start, value_start, self.at, undefined=True)
        self.at = self._advance_to(length, end, tag)
        return Element(self.data, tag, vr, start, value_start, self.at)

    def _vr_and_length(self, tag: int, form: Form, end: int) -> tuple[str | None, int]:
        if form.implicit:
            return None, self._number("I", form, end)
        vr = self._take(2, end).decode("latin-1")
        if vr in SHORT_VRS:
            return vr, self._number("H", form, end)
        if vr not in LONG_VRS:
            raise Irregular(f"unknown VR at {tag:08X}")
        self._take(2, end)  # reserved, and for no reader to judge
        return vr, self._number("I", form, end)

    def _is_sequence(self, tag: int, vr: str | None, length: int, form: Form) -> bool:
        if vr == "SQ":
            return True
        if vr not in {None, "UN"}:
            return False
        if length == UNDEFINED and vr == "UN":
            return True
        known = vr_in_dictionary(tag) if tag >> 16 & 1 == 0 else None
        if length == UNDEFINED and known is None:
            return self._peek_item(form)
        return known == "SQ"

    def _peek_item(self, form: Form) -> bool:
        """Whether an item, or the end of an empty sequence, follows."""
        peeked = self.data[self.at : self.at + 4]
        return peeked in (tag_bytes(ITEM, form), tag_bytes(SEQUENCE_END, form))

    def _items(self, form: Form, end: int, *, undefined: bool) -> Iterator[Item]:
        while undefined or self.at < end:
            tag = self._tag(form, end)
            if undefined and tag == SEQUENCE_END:
                self._zero_length(form, end)
                return
            if tag != ITEM:
                raise Irregular(f"{tag:08X} where an item should be")
            length = self._number("I", form, end)
            open_end = length == UNDEFINED
            stop = end if open_end else self._advance_to(length, end, tag)
            yield Item(tuple(self._elements(form, stop, undefined=open_end)), open_end)

    def _fragments(self, form: Form, end: int) -> None:
        while (tag := self._tag(form, end)) == ITEM:
            self.at = self._advance_to(self._number("I", form, end), end, tag)
        if tag != SEQUENCE_END:
            raise Irregular(f"{tag:08X} among fragments")
        self._zero_length(form, end)

    def _zero_length(self, form: Form, end: int) -> None:
        if self._number("I", form, end):
            raise Irregular("a delimiter with a length")

    def _tag(self, form: Form, end: int) -> int:
        group, element = struct.unpack(form.order + "HH", self._take(4, end))
        return group << 16 | element

    def _number(self, code: str, form: Form, end: int) -> int:
        taken = self._take(struct.calcsize("<" + code), end)
        return int(struct.unpack(form.order + code, taken)[0])

    def _take(self, count: int, end: int) -> bytes:
        if self.at + count > end:
            raise Irregular("ends inside an element")
        self.at += count
        return self.data[self.at - count : self.at]

    def _advance_to(self, length: int, end: int, tag: int) -> int:
        if self.at + length > end:
            raise Irregular(f"{tag:08X} is longer than what holds it")
        return self.at + length


def vr_in_dictionary(tag: int) -> str | None:
    """The VR by pydicom's dictionary, such as `US or SS`; None for tags that it lacks."""
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return None


def split_part10(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """File meta information (by tag) and the encoded dataset of a file.

    A file without preamble begins with its dataset, or with group 0002.

    Raises:
        Irregular: the file meta information cannot be read.
    """
    meta: dict[int, bytes] = {}
    form = Form(implicit=False)
    reader = _Reader(data)
    reader.at = 132 if data[128:132] == b"DICM" else 0
    while data[reader.at : reader.at + 2] == b"\2\0":
        for element in reader.one(form):
            meta[element.tag] = element.value
    return meta, data[reader.at :]


def text_of(meta: dict[int, bytes], tag: int) -> str:
    """A text of the file meta information without its padding; empty when absent."""
    return meta.get(tag, b"").decode("latin-1").strip("\0 ")

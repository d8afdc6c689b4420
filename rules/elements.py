"""The encoded form of data elements in little endian: headers, items, delimiters.

Nothing here knows a rule. Every function checks the bounds it reads within; a position
outside them is `Incomplete`, a byte pattern that the standard does not know `Irregular`.

Source: PS3.5 7.1 (data elements), 7.5 (sequences), A.4 (fragments).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
ITEM_END_BYTES = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_END_BYTES = b"\xfe\xff\xdd\xe0\0\0\0\0"
ITEM_START = b"\xfe\xff\x00\xe0"

# VRs whose explicit form has two reserved bytes and a length of 32 bits.
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_FRAGMENT_VRS = frozenset((b"OB", b"OW"))
_SPACE_PADDED = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO"),
        *("LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"),
    }
)
_DELIMITER_GROUP = 0xFFFE

Data = bytes | bytearray | memoryview
Header = tuple[int, bytes, int, int, int]
"""Tag, VR (empty when implicit), start of the header, start of the value, length."""

EXPLICIT = Struct("<HH2sH")
IMPLICIT = Struct("<HHL")
LENGTH = Struct("<L")
_LONG_HEADER = Struct("<HH2sHL")
_SHORT_LIMIT = 0xFFFE


class Incomplete(Exception):
    """The data end before the element does."""


class Irregular(Exception):
    """Bytes that cannot be read as the transfer syntax says; `tag` is where, if known."""

    def __init__(self, tag: int | None = None) -> None:
        self.tag = tag
        super().__init__()


class TooDeep(Exception):
    """Sequences nested deeper than the limit."""


def header(tag: int, vr: str, length: int, *, implicit: bool) -> bytes:
    """The header of an element; `length` is in bytes, or UNDEFINED.

    Raises:
        ValueError: `length` does not fit the 16 bits that the VR has for it.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if implicit:
        return IMPLICIT.pack(group, element, length)
    code = vr.encode("ascii")
    if code in LONG_VRS:
        return _LONG_HEADER.pack(group, element, code, 0, length)
    if length > _SHORT_LIMIT:
        message = f"a value of {length} bytes does not fit VR {vr}"
        raise ValueError(message)
    return EXPLICIT.pack(group, element, code, length)


def element(tag: int, vr: str, value: bytes, *, implicit: bool) -> bytes:
    """A whole element; `value` is encoded and of even length already."""
    return header(tag, vr, len(value), implicit=implicit) + value


def item(content: bytes) -> bytes:
    """An item of defined length around encoded elements."""
    return IMPLICIT.pack(0xFFFE, 0xE000, len(content)) + content


def padded(vr: str, value: bytes) -> bytes:
    """`value` at even length: text VRs end in a space, UI and binary VRs in a NUL.

    Source: PS3.5 6.2.
    """
    if len(value) % 2 == 0:
        return value
    return value + (b" " if vr in _SPACE_PADDED else b"\0")


def headers(
    data: Data, pos: int, bound: int, resume: list[int], *, implicit: bool
) -> Iterator[Header]:
    """The element headers between `pos` and `bound`, delimiters included, one after the other.

    Values are stepped over, not looked at, and may reach beyond `bound`: that is for the caller
    to judge. After one of undefined length the caller puts into `resume[0]` where it ends.

    Raises:
        Incomplete: a header is cut off by `bound`.
        Irregular: a VR is not one of the standard.
    """
    explicit, short, undefined = EXPLICIT.unpack_from, SHORT_VRS, UNDEFINED
    while pos < bound:
        value = pos + 8
        if value > bound:
            raise Incomplete
        if implicit:
            group, number, length = IMPLICIT.unpack_from(data, pos)
            vr = b""
        else:
            group, number, vr, length = explicit(data, pos)
            if vr not in short:
                if vr in LONG_VRS:
                    value = pos + 12
                    if value > bound:
                        raise Incomplete
                    (length,) = LENGTH.unpack_from(data, pos + 8)
                elif group == _DELIMITER_GROUP:
                    (length,) = LENGTH.unpack_from(data, pos + 4)
                else:
                    raise Irregular(group << 16 | number)
        yield group << 16 | number, vr, pos, value, length
        pos = resume[0] if length == undefined else value + length


def read_header(data: Data, pos: int, *, implicit: bool) -> tuple[int, bytes, int, int]:
    """The element header at `pos`: tag, VR (empty when implicit), start of value, length.

    Raises:
        Incomplete: the header is cut off.
        Irregular: the VR is not one of the standard.
    """
    for tag, vr, _, value, length in headers(data, pos, len(data), [pos], implicit=implicit):
        return tag, vr, value, length
    raise Incomplete


def undefined_end(data: Data, pos: int, vr: bytes, *, implicit: bool, depth: int) -> int:
    """Where a value of undefined length ends, behind its delimiter.

    Args:
        data: The dataset, or what has come of it.
        pos: The start of the value.
        vr: Of the element; empty in implicit VR. Fragments are OB or OW, all else is items;
            the items of a UN are in implicit VR (PS3.5 6.2.2).
        implicit: Whether the dataset is in implicit VR.
        depth: How many more levels may follow.

    Raises:
        Incomplete, Irregular, TooDeep
    """
    if depth <= 0:
        raise TooDeep
    if vr in _FRAGMENT_VRS:
        return _fragments_end(data, pos)
    implicit = implicit or vr == b"UN"
    while True:
        tag, start, length = _item_header(data, pos)
        if tag == SEQUENCE_END:
            return start
        if length == UNDEFINED:
            pos = _item_end(data, start, implicit=implicit, depth=depth)
        else:
            pos = start + length


def is_items(vr: bytes, *, implicit: bool) -> bool:
    """Whether an undefined length of this VR means items, not fragments."""
    return implicit or vr not in _FRAGMENT_VRS


def _item_header(data: Data, pos: int) -> tuple[int, int, int]:
    if pos + 8 > len(data):
        raise Incomplete
    group, number, length = IMPLICIT.unpack_from(data, pos)
    tag = group << 16 | number
    if tag not in (ITEM, SEQUENCE_END):
        raise Irregular(tag)
    return tag, pos + 8, length


def _fragments_end(data: Data, pos: int) -> int:
    while True:
        tag, start, length = _item_header(data, pos)
        if tag == SEQUENCE_END:
            return start
        if length == UNDEFINED:
            raise Irregular(tag)
        pos = start + length


def _item_end(data: Data, pos: int, *, implicit: bool, depth: int) -> int:
    resume = [pos]
    for tag, vr, _, value, length in headers(data, pos, len(data), resume, implicit=implicit):
        if tag == ITEM_END:
            return value
        if tag >> 16 == _DELIMITER_GROUP:
            raise Irregular(tag)
        if length == UNDEFINED:
            resume[0] = undefined_end(data, value, vr, implicit=implicit, depth=depth - 1)
    raise Incomplete


def item_values(data: Data, *, implicit: bool, depth: int) -> Iterator[dict[int, bytes]]:
    """The encoded values of the elements of each item of a sequence, by tag.

    Args:
        data: The items, with or without a delimiter behind them.
        implicit: Whether their elements are in implicit VR.
        depth: How many more levels may follow.

    Raises:
        Incomplete, Irregular, TooDeep
    """
    pos = 0
    while pos < len(data):
        tag, start, length = _item_header(data, pos)
        if tag == SEQUENCE_END:
            return
        stop = start + length if length != UNDEFINED else len(data)
        values: dict[int, bytes] = {}
        resume = [start]
        pos = stop
        for found, vr, _, value, size in headers(data, start, stop, resume, implicit=implicit):
            if found == ITEM_END:
                pos = value
                break
            end = value + size
            if size == UNDEFINED:
                end = undefined_end(data, value, vr, implicit=implicit, depth=depth)
                resume[0] = end
            values[found] = bytes(data[value:end])
        yield values

"""Root elements with their VR stated, or no longer stated: explicit and implicit VR.

- Values stay byte for byte. A sequence of defined length is counted anew, one of undefined
  length stays so.
- Where a VR is to be stated it is that of the dictionary, or of the private dictionary by its
  creator; UN of what neither knows, of a value too long for its VR, and of a sequence that is
  none. `US or SS` is told apart by Pixel Representation, of the item or around it.
- A UN holds implicit VR in either form (PS3.5 6.2.2), so what is inside is only copied.
- Pixels in an item that are encapsulated, of an icon, have no form in another transfer syntax:
  they become native, as icons may be in every one (PS3.5 A.4), and their item says so.

Source: PS3.5 6.2.2, 7.1, 7.5, A.1, A.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from rules.elements import (
    ITEM,
    ITEM_END,
    ITEM_END_BYTES,
    ITEM_START,
    LENGTH,
    LONG_VRS,
    SEQUENCE_END,
    SEQUENCE_END_BYTES,
    SHORT_VRS,
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    header,
    headers,
    is_items,
    read_header,
    undefined_end,
)
from rules.errors import DeidentificationError, Reason
from rules.operators import plain
from rules.private import private_vr
from rules.tables.dictionary import vr_of

_DELIMITER_GROUP = 0xFFFE
_PRIVATE = 0x10000
_CREATORS = range(0x10, 0x100)
_BITS, _SIGNED = 0x00280100, 0x00280103
_LUT_DESCRIPTORS = frozenset((0x00283002, 0x00281100))
_WAVEFORM_BITS = 0x54001004
_PIXEL_DATA = 0x7FE00010
_BYTE = 8
_MOST_OF_SHORT = 0xFFFE
_SIZE_OF_LENGTH = 4
_IMAGE_GROUP = 0x0028
_MOST_ICONS = 8
_KNOWN_VRS = frozenset(vr.decode("ascii") for vr in SHORT_VRS | LONG_VRS)

Natively: TypeAlias = Callable[
    [Mapping[int, bytes], bytes], tuple[Mapping[int, tuple[str, bytes]], str, bytes]
]
"""Of values of group 0028 by tag, and items with their delimiter: the attributes that change, VR
and value by tag, and VR and value of native Pixel Data."""


def restated(
    data: bytes,
    *,
    implicit: bool,
    into_implicit: bool,
    surroundings: Surroundings,
    depth: int,
    natively: Natively | None = None,
) -> bytes:
    """Root elements in the other form, or in the same.

    Args:
        data: They, encoded, little endian.
        implicit: Whether they are in implicit VR.
        into_implicit: Whether they are to be.
        surroundings: What the root says of itself.
        depth: How many levels of sequences there may be.
        natively: Makes the pixels of icons native; None refuses them.

    Raises:
        DeidentificationError: they cannot be read, are nested too deep, or an item has
            encapsulated pixel data that cannot be native.
    """
    made = _Restating(data, natively, implicit=implicit, into_implicit=into_implicit)
    try:
        made.level(0, len(data), surroundings, depth)
    except TooDeep:
        raise DeidentificationError(Reason.TOO_DEEP) from None
    except Incomplete:
        raise DeidentificationError(Reason.TRUNCATED) from None
    except Irregular as found:
        raise DeidentificationError(Reason.UNREADABLE, found.tag) from None
    return b"".join(made.out)


@dataclass(slots=True)
class Surroundings:
    """What decides between VRs, where the dictionary gives several.

    Attributes:
        is_signed: Pixel Representation (0028,0103) is 1.
        bits: Bits Allocated (0028,0100).
        creators: Private creators of the level by the first tag of their block.
        is_one_entry: The lookup table descriptor that came last announces one entry.
        waveform_bits: Waveform Bits Allocated (5400,1004).
    """

    is_signed: bool = False
    bits: int = 0
    creators: dict[int, str] = field(default_factory=dict)
    is_one_entry: bool = False
    waveform_bits: int = 0

    def inner(self) -> Surroundings:
        """Those of an item: all but private creators hold inside too."""
        return replace(self, creators={})

    def note(self, tag: int, value: bytes) -> None:
        """Take what an element says of those behind it."""
        if tag == _SIGNED:
            self.is_signed = value[:1] == b"\1"
        elif tag == _BITS:
            self.bits = int.from_bytes(value[:2], "little")
        elif tag in _LUT_DESCRIPTORS:
            self.is_one_entry = value[:2] == b"\1\0"
        elif tag == _WAVEFORM_BITS:
            self.waveform_bits = int.from_bytes(value[:2], "little")
        elif tag & _PRIVATE and tag & 0xFFFF in _CREATORS:
            first = tag & 0xFFFF0000 | (tag & 0xFF) << 8
            self.creators[first] = plain(value).strip(" \0")


def stated_vr(tag: int, around: Surroundings) -> str:
    """The VR of an element that states none; UN where nobody knows."""
    if not tag & _PRIVATE:
        return _chosen(tag, vr_of(tag) or "UN", around)
    if tag & 0xFFFF in _CREATORS:
        return "LO"
    known = private_vr(tag >> 16, around.creators.get(tag & ~0xFF, ""), tag & 0xFF)
    return _chosen(tag, known[0], around) if known else "UN"


def _chosen(tag: int, stated: str, around: Surroundings) -> str:
    """One of the VRs that a dictionary gives."""
    if stated in _KNOWN_VRS:
        return stated
    choices = stated.replace("_", " or ").split(" or ")
    if "OW" not in choices:
        return ("SS" if around.is_signed else "US") if "US" in choices else "UN"
    if "US" in choices:
        return "US" if around.is_one_entry else "OW"
    bits = around.bits if tag == _PIXEL_DATA else around.waveform_bits
    return "OB" if "OB" in choices and 0 < bits <= _BYTE else "OW"


class _Restating:
    """One pass over the data; a length is filled in once its content is written."""

    def __init__(
        self, data: bytes, natively: Natively | None, *, implicit: bool, into_implicit: bool
    ) -> None:
        self.out: list[bytes] = []
        self._natively = natively
        self._icons_left = _MOST_ICONS
        self._size = 0
        self._data = data
        self._implicit = implicit
        self._into_implicit = into_implicit

    def level(
        self, pos: int, end: int, around: Surroundings, depth: int, *, is_open: bool = False
    ) -> int:
        """Elements up to `end`, or behind the item delimiter of an open item."""
        if depth < 0:
            raise TooDeep
        resume = [pos]
        image: _Image = {}
        found = headers(self._data, pos, end, resume, implicit=self._implicit)
        for tag, vr, _, value, length in found:
            if tag == ITEM_END and is_open:
                self._write(ITEM_END_BYTES)
                return value
            if tag >> 16 == _DELIMITER_GROUP:
                raise Irregular(tag)
            one = _Element(tag, vr.decode("ascii") or stated_vr(tag, around), value, vr)
            if length == UNDEFINED and not is_items(vr, implicit=self._implicit):
                resume[0] = self._icon(one, end, image)
            elif length == UNDEFINED:
                resume[0] = self._undefined(one, end, around, depth)
            else:
                if tag >> 16 == _IMAGE_GROUP and one.vr != "SQ":
                    image[tag] = len(self.out)
                self._defined(one, _within(value + length, end), around, depth)
        if is_open:
            raise Incomplete
        return end

    def _defined(self, one: _Element, stop: int, around: Surroundings, depth: int) -> None:
        if one.vr == "SQ" and self._is_sequence(one, stop, around, depth):
            return
        value = self._data[one.value : stop]
        around.note(one.tag, value)
        vr = one.vr
        if vr == "SQ" or (vr.encode("ascii") in SHORT_VRS and len(value) > _MOST_OF_SHORT):
            vr = "UN"
        self._write(header(one.tag, vr, len(value), implicit=self._into_implicit))
        self._write(value)

    def _is_sequence(self, one: _Element, stop: int, around: Surroundings, depth: int) -> bool:
        """Write a sequence of defined length; False where no VR was stated and it is none."""
        pieces, size = len(self.out), self._size
        try:
            self._sequence(one, stop, stop, around, depth)
        except (Irregular, Incomplete):
            if not self._implicit:
                raise
            del self.out[pieces:]
            self._size = size
            return False
        return True

    def _undefined(self, one: _Element, end: int, around: Surroundings, depth: int) -> int:
        """A sequence, or a UN, which stays as it is; where it ends."""
        if one.received != b"UN":
            return self._sequence(one, None, end, around, depth)
        stop = undefined_end(self._data, one.value, b"UN", implicit=True, depth=depth)
        self._write(header(one.tag, "UN", UNDEFINED, implicit=self._into_implicit))
        self._write(self._data[one.value : _within(stop, end)])
        return stop

    def _icon(self, one: _Element, end: int, image: _Image) -> int:
        """The pixels of an item, native; where those that came end."""
        self._icons_left -= 1
        if one.tag != _PIXEL_DATA or self._natively is None or self._icons_left < 0:
            raise DeidentificationError(Reason.TRANSCODE, one.tag)
        stop = _within(undefined_end(self._data, one.value, b"OB", implicit=False, depth=1), end)
        said = {tag: self.out[at + 1] for tag, at in image.items()}
        changed, vr, value = self._natively(said, self._data[one.value : stop])
        for tag, (its_vr, new) in changed.items():
            if tag in image:
                self._size += len(new) - len(said[tag])
                head = header(tag, its_vr, len(new), implicit=self._into_implicit)
                self.out[image[tag] : image[tag] + 2] = (head, new)
        self._write(header(one.tag, vr, len(value), implicit=self._into_implicit))
        self._write(value)
        return stop

    def _sequence(
        self, one: _Element, stop: int | None, end: int, around: Surroundings, depth: int
    ) -> int:
        length = UNDEFINED if stop is None else 0
        self._write(header(one.tag, "SQ", length, implicit=self._into_implicit)[:-_SIZE_OF_LENGTH])
        return self._counted(lambda: self._items(one.value, stop, end, around, depth), stop)

    def _items(
        self, pos: int, stop: int | None, end: int, around: Surroundings, depth: int
    ) -> int:
        while stop is None or pos < stop:
            tag, _, value, length = read_header(self._data, pos, implicit=True)
            _within(value, end)
            if tag == SEQUENCE_END and stop is None:
                self._write(SEQUENCE_END_BYTES)
                return value
            if tag != ITEM:
                raise Irregular(tag)
            self._write(ITEM_START)
            pos = self._item(value, length, end, around, depth)
        return pos

    def _item(self, pos: int, length: int, end: int, around: Surroundings, depth: int) -> int:
        is_open = length == UNDEFINED
        stop = end if is_open else _within(pos + length, end)
        return self._counted(
            lambda: self.level(pos, stop, around.inner(), depth - 1, is_open=is_open),
            None if is_open else stop,
        )

    def _counted(self, content: Callable[[], int], stop: int | None) -> int:
        """A length and its content; the length is UNDEFINED where no `stop` says otherwise."""
        place = len(self.out)
        self._write(LENGTH.pack(UNDEFINED))
        before = self._size
        end = content()
        if stop is not None:
            self.out[place] = LENGTH.pack(self._size - before)
        return end

    def _write(self, piece: bytes) -> None:
        self.out.append(piece)
        self._size += len(piece)


_Image = dict[int, int]
"""Where the header of an attribute of the image stands in what was written, by tag."""


class _Element(NamedTuple):
    """An element: the VR that it has, where its value begins, the VR that came with it."""

    tag: int
    vr: str
    value: int
    received: bytes


def _within(stop: int, end: int) -> int:
    """A position that must not lie behind its level."""
    if stop > end:
        raise Incomplete
    return stop

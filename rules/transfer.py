"""Transfer syntaxes as forms of a byte stream: plain, deflated, big endian.

The walk reads and writes little endian. A deflated dataset is inflated in front of it, and one
that is to be deflated is so behind it, both as a stream and under a limit. A big endian dataset
is turned round whole: value by value, because the VR says how wide its units are.

Source: PS3.5 A.1 to A.5, 7.3; PS3.6 Table A-1.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rules.elements import ITEM, ITEM_END, LONG_VRS, SEQUENCE_END, SHORT_VRS, UNDEFINED
from rules.errors import DeidentificationError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rules.elements import Data

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
# Deflated as a whole like DEFLATED_LITTLE, for JPIP references instead of pixel data.
_DEFLATED = frozenset((DEFLATED_LITTLE, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))

_INFLATE_STEP_BYTES = 1 << 18
_WIDTHS = dict.fromkeys(("SS", "US", "OW", "AT"), 2)
_WIDTHS |= dict.fromkeys(("FL", "SL", "UL", "OF", "OL"), 4)
_WIDTHS |= dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8)


@dataclass(frozen=True, slots=True)
class Form:
    """How a transfer syntax writes its dataset."""

    implicit: bool = False
    deflated: bool = False
    big_endian: bool = False


def form_of(transfer_syntax_uid: str) -> Form:
    """The form of a transfer syntax; every encapsulated one is explicit little endian."""
    return Form(
        implicit=transfer_syntax_uid == IMPLICIT_LITTLE,
        deflated=transfer_syntax_uid in _DEFLATED,
        big_endian=transfer_syntax_uid == EXPLICIT_BIG,
    )


Buffers: TypeAlias = "list[bytes | memoryview]"


class Inward(Protocol):
    """Makes plain little endian of what is received."""

    @property
    def held_bytes(self) -> int:
        """Bytes in memory."""

    def feed(self, data: Data, work: Callable[[Data], Buffers]) -> Buffers:
        """What `work` makes of the next bytes.

        Raises:
            DeidentificationError: they cannot be read, or are more than the limit.
        """

    def finish(self, work: Callable[[Data], Buffers], end: Callable[[], Buffers]) -> Buffers:
        """The rest, with what `end` adds.

        Raises:
            DeidentificationError: the data end too early, or cannot be read.
        """


class Outward(Protocol):
    """Makes of plain little endian what is written."""

    @property
    def held_bytes(self) -> int:
        """Bytes in memory."""

    def feed(self, buffers: Buffers) -> Buffers:
        """Take the next buffers; what is not yet complete comes later.

        Raises:
            DeidentificationError: they are more than the limit.
        """

    def finish(self, buffers: Buffers) -> Buffers:
        """Take the last ones."""


class Inflation:
    """Opens a deflated dataset, step by step: what is made of a step can go before the next."""

    held_bytes = 0

    def __init__(self, limit_bytes: int) -> None:
        """Begin; `limit_bytes` is for the opened dataset."""
        self._inflater = _Inflater(limit_bytes)

    def feed(self, data: Data, work: Callable[[Data], Buffers]) -> Buffers:
        """See Inward."""
        made: Buffers = []
        for step in self._inflater.feed(data):
            made += work(step)
        return made

    def finish(self, work: Callable[[Data], Buffers], end: Callable[[], Buffers]) -> Buffers:
        """See Inward."""
        return work(self._inflater.finish()) + end()


class Turning:
    """Turns a whole big endian dataset round."""

    def __init__(self, limit_bytes: int, depth_limit: int) -> None:
        """Begin; `limit_bytes` is for what is held, `depth_limit` for levels of sequences."""
        self._held = _Held(limit_bytes)
        self._depth_limit = depth_limit

    @property
    def held_bytes(self) -> int:
        """See Inward."""
        return len(self._held.data)

    def feed(self, data: Data, work: Callable[[Data], Buffers]) -> Buffers:  # noqa: ARG002
        """See Inward; nothing is made before the end."""
        self._held.take(data)
        return []

    def finish(self, work: Callable[[Data], Buffers], end: Callable[[], Buffers]) -> Buffers:
        """See Inward."""
        little = swapped(self._held.data, to_big=False, depth_limit=self._depth_limit)
        self._held.data.clear()
        return work(little) + end()


class TurningBack:
    """Turns a whole little endian dataset round."""

    def __init__(self, limit_bytes: int, depth_limit: int) -> None:
        """Begin, as for Turning."""
        self._held = _Held(limit_bytes)
        self._depth_limit = depth_limit

    @property
    def held_bytes(self) -> int:
        """See Outward."""
        return len(self._held.data)

    def feed(self, buffers: Buffers) -> Buffers:
        """See Outward; nothing is made before the end."""
        for buffer in buffers:
            self._held.take(buffer)
        return []

    def finish(self, buffers: Buffers) -> Buffers:
        """See Outward."""
        self.feed(buffers)
        return [swapped(self._held.data, to_big=True, depth_limit=self._depth_limit)]


class _Held:
    def __init__(self, limit_bytes: int) -> None:
        self.data = bytearray()
        self._limit_bytes = limit_bytes

    def take(self, data: Data) -> None:
        if len(self.data) + len(data) > self._limit_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)
        self.data += data


class _Inflater:
    """A raw deflate stream opened up in steps, so that a bomb costs one step, not its size."""

    def __init__(self, limit_bytes: int) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._left = limit_bytes

    def feed(self, data: Data) -> Iterator[bytes]:
        """The inflated bytes, step by step.

        Raises:
            DeidentificationError: not a deflate stream, or more than the limit.
        """
        pending: Data = data
        while pending and not self._stream.eof:
            try:
                step = self._stream.decompress(pending, _INFLATE_STEP_BYTES)
            except zlib.error:
                raise DeidentificationError(Reason.UNREADABLE) from None
            self._left -= len(step)
            if self._left < 0:
                raise DeidentificationError(Reason.TOO_LARGE)
            yield step
            pending = self._stream.unconsumed_tail

    def finish(self) -> bytes:
        """What is left at the end of the stream.

        Raises:
            DeidentificationError: the stream is cut off.
        """
        rest = self._stream.flush()
        if not self._stream.eof:
            raise DeidentificationError(Reason.TRUNCATED)
        return rest


class Deflation:
    """A raw deflate stream, of even length as a dataset must be (PS3.5 A.5)."""

    held_bytes = 0

    def __init__(self) -> None:
        """Begin."""
        self._stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._size = 0

    def feed(self, buffers: Buffers) -> Buffers:
        """See Outward."""
        return self._counted([self._stream.compress(buffer) for buffer in buffers])

    def finish(self, buffers: Buffers) -> Buffers:
        """See Outward; padded with a NUL if need be."""
        last = self.feed(buffers) + self._counted([self._stream.flush()])
        return [*last, b"\0"] if self._size % 2 else last

    def _counted(self, pieces: list[bytes]) -> Buffers:
        self._size += sum(map(len, pieces))
        return [piece for piece in pieces if piece]


def swapped(data: bytes | bytearray, *, to_big: bool, depth_limit: int) -> bytes:
    """An explicit VR dataset in the other byte order.

    The inside of a UN is left as it is: implicit little endian in both (PS3.5 6.2.2).

    Raises:
        DeidentificationError: it cannot be read, or is nested too deep.
    """
    swap = _Swap(data, to_big=to_big, depth_limit=depth_limit)
    swap.elements(0, len(data), 0)
    return b"".join(swap.out)


class _Swap:
    def __init__(self, data: bytes | bytearray, *, to_big: bool, depth_limit: int) -> None:
        source, target = ("<", ">") if to_big else (">", "<")
        self._read_tag, self._write_tag = Struct(source + "HH"), Struct(target + "HH")
        self._read_short, self._write_short = Struct(source + "H"), Struct(target + "H")
        self._read_long, self._write_long = Struct(source + "L"), Struct(target + "L")
        self._data = data
        self._depth_limit = depth_limit
        self.out: list[bytes] = []

    def elements(self, pos: int, end: int, depth: int, *, is_open: bool = False) -> int:
        """Swap elements up to `end`, or behind the item delimiter of an open item."""
        if depth > self._depth_limit:
            raise DeidentificationError(Reason.TOO_DEEP)
        while pos < end:
            tag = self._tag(pos, end)
            if tag == ITEM_END and is_open:
                self._delimiter(tag, 0)
                return pos + 8
            pos = self._element(tag, pos, end, depth)
        if is_open:
            raise DeidentificationError(Reason.TRUNCATED)
        return pos

    def _tag(self, pos: int, end: int) -> int:
        if pos + 8 > end:
            raise DeidentificationError(Reason.TRUNCATED)
        group, number = self._read_tag.unpack_from(self._data, pos)
        return int(group) << 16 | int(number)

    def _element(self, tag: int, pos: int, end: int, depth: int) -> int:
        code = bytes(self._data[pos + 4 : pos + 6])
        if code not in SHORT_VRS and code not in LONG_VRS:
            raise DeidentificationError(Reason.UNREADABLE, tag)
        head = self._write_tag.pack(tag >> 16, tag & 0xFFFF) + code
        if code in SHORT_VRS:
            (length,) = self._read_short.unpack_from(self._data, pos + 6)
            self.out.append(head + self._write_short.pack(length))
            start = pos + 8
        else:
            if pos + 12 > end:
                raise DeidentificationError(Reason.TRUNCATED, tag)
            (length,) = self._read_long.unpack_from(self._data, pos + 8)
            self.out.append(head + b"\0\0" + self._write_long.pack(length))
            start = pos + 12
        return self._value(tag, code.decode(), start, length, end, depth)

    def _value(self, tag: int, vr: str, start: int, length: int, end: int, depth: int) -> int:
        if vr == "SQ":
            return self._items(start, None if length == UNDEFINED else start + length, end, depth)
        if length == UNDEFINED or start + length > end:
            raise DeidentificationError(Reason.UNREADABLE, tag)
        value = bytes(self._data[start : start + length])
        self.out.append(_reversed_units(value, _WIDTHS.get(vr, 1)))
        return start + length

    def _items(self, pos: int, stop: int | None, end: int, depth: int) -> int:
        if stop is not None and stop > end:
            raise DeidentificationError(Reason.TRUNCATED)
        while stop is None or pos < stop:
            bound = end if stop is None else stop
            tag = self._tag(pos, bound)
            (length,) = self._read_long.unpack_from(self._data, pos + 4)
            self._delimiter(tag, length)
            pos += 8
            if tag == SEQUENCE_END and stop is None:
                return pos
            if tag != ITEM:
                raise DeidentificationError(Reason.UNREADABLE, tag)
            if length == UNDEFINED:
                pos = self.elements(pos, bound, depth + 1, is_open=True)
            elif pos + length > bound:
                raise DeidentificationError(Reason.TRUNCATED, tag)
            else:
                pos = self.elements(pos, pos + length, depth + 1)
        return pos

    def _delimiter(self, tag: int, length: int) -> None:
        head = self._write_tag.pack(tag >> 16, tag & 0xFFFF)
        self.out.append(head + self._write_long.pack(length))


def _reversed_units(value: bytes, width: int) -> bytes:
    """Each unit of `width` bytes back to front; a remainder that fills no unit stays."""
    if width == 1:
        return value
    whole = len(value) - len(value) % width
    turned = bytearray(value)
    for offset in range(width):
        turned[offset:whole:width] = value[width - 1 - offset : whole : width]
    return bytes(turned)

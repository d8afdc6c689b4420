"""Native pixels on their way: what a decision blanks is blanked, in constant memory.

- Bytes in which nothing is blanked pass as they came, without being copied.
- Outside of what is blanked no bit changes; the byte of padding behind the last pixel is zero.
- Blanked is black where the photometric interpretation knows black: the greatest stored value
  of MONOCHROME1, neutral chroma of YBR, otherwise zero, which PALETTE COLOR maps to its first
  entry. Either way it is the same everywhere, so nothing can be read.
- Pixels that share their chroma are blanked together, so up to one pixel more on either side.

Source: PS3.5 8.1.1, 8.2; PS3.3 C.7.6.3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rules.errors import DeidentificationError, Reason
from rules.regions import bands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.regions import Band, Decision, Geometry

PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = {0x7FE00008: 32, 0x7FE00009: 64, PIXEL_DATA: 0}
"""Elements of pixels; the bits of a sample, where the element itself says so."""

_BYTE = 8
_MOST_BYTES = 0xFFFFFFFE
_SUBSAMPLED = frozenset(("YBR_FULL_422", "YBR_PARTIAL_422"))
# Chroma shared by rows or told in other ways: of video and of JPEG 2000, never native.
_NEVER_NATIVE = frozenset(("YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"))
_DARK_LUMA = {"YBR_PARTIAL_422": 16, "YBR_PARTIAL_420": 16}  # of 8 bits: PS3.3 C.7.6.3.1.2


class _Span(NamedTuple):
    """Units from `start` to `stop` that are blanked with a repeated pattern."""

    start: int
    stop: int
    pattern: bytes


def black(geometry: Geometry) -> tuple[int, ...]:
    """The stored value of each sample of a blanked pixel."""
    stored = geometry.bits_stored or geometry.bits_allocated
    if geometry.photometric == "MONOCHROME1":
        return (((1 << (stored - geometry.signed)) - 1),) * geometry.samples
    if geometry.photometric.startswith("YBR_") and geometry.samples == len("YBR"):
        luma = _DARK_LUMA.get(geometry.photometric, 0) << max(stored - _BYTE, 0)
        return (luma, 1 << (stored - 1), 1 << (stored - 1))
    return (0,) * geometry.samples


class Blanker:
    """Blanks one element of native pixel data; `begin` readies it for another."""

    def __init__(self, geometry: Geometry, decision: Decision) -> None:
        """Bind an image and what is blanked of it.

        Raises:
            DeidentificationError: pixels cannot lie in memory like that.
        """
        if not _is_native(geometry):
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)
        self._geometry = geometry
        self._is_bits = geometry.bits_allocated == 1
        self._bands = bands(decision, geometry.rows, geometry.columns)
        self.begin(PIXEL_DATA)

    @property
    def value_bytes(self) -> int:
        """The length of the value that `begin` announced, with its padding."""
        return self._pixel_bytes + self._pixel_bytes % 2

    def begin(self, tag: int) -> None:
        """Begin with the value of one of PIXEL_TAGS.

        Raises:
            DeidentificationError: the element's samples have another size than the image says,
                or there are more of them than a value can hold.
        """
        depth = PIXEL_TAGS[tag]
        if depth and depth != self._geometry.bits_allocated:
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, tag)
        frame = _Frame(self._geometry, self._bands, is_float=bool(depth))
        units = frame.units * self._geometry.frames
        self._pixel_bytes = -(-units // _BYTE) if self._is_bits else units
        if self.value_bytes > _MOST_BYTES:
            raise DeidentificationError(Reason.PIXELS_TOO_LARGE, tag)
        self._at = 0
        self._spans = frame.repeated()
        self._span = next(self._spans, None)

    def feed(self, data: memoryview) -> list[bytes | memoryview]:
        """Take the next bytes of the value and return as many.

        Args:
            data: No more than are left of `value_bytes`.
        """
        pixels, padding = self._pixel_bytes - self._at, b""
        if len(data) > pixels:
            padding = bytes(len(data) - max(pixels, 0))
            data = data[: max(pixels, 0)]
        passed = self._passed(data)
        self._at += len(data) + len(padding)
        return [*passed, padding] if padding else passed

    def _passed(self, data: memoryview) -> list[bytes | memoryview]:
        scale = _BYTE if self._is_bits else 1
        start, stop = self._at * scale, (self._at + len(data)) * scale
        if self._span is None or self._span.start >= stop:
            return [data] if data else []
        untouched = max(self._span.start - start, 0) // scale
        changed = bytearray(data[untouched:])
        fill = _fill_bits if self._is_bits else _fill_bytes
        while self._span is not None and self._span.start < stop:
            fill(changed, start + untouched * scale, stop, self._span)
            if self._span.stop > stop:
                break
            self._span = next(self._spans, None)
        whole = memoryview(changed)
        return [data[:untouched], whole] if untouched else [whole]


def _fill_bytes(data: bytearray, start: int, stop: int, span: _Span) -> None:
    """Blank the part of a span that lies in `data`, which is the bytes from `start` on."""
    first, last = max(span.start, start), min(span.stop, stop)
    pattern = span.pattern
    phase = (first - span.start) % len(pattern)
    repeated = pattern * ((last - first + phase) // len(pattern) + 1)
    data[first - start : last - start] = memoryview(repeated)[phase : phase + last - first]


def _fill_bits(data: bytearray, start: int, stop: int, span: _Span) -> None:
    """The same in bits; the first pixel of a byte is its lowest bit (PS3.5 8.1.1)."""
    first, last = max(span.start, start) - start, min(span.stop, stop) - start
    head, tail = first // _BYTE, (last - 1) // _BYTE
    covered = ((1 << (last - first)) - 1) << (first % _BYTE)
    value = int.from_bytes(data[head : tail + 1], "little")
    value = value | covered if span.pattern[0] else value & ~covered
    data[head : tail + 1] = value.to_bytes(tail + 1 - head, "little")


class _Frame:
    """Where pixels of a frame lie, in bytes, or in bits if a pixel is one.

    Attributes:
        units: Bytes or bits of a frame.
    """

    def __init__(self, geometry: Geometry, blanked: tuple[Band, ...], *, is_float: bool) -> None:
        self._geometry = geometry
        self._bands = blanked
        values = (0,) * geometry.samples if is_float else black(geometry)
        self._together = 2 if geometry.photometric in _SUBSAMPLED else 1
        self._patterns = self._planes(values)
        self._width = 1 if geometry.bits_allocated == 1 else len(self._patterns[0])
        self._row = geometry.columns // self._together * self._width
        self.units = self._row * geometry.rows * len(self._patterns)

    def _planes(self, values: tuple[int, ...]) -> list[bytes]:
        """The pattern of a blanked pixel, or of two that share chroma, for each plane."""
        geometry = self._geometry
        if geometry.bits_allocated == 1:
            return [bytes(values)]
        size = geometry.bits_allocated // _BYTE
        samples = [value.to_bytes(size, "little") for value in values]
        if self._together > 1:
            return [b"".join(samples[:1] + samples)]
        return samples if geometry.planar else [b"".join(samples)]

    def repeated(self) -> Iterator[_Span]:
        """The spans of all frames; they ascend and do not overlap."""
        for frame in range(self._geometry.frames if self._bands else 0):
            for plane, pattern in enumerate(self._patterns):
                planes = frame * len(self._patterns) + plane
                yield from self._of_plane(planes * self._row * self._geometry.rows, pattern)

    def _of_plane(self, start: int, pattern: bytes) -> Iterator[_Span]:
        row = self._row
        for top, bottom, intervals in self._bands:
            pieces = self._pieces(intervals)
            if pieces == [(0, row)]:
                yield _Span(start + top * row, start + bottom * row, pattern)
                continue
            for begin in range(start + top * row, start + bottom * row, row):
                for left, right in pieces:
                    yield _Span(begin + left, begin + right, pattern)

    def _pieces(self, intervals: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
        """Intervals of columns as units of a row; pixels that share chroma go together."""
        together, width = self._together, self._width
        pieces: list[tuple[int, int]] = []
        for start, stop in intervals:
            left, right = start // together * width, -(-stop // together) * width
            if pieces and left < pieces[-1][1]:
                left = pieces.pop()[0]
            pieces.append((left, right))
        return pieces


def _is_native(geometry: Geometry) -> bool:
    """Whether PS3.3 C.7.6.3 knows such pixels outside of fragments."""
    if geometry.photometric in _NEVER_NATIVE:
        return False
    if geometry.photometric in _SUBSAMPLED:
        is_one_plane = geometry.samples == len("YBR") and not geometry.planar
        return is_one_plane and geometry.columns % 2 == 0 and geometry.bits_allocated >= _BYTE
    return geometry.bits_allocated > 1 or geometry.samples == 1

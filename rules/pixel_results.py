"""Frames to the element Pixel Data, and what the header has to say of it.

Source: PS3.5 8.2, A.4; PS3.3 C.7.6.3.1, C.7.6.1.1.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLSNearLossless

from rules.blanking import PIXEL_DATA
from rules.decoding import MAYBE_LOSSY
from rules.elements import SEQUENCE_END_BYTES, UNDEFINED, header, padded
from rules.encoding import BEST, colours, encoded_frame
from rules.errors import DeidentificationError, Reason
from rules.regions import PixelResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.uid import UID

    from rules.decoding import Pixels
    from rules.regions import Geometry

    Frames = Iterator[tuple[Pixels, Geometry]]

_PHOTOMETRIC, _PLANAR = 0x00280004, 0x00280006
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114
_METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
}
"""What a lossy encoding is called (PS3.3 C.7.6.1.1.5.1)."""

_MOST_BYTES = 0xFFFFFFFE
_MOST_AROUND_FRAGMENT = 9  # the header of its item, and a byte of padding
_BYTE = 8


def compressed(source: UID, target: UID, found: Frames, quality: int = BEST) -> PixelResult:
    """Frames in an encapsulated syntax.

    Args:
        source: What they were encoded in.
        target: What they become.
        found: They, one at least.
        quality: 1 to 100, of a lossy target.

    Raises:
        Unfaithful: it cannot hold them.
    """
    encoded, size, said, samples = [], 0, "", 1
    for frame, geometry in found:
        said, samples = colours(target, geometry), geometry.samples
        size += frame.nbytes
        encoded.append(encoded_frame(target, frame, geometry, quality))
    changed = _attributes(source, said, samples)
    if target in _METHODS:
        changed |= _loss(target, size / sum(map(len, encoded)))
    return PixelResult(str(target), _encapsulated(encoded), changed)


def uncompressed(source: UID, found: Frames, bits_allocated: int) -> PixelResult:
    """Frames in explicit VR little endian.

    Raises:
        DeidentificationError: they are more than an element can hold.
    """
    value, said, samples = bytearray(), "", 1
    for frame, geometry in found:
        said, samples = geometry.photometric, geometry.samples
        little = frame.dtype.newbyteorder("<")
        value += frame.astype(little, copy=False).tobytes()
    element = _native(value, bits_allocated)
    changed = _attributes(source, said, samples)
    return PixelResult(str(ExplicitVRLittleEndian), element, changed)


def _encapsulated(frames: list[bytes]) -> bytes:
    """The element, one fragment a frame, with a basic offset table while one can point there."""
    head = header(PIXEL_DATA, "OB", UNDEFINED, implicit=False)
    size = sum(map(len, frames)) + len(frames) * _MOST_AROUND_FRAGMENT
    items = encapsulate(frames, has_bot=size <= _MOST_BYTES)
    return head + items + SEQUENCE_END_BYTES


def _native(value: bytearray, bits_allocated: int) -> bytes:
    if len(value) > _MOST_BYTES:
        raise DeidentificationError(Reason.PIXELS_TOO_LARGE, PIXEL_DATA)
    value += bytes(len(value) % 2)
    vr = "OB" if bits_allocated <= _BYTE else "OW"
    return header(PIXEL_DATA, vr, len(value), implicit=False) + value


def _attributes(source: UID, said: str, samples: int) -> dict[int, tuple[str, bytes]]:
    """What has to be said of the result; `said` is its photometric interpretation."""
    changed = {_PHOTOMETRIC: ("CS", padded("CS", said.encode("ascii")))}
    if samples > 1:
        changed[_PLANAR] = ("US", bytes(2))
    if source in MAYBE_LOSSY:
        changed[_LOSSY] = ("CS", b"01")
    return changed


def _loss(target: UID, ratio: float) -> dict[int, tuple[str, bytes]]:
    """What a lossy encoding says of itself; there may be values of earlier ones before these."""
    return {
        _LOSSY: ("CS", b"01"),
        _RATIO: ("DS", padded("DS", f"{ratio:.2f}".encode("ascii"))),
        _METHOD: ("CS", padded("CS", _METHODS[target].encode("ascii"))),
    }

"""Pixel data to frames: decoded one by one, blanked, and checked against what the image says.

Outside of what is blanked pixels are those that were decoded: of a lossless source the very
same, of lossy JPEG in colour as RGB. Codecs are C and their input comes from strangers: this is
meant for a process of its own. It needs the extra `pixels`.

Source: PS3.5 8.1, 8.2, A.4; PS3.3 C.7.6.3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from rules.blanking import PIXEL_DATA, black
from rules.errors import DeidentificationError, Reason
from rules.regions import bands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pydicom.uid import UID

    from rules.regions import Decision, Geometry

    Pixels = NDArray[np.generic]

SOURCES = frozenset(
    (
        ExplicitVRLittleEndian,
        *(RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1),
        *(JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000),
        *(HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K),
    )
)
"""Transfer syntaxes that can be decoded."""

DEPTHS = (8, 16, 32)
"""Bits allocated of samples that can be decoded."""

MAYBE_LOSSY = frozenset((JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K))
"""Sources whose pixels may not be those of the device any more."""
_LOSSY_JPEG = frozenset((JPEGBaseline8Bit, JPEGExtended12Bit))

# Pinned, so that an installed library does not change what comes out; the first that is there.
DECODERS = ("pyjpegls", "pylibjpeg", "pydicom", "pillow")
_BYTE = 8


def frames(
    source: UID, value: bytes, stated: Geometry, decision: Decision, *, all_bits: bool = False
) -> Iterator[tuple[Pixels, Geometry]]:
    """Every frame decoded and blanked, with the geometry that it has now.

    Args:
        source: The transfer syntax of the pixels.
        value: Items and sequence delimiter, or a native value in little endian.
        stated: What the image says.
        decision: What is blanked of every frame.
        all_bits: Whether bits beyond Bits Stored stay as they are, where the syntax has them.

    Raises:
        DeidentificationError: there are not as many as the image says, or others.
        Exception: whatever a codec raises.
    """
    count, colours = 0, ""
    for frame, photometric in _decoded(source, value, stated, all_bits=all_bits):
        if count == stated.frames or (count and photometric != colours):
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)
        count, colours = count + 1, photometric
        geometry = replace(stated, photometric=photometric, planar=False)
        _blank(frame, decision, geometry)
        yield frame, geometry
    if count != stated.frames:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)


def properties(geometry: Geometry) -> dict[str, Any]:
    """An image as the codecs are told of it."""
    return {
        "rows": geometry.rows,
        "columns": geometry.columns,
        "number_of_frames": geometry.frames,
        "samples_per_pixel": geometry.samples,
        "bits_allocated": geometry.bits_allocated,
        "bits_stored": geometry.bits_stored or geometry.bits_allocated,
        "pixel_representation": int(geometry.signed),
        "photometric_interpretation": geometry.photometric,
        "planar_configuration": int(geometry.planar),
        "pixel_keyword": "PixelData",
    }


def first(wanted: tuple[str, ...], available: tuple[str, ...]) -> str:
    """The codec to be used.

    Raises:
        DeidentificationError: none is installed.
    """
    for plugin in wanted:
        if plugin in available:
            return plugin
    raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)


def _decoded(
    source: UID, value: bytes, stated: Geometry, *, all_bits: bool
) -> Iterator[tuple[Pixels, str]]:
    """Every frame as decoded, with its photometric interpretation."""
    decoder = get_decoder(source)
    # Native pixels need no codec.
    plugin = first(DECODERS, decoder.available_plugins) if source.is_encapsulated else ""
    shape = _shape(stated)
    depth = f"{'i' if stated.signed else 'u'}{stated.bits_allocated // _BYTE}"
    said = properties(stated) | ({"correct_unused_bits": False} if all_bits else {})
    found = decoder.iter_array(
        value, raw=source not in _LOSSY_JPEG, decoding_plugin=plugin, **said
    )
    for frame, now in found:
        if frame.shape != shape:
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)
        yield frame.astype(np.dtype(depth), copy=False), str(now["photometric_interpretation"])


def _shape(geometry: Geometry) -> tuple[int, ...]:
    size = (geometry.rows, geometry.columns)
    return size if geometry.samples == 1 else (*size, geometry.samples)


def _blank(frame: Pixels, decision: Decision, geometry: Geometry) -> None:
    values = black(geometry)
    for top, bottom, intervals in bands(decision, geometry.rows, geometry.columns):
        for left, right in intervals:
            frame[top:bottom, left:right] = values if geometry.samples > 1 else values[0]

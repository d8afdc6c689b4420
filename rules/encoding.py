"""One frame to a codestream, and proven.

Every frame is decoded again before it leaves: of a lossless syntax it must be what went in, of a
lossy one an image of its size. What a syntax cannot hold raises `Unfaithful`.

Source: PS3.5 8.2, A.4.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSNearLossless,
    RLELossless,
)

from rules import jpeg_lossless
from rules.decoding import DECODERS, first, properties

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.uid import UID

    from rules.decoding import Pixels
    from rules.regions import Geometry

BEST = 100
"""The highest quality of a lossy encoding."""

_ENCODERS = ("pyjpegls", "pylibjpeg", "pydicom")
_JPEG_LOSSLESS = frozenset((JPEGLossless, JPEGLosslessSV1))
_LOSSY = frozenset((JPEGBaseline8Bit, JPEGLSNearLossless, JPEG2000))
_COLOURS_OF_LOSSY = frozenset(("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL"))
_HALVED_CHROMA = 1  # what pillow calls 4:2:2
_QUALITY_PER_ERROR = 10
_LEAST_DECIBELS, _DECIBELS_PER_QUALITY, _DECIBELS_PER_DECADE = 20, 0.35, 20
_TURNED = {JPEG2000Lossless: "YBR_RCT", JPEG2000: "YBR_ICT"}
_RGB, _YBR = b"RGB", b"\1\2\3"

_BYTE = 8


class Unfaithful(Exception):
    """A codec cannot hold a frame, or did not give back what it was given."""


def encoded_frame(target: UID, frame: Pixels, geometry: Geometry, quality: int = BEST) -> bytes:
    """One frame, and the proof that it can be had back.

    Args:
        target: An encapsulated syntax.
        frame: Rows by columns (by samples).
        geometry: Of it, with its photometric interpretation.
        quality: 1 to 100, for a lossy one.

    Raises:
        Unfaithful: it cannot.
    """
    if target in _LOSSY and geometry.photometric not in _COLOURS_OF_LOSSY:
        raise Unfaithful
    single = replace(geometry, frames=1, bits_stored=_bits(target, frame, geometry))
    try:
        encoded = _encoder(target)(target, frame, single, quality)
        again = _decoded(target, encoded, single)
    except (ValueError, RuntimeError, OSError) as error:
        raise Unfaithful from error
    is_same = again.shape == frame.shape if target in _LOSSY else np.array_equal(again, frame)
    if not is_same:
        raise Unfaithful
    return encoded


def colours(target: UID, geometry: Geometry) -> str:
    """The photometric interpretation of what is encoded.

    RGB is turned into YBR inside of JPEG 2000 and JPEG baseline (PS3.5 8.2.1, 8.2.4).
    """
    if target == JPEGBaseline8Bit and geometry.samples > 1:
        return "YBR_FULL_422"
    return _TURNED.get(target, "RGB") if geometry.photometric == "RGB" else geometry.photometric


# ---- one frame


def _encoder(target: UID) -> Callable[[UID, Pixels, Geometry, int], bytes]:
    if target in _JPEG_LOSSLESS:
        return _with_ours
    return _with_pillow if target == JPEGBaseline8Bit else _with_pydicom


def _with_pydicom(target: UID, frame: Pixels, geometry: Geometry, quality: int) -> bytes:
    encoder = get_encoder(target)
    plugin = first(_ENCODERS, encoder.available_plugins)
    said = _said(target, geometry) | _loss(target, frame, geometry.bits_stored, quality)
    return bytes(encoder.encode(frame, validate=False, encoding_plugin=plugin, **said))


def _loss(target: UID, frame: Pixels, bits: int, quality: int) -> dict[str, Any]:
    """What a quality means: of JPEG-LS the greatest error, of JPEG 2000 signal to noise.

    The signal is what the frame spans, not what its bits could: of 16 only a few may be used.
    """
    if target == JPEGLSNearLossless:
        return {"jls_error": -(-(BEST - quality) // _QUALITY_PER_ERROR)}
    if target == JPEG2000:
        span = max(int(frame.max()) - int(frame.min()), 1)
        unused = _DECIBELS_PER_DECADE * log10(((1 << bits) - 1) / span)
        return {"j2k_psnr": [_LEAST_DECIBELS + _DECIBELS_PER_QUALITY * quality + unused]}
    return {}


def _with_ours(_: UID, frame: Pixels, geometry: Geometry, __: int) -> bytes:
    """Two's complement is taken as a number without a sign (PS3.5 8.2.1)."""
    components = b"\1"
    if geometry.samples > 1:
        components = _RGB if geometry.photometric == "RGB" else _YBR
    samples = frame.view(f"u{frame.dtype.itemsize}")
    return jpeg_lossless.encode(samples, geometry.bits_stored, components)


def _with_pillow(_: UID, frame: Pixels, geometry: Geometry, quality: int) -> bytes:
    """Eight bits without a sign: all that JPEG baseline has."""
    if geometry.signed or frame.dtype != np.uint8 or geometry.bits_stored != _BYTE:
        raise Unfaithful
    modes = {"RGB": "RGB", "YBR_FULL": "YCbCr"}
    mode = modes.get(geometry.photometric, "L")
    size = (geometry.columns, geometry.rows)
    image = Image.frombytes(mode, size, frame.tobytes())
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=_HALVED_CHROMA)
    return stream.getvalue()


def _decoded(target: UID, encoded: bytes, geometry: Geometry) -> Pixels:
    decoder = get_decoder(target)
    plugin = first(DECODERS, decoder.available_plugins)
    items, said = encapsulate([encoded]), _said(target, geometry)
    return decoder.as_array(items, raw=True, decoding_plugin=plugin, **said)[0]


def _said(target: UID, geometry: Geometry) -> dict[str, Any]:
    return properties(replace(geometry, photometric=colours(target, geometry)))


def _bits(target: UID, frame: Pixels, geometry: Geometry) -> int:
    """The precision that holds every value: what the image says, unless it says too little.

    RLE writes as many planes of bytes as are allocated (PS3.5 G.2). JPEG knows no sign, and only
    with all bits is a number below zero the same to every reader.
    """
    stored = geometry.bits_stored
    takes_all = target == RLELossless or (target in _JPEG_LOSSLESS and geometry.signed)
    if takes_all or not stored:
        return geometry.bits_allocated
    least, most = int(frame.min()), int(frame.max())
    half = 1 << (stored - 1)
    lowest, beyond = (-half, half) if geometry.signed else (0, half << 1)
    return stored if lowest <= least and most < beyond else geometry.bits_allocated

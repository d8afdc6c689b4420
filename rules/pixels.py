"""Encapsulated pixel data: decoded, blanked, and encoded again without loss.

- The family stays where it can hold the result: RLE, JPEG-LS (lossless), JPEG 2000 (lossless).
  HTJ2K becomes JPEG 2000, because it can be decoded here and not encoded; JPEG becomes native
  explicit VR little endian, because encoding it again would lose once more.
- Every encoded frame is decoded and compared before it leaves; where a family cannot give back
  what it was given, the result is native.
- Outside of what is blanked pixels are those that were decoded: of a lossless source the very
  same, of lossy JPEG in colour as RGB.
- A source that may be lossy says so afterwards (PS3.3 C.7.6.1.1.5).
- Only pixels travel: comments and application segments of a codestream are left behind.

This is the one file of the rules that decodes; it is meant for a process of its own, since
codecs are C and their input comes from strangers. It needs the extra `pixels`.

Source: PS3.5 8.2, A.4; PS3.15 E.3.1.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
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

from rules.blanking import black
from rules.elements import SEQUENCE_END_BYTES, UNDEFINED, header, padded
from rules.errors import DeidentificationError, Reason
from rules.regions import PixelResult, bands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rules.regions import Decision, Geometry, PixelJob

    Pixels = NDArray[np.generic]

_PIXEL_DATA = 0x7FE00010
_PHOTOMETRIC, _PLANAR, _LOSSY = 0x00280004, 0x00280006, 0x00282110

_TARGETS = {
    RLELossless: RLELossless,
    JPEGLSLossless: JPEGLSLossless,
    JPEGLSNearLossless: JPEGLSLossless,
    JPEG2000Lossless: JPEG2000Lossless,
    JPEG2000: JPEG2000Lossless,
    HTJ2KLossless: JPEG2000Lossless,
    HTJ2KLosslessRPCL: JPEG2000Lossless,
    HTJ2K: JPEG2000Lossless,
    JPEGBaseline8Bit: ExplicitVRLittleEndian,
    JPEGExtended12Bit: ExplicitVRLittleEndian,
    JPEGLossless: ExplicitVRLittleEndian,
    JPEGLosslessSV1: ExplicitVRLittleEndian,
}
"""What can be decoded, and what its result is encoded in."""
_LOSSY_JPEG = frozenset((JPEGBaseline8Bit, JPEGExtended12Bit))
_MAYBE_LOSSY = _LOSSY_JPEG | {JPEGLSNearLossless, JPEG2000, HTJ2K}
# Pinned, so that an installed library does not change what comes out; the first that is there.
_DECODERS = ("pyjpegls", "pylibjpeg", "pydicom", "pillow")
_ENCODERS = ("pyjpegls", "pylibjpeg", "pydicom")

_MOST_BYTES = 0xFFFFFFFE
_MOST_AROUND_FRAGMENT = 9  # the header of its item, and a byte of padding
_DEPTHS = (8, 16, 32)
_BYTE = 8


class _Unfaithful(Exception):
    """A codec did not give back what it was given."""


def blank(job: PixelJob) -> PixelResult:
    """Blank encapsulated pixel data.

    Raises:
        DeidentificationError: they cannot be decoded, are not what the image says, or become
            larger than an element can be; the message quotes nothing of them.
    """
    is_known = job.transfer_syntax_uid in _TARGETS
    if not is_known or job.geometry.bits_allocated not in _DEPTHS:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)
    source = UID(job.transfer_syntax_uid)
    try:
        with catch_warnings():
            simplefilter("ignore")
            return _encoded(source, job)
    except DeidentificationError:
        raise
    except MemoryError:
        raise DeidentificationError(Reason.PIXELS_TOO_LARGE, _PIXEL_DATA) from None
    except Exception:  # noqa: BLE001 - whatever a codec raises, its text may quote the pixels
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA) from None


# ---- decoding


def _blanked(source: UID, job: PixelJob) -> Iterator[tuple[Pixels, Geometry]]:
    """Every frame decoded and blanked, with the geometry that it has now.

    Raises:
        DeidentificationError: there are not as many as the image says.
    """
    count, colours = 0, ""
    for frame, photometric in _frames(source, job.fragments, job.geometry):
        if count == job.geometry.frames or (count and photometric != colours):
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)
        count, colours = count + 1, photometric
        geometry = replace(job.geometry, photometric=photometric, planar=False)
        _blank_frame(frame, job.decision, geometry)
        yield frame, geometry
    if count != job.geometry.frames:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)


def _frames(source: UID, fragments: bytes, stated: Geometry) -> Iterator[tuple[Pixels, str]]:
    """Every frame as decoded, with its photometric interpretation."""
    decoder = get_decoder(source)
    plugin = _first(_DECODERS, decoder.available_plugins)
    shape = _shape(stated)
    depth = f"{'i' if stated.signed else 'u'}{stated.bits_allocated // _BYTE}"
    found = decoder.iter_array(
        fragments,
        raw=source not in _LOSSY_JPEG,
        decoding_plugin=plugin,
        **_properties(stated),
    )
    for frame, said in found:
        if frame.shape != shape:
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)
        yield frame.astype(np.dtype(depth), copy=False), str(said["photometric_interpretation"])


def _blank_frame(frame: Pixels, decision: Decision, geometry: Geometry) -> None:
    values = black(geometry)
    for top, bottom, intervals in bands(decision, geometry.rows, geometry.columns):
        for left, right in intervals:
            frame[top:bottom, left:right] = values if geometry.samples > 1 else values[0]


def _shape(geometry: Geometry) -> tuple[int, ...]:
    size = (geometry.rows, geometry.columns)
    return size if geometry.samples == 1 else (*size, geometry.samples)


def _properties(geometry: Geometry) -> dict[str, Any]:
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


def _first(wanted: tuple[str, ...], available: tuple[str, ...]) -> str:
    """The codec to be used.

    Raises:
        DeidentificationError: none is installed.
    """
    for plugin in wanted:
        if plugin in available:
            return plugin
    raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)


# ---- encoding


def _encoded(source: UID, job: PixelJob) -> PixelResult:
    """The frames in the family of the source, or else native."""
    target = _TARGETS[source]
    if target != ExplicitVRLittleEndian:
        with suppress(_Unfaithful):
            return _compressed(source, target, job)
    return _native(source, job)


def _compressed(source: UID, target: UID, job: PixelJob) -> PixelResult:
    encoded, colours = [], ""
    for frame, geometry in _blanked(source, job):
        colours = _colours(target, geometry)
        encoded.append(_encoded_frame(target, frame, geometry))
    attributes = _attributes(source, colours, job.geometry.samples)
    return PixelResult(str(target), _encapsulated(encoded), attributes)


def _native(source: UID, job: PixelJob) -> PixelResult:
    value, colours = bytearray(), ""
    for frame, geometry in _blanked(source, job):
        colours = geometry.photometric
        little = frame.dtype.newbyteorder("<")
        value += frame.astype(little, copy=False).tobytes()
    if len(value) > _MOST_BYTES:
        raise DeidentificationError(Reason.PIXELS_TOO_LARGE, _PIXEL_DATA)
    value += bytes(len(value) % 2)
    vr = "OB" if job.geometry.bits_allocated <= _BYTE else "OW"
    element = header(_PIXEL_DATA, vr, len(value), implicit=False) + value
    attributes = _attributes(source, colours, job.geometry.samples)
    return PixelResult(str(ExplicitVRLittleEndian), element, attributes)


def _encoded_frame(target: UID, frame: Pixels, geometry: Geometry) -> bytes:
    """One frame, and the proof that it can be had back."""
    single = replace(geometry, frames=1, bits_stored=_bits(target, frame, geometry))
    said = _properties(replace(single, photometric=_colours(target, geometry)))
    encoder, decoder = get_encoder(target), get_decoder(target)
    encode_with = _first(_ENCODERS, encoder.available_plugins)
    decode_with = _first(_DECODERS, decoder.available_plugins)
    try:
        encoded = encoder.encode(frame, validate=False, encoding_plugin=encode_with, **said)
        items = encapsulate([encoded])
        again, _ = decoder.as_array(items, raw=True, decoding_plugin=decode_with, **said)
    except (ValueError, RuntimeError) as error:
        raise _Unfaithful from error
    if not np.array_equal(again, frame):
        raise _Unfaithful
    return bytes(encoded)


def _bits(target: UID, frame: Pixels, geometry: Geometry) -> int:
    """The precision that holds every value: what the image says, unless it says too little.

    RLE writes as many planes of bytes as are allocated (PS3.5 G.2).
    """
    stored = geometry.bits_stored
    if target == RLELossless or not stored:
        return geometry.bits_allocated
    least, most = int(frame.min()), int(frame.max())
    half = 1 << (stored - 1)
    lowest, beyond = (-half, half) if geometry.signed else (0, half << 1)
    return stored if lowest <= least and most < beyond else geometry.bits_allocated


def _colours(target: UID, geometry: Geometry) -> str:
    """RGB is turned into YBR without loss inside of JPEG 2000 (PS3.5 8.2.4)."""
    is_turned = target == JPEG2000Lossless and geometry.photometric == "RGB"
    return "YBR_RCT" if is_turned else geometry.photometric


def _encapsulated(frames: list[bytes]) -> bytes:
    """The element, one fragment a frame, with a basic offset table while one can point there."""
    head = header(_PIXEL_DATA, "OB", UNDEFINED, implicit=False)
    size = sum(map(len, frames)) + len(frames) * _MOST_AROUND_FRAGMENT
    items = encapsulate(frames, has_bot=size <= _MOST_BYTES)
    return head + items + SEQUENCE_END_BYTES


def _attributes(source: UID, colours: str, samples: int) -> dict[int, tuple[str, bytes]]:
    """What has to be said of the result."""
    attributes = {_PHOTOMETRIC: ("CS", padded("CS", colours.encode("ascii")))}
    if samples > 1:
        attributes[_PLANAR] = ("US", bytes(2))
    if source in _MAYBE_LOSSY:
        attributes[_LOSSY] = ("CS", b"01")
    return attributes

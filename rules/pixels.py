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

It is meant for a process of its own, since codecs are C and their input comes from strangers. It
needs the extra `pixels`.

Source: PS3.5 8.2, A.4; PS3.15 E.3.1.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

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

from rules.decoding import DEPTHS, frames
from rules.encoding import Unfaithful
from rules.errors import DeidentificationError, Reason
from rules.pixel_results import compressed, uncompressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.decoding import Pixels
    from rules.regions import Geometry, PixelJob, PixelResult

_PIXEL_DATA = 0x7FE00010

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


def blank(job: PixelJob) -> PixelResult:
    """Blank encapsulated pixel data.

    Raises:
        DeidentificationError: they cannot be decoded, are not what the image says, or become
            larger than an element can be; the message quotes nothing of them.
    """
    is_known = job.transfer_syntax_uid in _TARGETS
    if not is_known or job.geometry.bits_allocated not in DEPTHS:
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


def _encoded(source: UID, job: PixelJob) -> PixelResult:
    """The frames in the family of the source, or else native."""
    target = _TARGETS[source]
    if target != ExplicitVRLittleEndian:
        with suppress(Unfaithful):
            return compressed(source, target, _blanked(source, job))
    return uncompressed(source, _blanked(source, job), job.geometry.bits_allocated)


def _blanked(source: UID, job: PixelJob) -> Iterator[tuple[Pixels, Geometry]]:
    return frames(source, bytes(job.fragments), job.geometry, job.decision)

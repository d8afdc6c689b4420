"""Pixel data in another transfer syntax: decoded, blanked where that is due, and encoded.

- A lossless target gives back every pixel; it is proven frame by frame.
- A lossy one is made of what was decoded, and says so: Lossy Image Compression, Ratio, Method.
- Bits beyond Bits Stored stay where both sides have room for them (native, RLE, JPEG lossless);
  JPEG-LS, JPEG 2000 and JPEG baseline have the bits that are stored.
- What a target cannot hold is an error, never another target.

It is meant for a process of its own, like the blanking. It needs the extra `pixels`.

Source: PS3.5 8.2, A.4; PS3.3 C.7.6.1.1.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from rules.blanking import PIXEL_DATA
from rules.decoding import DEPTHS, SOURCES, frames
from rules.errors import DeidentificationError, Reason
from rules.pixel_results import compressed, uncompressed
from rules.targets import LOSSLESS, LOSSY

if TYPE_CHECKING:
    from rules.regions import PixelResult
    from rules.targets import TranscodeJob

_TARGETS = LOSSLESS | LOSSY | {ExplicitVRLittleEndian}
_JPEG_LOSSLESS = frozenset((JPEGLossless, JPEGLosslessSV1))
_WITH_ALL_BITS = frozenset((ExplicitVRLittleEndian, RLELossless))


def transcode(job: TranscodeJob) -> PixelResult:
    """Encode pixel data in another way.

    Raises:
        DeidentificationError: they cannot be decoded, are not what the image says, or the target
            cannot hold them; the message quotes nothing of them.
    """
    is_known = job.transfer_syntax_uid in SOURCES and job.target in _TARGETS
    if not is_known or job.geometry.bits_allocated not in DEPTHS:
        raise DeidentificationError(Reason.TRANSCODE, PIXEL_DATA)
    source, target = UID(job.transfer_syntax_uid), UID(job.target)
    try:
        with catch_warnings():
            simplefilter("ignore")
            return _encoded(source, target, job)
    except MemoryError:
        raise DeidentificationError(Reason.PIXELS_TOO_LARGE, PIXEL_DATA) from None
    except DeidentificationError as error:
        is_size = error.reason is Reason.PIXELS_TOO_LARGE
        reason = Reason.PIXELS_TOO_LARGE if is_size else Reason.TRANSCODE
        raise DeidentificationError(reason, PIXEL_DATA) from None
    except Exception:  # noqa: BLE001 - whatever a codec raises, its text may quote the pixels
        raise DeidentificationError(Reason.TRANSCODE, PIXEL_DATA) from None


def _encoded(source: UID, target: UID, job: TranscodeJob) -> PixelResult:
    all_bits = _keeps_all_bits(source, target, is_signed=job.geometry.signed)
    found = frames(source, bytes(job.value), job.geometry, job.decision, all_bits=all_bits)
    if target.is_encapsulated:
        return compressed(source, target, found, job.quality)
    return uncompressed(source, found, job.geometry.bits_allocated)


def _keeps_all_bits(source: UID, target: UID, *, is_signed: bool) -> bool:
    """Of signed JPEG the bits beyond may be missing, and are to be made of the sign."""
    has_all = source in _WITH_ALL_BITS or (source in _JPEG_LOSSLESS and not is_signed)
    return has_all and (target in _WITH_ALL_BITS or target in _JPEG_LOSSLESS)

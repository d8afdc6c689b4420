"""The first frame of an instance as a picture, and pictures as pixels; needs the extra `pixels`.

A picture shows whether text is gone, not how tissue looks: grey values are stretched from the
darkest to the brightest of the frame.

Source: PS3.3 C.7.6.3.1.2 (photometric interpretations).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread

from scp.errors import ScpError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from pydicom.dataset import Dataset

_BRIGHTEST = 255
_BAND_ROWS = 64
_MOST_PIXELS = 100_000_000
_WIDE_MODES = frozenset(("I", "I;16", "I;16B", "I;16L"))
_COLOUR_DIMENSIONS = 3


class NoPicture(ScpError):
    """There is nothing that could be shown; the message says why and quotes nothing."""


def png(instance: bytes | Dataset) -> bytes:
    """The first frame as an 8-bit PNG.

    Args:
        instance: A Part 10 file, or what was read of one.

    Raises:
        NoPicture: it has no pixels, they cannot be decoded, or the extra is not installed.
    """
    try:
        from PIL import Image  # noqa: PLC0415 - of the extra
    except ImportError:
        raise NoPicture(
            "to see pictures, install the extra: pip install 'anonode[pixels]'"
        ) from None
    picture = BytesIO()
    Image.fromarray(_shades(instance)).save(picture, "PNG")
    return picture.getvalue()


def _shades(instance: bytes | Dataset) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = (
            dcmread(BytesIO(instance), force=True) if isinstance(instance, bytes) else instance
        )
        if "Rows" not in dataset:
            raise NoPicture("the instance has no pixels")
        try:
            return _eight_bits(_first_frame(dataset), dataset)
        except ImportError:
            raise NoPicture("a codec of the extra `pixels` is not installed") from None
        except Exception:  # noqa: BLE001 - whatever a codec raises, its text may quote pixels
            raise NoPicture("the pixels cannot be decoded") from None


def _first_frame(dataset: Dataset) -> NDArray[np.generic]:
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415 - these need numpy
    from pydicom.pixels.utils import pixel_array  # noqa: PLC0415

    frame: NDArray[np.generic] = pixel_array(dataset, index=0)
    if str(dataset.PhotometricInterpretation) == "PALETTE COLOR":
        return apply_color_lut(frame, dataset)
    return frame


def _eight_bits(frame: NDArray[np.generic], dataset: Dataset) -> NDArray[np.uint8]:
    import numpy as np  # noqa: PLC0415 - of the extra

    is_colour = frame.ndim == _COLOUR_DIMENSIONS
    if is_colour and frame.dtype == np.uint8:
        return frame.astype(np.uint8, copy=False)
    least = 0.0 if is_colour else min(float(band.min()) for _, band in _bands(frame))
    span = max(float(band.max()) for _, band in _bands(frame)) - least
    is_turned = str(dataset.PhotometricInterpretation) == "MONOCHROME1"
    found = np.empty(frame.shape, np.uint8)
    for rows, band in _bands(frame):
        shades = (band - least) * (_BRIGHTEST / span) if span else np.zeros_like(band)
        found[rows] = (_BRIGHTEST - shades if is_turned else shades).round()
    return found


def _bands(frame: NDArray[np.generic]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Some rows after the other in double precision, which takes eight times as much memory."""
    import numpy as np  # noqa: PLC0415 - of the extra

    for start in range(0, len(frame), _BAND_ROWS):
        rows = slice(start, start + _BAND_ROWS)
        yield rows, np.nan_to_num(frame[rows].astype(np.float64))


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG or JPEG as pixel data are written.

    Attributes:
        samples: 1 for grey values, 3 for red, green and blue, one pixel after the other.
        bits: 8 or 16, little endian.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    data: bytes


def picture(image: bytes) -> Picture:
    """The pixels of a PNG or JPEG; transparency is left out.

    Raises:
        NoPicture: it is none, is too large, or the extra is not installed.
    """
    try:
        from PIL import Image  # noqa: PLC0415 - of the extra
    except ImportError:
        raise NoPicture(
            "to make instances of pictures, install the extra: pip install 'anonode[pixels]'"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = Image.open(BytesIO(image), formats=("PNG", "JPEG"))
            return _picture(opened)
    except NoPicture:
        raise
    except Exception:  # noqa: BLE001 - a codec raises anything
        raise NoPicture("the picture is no PNG or JPEG, or is damaged") from None


def _picture(opened: Image.Image) -> Picture:
    if opened.width * opened.height > _MOST_PIXELS:
        raise NoPicture("the picture has too many pixels")
    is_wide = opened.mode in _WIDE_MODES
    mode = "I;16" if is_wide else "L" if opened.mode in ("1", "L", "LA") else "RGB"
    converted = opened if opened.mode == mode else opened.convert(mode)
    data = converted.tobytes("raw", "I;16" if is_wide else mode)
    samples = 3 if mode == "RGB" else 1
    return Picture(opened.height, opened.width, samples, 16 if is_wide else 8, data)

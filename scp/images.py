"""The first frame of an instance as a picture, for `anonode preview`; needs the extra `pixels`.

A picture shows whether text is gone, not how tissue looks: grey values are stretched from the
darkest to the brightest of the frame.

Source: PS3.3 C.7.6.3.1.2 (photometric interpretations).
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread

from scp.errors import ScpError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_BRIGHTEST = 255
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
        return frame.astype(np.uint8)
    values = np.nan_to_num(frame.astype(np.float64))
    least = 0.0 if is_colour else float(values.min())
    span = float(values.max()) - least
    shades = (values - least) * (_BRIGHTEST / span) if span else np.zeros_like(values)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        shades = _BRIGHTEST - shades
    return shades.round().astype(np.uint8)

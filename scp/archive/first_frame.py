"""The first frame of a stored instance as an instance of its own; no other pixels are read.

It has what describes pixels (group 0028), what names it, and one frame, encoded as it is stored.

Source: PS3.5 8.2, A.4 (fragments and offset tables); PS3.3 C.7.6.3.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID

from scp.archive.reading import dataset_of, fragments, span
from scp.images import NoPicture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.archive.reading import PixelValue
    from scp.archive.resources import StoredInstance
    from scp.spool import Spool

_NAMES: Final = (0x00080016, 0x00080018)
_DESCRIPTION: Final = 0x0028
_PIXEL_DATA: Final = 0x7FE00010
_VRS: Final = {0x7FE00008: "OF", 0x7FE00009: "OD"}
_NOT_DESCRIBED: Final = "the pixels are not described as they should be"
_BECOMES: Final = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 1, "PALETTE COLOR": 3}
_CONVERTED: Final = 2
"""So many times its bytes a frame of another photometric interpretation takes to be turned."""
_BYTE: Final = 8
_ITEM_HEADER_BYTES: Final = 8
_OFFSET_BYTES: Final = 4
_END: Final = b"\xff\xd9"
_END_WITHIN_BYTES: Final = 10
"""An End of Image may have padding behind it."""


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """Where a frame is, and what describes it.

    Attributes:
        description: Elements, without the pixels.
        pixels: The element that holds it.
        spans: Offset and length of each piece of it.
        size_bytes: Encoded, or decoded and turned into RGB, whichever is more.
    """

    description: Dataset
    pixels: PixelValue
    spans: tuple[tuple[int, int], ...]
    size_bytes: int


def find_first_frame(spool: Spool, instance: StoredInstance) -> FirstFrame:
    """The first frame of an instance; none of its bytes is read yet.

    Raises:
        NoPicture: it has no pixels, or does not say how large a frame is.
        SpoolError: it is gone or cannot be read.
    """
    header, pixels = dataset_of(spool, instance)
    if pixels is None or "Rows" not in header:
        raise NoPicture("the instance has no pixels")
    try:
        count = int(header.get("NumberOfFrames") or 1)
        description = _description(header, instance)
        decoded = get_expected_length(description, "bytes")
        becomes = _BECOMES.get(description.PhotometricInterpretation, _CONVERTED)
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise NoPicture(_NOT_DESCRIBED) from None
    if pixels.length is None:
        spans = tuple(_fragments(spool, instance, pixels, count))
    else:
        spans = ((pixels.offset, min(decoded, pixels.length)),)
        decoded *= becomes
    size_bytes = max(decoded, sum(size for _, size in spans))
    return FirstFrame(description, pixels, spans, size_bytes)


def read_first_frame(spool: Spool, instance: StoredInstance, frame: FirstFrame) -> Dataset:
    """An instance of this frame alone, in the transfer syntax of the whole.

    Raises:
        SpoolError: it cannot be read.
    """
    found = frame.description
    data = b"".join(
        piece for part in frame.spans if part[1] for piece in span(spool, instance, *part)
    )
    if frame.pixels.length is None:
        found.add_new(_PIXEL_DATA, "OB", encapsulate([data], has_bot=False))
        found[_PIXEL_DATA].is_undefined_length = True
    else:
        usual = "OB" if found.BitsAllocated <= _BYTE else "OW"
        vr = _VRS.get(frame.pixels.tag, usual)
        found.add_new(frame.pixels.tag, vr, data + bytes(len(data) % 2))
    return found


def encoded_frame(frame: Dataset) -> bytes:
    """A frame as a dataset in explicit VR little endian, as all that is encapsulated is.

    Raises:
        NoPicture: what describes it cannot be written.
    """
    target = DicomBytesIO()
    target.is_little_endian, target.is_implicit_VR = True, False
    try:
        write_dataset(target, frame)
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise NoPicture(_NOT_DESCRIBED) from None
    return target.getvalue()


def _description(header: Dataset, instance: StoredInstance) -> Dataset:
    found = Dataset()
    for tag in header.keys():  # noqa: SIM118 - iterating reads every value
        if tag in _NAMES or tag.group == _DESCRIPTION:
            found[tag] = header.get_item(tag)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.NumberOfFrames = 1
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(instance.transfer_syntax_uid)
    return found


def _fragments(
    spool: Spool, instance: StoredInstance, pixels: PixelValue, count: int
) -> Iterator[tuple[int, int]]:
    """Those of the first frame: by number, by the offset table, or up to an End of Image."""
    table, *found = fragments(spool, instance, pixels)
    if len(found) == count:
        found = found[:1]
    elif count > 1 and table[1] > _OFFSET_BYTES:
        end = _second(spool, instance, table) + table[0] + table[1] + _ITEM_HEADER_BYTES
        found = [part for part in found if part[0] < end]
    for part in found:
        yield part
        if count > 1 and _ends_image(spool, instance, part):
            return


def _second(spool: Spool, instance: StoredInstance, table: tuple[int, int]) -> int:
    """Where the second frame begins, behind the basic offset table."""
    offsets = b"".join(span(spool, instance, table[0], 2 * _OFFSET_BYTES))
    return int.from_bytes(offsets[_OFFSET_BYTES:], "little")


def _ends_image(spool: Spool, instance: StoredInstance, part: tuple[int, int]) -> bool:
    offset, length = part
    last = min(length, _END_WITHIN_BYTES)
    return _END in b"".join(span(spool, instance, offset + length - last, last)) if last else False

"""The slow path: a dataset the walk cannot read, read and written anew by pydicom.

Repairs what can be repaired without guessing at a value: elements out of order or twice
(the last one stands), missing delimiters, a wrong VR form. The result is in the transfer
syntax it came in and goes through the same walk. Anything pydicom cannot read whole is
refused: a value shorter than its length says is never accepted.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import config
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr, write_data_element

from rules.elements import UNDEFINED, item
from rules.errors import DeidentificationError, Reason

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset


LAST_GROUP_WITH_LENGTH = 6
"""Group lengths of later ones are retired, and go (PS3.5 7.2)."""


def repaired(data: bytes | bytearray | memoryview, *, implicit: bool) -> bytes:
    """The dataset as pydicom understands it, in well-formed little endian.

    Raises:
        DeidentificationError: pydicom cannot read or write it either, or it ends too early.
    """
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            return _rewritten(bytes(data), implicit=implicit)
    except DeidentificationError:
        raise
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise DeidentificationError(Reason.UNREADABLE) from None


def _rewritten(data: bytes, *, implicit: bool) -> bytes:
    source = BytesIO(data)
    dataset = read_dataset(source, is_implicit_VR=implicit, is_little_endian=True)
    if source.read(1) or not _is_whole(dataset):
        raise DeidentificationError(Reason.TRUNCATED)
    return _written(dataset, default_encoding, implicit=implicit)


def _written(dataset: Dataset, encodings: str | list[str], *, implicit: bool) -> bytes:
    """Innermost first: pydicom's own way out doubles the text of an error with every level."""
    if dataset.original_character_set != dataset._character_set:  # noqa: SLF001 - as pydicom does
        dataset = correct_ambiguous_vr(dataset, is_little_endian=True)
    encodings = dataset.get("SpecificCharacterSet", encodings)
    target = DicomBytesIO()
    target.is_little_endian = True
    target.is_implicit_VR = implicit
    for element in dataset:
        if element.tag.element or element.tag.group <= LAST_GROUP_WITH_LENGTH:
            write_data_element(target, _flat(element, encodings, implicit=implicit), encodings)
    return target.getvalue()


def _flat(
    element: DataElement, encodings: str | list[str], *, implicit: bool
) -> DataElement | RawDataElement:
    """An element as it is, or a sequence with its items written."""
    if element.VR != "SQ":
        return element
    items = b"".join(item(_written(one, encodings, implicit=implicit)) for one in element.value)
    return RawDataElement(element.tag, "SQ", len(items), items, 0, implicit, is_little_endian=True)


def _is_whole(dataset: Dataset) -> bool:
    """Whether no value, at any depth, is shorter than its length says."""
    for raw in list(dataset._dict.values()):  # noqa: SLF001 - the only view of undecoded values
        if not isinstance(raw, RawDataElement):
            continue
        if raw.length != UNDEFINED and len(raw.value or b"") != raw.length:
            return False
    sequences = (element for element in dataset if element.VR == "SQ")
    return all(_is_whole(item) for sequence in sequences for item in sequence.value)

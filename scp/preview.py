"""What the rules do to one file, element by element and in its pixels; nothing is stored.

This is the one place where original values are shown, to the person who asks on a terminal.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread

from rules import deidentify
from scp.errors import NotPart10

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    from rules import Plan, Pseudonyms
    from rules.held import BlankEncapsulated
    from scp.part10 import Part10

_SHOWN_CHARACTERS = 48
_BULK_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

Path = tuple[int, ...]
"""Tags and item indices, alternating, from the root."""


@dataclass(frozen=True, slots=True)
class Row:
    """One element before and after; None where it is absent."""

    depth: int
    tag: str
    name: str
    before: str | None
    after: str | None
    same: bool

    @property
    def change(self) -> str:
        """`kept`, `removed`, `added` or `replaced`."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "kept" if self.same else "replaced"


@dataclass(frozen=True, slots=True)
class Preview:
    """One file before and after.

    Attributes:
        rows: Its elements, in order.
        result: The Part 10 file that it becomes.
        pixels_changed: Whether it has pixels before and after, and not the same.
    """

    rows: tuple[Row, ...]
    result: bytes
    pixels_changed: bool


def preview(
    file: Part10, plan: Plan, pseudonyms: Pseudonyms, blank: BlankEncapsulated | None = None
) -> Preview:
    """De-identify a file in memory, and compare.

    Args:
        file: As it lies on disk.
        plan: The compiled profile.
        pseudonyms: The keyed functions.
        blank: Blanks encapsulated pixel data.

    Raises:
        InstanceRefused, DeidentificationError: as at ingest.
        NotPart10: it cannot be shown.
    """
    original = file.dataset()
    result, _ = deidentify(original, plan, pseudonyms, file.transfer_syntax_uid, blank=blank)
    try:
        return _compared(file, result)
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise NotPart10(file.path, "one of its elements cannot be read") from None


def _compared(file: Part10, result: bytes) -> Preview:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = dcmread(file.path), dcmread(BytesIO(result))
        before, after = (dict(_flat(one, ())) for one in whole)
    rows = tuple(_row(path, before.get(path), after.get(path)) for path in sorted(before | after))
    return Preview(rows, result, _pixels_changed(*whole))


def _pixels_changed(before: Dataset, after: Dataset) -> bool:
    """What is not blanked passes as it is, byte for byte."""
    return any(
        name in before and name in after and before[name].value != after[name].value
        for name in _PIXELS
    )


def _flat(dataset: Dataset, prefix: Path) -> Iterator[tuple[Path, DataElement]]:
    for element in dataset:
        path = (*prefix, int(element.tag))
        yield path, element
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from _flat(item, (*path, index))


def _row(path: Path, before: DataElement | None, after: DataElement | None) -> Row:
    element = before if before is not None else after
    assert element is not None  # noqa: S101 - one of the two has this path
    same = before is not None and after is not None and _value(before) == _value(after)
    return Row(len(path) // 2, str(element.tag), element.name, _shown(before), _shown(after), same)


def _value(element: DataElement) -> object:
    """What decides whether an element was kept; items are compared by their own rows."""
    return len(element.value) if element.VR == "SQ" else element.value


def _shown(element: DataElement | None) -> str | None:
    if element is None:
        return None
    if element.VR == "SQ":
        return f"{len(element.value)} items"
    if element.VR in _BULK_VRS:
        return f"{len(element.value or b'')} bytes"
    text = str(element.value) if element.value is not None else ""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"

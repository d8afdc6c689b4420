"""Part 10 files as a second reader sees them: pydicom's, which shares nothing with the engine.

Nothing of a bulk value is held in memory; the bytes of the file are read again, in pieces, by
whoever wants to look for something in them.

Source: PS3.10 7.1.
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.filereader import read_dataset

from scp.errors import NotPart10
from scp.proof.leaves import UNDEFINED, Leaf, Walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_PREFIX_END = 132
_META_GROUP, _SYNTAX = 0x0002, 0x00020010
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BULK_BYTES = 4 << 20
_CHUNK_BYTES = 8 << 20
_OVERLAP_BYTES = 256


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive bytes of a file; `offset` is theirs, and `is_pixels` says what they are."""

    offset: int
    data: bytes = field(repr=False)
    is_pixels: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read: what it holds, and where to find its bytes again.

    Offsets are in bytes from its start, of a deflated dataset as if it were not.
    """

    path: Path
    preamble: bytes = field(repr=False)
    meta: tuple[Leaf, ...] = field(repr=False)
    leaves: tuple[Leaf, ...] = field(repr=False)
    dataset_offset: int
    pixels: tuple[int, int]
    deflated: bool

    @property
    def everything(self) -> tuple[Leaf, ...]:
        """File meta information and dataset."""
        return self.meta + self.leaves

    def text(self, tag: int) -> str:
        r"""The values at the root of this tag, `\` between them; empty when absent."""
        own = self.meta if tag >> 16 == _META_GROUP else self.leaves
        return next(("\\".join(one.texts) for one in own if one.tags == (tag,)), "")

    def pieces(self) -> Iterator[Piece]:
        """All bytes of the file, overlapping by more than any word is long."""
        offset, tail = 0, b""
        for chunk in self._chunks():
            data = tail + chunk
            yield from self._cut(offset - len(tail), data)
            offset += len(chunk)
            tail = data[-_OVERLAP_BYTES:]

    def _cut(self, offset: int, data: bytes) -> Iterator[Piece]:
        """The parts of a chunk in front of, inside and behind the pixel data."""
        start, end = (min(max(at - offset, 0), len(data)) for at in self.pixels)
        for first, last, is_pixels in ((0, start, False), (start, end, True), (end, None, False)):
            part = data[first:last]
            if part:
                yield Piece(offset + first, part, is_pixels)

    def _chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            if self.deflated:
                yield file.read(self.dataset_offset)
                inflating = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
                packed = file.read()
                while part := inflating.decompress(packed, _CHUNK_BYTES):
                    yield part
                    packed = inflating.unconsumed_tail
                return
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


def read_again(path: Path) -> Reading:
    """Read a file.

    Raises:
        NotPart10: pydicom cannot read it.
        OSError: the file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path)
    except (OSError, NotPart10):
        raise
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise NotPart10(path, "it cannot be read as a Part 10 file") from None


def _read(path: Path) -> Reading:
    dataset = dcmread(path, defer_size=_BULK_BYTES)
    with path.open("rb") as file:
        preamble = file.read(_PREFIX_END - 4)
        file.seek(_PREFIX_END)
        read_dataset(file, False, True, stop_when=_is_behind_meta)  # noqa: FBT003 - pydicom's
        offset = file.tell()
        size = file.seek(0, 2)
    meta = tuple(Walk(0, offset).leaves(dataset.file_meta))
    syntax = next((one.texts[0] for one in meta if one.tag == _SYNTAX and one.texts), "")
    is_deflated = syntax == _DEFLATED
    walk = Walk(offset if is_deflated else 0, size if not is_deflated else UNDEFINED)
    leaves = tuple(walk.leaves(dataset))
    if not leaves:
        raise NotPart10(path, "it holds no dataset")
    spans = [one.span for one in leaves if one.tags[0] in _PIXELS]
    pixels = (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else (0, 0)
    return Reading(path, preamble, meta, leaves, offset, pixels, is_deflated)


def _is_behind_meta(tag: int, _vr: str | None, _length: int) -> bool:
    return tag >> 16 != _META_GROUP

"""The datasets of stored instances, read from anywhere and never whole.

A reader holds one piece of the file, and a deflated dataset is opened piece by piece. What comes
before the pixel data is read at once, because the node bounds it at reception; pixel data are
only ever passed on in pieces. Offsets count from the start of the dataset, opened.

Source: PS3.5 A.4 (fragments), A.5 (deflated); PS3.10 7.1.
"""

from __future__ import annotations

import io
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from pydicom.filereader import read_dataset

from rules.elements import ITEM, UNDEFINED, Incomplete, Irregular, read_header
from rules.transfer import form_of
from scp.errors import SpoolError
from scp.instance import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydicom.dataset import Dataset

    from scp.archive.resources import StoredInstance
    from scp.spool import Spool

# pydicom's warnings quote what instances hold, and threads undo each other's `catch_warnings`.
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")

_PIXEL_TAGS: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_META_OFFSET: Final = 132
_HEADER_BYTES: Final = 12
_ITEM_HEADER_BYTES: Final = 8
_PIECE_BYTES: Final = 1 << 18
_RAW: Final = -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class PixelValue:
    """Where the pixel data of an instance lie.

    Attributes:
        tag: Pixel Data, or its float or double kin.
        offset: Of the value, in bytes.
        length: In bytes; None if it is encapsulated.
    """

    tag: int
    offset: int
    length: int | None


def stored_file(instance: StoredInstance) -> StoredFile:
    """The bytes of an instance, as the spool knows them."""
    return StoredFile(instance.file_name, instance.size_bytes, instance.digest)


def dataset_of(spool: Spool, instance: StoredInstance) -> tuple[Dataset, PixelValue | None]:
    """What an instance holds in front of its pixel data, and where these are; None without.

    Raises:
        SpoolError: it is gone or cannot be read.
    """
    form = form_of(instance.transfer_syntax_uid)
    with _opened(spool, instance) as file:
        dataset = _read(file, implicit=form.implicit, little=not form.big_endian)
        return dataset, _pixel_value(file, implicit=form.implicit, little=not form.big_endian)


def file_meta_of(spool: Spool, instance: StoredInstance) -> Dataset:
    """The file meta information of an instance.

    Raises:
        SpoolError: it is gone or cannot be read.
    """
    start = b"".join(_first(spool.read(stored_file(instance)), instance.dataset_offset))
    return _read(io.BytesIO(start[_META_OFFSET:]), implicit=False, little=True)


def fragments(
    spool: Spool, instance: StoredInstance, pixels: PixelValue
) -> Iterator[tuple[int, int]]:
    """Offset and length of each item of encapsulated pixel data, the offset table first."""
    with _opened(spool, instance) as file:
        offset = pixels.offset
        while True:
            file.seek(offset)
            header = file.read(_ITEM_HEADER_BYTES)
            try:
                tag, _, _, length = read_header(header, 0, implicit=True)
            except Incomplete:
                raise SpoolError("a stored file ends too early") from None
            if tag != ITEM:
                return
            offset += _ITEM_HEADER_BYTES
            yield offset, length
            offset += length


def span(spool: Spool, instance: StoredInstance, offset: int, length: int) -> Iterator[bytes]:
    """Bytes of the dataset of an instance, piece by piece."""
    return _first(_pieces(spool, instance, offset), length)


def _first(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


def _read(file: BinaryIO | io.BytesIO, *, implicit: bool, little: bool) -> Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read_dataset(
                file,
                implicit,
                little,
                stop_when=lambda tag, *_: tag in _PIXEL_TAGS,
            )
    except SpoolError:
        raise
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise SpoolError("a stored file cannot be understood") from None


def _pixel_value(file: BinaryIO, *, implicit: bool, little: bool) -> PixelValue | None:
    """The element that the reading stopped in front of."""
    start = file.tell()
    data = file.read(_HEADER_BYTES)
    try:
        tag, _, value, length = read_header(
            data if little else _turned(data), 0, implicit=implicit
        )
    except (Incomplete, Irregular):
        return None
    if tag not in _PIXEL_TAGS:
        return None
    return PixelValue(tag, start + value, None if length == UNDEFINED else length)


def _turned(data: bytes) -> bytes:
    """An explicit header of OB or OW in little endian."""
    return data[1::-1] + data[3:1:-1] + data[4:8] + data[:7:-1]


def _opened(spool: Spool, instance: StoredInstance) -> BinaryIO:
    """The dataset of an instance as a binary file."""
    reader = _Reader(lambda offset: _pieces(spool, instance, offset))
    return cast("BinaryIO", io.BufferedReader(reader))


def _pieces(spool: Spool, instance: StoredInstance, offset: int) -> Iterator[bytes]:
    """The dataset from an offset on; a deflated one is opened from its start."""
    file, start = stored_file(instance), instance.dataset_offset
    if not form_of(instance.transfer_syntax_uid).deflated:
        yield from spool.read(file, start + offset)
        return
    for piece in _inflated(spool.read(file, start)):
        if offset < len(piece):
            yield piece[offset:]
        offset = max(0, offset - len(piece))


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(_RAW)
    try:
        for piece in pieces:
            data = piece
            while data and not inflater.eof:
                yield inflater.decompress(data, _PIECE_BYTES)
                data = inflater.unconsumed_tail
    except zlib.error:
        raise SpoolError("a stored file cannot be understood") from None


class _Reader(io.RawIOBase):
    """Reads pieces one after the other; a move elsewhere opens them anew."""

    name = ""  # pydicom asks for one

    def __init__(self, open_pieces: Callable[[int], Iterator[bytes]]) -> None:
        self._open_pieces = open_pieces
        self._at = 0
        self._pieces: Iterator[bytes] | None = None
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        target = memoryview(cast("bytearray", buffer)).cast("B")
        if self._pieces is None:
            self._pieces = self._open_pieces(self._at)
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        count = min(len(target), len(self._piece))
        target[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        self._at += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation
        to = offset + (self._at if whence == io.SEEK_CUR else 0)
        ahead = to - self._at
        if 0 <= ahead <= len(self._piece):
            self._piece = self._piece[ahead:]
        else:
            self._pieces, self._piece = None, memoryview(b"")
        self._at = to
        return to

    def tell(self) -> int:
        return self._at

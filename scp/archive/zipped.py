"""The files of a zip archive while it arrives: nothing of it waits in memory or on disk.

What the local headers say is taken as it comes; the directory at the end only tells where to
stop. Files are stored or deflated, not encrypted. A name decides nothing but whether it is a
folder. What is inflated is bounded, as a whole and against what has come.

Source: APPNOTE 4.3 (file format), 4.4 (fields).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final, Protocol

from scp.errors import ScpError

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC: Final = b"PK\x03\x04"
GZIP_MAGIC: Final = b"\x1f\x8b"
_DIRECTORY: Final = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x08")
_DESCRIPTOR: Final = b"PK\x07\x08"
_HEADER: Final = Struct("<4sHHHHHLLLHH")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED: Final = 0x0001 | 0x2000
_HAS_DESCRIPTOR: Final = 0x0008
_ZIP64: Final = 0x0001
_UNKNOWN: Final = 0xFFFFFFFF
_STEP_BYTES: Final = 1 << 18
_SIGNATURE_BYTES: Final = 4
_DESCRIPTOR_BYTES: Final = (12, 20)
_RAW: Final = -zlib.MAX_WBITS
_GZIP: Final = 16 + zlib.MAX_WBITS


class BadArchive(ScpError):
    """An archive that is damaged, of an unknown kind, or larger than its limits."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold.

    Attributes:
        files: At most so many.
        inflated_bytes: Of all its files together.
        ratio: Inflated bytes for each that has come; deflate reaches about a thousand.
        free_bytes: Inflated bytes for which the ratio does not count.
    """

    files: int = 100_000
    inflated_bytes: int = 64 << 30
    ratio: int = 400
    free_bytes: int = 256 << 20


class Sink(Protocol):
    """Takes one file."""

    def feed(self, data: bytes, /) -> None:
        """Take its next bytes."""

    def finish(self) -> None:
        """It is complete."""

    def abandon(self) -> None:
        """The rest of it never comes."""


class _Meter:
    """Counts what comes and what it becomes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files = 0
        self._came = 0
        self._made = 0

    def came(self, count: int) -> None:
        self._came += count

    def begun(self) -> None:
        self._files += 1
        if self._files > self._limits.files:
            raise BadArchive("the archive holds more files than the limit")

    def made(self, count: int) -> None:
        self._made += count
        allowed = max(self._limits.free_bytes, self._came * self._limits.ratio)
        if self._made > min(allowed, self._limits.inflated_bytes):
            raise BadArchive("the archive inflates to more than the limit")


class Gunzip:
    """Opens gzip in front of a sink: one member, or several that are one file (RFC 1952 2.2)."""

    def __init__(self, sink: Sink, limits: Limits | None = None) -> None:
        """Bind what takes the bytes."""
        self._sink = sink
        self._meter = _Meter(limits or Limits())
        self._inflater = _Inflater(_GZIP)
        self._meter.begun()

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            BadArchive: it is damaged, or inflates beyond the limit.
        """
        self._meter.came(len(data))
        while data:
            if self._inflater.ended:
                self._meter.begun()
                self._inflater = _Inflater(_GZIP)
            self._inflater.open(data, self._meter.made, self._sink.feed)
            data = self._inflater.rest

    def finish(self) -> None:
        """Say that it is complete.

        Raises:
            BadArchive: it is not.
        """
        if not self._inflater.ended:
            raise BadArchive("the gzip stream is cut off")
        self._sink.finish()

    def abandon(self) -> None:
        """The rest never comes."""
        self._sink.abandon()


class Unzip:
    """Opens a zip archive: one sink for every file."""

    def __init__(self, open_file: Callable[[], Sink], limits: Limits | None = None) -> None:
        """Bind what takes the files."""
        self._open_file = open_file
        self._meter = _Meter(limits or Limits())
        self._data = bytearray()
        self._file: _File | None = None
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            BadArchive: it is damaged, of an unknown kind, or beyond its limits.
        """
        self._meter.came(len(data))
        if self._done:
            return
        self._data += data
        while self._step():
            pass

    def finish(self) -> None:
        """Say that it is complete.

        Raises:
            BadArchive: it is not.
        """
        if not self._done:
            raise BadArchive("the archive is cut off")

    def abandon(self) -> None:
        """The rest never comes."""
        file, self._file = self._file, None
        if file is not None:
            file.sink.abandon()

    def _step(self) -> bool:
        """Do what the bytes at hand allow; False when more are needed."""
        if self._done or len(self._data) < _SIGNATURE_BYTES:
            return False
        if self._file is None:
            return self._open_next()
        if not self._file.take(self._data, self._meter.made):
            return False
        file, self._file = self._file, None
        file.sink.finish()
        return True

    def _open_next(self) -> bool:
        signature = bytes(self._data[:_SIGNATURE_BYTES])
        if signature in _DIRECTORY:
            self._done = True
            self._data.clear()
            return False
        if signature != MAGIC:
            raise BadArchive("the archive is damaged")
        header = _local_header(self._data)
        if header is None:
            return False
        del self._data[: header.length]
        self._meter.begun()
        self._file = _File(header, _Nothing() if header.is_folder else self._open_file())
        return True


@dataclass(frozen=True, slots=True)
class _Header:
    length: int
    deflated: bool
    size: int
    crc: int | None
    is_folder: bool


def _local_header(data: bytearray) -> _Header | None:
    """The header of a file; None until it is all there."""
    if len(data) < _HEADER.size:
        return None
    _, _, flags, method, _, _, crc, packed, unpacked, name, extra = _HEADER.unpack_from(data)
    length = _HEADER.size + name + extra
    if len(data) < length:
        return None
    described = bool(flags & _HAS_DESCRIPTOR)
    if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
        raise BadArchive("a file of the archive is encrypted, or neither stored nor deflated")
    if method == _STORED and described:
        raise BadArchive("a stored file of the archive does not say its size")
    if _UNKNOWN in (packed, unpacked):
        packed = _packed_of_zip64(bytes(data[_HEADER.size + name : length]), unpacked)
    is_folder = name > 0 and data[_HEADER.size + name - 1] == ord("/")
    return _Header(length, method == _DEFLATED, packed, None if described else crc, is_folder)


def _packed_of_zip64(extra: bytes, unpacked: int) -> int:
    """Compressed size from the extra field, where it follows the size if that is there."""
    while len(extra) >= _SIGNATURE_BYTES:
        kind, size = Struct("<HH").unpack_from(extra)
        if kind == _ZIP64:
            at = _SIGNATURE_BYTES + (8 if unpacked == _UNKNOWN else 0)
            if len(extra) >= at + 8:
                return int.from_bytes(extra[at : at + 8], "little")
        extra = extra[_SIGNATURE_BYTES + size :]
    return 0


class _File:
    """One file on its way to its sink."""

    def __init__(self, header: _Header, sink: Sink) -> None:
        self.sink = sink
        self._header = header
        self._left = header.size
        self._crc = 0
        self._inflater = _Inflater(_RAW) if header.deflated else None

    def take(self, data: bytearray, made: Callable[[int], None]) -> bool:
        """Take what is there of it, and drop it from `data`; True at its end."""
        if self._inflater is None:
            return self._take_stored(data, made)
        if not self._inflater.ended:
            self._inflater.open(bytes(data), made, self._give)
            data[:] = self._inflater.rest
        return self._inflater.ended and self._take_end(data)

    def _take_stored(self, data: bytearray, made: Callable[[int], None]) -> bool:
        piece = bytes(data[: self._left])
        made(len(piece))
        self._give(piece)
        del data[: len(piece)]
        self._left -= len(piece)
        return not self._left and self._take_end(data)

    def _give(self, piece: bytes) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self.sink.feed(piece)

    def _take_end(self, data: bytearray) -> bool:
        """Check the sum; where it stands behind the file, drop it from `data`."""
        crc = self._header.crc
        if crc is None:
            start = _SIGNATURE_BYTES if data.startswith(_DESCRIPTOR) else 0
            length = _descriptor_length(data, start)
            if length is None:
                return False
            crc = int.from_bytes(data[start : start + 4], "little")
            del data[: start + length]
        if crc != self._crc:
            raise BadArchive("a file of the archive is damaged")
        return True


def _descriptor_length(data: bytearray, start: int) -> int | None:
    """Bytes of sum and sizes: the form behind which the archive goes on; None for more data."""
    for length in _DESCRIPTOR_BYTES:
        end = start + length
        if len(data) < end + _SIGNATURE_BYTES:
            return None
        if bytes(data[end : end + _SIGNATURE_BYTES]) in (MAGIC, *_DIRECTORY):
            return length
    raise BadArchive("the archive is damaged")


class _Inflater:
    """Opens deflated bytes in steps, each of a bounded size."""

    def __init__(self, window: int) -> None:
        self._inflater = zlib.decompressobj(window)
        self.rest = b""

    @property
    def ended(self) -> bool:
        """Whether the stream has said that it ends."""
        return self._inflater.eof

    def open(
        self, data: bytes, made: Callable[[int], None], give: Callable[[bytes], None]
    ) -> None:
        """Give what comes of more bytes; `rest` are those behind the end of the stream."""
        while data and not self._inflater.eof:
            try:
                piece = self._inflater.decompress(data, _STEP_BYTES)
            except zlib.error:
                raise BadArchive("the compressed bytes are damaged") from None
            made(len(piece))
            give(piece)
            data = self._inflater.unconsumed_tail
        self.rest = self._inflater.unused_data if self._inflater.eof else b""


class _Nothing:
    """Takes a folder, which has no bytes."""

    def feed(self, data: bytes) -> None:
        """Drop them."""

    def finish(self) -> None:
        """Nothing to do."""

    def abandon(self) -> None:
        """Nothing to do."""

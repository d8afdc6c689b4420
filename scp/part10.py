"""Part 10 files as they lie in folders: what they are, and where their dataset starts.

Source: PS3.10 7.1.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread

from rules.elements import Incomplete, Irregular, read_header
from scp.errors import NotPart10

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PREFIX_END = 132
_LENGTH_HEADER = b"\x02\x00\x00\x00UL\x04\x00"
_LENGTH_ELEMENT_BYTES = 12
_META_GROUP = 0x0002
_TRANSFER_SYNTAX = 0x00020010
_IDENTITY = (0x00080016, 0x00080018)
# Group 0002 is read whole from here; private information in it has been seen to be large.
_META_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Part10:
    """A Part 10 file.

    `dataset_offset` is in bytes from the start of the file. The UIDs of class and instance are
    those of the dataset, which file meta information has been seen to contradict; empty where
    it lacks them.
    """

    path: Path
    dataset_offset: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    def dataset(self) -> bytes:
        """The encoded dataset, whole."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The encoded dataset, a MiB at a time."""
        with self.path.open("rb") as file:
            file.seek(self.dataset_offset)
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


def dataset_offset(head: bytes) -> int:
    """Where the dataset starts in a Part 10 file, from its first 144 bytes (PS3.10 7.1).

    Raises:
        ValueError: It is not the beginning of such a file.
    """
    length = head[_PREFIX_END : _PREFIX_END + _LENGTH_ELEMENT_BYTES]
    begins = head[_PREFIX_END - 4 : _PREFIX_END] == b"DICM" and length[:8] == _LENGTH_HEADER
    if not begins or len(length) < _LENGTH_ELEMENT_BYTES:
        raise ValueError("the file does not begin with file meta information")
    return _PREFIX_END + _LENGTH_ELEMENT_BYTES + int.from_bytes(length[8:12], "little")


def open_part10(path: Path) -> Part10:
    """Read the file meta information of a file.

    Raises:
        NotPart10: there is none, or it does not name the transfer syntax.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_META_LIMIT_BYTES)
    if start[_PREFIX_END - 4 : _PREFIX_END] != b"DICM":
        raise NotPart10(path, "it has no DICM prefix")
    transfer_syntax_uid, offset = _meta(path, start)
    if not transfer_syntax_uid:
        raise NotPart10(path, "its file meta information names no transfer syntax")
    return Part10(path, offset, *_identity(path), transfer_syntax_uid)


def _identity(path: Path) -> tuple[str, str]:
    """SOP Class and SOP Instance UID of the dataset."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = dcmread(path, stop_before_pixels=True, specific_tags=list(_IDENTITY))
            return str(found.get("SOPClassUID", "")), str(found.get("SOPInstanceUID", ""))
    except Exception:  # noqa: BLE001 - pydicom raises anything, and its texts quote values
        raise NotPart10(path, "its dataset cannot be read") from None


def _meta(path: Path, data: bytes) -> tuple[str, int]:
    """The transfer syntax, and where group 0002 ends."""
    found, pos = "", _PREFIX_END
    try:
        while data[pos : pos + 2] == _META_GROUP.to_bytes(2, "little"):
            tag, _, value, length = read_header(data, pos, implicit=False)
            pos = value + length
            if tag == _TRANSFER_SYNTAX:
                found = data[value:pos].decode("latin-1").strip(" \0")
    except (Incomplete, Irregular):
        raise NotPart10(path, "its file meta information cannot be read") from None
    return found, pos


def files_below(paths: list[Path]) -> list[Path]:
    """Every file at or below the paths, sorted; hidden files and folders are left out."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (below for below in path.rglob("*") if below.is_file())
            found += (below for below in inside if not _hidden(below, path))
        else:
            found.append(path)
    return sorted(found)


def _hidden(path: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(top).parts)

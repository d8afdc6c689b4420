"""Stored instances as one zip file, written while it is read: nothing of it is held or stored.

Folders are named for patient, study and series as Orthanc names them, in characters that every
system takes; files for their place in the series. Files that are damaged end the archive early,
so that it does not open: a shorter one would look whole.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from scp.archive.reading import stored_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scp.archive.resources import StoredInstance
    from scp.spool import Spool

_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9 ._^-]")
_LONGEST: Final = 64
_FIRST_DAY: Final = (1980, 1, 1, 0, 0, 0)
"""A zip file has no earlier one; when an instance was stored is nobody's business."""


def packed(spool: Spool, instances: Sequence[StoredInstance]) -> Iterator[bytes]:
    """A zip file of these instances, piece by piece.

    Raises:
        SpoolError: a file is gone or damaged; raised while iterating.
    """
    written = _Written()
    with ZipFile(written, "w", ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]
        for name, instance in zip(_names(instances), instances, strict=True):
            entry = ZipInfo(name, _FIRST_DAY)
            entry.file_size = instance.size_bytes
            with archive.open(entry, "w") as file:
                for piece in spool.read_intact(stored_file(instance)):
                    file.write(piece)
                    yield from written.taken()
    yield from written.taken()


def _names(instances: Sequence[StoredInstance]) -> Iterator[str]:
    folders: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for instance in instances:
        folder = folders.setdefault(instance.series, _free(_folder(instance), folders))
        yield f"{folder}/{numbers[folder]:06}.dcm"
        numbers[folder] += 1


def _folder(instance: StoredInstance) -> str:
    tags = instance.tags
    levels = (
        (tags.get("PatientID"), tags.get("PatientName")),
        (tags.get("AccessionNumber"), tags.get("StudyDescription") or "Study"),
        (tags.get("Modality"), tags.get("SeriesDescription") or "Series"),
    )
    return "/".join(_plain(" ".join(filter(None, names))) for names in levels)


def _plain(name: str) -> str:
    """A name for a folder: no path, no dots at its ends."""
    return _UNUSUAL.sub("_", name)[:_LONGEST].strip(" .") or "Unknown"


def _free(folder: str, taken: dict[str, str]) -> str:
    """The folder's name, or one with a number behind it if another series has it."""
    names = set(taken.values())
    if folder not in names:
        return folder
    return next(one for n in range(2, len(names) + 3) if (one := f"{folder} {n}") not in names)


class _Written:
    """Takes what the zip file writes; cannot seek, so sizes stand behind each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def taken(self) -> list[bytes]:
        """What has come since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces

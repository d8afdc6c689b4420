"""Orthanc identifiers: what names a resource in the REST API.

SHA-1 of PatientID, and of the UIDs below it joined by `|`, in five groups of eight hexadecimal
digits. They are functions of the stored instance, so they need no table and survive everything.

A `|` of a PatientID counts twice: else whoever chooses one could give a patient the identifier of
somebody's study, and have it deleted in its place.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import sha1
from typing import Final


class Level(IntEnum):
    """The levels of PS3.4 C.6.1.1, from the top."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3

    @property
    def word(self) -> str:
        """As Orthanc spells it in JSON: `Patient`, `Study`, `Series`, `Instance`."""
        return self.name.capitalize()

    @property
    def path(self) -> str:
        """As Orthanc spells it in addresses: `patients`, `studies`, `series`, `instances`."""
        return _PATHS[self]


_PATHS: Final = ("patients", "studies", "series", "instances")
_GROUP_BYTES: Final = 4


def identifier(*uids: str) -> str:
    """The identifier of a resource.

    Args:
        uids: PatientID, then StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID as far down
            as the resource lies; surrounding blanks do not count, a missing one is empty.
    """
    text = "|".join(uid.strip(" \0").replace("|", "||") for uid in uids)
    digest = sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False)
    return digest.digest().hex("-", _GROUP_BYTES)

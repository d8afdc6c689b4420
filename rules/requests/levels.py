"""The four levels of a resource, and the attribute that names a resource of each.

Source: PS3.4 C.6.1.1.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType

PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_INSTANCE_UID = 0x00080018


class Level(IntEnum):
    """From the top."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    INSTANCE = 3

    @property
    def identifier(self) -> int:
        """The tag that names a resource of this level."""
        return _IDENTIFIERS[self]

    @property
    def keyword(self) -> str:
        """Of that tag."""
        return KEYWORDS[_IDENTIFIERS[self]]


_IDENTIFIERS = (PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)
KEYWORDS = MappingProxyType(
    {
        PATIENT_ID: "PatientID",
        STUDY_INSTANCE_UID: "StudyInstanceUID",
        SERIES_INSTANCE_UID: "SeriesInstanceUID",
        SOP_INSTANCE_UID: "SOPInstanceUID",
    }
)
"""Keywords of the four identifiers by tag."""
UIDS = frozenset(_IDENTIFIERS[1:])
"""Those among them that are UIDs."""

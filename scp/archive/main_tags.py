"""Which main attributes belong to which level (PS3.4 C.6.1.1).

A patient shows what is the same in all of its studies, and so on downwards. More is listed than
the journal notes of an instance today: what it does not hold is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.archive.identifiers import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

UID_KEYWORDS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""What tells one resource of a level from another, by level."""
KEYWORDS: Final[Mapping[Level, frozenset[str]]] = {
    Level.PATIENT: frozenset(
        ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "OtherPatientIDs")
    ),
    Level.STUDY: frozenset(
        (
            *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
            *("AccessionNumber", "ReferringPhysicianName", "RequestingPhysician"),
            *("InstitutionName", "RequestedProcedureDescription"),
        )
    ),
    Level.SERIES: frozenset(
        (
            *("SeriesInstanceUID", "Modality", "SeriesDate", "SeriesTime", "SeriesDescription"),
            *("SeriesNumber", "Manufacturer", "StationName", "BodyPartExamined", "SequenceName"),
            *("ProtocolName", "OperatorsName", "ContrastBolusAgent", "SeriesType"),
            *("PerformedProcedureStepDescription", "AcquisitionDeviceProcessingDescription"),
            *("CardiacNumberOfImages", "ImagesInAcquisition", "NumberOfTemporalPositions"),
            *("NumberOfSlices", "NumberOfTimeSlices", "ImageOrientationPatient"),
        )
    ),
    Level.INSTANCE: frozenset(
        (
            *("SOPInstanceUID", "InstanceNumber", "InstanceCreationDate", "InstanceCreationTime"),
            *("AcquisitionNumber", "ImageIndex", "NumberOfFrames", "TemporalPositionIdentifier"),
            *("ImagePositionPatient", "ImageOrientationPatient", "ImageComments"),
        )
    ),
}


def of_level(tags: Mapping[str, str], level: Level, uid: str) -> dict[str, str]:
    """The main attributes of one level.

    Args:
        tags: Main attributes of an instance by keyword.
        level: Which.
        uid: PatientID or the UID of that level, which is there even if it is empty.
    """
    wanted = KEYWORDS[level]
    own = {keyword: text for keyword, text in tags.items() if keyword in wanted}
    own[UID_KEYWORDS[level]] = uid
    return own

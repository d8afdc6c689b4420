"""A new instance before its attributes are written: what every instance has, its parent, content.

What comes from a parent are the modules of its level and above (PS3.3 A.1.4), as one of its
instances has them. Content is a picture, or a document that is wrapped (PS3.3 C.24.2).

Source: PS3.3 A.8.1, A.45.1, C.12.1 (Secondary Capture, Encapsulated PDF, SOP Common).
"""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from scp.archive.identifiers import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scp.images import Picture

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
PDF: Final = "application/pdf"
UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

# PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.4.1, C.7.5.1: Patient, General Study, General Series,
# Frame of Reference, General Equipment.
_MODULES: Final[Mapping[Level, tuple[str, ...]]] = {
    Level.PATIENT: (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("PatientBirthTime", "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames"),
        *("EthnicGroup", "PatientComments", "PatientIdentityRemoved"),
        *("DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    ),
    Level.STUDY: (
        *("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID"),
        *("AccessionNumber", "StudyDescription", "PhysiciansOfRecord", "ProcedureCodeSequence"),
        *("NameOfPhysiciansReadingStudy", "ReferencedStudySequence", "PatientAge"),
        *("PatientSize", "PatientWeight", "AdmittingDiagnosesDescription"),
    ),
    Level.SERIES: (
        *("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDate", "SeriesTime"),
        *("SeriesDescription", "Laterality", "BodyPartExamined", "PatientPosition"),
        *("ProtocolName", "PerformingPhysicianName", "OperatorsName", "FrameOfReferenceUID"),
        *("PositionReferenceIndicator", "Manufacturer", "ManufacturerModelName", "StationName"),
        *("InstitutionName", "InstitutionAddress", "DeviceSerialNumber", "SoftwareVersions"),
    ),
}


def new_uid() -> str:
    """A UID made at random (PS3.5 B.2)."""
    return f"2.25.{uuid.UUID(int=secrets.randbits(128), version=4).int}"


def nothing() -> Dataset:
    """What an instance without a parent inherits."""
    return Dataset()


def inherited(parent: Dataset, level: Level) -> Dataset:
    """What a new instance has of an instance below its parent.

    Args:
        parent: That instance.
        level: Of the parent; PATIENT, STUDY or SERIES.
    """
    found = Dataset()
    keywords = [keyword for above in Level if above <= level for keyword in _MODULES[above]]
    for keyword in ("SpecificCharacterSet", *keywords):
        if keyword in parent:
            found[keyword] = parent[keyword]
    return found


def draft(now: datetime | None = None) -> Dataset:
    """What an instance has that nothing else says."""
    moment = now or datetime.now(UTC)
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    found = Dataset()
    found.SOPClassUID = SECONDARY_CAPTURE
    for keyword in UIDS:
        setattr(found, keyword, new_uid())
    found.PatientID = str(uuid.UUID(int=secrets.randbits(128), version=4))
    found.PatientName = found.PatientBirthDate = found.PatientSex = ""
    found.ReferringPhysicianName = found.StudyID = found.AccessionNumber = ""
    found.Modality = "OT"
    found.ConversionType = "WSD"
    found.SeriesNumber = found.InstanceNumber = 1
    for name in ("InstanceCreation", "Study", "Series", "Content"):
        setattr(found, f"{name}Date", date)
        setattr(found, f"{name}Time", time)
    return found


def with_picture(dataset: Dataset, picture: Picture) -> None:
    """Put pixels into an instance."""
    dataset.SamplesPerPixel = picture.samples
    dataset.PhotometricInterpretation = "RGB" if picture.samples > 1 else "MONOCHROME2"
    if picture.samples > 1:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.rows, picture.columns
    dataset.BitsAllocated = dataset.BitsStored = picture.bits
    dataset.HighBit = picture.bits - 1
    dataset.PixelRepresentation = 0
    vr = "OB" if picture.bits <= 8 else "OW"  # noqa: PLR2004 - PS3.5 A.2
    dataset.add_new("PixelData", vr, picture.data + bytes(len(picture.data) % 2))


def with_document(dataset: Dataset, document: bytes) -> None:
    """Put a PDF into an instance."""
    dataset.SOPClassUID = ENCAPSULATED_PDF
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = ""
    dataset.ConceptNameCodeSequence = []
    dataset.MIMETypeOfEncapsulatedDocument = PDF
    dataset.EncapsulatedDocumentLength = len(document)
    dataset.EncapsulatedDocument = document + bytes(len(document) % 2)


def encoded(dataset: Dataset) -> bytes:
    """A dataset in explicit VR little endian, without file meta information."""
    file = BytesIO()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    dcmwrite(file, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    return file.getvalue()

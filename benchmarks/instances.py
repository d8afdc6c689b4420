"""Generated instances: a CT with a real scanner's header, deep and long ones, one too large.

No value is a person's. The bytes are the same in every run, but for the SOP Instance UID, whose
length is fixed so that it can be written into an encoded instance.
"""

from __future__ import annotations

import random
from io import BytesIO
from typing import TYPE_CHECKING, Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    RTStructureSetStorage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPLICIT_LITTLE: Final = str(ExplicitVRLittleEndian)
CT: Final = str(CTImageStorage)
MULTI_FRAME: Final = str(MultiFrameGrayscaleWordSecondaryCaptureImageStorage)

_ROOT: Final = "1.2.826.0.1.3680043.8.498"
_PLACEHOLDER: Final = f"{_ROOT}.1000.1000.100000"

_TEXT: Final = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "InstanceCreationDate": "20240229",
    "InstanceCreationTime": "101112",
    "StudyDate": "20240229",
    "SeriesDate": "20240229",
    "AcquisitionDate": "20240229",
    "ContentDate": "20240229",
    "StudyTime": "100102",
    "SeriesTime": "100511",
    "AcquisitionTime": "100530.120000",
    "ContentTime": "100531.240000",
    "AccessionNumber": "ACC-0000042",
    "Modality": "CT",
    "Manufacturer": "GENERATED MEDICAL SYSTEMS",
    "InstitutionName": "General Hospital",
    "InstitutionAddress": "1 Example Road",
    "ReferringPhysicianName": "Referrer^Ruth",
    "StationName": "CT_ROOM_1",
    "StudyDescription": "CT CHEST WITH CONTRAST",
    "SeriesDescription": "CHEST 1.25MM",
    "InstitutionalDepartmentName": "Radiology",
    "PhysiciansOfRecord": "Record^Robin",
    "PerformingPhysicianName": "Performer^Pat",
    "NameOfPhysiciansReadingStudy": "Reader^Rene",
    "OperatorsName": "Operator^Olive",
    "AdmittingDiagnosesDescription": "Cough",
    "ManufacturerModelName": "Revolution Bench",
    "PatientName": "Example^Erin^Q",
    "PatientID": "MRN-0123456",
    "IssuerOfPatientID": "HOSPITAL",
    "PatientBirthDate": "19500101",
    "PatientBirthTime": "0300",
    "PatientSex": "F",
    "OtherPatientIDs": "OLD-77",
    "PatientAge": "074Y",
    "PatientSize": "1.68",
    "PatientWeight": "70",
    "PatientAddress": "2 Example Road",
    "PatientTelephoneNumbers": "555-0100",
    "EthnicGroup": "none",
    "Occupation": "Mason",
    "AdditionalPatientHistory": "Smoker until 1999",
    "PregnancyStatus": 4,
    "PatientComments": "Anxious",
    "ContrastBolusAgent": "IOPAMIDOL 300",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL MODE",
    "SliceThickness": "1.25",
    "KVP": "120",
    "SpacingBetweenSlices": "0.8",
    "DataCollectionDiameter": "500",
    "DeviceSerialNumber": "SN-4711",
    "SoftwareVersions": "07MW18.4",
    "ProtocolName": "5.1 CHEST",
    "ContrastBolusRoute": "IV",
    "ReconstructionDiameter": "360",
    "DistanceSourceToDetector": "949.075",
    "DistanceSourceToPatient": "541",
    "GantryDetectorTilt": "0",
    "TableHeight": "150.5",
    "RotationDirection": "CW",
    "ExposureTime": "600",
    "XRayTubeCurrent": "340",
    "Exposure": "204",
    "FilterType": "BODY FILTER",
    "GeneratorPower": "40800",
    "FocalSpots": "1.2",
    "DateOfLastCalibration": "20240201",
    "TimeOfLastCalibration": "0700",
    "ConvolutionKernel": "STANDARD",
    "PatientPosition": "FFS",
    "RevolutionTime": 0.6,
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 65.62,
    "TableFeedPerRotation": 39.37,
    "SpiralPitchFactor": 0.984,
    "StudyID": "4242",
    "SeriesNumber": "2",
    "AcquisitionNumber": "1",
    "InstanceNumber": "17",
    "ImagePositionPatient": ["-180", "-180", "-35.5"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "SN",
    "SliceLocation": "-35.5",
    "ImageComments": "breath hold",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": ["0.703125", "0.703125"],
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "SmallestImagePixelValue": -2000,
    "LargestImagePixelValue": 2000,
    "WindowCenter": "40",
    "WindowWidth": "400",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
    "RequestingPhysician": "Requester^Ray",
    "RequestedProcedureDescription": "CT chest",
    "AdmissionID": "ADM-9",
    "CurrentPatientLocation": "Ward 7",
    "PerformedProcedureStepStartDate": "20240229",
    "PerformedProcedureStepStartTime": "100102",
    "PerformedProcedureStepID": "PPS-1",
    "PerformedProcedureStepDescription": "CT chest",
}

# The private blocks of a common vendor's CT, by creator and number of elements.
_PRIVATE: Final = (
    (0x0009, "GEMS_IDEN_01", 9),
    (0x0019, "GEMS_ACQU_01", 46),
    (0x0021, "GEMS_RELA_01", 14),
    (0x0023, "GEMS_STDY_01", 2),
    (0x0027, "GEMS_IMAG_01", 22),
    (0x0043, "GEMS_PARM_01", 40),
)


def ct(side: int) -> Dataset:
    """A CT of `side` by `side` pixels with about 260 elements, private ones and sequences too."""
    dataset = Dataset()
    for keyword, value in _TEXT.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = _PLACEHOLDER
    dataset.StudyInstanceUID = f"{_ROOT}.1"
    dataset.SeriesInstanceUID = f"{_ROOT}.1.2"
    dataset.FrameOfReferenceUID = f"{_ROOT}.1.3"
    _add_sequences(dataset)
    _add_private(dataset)
    dataset.Rows = dataset.Columns = side
    dataset.PixelData = random.Random(side).randbytes(2 * side * side)  # noqa: S311 - noise, no secret
    return dataset


def _add_sequences(dataset: Dataset) -> None:
    code = Dataset()
    code.CodeValue = "CTCHESTC"
    code.CodingSchemeDesignator = "LOCAL"
    code.CodeMeaning = "CT chest with contrast"
    reference = Dataset()
    reference.ReferencedSOPClassUID = CT
    reference.ReferencedSOPInstanceUID = f"{_ROOT}.7.1"
    request = Dataset()
    request.ScheduledProcedureStepDescription = "CT chest"
    request.ScheduledProcedureStepID = "SPS-1"
    request.RequestedProcedureID = "RP-1"
    request.ScheduledProtocolCodeSequence = [code]
    dataset.ProcedureCodeSequence = [code]
    dataset.ReferencedStudySequence = [reference]
    dataset.ReferencedImageSequence = [reference, reference]
    dataset.RequestAttributesSequence = [request]


def _add_private(dataset: Dataset) -> None:
    kinds = (("DS", "1.5"), ("SH", "MODE A"), ("US", 7), ("SL", -3), ("FL", 0.25), ("LO", "table"))
    for group, creator, count in _PRIVATE:
        block = dataset.private_block(group, creator, create=True)
        for number in range(count):
            vr, value = kinds[number % len(kinds)]
            block.add_new(number + 1, vr, value)


def enhanced(frames: int) -> Dataset:
    """An enhanced MR of that many small frames: nearly all of it is functional groups."""
    side = 16
    dataset = ct(side)
    dataset.SOPClassUID, dataset.Modality = str(EnhancedMRImageStorage), "MR"
    dataset.NumberOfFrames = str(frames)
    dataset.SharedFunctionalGroupsSequence = [_item(PixelMeasuresSequence=[_item(**_MEASURES)])]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(number) for number in range(frames)]
    dataset.PixelData = bytes(2 * side * side * frames)
    return dataset


_MEASURES: Final = {"PixelSpacing": ["1", "1"], "SliceThickness": "2"}


def _frame(number: int) -> Dataset:
    """The functional groups of one frame, as scanners send them."""
    content = _item(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime="20240229101112.000000",
        FrameAcquisitionDateTime="20240229101112.000000",
        FrameAcquisitionDuration=12.5,
        DimensionIndexValues=[1, number + 1],
        StackID="1",
        InStackPositionNumber=number + 1,
        TemporalPositionIndex=1,
    )
    source = _item(
        ReferencedSOPClassUID=CT,
        ReferencedSOPInstanceUID=f"{_ROOT}.8.{number}",
        PurposeOfReferenceCodeSequence=[_code("121322", "Source image")],
    )
    orientation = ["1", "0", "0", "0", "1", "0"]
    echo = {"EffectiveEchoTime": 12.0}
    window = {"WindowCenter": "40", "WindowWidth": "400"}
    return _item(
        FrameContentSequence=[content],
        DerivationImageSequence=[_item(SourceImageSequence=[source])],
        PlanePositionSequence=[_item(ImagePositionPatient=["0", "0", str(number)])],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=orientation)],
        MREchoSequence=[_item(**echo)],
        FrameVOILUTSequence=[_item(**window)],
        PixelValueTransformationSequence=[_item(RescaleIntercept="0", RescaleSlope="1")],
        MRImageFrameTypeSequence=[_item(FrameType=["ORIGINAL", "PRIMARY"], PixelPresentation="X")],
    )


def contours(regions: int, slices: int, points: int) -> Dataset:
    """A structure set: of each region one contour a slice, of that many points."""
    dataset = ct(1)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    dataset.SOPClassUID, dataset.Modality = str(RTStructureSetStorage), "RTSTRUCT"
    dataset.StructureSetLabel, dataset.StructureSetDate = "Plan", "20240229"
    dataset.StructureSetROISequence = [
        _item(
            ROINumber=str(region),
            ReferencedFrameOfReferenceUID=f"{_ROOT}.1.3",
            ROIName=f"Region {region}",
            ROIGenerationAlgorithm="MANUAL",
        )
        for region in range(regions)
    ]
    dataset.ROIContourSequence = [
        _item(
            ReferencedROINumber=str(region),
            ROIDisplayColor=["255", "0", "0"],
            ContourSequence=[_contour(number, points) for number in range(slices)],
        )
        for region in range(regions)
    ]
    return dataset


def _contour(number: int, points: int) -> Dataset:
    image = _item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=f"{_ROOT}.8.{number}")
    return _item(
        ContourImageSequence=[image],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=str(points),
        ContourData=[f"{at % 400 - 200}.25" for at in range(3 * points)],
    )


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _code(value: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def encode(dataset: Dataset) -> bytes:
    """The dataset in explicit VR little endian, as it stands in C-STORE, without file meta."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def part10(dataset: Dataset) -> bytes:
    """The instance as a file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = EXPLICIT_LITTLE
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = BytesIO()
    file = FileDataset(buffer, dataset, file_meta=meta, preamble=b"\0" * 128)
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def elements(dataset: Dataset) -> int:
    """How many elements the dataset has, those of items included."""
    return sum(1 for _ in dataset.iterall())


def instance_uid(batch: int, association: int, number: int) -> str:
    """A UID as long as the placeholder, different for every instance of a run."""
    return f"{_ROOT}.{1000 + batch}.{1000 + association}.{100_000 + number}"


def with_uid(encoded: bytes, uid: str) -> bytes:
    """The encoded instance under another SOP Instance UID."""
    if len(uid) != len(_PLACEHOLDER):
        raise ValueError("the UID is not as long as the one that it replaces")
    return encoded.replace(_PLACEHOLDER.encode(), uid.encode())


def large_header(length_bytes: int) -> bytes:
    """Everything before the pixels of a multi-frame instance of that many bytes of pixels."""
    side = 1024
    dataset = ct(side)
    dataset.SOPClassUID = MULTI_FRAME
    dataset.NumberOfFrames = str(length_bytes // (2 * side * side))
    del dataset.PixelData
    return encode(dataset) + b"\xe0\x7f\x10\x00OW\0\0" + length_bytes.to_bytes(4, "little")


def large_pixels(length_bytes: int) -> Iterator[bytes]:
    """The pixels, in pieces of one mebibyte, never all at once."""
    noise = random.Random(0).randbytes(1 << 20)  # noqa: S311 - noise, no secret
    for start in range(0, length_bytes, len(noise)):
        yield noise[: length_bytes - start]

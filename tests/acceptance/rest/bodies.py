"""Thirty requests that both servers are sent, and the ten files that they are about."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from tests.acceptance.rest.asking import packaged_file

FILES = (
    "CT_small.dcm",
    "JPEG2000.dcm",
    "MR_small_implicit.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "examples_overlay.dcm",
    "liver_1frame.dcm",
    "nested.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
)


def nested_instance() -> bytes:
    """What real files here lack: names and private elements in items, and UIDs more than once."""
    dataset = dcmread(packaged_file("CT_small.dcm"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    dataset.IrradiationEventUID = ["1.2.3.1", "1.2.3.2"]
    dataset.FrameOfReferenceUID = dataset.StudyInstanceUID
    item = Dataset()
    item.PatientName = dataset.PatientName
    item.PatientID = dataset.PatientID
    item.IssuerOfPatientID = "ISSUER"
    block = item.private_block(0x0011, "CREATOR OF AN ITEM", create=True)
    block.add_new(0x01, "LO", "private")
    dataset.SourcePatientGroupIdentificationSequence = [item]
    data = BytesIO()
    dcmwrite(data, dataset, enforce_file_format=True)
    return data.getvalue()


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        name: What it is called here.
        level: Whose address it goes to: patients, studies, series or instances.
        verb: anonymize or modify.
        body: The JSON.
    """

    name: str
    level: str
    verb: str
    body: dict[str, object]


def _anonymize(name: str, level: str = "instances", **body: object) -> Asked:
    return Asked(name, level, "anonymize", body)


def _modify(name: str, level: str = "instances", **body: object) -> Asked:
    return Asked(name, level, "modify", body)


_E = {"DicomVersion": "2021b"}
_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]

REQUESTS = (
    # The default edition is newer here than there; the others name one that both know.
    _anonymize("nothing said"),
    _anonymize("edition of 2008", DicomVersion="2008"),
    _anonymize("edition of 2017", DicomVersion="2017c"),
    _anonymize("edition of 2021", **_E),
    _anonymize(
        "the page's body",
        Replace={"PatientName": "Hello", "0010-1001": "World"},
        Keep=["StudyDescription", "SeriesDescription"],
        KeepPrivateTags=True,
        DicomVersion="2017c",
    ),
    _anonymize("private tags kept", KeepPrivateTags=True, **_E),
    _anonymize("one private tag kept", Keep=["0009,1001", "0009,1027"], **_E),
    _anonymize("dates kept", Keep=["StudyDate", "SeriesDate", "AcquisitionDate"], **_E),
    _anonymize("a sequence kept", Keep=["ContentSequence", "BeamSequence"], **_E),
    _anonymize("uids kept in anonymization", Keep=_UIDS, Force=True, **_E),
    _anonymize(
        "identifiers given",
        Replace={"PatientID": "Hello", "PatientName": "Sample", "StudyInstanceUID": "1.2.3"},
        Force=True,
        **_E,
    ),
    _anonymize("more removed", Remove=["Modality", "Rows"], **_E),
    _anonymize("removed, replaced, kept", Remove=["StudyDate"], Keep=["StudyDate"], **_E),
    _anonymize("of a study", "studies", **_E),
    _anonymize("of a series", "series", **_E),
    _anonymize("of a patient", "patients", **_E),
    _modify("nothing"),
    _modify("a name", Replace={"PatientName": "hello"}),
    _modify("several", Replace={"PatientName": "a^b", "StudyDate": "20200101", "Rows": "7"}),
    _modify("by hexadecimal", Replace={"0010-1001": "x", "00081030": "y", "0008,103e": "z"}),
    _modify("removed", Remove=["StudyDate", "PatientName", "Manufacturer"]),
    _modify("private removed", RemovePrivateTags=True),
    _modify("a private tag", Replace={"0029,1001": "x"}, PrivateCreator="MINE"),
    _modify("emptied", Replace={"StudyDescription": None, "PatientName": ""}),
    _modify("characters that fit", Replace={"PatientName": "Müller^Jürgen"}),
    _modify("characters that do not fit", Replace={"PatientName": "Иванов"}),
    _modify(
        "a sequence",
        Replace={
            "ReferencedStudySequence": [
                {
                    "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1",
                    "ReferencedSOPInstanceUID": "1.2.3",
                    "PurposeOfReferenceCodeSequence": [
                        {
                            "CodeValue": "A",
                            "CodingSchemeDesignator": "B",
                            "CodeMeaning": "C",
                        }
                    ],
                },
                {},
            ]
        },
    ),
    _modify(
        "paths",
        Replace={"BeamSequence[0].BeamName": "x", "ContentSequence[*].TextValue": "y"},
        Remove=["BeamSequence[*].BeamDescription"],
    ),
    _modify("binary", Replace={"PatientName": "data:application/octet-stream;base64,SGVsbG8="}),
    _modify("of a series", "series", Replace={"SeriesDescription": "hello"}),
    _modify("of a study", "studies", Replace={"StudyDescription": "hello"}),
    _modify(
        "of a patient",
        "patients",
        Replace={"PatientID": "Hello", "PatientName": "Sample patient name"},
        Force=True,
    ),
    _modify("uids kept", Keep=_UIDS, Force=True),
)

"""What refers to an image refers to it afterwards: whatever the order, association or restart.

A CT series, and what is made of one: contours, a segmentation, a report, a presentation state.
They arrive one by one at a node that is stopped and started in between, and remembers nothing:
the UIDs agree because each is a keyed function of its original.

Source: PS3.15 E.1.1 (replacement UIDs, action U); PS3.3 A.19, A.51, A.35, A.33.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
)

from tests.acceptance.peers import SUCCESS, store
from tests.acceptance.running import RunningNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = "1.2.826.0.1.3680043.8.498.77"
STUDY, CT_SERIES, FRAME = f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.9"
STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
SLICES = 4
CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  trial: {{Base: basic, Options: [{options}]}}
routes:
  - {{from: CT1, to: ANONODE, profile: trial}}
"""
OPTIONS = {
    "basic": "",
    "research": "retain-longitudinal-modified-dates, clean-descriptors, clean-graphics",
    "reports": "clean-structured-content, clean-descriptors",
}


# ---------------------------------------------------------------- a study


def instance(sop_class: str, series: int, number: int = 1) -> Dataset:
    """What every instance of the study has."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, f"{ROOT}.1.{series}.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, f"{ROOT}.1.{series}"
    made.StudyDate, made.StudyTime, made.AccessionNumber, made.StudyID = (
        "20240229",
        "1011",
        "A",
        "1",
    )
    made.PatientName, made.PatientID = "Doe^Jane", "PAT-4711"
    made.PatientBirthDate, made.PatientSex, made.ReferringPhysicianName = "19700102", "F", ""
    made.SeriesNumber, made.InstanceNumber = str(series), str(number)
    made.ContentDate, made.ContentTime = "20240229", "101112"
    made.Manufacturer = "Generated"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def slices() -> list[Dataset]:
    """The CT series."""
    return [ct(number) for number in range(1, SLICES + 1)]


def ct(number: int) -> Dataset:
    """CT Image (PS3.3 A.3)."""
    made = instance(CTImageStorage, 1, number)
    made.Modality, made.FrameOfReferenceUID = "CT", FRAME
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = [1, 1]
    _pixels(made, 16)
    if number > 1:  # as a scanner refers to its localizer
        made.ReferencedImageSequence = [reference(CTImageStorage, f"{ROOT}.1.1.1")]
    return made


def _pixels(made: Dataset, bits: int) -> None:
    made.Rows = made.Columns = 8
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit, made.PixelRepresentation = bits - 1, 0
    made.PixelData = bytes(8 * 8 * bits // 8)


def item(**attributes: object) -> Dataset:
    """An item of these attributes."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def reference(sop_class: str, uid: str) -> Dataset:
    """An item of the SOP Instance Reference Macro (PS3.3 10.8)."""
    return item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)


def references() -> list[Dataset]:
    """To each slice, made anew: an item belongs to one sequence."""
    return [reference(CTImageStorage, f"{ROOT}.1.1.{n}") for n in range(1, SLICES + 1)]


def code(value: str, meaning: str) -> Dataset:
    """An item of the Code Sequence Macro (PS3.3 8.8)."""
    return item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def contours() -> Dataset:
    """RT Structure Set (PS3.3 A.19)."""
    made = instance(RTStructureSetStorage, 2)
    made.Modality, made.StructureSetLabel = "RTSTRUCT", "Label"
    made.StructureSetDate, made.StructureSetTime = "20240229", "101112"
    series = item(SeriesInstanceUID=CT_SERIES, ContourImageSequence=references())
    study = reference(STUDY_CLASS, STUDY)
    study.RTReferencedSeriesSequence = [series]
    made.ReferencedFrameOfReferenceSequence = [
        item(FrameOfReferenceUID=FRAME, RTReferencedStudySequence=[study])
    ]
    made.StructureSetROISequence = [
        item(
            ROINumber="1",
            ReferencedFrameOfReferenceUID=FRAME,
            ROIName="Liver",
            ROIGenerationAlgorithm="MANUAL",
        )
    ]
    drawn = [
        item(
            ContourImageSequence=[one],
            ContourGeometricType="POINT",
            NumberOfContourPoints="1",
            ContourData=[1, 2, 3],
        )
        for one in references()
    ]
    made.ROIContourSequence = [item(ReferencedROINumber="1", ContourSequence=drawn)]
    return made


def segmentation() -> Dataset:
    """Segmentation (PS3.3 A.51): of each frame, the slice that it was derived from."""
    made = instance(SegmentationStorage, 3)
    made.Modality, made.FrameOfReferenceUID = "SEG", FRAME
    made.SegmentationType, made.NumberOfFrames = "BINARY", str(SLICES)
    _pixels(made, 8)
    made.PixelData = bytes(8 * 8 * SLICES)
    made.ReferencedSeriesSequence = [
        item(SeriesInstanceUID=CT_SERIES, ReferencedInstanceSequence=references())
    ]
    made.SegmentSequence = [item(SegmentNumber=1, SegmentLabel="Liver", TrackingUID=f"{ROOT}.8")]
    made.PerFrameFunctionalGroupsSequence = [
        item(DerivationImageSequence=[item(SourceImageSequence=[one])]) for one in references()
    ]
    return made


def report() -> Dataset:
    """Comprehensive SR (PS3.3 A.35.3): its evidence, and an item for each slice."""
    made = instance(ComprehensiveSRStorage, 4)
    made.Modality, made.ValueType, made.CompletionFlag = "SR", "CONTAINER", "COMPLETE"
    made.VerificationFlag, made.ContinuityOfContent = "UNVERIFIED", "SEPARATE"
    made.ConceptNameCodeSequence = [code("126000", "Imaging Measurement Report")]
    series = item(SeriesInstanceUID=CT_SERIES, ReferencedSOPSequence=references())
    made.CurrentRequestedProcedureEvidenceSequence = [
        item(StudyInstanceUID=STUDY, ReferencedSeriesSequence=[series])
    ]
    made.ContentSequence = [
        item(
            RelationshipType="CONTAINS",
            ValueType="IMAGE",
            ConceptNameCodeSequence=[code("121112", "Source of Measurement")],
            ReferencedSOPSequence=[one],
        )
        for one in references()
    ]
    return made


def addendum() -> Dataset:
    """Basic Text SR (PS3.3 A.35.1): it refers to the report."""
    made = instance(BasicTextSRStorage, 5)
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.Modality, made.ValueType = "SR", "CONTAINER"
    earlier = reference(ComprehensiveSRStorage, f"{ROOT}.1.4.1")
    series = item(SeriesInstanceUID=f"{ROOT}.1.4", ReferencedSOPSequence=[earlier])
    made.PredecessorDocumentsSequence = [
        item(StudyInstanceUID=STUDY, ReferencedSeriesSequence=[series])
    ]
    return made


def presentation() -> Dataset:
    """Grayscale Softcopy Presentation State (PS3.3 A.33.1)."""
    made = instance(GrayscaleSoftcopyPresentationStateStorage, 6)
    made.Modality, made.ContentLabel = "PR", "LABEL"
    made.PresentationCreationDate, made.PresentationCreationTime = "20240229", "101112"
    made.ReferencedSeriesSequence = [
        item(SeriesInstanceUID=CT_SERIES, ReferencedImageSequence=references())
    ]
    made.GraphicAnnotationSequence = [
        item(
            ReferencedImageSequence=references(),
            GraphicLayer="LAYER",
            TextObjectSequence=[item(UnformattedTextValue="Liver")],
        )
    ]
    return made


def study() -> list[Dataset]:
    """Everything, made anew."""
    return [*slices(), contours(), segmentation(), report(), addendum(), presentation()]


# ---------------------------------------------------------------- what refers to what

INSTANCES = {"ReferencedSOPInstanceUID"}
FRAMES = {"FrameOfReferenceUID", "ReferencedFrameOfReferenceUID"}


@dataclass
class Graph:
    """The UIDs of a study's instances: their own, and those that they refer to, in order."""

    own: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)
    frames: set[str] = field(default_factory=set)
    referred: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, datasets: list[Dataset]) -> Graph:
        graph = cls()
        for one in datasets:
            graph.own.add(str(one.SOPInstanceUID))
            graph.studies.add(str(one.StudyInstanceUID))
            graph.series.add(str(one.SeriesInstanceUID))
            graph.frames |= (
                {str(one.FrameOfReferenceUID)} if "FrameOfReferenceUID" in one else set()
            )
            for keyword, uid in _nested_uids(one):
                graph.referred.setdefault(f"{one.Modality} {keyword}", []).append(uid)
        return graph

    @property
    def unresolved(self) -> list[tuple[str, str]]:
        """References to what is not among the instances."""
        known = self.own | self.studies | self.series | self.frames
        return [
            (place, uid)
            for place, uids in self.referred.items()
            for uid in uids
            if uid not in known and not uid.startswith("1.2.840.10008.")
        ]


def _nested_uids(dataset: Dataset, depth: int = 0) -> Iterator[tuple[str, str]]:
    """UIDs in items that refer to instances, series, studies and frames of reference."""
    wanted = INSTANCES | FRAMES | {"StudyInstanceUID", "SeriesInstanceUID"}
    for element in dataset:
        if element.VR == "SQ":
            for one in element.value:
                yield from _nested_uids(one, depth + 1)
        elif depth and element.keyword in wanted:
            yield element.keyword, str(element.value)


def stored(folder: Path) -> list[Dataset]:
    """Every instance that the node has on its disk."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [pydicom.dcmread(path) for path in files if path.read_bytes()[128:132] == b"DICM"]


CASES = [
    pytest.param(seed, name, marks=() if (seed, name) == (1, "research") else pytest.mark.slow)
    for seed in (1, 2)
    for name in OPTIONS
]


@pytest.mark.parametrize(("seed", "name"), CASES)
def test_references_resolve_after_any_order_and_a_restart(tmp_path, name, seed):
    """Each instance over an association of its own; the node starts anew after every third."""
    sent = study()
    random.Random(seed).shuffle(sent)  # noqa: S311 - an order, no secret
    node = RunningNode(tmp_path / "node", CONFIG.format(options=OPTIONS[name]))
    for start in range(0, len(sent), 3):
        with node:
            for one in sent[start : start + 3]:
                assert store(node.port, one) == SUCCESS

    before, after = Graph.of(study()), Graph.of(stored(node.data))
    assert before.unresolved == []
    assert after.unresolved == []
    assert len(after.own) == len(before.own) == SLICES + 5
    assert (after.own | after.series | after.studies | after.frames).isdisjoint(
        before.own | before.series | before.studies | before.frames
    )
    assert len(after.studies) == len(after.frames) == 1
    assert len(after.series) == len(before.series)
    assert _numbers(after) == _expected_numbers(before, name)


def _numbers(graph: Graph) -> dict[str, tuple[int, int]]:
    """For each kind of reference: how many there are, and to how many things."""
    return {place: (len(uids), len(set(uids))) for place, uids in graph.referred.items()}


def _expected_numbers(before: Graph, name: str) -> dict[str, tuple[int, int]]:
    """As many as before, but for what is lost with a report's content and with graphics."""
    numbers = _numbers(before)
    of_reports, of_states = "SR ReferencedSOPInstanceUID", "PR ReferencedSOPInstanceUID"
    if name != "reports":
        numbers[of_reports] = (numbers[of_reports][0] - SLICES, numbers[of_reports][1])
    if name != "research":
        numbers[of_states] = (numbers[of_states][0] - SLICES, numbers[of_states][1])
    return numbers

"""Instances that are verified in tests: an original, and a result that is as it should be.

The results are made here by hand, so that what is found is what a test put there.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from scp.proof.verification import verify

if TYPE_CHECKING:
    from pathlib import Path

    from scp.proof.verification import Finding, Verdict

FAMILY, GIVEN = "Quandryson", "Melisande"
RECORD, ACCESSION = "PID-771234", "ACC20071"
INSTITUTION = "Quuxville Fourteen"
STUDY_DATE, BIRTH_DATE = "20110315", "19630217"
ROOT, NEW_ROOT = "1.2.7.555.1000", "2.25.100000000"  # equally long
METHOD = "Anonode: trial, basic 2026d"


def original(number: int = 1) -> Dataset:
    """A CT image of a patient with a rare name."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{ROOT}.3.{number}"
    dataset.StudyInstanceUID = f"{ROOT}.1"
    dataset.SeriesInstanceUID = f"{ROOT}.2"
    dataset.StudyDate = dataset.ContentDate = STUDY_DATE
    dataset.AccessionNumber = ACCESSION
    dataset.Manufacturer = "Makers of Devices"
    dataset.InstitutionName = INSTITUTION
    dataset.PatientName = f"{FAMILY}^{GIVEN}"
    dataset.PatientID = RECORD
    dataset.PatientBirthDate = BIRTH_DATE
    dataset.InstanceNumber = number
    dataset.ImageComments = "Breath held"
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes((number + at) % 7 for at in range(512))
    return dataset


def result(source: Dataset, *codes: str) -> Dataset:
    """What should become of it, with these codes behind that of the profile itself."""
    dataset = copy.deepcopy(source)
    for element in dataset.iterall():
        if element.VR == "UI" and str(element.value).startswith(ROOT):
            element.value = element.value.replace(ROOT, NEW_ROOT)
    for keyword in ("StudyDate", "AccessionNumber", "PatientName", "PatientBirthDate"):
        setattr(dataset, keyword, "")
    dataset.ContentDate = "19000101"
    dataset.PatientID = "PSEUDONYM"
    del dataset.InstitutionName, dataset.ImageComments
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [_code(one) for one in ("113100", *codes)]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    return dataset


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", "Option"
    return item


def save(folder: Path, dataset: Dataset, name: str = "", preamble: bytes = bytes(128)) -> Path:
    """Write a file, named by its instance unless a name is given."""
    folder.mkdir(exist_ok=True)
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta, dataset.preamble = meta, preamble
    path = folder / (name or f"{dataset.SOPInstanceUID}.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return path


def verified(folder: Path) -> Verdict:
    """Compare the folders `originals` and `results` in a folder, without a key."""
    before, after = (sorted((folder / name).iterdir()) for name in ("originals", "results"))
    return verify(before, after, lambda _: (), lambda: None)


def one_pair(folder: Path, before: Dataset, after: Dataset, **how: object) -> list[Finding]:
    """The findings of a single original and its result."""
    save(folder / "originals", before)
    save(folder / "results", after, **how)
    return verified(folder).findings


def said(findings: list[Finding]) -> set[tuple[str, str, str]]:
    """Severity, kind and tag of each."""
    return {(one.severity.value, one.kind, one.tag) for one in findings}

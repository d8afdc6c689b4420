"""One patient, one name: a study may not be changed into another person of the same identity.

A patient's main attributes are shown once for all studies of it. A modification of one study that
replaced them would contradict the studies that it leaves alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.archive.identifiers import Level, identifier
from scp.archive.job import JobRefused, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import Resource

_PATIENT_ID: Final = "PatientID"
_MAIN: Final = {
    _PATIENT_ID: "0010,0020",
    "PatientName": "0010,0010",
    "PatientBirthDate": "0010,0030",
    "PatientSex": "0010,0040",
}
_SENTENCE: Final = (
    "Trying to change patient tags in a study. The Patient already exists and has other studies. "
    "All the 'Replace' tags should match the existing patient main dicom tags and you should "
    "specify all Patient MainDicomTags in your query. Try using /patients/../modify to modify the "
    "patient. "
)


def refuse_inconsistent(
    catalogue: Catalogue, study: Resource, replacements: Mapping[str, str]
) -> None:
    """Refuse to give a study a patient that other studies contradict.

    Args:
        catalogue: What is stored.
        study: The study to be modified.
        replacements: New values at the top level, by keyword.

    Raises:
        JobRefused: the patient has other studies, and other main attributes.
    """
    if not replacements.keys() & _MAIN.keys():
        return
    patient_id = replacements.get(_PATIENT_ID, catalogue.above(study.id)[-1].uid)
    patient = catalogue.find(identifier(patient_id), Level.PATIENT)
    if patient is None or all(other.id == study.id for other in catalogue.children(patient.id)):
        return
    for keyword, tag in _MAIN.items():
        if not _agrees(replacements.get(keyword), patient.tags.get(keyword, ""), keyword):
            missing = keyword not in replacements
            what = "Missing tag in the 'Replace' tags" if missing else "Failing tag"
            raise JobRefused(Status.BAD_REQUEST, f"{_SENTENCE}{what}: {tag}")


def _agrees(said: str | None, stored: str, keyword: str) -> bool:
    """PatientID need not be said again: it is what tells the patient."""
    if said is None:
        return keyword == _PATIENT_ID or not stored.strip()
    return said.strip() == stored.strip()

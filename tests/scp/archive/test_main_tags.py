"""Which main attributes belong to which level."""

from __future__ import annotations

from rules.report import MAIN_TAGS
from rules.tables.dictionary import keyword_of
from scp.archive.identifiers import Level
from scp.archive.main_tags import KEYWORDS, of_level

NOBODYS = {"SpecificCharacterSet", "SOPClassUID"}


def test_each_level_takes_its_own() -> None:
    """A study does not show the name of a series."""
    tags = {"PatientName": "N", "StudyDate": "20200101", "Modality": "CT", "InstanceNumber": "1"}

    assert of_level(tags, Level.STUDY, "1.2") == {
        "StudyDate": "20200101",
        "StudyInstanceUID": "1.2",
    }
    assert of_level(tags, Level.SERIES, "1.3")["Modality"] == "CT"


def test_an_empty_patient_id_is_shown() -> None:
    """What tells one from another is there even where the instance lacks it."""
    assert of_level({}, Level.PATIENT, "") == {"PatientID": ""}


def test_what_the_journal_notes_has_a_level() -> None:
    """An attribute that is noted of every instance is shown somewhere."""
    noted = {keyword_of(tag) for tag in MAIN_TAGS}

    assert noted - NOBODYS <= frozenset().union(*KEYWORDS.values())

"""What touched resources are called afterwards."""

from __future__ import annotations

from rules.requests import Level, Renaming
from rules.requests.levels import KEYWORDS, UIDS


def test_what_is_not_touched_is_called_as_before():
    """Whatever it is."""
    assert [Renaming({"1": "2"})(uid) for uid in ("1", "2", "")] == ["2", "2", ""]


def test_a_renaming_does_not_show_what_it_holds():
    """Originals are not for logs."""
    assert "1.2.3" not in repr(Renaming({"1.2.3": "2"}))


def test_each_level_has_its_identifier():
    """From the patient down."""
    keywords = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

    assert tuple(level.keyword for level in Level) == keywords
    assert {KEYWORDS[tag] for tag in UIDS} == set(keywords[1:])

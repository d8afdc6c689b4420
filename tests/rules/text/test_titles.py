"""Names that a title, a degree or a label gives away (PS3.15 E.3.5)."""

from __future__ import annotations

import pytest

from rules.text.excision import without
from rules.text.titles import titled
from rules.text.wording import words


def untitled(said: str) -> str:
    """A text without titles and their names."""
    return without(said, titled(said, words(said)))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Dr. Hand saw the hand", "saw the hand"),
        ("Prof. Dr. med. A. von der Heyde Thorax", "Thorax"),
        ("REF DR WAKEFIELD CHEST PAIN", "REF CHEST PAIN"),
        ("Herr Brandstätter: Knie", "Knie"),
        ("Mme Delacroix, IRM du genou", "IRM du genou"),
        ("John Wakefield, M.D. liver", "liver"),
        ("read by Wakefield", "read by"),
        ("Zuweiser: Brandstätter", "Zuweiser"),
    ],
)
def test_a_title_a_degree_or_a_label_gives_a_name_away(said: str, left: str) -> None:
    """Also of somebody whom the instance does not name."""
    assert untitled(said) == left


@pytest.mark.parametrize(
    "said",
    [
        *("MR KNEE LEFT", "DR CHEST AP", "MS BRAIN PROTOCOL", "SR dose report", "MR Enterography"),
        *("doctor to be called", "Ref: Thorax", "patient: supine", "reconstructed by filtered"),
        *("Dr.", "MD", "CT, MD", "ms lesions", "Frau mit Knieschmerz", "seen by\nWakefield"),
    ],
)
def test_what_only_reads_like_a_title_stays(said: str) -> None:
    """Modalities, multiple sclerosis, labels in front of clinical words."""
    assert untitled(said) == said


def test_clinical_words_behind_a_name_stay() -> None:
    """Only the first word of a title is a name whatever it means."""
    assert untitled("Dr. Head Thorax CT") == "Thorax CT"

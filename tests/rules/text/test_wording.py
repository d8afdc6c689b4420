"""Words of a text and the form in which they are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.tables.clinical import clinical_words
from rules.text.wording import condensed, fold, folded_words, is_clinical, is_unspaced, words


@pytest.mark.parametrize(
    "said", ["MÜLLER", "Müller", "Mu\u0308ller", "m\u00adüll\u200ber", "\uff4dü\uff4cler"]
)
def test_words_compare_without_case_diacritics_width_and_unseen_marks(said: str) -> None:
    """One name, however it is encoded."""
    assert folded_words(said) == ("muller",)


@pytest.mark.parametrize(
    ("said", "folded"),
    [("Straße", "strasse"), ("Ørsted Łódź", "orsted lodz"), ("İI\u0131", "iii"), ("Æ", "ae")],
)
def test_letters_without_a_decomposition_are_spelled_plainly(said: str, folded: str) -> None:
    """As people write them on another keyboard."""
    assert fold(said) == folded


def test_vowel_signs_are_part_of_their_word() -> None:
    """Thai and Indic names are words, not heaps of consonants."""
    assert [said[:2] for said in words("ใจดี สมชาย")] == [(0, 4), (5, 10)]


def test_an_identifier_is_condensed_to_letters_and_digits() -> None:
    """However it is broken up."""
    assert condensed("MR-00.12/3 a_b") == "mr00123ab"


def test_scripts_without_blanks_are_known() -> None:
    """Han, kana, hangul, Thai; not Latin, Greek, Cyrillic, Arabic."""
    assert all(map(is_unspaced, ("山", "かな", fold("홍"), "ดี")))
    assert not any(map(is_unspaced, ("muller", "иванов", "νικος", "محمد")))


@pytest.mark.parametrize("word", ["thorax", "schadel", "genou", "hospital", "arthroskopie"])
def test_words_of_medicine_are_known_by_the_list_or_by_their_ending(word: str) -> None:
    """Of several languages."""
    assert is_clinical(word)


@pytest.mark.parametrize("word", ["wakefield", "smith", "rosenau", "tomy", "logie"])
def test_names_are_no_words_of_medicine(word: str) -> None:
    """An ending alone is none either."""
    assert not is_clinical(word)


def test_the_listed_words_are_folded() -> None:
    """Otherwise nothing would ever equal them."""
    listed = clinical_words()

    assert len(listed) > 3000
    assert all(fold(word) == word and word.isalpha() and len(word) > 1 for word in listed)


@given(st.text(max_size=60))
def test_words_cover_all_letters_and_digits_once(said: str) -> None:
    """In their order."""
    found = words(said)

    covered = "".join(said[start:end] for start, end, _ in found)
    assert [c for c in covered if c.isalnum()] == [c for c in said if c.isalnum()]
    assert all(word == fold(said[start:end]) for start, end, word in found)

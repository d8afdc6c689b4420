"""What an instance says elsewhere is found in its texts (PS3.15 E.3.5)."""

from __future__ import annotations

import pytest

from rules.identity import Identity
from rules.text.excision import without
from rules.text.own_words import TooMuch, own, own_in
from rules.text.wording import folded_words, words

WHO = Identity(
    names=frozenset(
        {"doe", "jane", "hand", "obrien", "brien", "muller", "mueller", "山田", "太郎", "山田太郎"}
    ),
    identifiers=frozenset({"4711", "abc1234567"}),
    phrases=frozenset({("general", "heart", "hospital")}),
)


def disowned(said: str) -> str:
    """A text without what its instance says elsewhere."""
    return without(said, own_in(said, words(said), own(WHO)))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Thorax Doe^Jane nativ", "Thorax nativ"),
        ("Thorax, Doe, Jane, nativ", "Thorax, nativ"),
        ("T2_DOE_JANE_AX", "T2_AX"),
        ("Doe's knee, J. Doe", "knee"),
        ("JaneDoe knee janedoe JDOE", "knee"),
        ("O'Brien OBRIEN o brien's skull", "skull"),
        ("MÜLLER Mueller Mu\u0308ller Hirn", "Hirn"),
        ("Thorax (Doe) nativ", "Thorax nativ"),
        ("Doe hand", ""),
        ("胸部CT山田太郎 造影", "胸部CT 造影"),
        ("Abdomen\r\nDoe, Jane\r\nliver", "Abdomen\r\n\r\nliver"),
    ],
)
def test_a_name_of_the_instance_goes_in_any_spelling(said: str, left: str) -> None:
    """Order, case, diacritics, joints and scripts make no difference."""
    assert disowned(said) == left


@pytest.mark.parametrize(
    "said", ["4711", "004711", "ID4711", "47-11", "ABC-123.45 67", "xabc1234567y", "4711/"]
)
def test_an_identifier_of_the_instance_goes_however_it_is_broken_up(said: str) -> None:
    """Blanks, signs, leading zeros and what is glued to it make no difference."""
    cleaned = disowned(f"liver {said} lesion")

    assert {"liver", "lesion"} <= set(folded_words(cleaned))
    assert not any(character.isdigit() for character in cleaned)


@pytest.mark.parametrize("said", ["14711", "47112", "4 711 mm", "47 11", "handed", "chand"])
def test_a_part_of_another_word_or_number_is_none(said: str) -> None:
    """A short number is an identifier only as a whole."""
    assert disowned(said) == said


def test_an_institution_goes_as_a_phrase_and_its_generic_words_stay() -> None:
    """General Heart Hospital is one place; a heart is everybody's."""
    said = "GENERAL HEART HOSPITAL heart perfusion, general hospital ward"

    assert disowned(said) == "heart perfusion, general hospital ward"


def test_a_search_that_is_made_to_take_long_is_given_up() -> None:
    """Many identifiers in much text; whoever asked drops the text."""
    who = Identity(identifiers=frozenset(f"a{number:05}" for number in range(10_000)))
    said = "a" * 30_000

    with pytest.raises(TooMuch):
        list(own_in(said, words(said), own(who)))

"""Functions of Replace: hashes, capped ages, look-ups and substitutions."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.conditions import MAX_SUBJECT_CHARACTERS, Pattern
from rules.errors import Reason
from rules.functions import CapAge, HashText, LookUp, Substitute
from rules.operators import Context, Refusal
from rules.pseudonyms import Pseudonyms
from rules.values import DATA_PREFIX, NUMBER_VRS, TEXT_VRS, Unencodable

LATIN_1, UTF_8, DEFAULT = ("ISO_IR 100",), ("ISO_IR 192",), ()
VRS = (
    *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "IS", "OB", "OW", "SQ", "TM", "UI", "UN", "UR"),
    *sorted(TEXT_VRS),
    *sorted(NUMBER_VRS),
)
SECRET = "Grünewald"  # noqa: S105 - a name
TABLE = {"PAT-1": "A-001", SECRET: "B-002", "Ω": "Ж", "gone": "", "long": "x" * 17}


def context(charsets=DEFAULT):
    """An instance in these character sets."""
    return Context(Pseudonyms(bytes(range(32))), implicit=False, charsets=charsets)


def substitute(source, replacement, *, ignore_case=False):
    """The operator."""
    return Substitute(Pattern(source, ignore_case=ignore_case), replacement)


def looked_up(missing="reject"):
    """The operator, over a table with a name in it."""
    return LookUp(TABLE, missing, "ids.csv")


# ---- hash


@pytest.mark.parametrize("characters", [4, 15, 16, 64])
def test_a_hash_has_its_length_and_an_even_one(characters):
    """Padded as every text."""
    value = HashText("s", characters).apply("LO", b"PAT-1 ", context())

    assert len(value.rstrip(b" ")) == characters
    assert len(value) % 2 == 0


def test_a_hash_is_the_same_in_every_character_set():
    """What a scanner writes does not make a patient another one."""
    hashed = HashText("s", 16)
    composed, decomposed = SECRET, SECRET.replace("ü", "u\u0308")

    results = {
        hashed.apply("PN", composed.encode("latin-1") + b" ", context(LATIN_1)),
        hashed.apply("PN", composed.encode(), context(UTF_8)),
        hashed.apply("PN", decomposed.encode(), context(UTF_8)),
    }

    assert len(results) == 1


def test_several_values_make_one_hash():
    """As a pseudonym does: the value as a whole is what identifies."""
    assert b"\\" not in HashText("s", 16).apply("LO", b"a\\b ", context())


@pytest.mark.parametrize("vr", ["UI", "DA", "IS", "US", "OB", "SQ"])
def test_a_hash_that_the_vr_cannot_hold_is_an_error(vr):
    """Rather than an element that nobody can read."""
    with pytest.raises(ValueError, match=vr if vr != "SQ" else "sequence"):
        HashText("s", 16).apply(vr, b"12", context())


def test_a_hash_too_long_for_its_vr_is_an_error():
    """Nothing is cut off."""
    with pytest.raises(ValueError, match="at most 16 characters"):
        HashText("s", 20).apply("SH", b"12", context())


def test_an_element_of_unknown_vr_can_be_hashed():
    """Private elements in implicit VR have no other."""
    assert len(HashText("s", 15).apply("UN", b"12", context())) == 16


# ---- age


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"090Y", b"089Y"),
        (b"120Y", b"089Y"),
        (b"089Y", b"089Y"),
        (b"001Y", b"001Y"),
        (b"999M", b"999M"),
        (b"999W", b"999W"),
        (b"999D", b"999D"),
        (b"090Y\\010Y ", b"089Y\\010Y "),
        (b"045Y\\x ", b"045Y\\ "),
        (b"", b""),
        (b"45Y ", b""),
        (b"Doe ", b""),
        (b"090y", b""),
    ],
)
def test_an_age_above_the_cap_is_the_cap(value, expected):
    """What is no age says nothing any more."""
    assert CapAge(89).apply("AS", value, context()) == expected


@pytest.mark.parametrize(
    ("years", "value", "expected"),
    [
        (2, b"035M", b"035M"),
        (2, b"036M", b"002Y"),
        (2, b"365D", b"365D"),
        (1, b"730D", b"730D"),
        (1, b"731D", b"001Y"),
        (10, b"573W", b"573W"),
        (10, b"574W", b"010Y"),
    ],
)
def test_an_age_in_other_units_counts_in_whole_years(years, value, expected):
    """Somebody of two years and eleven months is not above two."""
    assert CapAge(years).apply("AS", value, context()) == expected


@pytest.mark.parametrize("vr", ["PN", "DS", "IS", "LO"])
def test_only_ages_are_capped(vr):
    """A number could be of anything."""
    with pytest.raises(ValueError, match=vr):
        CapAge(89).apply(vr, b"090Y", context())


# ---- look-up


@pytest.mark.parametrize(
    ("value", "charsets", "expected"),
    [
        (b"PAT-1 ", DEFAULT, b"A-001 "),
        (b" PAT-1", DEFAULT, b"A-001 "),
        (SECRET.encode("latin-1") + b" ", LATIN_1, b"B-002 "),
        (SECRET.encode(), UTF_8, b"B-002 "),
        (SECRET.replace("ü", "u\u0308").encode(), UTF_8, b"B-002 "),
        ("Ω".encode(), UTF_8, "Ж".encode()),
        (b"gone", DEFAULT, b""),
    ],
)
def test_a_value_is_looked_up_as_text(value, charsets, expected):
    """Whatever its padding, its character set and its way to write an accent."""
    assert looked_up().apply("LO", value, context(charsets)) == expected


@pytest.mark.parametrize("value", [b"PAT-2 ", b"", b"  ", b"pat-1 "])
def test_a_value_without_an_entry_refuses_the_instance_or_goes(value):
    """As the profile says; nothing passes because it was forgotten."""
    with pytest.raises(Refusal) as refused:
        looked_up("reject").apply("LO", value, context())

    assert refused.value.reason is Reason.NOT_IN_LOOKUP
    assert looked_up("remove").apply("LO", value, context()) == b""


def test_an_entry_that_the_character_set_cannot_hold_widens_the_instance():
    """Which the engine does when it is told so."""
    with pytest.raises(Unencodable):
        looked_up().apply("LO", b"\xd9", context(("ISO_IR 126",)))


def test_an_entry_that_the_vr_cannot_hold_is_an_error():
    """Nothing is cut off."""
    with pytest.raises(ValueError, match="at most 16 characters"):
        looked_up().apply("SH", b"long", context())


def test_a_table_is_never_shown():
    """It pairs patients with pseudonyms."""
    assert SECRET not in repr(looked_up()) + looked_up().describe()
    assert looked_up().describe() == "looked up in ids.csv, refused if missing"
    assert looked_up("remove").describe() == "looked up in ids.csv, emptied if missing"


# ---- substitution


@pytest.mark.parametrize(
    ("source", "replacement", "value", "expected"),
    [
        ("[0-9]+", "#", b"a12b345 ", b"a#b#"),
        ("b", "", b"abc ", b"ac"),
        ("a|ab", "-", b"abab", b"--"),
        ("a+?", "-", b"aaba", b"-b- "),
        ("x*", "-", b"abxx", b"ab- "),
        ("^a", "-", b"aa", b"-a"),
        ("a$", "-", b"aa ", b"a-"),
        ("\\bdoe\\b", "-", b"doe doer", b"- doer"),
        ("a", "\\1", b"b ", b"b "),
        ("a", "(\\g<0>", b"b ", b"b "),
        (".*", "", b"abcd", b""),
        ("z", "-", b"abc ", b"abc "),
        ("z", "-", b"", b""),
        ("\\\\b", "", b"a\\b\\c ", b"a\\c "),
    ],
)
def test_every_occurrence_is_replaced(source, replacement, value, expected):
    """From the left, the longest one first; an occurrence of nothing is none."""
    assert substitute(source, replacement).apply("LO", value, context()) == expected


def test_a_replacement_is_taken_literally():
    """There are no groups to refer to."""
    result = substitute("a", "$1\\g").apply("LT", b"a ", context())

    assert result == b"$1\\g"


def test_text_is_searched_in_its_character_set():
    """An occurrence is one of characters, not of bytes."""
    result = substitute("grü", "x", ignore_case=True).apply(
        "LO", SECRET.encode("latin-1") + b" ", context(LATIN_1)
    )

    assert result == b"xnewald "


def test_what_does_not_occur_changes_no_byte():
    """Not even of a text that cannot be read."""
    assert substitute("z", "y").apply("LO", b"a\xff\x1b$", context(UTF_8)) == b"a\xff\x1b$"


@pytest.mark.parametrize(
    ("vr", "value", "source", "replacement", "expected"),
    [
        ("DS", b"1.5 ", "\\.5", "", b"1 "),
        ("CS", b"A\\B ", "B", "C", b"A\\C "),
        ("UI", b"1.2.3\0", "3$", "45", b"1.2.45"),
        ("DA", b"20200229", "29$", "01", b"20200201"),
        ("US", b"\x0c\0", "12", "13", b"\x0d\0"),
        ("UN", b"abc ", "b", "", b"ac"),
    ],
)
def test_values_of_other_vrs_are_texts_too(vr, value, source, replacement, expected):
    """Padding does not count, and is made anew."""
    assert substitute(source, replacement).apply(vr, value, context()) == expected


@pytest.mark.parametrize(
    ("vr", "value", "source", "replacement"),
    [
        ("DS", b"1.5 ", "5", "x"),
        ("DA", b"20200229", "29$", "31"),
        ("UI", b"1.2 ", "2", "02"),
        ("SH", b"ab", "a", "x" * 16),
        ("LO", b"ab", "a", "x\\y"),
        ("CS", b"AB", "A", "A\\B"),
        ("OB", b"ab", "a", "b"),
        ("CS", b"\xc4A", "A", "B"),
    ],
)
def test_a_result_that_the_vr_cannot_hold_is_an_error(vr, value, source, replacement):
    """Of its form, its length, its character set or the number of its values."""
    with pytest.raises(ValueError, match=r"."):
        substitute(source, replacement).apply(vr, value, context())


def test_a_result_that_the_character_set_cannot_hold_widens_the_instance():
    """Which the engine does when it is told so."""
    with pytest.raises(Unencodable):
        substitute("a", "Ж").apply("LO", b"a ", context(LATIN_1))


def test_no_value_can_pass_as_the_bytes_of_a_literal():
    """Base 64 is for the profile to write, not for a sender."""
    value = f"x{DATA_PREFIX}YWJj".encode()

    with pytest.raises(ValueError, match="something else"):
        substitute("^x", "").apply("UT", value, context())


def test_a_text_too_long_to_search_is_an_error():
    """And never passes unsearched."""
    with pytest.raises(ValueError, match="more than"):
        substitute("b", "").apply("UT", b"a" * (MAX_SUBJECT_CHARACTERS + 2), context())


def test_operators_describe_themselves():
    """In words for a person who reads what a profile does."""
    assert HashText("s", 16).describe() == "keyed hash of 16 characters, scope s"
    assert CapAge(89).describe() == "at most 89 years"
    assert substitute("a", "b", ignore_case=True).describe() == '"b" for each /a/i'


# ---- whatever comes


@given(st.sampled_from(VRS), st.binary(max_size=60), st.sampled_from([DEFAULT, LATIN_1, UTF_8]))
def test_any_bytes_give_an_even_length_or_a_value_error(vr, value, charsets):
    """No sender can make an operator fail in another way, nor quote a value."""
    operators = (
        HashText("s", 15),
        CapAge(89),
        looked_up("remove"),
        substitute("[0-9a-z]", "1"),
        substitute(".", ""),
    )

    for operator in operators:
        with contextlib.suppress(ValueError):
            assert len(operator.apply(vr, value, context(charsets))) % 2 == 0


@given(st.text("ab1", min_size=1, max_size=20))
def test_substitution_is_that_of_regular_expressions(text):
    """For patterns that are greedy by themselves, which is all that leaves no choice."""
    for source in ("[ab]+", "a", "1[ab]*", "^a", "b$"):
        result = substitute(source, "-").apply("UT", text.encode(), context())

        expected = re.sub(source.replace("$", r"\Z"), "-", text)
        assert result.decode().rstrip(" ") == expected

"""What names a resource in the REST API."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.archive.identifiers import Level, identifier


def test_a_patient_has_the_identifier_that_orthanc_gives_it() -> None:
    """Known from Orthanc's documentation."""
    assert identifier("Hello") == "f7ff9e8b-7bb2e09b-70935a5d-785e0cc5-d9d0abf0"


def test_what_lies_lower_is_named_by_all_above_it() -> None:
    """The same UID in another study is another resource."""
    names = {identifier("A", "1.2"), identifier("B", "1.2"), identifier("A", "1.3")}

    assert len(names | {identifier("A"), identifier("A", "1.2", "1.2")}) == 5


@pytest.mark.parametrize("padded", ["HELLO ", " HELLO", "HELLO\0"])
def test_padding_does_not_count(padded: str) -> None:
    """As a UID or a PatientID is written with or without it."""
    assert identifier(padded) == identifier("HELLO")


def test_a_missing_patient_is_an_empty_one() -> None:
    """SHA-1 of nothing."""
    assert identifier("") == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4))
def test_every_identifier_has_the_same_shape(uids: list[str]) -> None:
    """Five groups of eight hexadecimal digits, whatever the values are."""
    groups = identifier(*uids).split("-")

    assert [len(group) for group in groups] == [8] * 5
    assert set("".join(groups)) <= set("0123456789abcdef")


def test_levels_are_spelled_as_orthanc_does() -> None:
    """Words of JSON and of addresses, from the top."""
    assert [level.word for level in Level] == ["Patient", "Study", "Series", "Instance"]
    assert [level.path for level in Level] == ["patients", "studies", "series", "instances"]
    assert all(above < below for above, below in pairwise(Level))


def test_no_patient_can_have_the_identifier_of_a_study():
    """PatientID is free text: with a bar in it, it could be that of a patient and a UID."""
    assert identifier("A|1.2") != identifier("A", "1.2")
    assert identifier("A|1.2", "3.4") != identifier("A", "1.2", "3.4")

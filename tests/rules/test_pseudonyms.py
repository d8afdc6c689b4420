"""Keyed functions: offsets that are never zero and spread evenly, and hashes of any length."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.pseudonyms import Pseudonyms

KEYED = Pseudonyms(bytes(range(32)))
OTHER = Pseudonyms(bytes(range(1, 33)))
BOUNDS = st.tuples(st.integers(-4000, 4000), st.integers(0, 4000)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)


@given(st.text(max_size=20), BOUNDS)
def test_an_offset_lies_between_its_bounds_and_is_never_zero(original, bounds):
    """Zero would leave every date what it was."""
    assume(bounds != (0, 0))

    offset = KEYED.offset("days", "s", original, *bounds)

    assert bounds[0] <= offset <= bounds[1]
    assert offset != 0


def test_every_offset_is_as_likely_as_another():
    """Two bounds around zero leave ten numbers, and each comes up a tenth of the time."""
    counts = Counter(KEYED.offset("days", "s", str(one), -5, 5) for one in range(10_000))

    assert set(counts) == {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5}
    assert all(850 < count < 1150 for count in counts.values())


@pytest.mark.parametrize("bounds", [(0, 0), (3, 2), (5, -5)])
def test_bounds_without_a_number_between_them_are_an_error(bounds):
    """Nobody gets an offset that the profile does not allow."""
    with pytest.raises(ValueError, match="other than zero"):
        KEYED.offset("days", "s", "x", *bounds)


def test_an_offset_depends_on_key_unit_scope_and_patient():
    """One of them changed is another offset; none of them changed is the same."""
    arguments = ("days", "scope", "patient", -(10**9), 10**9)
    offset = KEYED.offset(*arguments)

    assert KEYED.offset(*arguments) == offset
    assert OTHER.offset(*arguments) != offset
    for place in range(3):
        changed = (*arguments[:place], "other", *arguments[place + 1 :])
        assert KEYED.offset(*changed) != offset


@given(st.text(max_size=20), st.integers(1, 102))
def test_a_hash_has_as_many_characters_as_asked(original, count):
    """All of base 32, so that it fits the VRs of identifiers and codes."""
    text = KEYED.characters("s", original, count)

    assert len(text) == count
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    assert KEYED.characters("s", original, 102).startswith(text)


def test_a_hash_depends_on_key_scope_and_value():
    """One of them changed is another hash, up to its last characters."""
    text = KEYED.characters("scope", "value", 64)

    others = {
        OTHER.characters("scope", "value", 64),
        KEYED.characters("other", "value", 64),
        KEYED.characters("scope", "other", 64),
    }
    assert len({text, *others}) == 4
    assert len({one[52:] for one in (text, *others)}) == 4


def test_a_hash_is_no_pseudonym():
    """Who knows one of a value learns nothing about the other."""
    assert KEYED.characters("s", "value", 16) != KEYED.identifier("s", "value")

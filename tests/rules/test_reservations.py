"""In which block an added private element goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.operators import KEEP, REMOVE, Constant
from rules.plan import PrivateActions
from rules.private import Addition, Written
from rules.reservations import reserved

KEEPING, REMOVING = PrivateActions({}, KEEP), PrivateActions({}, REMOVE)


def addition(creator="OWNER", number=1, block=0x10, group=0x0009):
    """An element to add."""
    return Addition(group, creator, number, block, Written("LO", Constant(b"new ", "new")))


def tags(additions, standing, private=KEEPING):
    """Of what is written."""
    return sorted(tag for tag, _, _ in reserved(additions, standing, private))


def test_a_new_creator_reserves_the_wanted_block():
    """Once for all of its elements."""
    wanted = [addition(number=1, block=0x20), addition(number=2, block=0x21)]

    assert tags(wanted, {}) == [0x00090020, 0x00092001, 0x00092002]


def test_a_creator_that_stands_keeps_its_block():
    """The wanted one of several, else its first."""
    standing = {0x00090011: "OWNER ", 0x00090015: "OWNER", 0x00090010: "OTHER"}

    assert tags([addition(block=0x10)], standing) == [0x00091101]
    assert tags([addition(block=0x15)], standing) == [0x00091501]


def test_a_block_of_another_or_with_orphans_is_not_taken():
    """The first that is free is."""
    standing = {0x00090010: "OTHER", 0x00091101: "orphan"}

    assert tags([addition()], standing) == [0x00090012, 0x00091201]


def test_a_block_that_goes_is_free():
    """Unless something in it stays."""
    standing = {0x00090010: "OTHER", 0x00091001: "x"}
    by_creator = PrivateActions({(0x0009, "OTHER", 1): KEEP}, REMOVE)
    by_tag = PrivateActions({}, REMOVE, by_tag={0x00091001: KEEP})

    assert tags([addition()], standing, REMOVING) == [0x00090010, 0x00091001]
    assert tags([addition()], standing, by_creator) == [0x00090011, 0x00091101]
    assert tags([addition()], standing, by_tag) == [0x00090011, 0x00091101]


def test_two_creators_get_two_blocks():
    """Even if they want the same."""
    assert tags([addition("A"), addition("B")], {}) == [
        0x00090010,
        0x00090011,
        0x00091001,
        0x00091101,
    ]


def test_a_group_without_a_free_block_is_an_error():
    """Nobody loses theirs."""
    full = {0x00090000 | block: f"C{block}" for block in range(0x10, 0x100)}

    with pytest.raises(ValueError, match="no private block is free"):
        reserved([addition()], full, KEEPING)


@given(
    st.lists(
        st.builds(addition, st.sampled_from("ABC"), st.integers(0, 255), st.integers(16, 255)),
        max_size=6,
    ),
    st.dictionaries(st.integers(0x00090010, 0x000900FF), st.sampled_from("ABCDE"), max_size=8),
)
def test_every_element_is_in_a_block_of_its_creator(additions, standing):
    """That stands, or is written along; and nothing that stands is overwritten by another."""
    written = {tag: operator for tag, _, operator in reserved(additions, standing, KEEPING)}
    creators = dict(standing)
    for tag, operator in written.items():
        if tag & 0xFFFF <= 0xFF:
            assert tag not in standing
            creators[tag] = operator.value.decode().strip()

    owners = {creators[tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8] for tag in written if tag & 0xFF00}
    assert owners == {one.creator for one in additions}

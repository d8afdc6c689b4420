"""The border to the data dictionary answers for every tag that a wire can carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.tables.dictionary import is_known, keyword_of, vr_of


@given(st.integers(0, 0xFFFFFFFF))
def test_every_tag_has_an_answer(tag):
    """A sender chooses the tags."""
    assert (vr_of(tag) is not None) <= is_known(tag)
    assert isinstance(keyword_of(tag), str)


@pytest.mark.parametrize("tag", [0x7FD10010, 0x50010010, 0x60030022])
def test_a_private_group_among_repeating_ones_is_private(tag):
    """Pydicom finds it in the pattern and then not in its dictionary."""
    assert (vr_of(tag), is_known(tag), keyword_of(tag)) == (None, False, "")


@pytest.mark.parametrize(
    ("tag", "vr"), [(0x60023000, "OB or OW"), (0x50022500, "LO"), (0x00100010, "PN")]
)
def test_repeating_groups_are_known(tag, vr):
    """Those of curves and overlays."""
    assert vr_of(tag) == vr

"""Flags behind the question mark."""

from __future__ import annotations

import pytest

from scp.api.parameters import is_set


@pytest.mark.parametrize(
    ("flag", "meant"),
    [(None, False), ("", True), ("true", True), ("1", True), ("False", False), ("0", False)],
)
def test_a_flag_is_set_by_being_there(flag, meant):
    """Unless it says that it is not."""
    assert is_set(flag) is meant

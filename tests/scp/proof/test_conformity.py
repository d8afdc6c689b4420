"""Faults are of marks, preamble and file meta information, each by its tag."""

from __future__ import annotations

import pytest

from scp.proof.conformity import faults
from scp.proof.second_reader import read_again
from tests.scp.proof.verifying import original, result, save


def test_a_proper_result_has_none(tmp_path):
    """Nothing to say."""
    assert list(faults(read_again(save(tmp_path, result(original()))))) == []


def test_an_original_has_no_marks(tmp_path):
    """One fault for each."""
    found = {(tag, kind) for tag, kind, _ in faults(read_again(save(tmp_path, original())))}
    assert found == {("(0012,0062)", "mark"), ("(0012,0063)", "mark"), ("(0028,0303)", "mark")}


@pytest.mark.parametrize("preamble", [b"II*\0".ljust(128, b"\0"), b"x" * 128])
def test_a_preamble_is_zero(tmp_path, preamble):
    """Other formats begin there."""
    path = save(tmp_path, result(original()), preamble=preamble)
    assert [kind for _, kind, _ in faults(read_again(path))] == ["preamble"]

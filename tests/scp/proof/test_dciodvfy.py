"""A kind of error is what dciodvfy says without what it quotes."""

from __future__ import annotations

import pytest

from scp.proof import dciodvfy

SAYS = """#!/bin/sh
cat >&2 <<EOT
Warning - Value is <SECRET>
Error - Value invalid for this VR - (0x0010,0x0010) PN  Patient's Name  PN [1] = <SECRET^NAME>
Error - Missing attribute Type 2 Required Element=<OperatorsName> Module=<RTSeries>
Error - Unrecognized value <SECRET> for value 1 of attribute <Modality>
EOT
"""


@pytest.fixture
def program(tmp_path):
    """Something that speaks as dciodvfy does, and quotes."""
    path = tmp_path / "dciodvfy"
    path.write_text(SAYS)
    path.chmod(0o755)
    return str(path)


def test_a_kind_names_attributes_and_quotes_nothing(program, tmp_path):
    """Warnings are none."""
    kinds = dciodvfy.kinds(program, tmp_path)

    assert "SECRET" not in repr(kinds)
    assert len(kinds) == 3
    assert any("Element=<OperatorsName>" in kind for kind in kinds)
    assert any("attribute <Modality>" in kind for kind in kinds)


def test_only_new_kinds_are_told(program, tmp_path):
    """An original may have had them."""
    found = dict(dciodvfy.new_kinds(program, [([tmp_path / "before"], tmp_path / "after")]))

    assert found == {tmp_path / "after": frozenset()}


def test_it_runs_where_it_is_installed(peer, tmp_path):
    """Whatever is no DICOM file has errors, or it says nothing."""
    peer("dciodvfy")
    program = dciodvfy.installed()
    assert program

    (tmp_path / "empty").write_bytes(b"")
    assert all(kind.startswith("Error") for kind in dciodvfy.kinds(program, tmp_path / "empty"))

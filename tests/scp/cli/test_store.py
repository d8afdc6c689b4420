"""`list`, `show` and `retry`: a number that no journal can hold is a mistake, not an accident."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scp.journal import FILE_NAME, Journal
from tests.acceptance.running import anonode

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
version: 1
routes: [{from: "*", profile: basic}]
"""
TOO_LARGE = "9" * 20


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a node that has received nothing."""
    (tmp_path / "data").mkdir()
    with closing(Journal(tmp_path / "data" / FILE_NAME)):
        pass
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", TOO_LARGE), "no such instance"),
        (("show", "9" * 5000), "no such instance"),
        (("list", "--limit", TOO_LARGE), "--limit"),
        (("retry", "--instance", TOO_LARGE), "--instance"),
        (("retry", "--instance", "0"), "--instance"),
    ],
)
def test_a_number_that_is_too_large_is_a_wrong_command_line(
    config: Path, words: tuple[str, ...], said: str
) -> None:
    """With exit status 2 and the name of the option."""
    done = anonode(*words, "--config", config)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Error" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_largest_number_is_one(config: Path) -> None:
    """Nobody has as many."""
    done = anonode("list", "--limit", str((1 << 63) - 1), "--config", config)

    assert (done.returncode, done.stderr) == (0, "")

"""The key that a command uses is the one of the instances beside it, or there is none yet."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scp.journal import FILE_NAME, Journal
from scp.key import note_key
from tests.acceptance.running import anonode
from tests.encoded import EXPLICIT
from tests.instances import file, small_ct

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """
version: 1
routes: [{from: "*", profile: basic}]
"""
KEY = bytes(range(32))
COMMANDS = {
    "preview": ("{folder}/in",),
    "deidentify": ("{folder}/in", "{folder}/out", "-p", "basic"),
    "pseudonym": ("4711", "--scope", "basic"),
    "match": ("{folder}/list.csv", "AAAA", "--scope", "basic"),
}


@pytest.fixture
def keyed(tmp_path: Path) -> Callable[[bytes], list[str | Path]]:
    """A node that received under `KEY`, and now has another key, perhaps: its configuration."""
    (tmp_path / "data").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(file(small_ct(), EXPLICIT))
    (tmp_path / "list.csv").write_text("4711\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    with closing(Journal(tmp_path / "data" / FILE_NAME)) as journal:
        note_key(journal, KEY)

    def use(key: bytes) -> list[str | Path]:
        path = tmp_path / "data" / "key"
        path.touch(0o600)
        path.write_text(key.hex() + "\n")
        return ["--config", tmp_path / "config.yaml"]

    return use


@pytest.mark.parametrize("command", COMMANDS)
def test_another_key_than_that_of_the_instances_is_refused(
    keyed: Callable[[bytes], list[str | Path]], tmp_path: Path, command: str
) -> None:
    """The same patient would get a second pseudonym, or be nobody's."""
    words = [word.format(folder=tmp_path) for word in COMMANDS[command]]

    done = anonode(command, *words, *keyed(bytes(32)))

    assert done.returncode == 78
    assert "restore that one" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_the_key_of_the_instances_is_used(keyed: Callable[[bytes], list[str | Path]]) -> None:
    """Also beside a journal."""
    done = anonode("pseudonym", "4711", "--scope", "basic", *keyed(KEY))

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.strip()) == 16

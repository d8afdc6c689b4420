"""`send` and `deidentify`: one bad file, or a bad option, and what the command says of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.running import anonode
from tests.encoded import EXPLICIT
from tests.instances import file, merged, small_ct, text
from tests.scp.raw_peer import Desk, serving

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
version: 1
profiles:
  kept: {Base: basic, Options: [retain-uids]}
routes: [{from: "*", profile: kept}]
"""
SOP_CLASS, STUDY = 0x00080016, 0x0020000D


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file with a UID that is none, and another."""
    path = tmp_path / "in"
    path.mkdir()
    (path / "b.dcm").write_bytes(file(small_ct(instance=2), EXPLICIT))
    return path


def flawed(tag: int, uid: str) -> bytes:
    """A file one of whose UIDs is this."""
    return file(merged(small_ct(), [text(tag, "UI", uid)]), EXPLICIT)


@pytest.mark.parametrize(
    ("option", "title"), [("--from", "DOE^JANE-AND-MORE-THAN-SIXTEEN"), ("--called", "")]
)
def test_a_title_that_is_none_is_a_wrong_command_line(
    folder: Path, option: str, title: str
) -> None:
    """The option is named, and nobody is called."""
    done = anonode("send", folder, "--to", "127.0.0.1:1", option, title)

    assert done.returncode == 2
    assert f"'{option}'" in done.stderr
    assert "DOE" not in done.stderr


def test_a_file_that_cannot_be_sent_is_named_and_the_others_are_sent(folder: Path) -> None:
    """Exit status 1."""
    (folder / "a.dcm").write_bytes(flawed(SOP_CLASS, "1.2.CLASS^DOE"))
    desk = Desk()

    with serving(desk) as listener:
        done = anonode("send", folder, "--to", f"127.0.0.1:{listener.address[1]}")

    assert f"{folder / 'a.dcm'}: its SOP Class UID is not a UID\n" in done.stdout
    assert "2 files offered, 1 failed" in done.stdout
    assert (done.returncode, done.stderr, len(desk.received)) == (1, "", 1)


def test_a_file_that_cannot_be_named_is_refused_and_the_others_are_written(
    folder: Path, tmp_path: Path
) -> None:
    """Below the target and nowhere else; exit status 1."""
    (folder / "a.dcm").write_bytes(flawed(STUDY, "../../escaped"))
    (tmp_path / "config.yaml").write_text(CONFIG)
    target = tmp_path / "deep" / "target"

    done = anonode(
        *("deidentify", folder, target, "-p", "kept", "--config", tmp_path / "config.yaml"),
        *("--processes", "1"),
    )

    assert f"{folder / 'a.dcm'}: refused: its Study Instance UID is not a UID\n" in done.stdout
    assert "1 files written" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")
    assert not list(tmp_path.rglob("escaped*"))
    assert len(list(target.rglob("*.dcm"))) == 1


def test_a_file_whose_name_is_no_text_is_named_and_the_others_are_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it is one; where the locale says UTF-8, such a name cannot be encoded."""
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")
    (folder / os.fsdecode(b"1M\xfcller.txt")).write_bytes(b"no instance")
    (tmp_path / "config.yaml").write_text(CONFIG)

    done = anonode(
        *("deidentify", folder, tmp_path / "out", "-p", "kept", "--processes", "1"),
        *("--config", tmp_path / "config.yaml"),
    )

    assert "1M\\udcfcller.txt: refused: " in done.stdout
    assert "1 files written" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")

"""Lookup files beside a configuration."""

from __future__ import annotations

import os
import re

import pytest

from rules.profile import Lookup
from scp import lookups
from scp.config import load_config
from scp.lookups import LookupFiles

CONFIG = """\
version: 1
profiles:
  research:
    Replace:
      PatientID: {lookup: tables/ids.csv, missing: remove}
routes: [{from: "*", profile: research}]
"""


def test_a_file_stands_beside_the_configuration(tmp_path):
    """Wherever the node was started."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "ids.csv").write_text("A-1,001\n")

    read = load_config(tmp_path / "config.yaml")

    assert read.profiles["research"].replace[0].value == Lookup(
        {"A-1": "001"}, "remove", "tables/ids.csv"
    )
    assert "A-1" not in repr(read)


def test_a_file_is_read_once(tmp_path):
    """Several rules may name it, and they see the same."""
    (tmp_path / "ids.csv").write_text("A,1\n")
    files = LookupFiles(tmp_path)

    first = files.read("ids.csv")
    (tmp_path / "ids.csv").write_text("A,2\n")

    assert files.read("ids.csv") == first


def test_an_absolute_path_is_taken_as_it_is(tmp_path):
    """A list may be kept where only its owner writes."""
    (tmp_path / "ids.csv").write_text("A,1\n")

    assert LookupFiles(tmp_path / "elsewhere").read(str(tmp_path / "ids.csv")) == "A,1\n"


def test_what_was_read_is_not_shown(tmp_path):
    """It holds the identities of patients."""
    (tmp_path / "ids.csv").write_text("A-1,001\n")
    files = LookupFiles(tmp_path)
    files.read("ids.csv")

    assert "A-1" not in repr(files)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "the file cannot be read"), (b"M\xfcller,1", "the file is not in UTF-8")],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, content, said):
    """One sentence, without its path or a value."""
    if content is not None:
        (tmp_path / "ids.csv").write_bytes(content)

    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        LookupFiles(tmp_path).read("ids.csv")
    assert str(tmp_path) not in str(refused.value)


def test_what_is_no_plain_file_is_not_read(tmp_path):
    """A pipe would keep the node waiting."""
    os.mkfifo(tmp_path / "pipe")

    for name in (".", "pipe"):
        with pytest.raises(ValueError, match="this is no plain file"):
            LookupFiles(tmp_path).read(name)


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    """No file may fill the memory of the node."""
    monkeypatch.setattr(lookups, "_LIMIT_BYTES", 1 << 20)
    (tmp_path / "ids.csv").write_bytes(b"A,1\n" * (1 << 18))
    assert LookupFiles(tmp_path).read("ids.csv")

    (tmp_path / "more.csv").write_bytes(b"A,1\n" * (1 << 18) + b"\n")
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        LookupFiles(tmp_path).read("more.csv")

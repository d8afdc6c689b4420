"""Whatever goes wrong with a reload, the node goes on by what it was told before."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rules import DocumentError, Mark, Problem
from scp import logs
from scp.cli.reloading import reload
from scp.errors import JournalError, KeyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.settings import Config

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0"}
routes: [{from: CT1, profile: basic}]
"""
KEY = bytes(32)


class Taking:
    """Takes over what it is given, or raises."""

    def __init__(self, outcome: tuple[str, ...] | Exception = ()) -> None:
        self.taken: list[Config] = []
        self._outcome = outcome

    def reload(self, read: Config) -> tuple[str, ...]:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        self.taken.append(read)
        return self._outcome


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged."""
    stream = io.StringIO()
    logs.configure(stream, strict=True)
    yield stream
    logs.configure(io.StringIO())


def events(lines: io.StringIO) -> list[dict[str, object]]:
    """The log as objects."""
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration without a mistake."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "config.yaml"


def test_what_was_read_is_taken_over_and_said(path: Path, lines: io.StringIO) -> None:
    """By its digest, which the log has in full."""
    node = Taking()

    said = reload(node, path, KEY)

    digest = node.taken[0].digest
    assert said == f"reloaded, rules {digest[:12]}"
    assert [(line["event"], line["rules"]) for line in events(lines)] == [
        ("configuration reloaded", digest)
    ]


def test_what_takes_a_restart_is_said_and_logged(path: Path, lines: io.StringIO) -> None:
    """A key that was replaced is among it."""
    (path.parent / "data").mkdir()
    (path.parent / "data" / "key").write_text("ab" * 32)
    (path.parent / "data" / "key").chmod(0o600)

    said = reload(Taking(("node.listen",)), path, KEY)

    assert said.endswith("; a restart is needed for node.listen, the key")
    assert [line.get("reason") for line in events(lines)][:2] == ["node.listen", "the key"]


def test_every_mistake_is_logged_with_its_place(path: Path, lines: io.StringIO) -> None:
    """The first is said as well."""
    path.write_text(CONFIG.replace("profile: basic", "profile: basci, store: perhaps"))
    node = Taking()

    said = reload(node, path, KEY)

    assert node.taken == []
    assert said.startswith(f"reload refused, the rules before it stay: {path}:4:")
    assert said.endswith(" and 1 more")
    assert [str(line["place"]).rpartition(":")[0] for line in events(lines)] == [f"{path}:4"] * 2
    assert {line["level"] for line in events(lines)} == {"error"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(
            DocumentError([Problem(Mark("config.yaml", 7, 5), "no")]),
            "config.yaml:7:5: no",
            id="a plan",
        ),
        pytest.param(JournalError("the journal is full"), "the journal is full", id="journal"),
        pytest.param(
            KeyFileError(Path("node.crt"), "no PEM"), "node.crt: no PEM", id="certificate"
        ),
        pytest.param(OSError(5, "gone", "users"), "users: gone", id="file"),
        pytest.param(ValueError("SMITH^JOHN"), "failed with ValueError", id="a defect"),
        pytest.param(RecursionError("SMITH^JOHN"), "failed with RecursionError", id="too deep"),
    ],
)
def test_whatever_is_raised_is_said_in_our_own_words(
    path: Path, lines: io.StringIO, error: Exception, said: str
) -> None:
    """And nothing is raised further."""
    assert reload(Taking(error), path, KEY) == f"reload refused, the rules before it stay: {said}"
    assert "SMITH" not in lines.getvalue()
    assert len(events(lines)) == 1

"""The mistake zoo: what people write into a configuration, and the one line each gets for it.

Every file in `mistakes/` is a configuration with a mistake. Its last lines, behind `#= `, are what
`anonode check` must say, without the name of the file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.errors import DocumentError
from scp.config import parse_config

FILES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))
THIRTY = "thirty-lines"
EXPECTED = "#= "


def said_of(path: Path) -> tuple[str, ...]:
    """What reading a file says."""
    with pytest.raises(DocumentError) as refused:
        parse_config(path.read_text("utf-8"), "config.yaml", path.parent)
    return tuple(str(problem) for problem in refused.value.problems)


def expected_of(path: Path) -> tuple[str, ...]:
    """What its last lines say that it says."""
    lines = path.read_text("utf-8").splitlines()
    return tuple(
        f"config.yaml:{line.removeprefix(EXPECTED)}" for line in lines if line.startswith(EXPECTED)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mistake_is_told_where_it_is(path):
    """File, line, column, and what to write instead."""
    assert said_of(path) == expected_of(path) != ()


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.stem != THIRTY], ids=lambda path: path.stem
)
def test_one_mistake_is_one_line(path):
    """What follows from a mistake is not told as another one."""
    assert len(said_of(path)) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_message_is_for_people(path):
    """One printable line of at most two of a terminal, and nothing about Python or YAML nodes."""
    for line in said_of(path):
        assert line.isprintable()
        assert len(line) <= 160
        for word in ("Input should", "NoneType", "dictionary", "pydantic", "Error", "<class"):
            assert word not in line


def test_thirty_lines_of_mistakes_are_told_all_at_once():
    """In the order of the file, one line for each."""
    (path,) = [path for path in FILES if path.stem == THIRTY]
    said = said_of(path)
    places = [tuple(map(int, line.split(":")[1:3])) for line in said]

    assert len(said) == 20
    assert places == sorted(set(places))

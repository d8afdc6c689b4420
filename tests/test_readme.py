"""What the README says is so: its commands run, its rules load, its tables are the code's."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from scp.config import parse_config
from scp.status import Answer
from tests.acceptance.running import anonode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
MAKE = re.compile(r"^([a-z]+):.*## ", re.MULTILINE)


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


def test_the_commands_are_found():
    """A README without commands would pass whatever it said."""
    assert len(COMMANDS) == 7


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    """As written, one after the other, on the configuration shipped and a real file."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    shutil.copy(str(get_testdata_file("CT_small.dcm", download=False)), tmp_path / "image.dcm")

    for command in (each for each in COMMANDS if each.startswith("anonode")):
        assert not (tmp_path / "data").exists() or "verify" in command
        done = anonode(*shlex.split(command)[1:])
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert done.stdout.strip()


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("make")])
def test_a_make_target_of_the_readme_exists(command):
    """`make demo` and `make test` are what CI runs."""
    targets = MAKE.findall((ROOT / "Makefile").read_text("utf-8"))
    assert command.split()[1] in targets


def test_the_ten_lines_of_rules_load_and_are_ten():
    """They are the first thing that anybody copies."""
    rules = blocks("yaml")[0]
    config = parse_config(rules, "README.md", Path())

    assert len(rules.strip().splitlines()) <= 11
    assert config.routes[0].forward == ("research-pacs",)


def test_the_lines_about_tls_load():
    """The parts of a file that a site adds."""
    config = parse_config("version: 1\n" + blocks("yaml")[1], "README.md", Path())

    assert config.node.tls_listen == ("0.0.0.0", 2762)  # noqa: S104 - as written there
    assert config.routes[0].certificates == ("ct1.example",)
    assert config.destinations["pacs"].tls


def test_every_status_of_a_c_store_stands_in_the_table():
    """An operator looks a status up where it is promised."""
    missing = {f"{answer.status:#06x}" for answer in Answer if answer.status != 0x0124}
    missing -= {f"0x{digits.lower()}" for digits in re.findall(r"0x([0-9A-F]{4})", README)}
    assert missing == set()


def test_every_command_of_the_command_line_stands_in_the_table():
    """Nothing is offered that the README does not tell."""
    listed = set(re.findall(r"^[│ ]+([a-z]+) {2,}", anonode("--help").stdout, re.MULTILINE))
    assert listed
    assert {name for name in listed if f"anonode {name}" not in README} == set()

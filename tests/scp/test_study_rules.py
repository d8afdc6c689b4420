"""`check`: brief by default, and everything with its reason when asked."""

from __future__ import annotations

import pytest

from tests.acceptance.running import anonode
from tests.screened import PIXELS

CONFIG = f"""
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  screened:
    Base: basic
    Keep: [StudyDate]
    BurnedIn: {{Ultrasound: keep}}
{PIXELS}
routes: [{{from: CT1, profile: screened}}]
"""


@pytest.fixture
def check(tmp_path):
    """The command on that configuration."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)

    def run(*arguments):
        return anonode("check", path, *arguments)

    return run


def test_by_default_it_is_brief(check):
    """The file's own rules, and how many of the base there are."""
    done = check()

    assert done.returncode == 0, done.stderr
    assert "StudyDate" in done.stdout
    assert "PatientBirthDate" not in done.stdout
    assert "cleaned" not in done.stdout
    assert len(done.stdout.splitlines()) < 20


@pytest.mark.slow
def test_in_full_it_says_what_becomes_of_pixels(check):
    """Each rule with its boxes and its place, then what happens where none matches."""
    lines = check("-v").stdout.splitlines()

    (rule,) = [line.split("  ") for line in lines if "4,2 100x14; 0,90 20x50" in line]
    assert rule[0] == "Manufacturer"
    assert rule[-1].strip().startswith("Pixels, ")
    fates = [line.split()[1:3] for line in lines if line.startswith("BurnedIn")]
    assert fates == [
        ["Ultrasound", "keep"],
        ["SecondaryCapture", "refuse"],
        ["ScreenSave", "refuse"],
        ["Declared", "refuse"],
    ]


@pytest.mark.slow
def test_in_full_it_says_how_results_are_marked(check):
    """With a date kept the profile itself is not claimed; the digest is that of the reports."""
    said = check("-v").stdout

    assert "PatientBirthDate" in said
    assert 'append "Anonode: screened, basic 2026d"' in said
    assert '"UNMODIFIED"' in said
    assert "Basic Application Confidentiality Profile)" not in said
    assert len(said.partition("rule set ")[2].split()[0]) == 64


@pytest.mark.parametrize(
    "name",
    [pytest.param("1.2.840.10008.5.1.4.1.1.2", marks=pytest.mark.slow), "CTImageStorage"],
)
def test_it_can_be_asked_for_one_sop_class(check, name):
    """What the base does to an attribute depends on its type in the IOD."""
    for_any, for_ct = check("-v").stdout, check("--sop-class", name).stdout

    assert "instances of CT Image Storage" in for_ct
    assert actions(for_any)["ContentCreatorName"] != actions(for_ct)["ContentCreatorName"]
    assert set(actions(for_any)) == set(actions(for_ct))


def actions(said):
    """The action by keyword, of lines about elements."""
    cells = (line.split(maxsplit=2) for line in said.splitlines() if line.startswith("("))
    return {row[1]: row[2] for row in cells if len(row) > 2}


@pytest.mark.slow
def test_a_class_that_is_none_is_a_mistake_of_the_command_line(check):
    """The sentence shows the way."""
    done = check("--sop-class", "CTImage")

    assert done.returncode == 2
    assert "CTImageStorage" in done.stderr

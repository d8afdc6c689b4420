"""`verify`, `pseudonym` and `match` as a person runs them, after a `deidentify`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_files

from tests.acceptance.running import ANONODE, anonode
from tests.rules import planting

CONFIG = """\
version: 1
node: {data: ./data}
profiles:
  trial:
    Base: basic
    Consistent: study-7
    BurnedIn: {Ultrasound: keep, SecondaryCapture: keep, ScreenSave: keep, Declared: keep}
    Replace:
      PatientID: {pseudonym: study-7}
routes:
  - {from: "*", peer: 127.0.0.1, profile: trial}
"""
NAMES = ("CT_small.dcm", "MR_small_implicit.dcm", "image_dfl.dcm")


class Study:
    """A folder with originals and their results, and commands under its configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "originals").mkdir()
        (folder / "config.yaml").write_text(CONFIG)

    @property
    def results(self) -> list[Path]:
        return sorted(path for path in (self.folder / "results").rglob("*.dcm"))

    def deidentify(self) -> None:
        """Make the results."""
        originals, target = self.folder / "originals", self.folder / "results"
        self.run("deidentify", originals, target, "--profile", "trial")

    def verify(self, results: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Compare them, or others, with the originals."""
        said = ("--json", self.folder / "said.json")
        target = results or self.folder / "results"
        return self.run("verify", self.folder / "originals", target, *said)

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        """Severity, kind and tag of what was found last."""
        found = json.loads((self.folder / "said.json").read_text())["findings"]
        return [(one["severity"], one["kind"], one["tag"]) for one in found]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """A command."""
        return anonode(*arguments, "--config", self.folder / "config.yaml")


@pytest.fixture(scope="module")
def study(tmp_path_factory, packaged):
    """One real image."""
    made = Study(tmp_path_factory.mktemp("study"))
    shutil.copy(packaged(NAMES[0]), made.folder / "originals")
    made.deidentify()
    return made


@pytest.fixture(scope="module")
def before(study):
    """The original of the image."""
    return dcmread(study.folder / "originals" / NAMES[0])


@pytest.fixture(scope="module")
def after(study):
    """Its result."""
    return dcmread(study.results[0])


@pytest.fixture(scope="module")
def planted(tmp_path_factory, packaged):
    """Originals with words wherever identity hides, and the words."""
    made = Study(tmp_path_factory.mktemp("planted"))
    words: set[bytes] = set()
    for name in NAMES:
        one = planting.plant(packaged(name).read_bytes())
        (made.folder / "originals" / name).write_bytes(one.file)
        words |= set(one.words)
    made.deidentify()
    return made, words


def test_a_clean_run_finds_no_leak(planted):
    """Words planted into the originals are gone, and nothing else looks like them."""
    study, _ = planted
    assert len(study.results) == len(NAMES)
    said = study.verify()

    assert [one for one in study.findings if not one[1].startswith("dciodvfy")] == []
    assert "results known by their original" in said.stdout
    assert said.returncode == (1 if study.findings else 0)


@pytest.mark.slow
def test_a_leak_is_named_by_file_tag_and_kind(planted, tmp_path):
    """Not by its value, neither on the screen nor in the file."""
    study, words = planted
    shutil.copytree(study.folder / "results", tmp_path / "leaky")
    path = next((tmp_path / "leaky").rglob("*.dcm"))
    leaky = dcmread(path)
    name = str(dcmread(study.folder / "originals" / NAMES[0]).PatientName).split("^")[0]
    leaky.ImageComments = f"saw {name} today"
    leaky.save_as(path)
    said = study.verify(tmp_path / "leaky")

    assert said.returncode == 1
    assert ("leak", "name", "(0020,4000)") in study.findings
    assert "(0020,4000)" in said.stdout
    told = said.stdout + said.stderr + (study.folder / "said.json").read_text()
    assert [word for word in words if word.decode().casefold() in told.casefold()] == []


@pytest.mark.slow
def test_real_files_leak_nothing(tmp_path):
    """Every file of pydicom's package."""
    study = Study(tmp_path)
    for number, name in enumerate(sorted(set(get_testdata_files()))):
        if Path(name).is_file():
            shutil.copy(name, tmp_path / "originals" / f"{number}-{Path(name).name}")
    study.deidentify()
    assert len(study.results) > 80
    study.verify()

    assert [one for one in study.findings if one[0] == "leak"] == []
    faults = {"reference", "mark", "meta", "preamble"}
    assert [one for one in study.findings if one[1] in faults] == []


@pytest.mark.slow
def test_a_pseudonym_is_what_stands_in_the_result(study, before, after):
    """Of the patient's identifier as it is typed, and of a UID from standard input."""
    typed = study.run("pseudonym", "--scope", "study-7", before.PatientID)
    assert (typed.returncode, typed.stdout.strip()) == (0, after.PatientID)
    configured = ("--config", study.folder / "config.yaml")
    piped = subprocess.run(
        [ANONODE, "pseudonym", "--scope", "study-7", "--uid", "-", *configured],
        input=f"{before.StudyInstanceUID}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert (piped.stdout.strip(), piped.stderr) == (after.StudyInstanceUID, "")


@pytest.mark.slow
def test_a_candidate_is_found_by_pseudonym_and_by_uid(study, before, after, tmp_path):
    """And whoever is not on the list is said not to be."""
    people = tmp_path / "people.csv"
    people.write_text(
        f"name,mrn\nSomebody,MRN-1\nElse,{before.PatientID}\nStudy,{before.StudyInstanceUID}\n"
    )
    matching = ("match", "--scope", "study-7")

    found = study.run(*matching, "--column=mrn", people, after.PatientID, after.StudyInstanceUID)
    assert found.returncode == 0
    for one in (before, after):
        assert one.PatientID in found.stdout
        assert one.StudyInstanceUID in found.stdout
    assert "MRN-1" not in found.stdout
    nobody = study.run(*matching, people, after.PatientID)
    assert nobody.returncode == 1
    assert "none of the candidates" in nobody.stdout


def test_without_the_key_nothing_is_computed(tmp_path):
    """A key made on the spot would find nobody."""
    study = Study(tmp_path)
    said = study.run("pseudonym", "--scope", "study-7", "X")

    assert said.returncode == 78
    assert "there is no key" in said.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_scope_that_no_profile_has_is_pointed_out(study, after, tmp_path):
    """It may be misspelt; and a list without the column is an error by file and row."""
    people = tmp_path / "people.csv"
    people.write_text("name\nSECRET\n")
    said = study.run("match", "--scope", "study-8", people, after.PatientID, "--column", "mrn")

    assert said.returncode == 1
    assert "no profile of" in said.stderr
    assert "study-7" in said.stderr
    assert "people.csv, row 1: no column is named mrn" in said.stderr
    assert "SECRET" not in said.stdout + said.stderr

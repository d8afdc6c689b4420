"""What all tests share: where outside things are, and how long anything may take.

ANONODE_CORPUS          a folder of real DICOM files; without it their tests are skipped
ANONODE_REQUIRE_PEERS   1 turns "peer not installed" from a skip into a failure
ANONODE_SLOW_FACTOR     how much slower than a desktop this machine is; multiplies deadlines
ANONODE_NIGHTLY         1 makes the tests of faults as large as a night allows (tests/sizes.py)
ANONODE_FIGURES         a file for what the tests of the promises measure (tests/figures.py)
ANONODE_SEED            replays one seed of the simulation and tells its story (tests/model)
HYPOTHESIS_PROFILE      quick (the same examples every time) or thorough (many, random)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.figures import note

if TYPE_CHECKING:
    from collections.abc import Callable

# Names that tests may ask for, and the Debian package that each comes in.
PEERS = {
    "curl": "curl",
    "dcmconv": "dcmtk",
    "dcmcjpeg": "dcmtk",
    "dcmdjpeg": "dcmtk",
    "dcmdjpls": "dcmtk",
    "dcmdrle": "dcmtk",
    "dcmdump": "dcmtk",
    "dcmodify": "dcmtk",
    "dciodvfy": "dicom3tools",
    "echoscu": "dcmtk",
    "openssl": "openssl",
    "Orthanc": "orthanc",
    "strace": "strace",
    "storescp": "dcmtk",
    "storescu": "dcmtk",
}
SYSTEM_PATH = os.pathsep.join(["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"])

_unhurried = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "quick", max_examples=60, derandomize=True, deadline=None, suppress_health_check=_unhurried
)
settings.register_profile(
    "thorough", max_examples=2000, deadline=None, suppress_health_check=_unhurried
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def find_peer(name: str) -> Path | None:
    """The path of an external tool by name; None when it is not installed.

    The system's folders come first: pynetdicom installs a `storescp` of its own into an
    environment's, which is not the peer that is meant.
    """
    found = shutil.which(name, path=SYSTEM_PATH) or shutil.which(name)
    return Path(found) if found and _is_a_program_of_the_system(Path(found)) else None


def _is_a_program_of_the_system(path: Path) -> bool:
    """A script of a Python environment begins with `#!`; the peers are compiled."""
    with path.open("rb") as file:
        return file.read(2) != b"#!"


@pytest.fixture(scope="session")
def peer() -> Callable[[str], Path]:
    """Ask for an external tool by name; skipped by name, or failed, when it is missing."""

    def find(name: str) -> Path:
        path = find_peer(name)
        if path is not None:
            return path
        sentence = f"peer {name} is not installed (Debian package {PEERS.get(name, 'unknown')})"
        if os.environ.get("ANONODE_REQUIRE_PEERS") == "1":
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)

    return find


def corpus_files() -> list[Path]:
    """The files of the corpus in the order of their names; none when it is not there."""
    folder = os.environ.get("ANONODE_CORPUS", "")
    if not folder:
        return []
    return sorted(path for path in Path(folder).iterdir() if path.name[:3].isdigit())


@pytest.fixture(scope="session")
def corpus() -> list[Path]:
    """Real DICOM files that nobody here wrote."""
    files = corpus_files()
    if not files:
        pytest.skip("ANONODE_CORPUS names no folder with the corpus")
    return files


@pytest.fixture(scope="session")
def deadline_s() -> Callable[[float], float]:
    """Scale a limit in seconds to this machine."""
    factor = float(os.environ.get("ANONODE_SLOW_FACTOR", "1"))
    return lambda seconds: seconds * factor


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Write down what was seen of a promise: `figures("T-DISK", acknowledged=31, lost=0)`."""
    test = request.node.nodeid
    return lambda promise, **values: note(promise, test, **values)

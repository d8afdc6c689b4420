"""What is shipped: the wheel with its data, locks without addresses, one version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import scp

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-bench.lock")
LIMIT_S = 120.0


def project_files() -> list[Path]:
    """Every file that is, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("git does not know this folder")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as hatchling builds it from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    (built,) = folder.glob("anonode-*.whl")
    return built


def test_the_wheel_holds_both_packages_with_their_data(wheel: Path) -> None:
    """Every file under rules/ and scp/ rides along; nothing else but the metadata does."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = {
        path.relative_to(ROOT).as_posix()
        for path in project_files()
        if path.relative_to(ROOT).parts[0] in {"rules", "scp"}
    }

    assert names == tracked
    assert any(name.endswith(".csv") for name in names)


def test_the_wheel_carries_the_licence_and_the_command(wheel: Path) -> None:
    """Installing gives `anonode`, and its licence."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = {
            Path(name).name: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/" in name
        }

    assert "anonode = scp.cli:main" in metadata["entry_points.txt"]
    assert "Apache License" in metadata["LICENSE"]
    assert f"\nVersion: {scp.__version__}\n" in metadata["METADATA"]


@pytest.mark.slow
def test_the_wheel_works_where_the_checkout_is_not(wheel: Path, tmp_path: Path) -> None:
    """The standard's tables are found inside the installed package."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import rules, scp, scp.cli\n"
        "assert rules.__file__.startswith(sys.path[0]), rules.__file__\n"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_changelog_names_the_version() -> None:
    """A release without an entry is none."""
    first = re.search(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert first
    assert first[1] == scp.__version__


def test_the_version_is_written_once() -> None:
    """The project takes it from `scp/__init__.py`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "scp/__init__.py"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_versions_and_hashes_only(lock: str) -> None:
    """No address of an index, no path and no host: it installs from whatever index is near."""
    requirement = re.compile(
        r"[a-z0-9][a-z0-9.\-]*(\[[a-z,]+\])?==[0-9][0-9A-Za-z.+!]*"
        r"( ; [a-z_'\"0-9A-Z.<>=!() ]+)? \\"
    )
    digest = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
    lines = (ROOT / lock).read_text("utf-8").splitlines()

    assert [n for n in lines if not (requirement.fullmatch(n) or digest.fullmatch(n))] == []


def test_the_locks_agree() -> None:
    """The rivals are measured with the versions that the project runs with."""
    pins = [
        dict(re.findall(r"^([a-z0-9.\-]+)==(\S+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE))
        for lock in LOCKS
    ]

    differing = {
        name for name in pins[0].keys() & pins[1].keys() if pins[0][name] != pins[1][name]
    }
    assert differing == set()


def test_the_lock_covers_what_the_project_declares() -> None:
    """A dependency that was added without `make lock` fails here, not at a user's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
    }
    names = {re.split(r"[\[<>=~! ]", line)[0].lower().replace("_", "-") for line in declared}
    pinned = set(
        re.findall(r"^([a-z0-9.\-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )

    assert names - pinned == set()


# Written in pieces, so that this file does not find itself.
FOREIGN = re.compile(
    "|".join(
        (
            r"(?<![\w.$~}>)\"'-])/" + "(work|root|home/[a-z]+|Users)/",
            r"\.\./" + "shared",
            "pythonhosted" + r"\.org",
            "pypi" + r"\.org",
            "deb" + r"\.debian\.org",
            "registry" + r"\.npmjs",
            "extra-" + "index-url",
        )
    )
)


def test_no_file_names_a_machine_or_an_index() -> None:
    """What is committed is the same on every machine."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in project_files()
        for number, line in enumerate(
            path.read_text("utf-8", errors="replace").splitlines(), start=1
        )
        if FOREIGN.search(line)
    ]

    assert found == []


def test_the_licence_is_apache_2() -> None:
    """The whole text, not a reference to it."""
    text = (ROOT / "LICENSE").read_text("utf-8")

    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.slow
@pytest.mark.parametrize("target", ["demo"])
def test_a_command_of_the_readme_works_in_a_clean_clone(target: str, tmp_path: Path) -> None:
    """Nothing but Python, make and a package index; the home is empty."""
    clone = tmp_path / "clone"
    home = tmp_path / "home"
    home.mkdir()
    for path in project_files():
        copy = clone / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    # The interpreter under the environment that runs this test, as a user would have it.
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"

    done = subprocess.run(
        ["make", target, f"PYTHON={python}"],
        cwd=clone,
        env={**os.environ, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

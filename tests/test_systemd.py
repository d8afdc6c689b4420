"""The units are code: systemd's own tools judge them."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scp.cli.serve import _LAST_S
from scp.config_shapes import NodeShape
from scp.key import load_key
from scp.watchdog import DISK_S

UNITS = Path(__file__).parents[1] / "systemd"
HIGHEST_EXPOSURE = 1.5
LIMIT_S = 60.0
_FILTER = "SystemCallFilter"


@pytest.fixture(scope="module")
def systemd_analyze() -> str:
    """The path of the tool; its absence is a skip, or a failure where peers are required."""
    return tool("systemd-analyze")


def tool(name: str) -> str:
    """The path of a tool of systemd."""
    if found := shutil.which(name):
        return found
    if os.environ.get("ANONODE_REQUIRE_PEERS") == "1":
        pytest.fail(f"{name} is required and not installed (Debian: systemd)")
    pytest.skip(f"{name} is not installed (Debian: systemd)")


def directives(unit: str) -> list[tuple[str, str]]:
    """All `Name=value` lines of a unit, in order; a name may come twice."""
    lines = (UNITS / unit).read_text("utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return [(name, value) for name, value in pairs]


def value_of(unit: str, name: str) -> str:
    """The value of a directive that comes once."""
    (value,) = [value for key, value in directives(unit) if key == name]
    return value


def test_verify_has_nothing_to_say(systemd_analyze: str, tmp_path: Path) -> None:
    """Every directive is known and the two units fit each other."""
    for unit in ("anonode.service", "anonode.socket"):
        text = (UNITS / unit).read_text("utf-8")
        # The command is not installed here; only its existence is put aside.
        (tmp_path / unit).write_text(text.replace("/opt/anonode/bin/anonode", sys.executable))

    done = subprocess.run(
        [systemd_analyze, "verify", "--man=no", "anonode.service", "anonode.socket"],
        cwd=tmp_path,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    ours = [line for line in done.stderr.splitlines() if "anonode" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


def test_the_exposure_stays_low(systemd_analyze: str) -> None:
    """Each hardening of the unit counts; a lost one shows here."""
    done = subprocess.run(
        [
            *(systemd_analyze, "security", "--offline=true", "--no-pager"),
            f"--threshold={round(HIGHEST_EXPOSURE * 10)}",
            str(UNITS / "anonode.service"),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@pytest.mark.parametrize(
    "name",
    ["PrivateUsers", "MemoryDenyWriteExecute", "NoNewPrivileges", "CapabilityBoundingSet"],
)
def test_the_tool_agrees_that_a_hardening_is_set(systemd_analyze: str, name: str) -> None:
    """A misspelt value would be ignored silently by systemd."""
    done = subprocess.run(
        [
            *(systemd_analyze, "security", "--offline=true", "--json=short"),
            str(UNITS / "anonode.service"),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    rows = [row for row in json.loads(done.stdout) if row["name"].startswith(f"{name}=")]

    assert rows
    assert all(row["set"] for row in rows)


def test_the_service_starts_the_installed_command() -> None:
    """One configuration, one command, nothing that a shell would interpret."""
    command = value_of("anonode.service", "ExecStart")

    assert command == "/opt/anonode/bin/anonode run --config /etc/anonode/config.yaml"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("KillMode", "mixed"),
        ("Restart", "on-failure"),
        ("StateDirectory", "anonode"),
        ("StateDirectoryMode", "0700"),
        ("LoadCredential", "key:/etc/anonode/key"),
        ("RestartPreventExitStatus", "2 64 78"),
        ("LimitCORE", "0"),
        ("MemorySwapMax", "0"),
        ("UMask", "0077"),
    ],
)
def test_nothing_identifiable_is_at_rest_outside_the_spool(name: str, value: str) -> None:
    """The promises of the node that only systemd can keep."""
    assert value_of("anonode.service", name) == value


def test_a_reload_is_checked_first() -> None:
    """A mistake fails `systemctl reload`, with its place; SIGHUP is sent behind a good check."""
    commands = [value for name, value in directives("anonode.service") if name == "ExecReload"]

    assert commands == [
        "/opt/anonode/bin/anonode check /etc/anonode/config.yaml",
        "/bin/kill -HUP $MAINPID",
    ]


def test_a_stop_has_more_time_than_the_node_takes_by_itself() -> None:
    """Grace, aborts, and the alarm behind them; what is configured longer is asked for."""
    grace_s = float(NodeShape().drain_s)

    assert float(value_of("anonode.service", "TimeoutStopSec")) > grace_s + _LAST_S


def test_the_watchdog_waits_longer_than_a_part_of_the_node_may_be_still() -> None:
    """So that one slow turn of the keeper does not end the node."""
    assert float(value_of("anonode.service", "WatchdogSec")) > 1.5 * DISK_S


def test_where_memory_ends_a_decoder_goes_before_the_node() -> None:
    """Its score is the highest; the unit must not end the node because it was killed."""
    assert value_of("anonode.service", "OOMPolicy") == "continue"


def test_a_decoder_may_bind_itself(systemd_analyze: str) -> None:
    """Processes that blank pixels lower their own limits: the filter leaves them that call."""
    filters = [value for name, value in directives("anonode.service") if name == _FILTER]
    listed = subprocess.run(
        [systemd_analyze, "syscall-filter", "--no-pager", "@default", "@process"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )

    assert filters == ["@system-service", "~@privileged @resources"]
    assert "prlimit64" in listed.stdout.split()


def test_the_key_is_made_handed_over_and_read_by_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the README makes a key that the node reads where the unit puts it."""
    (snippet,) = re.findall(r"python -c '(.+)'", (UNITS / "README.md").read_text("utf-8"))
    made = subprocess.run(
        [sys.executable, "-c", snippet], capture_output=True, timeout=LIMIT_S, check=True
    )
    name = value_of("anonode.service", "LoadCredential").partition(":")[0]
    (tmp_path / name).write_bytes(made.stdout)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert load_key(tmp_path / "data") == bytes.fromhex(made.stdout.decode())


def test_the_socket_is_passed_by_the_name_that_the_node_adopts() -> None:
    """Without the name the node would not know which of several sockets is the DICOM one."""
    assert value_of("anonode.socket", "FileDescriptorName") == "dicom"
    assert value_of("anonode.socket", "Accept") == "no"


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd-sysusers writes for root only")
def test_the_account_is_the_one_of_the_service(tmp_path: Path) -> None:
    """The sysusers file makes the user under which the unit runs."""
    made = (UNITS / "anonode.sysusers.conf").read_text("utf-8").splitlines()[-1].split()
    assert made[1] == value_of("anonode.service", "User")

    (tmp_path / "etc").mkdir()
    done = subprocess.run(
        [tool("systemd-sysusers"), f"--root={tmp_path}", str(UNITS / "anonode.sysusers.conf")],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "\nanonode:" in "\n" + (tmp_path / "etc" / "passwd").read_text("utf-8")


def test_every_unit_has_sections_that_parse() -> None:
    """A unit is an INI file; no directive stands outside a section."""
    for unit in UNITS.glob("anonode.s[oe]*"):
        if unit.suffix == ".conf":
            continue
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(unit, "utf-8")

        assert "Install" in parser.sections(), unit.name

"""The service as systemd sees it: what it says, what it is handed, and what it never shows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest

from scp.api.credentials import PasswordHash
from tests.acceptance.managed import ManagedNode
from tests.acceptance.peers import SUCCESS, store
from tests.acceptance.running import ANONODE
from tests.rules.test_pixels import drawn, instance
from tests.scp import raw_peer
from tests.screened import PIXELS, made_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0", drain_s: 2}
routes:
  - {from: CT1, to: ANONODE, profile: basic}
"""
WATCHDOG_S = 3.0
LIMIT_S = 20.0


def config_with(old: str, new: str) -> str:
    """The configuration with one change."""
    assert CONFIG.count(old) == 1
    return CONFIG.replace(old, new)


def test_it_says_ready_reloading_ready_alive_and_stopping(tmp_path, figures):
    """T-NOTIFY: each at its moment, in this order, and exit 0."""
    node = ManagedNode(tmp_path, CONFIG, environ={"WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))})
    with node:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        node.process.send_signal(signal.SIGHUP)
        reloading = node.hear("RELOADING")
        ready = node.hear("READY")
        fed = [node.hear("WATCHDOG", WATCHDOG_S) and time.monotonic() for _ in range(4)]
        node.process.send_signal(signal.SIGTERM)
        stopping = node.hear("STOPPING")
        status = node.process.wait(LIMIT_S)

    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert before <= int(reloading["MONOTONIC_USEC"]) <= after
    assert "; reloaded, rules " in ready["STATUS"]
    gaps = [later - earlier for earlier, later in pairwise(fed)]
    assert max(gaps) < WATCHDOG_S
    assert stopping["STATUS"] == "draining"
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) >= 7_000_000
    assert status == 0
    said = [name for heard in node.heard for name in heard if name.isupper()]
    order = [name for name in said if name in ("READY", "RELOADING", "STOPPING")]
    assert order == ["READY", "RELOADING", "READY", "STOPPING"]
    figures("T-NOTIFY", longest_between_feeds_s=round(max(gaps), 2), patience_s=WATCHDOG_S)


def test_a_file_with_mistakes_is_named_and_the_rules_before_it_stay(tmp_path, packaged):
    """In the status the first mistake, in the log all of them, each with its line."""
    with ManagedNode(tmp_path, CONFIG) as node:
        bad = config_with("profile: basic", "profile: basci").replace("drain_s: 2", "drain_s: x")
        said = node.reload(bad)
        assert "reload refused, the rules before it stay: " in said
        assert "config.yaml:3:" in said
        assert " and 1 more" in said
        assert store(node.port, packaged("CT_small.dcm")) == SUCCESS

        assert "reloaded" in node.reload(CONFIG)
        lines = node.output.read_text()
    assert "config.yaml:3:" in lines
    assert "config.yaml:5:" in lines


def test_a_file_that_is_gone_is_no_reason_to_begin_anew(tmp_path, packaged):
    """Nor is one that may not be read."""
    with ManagedNode(tmp_path, CONFIG) as node:
        (tmp_path / "config.yaml").unlink()

        said = node.reload()

        assert "reload refused" in said
        assert store(node.port, packaged("CT_small.dcm")) == SUCCESS


def test_what_takes_a_restart_is_said(tmp_path, packaged):
    """An address, and another key; the node goes on where it is, under the key it has."""
    with ManagedNode(tmp_path, CONFIG) as node:
        (node.data / "key").write_text("ab" * 32)

        said = node.reload(config_with('"127.0.0.1:0"', '"127.0.0.1:11999"'))

        assert "a restart is needed for node.listen, the key" in said
        assert store(node.port, packaged("CT_small.dcm")) == SUCCESS


# ---- socket activation


@dataclass
class Activated(ManagedNode):
    """A node that is handed its listening socket, as by a socket unit."""

    listening: socket.socket | None = None

    def _spawn(self, notify: str) -> subprocess.Popen[bytes]:
        launch = 'fd=$1; shift; exec 3<&"$fd"; export LISTEN_PID=$$; exec "$@"'
        own = self.listening.fileno()
        command = [ANONODE, "run", "--config", self.folder / "config.yaml"]
        environ = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "dicom", "NOTIFY_SOCKET": notify}
        with self.output.open("ab") as output:
            return subprocess.Popen(
                ["bash", "-c", launch, "sh", str(own), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environ},
                pass_fds=[own],
            )


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """What systemd holds open, whether the service runs or not."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server


def test_who_calls_while_the_node_is_down_is_served_when_it_is_up(
    tmp_path, packaged, listening, deadline_s: Callable[[float], float]
):
    """The port is systemd's: a connection waits in the kernel from one life to the next."""
    port = listening.getsockname()[1]
    node = Activated(tmp_path, CONFIG, listening=listening)
    node.start()
    assert node.port == port
    assert store(port, packaged("CT_small.dcm")) == SUCCESS
    assert node.terminate() == 0

    with socket.create_connection(("127.0.0.1", port), timeout=deadline_s(10)) as early, node:
        early.sendall(raw_peer.request())
        assert early.recv(1) == b"\x02"  # A-ASSOCIATE-AC
        assert store(port, packaged("MR_small.dcm")) == SUCCESS


# ---- what it never shows

SECRET = "correct horse battery staple"  # noqa: S105 - of this test
GUARDED = f"""
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0", drain_s: 2}}
rest: {{listen: "127.0.0.1:0", credentials: users}}
profiles:
  screened:
    Base: basic
{PIXELS}
routes: [{{from: "*", profile: screened}}]
"""


def test_neither_the_node_nor_its_children_show_a_secret_or_can_be_dumped(tmp_path, figures):
    """T-SECRETS: arguments, environment and log hold none; cores are off everywhere."""
    hashed = PasswordHash.of(SECRET)
    (tmp_path / "users").write_text(f"anna:{hashed}\n")
    (tmp_path / "users").chmod(0o600)
    dataset = made_by(instance(drawn("L")))
    dataset.compress(pydicom.uid.RLELossless)
    with ManagedNode(tmp_path, GUARDED) as node:
        assert store(node.port, dataset) == SUCCESS
        children = node.children()
        assert children
        key = (node.data / "key").read_text().strip()
        secrets = (SECRET, str(hashed), key, bytes.fromhex(key).hex())
        shown = [text_of(pid) for pid in (node.process.pid, *children)] + [node.output.read_text()]
        found = [secret for secret in secrets for text in shown if secret in text]
        limits = [limit_of(pid) for pid in (node.process.pid, *children)]

    assert found == []
    assert limits == [["0", "0"]] * len(limits)
    figures("T-SECRETS", processes=len(limits), found=len(found))


def text_of(pid: int) -> str:
    """What anybody who may look sees of a process."""
    folder = Path(f"/proc/{pid}")
    return "".join((folder / name).read_text("latin-1") for name in ("environ", "cmdline"))


def limit_of(pid: int) -> list[str]:
    """How large a core may be, soft and hard."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Max core file size")]
    return line.split()[4:6]

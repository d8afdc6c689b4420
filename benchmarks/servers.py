"""The servers that are compared: how each is started, found ready and ended.

All traffic stays on the loopback interface. DCMTK and Orthanc cannot be told to listen on it
alone; they are ended by their process ids when the run ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import wire
from benchmarks.client import CALLING, HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_START_LIMIT_S: Final = 60.0
_STOP_LIMIT_S: Final = 20.0
_REPOSITORY: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server.

    Attributes:
        name: As the tables show it.
        does: What it has done when it answers success.
        called: Its AE title.
        command: From a port and an empty folder to the command line; writes what it needs.
        needs: The program that must be on the PATH, if any.
    """

    name: str
    does: str
    called: str
    command: Callable[[int, Path], list[str]]
    needs: str = ""

    @property
    def installed(self) -> bool:
        """Whether it can be started here."""
        return not self.needs or _program(self.needs) is not None


@dataclass(frozen=True, slots=True)
class Running:
    """A started server."""

    server: Server
    pid: int
    port: int
    folder: Path


def _program(name: str) -> str | None:
    """Beside the interpreter first: the environment's own `anonode`, not another one."""
    return shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )


def _anonode(port: int, folder: Path) -> list[str]:
    config = folder / "config.yaml"
    config.write_text(
        f"""\
version: 1
node:
  ae_title: ANONODE
  listen: {HOST}:{port}
  data: {folder / "data"}
profiles:
  bench:
    Base: basic
routes:
  - from: [{CALLING}]
    profile: bench
    store: true
"""
    )
    return [_program("anonode") or "anonode", "run", "--config", str(config)]


def _sink(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.sink", str(port), str(folder)]


def _pynetdicom(port: int, folder: Path) -> list[str]:
    options = ["-q", "-ba", HOST, "-od", str(folder), str(port)]
    return [sys.executable, "-m", "pynetdicom", "storescp", *options]


def _dcmtk(port: int, folder: Path) -> list[str]:
    # One process per association: without it, four associations wait for each other.
    return ["storescp", "--quiet", "--fork", "--output-directory", str(folder), str(port)]


def _orthanc(port: int, folder: Path) -> list[str]:
    config = folder / "orthanc.json"
    settings = {
        "Name": "bench",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "HttpServerEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowEcho": True,
        "SyncStorageArea": True,
        "StorageCompression": False,
        "OverwriteInstances": False,
    }
    config.write_text(json.dumps(settings))
    return ["Orthanc", str(config)]


SINK: Final = Server("raw sink", "written and synced, not understood", "SINK", _sink)
PYNETDICOM: Final = Server("pynetdicom storescp", "written, not synced", "STORESCP", _pynetdicom)
DCMTK: Final = Server("DCMTK storescp", "written, not synced", "STORESCP", _dcmtk, "storescp")
ORTHANC: Final = Server("Orthanc", "indexed and synced", "ORTHANC", _orthanc, "Orthanc")
ANONODE: Final = Server(
    "Anonode", "de-identified, journalled and synced", "ANONODE", _anonode, "anonode"
)
ALL: Final = (ANONODE, SINK, DCMTK, ORTHANC, PYNETDICOM)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def running(server: Server, folder: Path) -> Iterator[Running]:
    """Start a server in a folder of its own, wait until it answers C-ECHO, end it afterwards."""
    own = folder / server.name.replace(" ", "-").lower()
    own.mkdir(parents=True)
    port = free_port()
    with (folder / f"{own.name}.log").open("wb") as log:
        process = subprocess.Popen(
            server.command(port, own),
            cwd=_REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            started = Running(server, process.pid, port, own)
            _wait_ready(process, started, Path(log.name))
            yield started
        finally:
            _end(process)


def _wait_ready(process: subprocess.Popen[bytes], started: Running, log: Path) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            association = wire.Association(
                HOST, started.port, started.server.called, CALLING, (wire.VERIFICATION,)
            )
            association.echo()
            association.release()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{started.server.name} does not answer: {log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        # Its session is its own, so that forked children end with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)

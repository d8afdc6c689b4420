"""Debian's Orthanc on loopback ports of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.servers import free_port
from tests.acceptance.rest.asking import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _settings(folder: Path, http_port: int) -> dict[str, object]:
    return {
        "Name": "side by side",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": http_port,
        "DicomServerEnabled": False,
        "OverwriteInstances": False,
    }


@contextlib.contextmanager
def running_orthanc(program: Path, folder: Path, limit_s: float = 60.0) -> Iterator[Server]:
    """Start it, wait until it answers, end it afterwards."""
    server = Server(free_port(), folder)
    config = folder / "orthanc.json"
    config.write_text(json.dumps(_settings(folder, server.port)))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _wait(server, process, limit_s)
            yield server
        finally:
            process.terminate()
            process.wait(20)


def _wait(server: Server, process: subprocess.Popen[bytes], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.get("/system")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError((server.folder / "log").read_text()[-2000:])

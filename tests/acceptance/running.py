"""The installed command as a child process, with the ends that a test holds on to.

Readiness is what systemd would be told: no test sleeps or guesses a port.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

ANONODE = Path(sys.executable).with_name("anonode")
_ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")
_TLS = re.compile(r"127\.0\.0\.1:(\d+) \(TLS\)")
_REST = re.compile(r"HTTP on 127\.0\.0\.1:(\d+)")


@dataclass
class RunningNode:
    """`anonode run` on a folder of its own; a context manager that ends it by SIGTERM.

    Attributes:
        folder: Holds config.yaml, `data` and what the node prints.
        config: The configuration; `listen` should ask for port 0.
        port: Where it listens, once started.
        rest_port: Where it answers HTTP, once started; 0 if it does not.
        tls_port: Where it listens for DICOM over TLS, once started; 0 if it does not.
    """

    folder: Path
    config: str
    port: int = 0
    rest_port: int = 0
    tls_port: int = 0
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def start(self, limit_s: float = 60.0) -> None:
        """Start it and wait until it is ready; one that never gets there is ended, and quoted."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.yaml").write_text(self.config)
        with (
            tempfile.TemporaryDirectory() as short,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        ):
            told.bind(f"{short}/notify")
            told.settimeout(limit_s)
            self.process = self._spawn(f"{short}/notify")
            try:
                message = told.recv(4096).decode()
            except TimeoutError:
                self.kill()
                raise AssertionError(self.output.read_text("utf-8", "replace")) from None
        assert "READY=1" in message, message
        found = _ADDRESS.search(message)
        assert found, message
        self.port = int(found[1])
        rest = _REST.search(message)
        self.rest_port = int(rest[1]) if rest else 0
        tls = _TLS.search(message)
        self.tls_port = int(tls[1]) if tls else 0

    def _spawn(self, notify: str) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [ANONODE, "run", "--config", self.folder / "config.yaml"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environ, "NOTIFY_SOCKET": notify},
            )

    def kill(self) -> None:
        """End it as a power cut would: nothing is flushed, nobody is told."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self, limit_s: float = 30.0) -> int:
        """End it as systemd would."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Another `anonode` command on the same configuration."""
        command = [ANONODE, *arguments, "--config", self.folder / "config.yaml"]
        return anonode(*command[1:])

    def every_file(self) -> Iterator[Path]:
        """All that it has written, standard output included."""
        yield from (path for path in self.folder.rglob("*") if path.is_file())


def anonode(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    return subprocess.run(
        [ANONODE, *arguments], capture_output=True, text=True, timeout=120, check=False
    )

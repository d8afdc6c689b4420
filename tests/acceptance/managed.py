"""A node under a stand-in for systemd, which goes on listening to what it says."""

from __future__ import annotations

import re
import signal
import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.running import RunningNode

_ADDRESS = re.compile(r"receiving on [^;]*?127\.0\.0\.1:(\d+)")
_TLS = re.compile(r"127\.0\.0\.1:(\d+) \(TLS\)")
_REST = re.compile(r"HTTP on 127\.0\.0\.1:(\d+)")


@dataclass
class ManagedNode(RunningNode):
    """`anonode run` whose every message is kept.

    Attributes:
        heard: All messages so far, as their fields.
    """

    heard: list[dict[str, str]] = field(default_factory=list)
    _told: socket.socket | None = None
    _short: tempfile.TemporaryDirectory[str] | None = None

    def __exit__(self, *_: object) -> None:
        try:
            self.terminate()
        finally:
            self.forget()

    def start(self, limit_s: float = 20.0) -> None:
        """Start it and wait until it is ready."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.yaml").write_text(self.config)
        self.forget()
        self._short = tempfile.TemporaryDirectory()
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(f"{self._short.name}/notify")
        self.process = self._spawn(f"{self._short.name}/notify")
        status = self.hear("READY", limit_s)["STATUS"]
        found = _ADDRESS.search(status)
        assert found, status
        self.port = int(found[1])
        rest = _REST.search(status)
        self.rest_port = int(rest[1]) if rest else 0
        tls = _TLS.search(status)
        self.tls_port = int(tls[1]) if tls else 0

    def hear(self, name: str, limit_s: float = 20.0) -> dict[str, str]:
        """The next message that has a field of this name."""
        while name not in (message := self.next(limit_s)):
            pass
        return message

    def next(self, limit_s: float = 20.0) -> dict[str, str]:
        """The next message."""
        self._told.settimeout(limit_s)
        lines = self._told.recv(4096).decode().splitlines()
        message = dict(line.split("=", 1) for line in lines)
        self.heard.append(message)
        return message

    def reload(self, config: str | None = None, limit_s: float = 20.0) -> str:
        """Change the file, tell the node so, and wait; what it says about it."""
        if config is not None:
            self.config = config
            (self.folder / "config.yaml").write_text(config)
        self.process.send_signal(signal.SIGHUP)
        self.hear("RELOADING", limit_s)
        return self.hear("READY", limit_s)["STATUS"]

    def forget(self) -> None:
        """Let go of the socket."""
        if self._told is not None:
            self._told.close()
            self._short.cleanup()
            self._told = None

    def proc(self, name: str) -> bytes:
        """A file of the process in /proc."""
        return Path(f"/proc/{self.process.pid}/{name}").read_bytes()

    def children(self) -> list[int]:
        """Processes that it has started."""
        parents = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    status = (folder / "stat").read_text()
                except OSError:
                    continue
                parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
        return [pid for pid, parent in parents.items() if parent == self.process.pid]

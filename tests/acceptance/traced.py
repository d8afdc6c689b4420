"""A node under strace, which kills it at a system call that is named by kind and number.

strace counts the calls of each thread for itself: the first thread that comes so far is the one
in which the node dies.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from tests.acceptance.running import ANONODE, RunningNode
from tests.sizes import NIGHTLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOK_AGAIN_S = 0.01
MOST_OF_A_KIND = 40


def require_strace(tmp_path: Path) -> None:
    """Skip by name where no process can be traced; fail where peers are required."""
    output = tmp_path / "try.txt"
    try:
        command = ["strace", "-f", "-o", output, "true"]
        works = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    if works:
        return
    sentence = "no process can be traced here (Debian package strace, and the right to ptrace)"
    if os.environ.get("ANONODE_REQUIRE_PEERS") == "1":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


@dataclass(frozen=True)
class Point:
    """Where a node dies: before it makes this call for this time in one thread."""

    call: str
    number: int

    @property
    def options(self) -> tuple[str, ...]:
        """What strace is told."""
        inject = f"inject={self.call}:signal=SIGKILL:when={self.number}"
        return ("-f", "-e", f"trace={self.call}", "-e", inject, "-o", os.devnull)

    def __str__(self) -> str:
        """For people."""
        return f"{self.call} {self.number}"


def points(kinds: dict[str, tuple[int, ...]], goes_on: Callable[[], bool]) -> Iterator[Point]:
    """Those that are named; at night all of each kind until the node survives one."""
    for call, chosen in kinds.items():
        for number in range(1, MOST_OF_A_KIND) if NIGHTLY else chosen:
            yield Point(call, number)
            if NIGHTLY and not goes_on():
                break


class Trap:
    """A point at which a node that runs will die; a context manager that lets it go again."""

    def __init__(self, node: RunningNode, point: Point) -> None:
        self._node = node
        self._command = ["strace", *point.options, "-p", str(node.process.pid)]

    def __enter__(self) -> Self:
        self._strace = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        line = self._strace.stderr.readline()
        assert "attached" in line, line
        return self

    def __exit__(self, *_: object) -> None:
        if self._strace.poll() is None:
            self._strace.send_signal(signal.SIGINT)
        self._strace.wait(10)
        self._strace.stderr.close()

    def has_sprung(self, within_s: float = 0.0) -> bool:
        """Whether the node is dead."""
        deadline = time.monotonic() + within_s
        while self._node.process.poll() is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_AGAIN_S)
        return True


@dataclass
class DoomedNode(RunningNode):
    """A node that is started under strace; `prefix` is that command, empty for none."""

    prefix: tuple[str | Path, ...] = ()

    def start_at(self, point: Point, limit_s: float = 30.0) -> bool:
        """Start it to die at a point; whether it did, before it was ready."""
        with (
            tempfile.TemporaryDirectory() as short,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        ):
            told.bind(f"{short}/notify")
            told.settimeout(LOOK_AGAIN_S)
            self.prefix = ("strace", *point.options)
            self.process = self._spawn(f"{short}/notify")
            deadline = time.monotonic() + limit_s
            while self.process.poll() is None:
                with suppress(TimeoutError):
                    if b"READY=1" in told.recv(4096):
                        self.kill_below()
                        return False
                assert time.monotonic() < deadline, self.output.read_text()[-2000:]
        return True

    @contextmanager
    def ended(self) -> Iterator[None]:
        """See to it that it has ended behind the block."""
        try:
            yield
        finally:
            if self.process is not None:
                self.terminate()

    def kill_below(self) -> None:
        """Kill what strace has started, and wait for both."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
        self.process.wait(10)

    def _spawn(self, notify: str) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [*self.prefix, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environ, "NOTIFY_SOCKET": notify},
            )

    def _command(self) -> list[str | Path]:
        return [ANONODE, "run", "--config", self.folder / "config.yaml"]

"""Rounds of every server in turn, so that a busy moment of the machine meets them all alike.

What the servers write stays in the run's folder until the run ends (some gigabytes): ext4 passes
over inodes that were freed within the last minutes, one by one, and a run that cleans up behind
each measurement makes the creation of files ten times as dear in the next (measured: 0.2 ms
instead of 0.02 ms of CPU). For the same reason two runs should be some minutes apart.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import instances, processes
from benchmarks.client import CALLING, HOST
from benchmarks.servers import Running, Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_REPOSITORY: Final = Path(__file__).parents[1]
# What a server still does after its last answer belongs to the instances of that round.
_SETTLE_S: Final = 0.3
_batches = itertools.count()


@dataclass(slots=True)
class Measured:
    """What one server did over all rounds."""

    server: str
    does: str
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    refused: int = 0

    @property
    def rate(self) -> float:
        """Instances per second, median of the rounds."""
        return statistics.median(self.rates)

    @property
    def cpu(self) -> float:
        """Milliseconds of CPU per instance of the whole process tree, median of the rounds."""
        return statistics.median(self.cpu_ms)


_DATABASES: Final = (".sqlite3", "index", ".db")


@contextlib.contextmanager
def all_running(servers: Sequence[Server], folder: Path) -> Iterator[list[Running]]:
    """Start every server in a new part of the run's folder."""
    part = Path(tempfile.mkdtemp(dir=folder))
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running(server, part)) for server in servers]


class Client:
    """One association in a process of its own."""

    def __init__(self, mode: str, target: Running, **options: int) -> None:
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.client", mode),
                *(str(target.port), target.server.called, *arguments),
            ],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """What it prints next."""
        assert self.process.stdout  # noqa: S101 - a pipe, as asked for above
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a client ended early with {self.process.wait()}")
        return line

    def go(self) -> None:
        """Let it do its next step."""
        assert self.process.stdin  # noqa: S101 - a pipe, as asked for above
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Let it release, and wait for its end."""
        self.go()
        self.process.communicate(timeout=60)


def raw(
    servers: Sequence[Server],
    folder: Path,
    *,
    side: int,
    count: int,
    associations: int,
    rounds: int,
) -> list[Measured]:
    """Prepared instances over raw sockets.

    Args:
        servers: Each in turn, in every round.
        folder: Of the run.
        side: Pixels of a row and of a column.
        count: Instances of a round, over all its associations.
        associations: At the same time.
        rounds: After one that is not counted.
    """
    results = [Measured(server.name, server.does) for server in servers]
    with all_running(servers, folder) as targets:
        for number in range(rounds + 1):
            for target, measured in zip(targets, results, strict=True):
                one = _round(target, side, count // associations, associations)
                if number:
                    _add(measured, one)
                _flush(target.folder)
    return results


def _flush(folder: Path) -> None:
    """Leave no debt to the next server: what one did not sync, another one's sync would write.

    The cached pages of the instances are given back, or a run would measure how the machine finds
    new memory. Those of databases stay: no server's working files are ever out of the cache.
    """
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file() and not any(part in path.name for part in _DATABASES):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of one server gave."""

    rate: float
    cpu_ms: float
    peak_bytes: int
    refused: int


def _add(measured: Measured, one: Round) -> None:
    measured.rates.append(one.rate)
    measured.cpu_ms.append(one.cpu_ms)
    measured.peak_bytes = max(measured.peak_bytes, one.peak_bytes)
    measured.refused += one.refused


def _round(target: Running, side: int, count: int, associations: int) -> Round:
    before = processes.cpu_s(target.pid)
    batch = next(_batches)
    clients = [
        Client("store", target, side=side, count=count, batch=batch, association=number)
        for number in range(associations)
    ]
    for client in clients:
        client.line()
    for client in clients:
        client.go()
    reports = [[float(word) for word in client.line().split()] for client in clients]
    peak = processes.peak_bytes(target.pid)
    for client in clients:
        client.end()
    time.sleep(_SETTLE_S)
    used = processes.cpu_s(target.pid) - before
    elapsed = max(end for _, end, _ in reports) - min(start for start, _, _ in reports)
    total = count * associations
    refused = int(sum(refused for _, _, refused in reports))
    return Round(total / elapsed, 1000 * used / total, peak, refused)


def stock_sender(
    servers: Sequence[Server], folder: Path, *, count: int, rounds: int
) -> list[Measured]:
    """DCMTK's storescu as it comes, with 64x64 instances from files."""
    results = [Measured(server.name, server.does) for server in servers]
    file = instances.part10(instances.ct(64))
    with all_running(servers, folder) as targets:
        for _, (target, measured) in itertools.product(
            range(rounds), list(zip(targets, results, strict=True))
        ):
            sent = Path(tempfile.mkdtemp(dir=folder))
            batch = next(_batches)
            for number in range(count):
                uid = instances.instance_uid(batch, 0, number)
                (sent / f"{number}").write_bytes(instances.with_uid(file, uid))
            _flush(sent)
            _add(measured, _storescu(target, sent, count))
            _flush(target.folder)
    return results


def _storescu(target: Running, sent: Path, count: int) -> Round:
    before = processes.cpu_s(target.pid)
    start = time.monotonic()
    done = subprocess.run(
        [
            *("storescu", "-aet", CALLING, "-aec", target.server.called, "--scan-directories"),
            *(HOST, str(target.port), str(sent)),
        ],
        capture_output=True,
        check=False,
        # As it comes: not even this setting of the environment.
        env={name: value for name, value in os.environ.items() if name != "TCP_NODELAY"},
    )
    elapsed = time.monotonic() - start
    time.sleep(_SETTLE_S)
    used = processes.cpu_s(target.pid) - before
    refused = 0 if done.returncode == 0 else count
    return Round(count / elapsed, 1000 * used / count, processes.peak_bytes(target.pid), refused)


@dataclass(frozen=True, slots=True)
class Idle:
    """What open associations cost that carry nothing."""

    server: str
    associations: int
    percent: float


def idle(
    servers: Sequence[Server], folder: Path, *, associations: int = 5, seconds: float = 10
) -> list[Idle]:
    """Percent of one core for all the open associations together, less what none cost."""
    results = []
    for server in servers:
        with all_running([server], folder) as (target,):
            without = _percent(target, seconds)
            clients = [Client("idle", target) for _ in range(associations)]
            for client in clients:
                client.line()
            with_all = _percent(target, seconds)
            for client in clients:
                client.end()
        results.append(Idle(server.name, associations, max(with_all - without, 0.0)))
    return results


def _percent(target: Running, seconds: float) -> float:
    time.sleep(_SETTLE_S)
    before = processes.cpu_s(target.pid)
    time.sleep(seconds)
    return 100 * (processes.cpu_s(target.pid) - before) / seconds


@dataclass(frozen=True, slots=True)
class Large:
    """One instance that is larger than a node should hold."""

    server: str
    megabytes: int
    seconds: float
    peak_bytes: int
    resting_bytes: int
    stored: bool


def large(servers: Sequence[Server], folder: Path, *, megabytes: int) -> list[Large]:
    """Peak memory of the tree while it arrives; every server fresh, so the peak is its own."""
    return [_large(server, folder, megabytes) for server in servers]


def _large(server: Server, folder: Path, megabytes: int) -> Large:
    length = megabytes << 20
    with all_running([server], folder) as (target,):
        resting = processes.peak_bytes(target.pid)
        client = Client("large", target, bytes=length, batch=next(_batches))
        client.line()
        client.go()
        start, end, refused = (float(word) for word in client.line().split())
        peak = processes.peak_bytes(target.pid)
        client.end()
    return Large(server.name, megabytes, end - start, peak, resting, not refused)


def storescu_installed() -> bool:
    """Whether DCMTK's sender is here."""
    return shutil.which("storescu") is not None

"""A stored study anonymized over REST: the same request to Anonode and to Orthanc.

Both hold the same instances on the same disk and sync what they write. Rounds are interleaved;
each makes a study of its own, so that the archives grow alike. In the end the study is made larger
and anonymized once more: what that takes of memory should not grow with it.
"""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from benchmarks import instances, processes
from benchmarks.client import HOST
from benchmarks.servers import ANONODE, ORTHANC, Running, Server, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMES: Final = 4
"""How many times larger the study is in the end."""
_LIMIT_S: Final = 600
_REST: Final = """\
rest:
  listen: {host}:{port}
  profile: keep-all
"""


@dataclass(frozen=True, slots=True)
class Anonymized:
    """What one server took for one study; bytes are of memory, its processes together.

    Attributes:
        peak_bytes: The most until the study was made larger.
        grown_bytes: How much more that is than before the first round.
        larger_bytes: How much more it was for the larger study.
    """

    server: str
    instances: int
    median_s: float
    best_s: float
    peak_bytes: int
    grown_bytes: int
    larger_bytes: int


@dataclass(frozen=True, slots=True)
class _Archive:
    """A server with its HTTP port."""

    started: Running
    port: int

    def post(self, path: str, body: bytes) -> dict[str, object]:
        """The JSON of the answer."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}{path}", data=body, method="POST"
        )
        with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310
            found: dict[str, object] = json.loads(answer.read())
        return found

    def anonymize(self, study: str, count: int) -> float:
        """Seconds for the study."""
        begun = time.perf_counter()
        answer = self.post(f"/studies/{study}/anonymize", b"{}")
        took = time.perf_counter() - begun
        if answer["InstancesCount"] != count or answer["FailedInstancesCount"]:
            raise RuntimeError(f"{self.started.server.name} has not anonymized all of the study")
        return took


def run(folder: Path, *, count: int, rounds: int) -> list[Anonymized]:
    """Upload a study of CT images to each server, and have it anonymized.

    Args:
        folder: On the disk to measure.
        count: Instances of 512x512.
        rounds: Of all servers in turn.
    """
    servers = [server for server in (ANONODE, ORTHANC) if server.installed]
    with ExitStack() as stack:
        archives = [stack.enter_context(_archive(server, folder)) for server in servers]
        studies = [_uploaded(archive, range(count)) for archive in archives]
        resting = _peaks(archives)
        took: list[list[float]] = [[] for _ in archives]
        for _ in range(rounds):
            for archive, study, seconds in zip(archives, studies, took, strict=True):
                seconds.append(archive.anonymize(study, count))
        peaks = _peaks(archives)
        for archive, study in zip(archives, studies, strict=True):
            _uploaded(archive, range(count, TIMES * count))
            archive.anonymize(study, TIMES * count)
        memory = list(zip(resting, peaks, _peaks(archives), strict=True))
    return [
        Anonymized(
            archive.started.server.name,
            count,
            statistics.median(seconds),
            min(seconds),
            peak,
            peak - before,
            larger - peak,
        )
        for archive, seconds, (before, peak, larger) in zip(archives, took, memory, strict=True)
    ]


def _peaks(archives: list[_Archive]) -> list[int]:
    return [processes.peak_bytes(archive.started.pid) for archive in archives]


def _uploaded(archive: _Archive, numbers: range) -> str:
    """The study's identifier, once these instances of it are stored as well."""
    dataset = instances.part10(instances.ct(512))
    answers = [
        archive.post(
            "/instances", instances.with_uid(dataset, instances.instance_uid(9, 0, number))
        )
        for number in numbers
    ]
    return str(answers[0]["ParentStudy"])


@contextmanager
def _archive(server: Server, folder: Path) -> Iterator[_Archive]:
    port = free_port()
    with running(replace(server, command=_with_http(server, port)), folder / "archive") as started:
        yield _Archive(started, port)


def _with_http(server: Server, http_port: int) -> Callable[[int, Path], list[str]]:
    """The server's command, with its HTTP side as well."""

    def command(port: int, folder: Path) -> list[str]:
        line = server.command(port, folder)
        if server is ANONODE:
            config = folder / "config.yaml"
            config.write_text(config.read_text() + _REST.format(host=HOST, port=http_port))
        else:
            config = folder / "orthanc.json"
            http = {"HttpServerEnabled": True, "HttpPort": http_port, "RemoteAccessAllowed": False}
            config.write_text(json.dumps(json.loads(config.read_text()) | http))
        return line

    return command

"""A stored study anonymized over REST: the same request to Anonode and to Orthanc.

Both hold the same instances on the same disk and sync what they write. Rounds are interleaved;
each makes a study of its own, so that the archives grow alike.
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

_LIMIT_S: Final = 600
_REST: Final = """\
rest:
  listen: {host}:{port}
  profile: keep-all
"""


@dataclass(frozen=True, slots=True)
class Anonymized:
    """What one server took for one study; bytes are of memory."""

    server: str
    instances: int
    median_s: float
    best_s: float
    peak_bytes: int
    grown_bytes: int


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
        studies = [_uploaded(archive, count) for archive in archives]
        resting = [processes.peak_bytes(archive.started.pid) for archive in archives]
        took: list[list[float]] = [[] for _ in archives]
        for _ in range(rounds):
            for archive, study, seconds in zip(archives, studies, took, strict=True):
                seconds.append(archive.anonymize(study, count))
        return [
            _measured(archive, count, seconds, before)
            for archive, seconds, before in zip(archives, took, resting, strict=True)
        ]


def _measured(archive: _Archive, count: int, took: list[float], before: int) -> Anonymized:
    peak, name = processes.peak_bytes(archive.started.pid), archive.started.server.name
    return Anonymized(name, count, statistics.median(took), min(took), peak, peak - before)


def _uploaded(archive: _Archive, count: int) -> str:
    """The study's identifier, once all of it is stored."""
    dataset = instances.part10(instances.ct(512))
    answers = [
        archive.post(
            "/instances", instances.with_uid(dataset, instances.instance_uid(9, 0, number))
        )
        for number in range(count)
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

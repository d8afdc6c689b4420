"""A server that speaks Orthanc's REST API, asked by curl as a shell would ask it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.scp.api.serving import Answer, Client

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

PAGE = "http://localhost:8042"
"""Where the lines of Orthanc's page send their requests."""

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0", drain_s: 1}
rest: {listen: "127.0.0.1:0", profile: keep-all}
routes: [{from: "*", profile: basic}]
"""
"""An archive for tests: what is uploaded stays as it is."""


def packaged_file(name: str) -> Path:
    """A real file that pydicom ships."""
    found = get_testdata_file(name, download=False)
    assert found, name
    return Path(str(found))


def packaged_files(folder: str) -> list[Path]:
    """The real files below one of the folders of pydicom's DICOMDIR examples."""
    root = packaged_file("CT_small.dcm").parent / "dicomdirtests" / folder
    no_instances = ("DICOMDIR", "README")
    return sorted(one for one in root.rglob("*") if one.is_file() and one.name not in no_instances)


@dataclass(frozen=True)
class Server:
    """One of the two.

    Attributes:
        port: Where it answers HTTP.
        folder: Where curl's lines are run, so that `> Anonymized.dcm` goes there.
    """

    port: int
    folder: Path

    def line(self, line: str) -> Answer:
        """Run a line of the page in a shell, with its address changed to this server's."""
        told = "curl -sS -w '%{stderr}%{http_code} %{content_type}'"
        address = f"http://127.0.0.1:{self.port}"
        command = line.replace(PAGE, address).replace("curl ", f"{told} ", 1)
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, capture_output=True, check=True, timeout=60
        )
        status, _, media_type = done.stderr.decode().partition(" ")
        return Answer(int(status), {"content-type": media_type}, done.stdout)

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """A request without curl, for what a test prepares; text and bytes go as they are."""
        raw = body if isinstance(body, bytes | str | None) else json.dumps(body)
        return Client(self.port).ask(method, path, raw)

    def get(self, path: str) -> object:
        """The JSON at an address."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def post(self, path: str, body: object) -> dict[str, object]:
        """The JSON that a request is answered with."""
        answer = self.ask("POST", path, body)
        assert answer.status == 200, answer
        return answer.json

    def upload(self, path: Path) -> dict[str, object]:
        """Store a file, by curl."""
        answer = self.line(f"curl -X POST {PAGE}/instances --data-binary @{path}")
        assert answer.status == 200, answer
        return answer.json

    def finished(self, job: str) -> dict[str, object]:
        """What is said of a job once it is no longer at work."""
        for _ in range(5000):
            said = self.line(f"curl {PAGE}/jobs/{job}").json
            if said["State"] not in ("Pending", "Running"):
                return said
        raise AssertionError(said["State"])

    def clear(self) -> None:
        """Delete all that is stored."""
        for patient in self.get("/patients"):
            self.ask("DELETE", f"/patients/{patient}")

    def dataset(self, instance: str) -> FileDataset:
        """A stored instance as pydicom reads it."""
        answer = self.ask("GET", f"/instances/{instance}/file")
        assert answer.status == 200, answer
        return dcmread(BytesIO(answer.body))

    def datasets(self, level: str, id_: str) -> list[FileDataset]:
        """The instances below a resource, by instance number within series."""
        ids = [one["ID"] for one in self.get(f"/{level}/{id_}/instances")]
        found = [self.dataset(one) for one in ids]
        return sorted(found, key=lambda one: (one.SeriesInstanceUID, one.get("InstanceNumber")))

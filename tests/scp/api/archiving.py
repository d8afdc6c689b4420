"""An archive behind the routes of instances: a real spool, journal, catalogue and engine."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from fastapi import FastAPI
from pydicom import dcmread

from rules import Deidentifier, Pseudonyms, compile_plan
from scp.admission import Admitted
from scp.api import create, downloads, errors, find, instances, jobs, modalities, tags
from scp.api.services import Services
from scp.archive.catalogue import Catalogue
from scp.archive.jobs import Jobs
from scp.archive.modifier import Modifier
from scp.config import parse_config
from scp.ingest import Ingest
from scp.journal import FILE_NAME, Journal
from scp.limits import Budget
from scp.pixel_worker import PixelWorker
from scp.rulebook import Rulebook
from scp.spool import Spool
from tests.instances import ROOT, file, small_ct, text
from tests.scp.api.serving import Client, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import FileDataset

    from tests.encoded import El

KEY = bytes(range(32))
CONFIG = """\
version: 1
node: {message_limit_bytes: 2000000}
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 104}
routes:
  - {from: "*", profile: basic}
rest: {listen: "127.0.0.1:0", profile: keep-all}
"""


@dataclass
class Archive:
    """A node of which only the archive and its routes are there."""

    services: Services
    client: Client

    def ask(self, method: str, path: str, body: object = None) -> object:
        """The JSON of an answer that must be a success."""
        given = body if isinstance(body, bytes | str | None) else json.dumps(body)
        answer = self.client.ask(method, path, given)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def fault(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """The JSON of an answer that must be none."""
        given = body if isinstance(body, bytes | str | None) else json.dumps(body)
        answer = self.client.ask(method, path, given)
        assert answer.status >= 400, answer
        return json.loads(answer.body)

    def upload(self, elements: list[El] | bytes, syntax: str = "1.2.840.10008.1.2.1") -> str:
        """Store an instance; its identifier."""
        body = elements if isinstance(elements, bytes) else file(elements, syntax)
        return self.ask("POST", "/instances", body)["ID"]

    def dataset(self, id_: str) -> FileDataset:
        """A stored instance as pydicom reads it."""
        return dcmread(BytesIO(self.client.ask("GET", f"/instances/{id_}/file").body))

    def files(self) -> list[Path]:
        """Every file of an instance on the disk."""
        folder = self.services.config.node.data / "instances"
        return [path for path in folder.rglob("*.dcm") if path.stat().st_size]


@contextmanager
def archive(folder: Path, config: str = CONFIG) -> Iterator[Archive]:
    """One that answers on a port of this machine."""
    loaded = parse_config(config, "config.yaml", folder)
    spool = Spool(loaded.node.data, reserve_bytes=0)
    journal = Journal(spool.private_file(FILE_NAME))
    pseudonyms = Pseudonyms(KEY)
    plan = compile_plan(loaded.profiles[loaded.rest.profile])
    pixels, budget = PixelWorker(1), Budget(1 << 28)

    def engine(_route: object, request: object) -> Admitted:
        made = Deidentifier(plan, pseudonyms, request.transfer_syntax_uid, blank=pixels)
        return Admitted(made, budget)

    catalogue = Catalogue(journal)
    modifier = Modifier(spool, pseudonyms, blank=pixels, transcode=pixels)
    engine_of_jobs = Jobs(
        catalogue, modifier, journal, pseudonyms, destinations=lambda: loaded.destinations
    )
    services = Services(
        config=loaded,
        catalogue=catalogue,
        jobs=engine_of_jobs,
        pseudonyms=pseudonyms,
        modifier=modifier,
        ingest=Ingest(spool, journal, engine),
        journal=journal,
        spool=spool,
        upload_route=Rulebook.compiled(loaded).upload_route,
        dicom_port=11112,
        http_port=8042,
        budget=budget,
    )
    app = FastAPI(openapi_url=None)
    for part in (instances, tags, downloads, find, create, modalities, jobs):
        app.include_router(part.routes(services))
    errors.install(app)
    engine_of_jobs.start()
    with served(app) as server:
        yield Archive(services, Client(server.address[1]))
    assert engine_of_jobs.stop(20)
    pixels.close()
    journal.close()
    spool.close()


def patient(
    number: int, *, instance: int = 1, extra: list[El] | None = None, patient_id: str = ""
) -> list[El]:
    """A CT of a patient of a number, in a study and a series of its own."""
    own = [
        text(0x00080018, "UI", f"{ROOT}.{number}.1.1.{instance}"),
        text(0x00100010, "PN", f"Doe^Jane{number}"),
        text(0x00100020, "LO", patient_id or f"PAT-{number}"),
        text(0x0020000D, "UI", f"{ROOT}.{number}.1"),
        text(0x0020000E, "UI", f"{ROOT}.{number}.1.1"),
    ]
    return small_ct([*own, *(extra or [])], instance=instance)

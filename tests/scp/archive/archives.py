"""A folder with a spool, a journal and a catalogue, and instances received into it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread

from rules import Deidentifier, Pseudonyms, compile_plan, ready_made
from scp.admission import Admitted
from scp.archive.catalogue import Catalogue
from scp.archive.identifiers import Level
from scp.archive.modifier import Modifier
from scp.disk import Disk
from scp.ingest import Ingest
from scp.instance import Peer, StoredFile, StoreRequest
from scp.journal import FILE_NAME, Journal
from scp.limits import Budget
from scp.spool import Spool
from tests import instances
from tests.encoded import EXPLICIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom.dataset import FileDataset

    from scp.archive.resources import StoredInstance
    from tests.encoded import El

KEY = bytes(range(32))
KEEP_ALL = compile_plan(ready_made("keep-all"))


class Silent:
    """A log that nobody reads."""

    def info(self, event: str, /, **_: str | float) -> None:
        del event

    warning = error = info


@dataclass(frozen=True, slots=True)
class ToArchive:
    """The route of what is only stored."""

    profile: str = "keep-all"
    store: bool = True
    forward: tuple[str, ...] = ()


class Hasty(Disk):
    """A disk that is never told to sync: for tests in which nothing dies."""

    def sync(self, descriptor: int) -> None:
        del descriptor


class Archive:
    """What a node keeps, without a node."""

    def __init__(self, data: Path, *, dies: bool = False) -> None:
        """Open it.

        Args:
            data: The folder.
            dies: Whether processes die over it, so that it is durable and recovers.
        """
        data.mkdir(exist_ok=True)
        self.data = data
        self.pseudonyms = Pseudonyms(KEY)
        self.spool = Spool(data, files=Disk() if dies else Hasty())
        self.journal = Journal(self.spool.private_file(FILE_NAME))
        self.missing = self.spool.recover(self.journal.files).missing if dies else ()
        self.catalogue = Catalogue(self.journal)
        self.modifier = Modifier(self.spool, self.pseudonyms)
        self._ingest = Ingest(self.spool, self.journal, self._engine, log=Silent())

    def close(self) -> None:
        self.journal.close()
        self.spool.close()

    def store(self, elements: list[El], transfer_syntax: str = EXPLICIT) -> None:
        """Receive an instance and keep all of it."""
        request = StoreRequest(1, "", "", transfer_syntax)
        reception = self._ingest.open_store(Peer("CT1", "ANONODE", "::1"), ToArchive(), request)
        reception.feed(memoryview(instances.dataset(elements, transfer_syntax)))
        outcome = reception.finish()
        assert outcome.status == 0, outcome.comment

    def ids(self, level: Level) -> list[str]:
        """Identifiers of every resource of a level."""
        return [one.id for one in self.catalogue.listing(level)]

    def instances(self) -> list[StoredInstance]:
        """Everything that is stored."""
        return self.catalogue.instances(self.ids(Level.PATIENT))

    def dataset(self, instance: StoredInstance) -> FileDataset:
        """One of them, read by another reader."""
        file = StoredFile(instance.file_name, instance.size_bytes, instance.digest)
        return dcmread(BytesIO(b"".join(self.spool.read(file))))

    def datasets(self) -> list[FileDataset]:
        """All of them."""
        return [self.dataset(instance) for instance in self.instances()]

    def files(self) -> set[str]:
        """The files below the spool's folder, but for the empty ones made in advance."""
        root = self.data / "instances"
        return {str(p.relative_to(root)) for p in root.rglob("*.dcm") if p.stat().st_size}

    def _engine(self, _: object, request: StoreRequest) -> Admitted:
        engine = Deidentifier(KEEP_ALL, self.pseudonyms, request.transfer_syntax_uid)
        return Admitted(engine, Budget(1 << 30))


@contextmanager
def archive(data: Path, *, dies: bool = False) -> Iterator[Archive]:
    """An archive that is closed in the end."""
    made = Archive(data, dies=dies)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def series(data: Path, count: int) -> Iterator[Archive]:
    """An archive with one series of so many CT."""
    with archive(data) as made:
        for number in range(1, count + 1):
            made.store(instances.small_ct(instance=number))
        yield made

"""Real peers on this machine: pynetdicom as sender and as archive."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pydicom
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pynetdicom.association import Association

SUCCESS = 0x0000


@dataclass
class Archive:
    """A Storage SCP that keeps what it gets; a context manager.

    Attributes:
        port: Where it listens; the same again after stop and start.
        received: Part 10 bytes by SOP Instance UID, one entry for every arrival.
    """

    port: int = 0
    received: list[tuple[str, bytes]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _server: object = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        entity = AE("ARCHIVE")
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._keep)]
        )
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        self._server.shutdown()

    def wait_for(self, count: int, limit_s: float) -> bool:
        """Whether so many instances have arrived within the limit."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.received) >= count, limit_s)

    def uids(self) -> list[str]:
        return [uid for uid, _ in self.received]

    def _keep(self, event: evt.Event) -> int:
        with self._changed:
            uid = event.request.AffectedSOPInstanceUID
            self.received.append((str(uid), event.encoded_dataset()))
            self._changed.notify_all()
        return SUCCESS


def associate(
    port: int, dataset: Dataset, *, calling: str = "CT1", called: str = "ANONODE"
) -> Association:
    """Ask for an association that could carry the dataset."""
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    return entity.associate("127.0.0.1", port, ae_title=called)


def store(port: int, source: Path | Dataset, **titles: str) -> int:
    """Send one instance; the status of the response."""
    dataset = source if isinstance(source, pydicom.Dataset) else pydicom.dcmread(source)
    association = associate(port, dataset, **titles)
    assert association.is_established
    try:
        return int(association.send_c_store(dataset).Status)
    finally:
        association.release()

"""`demo`: the node at work on this machine, with nothing prepared."""

from __future__ import annotations

import tempfile
import threading
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.filereader import read_dataset

from rules.transfer import form_of
from scp import logs
from scp.bulk_send import send_files
from scp.cli import screen
from scp.config import parse_config
from scp.disk import Disk
from scp.errors import ConnectionLost
from scp.instance import Outcome
from scp.key import NAME as KEY_NAME
from scp.key import make_key
from scp.listener import Listener
from scp.node import Node
from scp.part10 import open_part10
from scp.spool import Spool
from scp.transport import Accepted

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from scp.instance import Peer, StoreRequest
    from scp.part10 import Part10

# Real instances that pydicom ships in its package: CT, MR and RT, plain and compressed.
_FILES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "JPEG2000.dcm",
    "rtplan.dcm",
    "liver_1frame.dcm",
    "examples_ybr_color.dcm",
)
_SHOWN = (
    *("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"),
    *("InstitutionName", "ReferringPhysicianName", "Modality", "StudyInstanceUID"),
    *("SOPInstanceUID", "DeidentificationMethod"),
)
_NODE = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  demo:
    Base: basic
    Replace:
      PatientName: ANON
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {port}}}
routes:
  - {{from: "CT1", to: ANONODE, profile: demo, forward: [archive]}}
"""
_LIMIT_S = 60.0


class Archive:
    """The receiving end: takes every instance into memory and says how many it has."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._arrived = threading.Semaphore(0)
        self.listener = Listener(
            ("127.0.0.1", 0), lambda _: Accepted(None), self._open, events=lambda *_, **__: None
        )

    def wait_for(self, count: int) -> bool:
        """Whether so many instances arrive before the limit."""
        return all(self._arrived.acquire(timeout=_LIMIT_S) for _ in range(count))

    def _open(self, _peer: Peer, _route: object, request: StoreRequest) -> _Arrival:
        return _Arrival(self, request.transfer_syntax_uid)

    def add(self, transfer_syntax_uid: str, dataset: bytes) -> None:
        """One instance is here, whole."""
        self.received.append((transfer_syntax_uid, dataset))
        self._arrived.release()


class _Arrival:
    def __init__(self, archive: Archive, transfer_syntax_uid: str) -> None:
        self._archive = archive
        self._transfer_syntax_uid = transfer_syntax_uid
        self._dataset = bytearray()

    def feed(self, fragment: memoryview) -> None:
        self._dataset += fragment

    def finish(self) -> Outcome:
        self._archive.add(self._transfer_syntax_uid, bytes(self._dataset))
        return Outcome(0x0000)

    def abandon(self) -> None:
        self._dataset.clear()


def demo() -> None:
    """Send real instances through a node to an archive, and show what became of them."""
    logs.configure(level="error")
    files = [open_part10(Path(path)) for name in _FILES if (path := _packaged(name))]
    with tempfile.TemporaryDirectory(prefix="anonode-demo-") as folder:
        archive = Archive()
        node = _node(Path(folder), archive.listener.address[1])
        with archive.listener:
            node.start()
            try:
                _run(files, node, archive)
            finally:
                node.stop()


def _packaged(name: str) -> str | None:
    found = get_testdata_file(name, download=False)
    return str(found) if found else None


def _node(folder: Path, archive_port: int) -> Node:
    config = parse_config(_NODE.format(port=archive_port), "demo.yaml", folder)
    data = config.node.data
    data.mkdir()
    return Node(config, make_key(Spool(data).private_file(KEY_NAME), Disk()))


def _run(files: list[Part10], node: Node, archive: Archive) -> None:
    screen.say(
        f"Sending {len(files)} instances over DIMSE, as CT1 to ANONODE on port {node.port}:"
    )
    accepted = 0
    address = ("127.0.0.1", node.port)
    for sent in send_files(files, address, calling_ae="CT1", called_ae="ANONODE"):
        accepted += sent.ok
        screen.say(f"  {sent.file.path.name}: {sent.failure or 'de-identified, and safe on disk'}")
    if not archive.wait_for(accepted):
        raise ConnectionLost("the archive did not receive everything in time")
    screen.say(f"The archive has received {len(archive.received)} instances. The first of them:\n")
    _compare(dcmread(files[0].path), *archive.received[0])


def _compare(before: Dataset, transfer_syntax_uid: str, dataset: bytes) -> None:
    implicit = form_of(transfer_syntax_uid).implicit
    after = read_dataset(BytesIO(dataset), is_implicit_VR=implicit, is_little_endian=True)
    rows = [(name, _shown(before, name), _shown(after, name)) for name in _SHOWN]
    screen.table("", ("attribute", "as sent", "in the archive"), rows)


def _shown(dataset: Dataset, keyword: str) -> str:
    return str(dataset[keyword].value) if keyword in dataset else "-"

"""The configuration is read again under load: nobody notices, and nothing is half and half."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest

from rules import Pseudonyms
from scp.journal import FILE_NAME
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.managed import ManagedNode
from tests.acceptance.peers import SUCCESS
from tests.encoded import EXPLICIT
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0", max_associations_per_address: 64}}
profiles:
  research:
    Base: basic
    BurnedIn: keep
    Replace:
      PatientName: V{number}
      PatientID: {{lookup: ids.csv, missing: reject}}
      StudyDescription: V{number}
      ImageComments: V{number}
destinations:
  odd: {{ae_title: NOBODY, host: 127.0.0.1, port: 1}}
routes:
  - {{from: "CT*", to: ANONODE, profile: research{forward}}}
"""
MISTAKES = (
    ("profiles:", "profiles: ]"),
    ("profile: research", "profile: reserach"),
    ("PatientName: V", "PatientNaem: V"),
    ("ids.csv", "nowhere.csv"),
    ("port: 1", "port: 70000"),
)
PROFILE = "research"
RELOADS = size(ci=20, nightly=100)
SENDERS = 4
EACH = 6
"""Instances of one association."""
PATIENCE_S = 30.0


def config(number: int) -> str:
    """The rules of a number; every other one forwards as well."""
    return CONFIG.format(number=number, forward=", forward: [odd]" if number % 2 else "")


def mistaken(number: int) -> tuple[str, int]:
    """The next rules with a mistake in them, and its line."""
    right, wrong = MISTAKES[number % len(MISTAKES)]
    text = config(number + 1)
    line = text[: text.index(right)].count("\n") + 1
    return text.replace(right, wrong, 1), line


def identifiers(number: int) -> str:
    """The lookup of a number."""
    return f"original,replacement\nPAT-4711,L{number}\n"


@dataclass
class Load:
    """Senders, and what became of each association.

    Attributes:
        sent: Original SOP Instance UIDs of every association.
        failures: What went wrong.
    """

    port: int
    sent: list[list[str]] = field(default_factory=list)
    failures: list[object] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Senders that come and go, and one that stays."""
        threads = [threading.Thread(target=self.send) for _ in range(SENDERS)]
        threads.append(threading.Thread(target=self.stay))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join(PATIENCE_S)
                assert not thread.is_alive()

    def send(self) -> None:
        """One association after the other."""
        while not self.stopping.is_set():
            self.associate(EACH)

    def stay(self) -> None:
        """One association for the whole time."""
        self.associate(1_000_000)

    def associate(self, most: int) -> None:
        """Send instances over one association."""
        context = (instances.CT_IMAGE, EXPLICIT)
        uids: list[str] = []
        try:
            address = ("127.0.0.1", self.port)
            with SenderAssociation(address, "CT1", "ANONODE", [context]) as association:
                while len(uids) < most and not self.stopping.is_set():
                    uid, dataset = self.made()
                    status = association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset])
                    assert status == SUCCESS, hex(status)
                    uids.append(uid)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            self.failures.append(error)
        with self.lock:
            self.sent.append(uids)

    def made(self) -> tuple[str, bytes]:
        """One more instance."""
        with self.lock:
            self.count += 1
            number = 20_000_000 + self.count
        uid = f"{instances.ROOT}.1.1.{number}"
        return uid, instances.dataset(instances.ct(32, 32, instance=number), EXPLICIT)


@pytest.mark.slow
def test_rules_read_again_under_load_never_mix(tmp_path, figures):
    """T-RELOAD: no association is dropped, each has one version of the rules, bad files none."""
    (tmp_path / "ids.csv").write_text(identifiers(0))
    times: list[float] = []
    with ManagedNode(tmp_path, config(0)) as node:
        load = Load(node.port)
        with load.going_on():
            refused = reload_often(node, times)
        rows = stored(node)
        pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))

    assert load.failures == []
    by_uid = {uid: rows[pseudonyms.uid(PROFILE, uid)] for uids in load.sent for uid in uids}
    mixed = [row for row in by_uid.values() if len(set(row.versions)) > 1]
    assert mixed == []
    torn = [uids for uids in load.sent if len({by_uid[uid].versions for uid in uids}) > 1]
    assert torn == []
    digests = {(row.versions[0], row.rule_set) for row in by_uid.values()}
    assert len(digests) == len(dict(digests)) == len({digest for _, digest in digests})
    assert {digest for _, digest in digests} <= noted(node)
    assert {row.is_owed for row in by_uid.values() if int(row.versions[0]) % 2} <= {True}
    assert {row.is_owed for row in by_uid.values() if not int(row.versions[0]) % 2} <= {False}
    figures(
        "T-RELOAD",
        reloads=RELOADS,
        refused=refused,
        associations=len(load.sent),
        dropped=len(load.failures),
        instances=len(by_uid),
        versions=len(digests),
        mixed=len(mixed) + len(torn),
        longest_s=round(max(times), 2),
    )


def reload_often(node: ManagedNode, times: list[float]) -> int:
    """Reload, every third time with a mistake; how many were refused."""
    refused = number = 0
    for turn in range(1, RELOADS + 1):
        begun = time.monotonic()
        if turn % 3:
            number += 1
            (node.folder / "ids.csv").write_text(identifiers(number))
            said = node.reload(config(number), PATIENCE_S)
            assert "; reloaded, rules " in said, said
        else:
            text, line = mistaken(turn)
            said = node.reload(text, PATIENCE_S)
            assert "reload refused, the rules before it stay" in said, said
            refused += 1
            assert f"config.yaml:{line}:" in last_error(node)["place"]
        times.append(time.monotonic() - begun)
    return refused


def last_error(node: ManagedNode) -> dict[str, str]:
    """The last line of the log that says that a file was refused."""
    lines = [json.loads(line) for line in node.output.read_text().splitlines()]
    return [line for line in lines if line["event"] == "the configuration was not reloaded"][-1]


@dataclass(frozen=True)
class Row:
    """An instance as it is stored."""

    versions: tuple[str, ...]
    rule_set: str
    is_owed: bool


def stored(node: ManagedNode) -> dict[str, Row]:
    """All instances, by their new UID."""
    query = """SELECT sop_instance_uid, file_name, rule_set,
        EXISTS (SELECT 1 FROM deliveries WHERE instance_id = instances.id) FROM instances"""
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        return {
            uid: Row(versions(node, name), rule_set, bool(owed))
            for uid, name, rule_set, owed in db.execute(query)
        }


def versions(node: ManagedNode, name: str) -> tuple[str, ...]:
    """Which rules wrote each of the values that tell."""
    content = (node.data / "instances" / name).read_bytes()
    found = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
    said = (found.PatientName, found.PatientID, found.StudyDescription, found.ImageComments)
    return tuple(str(value)[1:] for value in said)


def noted(node: ManagedNode) -> set[str]:
    """The digests that the journal can explain."""
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        return {digest for (digest,) in db.execute("SELECT digest FROM rule_sets")}

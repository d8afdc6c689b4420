"""T74: a loop of forwarding ends where it closes."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from scp.journal import FILE_NAME
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.faulty_peers import Proxy, QuickArchive, free_port, until
from tests.acceptance.peers import SUCCESS
from tests.acceptance.running import RunningNode, anonode
from tests.encoded import EXPLICIT

pytestmark = pytest.mark.slow

WANTED = 10
QUIET_S = 1.0
"""Long enough for several turns of a loop: one takes some hundredths of a second."""
CONFIG = """
version: 1
node: {{ae_title: {title}, listen: "127.0.0.1:{port}"}}
destinations:
  next: {{ae_title: {next_title}, host: {host}, port: {next_port}, retry_base_s: 1}}
routes:
  - {{from: "*", profile: basic, store: {store}, forward: [next]}}
"""


def send(port: int, calling: str, uid: str, dataset: bytes) -> None:
    """Send one instance."""
    contexts = [(instances.CT_IMAGE, EXPLICIT)]
    with SenderAssociation(("127.0.0.1", port), calling, "ANY", contexts) as association:
        assert association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset]) == SUCCESS


def send_all(port: int) -> None:
    """Send what a scanner sends."""
    for number in range(1, WANTED + 1):
        elements = instances.ct(32, 32, instance=number)
        uid = f"{instances.ROOT}.1.1.{number}"
        send(port, "CT1", uid, instances.dataset(elements, EXPLICIT))


def counts(node: RunningNode) -> tuple[int, int]:
    """How many instances are stored, and how many deliveries there ever were."""
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        statement = "SELECT (SELECT count(*) FROM instances), (SELECT count(*) FROM deliveries)"
        return db.execute(statement).fetchone()


def test_two_nodes_that_forward_to_each_other_stop_at_the_first_hop(tmp_path, deadline_s, figures):
    """The second stores what comes, and does not send it back to where it comes from."""
    ports = [free_port(), free_port()]
    made = [
        RunningNode(
            tmp_path / title,
            CONFIG.format(
                title=title,
                port=port,
                next_title=other,
                host="localhost",
                next_port=other_port,
                store="true",
            ),
        )
        for title, port, other, other_port in (
            ("FIRST", ports[0], "SECOND", ports[1]),
            ("SECOND", ports[1], "FIRST", ports[0]),
        )
    ]
    with made[0] as first, made[1] as second:
        send_all(first.port)
        assert until(lambda: counts(second)[0] == WANTED, deadline_s(20))
        threading.Event().wait(QUIET_S)
        seen = counts(first), counts(second)
    figures("T-LOOP", sent=WANTED, first_stored=seen[0][0], second_stored=seen[1][0])

    assert seen == ((WANTED, WANTED), (WANTED, 0))
    said = second.output.read_text()
    assert "a destination sends, and nothing of it is forwarded back" in said


@dataclass
class Returning(QuickArchive):
    """An archive that sends whatever it gets to a node, under another title than it has."""

    node_port: int = 0
    returned: list[str] = field(default_factory=list)

    def take(self, uid: str) -> int:
        threading.Thread(target=self._send_back, args=(uid,), daemon=True).start()
        return SUCCESS

    def _send_back(self, uid: str) -> None:
        assert until(lambda: uid in self.uids(), 10)
        send(self.node_port, "ROUTER", uid, dict(self.received)[uid])
        self.returned.append(uid)


def test_an_archive_that_returns_everything_gets_nothing_twice(tmp_path, deadline_s):
    """What comes back is known by its UID: it is taken in, and not forwarded again."""
    with Returning() as archive:
        archive.answers = archive.take
        config = CONFIG.format(
            title="ANONODE",
            port=0,
            next_title="ARCHIVE",
            host="127.0.0.1",
            next_port=archive.port,
            store="true",
        )
        with RunningNode(tmp_path, config) as node:
            archive.node_port = node.port
            send_all(node.port)
            assert until(lambda: len(archive.returned) == WANTED, deadline_s(20))
            threading.Event().wait(QUIET_S)
            seen = counts(node)

    assert len(archive.received) == len(archive.returned) == WANTED
    assert seen == (2 * WANTED, WANTED)


def test_a_node_that_forwards_to_itself_unknowingly_loses_nothing(tmp_path, deadline_s):
    """It refuses what it has forwarded, instead of letting the only copy go."""
    port = free_port()
    with Proxy(port) as detour:
        config = CONFIG.format(
            title="ANONODE",
            port=port,
            next_title="ARCHIVE",
            host="127.0.0.1",
            next_port=detour.port,
            store="false",
        )
        with RunningNode(tmp_path, config) as node:
            send_all(port)
            assert until(lambda: failed(node) == WANTED, deadline_s(60))
            kept = [path for path in node.data.rglob("*.dcm") if path.stat().st_size]

    assert len(kept) == WANTED
    assert "0xc10a" in node.output.read_text()


def failed(node: RunningNode) -> int:
    """How many deliveries were given up."""
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        statement = "SELECT count(*) FROM deliveries WHERE state = 'failed'"
        return int(db.execute(statement).fetchone()[0])


def test_a_node_that_would_forward_to_itself_does_not_start(tmp_path):
    """The mistake is told at its line."""
    text = CONFIG.format(
        title="ANONODE",
        port=11112,
        next_title="ANONODE",
        host="localhost",
        next_port=11112,
        store="true",
    )
    (tmp_path / "config.yaml").write_text(text)

    refused = anonode("run", "--config", tmp_path / "config.yaml")

    assert refused.returncode == 78
    assert "config.yaml:5:" in refused.stderr
    assert "host and port are this node's own" in refused.stderr

"""A node that runs takes over what its configuration says now, in one step."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from rules import DocumentError
from scp.config import parse_config
from scp.errors import JournalError, PeerRejected
from scp.journal import FILE_NAME, Journal
from scp.node import Node
from scp.sender import SenderAssociation
from tests import instances
from tests.encoded import EXPLICIT
from tests.scp.api.serving import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0", drain_s: 1}
profiles:
  mine: {Base: basic, Replace: {PatientName: ONE}}
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 1}
routes:
  - {from: CT1, profile: mine}
"""
CONTEXT = (instances.CT_IMAGE, EXPLICIT)


@contextmanager
def running(folder: Path, text: str = CONFIG) -> Iterator[Node]:
    """A node that receives."""
    node = Node(parse_config(text, "config.yaml", folder), bytes(32))
    node.start()
    try:
        yield node
    finally:
        assert node.stop()


def reload(node: Node, folder: Path, text: str) -> tuple[str, ...]:
    """Let the node read another text."""
    return node.reload(parse_config(text, "config.yaml", folder))


def calling(node: Node, title: str = "CT1") -> SenderAssociation:
    """An association with the node."""
    return SenderAssociation(("127.0.0.1", node.port), title, "ANONODE", [CONTEXT])


def store(association: SenderAssociation, number: int) -> None:
    """Send an instance of a number."""
    uid = f"{instances.ROOT}.1.1.{number}"
    dataset = instances.dataset(instances.ct(32, 32, instance=number), EXPLICIT)
    assert association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset]) == 0


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What the journal says."""
    path = folder / "data" / FILE_NAME
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def names(folder: Path) -> list[str]:
    """Patient's names as they are stored, in the order of arrival."""
    files = rows(folder, "SELECT file_name FROM instances ORDER BY id")
    contents = [(folder / "data" / "instances" / name).read_bytes() for (name,) in files]
    return [str(dcmread(BytesIO(content)).PatientName) for content in contents]


def test_an_association_goes_on_by_the_rules_it_began_under(tmp_path):
    """Others that begin later get the new ones, and each digest is explained."""
    with running(tmp_path) as node:
        with calling(node) as before:
            store(before, 1)
            assert reload(node, tmp_path, CONFIG.replace("ONE", "TWO")) == ()
            store(before, 2)
            with calling(node) as after:
                store(after, 3)

        assert names(tmp_path) == ["ONE", "ONE", "TWO"]
        used = [digest for (digest,) in rows(tmp_path, "SELECT rule_set FROM instances")]
        noted = {digest for (digest,) in rows(tmp_path, "SELECT digest FROM rule_sets")}
    assert used[0] == used[1] != used[2]
    assert set(used) <= noted


def test_routes_change_with_the_rules(tmp_path):
    """Who may send, and where it goes."""
    text = CONFIG.replace(
        "{from: CT1, profile: mine}", "{from: CT2, profile: mine, forward: pacs}"
    )
    with running(tmp_path) as node:
        reload(node, tmp_path, text)

        with calling(node, "CT2") as association:
            store(association, 1)
        with pytest.raises(PeerRejected):
            calling(node, "CT1").connect()
        assert rows(tmp_path, "SELECT destination FROM deliveries") == [("pacs",)]


def test_a_profile_that_cannot_be_compiled_changes_nothing(tmp_path):
    """The node is not even told where it is read; here it is not read again."""
    read = parse_config(CONFIG.replace("ONE", "TWO"), "config.yaml", tmp_path)
    with running(tmp_path) as node:
        with pytest.raises(DocumentError):
            reload(node, tmp_path, CONFIG.replace("PatientName: ONE", "PatientNaem: TWO"))
        with calling(node) as association:
            store(association, 1)

        assert names(tmp_path) == ["ONE"]
        assert node.reload(read) == ()


def test_a_destination_that_cannot_be_served_changes_nothing(tmp_path, monkeypatch):
    """The journal cannot be read: routes, rules and destinations stay as they are."""

    def fail(_journal: Journal, _name: str) -> None:
        raise JournalError("the journal cannot be used")

    more = "  more: {ae_title: MORE, host: 127.0.0.1, port: 1}\nroutes:"
    text = CONFIG.replace("ONE", "TWO").replace("routes:", more).replace("port: 1}", "port: 2}")
    with running(tmp_path) as node:
        monkeypatch.setattr(Journal, "destination", fail)
        with pytest.raises(JournalError):
            reload(node, tmp_path, text)
        monkeypatch.undo()
        with calling(node) as association:
            store(association, 1)

        assert names(tmp_path) == ["ONE"]
        assert set(node._forwarder._workers) == {"pacs"}
        assert node._association("pacs", [CONTEXT])._address == ("127.0.0.1", 1)
        assert reload(node, tmp_path, text) == ()
        assert node._association("pacs", [CONTEXT])._address == ("127.0.0.1", 2)


def test_a_node_does_not_become_a_destination_of_its_own(tmp_path):
    """Where it listens now counts, whatever the file says: that takes a restart."""
    with running(tmp_path) as node:
        text = CONFIG.replace("ONE", "TWO").replace("port: 1}", f"port: {node.port}}}")
        with pytest.raises(DocumentError, match="destination pacs are where this node listens"):
            reload(node, tmp_path, text)
        with calling(node) as association:
            store(association, 1)

        assert names(tmp_path) == ["ONE"]


def test_a_node_whose_socket_is_a_destination_does_not_start(tmp_path):
    """Who hands the socket over has chosen another address than the file."""
    with socket.create_server(("127.0.0.1", 0)) as adopted:
        text = CONFIG.replace("port: 1}", f"port: {adopted.getsockname()[1]}}}")
        with pytest.raises(DocumentError, match="restart the node first"):
            Node(parse_config(text, "config.yaml", tmp_path), bytes(32), sockets=[adopted])


def test_what_takes_a_restart_is_named_and_stays(tmp_path):
    """The rest of the file counts."""
    text = CONFIG.replace("drain_s: 1", "drain_s: 1, max_associations: 3").replace("ONE", "TWO")
    with running(tmp_path) as node:
        assert reload(node, tmp_path, text) == ("node.max_associations",)
        assert reload(node, tmp_path, text) == ("node.max_associations",)

        with calling(node) as association:
            store(association, 1)
        assert names(tmp_path) == ["TWO"]


def test_uploads_follow(tmp_path):
    """By the profile that the REST API names now, as it is now; and so do modalities."""
    rest = "rest: {listen: '127.0.0.1:0', profile: mine}\nprofiles:"
    text = CONFIG.replace("profiles:", rest)
    with running(tmp_path, text) as node:
        client = Client(node.rest_address[1])
        upload(client, 1)
        text = text.replace("ONE", "TWO").replace("pacs: ", "other: ")
        reload(node, tmp_path, text)
        upload(client, 2)
        other = "  others: {Base: basic, Replace: {PatientName: THREE}}\ndestinations:"
        text = text.replace("profile: mine}\nprofiles", "profile: others}\nprofiles")
        reload(node, tmp_path, text.replace("destinations:", other))
        upload(client, 3)

        assert names(tmp_path) == ["ONE", "TWO", "THREE"]
        assert client.ask("GET", "/modalities").json == ["other"]


def upload(client: Client, number: int) -> None:
    """Store an instance of a number over HTTP."""
    body = instances.file(instances.ct(32, 32, instance=number), EXPLICIT)
    assert client.ask("POST", "/instances", body).status == 200

"""The node starts whatever its disk has left, because delivering is what frees it."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from pydicom.uid import RLELossless

from scp import __version__, logs
from scp.config import parse_config
from scp.errors import KeyFileError, OutOfSpace, PeerRejected, TransportError
from scp.instance import RuleSet
from scp.journal import FILE_NAME, Journal, log_of
from scp.node import Node
from scp.sender import SenderAssociation
from scp.transport import BAD_CALLING_AE, Accepted, AssociationRequest
from tests.encoded import split_part10
from tests.rules.test_pixels import drawn, instance
from tests.screened import PIXELS, made_by, written

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0"}
routes: [{from: "*", profile: basic}]
"""


def test_a_node_starts_when_there_is_no_room_to_widen_its_log(tmp_path, monkeypatch):
    """Widening buys speed only; a full disk is no reason to stay down."""

    def full(_journal: Journal) -> None:
        raise OutOfSpace("the journal has no room on the disk")

    monkeypatch.setattr(Journal, "widen", full)
    node = Node(parse_config(CONFIG, "config.yaml", tmp_path), bytes(32))

    node.start()

    assert node.port
    assert node.stop()


def test_a_node_notes_what_its_digests_stand_for(tmp_path):
    """Of the profiles that a route names, before anything is received."""
    node = Node(parse_config(CONFIG, "config.yaml", tmp_path), bytes(32))
    node.start()
    with closing(Journal.existing(tmp_path / "data")) as journal:
        found = journal.rule_sets()
    assert node.stop()

    digest = node._rulebook.plans["basic"].digest
    assert found == {digest: RuleSet(digest, "basic", "basic", "2026d", (), __version__)}


def test_a_node_that_had_no_room_for_its_rule_sets_notes_them_later(tmp_path, monkeypatch):
    """A full disk is no reason to stay down; once there is room they are there."""
    is_full, noted = threading.Event(), threading.Event()
    note = Journal.note_rule_sets

    def note_if_there_is_room(journal, rule_sets):
        if not is_full.is_set():
            is_full.set()
            raise OutOfSpace("the journal has no room on the disk")
        note(journal, rule_sets)
        noted.set()

    monkeypatch.setattr(Journal, "note_rule_sets", note_if_there_is_room)
    node = Node(parse_config(CONFIG, "config.yaml", tmp_path), bytes(32))
    node.start()
    assert noted.wait(10)
    with closing(Journal.existing(tmp_path / "data")) as journal:
        assert len(journal.rule_sets()) == 1
    assert node.stop()


SCREENED = f"""
version: 1
node: {{listen: "127.0.0.1:0", drain_s: 0.5}}
profiles:
  screened:
    Base: basic
{PIXELS}
routes: [{{from: "*", profile: screened}}]
"""


def send(port, answers):
    """One instance; what is answered, whatever becomes of the association."""
    dataset = made_by(instance(drawn("L")))
    dataset.compress(RLELossless)
    _, encoded = split_part10(written(dataset))
    context = (str(dataset.SOPClassUID), str(RLELossless))
    association = SenderAssociation(("127.0.0.1", port), "CT1", "ANONODE", [context])
    with association:
        uid = str(dataset.SOPInstanceUID)
        answers.append(association.store(context[0], uid, context[1], [encoded]))


def sent_in_vain(port, answers):
    """The sender hears that it may try again later, and then the association is aborted."""
    with suppress(TransportError):
        send(port, answers)


@pytest.mark.slow
def test_a_node_stops_while_a_decoder_hangs(tmp_path):
    """The process is ended with the node, and the thread that waits for it as well."""
    node = Node(parse_config(SCREENED, "config.yaml", tmp_path), bytes(32))
    node.start()
    answers = []
    send(node.port, answers)
    assert answers == [0]
    (pid,) = [one.pid for one in node._pixels._running]
    os.kill(pid, signal.SIGSTOP)
    sender = threading.Thread(target=sent_in_vain, args=[node.port, answers])
    sender.start()
    while node._pixels._places.qsize() == node._pixels._count:
        os.sched_yield()

    assert node.stop()

    sender.join(10)
    assert not sender.is_alive()
    assert answers == [0, 0xA700]
    assert not Path(f"/proc/{pid}").exists()


def test_a_node_with_another_key_than_its_instances_does_not_start(tmp_path):
    """The same patient would get a second pseudonym."""
    config = parse_config(CONFIG, "config.yaml", tmp_path)
    node = Node(config, bytes(32))
    node.start()
    assert node.stop()

    with pytest.raises(KeyFileError, match="restore that one"):
        Node(config, bytes(31) + b"\x01")


def test_a_full_disk_rejects_associations_until_there_is_room(tmp_path, monkeypatch):
    """Temporary congestion (PS3.8 Table 9-21), and one line in the log for all of them."""
    lines = io.StringIO()
    logs.configure(lines, strict=True)
    full = os.statvfs_result((4096, 4096, 10**6, 10**4, 10**4, 10**6, 10**6, 10**6, 0, 255))
    room = os.statvfs_result((4096, 4096, 10**6, 10**6, 10**6, 10**6, 10**6, 10**6, 0, 255))
    node = Node(parse_config(CONFIG, "config.yaml", tmp_path), bytes(32))
    node.start()
    try:
        monkeypatch.setattr(os, "statvfs", lambda _: full)
        rejections = []
        for _ in range(5):
            with pytest.raises(PeerRejected) as caught:
                _associate(node.port)
            rejections.append((caught.value.result, caught.value.source, caught.value.reason))
        monkeypatch.setattr(os, "statvfs", lambda _: room)
        _associate(node.port)
    finally:
        assert node.stop()
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    loud = [line for line in logged if line["level"] != "info"]

    assert rejections == [(2, 3, 1)] * 5
    assert [line["level"] for line in loud] == ["error", "warning"]
    assert loud[1]["count"] == 5
    assert "association rejected" not in [line["event"] for line in logged]


def _associate(port):
    with SenderAssociation(
        ("127.0.0.1", port), "CT1", "ANONODE", [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]
    ):
        pass


def test_after_a_failed_sync_nobody_is_let_in_and_nothing_is_called_well(tmp_path):
    """The node asks to be ended; the next start looks at what there is."""
    asked = threading.Event()
    config = parse_config(CONFIG, "config.yaml", tmp_path)
    node = Node(config, bytes(32), on_failure=asked.set)
    node.start()
    node._spool.fatal.set()
    with pytest.raises(PeerRejected):
        _associate(node.port)

    assert asked.wait(10)
    assert node.has_failed
    node.stop()
    assert log_of(tmp_path / "data" / FILE_NAME).stat().st_size > 0


RETURNING = """
version: 1
node: {{listen: "127.0.0.1:0"}}
destinations:
  pacs: {{ae_title: PACS, host: localhost, port: 104}}
routes: [{{from: "*", profile: basic, store: {store}, forward: [pacs]}}]
"""


@pytest.mark.parametrize(
    ("store", "calling", "answer"),
    [
        ("true", "CT1", Accepted(("pacs",))),
        ("true", "PACS", Accepted(())),
        ("false", "CT1", Accepted(("pacs",))),
        ("false", "PACS", BAD_CALLING_AE),
    ],
)
def test_a_destination_gets_nothing_back_of_what_it_sends(tmp_path, store, calling, answer):
    """T74; where nobody else would have it either, the association is rejected."""
    node = Node(parse_config(RETURNING.format(store=store), "c", tmp_path), bytes(32))
    node.start()
    found = node._accept(AssociationRequest(calling, "ANONODE", "127.0.0.1"))
    assert node.stop()

    assert (Accepted(found.route.forward) if isinstance(found, Accepted) else found) == answer

"""The node starts whatever its disk has left, because delivering is what frees it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.uid import RLELossless

from scp import __version__
from scp.config import parse_config
from scp.errors import OutOfSpace, TransportError
from scp.instance import RuleSet
from scp.journal import Journal
from scp.node import Node
from scp.sender import SenderAssociation
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

    digest = node._plans["basic"].digest
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


def send(port):
    """One instance; the status, or None if the association ended first."""
    dataset = made_by(instance(drawn("L")))
    dataset.compress(RLELossless)
    _, encoded = split_part10(written(dataset))
    context = (str(dataset.SOPClassUID), str(RLELossless))
    association = SenderAssociation(("127.0.0.1", port), "CT1", "ANONODE", [context])
    with association:
        return association.store(context[0], str(dataset.SOPInstanceUID), context[1], [encoded])


def cut_off(port):
    """The association of an instance ends without an answer."""
    with pytest.raises(TransportError):
        send(port)


@pytest.mark.slow
def test_a_node_stops_while_a_decoder_hangs(tmp_path):
    """The process is ended with the node, and the thread that waits for it as well."""
    node = Node(parse_config(SCREENED, "config.yaml", tmp_path), bytes(32))
    node.start()
    assert send(node.port) == 0
    (pid,) = [one.pid for one in node._pixels._running]
    os.kill(pid, signal.SIGSTOP)
    sender = threading.Thread(target=cut_off, args=[node.port])
    sender.start()
    while node._pixels._places.qsize() == node._pixels._count:
        os.sched_yield()

    assert node.stop()

    sender.join(10)
    assert not sender.is_alive()
    assert not Path(f"/proc/{pid}").exists()

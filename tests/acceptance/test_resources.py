"""What the running node takes of memory, processor, open files and threads."""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import itertools
import shutil
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import instances, processes, wire
from tests.acceptance.peers import SUCCESS
from tests.acceptance.running import RunningNode
from tests.scp import raw_peer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0"}
profiles:
  plain: {Base: basic, BurnedIn: keep}
routes:
  - {from: CT1, to: ANONODE, profile: plain}
"""
LARGE_BYTES = 1 << 30
MEMORY_BYTES = 200_000_000
IDLE_S = 8.0
IDLE_SHARE = 0.005
ABORTED = 50


@pytest.fixture
def node(tmp_path):
    """A node whose files are removed at once: pytest would keep gigabytes."""
    with RunningNode(tmp_path / "node", CONFIG) as running:
        yield running
    shutil.rmtree(running.data)


def _associate(node: RunningNode, sop_class: str) -> wire.Association:
    return wire.Association("127.0.0.1", node.port, "ANONODE", "CT1", (sop_class,))


def _send_small(node: RunningNode, number: int) -> None:
    """One instance of 64 x 64, received in full, on an association of its own."""
    uid = instances.instance_uid(0, 0, number)
    association = _associate(node, instances.CT)
    dataset = instances.with_uid(instances.encode(instances.ct(64)), uid)
    message = wire.store_message(
        association.contexts[instances.CT],
        association.max_pdu_bytes,
        wire.store_request(1, instances.CT, uid),
        dataset,
    )
    assert association.store(message) == SUCCESS
    association.release()


def test_memory_stays_small_while_a_gigabyte_arrives(node, deadline_s):
    """A multi-frame instance passes through; the process never holds it."""
    association = _associate(node, instances.MULTI_FRAME)
    context = association.contexts[instances.MULTI_FRAME]
    uid = instances.instance_uid(1, 1, 1)
    header = instances.with_uid(instances.large_header(LARGE_BYTES), uid)
    pieces = itertools.chain([header], instances.large_pixels(LARGE_BYTES))
    request = wire.store_request(1, instances.MULTI_FRAME, uid)
    before = processes.peak_bytes(node.process.pid)
    begun = time.monotonic()
    association.channel.sendall(wire.command_pdu(context, request))
    for pdu in wire.data_pdus(context, association.max_pdu_bytes, pieces):
        association.channel.sendall(pdu)
    status = association.status()
    took = time.monotonic() - begun
    association.release()

    peak = processes.peak_bytes(node.process.pid)
    print(f"\n{before / 1e6:.0f} MB before, {peak / 1e6:.0f} MB at the most, {took:.1f} s")
    assert status == SUCCESS
    stored = [path.stat().st_size for path in (node.data / "instances").rglob("*.dcm")]
    assert max(stored) > LARGE_BYTES
    assert peak < MEMORY_BYTES
    assert took < deadline_s(60)


def test_an_idle_association_costs_next_to_nothing(node):
    """It waits; it does not poll."""
    _send_small(node, 1)
    association = _associate(node, instances.CT)
    before = processes.cpu_s(node.process.pid)

    # What is measured is the passing of time itself.
    threading.Event().wait(IDLE_S)

    share = (processes.cpu_s(node.process.pid) - before) / IDLE_S
    association.release()
    print(f"\n{share:.2%} of a core")
    assert share < IDLE_SHARE


def _connect_only(peer: raw_peer.RawPeer) -> None:
    peer.send(b"")


def _ask_and_abort(peer: raw_peer.RawPeer) -> None:
    peer.send(raw_peer.request() + raw_peer.pdu(raw_peer.ABORT, bytes(4)))


def _abort_inside(peer: raw_peer.RawPeer) -> None:
    _begin(peer)
    peer.send(raw_peer.pdu(raw_peer.ABORT, bytes(4)))


def _reset_inside(peer: raw_peer.RawPeer) -> None:
    _begin(peer)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _talk_nonsense(peer: raw_peer.RawPeer) -> None:
    _begin(peer)
    peer.send(b"GET / HTTP/1.1\r\n\r\n")


def _begin(peer: raw_peer.RawPeer) -> None:
    """An instance, as far as into its pixel data."""
    peer.associate()
    dataset = instances.encode(instances.ct(64))
    command = raw_peer.pdv(1, raw_peer.COMMAND | raw_peer.LAST, raw_peer.store_command())
    peer.send(raw_peer.pdu(raw_peer.P_DATA, command))
    peer.send(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 0, dataset[:-1000])))


WAYS_TO_DIE = (_connect_only, _ask_and_abort, _abort_inside, _reset_inside, _talk_nonsense)


def test_aborted_associations_leave_nothing_behind(node, deadline_s):
    """Open files and threads are what they were, and no file of theirs is on disk."""
    _send_small(node, 1)
    _send_small(node, 2)
    base = _settled(node, deadline_s(10))
    stored = _bytes_stored(node)

    for number in range(ABORTED):
        with raw_peer.RawPeer(("127.0.0.1", node.port)) as peer:
            WAYS_TO_DIE[number % len(WAYS_TO_DIE)](peer)

    assert _until(lambda: _held(node) == base, deadline_s(10)), (base, _held(node))
    assert _bytes_stored(node) == stored
    _send_small(node, 3)
    ended = node.output.read_text().count('"association lost"')
    print(f"\nopen files and threads: {base}; {ended} associations lost")


def _settled(node: RunningNode, limit_s: float) -> tuple[int, int]:
    """What it holds once the threads of released associations have ended."""
    base = _held(node)
    _until(lambda: _held(node) < base, min(limit_s, 1.0))
    return _held(node)


def _held(node: RunningNode) -> tuple[int, int]:
    """Open files and threads of the process."""
    process = Path(f"/proc/{node.process.pid}")
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def _bytes_stored(node: RunningNode) -> int:
    return sum(path.stat().st_size for path in (node.data / "instances").rglob("*.dcm"))


def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether something in another process comes true within the limit."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.02)
    return True

"""A stop ends in time whatever peers do, and every peer hears of it."""

from __future__ import annotations

import signal
import socket
import sqlite3
import struct
import threading
import time
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from rules import Pseudonyms
from scp.errors import PeerAborted, PeerRejected, TransportError
from scp.journal import FILE_NAME
from tests import instances
from tests.acceptance.loaded import AGAIN_S, PROFILE, SENDERS, Load
from tests.acceptance.managed import ManagedNode
from tests.encoded import EXPLICIT
from tests.scp import raw_peer
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node:
  ae_title: ANONODE
  listen: "127.0.0.1:0"
  drain_s: {grace_s}
  max_associations_per_address: 64
rest: {{listen: "127.0.0.1:0"}}
profiles:
  research: {{Base: basic}}
destinations:
  stuck: {{ae_title: STUCK, host: 127.0.0.1, port: {stuck}}}
routes:
  - {{from: "CT*", to: ANONODE, profile: research, forward: [stuck]}}
"""
GRACE_S = 2.0
LAST_S = 5.0
"""Behind the grace."""
SIGNALS = (
    (signal.SIGTERM,),
    (signal.SIGINT,),
    (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT),
)
ROUNDS = size(ci=3, nightly=30)
PATIENCE_S = 30.0
ENDS = {raw_peer.RJ, raw_peer.P_DATA, raw_peer.RELEASE_RP, raw_peer.ABORT}
"""What may be the last that a peer hears: a rejection, a response, or the end."""


class Ended(Load):
    """Senders under load that remember how each association ended."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.ends: list[TransportError] = []

    def send(self, number: int) -> None:
        """Be one sender until told to stop."""
        waiting = self._instances(number)
        uid, dataset = next(waiting)
        while not self.stopping.is_set():
            try:
                with self._association() as association:
                    while not self.stopping.is_set():
                        status = association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset])
                        if self._noted(uid, status):
                            uid, dataset = next(waiting)
            except TransportError as error:
                self.ends.append(error)
            self.stopping.wait(AGAIN_S)


def silent(peer: raw_peer.RawPeer) -> None:
    """Connected, and no more."""
    peer.send(b"")


def half_request(peer: raw_peer.RawPeer) -> None:
    """An A-ASSOCIATE-RQ that does not go on."""
    peer.send(raw_peer.request()[:40])


def idle(peer: raw_peer.RawPeer) -> None:
    """An association between two messages."""
    peer.associate(calling=b"CT2")


def half_message(peer: raw_peer.RawPeer) -> None:
    """A dataset that does not go on."""
    idle(peer)
    command = raw_peer.pdv(1, raw_peer.COMMAND | raw_peer.LAST, raw_peer.store_command())
    dataset = instances.dataset(instances.ct(64, 64), EXPLICIT)
    peer.send(raw_peer.pdu(raw_peer.P_DATA, command))
    peer.send(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 0, dataset[:-1000])))


def half_header(peer: raw_peer.RawPeer) -> None:
    """A PDU of which the length is missing."""
    half_message(peer)
    peer.send(b"\x04\x00")


KINDS: tuple[Callable[[raw_peer.RawPeer], None], ...] = (
    silent,
    half_request,
    idle,
    half_message,
    half_header,
)
STUCK = len(KINDS) + 5
"""With those that do not read, trickle, hang over HTTP twice, and do not take deliveries."""


@dataclass
class Stuck:
    """Peers that hang, and what they heard in the end."""

    peers: dict[str, raw_peer.RawPeer] = field(default_factory=dict)
    heard: dict[str, tuple[int, str]] = field(default_factory=dict)

    def hear(self) -> None:
        """Read what each was told at the end."""
        for name, peer in self.peers.items():
            self.heard[name] = last_of(peer)


def last_of(peer: raw_peer.RawPeer) -> tuple[int, str]:
    """The type of the last PDU, and how the connection ended behind it."""
    last, peer.sock = 0, peer.sock
    peer.sock.settimeout(PATIENCE_S)
    try:
        while (found := peer.read_pdu())[0]:
            last = found[0]
    except ConnectionResetError:
        return last, "reset"
    return last, "closed"


@contextmanager
def hanging(port: int) -> Iterator[Stuck]:
    """A peer of each kind."""
    stuck = Stuck()
    for begin in KINDS:
        peer = stuck.peers[begin.__name__] = raw_peer.RawPeer(("127.0.0.1", port))
        begin(peer)
    try:
        yield stuck
    finally:
        for peer in stuck.peers.values():
            peer.sock.close()


def narrow(port: int) -> raw_peer.RawPeer:
    """A connection whose window is small from the start."""
    peer = raw_peer.RawPeer.__new__(raw_peer.RawPeer)
    peer.sock = socket.socket()
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.sock.settimeout(PATIENCE_S)
    peer.sock.connect(("127.0.0.1", port))
    return peer


@contextmanager
def not_reading(port: int) -> Iterator[None]:
    """A peer that asks for echoes until nothing more goes in, and reads no answer."""
    with narrow(port) as peer:
        context = raw_peer.context(1, raw_peer.VERIFICATION, raw_peer.IMPLICIT)
        peer.associate(context, calling=b"CT3")
        echo = raw_peer.plain_command(0x0030)
        message = raw_peer.pdu(
            raw_peer.P_DATA, raw_peer.pdv(1, raw_peer.COMMAND | raw_peer.LAST, echo)
        )
        peer.sock.settimeout(0.5)
        with suppress(TimeoutError):
            while True:
                peer.sock.sendall(message * 100)
        yield


@contextmanager
def trickling(port: int) -> Iterator[None]:
    """A peer that sends its dataset byte by byte, for ever."""
    ended = threading.Event()
    with raw_peer.RawPeer(("127.0.0.1", port)) as peer:
        half_message(peer)
        peer.send(struct.pack(">BBI", raw_peer.P_DATA, 0, 100_000) + bytes(6))

        def trickle() -> None:
            with suppress(OSError):
                while not ended.wait(0.05):
                    peer.send(b"\0")

        thread = threading.Thread(target=trickle)
        thread.start()
        yield
        ended.set()
        thread.join(PATIENCE_S)


@contextmanager
def over_http(port: int, words: bytes) -> Iterator[None]:
    """A client of the REST API that does not go on."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        client.sendall(words)
        yield


UPLOAD = b"POST /instances HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nDICM"


def test_a_stop_ends_in_time_whatever_peers_do(tmp_path, deadline_s, figures):
    """T-STOP: exit 0 within grace + 5 s, nothing acknowledged lost, every peer told.

    By SIGTERM, by SIGINT, and by several signals of which the first counts.
    """
    took, acknowledged = [], 0
    for number in range(ROUNDS):
        # Filling the buffers of one that does not read takes seconds: once for each signal.
        fills = number % len(SIGNALS) == number // len(SIGNALS) % len(SIGNALS)
        signals = SIGNALS[number % len(SIGNALS)]
        found = stopped(tmp_path / str(number), signals, fills=fills)
        took.append(found.took_s)
        acknowledged += len(found.acknowledged)

        assert found.status == 0
        assert found.took_s < GRACE_S + deadline_s(LAST_S)
        assert found.acknowledged
        assert found.acknowledged - found.kept == set()
        assert {name: end for name, end in found.heard.items() if end[0] not in ENDS} == {}
        assert [str(end) for end in found.ends if not is_told(end)] == []
    figures(
        "T-STOP",
        stops=ROUNDS,
        stuck_peers=STUCK,
        acknowledged=acknowledged,
        lost=0,
        not_told=0,
        grace_s=GRACE_S,
        longest_s=round(max(took), 2),
    )


def is_told(error: TransportError) -> bool:
    """Whether a sender under load was told, or found nobody at all."""
    return isinstance(error, PeerAborted | PeerRejected) or "refused" in str(error)


@dataclass
class Stopped:
    """What was seen of one stop."""

    status: int
    took_s: float
    acknowledged: set[str]
    kept: set[str]
    heard: dict[str, tuple[int, str]]
    ends: list[TransportError]


def stopped(folder: Path, signals: tuple[signal.Signals, ...], *, fills: bool) -> Stopped:
    """Start a node, get peers stuck, load it, and stop it."""
    with socket.create_server(("127.0.0.1", 0)) as destination:
        config = CONFIG.format(grace_s=GRACE_S, stuck=destination.getsockname()[1])
        node = ManagedNode(folder, config)
        node.start()
        load = Ended(node.port)
        with (
            hanging(node.port) as stuck,
            not_reading(node.port) if fills else nullcontext(),
            trickling(node.port),
            over_http(node.rest_port, UPLOAD),
            over_http(node.rest_port, b"GET /system"),
            loaded(load),
        ):
            load.wait_for(20)
            begun = time.monotonic()
            for number in signals:
                node.process.send_signal(number)
            status = node.process.wait(PATIENCE_S)
            took_s = time.monotonic() - begun
            stuck.hear()
        node.forget()
    pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
    acknowledged = {pseudonyms.uid(PROFILE, uid) for uid in load.acknowledged}
    return Stopped(status, took_s, acknowledged, kept(node), stuck.heard, load.ends)


@contextmanager
def loaded(load: Ended) -> Iterator[None]:
    """Senders at work."""
    threads = [threading.Thread(target=load.send, args=(number,)) for number in range(SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def kept(node: ManagedNode) -> set[str]:
    """The instances that the journal names and the disk has."""
    with closing(sqlite3.connect(f"file:{node.data / FILE_NAME}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT sop_instance_uid, file_name FROM instances").fetchall()
    return {uid for uid, name in rows if (node.data / "instances" / name).stat().st_size}

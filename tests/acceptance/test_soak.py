"""A node that works for long: its memory, threads and open files do not creep up.

At night size: half an hour and ten thousand associations; memory may rise by 1 MiB an hour.
"""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

from benchmarks import wire
from rules import Pseudonyms
from scp.errors import TransportError
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.peers import SUCCESS
from tests.acceptance.running import RunningNode
from tests.acceptance.watching import MIB, Held, rss_bytes, until
from tests.encoded import EXPLICIT
from tests.scp.api.serving import Client
from tests.sizes import NIGHTLY, size

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
rest: {{listen: "127.0.0.1:0", profile: plain}}
profiles:
  plain: {{Base: basic, BurnedIn: keep}}
destinations:
  sink: {{ae_title: SINK, host: 127.0.0.1, port: {sink}, retry_base_s: 1, retry_cap_s: 2}}
routes:
  - {{from: CT1, to: ANONODE, profile: plain, store: false, forward: [sink]}}
"""
LONG_S = size(ci=20, nightly=1800)
ASSOCIATIONS = size(ci=100, nightly=10_000)
SENDERS = 4
EACH = 3
"""Instances of an association."""
SIDE = size(ci=64, nightly=512)
WARM_SHARE = 0.4
SAMPLE_S = size(ci=1, nightly=5)
SLOPE_BYTES_PER_H = MIB
GROWTH_BYTES = 24 * MIB
"""Of a run too short for a slope: a sawtooth of what is collected now and then."""


class Sink:
    """Takes whatever comes, remembers the UIDs, and forgets the rest."""

    def __init__(self) -> None:
        self.uids: set[str] = set()
        self.count = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._door = wire.socket.create_server(("127.0.0.1", 0))
        self._door.settimeout(0.2)
        self.port = self._door.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        self._door.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                channel, _ = self._door.accept()
            except TimeoutError:
                continue
            channel.settimeout(60)
            thread = threading.Thread(target=self._serve, args=(channel,), daemon=True)
            thread.start()

    def _serve(self, channel: socket.socket) -> None:
        with channel:
            try:
                _, body = wire.receive_pdu(channel)
                channel.sendall(_accepting(wire.read_associate(body)))
                while self._message(channel):
                    pass
            except OSError:
                return  # the node has ended

    def _message(self, channel: socket.socket) -> bool:
        """Take a message and answer it; False at the end."""
        command = b""
        while True:
            kind, body = wire.receive_pdu(channel)
            if kind != wire.P_DATA:
                if kind == wire.RELEASE_RQ:
                    channel.sendall(bytes([wire.RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
                return False
            for number, control, fragment in _fragments(body):
                if control & 1:
                    command += fragment
                elif control & 2:
                    self._answer(channel, number, wire.read_command(command))
                    return True

    def _answer(self, channel: socket.socket, number: int, request: dict[int, bytes]) -> None:
        with self._lock:
            self.uids.add(request[0x1000].rstrip(b"\0 ").decode())
            self.count += 1
        channel.sendall(wire.pdata(number, 3, wire.response(request, SUCCESS)))


def _accepting(offered: wire.Negotiation) -> bytes:
    offers = tuple(
        wire.Offer(one.context_id, one.abstract_syntax, one.transfer_syntaxes[:1])
        for one in offered.offers
    )
    answer = wire.Negotiation(offered.called, offered.calling, offers, 1 << 17)
    return wire.associate(wire.ASSOCIATE_AC, answer)


def _fragments(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "big")
        yield body[at + 4], body[at + 5], body[at + 6 : at + 4 + length]
        at += 4 + length


@dataclass
class Load:
    """Four senders, each association with a few instances, evenly over the time."""

    port: int
    acknowledged: list[str] = field(default_factory=list)
    other: list[int] = field(default_factory=list)
    associations: int = 0
    lost: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def send(self, number: int) -> None:
        """Be one of them."""
        begun, pause_s = time.monotonic(), LONG_S * SENDERS / ASSOCIATIONS
        count = 0
        while not self.over.is_set():
            try:
                self._associate(number, count)
            except TransportError:
                self.lost += 1
            count += 1
            self.over.wait(max(0.0, begun + count * pause_s - time.monotonic()))

    def _associate(self, number: int, count: int) -> None:
        context = (instances.CT_IMAGE, EXPLICIT)
        with SenderAssociation(("127.0.0.1", self.port), "CT1", "ANONODE", [context]) as made:
            for at in range(EACH):
                instance = 100_000_000 * (number + 1) + count * EACH + at
                uid = f"{instances.ROOT}.1.1.{instance}"
                data = instances.dataset(instances.ct(SIDE, SIDE, instance=instance), EXPLICIT)
                self._note(uid, made.store(instances.CT_IMAGE, uid, EXPLICIT, [data]))
        with self.lock:
            self.associations += 1

    def _note(self, uid: str, status: int) -> None:
        with self.lock:
            if status == SUCCESS:
                self.acknowledged.append(uid)
            else:
                self.other.append(status)


def slope_per_h(samples: list[tuple[float, float]]) -> float:
    """The rise of a line through these moments in seconds and values, by least squares."""
    moments, values = zip(*samples, strict=True)
    mean_at, mean = sum(moments) / len(moments), sum(values) / len(values)
    rise = sum((at - mean_at) * (value - mean) for at, value in samples)
    return 3600 * rise / sum((at - mean_at) ** 2 for at in moments)


def test_a_slope_is_that_of_the_line():
    """Noise that is even on both sides does not bend it."""
    noisy = [(at, 5 + 2 * at + (-1) ** at) for at in range(1000)]

    assert slope_per_h(noisy) == pytest.approx(7200, rel=0.001)


def test_a_node_that_works_for_long_takes_no_more_and_loses_nothing(tmp_path, deadline_s, figures):
    """T-SOAK: memory rises less than 1 MiB/h, threads and files stay, all that came arrives."""
    memory: list[tuple[float, float]] = []
    held: list[Held] = []
    with Sink() as sink, RunningNode(tmp_path / "node", CONFIG.format(sink=sink.port)) as node:
        pid, rest, load = node.process.pid, Client(node.rest_port), Load(node.port)
        senders = [threading.Thread(target=load.send, args=(one,)) for one in range(SENDERS)]
        for sender in senders:
            sender.start()
        begun = time.monotonic()
        while (at := time.monotonic() - begun) < LONG_S:
            if at > LONG_S * WARM_SHARE:
                memory.append((at, rss_bytes(pid)))
                held.append(Held.of(pid))
            load.over.wait(SAMPLE_S)
        load.over.set()
        for sender in senders:
            sender.join(60)
        assert rest.ask("GET", "/statistics").status == 200
        wanted = _new_uids(node, load.acknowledged)
        arrived = until(lambda: wanted <= sink.uids, deadline_s(60))
        assert node.terminate() == 0
        said = node.output.read_text()

    _judge(memory, held)
    half = len(held) // 2
    slope = slope_per_h(memory)
    print(
        f"\n{load.associations} associations, {len(load.acknowledged)} acknowledged, {sink.count}"
        f" arrived; memory {memory[0][1] / MIB:.1f} to {memory[-1][1] / MIB:.1f} MiB,"
        f" {slope / MIB:+.2f} MiB/h; {max(one.threads for one in held[:half])} and"
        f" {max(one.threads for one in held[half:])} threads"
    )
    assert load.other == []
    assert load.lost == 0
    assert arrived, len(wanted - sink.uids)
    assert load.associations > ASSOCIATIONS * 0.8
    assert "Traceback" not in said
    figures(
        "T-SOAK",
        minutes=round(LONG_S / 60, 1),
        associations=load.associations,
        acknowledged=len(load.acknowledged),
        lost=0,
        **_rise(memory),
        threads=max(one.threads for one in held),
        files=max(one.files for one in held),
    )


def _judge(memory: list[tuple[float, float]], held: list[Held]) -> None:
    """Memory by its slope, or by its growth in a short run; the rest by its two halves."""
    if NIGHTLY:
        assert slope_per_h(memory) < SLOPE_BYTES_PER_H
    assert memory[-1][1] - memory[0][1] < GROWTH_BYTES
    half = len(held) // 2
    before, after = held[:half], held[half:]
    # At any moment each sender and the forwarder may have a thread, a socket, a file.
    spread = 3 * (SENDERS + 1)
    assert min(one.threads for one in after) <= max(one.threads for one in before)
    assert max(one.threads for one in after) <= max(one.threads for one in before) + SENDERS
    assert max(one.files for one in after) <= max(one.files for one in before) + spread


def _rise(memory: list[tuple[float, float]]) -> dict[str, float]:
    """What is said of memory: its slope, which a short run has not."""
    if NIGHTLY:
        return {"rss_slope_mib_per_h": round(slope_per_h(memory) / MIB, 2)}
    return {"rss_growth_mib": round((memory[-1][1] - memory[0][1]) / MIB, 1)}


def _new_uids(node: RunningNode, originals: list[str]) -> set[str]:
    pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
    return {pseudonyms.uid("plain", uid) for uid in originals}

"""Peers that want more than their share of a running node: of its time, its memory, its disk."""

# ruff: noqa: S311, T201 - choices of a test are no secrets; `pytest -s` shows its figures

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from benchmarks import wire
from scp.sender import SenderAssociation
from tests import encoded, instances
from tests.acceptance import stuck
from tests.acceptance.loaded import files_and_rows
from tests.acceptance.peers import SUCCESS
from tests.acceptance.running import RunningNode
from tests.acceptance.watching import (
    MIB,
    Held,
    forget_peak,
    open_files,
    peak_bytes,
    rss_bytes,
    until,
)
from tests.certificates import Authority
from tests.encoded import DEFLATED, EXPLICIT, IMPLICIT, El, Form
from tests.scp import raw_peer
from tests.scp.api.serving import Client
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0", idle_s: 5, drain_s: 2{node}}}
rest: {{listen: "127.0.0.1:0", profile: plain}}
profiles:
  plain: {{Base: basic, BurnedIn: keep}}
routes:
  - {{from: CT1, to: ANONODE, profile: plain}}
"""
OPEN = ", max_associations: 256, max_associations_per_address: 64"
"""So many places that every stuck socket gets one; else most would only be turned away."""
DICOM_STUCK, TLS_STUCK, HTTP_STUCK = 128, 64, 200
ROUNDS = size(ci=1, nightly=3)
DEADLINES_S = 45.0
P99_S = 2.0
AT_ONCE_S = 0.05
MEMORY_BYTES = 64 * MIB


def running(folder, node: str = "") -> RunningNode:
    """A node with the limits of production but for these."""
    return RunningNode(folder / "node", CONFIG.format(node=node))


def stored(number: int, side: int = 64) -> tuple[str, bytes]:
    """An instance as it should be: its SOP Instance UID and its dataset."""
    uid = f"{instances.ROOT}.1.1.{number}"
    return uid, instances.dataset(instances.ct(side, side, instance=number), EXPLICIT)


def store(port: int, number: int, side: int = 64) -> int:
    """Send one on an association of its own; the status."""
    uid, dataset = stored(number, side)
    context = (instances.CT_IMAGE, EXPLICIT)
    with SenderAssociation(("127.0.0.1", port), "CT1", "ANONODE", [context]) as association:
        return association.store(*context[:1], uid, EXPLICIT, [dataset])


# ---------------------------------------------------------------- T-SLOWLORIS


@dataclass
class Regular:
    """Somebody who stores one instance after the other while all this goes on."""

    port: int
    took_s: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)
    number: int = 1000

    def run(self) -> None:
        while not self.over.wait(AT_ONCE_S):
            self.number += 1
            begun = time.monotonic()
            self.statuses.add(store(self.port, self.number))
            self.took_s.append(time.monotonic() - begun)

    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


@contextlib.contextmanager
def regular(port: int) -> Iterator[Regular]:
    """One in a thread of its own."""
    made = Regular(port)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        thread.join(raw_peer.PATIENCE_S)


def test_stuck_peers_hold_up_nobody_and_are_gone_after_their_deadlines(
    tmp_path, peer, deadline_s, figures
):
    """T-SLOWLORIS: 128 DICOM, 64 TLS and 200 HTTP sockets are stuck; a store takes 2 s at most."""
    issued = Authority(peer("openssl"), tmp_path, "ca").issue("node", alternative="IP:127.0.0.1")
    tls = f", tls_listen: '127.0.0.1:0', tls_certificate: '{issued.certificate}'"
    with running(tmp_path, OPEN + tls + f", tls_key: '{issued.key}'") as node:
        ports = (node.port, node.tls_port, node.rest_port)
        large = _store_large(node)
        pid, rest = node.process.pid, Client(node.rest_port)
        base = _settled(node, rest)
        with regular(node.port) as sender:
            for number in range(ROUNDS):
                with stuck.Crowd() as crowd:
                    begun = time.monotonic()
                    _gather(crowd, ports, large, number)
                    assert len(crowd.sockets) == DICOM_STUCK + TLS_STUCK + HTTP_STUCK
                    most = Held.of(pid)
                    gone = until(
                        lambda: _answers(rest) and Held.of(pid).is_within(base),
                        deadline_s(DEADLINES_S),
                        pause_s=0.5,
                    )
                    took_s = time.monotonic() - begun
                    assert gone, (base, Held.of(pid), open_files(pid))
        assert node.terminate() == 0
        said = node.output.read_text()

    print(
        f"\n{len(sender.took_s)} stores beside them, p99 {sender.p99_s():.2f} s,"
        f" the slowest {max(sender.took_s):.2f} s; {most} at the most, {base} again after"
        f" {took_s:.0f} s"
    )
    assert sender.statuses == {SUCCESS}
    assert most.threads - base.threads > DICOM_STUCK  # they were all let in, and stuck
    assert sender.p99_s() < deadline_s(P99_S)
    assert "Traceback" not in said
    figures(
        "T-SLOWLORIS",
        stuck=DICOM_STUCK + TLS_STUCK + HTTP_STUCK,
        stores=len(sender.took_s),
        p99_s=round(sender.p99_s(), 2),
        gone_after_s=round(took_s),
        threads_left=0,
        files_left=0,
    )


def _lines(node: RunningNode) -> list[dict[str, object]]:
    return [json.loads(line) for line in node.output.read_text().splitlines()]


def _store_large(node: RunningNode) -> str:
    """Store 32 MiB; the address of its file."""
    assert store(node.port, 1, side=4096) == SUCCESS
    (found,) = Client(node.rest_port).ask("GET", "/instances").json
    return f"/instances/{found}/file"


def _settled(node: RunningNode, rest: Client) -> Held:
    """What it holds when it has done everything once: files after much at once, threads before.

    The pool of the journal keeps its connections; threads that wait for nothing end.
    """
    pid = node.process.pid
    with regular(node.port) as sender:
        until(lambda: len(sender.took_s) >= 10, raw_peer.PATIENCE_S)
        for _ in range(5):
            assert rest.ask("GET", "/statistics").status == 200
        threads = Held.of(pid).threads
        for _ in range(3):
            with ThreadPoolExecutor(30) as pool:
                asked = pool.map(lambda _: rest.ask("GET", "/statistics").status, range(60))
                assert set(asked) == {200}
    files = Held.of(pid).files
    return Held(files + SLACK_FILES, threads + SLACK_THREADS)


SLACK_FILES, SLACK_THREADS = 4, 2
"""Of the sender beside: its own association, and the file that it is stored in."""


def _gather(crowd: stuck.Crowd, ports: tuple[int, int, int], large: str, number: int) -> None:
    """All of them; the kinds of one protocol from an address each, in turns."""
    dicom, tls, http = ports
    net = f"127.0.{number + 1}"
    for at, kind in enumerate(stuck.DICOM):
        crowd.join(DICOM_STUCK // len(stuck.DICOM), dicom, f"{net}.{at + 2}", kind)
    for at, kind in enumerate(stuck.TLS):
        crowd.join(TLS_STUCK // len(stuck.TLS), tls, f"{net}.{at + 12}", kind)
    kinds = (stuck.drips_a_head, stuck.drips_a_body, stuck.asks_nothing)
    for at, kind in enumerate((*kinds, stuck.reads_nothing(large)) * 10):
        crowd.join(HTTP_STUCK // 40, http, f"{net}.{at % 4 + 22}", kind)


def _answers(rest: Client) -> bool:
    """Whether HTTP is answered; not while it is full."""
    with contextlib.suppress(OSError):
        return rest.ask("GET", "/system").status == 200
    return False


# ---------------------------------------------------------------- T-BOMB

T4_HEADERS = 100
PIPELINED_BYTES = size(ci=256, nightly=2048) * MIB
BOMB_BYTES = 1 << 30
DEPTH = 10_000


@dataclass
class Meter:
    """How far the memory of a node rises."""

    node: RunningNode
    base_bytes: int = 0
    risen_bytes: dict[str, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """What happens inside."""
        pid = self.node.process.pid
        forget_peak(pid)
        yield
        self.risen_bytes[name] = peak_bytes(pid) - self.base_bytes
        assert store(self.node.port, 90_000 + len(self.risen_bytes)) == SUCCESS


@pytest.fixture
def meter(tmp_path):
    """A node that has worked a little, and its meter; afterwards it ends in order."""
    with running(tmp_path) as node:
        for number in range(20):
            assert store(node.port, number, side=256) == SUCCESS
        meter = Meter(node, rss_bytes(node.process.pid))
        yield meter
        assert node.terminate() == 0
        assert "Traceback" not in node.output.read_text()


def test_lengths_that_are_lies_and_peers_that_never_wait_cost_no_memory(meter, figures):
    """T-AHEAD: headers of 4 GiB, and messages sent ahead without taking an answer."""
    node = meter.node
    with meter.of("length"):
        ends = {_claim_4_gib(node, number) for number in range(T4_HEADERS)}
    with meter.of("ahead"):
        answers = _send_ahead(node, PIPELINED_BYTES)

    rise = {name: round(risen / MIB, 1) for name, risen in meter.risen_bytes.items()}
    print(f"\nMiB above {meter.base_bytes / MIB:.0f}: {rise}")
    assert ends == {(raw_peer.ABORT, 2, 6)}
    assert set(answers) == {SUCCESS}
    assert len(answers) == PIPELINED_BYTES // MIB
    assert max(meter.risen_bytes.values()) < MEMORY_BYTES
    figures(
        "T-AHEAD",
        headers=T4_HEADERS,
        pipelined_mib=PIPELINED_BYTES // MIB,
        risen_mib=max(rise.values()),
    )


def _claim_4_gib(node: RunningNode, number: int) -> tuple[int, int, int]:
    with raw_peer.RawPeer(("127.0.0.1", node.port)) as peer:
        if number % 2:
            peer.associate()
        peer.send(bytes([raw_peer.P_DATA if number % 2 else raw_peer.RQ]) + b"\0\xff\xff\xff\xf0")
        return peer.end()


def _send_ahead(node: RunningNode, total_bytes: int) -> list[int]:
    """Messages of a megabyte, one behind the other; only then are answers read."""
    uid, dataset = stored(50_000, side=722)
    assert abs(len(dataset) - MIB) < MIB // 100
    association = wire.Association("127.0.0.1", node.port, "ANONODE", "CT1", (raw_peer.CT,))
    context = association.contexts[raw_peer.CT]
    for number in range(total_bytes // MIB):
        own = f"{uid[:-5]}{50_000 + number}"
        request = wire.store_request(number % 0xFFFF + 1, raw_peer.CT, own)
        data = dataset.replace(uid.encode(), own.encode())
        association.channel.sendall(
            wire.store_message(context, association.max_pdu_bytes, request, data)
        )
    answers = [association.status() for _ in range(total_bytes // MIB)]
    association.release()
    return answers


def test_datasets_that_unfold_are_refused_and_the_next_one_is_taken(meter, deadline_s, figures):
    """T-BOMB: a megabyte that inflates to a gigabyte, ten thousand sequences in each other."""
    made = {**dict(_deflated_bombs()), **dict(_deep_bombs())}
    statuses, took_s = {}, {}
    for number, (name, (syntax, data)) in enumerate(made.items()):
        begun = time.monotonic()
        with meter.of(name):
            statuses[name] = _store_and_go_on(meter.node, syntax, data, number)
        took_s[name] = time.monotonic() - begun

    rise = {name: round(risen / MIB, 1) for name, risen in meter.risen_bytes.items()}
    print(f"\nMiB above {meter.base_bytes / MIB:.0f}: {rise}")
    said = {name: f"{status:#06x} {took_s[name]:.1f} s" for name, (status, _) in statuses.items()}
    print(said)
    assert {after for _, after in statuses.values()} == {SUCCESS}
    assert {status >> 12 for status, _ in statuses.values()} <= {0xA, 0xC}
    assert max(meter.risen_bytes.values()) < MEMORY_BYTES
    assert max(took_s.values()) < deadline_s(20)
    figures(
        "T-BOMB",
        bombs=len(made),
        risen_mib=max(rise.values()),
        slowest_s=round(max(took_s.values()), 1),
    )


def _store_and_go_on(node: RunningNode, syntax: str, data: bytes, number: int) -> tuple[int, int]:
    """The status of a bomb, and that of an instance behind it on the same association."""
    contexts = [(raw_peer.CT, syntax), (raw_peer.CT, EXPLICIT)]
    with SenderAssociation(("127.0.0.1", node.port), "CT1", "ANONODE", contexts) as association:
        bomb = association.store(raw_peer.CT, "1.2.3.4", syntax, [data])
        uid, dataset = stored(80_000 + number)
        return bomb, association.store(raw_peer.CT, uid, EXPLICIT, [dataset])


_EXPLICIT = Form(implicit=False)
_UIDS = encoded.encode(
    [
        instances.text(0x00080016, "UI", raw_peer.CT),
        instances.text(0x00080018, "UI", "1.2.3.4"),
    ],
    _EXPLICIT,
)


def _deflated_bombs() -> Iterator[tuple[str, tuple[str, bytes]]]:
    """A gigabyte in front of the pixels, in a sequence, out of order, and behind them."""
    long = encoded.header(0x00091001, "OB", BOMB_BYTES, _EXPLICIT)
    opened = encoded.header(0x00091001, "SQ", encoded.UNDEFINED, _EXPLICIT)
    opened += encoded.header(encoded.ITEM, "", encoded.UNDEFINED, _EXPLICIT)
    pixels = encoded.encode_one(El(instances.PIXEL_DATA, "OW", bytes(16)), _EXPLICIT)
    padding = encoded.header(0xFFFCFFFC, "OB", BOMB_BYTES, _EXPLICIT)
    many = encoded.encode_one(El(0x00091002, "LO", b"ABCDEF"), _EXPLICIT)
    yield "in front", (DEFLATED, _bomb(_UIDS + long))
    yield "in a sequence", (DEFLATED, _bomb(_UIDS + opened + long))
    yield "out of order", (DEFLATED, _bomb(long[:8] + _UIDS + _UIDS + long))
    yield "behind", (DEFLATED, _bomb(_UIDS + pixels + padding))
    yield "many elements", (DEFLATED, _bomb(_UIDS + opened, many))


def _bomb(head: bytes, piece: bytes = b"\0") -> bytes:
    """The head and a gigabyte of the same, deflated; a block is made once and repeated."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(piece * (MIB // len(piece))) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed + block * (BOMB_BYTES // MIB) + packer.flush()


def _deep_bombs() -> Iterator[tuple[str, tuple[str, bytes]]]:
    for name, syntax, vr in (
        ("deep", EXPLICIT, "SQ"),
        ("deep, implicit", IMPLICIT, "SQ"),
        ("deep, unknown", EXPLICIT, "UN"),
    ):
        form = Form.of(syntax)
        inner = encoded.HIDDEN if vr == "UN" else form
        uids = encoded.encode(
            [
                instances.text(0x00080016, "UI", raw_peer.CT),
                instances.text(0x00080018, "UI", "1.2.3.4"),
            ],
            form,
        )
        first = encoded.header(0x00081115, vr, encoded.UNDEFINED, form)
        again = encoded.header(encoded.ITEM, "", encoded.UNDEFINED, inner)
        again += encoded.header(0x00081115, "SQ", encoded.UNDEFINED, inner)
        end = encoded.header(encoded.SEQUENCE_END, "", 0, inner)
        last = (encoded.header(encoded.ITEM_END, "", 0, inner) + end) * DEPTH
        yield name, (syntax, uids + first + again * DEPTH + end + last)
    yield "deep, defined", (EXPLICIT, _UIDS + _defined(DEPTH))


def _defined(depth: int) -> bytes:
    """Sequences in each other, each of which says how long it is."""
    heads = []
    for length in range(0, 20 * depth, 20):
        head = encoded.header(0x00081115, "SQ", length + 8, _EXPLICIT)
        heads.append(head + encoded.header(encoded.ITEM, "", length, _EXPLICIT))
    return b"".join(reversed(heads))


# ---------------------------------------------------------------- T-ABORT

RANDOM_CUTS = size(ci=100, nightly=500)
SIDE = 40
FRAGMENT = 1000


def _conversation(number: int) -> tuple[list[bytes], int]:
    """Two instances and a release as PDUs; behind how many bytes the first has come whole."""
    pdus = [raw_peer.request(user=raw_peer.item(0x52, b"1.2.3"))]
    whole = 0
    for at in (2 * number, 2 * number + 1):
        uid, dataset = stored(100_000 + at, side=SIDE)
        command = raw_peer.store_command(uid)
        pdus.append(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 3, command)))
        pieces = [dataset[at : at + FRAGMENT] for at in range(0, len(dataset), FRAGMENT)]
        for index, piece in enumerate(pieces):
            control = raw_peer.LAST if index == len(pieces) - 1 else 0
            pdus.append(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, control, piece)))
        whole = whole or sum(map(len, pdus))
    return [*pdus, raw_peer.pdu(raw_peer.RELEASE_RQ, bytes(4))], whole


def _aborts(sock: socket.socket) -> None:
    sock.sendall(raw_peer.pdu(raw_peer.ABORT, bytes(4)))


def _hangs_up(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)


def _resets(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


WAYS: tuple[Callable[[socket.socket], None], ...] = (_aborts, _hangs_up, _resets)


def test_a_peer_that_goes_at_any_byte_leaves_nothing_behind(tmp_path, deadline_s, figures):
    """T-ABORT: at every boundary of a PDU, and anywhere: no partial object, nothing open."""
    chance = random.Random(5)
    pdus, _ = _conversation(0)
    ends = [0, *(sum(map(len, pdus[: at + 1])) for at in range(len(pdus)))]
    cuts = [(end, way) for end in ends for way in WAYS]
    cuts += [(chance.randrange(ends[-1]), chance.choice(WAYS)) for _ in range(RANDOM_CUTS)]
    quick = ", max_connections_per_s_per_address: 100000"
    with running(tmp_path, quick) as node:
        pid = node.process.pid
        for number in range(10):
            assert store(node.port, number) == SUCCESS
        assert until(lambda: not _associations(node), deadline_s(5))
        base = Held.of(pid)
        for number, (cut, way) in enumerate(cuts):
            _go_at(node, number, cut, way)
        assert until(lambda: Held.of(pid).is_within(base), deadline_s(15)), open_files(pid)
        assert store(node.port, 11) == SUCCESS
        assert node.terminate() == 0
        on_disk, named = files_and_rows(node)
        said = node.output.read_text()

    partial = [path for path in (node.data / "instances").rglob("*.dcm") if not _is_whole(path)]
    print(f"\n{len(cuts)} cuts, {len(on_disk)} objects, {len(partial)} of them partial; {base}")
    assert on_disk == named
    assert partial == []
    assert len(on_disk) > len(cuts) // 4  # those whose instance had come whole
    assert "Traceback" not in said
    figures(
        "T-ABORT", cuts=len(cuts), objects=len(on_disk), partial=0, threads_left=0, files_left=0
    )


def _go_at(node: RunningNode, number: int, cut: int, way: Callable) -> None:
    pdus, _ = _conversation(number)
    with raw_peer.RawPeer(("127.0.0.1", node.port)) as peer, contextlib.suppress(OSError):
        peer.send(b"".join(pdus)[:cut])
        way(peer.sock)


def _associations(node: RunningNode) -> int:
    lines = _lines(node)
    begun = sum(line["event"] == "association accepted" for line in lines)
    return begun - sum(str(line["event"]).startswith("association rel") for line in lines)


def _is_whole(path) -> bool:
    """Whether a stored file is a well-formed dataset with all of its pixels."""
    _, dataset = encoded.split_part10(path.read_bytes())
    pixels = encoded.read(dataset, _EXPLICIT)[-1]
    sides = {2 * SIDE * SIDE, 2 * 64 * 64}
    return pixels.tag == instances.PIXEL_DATA and pixels.end - pixels.value_start in sides

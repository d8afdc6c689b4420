"""PDUs over a real TCP connection: framing, caps, deadlines, interruption."""

from __future__ import annotations

import contextlib
import fcntl
import resource
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.errors import AbortReason, ConnectionLost, ProtocolError, Stopping, Timeout
from scp.settings import ServerTls
from scp.tls import Acceptor
from scp.wire import ABORT, P_DATA_TF, RELEASE_RQ, Signal, Wire
from tests.certificates import Authority, Issued
from tests.scp.raw_peer import PATIENCE_S, pdu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CAP = 64 * 1024
SHORT_S = 0.2


def connection() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection; the second is the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    peer.settimeout(PATIENCE_S)
    return near, peer


@pytest.fixture
def signals() -> Iterator[tuple[Signal, Signal]]:
    """The signals stop and drain."""
    stop, drain = Signal(), Signal()
    yield stop, drain
    stop.close()
    drain.close()


@pytest.fixture
def ends(signals: tuple[Signal, Signal]) -> Iterator[tuple[Wire, socket.socket]]:
    """A wire and its peer."""
    near, peer = connection()
    line = Wire(near, CAP, stop=signals[0], drain=signals[1])
    line.caps = {P_DATA_TF: CAP, RELEASE_RQ: 4}
    yield line, peer
    line.close()
    peer.close()


def soon() -> float:
    """A deadline that is there for tests that fail."""
    return time.monotonic() + PATIENCE_S


@given(
    bodies=st.lists(st.binary(max_size=3000), min_size=1, max_size=8),
    cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=40),
)
def test_pdus_arrive_whole_however_tcp_cuts_them(bodies: list[bytes], cuts: list[int]) -> None:
    """TCP keeps no boundaries: the same bytes in any pieces are the same PDUs."""
    near, peer = connection()
    stream = b"".join(pdu(P_DATA_TF, body) for body in bodies)
    offset, received = 0, []
    with peer, contextlib.closing(Wire(near, 3000)) as line:
        line.caps = {P_DATA_TF: 3000}
        for cut in [*cuts, len(stream)]:
            peer.sendall(stream[offset : offset + cut])
            offset += cut
            while len(received) < len(bodies) and ends_before(bodies, len(received), offset):
                received.append(bytes(line.receive(first_by=soon())[1]))

    assert received == bodies


def ends_before(bodies: list[bytes], number: int, offset: int) -> bool:
    """Whether that many bytes hold the PDU with this number."""
    return sum(6 + len(body) for body in bodies[: number + 1]) <= offset


def test_pdus_of_the_longest_kind_pass_one_after_the_other(
    ends: tuple[Wire, socket.socket],
) -> None:
    """The buffer holds one longest PDU and is used again and again."""
    line, peer = ends
    for number in range(12):
        body = bytes([number]) * CAP
        peer.sendall(pdu(P_DATA_TF, body) + pdu(P_DATA_TF, body[:10]))
        assert line.receive(first_by=soon())[1] == body
        assert line.receive(first_by=soon())[1] == body[:10]


def test_a_length_beyond_its_cap_is_refused_before_its_body_comes(
    ends: tuple[Wire, socket.socket],
) -> None:
    """A length is a claim: four gigabytes are not waited for."""
    line, peer = ends
    peer.sendall(struct.pack(">BBI", P_DATA_TF, 0, 0xFFFFFFFF))

    with pytest.raises(ProtocolError) as caught:
        line.receive(first_by=soon())
    assert caught.value.reason == AbortReason.INVALID_PARAMETER


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ABORT, AbortReason.UNEXPECTED_PDU),
        (0, AbortReason.UNRECOGNIZED_PDU),
        (8, AbortReason.UNRECOGNIZED_PDU),
        (ord("G"), AbortReason.UNRECOGNIZED_PDU),
    ],
)
def test_a_type_that_may_not_come_is_told_from_one_that_does_not_exist(
    ends: tuple[Wire, socket.socket], kind: int, reason: AbortReason
) -> None:
    """PS3.8 Table 9-26 has two reasons for them."""
    line, peer = ends
    peer.sendall(struct.pack(">BBI", kind, 0, 4))

    with pytest.raises(ProtocolError) as caught:
        line.receive(first_by=soon())
    assert caught.value.reason == reason


def test_silence_ends_at_the_deadline_and_costs_no_cpu(ends: tuple[Wire, socket.socket]) -> None:
    """Waiting is one system call, not a loop."""
    line, _ = ends
    begun, cpu = time.monotonic(), time.thread_time()

    with pytest.raises(Timeout):
        line.receive(first_by=begun + SHORT_S)
    assert SHORT_S <= time.monotonic() - begun < PATIENCE_S
    assert time.thread_time() - cpu < SHORT_S / 4
    assert line.waited_s >= SHORT_S * 0.9


def test_half_a_pdu_ends_at_the_deadline_of_the_pdu(ends: tuple[Wire, socket.socket]) -> None:
    """One byte and silence is the cheapest attack there is."""
    line, peer = ends
    peer.sendall(b"\x04")

    with pytest.raises(Timeout):
        line.receive(first_by=soon(), pdu_s=SHORT_S)


def test_a_pdu_must_also_be_complete_by_the_absolute_deadline(
    ends: tuple[Wire, socket.socket],
) -> None:
    """A late first byte gains no time."""
    line, peer = ends
    peer.sendall(pdu(P_DATA_TF, b"1234")[:-1])

    with pytest.raises(Timeout):
        line.receive(first_by=soon(), pdu_s=PATIENCE_S, complete_by=time.monotonic() + SHORT_S)


def test_a_peer_that_reads_nothing_cannot_hold_a_sender(ends: tuple[Wire, socket.socket]) -> None:
    """Sending has a deadline as well."""
    line, _ = ends

    with pytest.raises(Timeout):
        line.send(bytes(64 * 1024 * 1024), time.monotonic() + SHORT_S)


def test_a_closed_and_a_reset_connection_are_lost(ends: tuple[Wire, socket.socket]) -> None:
    """Neither is a PDU, and neither is a crash."""
    line, peer = ends
    peer.close()
    with pytest.raises(ConnectionLost):
        line.receive(first_by=soon())

    near, peer = connection()
    other = Wire(near, CAP)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(ConnectionLost):
        other.receive(first_by=soon())
    other.close()


def test_stop_ends_every_wait_and_drain_only_those_that_allow_it(
    ends: tuple[Wire, socket.socket], signals: tuple[Signal, Signal]
) -> None:
    """A message under way survives the beginning of a shutdown."""
    line, peer = ends
    stop, drain = signals
    drain.set()
    with pytest.raises(Stopping):
        line.receive(first_by=soon(), interruptible=True)
    peer.sendall(pdu(P_DATA_TF, b"body"))
    assert line.receive(first_by=soon())[1] == b"body"

    stop.set()
    with pytest.raises(Stopping):
        line.receive(first_by=soon())


def test_a_cut_from_outside_ends_the_conversation(ends: tuple[Wire, socket.socket]) -> None:
    """The last resort of a shutdown."""
    line, _ = ends
    line.cut()

    with pytest.raises(ConnectionLost):
        line.receive(first_by=soon())
    line.close()
    line.cut()


def test_descriptors_beyond_1023_work(ends: tuple[Wire, socket.socket]) -> None:
    """select(2) could not wait for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("the system allows too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    near, peer = connection()
    high = socket.socket(fileno=fcntl.fcntl(near.detach(), fcntl.F_DUPFD_CLOEXEC, 1500))
    line = Wire(high, CAP)
    line.caps = {P_DATA_TF: CAP}
    try:
        peer.sendall(pdu(P_DATA_TF, b"body"))
        assert line.receive(first_by=soon())[1] == b"body"
        with pytest.raises(Timeout):
            line.receive(first_by=time.monotonic() + 0.01)
    finally:
        line.close()
        peer.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ends


def test_the_last_word_arrives_although_the_peer_still_talks(
    ends: tuple[Wire, socket.socket],
) -> None:
    """A close with unread bytes would reset the connection and lose what was said."""
    line, peer = ends
    peer.sendall(bytes(50_000))
    line.send(b"farewell", soon())
    peer.shutdown(socket.SHUT_WR)
    line.finish(PATIENCE_S)

    assert peer.recv(100) == b"farewell"
    assert peer.recv(100) == b""


def test_a_peer_that_does_not_close_is_closed(ends: tuple[Wire, socket.socket]) -> None:
    """Politeness has a deadline."""
    line, peer = ends
    begun = time.monotonic()
    line.finish(SHORT_S)

    assert time.monotonic() - begun < PATIENCE_S
    assert peer.recv(1) == b""


def test_a_wait_without_an_end_is_still_a_wait(ends: tuple[Wire, socket.socket]) -> None:
    """Without a deadline for the rest of a PDU, the rest is waited for."""
    line, peer = ends
    peer.sendall(pdu(P_DATA_TF, b"body")[:-1])
    threading.Timer(0.05, peer.sendall, [b"y"]).start()

    assert line.receive(first_by=soon())[1] == b"body"


def test_small_segments_and_their_acknowledgements_are_not_held_back() -> None:
    """Nagle is off, and quick ACKs are on again after a read."""
    near, peer = connection()
    line = Wire(near, CAP)
    line.caps = {P_DATA_TF: CAP}
    with peer:
        peer.sendall(pdu(P_DATA_TF, b"body"))
        line.receive(first_by=soon())
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
    line.close()


@pytest.fixture(scope="module")
def issued(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """A certificate for this machine."""
    authority = Authority(peer("openssl"), tmp_path_factory.mktemp("wire"), "authority")
    return authority.issue("node", alternative="DNS:localhost")


def unverifying() -> ssl.SSLContext:
    """A peer that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture
def secured(
    issued: Issued, signals: tuple[Signal, Signal]
) -> Iterator[tuple[Wire, ssl.SSLSocket]]:
    """A wire over TLS and its peer, whose sockets buffer little."""
    near, plain = connection()
    line = Wire(near, CAP, stop=signals[0], drain=signals[1])
    line.caps = {P_DATA_TF: CAP, RELEASE_RQ: 4}
    acceptor = Acceptor(ServerTls(issued.certificate, issued.key))
    thread = threading.Thread(target=line.secure, args=(acceptor.channel(), soon()))
    thread.start()
    peer = unverifying().wrap_socket(plain)
    thread.join(PATIENCE_S)
    yield line, peer
    line.close()
    peer.close()


def test_pdus_come_and_go_over_tls(secured: tuple[Wire, ssl.SSLSocket]) -> None:
    """The longest kind, several in a record, one in many records, one byte at a time."""
    line, peer = secured
    long, short = bytes(range(256)) * (CAP // 256), b"short"
    peer.sendall(pdu(P_DATA_TF, short) * 3 + pdu(P_DATA_TF, long))
    assert [line.receive(first_by=soon())[1] for _ in range(3)] == [short] * 3
    assert line.receive(first_by=soon())[1] == long
    for byte in pdu(P_DATA_TF, short):
        peer.sendall(bytes([byte]))
    assert line.receive(first_by=soon())[1] == short
    assert line.received_bytes == 4 * (6 + len(short)) + 6 + CAP

    line.send(long * 3, soon())
    heard = b""
    while len(heard) < 3 * CAP:
        heard += peer.recv(CAP)
    assert heard == long * 3
    line.finish(0.0)
    assert peer.recv(1) == b""


@pytest.mark.parametrize("said", [b"", b"\x04"])
def test_silence_over_tls_ends_at_its_deadline_and_costs_no_cpu(
    secured: tuple[Wire, ssl.SSLSocket], said: bytes
) -> None:
    """Whether nothing has come or half a header."""
    line, peer = secured
    peer.sendall(said)
    begun, cpu = time.monotonic(), time.thread_time()

    with pytest.raises(Timeout):
        line.receive(first_by=begun + SHORT_S, complete_by=begun + SHORT_S)
    assert time.monotonic() - begun < PATIENCE_S
    assert time.thread_time() - cpu < SHORT_S / 4


def test_a_peer_that_reads_nothing_over_tls_cannot_hold_a_sender(
    secured: tuple[Wire, ssl.SSLSocket],
) -> None:
    """And what waits for it is one buffer, not the whole."""
    line, _ = secured

    with pytest.raises(Timeout):
        line.send(bytes(64 * 1024 * 1024), time.monotonic() + SHORT_S)
    assert line.sent_bytes < 32 * 1024 * 1024


def test_nobody_reads_ahead_of_a_wire_over_tls(secured: tuple[Wire, ssl.SSLSocket]) -> None:
    """Back pressure: what is not asked for stays in the sender."""
    line, peer = secured
    peer.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        peer.sendall(pdu(P_DATA_TF, bytes(1000)) * 100_000)
    line.receive(first_by=soon())

    assert len(line._received) + line._capacity < 4 * CAP
    assert line.received_bytes < 2 * CAP


def test_stop_and_drain_end_waits_over_tls(
    secured: tuple[Wire, ssl.SSLSocket], signals: tuple[Signal, Signal]
) -> None:
    """As they do in the clear."""
    line, peer = secured
    stop, drain = signals
    drain.set()
    with pytest.raises(Stopping):
        line.receive(first_by=soon(), interruptible=True)
    peer.sendall(pdu(P_DATA_TF, b"body"))
    assert line.receive(first_by=soon())[1] == b"body"

    stop.set()
    with pytest.raises(Stopping):
        line.receive(first_by=soon())


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_that_hangs_ends_at_its_deadline(issued: Issued, said: bytes) -> None:
    """Silence, or the first five bytes of a hello."""
    near, peer = connection()
    line = Wire(near, CAP)
    peer.sendall(said)
    channel = Acceptor(ServerTls(issued.certificate, issued.key)).channel()
    with peer, contextlib.closing(line), pytest.raises(Timeout):
        line.secure(channel, time.monotonic() + SHORT_S)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", pdu(1, bytes(100)), bytes(70_000)])
def test_what_is_no_tls_gets_no_further(issued: Issued, said: bytes) -> None:
    """And no byte is answered."""
    near, peer = connection()
    line = Wire(near, CAP)
    peer.sendall(said)
    channel = Acceptor(ServerTls(issued.certificate, issued.key)).channel()
    with peer:
        with pytest.raises(ConnectionLost, match="TLS: "):
            line.secure(channel, soon())
        peer.shutdown(socket.SHUT_WR)
        line.finish(PATIENCE_S)
        assert peer.recv(1) == b""


@pytest.mark.parametrize("farewell", [True, False])
def test_a_peer_that_closes_over_tls_is_lost(
    secured: tuple[Wire, ssl.SSLSocket], *, farewell: bool
) -> None:
    """With a farewell of TLS or without one."""
    line, peer = secured
    if farewell:
        peer.settimeout(SHORT_S)
        with contextlib.suppress(TimeoutError):
            peer.unwrap()
    else:
        peer.close()
    with pytest.raises(ConnectionLost):
        line.receive(first_by=soon())


def test_a_cut_over_tls_ends_the_conversation_and_says_nothing_in_the_clear(
    secured: tuple[Wire, ssl.SSLSocket],
) -> None:
    """From any thread, in the middle of whatever the owner does."""
    line, _ = secured
    line.cut()

    with pytest.raises(ConnectionLost):
        line.receive(first_by=soon())
    with pytest.raises(ConnectionLost):
        line.send(b"farewell", soon())


def test_a_rest_ends_with_its_time_or_with_a_signal(
    ends: tuple[Wire, socket.socket], signals: tuple[Signal, Signal]
) -> None:
    """A connection that waits for its turn does not hold up a stop."""
    line, peer = ends
    peer.sendall(b"x")
    begun = time.monotonic()
    line.rest(SHORT_S)
    assert time.monotonic() - begun >= SHORT_S

    signals[1].set()
    with pytest.raises(Stopping):
        line.rest(PATIENCE_S)

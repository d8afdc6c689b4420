"""Accepting connections: caps, adopted sockets, exhaustion, and stopping in time."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scp.limits import Budget, Limits
from scp.listener import Listener
from scp.places import Places
from scp.settings import ServerTls
from scp.tls import Acceptor
from tests.certificates import Authority
from tests.scp.raw_peer import (
    ABORT,
    AC,
    COMMAND,
    LAST,
    P_DATA,
    PATIENCE_S,
    RJ,
    Desk,
    RawPeer,
    Received,
    pdu,
    pdv,
    request,
    serving,
    store,
    store_command,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HALF = pdu(P_DATA, pdv(1, COMMAND | LAST, store_command()) + pdv(1, 0, b"half"))
REST = pdu(P_DATA, pdv(1, LAST, b"rest"))


@pytest.fixture
def desk() -> Desk:
    """Accepts and keeps everything."""
    return Desk()


@pytest.mark.parametrize(
    "limits", [Limits(connections=2), Limits(connections_per_address=2)], ids=["all", "address"]
)
def test_connections_beyond_a_limit_are_told_so(desk: Desk, limits: Limits) -> None:
    """Local limit exceeded is transient: (2, 3, 2). A place that becomes free is given again."""
    with serving(desk, limits=limits) as listener:
        with RawPeer(listener.address) as first, RawPeer(listener.address) as second:
            first.associate()
            second.associate()
            with RawPeer(listener.address) as third:
                third.send(request())
                kind, body = third.read_pdu()
                assert (kind, tuple(body[1:])) == (RJ, (2, 3, 2))
            first.release()
            second.release()
        assert listener._wait_until_empty(PATIENCE_S)
        with RawPeer(listener.address) as fourth:
            fourth.associate()
            fourth.release()


def test_a_flood_is_turned_away_without_taking_places(desk: Desk) -> None:
    """Silent connections hold places only up to the caps; the others are closed at once."""
    limits = Limits(connections=3, connections_per_address=1, turned_away=2)
    with serving(desk, limits=limits) as listener:
        peers = [RawPeer(listener.address) for _ in range(8)]
        assert [raw.read_pdu()[0] for raw in peers[3:]] == [0] * 5
        assert listener.associations == 3
        desk.wait_for(lambda: listener.turned_away == 5)
        assert desk.named("connection turned away") == 1
        peers[0].associate()
        peers[0].release()
        for raw in peers:
            raw.sock.close()


def test_a_silent_connection_does_not_hold_up_another(desk: Desk) -> None:
    """Nothing of a peer is read where connections are accepted."""
    with (
        serving(desk) as listener,
        RawPeer(listener.address),
        RawPeer(listener.address) as raw,
    ):
        raw.associate()
        raw.send(store())
        assert raw.status() == 0
        raw.release()


def test_a_slow_handler_does_not_hold_up_another_association(desk: Desk) -> None:
    """One bad instance or sender delays nobody else."""
    gate = threading.Event()

    def slow(received: Received) -> Received:
        finish = received.finish
        received.finish = lambda: gate.wait(PATIENCE_S) and finish()
        return received

    with serving(desk) as listener, RawPeer(listener.address) as stuck:
        desk.open = slow
        stuck.associate()
        stuck.send(store())
        desk.wait_for(lambda: desk.received)
        desk.open = lambda received: received
        with RawPeer(listener.address) as raw:
            raw.associate()
            raw.send(store())
            assert raw.status() == 0
            raw.release()
        gate.set()
        assert stuck.status() == 0
        stuck.release()


@pytest.mark.parametrize("listening", [True, False])
def test_a_bound_socket_is_adopted(desk: Desk, *, listening: bool) -> None:
    """As systemd hands it over."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    if listening:
        sock.listen()
    address = sock.getsockname()
    listener = Listener(sock, desk.accept, desk.open_store, events=desk.hear)
    with listener, RawPeer(address) as raw:
        assert listener.address == address
        raw.associate()
        raw.release()


def test_an_ipv6_socket_shows_ipv4_peers_as_they_are(desk: Desk) -> None:
    """Routes compare addresses; ::ffff:127.0.0.1 is 127.0.0.1."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("the system has no dual-stack sockets")
    sock = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with (
        Listener(sock, desk.accept, desk.open_store, events=desk.hear),
        RawPeer(("127.0.0.1", sock.getsockname()[1])) as raw,
    ):
        raw.associate()
        raw.release()
        assert desk.fields_of("association released")["address"] == "127.0.0.1"


class Exhausted(socket.socket):
    """A listening socket on a system that has run out of descriptors a few times."""

    failures = 4

    def accept(self) -> tuple[socket.socket, object]:
        """Fail first."""
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


def test_running_out_of_descriptors_is_a_pause_not_an_end(desk: Desk) -> None:
    """It is counted, it does not spin, and the waiting peer is served in the end."""
    sock = Exhausted()
    sock.bind(("127.0.0.1", 0))
    with Listener(sock, desk.accept, desk.open_store, events=desk.hear) as listener:
        begun = time.monotonic()
        with RawPeer(listener.address) as raw:
            raw.associate()
            raw.release()
        assert listener.accept_errors == 4
        assert time.monotonic() - begun >= 0.05 + 0.1 + 0.2 + 0.4
    assert desk.fields_of("accept failed")["error"] == "EMFILE"


@pytest.mark.parametrize("what", ["scp.wire.Wire.__init__", "threading.Thread.start"])
def test_running_out_of_memory_costs_one_connection(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """It is closed, its place is free again, and the next one is served."""

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with serving(desk, limits=Limits(connections=1, turned_away=0)) as listener:
        monkeypatch.setattr(what, fail)
        with RawPeer(listener.address) as lost:
            assert lost.read_pdu()[0] == 0
        monkeypatch.undo()
        assert desk.fields_of("connection turned away")["count"] == 1
        assert listener.associations == 0
        with RawPeer(listener.address) as raw:
            raw.associate()
            raw.release()


class Starved(Exhausted):
    """The same, where there is no memory even for the connection."""

    failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        """Fail first."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
        raise MemoryError


def test_running_out_of_memory_is_a_pause_not_an_end(desk: Desk) -> None:
    """As if the system had said so."""
    sock = Starved()
    sock.bind(("127.0.0.1", 0))
    with (
        Listener(sock, desk.accept, desk.open_store, events=desk.hear) as listener,
        RawPeer(listener.address) as raw,
    ):
        raw.associate()
        raw.release()
    assert desk.fields_of("accept failed")["error"] == "ENOMEM"


def test_events_that_raise_harm_nobody() -> None:
    """A full disk under the log is no reason to lose instances."""
    desk = Desk()

    def hear(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        Listener(("127.0.0.1", 0), desk.accept, desk.open_store, events=hear) as listener,
        RawPeer(listener.address) as raw,
    ):
        raw.associate()
        raw.send(store())
        assert raw.status() == 0
        raw.release()


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run it in a thread; its result will be in the list."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def test_stop_lets_a_message_under_way_finish_and_aborts_the_rest(desk: Desk) -> None:
    """What is in flight is answered; who only waits is aborted at once (source 2)."""
    with serving(desk) as listener:
        idle, busy = RawPeer(listener.address), RawPeer(listener.address)
        with idle, busy:
            idle.associate()
            busy.associate()
            busy.send(HALF)
            desk.wait_for(lambda: desk.received and desk.received[0].fragments)
            thread, left = in_background(lambda: listener.stop(grace_s=PATIENCE_S))

            assert idle.end() == (ABORT, 2, 0)
            busy.send(REST + store())
            assert busy.status() == 0
            assert busy.end() == (ABORT, 2, 0)
            thread.join(PATIENCE_S)
            assert left == [0]
    assert [one.end for one in desk.received] == ["finished"]


@pytest.mark.parametrize("talk", [b"", b"\x01", request() + HALF, request() + HALF + b"\x04"])
def test_stop_ends_in_time_whatever_a_peer_does(desk: Desk, talk: bytes) -> None:
    """Silent, half-said, in a message, in a PDU: after the grace it is over."""
    with serving(desk) as listener, RawPeer(listener.address) as raw:
        raw.send(talk)
        desk.wait_for(lambda: desk.received or b"half" not in talk)
        begun = time.monotonic()
        assert listener.stop(grace_s=0.1) == 0
        assert time.monotonic() - begun < 5
    assert all(one.end == "abandoned" for one in desk.received)


def test_stop_ends_in_time_when_a_peer_never_reads(desk: Desk) -> None:
    """A response that cannot be sent holds nothing up."""
    with serving(desk) as listener, RawPeer(listener.address) as raw:
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        raw.send(request())
        assert raw.read_pdu()[0] == AC
        raw.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            raw.send(store() * 200_000)
        begun = time.monotonic()
        assert listener.stop(grace_s=0.1) == 0
        assert time.monotonic() - begun < 5


def test_stop_says_how_many_handlers_did_not_return(desk: Desk) -> None:
    """A dead disk cannot be ended from outside, and must not keep the process."""
    gate = threading.Event()

    def dead(received: Received) -> Received:
        received.feed = lambda _: gate.wait(PATIENCE_S)
        return received

    desk.open = dead
    listener = Listener(("127.0.0.1", 0), desk.accept, desk.open_store, events=desk.hear)
    with listener, RawPeer(listener.address) as raw:
        raw.associate()
        raw.send(store())
        desk.wait_for(lambda: desk.received)
        begun = time.monotonic()
        assert listener.stop(grace_s=0.1) == 1
        assert time.monotonic() - begun < 10
        gate.set()
        assert listener._wait_until_empty(PATIENCE_S)


def test_stop_frees_the_port_and_may_be_called_again(desk: Desk) -> None:
    """A node that starts again finds its port."""
    with serving(desk) as listener:
        address = listener.address
    assert listener.stop(grace_s=1.0) == 0
    with Listener(address, desk.accept, desk.open_store, events=desk.hear) as again:
        assert again.address == address


def test_no_descriptor_is_left_behind(desk: Desk) -> None:
    """Associations of every ending give back what they took."""
    with serving(desk) as listener:
        before = descriptors()
        for talk in (b"", b"\x01", b"GET /", request(), request() + HALF, request() + b"\xff"):
            with RawPeer(listener.address) as raw:
                raw.send(talk)
                heard_to_the_end(raw)
        assert listener._wait_until_empty(PATIENCE_S)
        # What earlier tests had open may be gone by now; nothing may have come.
        assert descriptors() <= before


def heard_to_the_end(raw: RawPeer) -> None:
    """Hang up and wait for the other side to do so: until then it may not have been accepted."""
    raw.sock.settimeout(PATIENCE_S)
    with suppress(ConnectionResetError):
        raw.sock.shutdown(socket.SHUT_WR)
        while raw.sock.recv(4096):
            continue


def descriptors() -> set[str]:
    """What this process has open, by what it is: a number may pass from one to another."""
    found = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add(str((Path("/proc/self/fd") / name).readlink()))
    return found


def test_idle_associations_cost_no_cpu(desk: Desk) -> None:
    """Ten of them for a while, in less than a hundredth of the time."""
    with serving(desk, limits=Limits(connections_per_address=10)) as listener:
        peers = [RawPeer(listener.address) for _ in range(10)]
        for raw in peers:
            raw.associate()
        begun, cpu = time.monotonic(), time.process_time()
        peers[0].sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            peers[0].sock.recv(1)
        assert time.process_time() - cpu < 0.05 * (time.monotonic() - begun)
        for raw in peers:
            raw.sock.close()


def test_a_budget_is_shared_and_a_wait_for_it_ends() -> None:
    """What one holds another cannot have; nobody waits for ever."""
    budget = Budget(100)
    assert budget.reserve(80, 0.0)
    assert not budget.reserve(30, 0.01)
    assert not budget.reserve(101, PATIENCE_S)
    thread, granted = in_background(lambda: budget.reserve(30, PATIENCE_S))
    budget.release(80)
    thread.join(PATIENCE_S)

    assert granted == [True]
    assert budget.held_bytes == 30


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_who_comes_too_often_is_held_back_and_nobody_else(desk: Desk, source: str) -> None:
    """A pause costs nobody a place for ever, and what is too much is closed at once."""
    limits = Limits(connections=9, connections_per_address=4, connections_per_s=4, pause_s=0.3)
    with serving(desk, limits=limits) as listener:
        for _ in range(9):
            with RawPeer(listener.address, source="127.0.0.1") as raw:
                raw.associate()
                raw.release()
            assert listener._wait_until_empty(PATIENCE_S)
        begun = time.monotonic()
        with RawPeer(listener.address, source=source) as raw:
            raw.associate()
            raw.release()
        if source == "127.0.0.1":
            assert time.monotonic() - begun >= 0.1
        else:
            assert time.monotonic() - begun < 0.1


def test_a_flood_is_said_once_a_second(desk: Desk) -> None:
    """Who can fill the node's log can fill its disk."""
    limits = Limits(connections_per_s=4, pause_s=0.0)
    with serving(desk, limits=limits) as listener:
        begun = time.monotonic()
        for _ in range(300):
            with RawPeer(listener.address) as raw:
                raw.sock.shutdown(socket.SHUT_WR)
                assert raw.read_pdu()[0] in {0, ABORT}
        lasted_s = time.monotonic() - begun
        assert listener.turned_away > 200
        assert desk.named("connection turned away") <= 1 + lasted_s


def test_listeners_that_share_places_keep_to_the_caps_together(desk: Desk) -> None:
    """A second port is not a second portion."""
    limits = Limits(connections=2)
    places = Places(limits)
    with (
        serving(desk, limits=limits, places=places) as one,
        serving(desk, limits=limits, places=places) as two,
        RawPeer(one.address) as first,
        RawPeer(two.address) as second,
        RawPeer(two.address) as third,
    ):
        first.associate()
        second.associate()
        third.send(request())
        kind, body = third.read_pdu()
        assert (kind, tuple(body[1:])) == (RJ, (2, 3, 2))


@pytest.fixture(scope="module")
def authority(peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the node and its peers trust."""
    return Authority(peer("openssl"), tmp_path_factory.mktemp("listener"), "authority")


@pytest.fixture(scope="module")
def acceptor(authority: Authority) -> Acceptor:
    """The node over TLS, which asks for a certificate."""
    own = authority.issue("node", alternative="IP:127.0.0.1")
    return Acceptor(ServerTls(own.certificate, own.key, authority.certificate))


@pytest.fixture(scope="module")
def scanner(authority: Authority) -> ssl.SSLContext:
    """A peer that can prove itself."""
    own = authority.issue("CT1", alternative="DNS:ct1.example")
    context = ssl.create_default_context(cafile=authority.certificate)
    context.load_cert_chain(own.certificate, own.key)
    return context


def test_associations_go_over_tls_and_the_decision_knows_the_certificate(
    desk: Desk, acceptor: Acceptor, scanner: ssl.SSLContext
) -> None:
    """The same messages, statuses and endings as in the clear."""
    asked = []
    decide = desk.decide
    desk.decide = lambda one: asked.append(one) or decide(one)
    with (
        serving(desk, tls=acceptor) as listener,
        RawPeer(listener.address, tls=scanner) as raw,
    ):
        raw.associate()
        raw.send(store(data=bytes(16_000)) * 20)
        assert [raw.status() for _ in range(20)] == [0] * 20
        raw.release()
        assert raw.read(1) == b""
    fields = desk.fields_of("association released")
    assert asked[0].certificate.names == {"ct1.example"}
    assert fields["certificate"] == asked[0].certificate.fingerprint
    assert fields["tls"] == "TLSv1.3"


def test_a_peer_without_a_certificate_gets_no_further_than_the_handshake(
    desk: Desk, acceptor: Acceptor, authority: Authority
) -> None:
    """It is told by an alert, and the log says why."""
    anonymous = ssl.create_default_context(cafile=authority.certificate)
    with serving(desk, tls=acceptor) as listener:
        with RawPeer(listener.address, tls=anonymous) as raw, pytest.raises(ssl.SSLError):
            raw.read_pdu()
        fields = desk.fields_of("association lost")
    assert fields["cause"] == "TLS: peer did not return a certificate"
    assert desk.named("association accepted") == 0


def test_silent_handshakes_delay_nobody_take_places_and_end(
    desk: Desk, acceptor: Acceptor, scanner: ssl.SSLContext
) -> None:
    """T2: they wait in threads of their own, within the caps, and not for long."""
    limits = Limits(connections=6, connections_per_address=5, tls_s=0.5, linger_s=0.5)
    with serving(desk, limits=limits, tls=acceptor) as listener:
        silent = [RawPeer(listener.address, source="127.0.0.2") for _ in range(5)]
        with RawPeer(listener.address, tls=scanner) as raw:
            raw.associate()
            full = RawPeer(listener.address, tls=scanner)
            full.send(request())
            kind, body = full.read_pdu()
            assert (kind, tuple(body[1:])) == (RJ, (2, 3, 2))
            full.sock.close()
            raw.release()
        begun = time.monotonic()
        for each in silent:
            assert each.read_pdu() == (0, b"")
            each.sock.close()
        assert time.monotonic() - begun < PATIENCE_S / 2
        assert listener._wait_until_empty(PATIENCE_S)
        assert not listener._places._taken


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02"])
def test_stop_ends_in_time_whatever_a_peer_does_over_tls(
    desk: Desk, acceptor: Acceptor, said: bytes
) -> None:
    """Nothing is said in the clear to who has not shaken hands."""
    with serving(desk, tls=acceptor) as listener, RawPeer(listener.address) as raw:
        raw.send(said)
        assert listener.stop(grace_s=0.1) == 0
        with suppress(ConnectionResetError):
            assert raw.read(1) == b""


def test_who_was_not_accepted_yet_at_the_stop_is_told(desk: Desk) -> None:
    """Closing the socket would reset a connection that only the kernel has accepted."""
    listener = Listener(("127.0.0.1", 0), desk.accept, desk.open_store, events=desk.hear)
    listener._node.drain.set()
    with RawPeer(listener.address) as early, RawPeer(listener.address) as silent:
        early.send(request())

        listener.start()
        stopping = threading.Thread(target=listener.stop, args=[PATIENCE_S])
        stopping.start()

        assert early.end()[0] == ABORT
        assert silent.end()[0] == ABORT
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()


def test_who_waits_at_an_adopted_socket_goes_on_waiting(desk: Desk) -> None:
    """The socket is open elsewhere too: the next start serves him."""
    with socket.create_server(("127.0.0.1", 0)) as kept:
        listener = Listener(kept.dup(), desk.accept, desk.open_store, events=desk.hear)
        listener._node.drain.set()
        with RawPeer(listener.address) as early:
            early.send(request())
            listener.start()
            assert listener.stop(grace_s=0.0) == 0

            again = Listener(kept.dup(), desk.accept, desk.open_store, events=desk.hear)
            again.start()
            assert early.read_pdu()[0] == AC
            again.stop(grace_s=0.0)

"""Associations out, against pynetdicom, DCMTK, our own listener and hostile peers."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode

from scp.errors import (
    ConnectionLost,
    PeerAborted,
    PeerRejected,
    ProtocolError,
    Stopping,
    Timeout,
    TransportError,
)
from scp.instance import Outcome
from scp.sender import SenderAssociation, Timeouts
from scp.transport import Rejected
from scp.wire import Signal
from tests.scp.raw_peer import (
    ABORT,
    AC,
    COMMAND,
    CT,
    EXPLICIT,
    IMPLICIT,
    LAST,
    MR,
    P_DATA,
    PATIENCE_S,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    VERIFICATION,
    Desk,
    RawPeer,
    command_set,
    item,
    pdu,
    pdv,
    serving,
    us,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UID = "1.2.345"
JPEG = "1.2.840.10008.1.2.4.50"
PAIRS = [(CT, EXPLICIT), (CT, IMPLICIT), (VERIFICATION, IMPLICIT)]
IMPATIENT = Timeouts(
    connect_s=1,
    negotiate_s=0.3,
    pdu_s=0.3,
    response_s=0.3,
    release_s=0.3,
    abort_s=0.3,
    rate_window_s=0.1,
)


def sender(address: tuple[str, int], pairs: list | None = None, **options: object):
    """An association as this node makes it."""
    return SenderAssociation(address, "ANONODE", "PACS", pairs or PAIRS, **options)


def instance() -> Dataset:
    """A data set with a value in it."""
    data = Dataset()
    data.SOPClassUID = CT
    data.SOPInstanceUID = UID
    data.PatientName = "ANON"
    return data


def encoded() -> bytes:
    """Explicit VR little endian."""
    return encode(instance(), is_implicit_vr=False, is_little_endian=True) or b""


def test_pynetdicom_receives_what_was_sent() -> None:
    """Status, contexts, titles and the data set, each as it is."""
    got = []

    def take(event: evt.Event) -> int:
        got.append((event.assoc.requestor.ae_title, event.context.transfer_syntax, event.dataset))
        return 0xB000 if len(got) == 2 else 0

    node = AE("PACS")
    node.add_supported_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    node.add_supported_context(VERIFICATION)
    server = node.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)]
    )
    try:
        with sender(server.server_address, [*PAIRS, (MR, EXPLICIT)]) as association:
            assert association.accepted(CT, EXPLICIT)
            assert association.accepted(CT, IMPLICIT)
            assert not association.accepted(MR, EXPLICIT)
            assert not association.accepted(CT, JPEG)
            assert association.echo() == 0
            assert association.store(CT, UID, EXPLICIT, [encoded()]) == 0
            assert association.store(CT, UID, EXPLICIT, iter([encoded()])) == 0xB000
            with pytest.raises(ValueError, match="presentation context"):
                association.store(MR, UID, EXPLICIT, [encoded()])
            with pytest.raises(ValueError, match="UID"):
                association.store(CT, "../x", EXPLICIT, [encoded()])
            assert association.store(CT, UID, EXPLICIT, [encoded()]) == 0
    finally:
        server.shutdown()

    assert len(got) == 3
    assert got[0] == ("ANONODE", EXPLICIT, instance())


def test_dcmtk_receives_what_was_sent(peer: Callable[[str], Path], tmp_path: Path) -> None:
    """Many PDUs of the size that DCMTK takes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = instance()
    data.Rows = data.Columns = 512
    data.add_new(0x7FE00010, "OW", bytes(range(256)) * 4096)
    sent = encode(data, is_implicit_vr=False, is_little_endian=True)
    program = [peer("storescp"), "-od", tmp_path, "+xa", "+uf", str(port)]
    with subprocess.Popen(program) as process:
        try:
            with connected(port) as association:
                assert association.echo() == 0
                assert association.store(CT, UID, EXPLICIT, [sent]) == 0
        finally:
            process.terminate()

    (file,) = tmp_path.iterdir()
    assert pydicom.dcmread(file) == data


@contextmanager
def connected(port: int) -> Iterator[SenderAssociation]:
    """An association with a program that is just starting."""
    patience, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    association = sender(("127.0.0.1", port))
    while True:
        try:
            association.connect()
            break
        except ConnectionLost:
            assert time.monotonic() < deadline
            patience.wait(0.05)
    with_release = association
    try:
        yield with_release
    finally:
        association.release()


@given(
    chunks=st.lists(st.binary(max_size=700), max_size=12),
    pdu_bytes=st.sampled_from([16, 17, 64, 1000, 16384, 0]),
)
def test_any_chunks_arrive_as_one_data_set_in_pdus_the_peer_takes(
    chunks: list[bytes], pdu_bytes: int
) -> None:
    """The size of chunks is the reader's business, the size of PDUs the peer's."""
    seen: list[tuple[int, bytes]] = []

    def talk(raw: RawPeer) -> None:
        accept(raw, pdu_bytes=pdu_bytes)
        whole = b""
        while True:
            kind, body = raw.read_pdu()
            if kind != P_DATA:
                raw.send(pdu(RELEASE_RP, bytes(4)))
                return
            seen.append((len(body), body[5:6]))
            if not body[5] & COMMAND:
                whole += body[6:]
                if body[5] & LAST:
                    assert whole == b"".join(chunks)
                    raw.send(response())

    with hostile(talk) as address, sender(address, [(CT, EXPLICIT)]) as association:
        assert association.store(CT, UID, EXPLICIT, chunks) == 0
    assert all(length <= (pdu_bytes or 1 << 30) for length, _ in seen)
    assert [control for _, control in seen].count(b"\2") == 1


def test_a_failure_status_and_its_comment_are_handed_on() -> None:
    """A refused instance is a result, not an exception; the association goes on."""
    desk = Desk()
    with serving(desk) as listener, sender(listener.address) as association:
        desk.outcome = Outcome(0xA700, "no room")
        assert association.store(CT, UID, EXPLICIT, [encoded()]) == 0xA700
        assert association.last_comment == "no room"
        desk.outcome = Outcome(0)
        assert association.store(CT, UID, EXPLICIT, [encoded()]) == 0
        assert association.last_comment == ""


def test_a_rejection_says_result_source_and_reason() -> None:
    """What the forwarder decides by."""
    desk = Desk()
    desk.decide = lambda _: Rejected(2, 3, 1)
    with (
        serving(desk) as listener,
        pytest.raises(PeerRejected, match="temporary congestion") as caught,
    ):
        sender(listener.address).connect()
    assert (caught.value.result, caught.value.source, caught.value.reason) == (2, 3, 1)
    assert caught.value.transient


def test_a_data_set_that_cannot_be_read_to_its_end_is_not_delivered() -> None:
    """The peer sees an abort, never a shorter instance."""
    desk = Desk()

    def broken() -> Iterator[bytes]:
        yield bytes(300_000)
        raise OSError("the disk is gone")

    with serving(desk) as listener:
        with pytest.raises(OSError, match="the disk is gone"), sender(listener.address) as one:
            one.store(CT, UID, EXPLICIT, broken())
        desk.wait_for(lambda: desk.received[0].end)
    assert desk.received[0].end == "abandoned"


def test_leaving_by_an_exception_aborts() -> None:
    """Nothing pretends that all went well."""
    desk = Desk()
    with serving(desk) as listener:
        with pytest.raises(RuntimeError), sender(listener.address):
            raise RuntimeError
        assert "(0,0)" in str(desk.fields_of("association lost")["cause"])


def test_nobody_there_is_a_lost_connection() -> None:
    """With the system's reason."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionLost, match="refused"):
        sender(("127.0.0.1", port)).connect()
    with pytest.raises(ConnectionLost):
        sender(("name.invalid", port)).connect()


@contextmanager
def hostile(talk: Callable[[RawPeer], object]) -> Iterator[tuple[str, int]]:
    """A peer that accepts one connection and then does as it likes."""
    failures: list[BaseException] = []

    def serve() -> None:
        peer = RawPeer.__new__(RawPeer)
        peer.sock, _ = server.accept()
        peer.sock.settimeout(PATIENCE_S)
        try:
            with peer:
                talk(peer)
                while peer.read_pdu()[0]:
                    pass
        except ConnectionError:
            return
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert failures == []


def accept(raw: RawPeer, *, pdu_bytes: int = 16384, answers: bytes | None = None) -> None:
    """Answer a request: its first context accepted with explicit VR little endian."""
    raw.read_pdu()
    if answers is None:
        answers = item(0x21, b"\1\0\0\0" + item(0x40, EXPLICIT.encode()))
    user = item(0x50, item(0x51, pdu_bytes.to_bytes(4, "big")))
    raw.send(pdu(AC, b"\0\1" + bytes(66) + answers + user))


def response(
    status: int = 0, field: int = 0x8001, message_id: int = 1, more: bytes = b""
) -> bytes:
    """A response to the first message."""
    elements = us(0x0100, field) + us(0x0120, message_id) + us(0x0800, 0x0101) + us(0x0900, status)
    return pdu(P_DATA, pdv(1, COMMAND | LAST, command_set(elements + more)))


def silent(_: RawPeer) -> None:
    """Say nothing."""


def accepting(*parts: bytes) -> Callable[[RawPeer], None]:
    """Accept, then say this whatever comes."""

    def talk(raw: RawPeer) -> None:
        accept(raw)
        for part in parts:
            raw.send(part)

    return talk


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (silent, Timeout),
        (lambda raw: raw.send(b"\2"), Timeout),
        (lambda raw: raw.send(b"\2\0\xff\xff\xff\xff"), ProtocolError),
        (lambda raw: raw.send(b"SSH-2.0-x\r\n"), ProtocolError),
        (lambda raw: raw.send(pdu(AC, b"")), ProtocolError),
        (lambda raw: raw.send(pdu(RJ, b"")), ProtocolError),
        (lambda raw: raw.send(pdu(ABORT, b"\0\0\2\1")), PeerAborted),
        (lambda raw: raw.sock.shutdown(2), ConnectionLost),
        (
            lambda raw: accept(raw, answers=item(0x21, b"\1\0\0\0" + item(0x40, b"1.2"))),
            ProtocolError,
        ),
        (
            lambda raw: accept(raw, answers=item(0x21, b"\x63\0\0\0" + item(0x40, b"1.2"))),
            ProtocolError,
        ),
        (lambda raw: accept(raw, pdu_bytes=3), ProtocolError),
    ],
    ids=[
        *("silence", "a byte", "4 GiB", "another protocol", "empty AC", "empty RJ", "abort"),
        *("close", "another transfer syntax", "an unknown context", "useless maximum"),
    ],
)
def test_a_bad_answer_to_the_request_is_an_error_in_time(
    talk: Callable[[RawPeer], None], error: type[TransportError]
) -> None:
    """The right class of error, because the forwarder decides by it."""
    begun = time.monotonic()
    with hostile(talk) as address, pytest.raises(error):
        sender(address, timeouts=IMPATIENT).connect()
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (accepting(), Timeout),
        (accepting(b"\4"), Timeout),
        (accepting(response(message_id=9)), ProtocolError),
        (accepting(response(field=0x8030)), ProtocolError),
        (accepting(response(field=1)), ProtocolError),
        (accepting(pdu(P_DATA, pdv(1, LAST, b"data"))), ProtocolError),
        (accepting(pdu(P_DATA, pdv(3, 3, b"data"))), ProtocolError),
        (accepting(*[pdu(P_DATA, pdv(1, 1, bytes(60_000)))] * 2), ProtocolError),
        (accepting(pdu(RELEASE_RQ, bytes(4))), ProtocolError),
        (accepting(pdu(ABORT, b"\0\0\0\0")), PeerAborted),
    ],
    ids=[
        *("silence", "a byte", "other message", "other command", "a request", "data"),
        *("other context", "endless", "release", "abort"),
    ],
)
def test_a_bad_response_is_an_error_in_time(
    talk: Callable[[RawPeer], None], error: type[TransportError]
) -> None:
    """After it the association is gone and says so."""
    begun = time.monotonic()
    with hostile(talk) as address:
        association = sender(address, timeouts=IMPATIENT)
        association.connect()
        with pytest.raises(error):
            association.store(CT, UID, EXPLICIT, [encoded()])
        with pytest.raises(ConnectionLost):
            association.store(CT, UID, EXPLICIT, [encoded()])
        association.release()
    assert time.monotonic() - begun < 5


def test_a_peer_that_stops_reading_is_given_up() -> None:
    """A zero window has held other implementations for ever."""
    gate = threading.Event()

    def talk(raw: RawPeer) -> None:
        accept(raw)
        gate.wait(PATIENCE_S)

    begun = time.monotonic()
    with hostile(talk) as address, sender(address, timeouts=IMPATIENT) as association:
        with pytest.raises(Timeout):
            association.store(CT, UID, EXPLICIT, (bytes(1 << 20) for _ in range(100)))
        gate.set()
    assert time.monotonic() - begun < 5


STUBBORN = replace(IMPATIENT, abort_s=0.6, release_s=0.6)


@pytest.mark.parametrize(
    "parts", [(), (b"\4",), (pdu(P_DATA, pdv(1, COMMAND, b"half")),)], ids=["none", "bit", "half"]
)
def test_the_last_words_to_a_peer_that_stands_still_have_one_deadline(
    parts: tuple[bytes, ...],
) -> None:
    """Abort and close together: the thread is free `abort_s` after the response was due."""
    gate = threading.Event()

    def talk(raw: RawPeer) -> None:
        accepting(*parts)(raw)
        gate.wait(PATIENCE_S)

    with hostile(talk) as address:
        association = sender(address, timeouts=STUBBORN)
        association.connect()
        begun = time.monotonic()
        with pytest.raises(Timeout):
            association.store(CT, UID, EXPLICIT, [encoded()])
        taken_s = time.monotonic() - begun
        gate.set()
    assert taken_s < STUBBORN.response_s + STUBBORN.abort_s + 0.3


def test_a_zero_window_and_its_last_words_have_their_deadlines() -> None:
    """Neither the instance nor the abort can be sent."""
    gate = threading.Event()

    def talk(raw: RawPeer) -> None:
        accept(raw)
        gate.wait(PATIENCE_S)

    with hostile(talk) as address:
        association = sender(address, timeouts=STUBBORN)
        association.connect()
        begun = time.monotonic()
        with pytest.raises(Timeout):
            association.store(CT, UID, EXPLICIT, (bytes(1 << 20) for _ in range(100)))
        taken_s = time.monotonic() - begun
        gate.set()
    assert taken_s < STUBBORN.pdu_s + STUBBORN.abort_s + 0.6


def test_a_release_that_is_not_answered_ends_all_the_same() -> None:
    """The instances are there; nothing is gained by waiting, and no time of its own is added."""
    gate = threading.Event()

    def talk(raw: RawPeer) -> None:
        accept(raw)
        gate.wait(PATIENCE_S)

    with hostile(talk) as address:
        association = sender(address, timeouts=STUBBORN)
        association.connect()
        begun = time.monotonic()
        association.release()
        taken_s = time.monotonic() - begun
        gate.set()
    assert taken_s < STUBBORN.release_s + 0.3


def test_a_destination_with_little_time_has_little_time_for_everything() -> None:
    """One that shall answer in a second is not waited for any longer elsewhere."""
    made = Timeouts.answering_in(1.0)

    assert (made.negotiate_s, made.pdu_s, made.response_s) == (1.0, 1.0, 1.0)
    assert Timeouts.answering_in(600.0) == Timeouts(response_s=600.0)


def test_releases_that_meet_are_both_answered() -> None:
    """PS3.8 7.2.2.7: the requestor answers first."""
    kinds = []

    def talk(raw: RawPeer) -> None:
        accept(raw)
        kinds.append(raw.read_pdu()[0])
        raw.send(pdu(RELEASE_RQ, bytes(4)))
        kinds.append(raw.read_pdu()[0])
        raw.send(pdu(RELEASE_RP, bytes(4)))

    with hostile(talk) as address, sender(address, timeouts=IMPATIENT):
        pass
    assert kinds == [RELEASE_RQ, RELEASE_RP]


def test_a_stop_interrupts_whatever_is_waited_for() -> None:
    """A shutdown does not wait for a destination."""
    stop = Signal()
    with hostile(accepting()) as address:
        association = sender(address, stop=stop)
        association.connect()
        threading.Timer(0.1, stop.set).start()
        begun = time.monotonic()
        with pytest.raises(Stopping):
            association.store(CT, UID, EXPLICIT, [encoded()])
        assert time.monotonic() - begun < 5
    stop.close()


@given(garbage=st.binary(min_size=1, max_size=120), accepted=st.booleans())
def test_garbage_is_an_error_and_never_a_success(garbage: bytes, *, accepted: bool) -> None:
    """Only a response to this very message counts as one."""

    def talk(raw: RawPeer) -> None:
        if accepted:
            accept(raw)
        raw.send(garbage)
        raw.sock.shutdown(1)

    def store(association: SenderAssociation) -> None:
        association.connect()
        association.store(CT, UID, EXPLICIT, [encoded()])

    with hostile(talk) as address, pytest.raises(TransportError):
        store(sender(address, timeouts=IMPATIENT))

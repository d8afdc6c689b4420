"""Associations in the acceptor's role, spoken to by real peers and by hostile ones."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import time
import weakref
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.dsutils import encode

from scp.instance import Outcome
from scp.limits import Limits
from scp.transport import Rejected
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
    Received,
    command_set,
    context,
    pdu,
    pdv,
    plain_command,
    request,
    serving,
    store,
    store_command,
    us,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scp.listener import Listener

BOTH = (context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT))
IN_BOTH = COMMAND | LAST
QUICK = Limits(request_s=0.3, pdu_s=0.3, idle_s=0.3, linger_s=2.0, rate_window_s=0.2)


@pytest.fixture
def desk() -> Desk:
    """Accepts and keeps everything."""
    return Desk()


@pytest.fixture
def listener(desk: Desk) -> Iterator[Listener]:
    """A listener with the limits of production."""
    with serving(desk) as running:
        yield running


@pytest.fixture
def raw(listener: Listener) -> Iterator[RawPeer]:
    """A connection to it."""
    with RawPeer(listener.address) as connected:
        yield connected


def dataset() -> Dataset:
    """A small instance."""
    instance = Dataset()
    instance.SOPClassUID = CT
    instance.SOPInstanceUID = generate_uid()
    instance.PatientName = "A^B"
    instance.PixelData = os.urandom(8192)
    instance["PixelData"].VR = "OW"
    instance.file_meta = Dataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return instance


def encoded(instance: Dataset) -> bytes:
    """Explicit VR little endian, without file meta information."""
    return encode(instance, is_implicit_vr=False, is_little_endian=True) or b""


def test_pynetdicom_stores_and_echoes(desk: Desk, listener: Listener) -> None:
    """The peer, the route and the request reach the handler as they were sent."""
    node = AE("CT1")
    node.add_requested_context(CT, ExplicitVRLittleEndian)
    node.add_requested_context(VERIFICATION)
    association = node.associate(*listener.address, ae_title="ANONODE")
    instances = [dataset() for _ in range(3)]
    assert association.send_c_echo().Status == 0
    assert [association.send_c_store(one).Status for one in instances] == [0, 0, 0]
    association.release()

    released = desk.fields_of("association released")
    assert (released["stored"], released["echoed"]) == (3, 1)
    assert (released["calling_ae"], released["called_ae"]) == ("CT1", "ANONODE")
    assert [bytes(one.data) for one in desk.received] == [encoded(one) for one in instances]
    first = desk.received[0]
    assert (first.peer.calling_ae, first.peer.called_ae, first.peer.address) == (
        "CT1",
        "ANONODE",
        "127.0.0.1",
    )
    assert first.route == "the route"
    assert first.request.sop_instance_uid == instances[0].SOPInstanceUID
    assert first.request.transfer_syntax_uid == ExplicitVRLittleEndian
    assert first.end == "finished"


def test_dcmtk_echoes(desk: Desk, listener: Listener, peer: Callable[[str], Path]) -> None:
    """The commonest tool in the field."""
    host, port = listener.address
    subprocess.run([peer("echoscu"), host, str(port)], check=True, timeout=60)

    assert desk.fields_of("association released")["echoed"] == 1


def test_dcmtk_stores_small_instances_without_waiting_for_acknowledgements(
    desk: Desk, listener: Listener, peer: Callable[[str], Path], tmp_path: Path
) -> None:
    """With Nagle's algorithm each message would wait 40 ms for a delayed ACK."""
    count = 100
    for number in range(count):
        dataset().save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    host, port = listener.address
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    begun = time.monotonic()
    subprocess.run(
        [peer("storescu"), "+sd", host, str(port), tmp_path],
        check=True,
        timeout=60,
        env=environment,
    )

    assert time.monotonic() - begun < count * 0.02
    assert desk.fields_of("association released")["stored"] == count


def test_a_failure_and_its_comment_reach_the_sender(desk: Desk, raw: RawPeer) -> None:
    """And the association goes on."""
    desk.outcome = Outcome(0xA700, "no room")
    raw.associate()
    raw.send(store())
    answer = raw.response()
    assert answer[0x0900] == b"\x00\xa7"
    assert answer[0x0902].rstrip() == b"no room"
    assert answer[0x0120] == b"\1\0"

    desk.outcome = Outcome(0)
    raw.send(store())
    assert raw.status() == 0
    raw.release()
    fields = desk.fields_of("association released")
    assert (fields["stored"], fields["refused"]) == (1, 1)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (store(sop_class=MR), 0x0122),
        (store(sop_class=VERIFICATION), 0x0122),
        (store(number=3, sop_class=VERIFICATION), 0x0122),
        (store(number=3, sop_class=CT), 0x0122),
        (store(uid="../../x"), 0x0117),
        (store(uid=""), 0x0117),
        (store(uid="1.2." + "3" * 64), 0x0117),
        (pdu(P_DATA, pdv(1, IN_BOTH, store_command(data_set=0x0101))), 0x0212),
        (pdu(P_DATA, pdv(1, IN_BOTH, plain_command(0x0020))), 0x0211),
        (pdu(P_DATA, pdv(1, IN_BOTH, plain_command(0x0150))), 0x0211),
        (pdu(P_DATA, pdv(1, IN_BOTH, plain_command(0x0030))), 0x0122),
        (pdu(P_DATA, pdv(3, IN_BOTH, plain_command(0x0030, sop_class=CT))), 0x0122),
    ],
    ids=[
        *("other class", "echo class", "echo class in its context", "storage in echo context"),
        *("path", "no UID", "long UID", "no data set", "C-FIND", "N-DELETE"),
        *("echo in storage context", "storage class in echo"),
    ],
)
def test_a_request_that_is_not_served_gets_its_status(
    desk: Desk, raw: RawPeer, message: bytes, status: int
) -> None:
    """No handler is opened, the data set is read to its end, and the next message is served."""
    raw.associate(*BOTH)
    raw.send(message)
    assert raw.status() == status
    assert desk.received == []

    raw.send(store(uid="1.02.3"))
    assert raw.status() == 0
    raw.release()


def test_c_cancel_has_no_response(raw: RawPeer) -> None:
    """There is nothing that it could cancel."""
    raw.associate(*BOTH)
    raw.send(pdu(P_DATA, pdv(1, IN_BOTH, plain_command(0x0FFF))) + store(message_id=5))

    assert raw.response()[0x0120] == b"\5\0"
    raw.release()


def test_messages_sent_ahead_of_a_release_are_all_served(desk: Desk, raw: RawPeer) -> None:
    """A peer that does not wait for responses loses none of them."""
    raw.associate()
    messages = b"".join(store(message_id=number) for number in range(1, 6))
    raw.send(messages + pdu(RELEASE_RQ, bytes(4)))

    answers = [raw.response()[0x0120][0] for _ in range(5)]
    assert answers == [1, 2, 3, 4, 5]
    assert raw.read_pdu() == (RELEASE_RP, bytes(4))
    assert [one.end for one in desk.received] == ["finished"] * 5


def test_a_release_inside_a_message_abandons_it(desk: Desk, raw: RawPeer) -> None:
    """Half an instance is none."""
    raw.associate()
    raw.send(pdu(P_DATA, pdv(1, IN_BOTH, store_command()) + pdv(1, 0, b"half")))
    raw.release()

    desk.fields_of("association released")
    desk.wait_for(lambda: desk.received[0].end)
    assert desk.received[0].end == "abandoned"


@pytest.mark.parametrize("ending", ["abort", "close"])
def test_an_abort_or_a_close_inside_a_message_abandons_it(
    desk: Desk, raw: RawPeer, ending: str
) -> None:
    """Exactly once, and nothing is answered."""
    raw.associate()
    raw.send(pdu(P_DATA, pdv(1, IN_BOTH, store_command())) + pdu(P_DATA, pdv(1, 0, b"half")))
    if ending == "abort":
        raw.send(pdu(ABORT, bytes(4)))
    else:
        raw.sock.close()

    desk.fields_of("association lost")
    desk.wait_for(lambda: desk.received[0].end)
    assert desk.received[0].end == "abandoned"


@pytest.mark.parametrize(
    ("data", "source", "reason"),
    [
        (b"\x63" + bytes(9), 2, 1),
        (request(), 2, 2),
        (pdu(RELEASE_RP, bytes(4)), 2, 2),
        (pdu(P_DATA, b""), 2, 6),
        (pdu(P_DATA, b"\0\0\0\0\1\3"), 2, 6),
        (pdu(P_DATA, b"\0\0\0\1\1\3"), 2, 6),
        (pdu(P_DATA, b"\0\0\1\1\1\3"), 2, 6),
        (b"\x04\0\xff\xff\xff\xff", 2, 6),
        (b"\x05\0\xff\xff\xff\xff", 2, 6),
        (pdu(P_DATA, pdv(99, IN_BOTH, store_command())), 2, 6),
        (pdu(P_DATA, pdv(0, IN_BOTH, store_command())), 2, 6),
        (pdu(P_DATA, pdv(1, LAST, b"data")), 2, 6),
        (pdu(P_DATA, pdv(1, COMMAND, b"") + pdv(3, COMMAND, b"")), 2, 6),
        (pdu(P_DATA, pdv(1, IN_BOTH, store_command()) * 2), 2, 6),
        (pdu(P_DATA, pdv(1, IN_BOTH, command_set(us(0x0110, 1), us(0x0800, 1)))), 0, 0),
        (pdu(P_DATA, pdv(1, IN_BOTH, b"\0")), 0, 0),
        (pdu(P_DATA, pdv(1, IN_BOTH, plain_command(0x8001))), 0, 0),
        (pdu(P_DATA, pdv(1, IN_BOTH, plain_command(0x0ABC))), 0, 0),
        (pdu(P_DATA, pdv(1, COMMAND, bytes(60_000))) * 2, 0, 0),
        (pdu(P_DATA, pdv(1, COMMAND, b"") * 11_000), 0, 0),
    ],
    ids=[
        *("unknown type", "second request", "unasked release", "no value", "length 0"),
        *("length 1", "length too long", "4 GiB", "4 GiB release", "unknown context"),
        *(
            "context 0",
            "data first",
            "context changes",
            "command twice",
            "no field",
            "cut command",
        ),
        *("response", "unknown command", "endless command", "empty fragments"),
    ],
)
def test_what_breaks_the_protocol_is_aborted_with_its_reason(
    desk: Desk, raw: RawPeer, data: bytes, source: int, reason: int
) -> None:
    """PS3.8 Table 9-26: 2 is the provider with a reason, 0 the user without."""
    raw.associate(*BOTH)
    raw.send(data)

    assert raw.end() == (ABORT, source, reason)
    fields = desk.fields_of("association aborted")
    assert (fields["source"], fields["reason"]) == (source, reason)
    assert desk.named("association failed") == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", 1),
        (pdu(P_DATA, pdv(1, IN_BOTH, store_command())), 2),
        (pdu(RELEASE_RQ, bytes(4)), 2),
        (b"\x01\0\xff\xff\xff\xff", 6),
        (pdu(1, bytes(60)), 6),
        (request(context(2, CT, EXPLICIT)), 6),
    ],
    ids=["HTTP", "TLS", "message", "release", "4 GiB", "short", "even ID"],
)
def test_what_is_no_request_is_aborted_before_anything_is_decided(
    raw: RawPeer, data: bytes, reason: int
) -> None:
    """A stranger's bytes get no further than the header."""
    raw.send(data)

    assert raw.end() == (ABORT, 2, reason)


@pytest.mark.parametrize(
    ("parts", "rejected"),
    [
        ({"application": "1.2.3"}, (1, 1, 2)),
        ({"version": 2}, (1, 2, 2)),
        ({"calling": b"\n"}, (1, 1, 3)),
        ({"called": b"\x80"}, (1, 1, 7)),
    ],
)
def test_a_request_that_cannot_be_served_is_rejected(
    desk: Desk, raw: RawPeer, parts: dict[str, object], rejected: tuple[int, int, int]
) -> None:
    """PS3.8 Table 9-21: result, source, reason."""
    raw.send(request(**parts))
    kind, body = raw.read_pdu()

    assert (kind, tuple(body[1:])) == (RJ, rejected)
    assert desk.fields_of("association rejected")["reason"] == rejected[2]


@pytest.mark.parametrize("numbers", [(1, 1, 3), (1, 1, 7), (2, 3, 1), (2, 3, 2)])
def test_a_rejection_reaches_the_peer_although_it_talks_on(
    desk: Desk, listener: Listener, numbers: tuple[int, int, int]
) -> None:
    """Unread bytes at a close would turn the rejection into a reset."""
    asked = []
    desk.decide = lambda one: asked.append(one) or Rejected(*numbers)
    for _ in range(20):
        with RawPeer(listener.address) as raw:
            raw.send(request() + bytes(5000))
            kind, body = raw.read_pdu()
            assert (kind, tuple(body[1:])) == (RJ, numbers)
    assert (asked[0].calling_ae, asked[0].called_ae) == ("CT1", "ANONODE")
    assert asked[0].address == "127.0.0.1"


def test_a_decision_that_raises_rejects_for_now(desk: Desk, raw: RawPeer) -> None:
    """Fails closed, says so without the exception's words."""

    def decide(_: object) -> object:
        raise ValueError("SECRET^NAME")

    desk.decide = decide
    raw.send(request())
    kind, body = raw.read_pdu()

    assert (kind, tuple(body[1:])) == (RJ, (2, 3, 1))
    assert desk.fields_of("accept decision failed")["error"] == "ValueError"
    assert "SECRET" not in str(desk.events)


@pytest.mark.parametrize("where", ["open", "feed", "finish", "abandon too"])
def test_a_handler_that_raises_is_a_failure_of_one_instance(
    desk: Desk, raw: RawPeer, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """0x0110, the handler is abandoned, and what it said is nowhere to be seen."""
    caplog.set_level(logging.DEBUG)

    def fail(*_: object) -> Outcome:
        raise RuntimeError("SECRET^NAME")

    def sabotage(received: Received) -> Received:
        if where == "open":
            fail()
        received.feed = fail if where in {"feed", "abandon too"} else received.feed
        received.finish = fail if where == "finish" else received.finish
        received.abandon = fail if where == "abandon too" else received.abandon
        return received

    desk.open = sabotage
    raw.associate()
    raw.send(store())
    answer = raw.response()
    assert answer[0x0900] == b"\x10\x01"
    assert b"SECRET" not in answer[0x0902]
    assert desk.received[0].end == ("abandoned" if where in {"feed", "finish"} else "")
    assert desk.fields_of("store handler failed")["error"] == "RuntimeError"
    assert str(desk.fields_of("store handler failed")["place"]).startswith("test_transport.py:")

    desk.open = lambda received: received
    raw.send(store())
    assert raw.status() == 0
    raw.release()
    assert "SECRET" not in str(desk.events) + caplog.text


def test_one_byte_and_silence_ends_before_and_inside_an_association(desk: Desk) -> None:
    """The cheapest attack costs one thread for a known time."""
    with serving(desk, limits=QUICK) as listener:
        with RawPeer(listener.address) as raw:
            raw.send(b"\x01")
            assert raw.read_pdu() == (0, b"")
        with RawPeer(listener.address) as raw:
            raw.associate()
            raw.send(b"\x04")
            assert raw.end() == (ABORT, 2, 0)
        with RawPeer(listener.address) as raw:
            raw.associate()
            raw.send(pdu(P_DATA, pdv(1, IN_BOTH, store_command())))
            assert raw.end() == (ABORT, 2, 0)
        desk.wait_for(lambda: desk.received[0].end == "abandoned")


def test_a_request_that_drips_is_closed_after_its_time(desk: Desk) -> None:
    """Each byte is in time; the request is not."""
    begun = time.monotonic()
    with serving(desk, limits=QUICK) as listener, RawPeer(listener.address) as raw:
        raw.sock.settimeout(QUICK.request_s / 10)
        for byte in request():
            try:
                raw.send(bytes([byte]))
                assert raw.sock.recv(1) == b""
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert desk.fields_of("association aborted")["cause"] == "a deadline passed"
    assert QUICK.request_s <= time.monotonic() - begun < 10


def test_silence_between_messages_ends_the_association(desk: Desk) -> None:
    """An association that is forgotten is not kept."""
    with serving(desk, limits=QUICK) as listener, RawPeer(listener.address) as raw:
        raw.associate()
        assert raw.end() == (ABORT, 2, 0)


def test_an_old_association_gets_no_further_message(desk: Desk) -> None:
    """An echo now and then does not hold a place for ever."""
    limits = Limits(life_s=0.3, linger_s=2.0)
    with serving(desk, limits=limits) as listener, RawPeer(listener.address) as raw:
        raw.associate(*BOTH)
        echo = pdu(P_DATA, pdv(3, IN_BOTH, plain_command(0x0030)))
        kind, count = P_DATA, 0
        while kind == P_DATA:
            raw.send(echo)
            kind, _ = raw.read_pdu()
            count += 1
        assert kind == ABORT
        assert count > 1


def test_a_message_slower_than_the_lowest_rate_is_given_up(desk: Desk) -> None:
    """Every PDU is in time, but the instance would take for ever."""
    limits = Limits(pdu_s=10, rate_window_s=0.2, linger_s=2.0)
    with serving(desk, limits=limits) as listener, RawPeer(listener.address) as raw:
        raw.associate()
        raw.send(pdu(P_DATA, pdv(1, IN_BOTH, store_command())))
        raw.sock.settimeout(0.02)
        answer = b""
        while not answer:
            raw.send(pdu(P_DATA, pdv(1, 0, b"x")))
            try:
                answer = raw.sock.recv(10)
            except TimeoutError:
                continue
        assert answer == pdu(ABORT, bytes([0, 0, 2, 0]))
    assert "slower" in str(desk.fields_of("association aborted")["cause"])


def test_the_time_of_a_handler_does_not_count_against_the_sender(desk: Desk) -> None:
    """A slow disk is this node's fault: no deadline runs while a handler works."""
    limits = Limits(pdu_s=0.2, idle_s=0.2, rate_window_s=0.05, linger_s=2.0)
    begun = time.monotonic()

    def slow(received: Received) -> Received:
        take = received.feed

        def feed(fragment: memoryview) -> None:
            with received.changed:
                received.changed.wait(0.3)
            take(fragment)

        received.feed = feed
        return received

    desk.open = slow
    with serving(desk, limits=limits) as listener, RawPeer(listener.address) as raw:
        raw.associate()
        raw.send(store())
        raw.send(store())
        assert [raw.status(), raw.status()] == [0, 0]
        raw.release()
    assert time.monotonic() - begun > limits.pdu_s


def test_a_data_set_longer_than_its_limit_is_aborted(desk: Desk) -> None:
    """A peer cannot fill the disk with one message."""
    limits = Limits(message_bytes=10_000)
    with serving(desk, limits=limits) as listener, RawPeer(listener.address) as raw:
        raw.associate()
        raw.send(store(data=bytes(9_000)))
        assert raw.status() == 0
        raw.send(store(data=bytes(10_000)))
        assert raw.end() == (ABORT, 0, 0)
    assert [one.end for one in desk.received] == ["finished", "abandoned"]


def test_responses_fit_a_peer_that_receives_little(raw: RawPeer) -> None:
    """The peer's maximum counts for command sets too."""
    raw.associate(pdu_bytes=40)
    raw.send(store())
    joined, control = b"", 0
    while not control & LAST:
        kind, body = raw.read_pdu()
        assert kind == P_DATA
        assert len(body) <= 40
        control = body[5]
        joined += body[6:]

    assert joined.endswith(b"1.2.3\0")
    raw.release()


@given(
    data=st.binary(min_size=1, max_size=600),
    cuts=st.lists(st.integers(1, 200), max_size=30),
    joins=st.lists(st.booleans(), min_size=31, max_size=31),
)
def test_any_fragmentation_gives_the_same_message(
    data: bytes, cuts: list[int], joins: list[bool]
) -> None:
    """Fragments of any size, one or many to a PDU (PS3.8 Annex D)."""
    desk = shared_desk()
    command, expected = store_command(), len(desk.received)
    values = split(command, cuts, COMMAND) + split(data, cuts[::-1], 0)
    stream, body = b"", b""
    for value, join in zip(values, joins * (len(values) // 31 + 1), strict=False):
        body += value
        if not join:
            stream, body = stream + pdu(P_DATA, body), b""
    if body:
        stream += pdu(P_DATA, body)
    with RawPeer(SHARED[1].address) as raw:
        raw.associate()
        raw.send(stream)
        assert raw.status() == 0
        raw.release()

    assert bytes(desk.received[expected].data) == data


def split(data: bytes, cuts: list[int], control: int) -> list[bytes]:
    """Fragments of a command set or a data set."""
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    return [*(pdv(1, control, piece) for piece in pieces), pdv(1, control | LAST, data)]


@given(garbage=st.binary(min_size=1, max_size=200), inside=st.booleans())
def test_garbage_neither_kills_nor_hangs_an_association(garbage: bytes, *, inside: bool) -> None:
    """Whatever comes, the thread ends, the peer sees the end, and nobody is harmed."""
    desk = shared_desk()
    with RawPeer(SHARED[1].address) as raw:
        if inside:
            raw.associate()
        raw.send(garbage)
        raw.sock.shutdown(1)
        while raw.read_pdu()[0]:
            pass
    assert SHARED[1]._wait_until_empty(PATIENCE_S)
    assert desk.named("association failed") == 0


@given(flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4))
def test_damaged_conversations_neither_kill_nor_hang_an_association(
    flips: list[tuple[int, int]],
) -> None:
    """Almost right is worse than random."""
    desk = shared_desk()
    stream = bytearray(request(*BOTH) + store() + store() + pdu(RELEASE_RQ, bytes(4)))
    for place, value in flips:
        stream[place % len(stream)] = value
    with RawPeer(SHARED[1].address) as raw:
        raw.send(stream)
        raw.sock.shutdown(1)
        while raw.read_pdu()[0]:
            pass
    assert SHARED[1]._wait_until_empty(PATIENCE_S)
    assert desk.named("association failed") == 0


SHARED: list = []


def shared_desk() -> Desk:
    """The desk of one listener for all examples of the properties."""
    return SHARED[0]


@pytest.fixture(scope="module", autouse=True)
def _shared() -> Iterator[None]:
    desk = Desk()
    with serving(desk) as running:
        SHARED[:] = desk, running
        yield


def test_the_answer_to_a_request_names_our_maximum(raw: RawPeer) -> None:
    """A large PDU costs fewer system calls."""
    raw.send(request())
    kind, body = raw.read_pdu()

    assert kind == AC
    assert b"\x51\0\0\4" + Limits().pdu_bytes.to_bytes(4, "big") in body


def test_an_ended_association_is_let_go_of_at_once(listener: Listener, raw: RawPeer) -> None:
    """Its buffer of a quarter of a megabyte must not wait until cycles are collected."""
    raw.associate()
    (found,) = listener._open
    left = weakref.ref(found)
    gc.collect()
    gc.disable()
    try:
        del found
        raw.release()
        raw.sock.close()
        ends_by = time.monotonic() + PATIENCE_S
        while left() is not None and time.monotonic() < ends_by:
            time.sleep(0.01)
        assert left() is None
    finally:
        gc.enable()

"""A DICOM peer made of bytes, and the other side of a listener: what the transport's tests share.

Encodes by hand, independently of the transport, so that it can also say what is forbidden.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from scp.instance import Outcome
from scp.listener import Listener
from scp.transport import Accepted

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from scp.instance import Peer, StoreRequest

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DICOM = "1.2.840.10008.3.1.1.1"

RQ, AC, RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
COMMAND, LAST = 1, 2
PATIENCE_S = 20.0


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its header."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item of an association PDU."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def context(number: int, abstract_syntax: str, *transfer_syntaxes: str) -> bytes:
    """A proposed presentation context."""
    names = item(0x30, abstract_syntax.encode())
    names += b"".join(item(0x40, name.encode()) for name in transfer_syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + names)


def request(
    *contexts: bytes,
    calling: bytes = b"CT1",
    called: bytes = b"ANONODE",
    application: str = DICOM,
    version: int = 1,
    user: bytes = b"",
    pdu_bytes: int = 16384,
) -> bytes:
    """An A-ASSOCIATE-RQ; without contexts, one for CT."""
    contexts = contexts or (context(1, CT, EXPLICIT),)
    body = struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
    body += item(0x10, application.encode()) + b"".join(contexts)
    return pdu(RQ, body + item(0x50, item(0x51, struct.pack(">I", pdu_bytes)) + user))


def element(number: int, value: bytes) -> bytes:
    """An element of a command set, padded."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    """An unsigned short of a command set."""
    return element(number, struct.pack("<H", value))


def command_set(*elements: bytes) -> bytes:
    """A command set with its group length."""
    joined = b"".join(elements)
    return element(0, struct.pack("<I", len(joined))) + joined


def store_command(
    uid: str = "1.2.3", sop_class: str = CT, message_id: int = 1, data_set: int = 1
) -> bytes:
    """The command set of a C-STORE-RQ."""
    return command_set(
        element(0x0002, sop_class.encode()),
        us(0x0100, 0x0001),
        us(0x0110, message_id),
        us(0x0700, 0),
        us(0x0800, data_set),
        element(0x1000, uid.encode()),
    )


def plain_command(field_: int, message_id: int = 1, sop_class: str = VERIFICATION) -> bytes:
    """The command set of a request without a data set."""
    return command_set(
        element(0x0002, sop_class.encode()),
        us(0x0100, field_),
        us(0x0110, message_id),
        us(0x0120, message_id),
        us(0x0800, 0x0101),
    )


def pdv(number: int, control: int, fragment: bytes) -> bytes:
    """A presentation data value."""
    return struct.pack(">IBB", len(fragment) + 2, number, control) + fragment


def store(data: bytes = b"data", number: int = 1, **command: str | int) -> bytes:
    """A whole C-STORE message in two PDUs."""
    return pdu(P_DATA, pdv(number, COMMAND | LAST, store_command(**command))) + pdu(
        P_DATA, pdv(number, LAST, data)
    )


def elements(data: bytes) -> dict[int, bytes]:
    """A command set taken apart."""
    found, offset = {}, 0
    while offset < len(data):
        _, number, length = struct.unpack_from("<HHI", data, offset)
        found[number] = data[offset + 8 : offset + 8 + length]
        offset += 8 + length
    return found


class RawPeer:
    """A connection that sends whatever bytes it is told to."""

    def __init__(
        self, address: tuple[str, int], *, tls: ssl.SSLContext | None = None, source: str = ""
    ) -> None:
        own = (source, 0) if source else None
        self.sock = socket.create_connection(address, PATIENCE_S, source_address=own)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=address[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def read(self, count: int) -> bytes:
        """Read exactly so many bytes; fewer if the other side closed."""
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                break
            data += more
        return data

    def read_pdu(self) -> tuple[int, bytes]:
        """The next PDU; type 0 when the other side closed in order."""
        header = self.read(6)
        if not header:
            return 0, b""
        kind, _, length = struct.unpack(">BBI", header)
        return kind, self.read(length)

    def associate(self, *contexts: bytes, **parts: bytes | str | int) -> bytes:
        """Make an association; the body of the A-ASSOCIATE-AC."""
        self.send(request(*contexts, **parts))
        kind, body = self.read_pdu()
        assert kind == AC
        return body

    def response(self) -> dict[int, bytes]:
        """The next response as its elements."""
        kind, body = self.read_pdu()
        assert kind == P_DATA, (kind, body)
        return elements(body[6:])

    def status(self) -> int:
        """The status of the next response."""
        return struct.unpack("<H", self.response()[0x0900])[0]

    def release(self) -> None:
        """Release, and see the other side agree."""
        self.send(pdu(RELEASE_RQ, bytes(4)))
        assert self.read_pdu() == (RELEASE_RP, bytes(4))

    def end(self) -> tuple[int, int, int]:
        """Type, source and reason of the last PDU, after which the other side closes."""
        kind, body = self.read_pdu()
        self.sock.shutdown(socket.SHUT_WR)
        assert self.read(1) == b""
        return kind, body[2], body[3]


@dataclass
class Received:
    """A C-STORE message as its handler saw it."""

    peer: Peer
    route: object
    request: StoreRequest
    outcome: Outcome
    data: bytearray = field(default_factory=bytearray)
    fragments: int = 0
    end: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def feed(self, fragment: memoryview) -> None:
        """Keep a copy."""
        self.data += fragment
        self.fragments += 1
        with self.changed:
            self.changed.notify_all()

    def finish(self) -> Outcome:
        """Answer as agreed."""
        self._end("finished")
        return self.outcome

    def abandon(self) -> None:
        """Remember it."""
        self._end("abandoned")

    def _end(self, how: str) -> None:
        with self.changed:
            self.end = f"{self.end} {how}".strip()
            self.changed.notify_all()


class Desk:
    """Accepts everybody, keeps every instance in memory, hears every event."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.outcome = Outcome(0)
        self.decide: Callable[[object], object] = lambda _: Accepted("the route")
        self.open: Callable[[Received], object] = lambda received: received
        self._changed = threading.Condition()

    def accept(self, asked: object) -> object:
        """Decide as the test has set."""
        return self.decide(asked)

    def open_store(self, peer: Peer, route: object, asked: StoreRequest) -> object:
        """One more instance."""
        received = Received(peer, route, asked, self.outcome, changed=self._changed)
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
        return self.open(received)

    def hear(self, event: str, /, **fields: object) -> None:
        """Keep an event."""
        with self._changed:
            self.events.append((event, fields))
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something that the listener's threads do has happened."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE_S), self.events

    def fields_of(self, event: str) -> dict[str, object]:
        """Wait for an event; the fields of the last one of its name."""
        self.wait_for(lambda: any(name == event for name, _ in self.events))
        return [fields for name, fields in self.events if name == event][-1]

    def named(self, event: str) -> int:
        """How often an event was heard."""
        return sum(name == event for name, _ in self.events)


@contextlib.contextmanager
def serving(desk: Desk, **options: object) -> Iterator[Listener]:
    """A listener on a free port; at the end none of its threads is left."""
    listener = Listener(
        ("127.0.0.1", 0), desk.accept, desk.open_store, events=desk.hear, **options
    )
    listener.start()
    try:
        yield listener
    finally:
        assert listener.stop(grace_s=0.0) == 0

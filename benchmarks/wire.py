"""As much of PS3.7 and PS3.8 as a raw client and a raw sink need, written for speed alone.

It trusts its peer, which a node must never do; nothing here is used by Anonode.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ASSOCIATE_RQ: Final = 0x01
ASSOCIATE_AC: Final = 0x02
P_DATA: Final = 0x04
RELEASE_RQ: Final = 0x05
RELEASE_RP: Final = 0x06
ABORT: Final = 0x07

VERIFICATION: Final = "1.2.840.10008.1.1"
_APPLICATION_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION: Final = b"1.2.826.0.1.3680043.8.498.9"

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
_NO_DATASET: Final = 0x0101
_LAST: Final = 0x02
_COMMAND: Final = 0x01


@dataclass(frozen=True, slots=True)
class Offer:
    """A presentation context: what is proposed, or the one transfer syntax that was accepted."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    result: int = 0


@dataclass(frozen=True, slots=True)
class Negotiation:
    """What an A-ASSOCIATE-RQ or -AC says, as far as it matters here."""

    called: bytes
    calling: bytes
    offers: tuple[Offer, ...]
    max_pdu_bytes: int


def item(kind: int, *parts: bytes) -> bytes:
    """An item of an association PDU."""
    body = b"".join(parts)
    return struct.pack(">BxH", kind, len(body)) + body


def associate(kind: int, negotiation: Negotiation) -> bytes:
    """An A-ASSOCIATE-RQ or -AC."""
    user = item(
        0x50,
        item(0x51, struct.pack(">I", negotiation.max_pdu_bytes)),
        item(0x52, _IMPLEMENTATION),
    )
    body = b"".join(
        (
            struct.pack(">HH", 1, 0),
            negotiation.called.ljust(16),
            negotiation.calling.ljust(16),
            bytes(32),
            item(0x10, _APPLICATION_CONTEXT),
            *(_context(kind, offer) for offer in negotiation.offers),
            user,
        )
    )
    return struct.pack(">BxI", kind, len(body)) + body


def _context(kind: int, offer: Offer) -> bytes:
    head = struct.pack(">BxBx", offer.context_id, offer.result)
    syntaxes = (item(0x40, uid.encode()) for uid in offer.transfer_syntaxes)
    if kind == ASSOCIATE_AC:
        return item(0x21, head, *syntaxes)
    return item(0x20, head, item(0x30, offer.abstract_syntax.encode()), *syntaxes)


def read_associate(body: bytes) -> Negotiation:
    """Read the body of an A-ASSOCIATE-RQ or -AC."""
    offers: list[Offer] = []
    max_pdu_bytes = 0
    for kind, content in _items(body[68:]):
        if kind in (0x20, 0x21):
            inner = list(_items(content[4:]))
            abstract = next((_text(uid) for k, uid in inner if k == 0x30), "")
            transfer = tuple(_text(uid) for k, uid in inner if k == 0x40)
            offers.append(Offer(content[0], abstract, transfer, content[2]))
        elif kind == 0x50:
            max_pdu_bytes = next(
                (int.from_bytes(length, "big") for k, length in _items(content) if k == 0x51), 0
            )
    return Negotiation(body[4:20], body[20:36], tuple(offers), max_pdu_bytes)


def _items(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(body):
        kind, length = struct.unpack_from(">BxH", body, at)
        yield kind, body[at + 4 : at + 4 + length]
        at += 4 + length


def _text(uid: bytes) -> str:
    return uid.rstrip(b"\0 ").decode("ascii")


def command(**elements: int | str) -> bytes:
    """A command set, implicit VR little endian; names are `_gggg_eeee` in ascending order."""
    encoded = b"".join(_element(int(name[-4:], 16), value) for name, value in elements.items())
    return _element(0x0000, len(encoded), size=4) + encoded


def _element(number: int, value: int | str, size: int = 2) -> bytes:
    if isinstance(value, int):
        raw = value.to_bytes(size, "little")
    else:
        raw = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(raw)) + raw


def store_request(message_id: int, sop_class: str, sop_instance: str) -> bytes:
    """A C-STORE-RQ."""
    return command(
        _0002=sop_class,
        _0100=C_STORE_RQ,
        _0110=message_id,
        _0700=0,
        _0800=1,
        _1000=sop_instance,
    )


def echo_request(message_id: int) -> bytes:
    """A C-ECHO-RQ."""
    return command(_0002=VERIFICATION, _0100=C_ECHO_RQ, _0110=message_id, _0800=_NO_DATASET)


def response(request: dict[int, bytes], status: int) -> bytes:
    """The response to a request that was read."""
    return command(
        _0002=_text(request[0x0002]),
        _0100=0x8000 | int.from_bytes(request[0x0100], "little"),
        _0120=int.from_bytes(request[0x0110], "little"),
        _0800=_NO_DATASET,
        _0900=status,
        **({"_1000": _text(request[0x1000])} if 0x1000 in request else {}),
    )


def read_command(encoded: bytes) -> dict[int, bytes]:
    """Element numbers of group 0000 to raw values."""
    values: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(encoded):
        _, number, length = struct.unpack_from("<HHI", encoded, at)
        values[number] = encoded[at + 8 : at + 8 + length]
        at += 8 + length
    return values


def pdata(context_id: int, control: int, fragment: bytes | memoryview) -> bytes:
    """One P-DATA-TF with one presentation data value."""
    head = struct.pack(
        ">BxIIBB", P_DATA, len(fragment) + 6, len(fragment) + 2, context_id, control
    )
    return head + fragment


def command_pdu(context_id: int, encoded: bytes) -> bytes:
    """A command set in one P-DATA-TF."""
    return pdata(context_id, _COMMAND | _LAST, encoded)


def data_pdus(context_id: int, max_pdu_bytes: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A dataset that comes in pieces, as P-DATA-TF no longer than the peer allows."""
    size = max(max_pdu_bytes or 1 << 17, 4096) - 6
    held: bytes | None = None
    for piece in pieces:
        view = memoryview(piece)
        for at in range(0, len(view), size):
            if held is not None:
                yield held
            held = pdata(context_id, 0, view[at : at + size])
    if held is not None:
        yield held[:11] + bytes([_LAST]) + held[12:]


def store_message(context_id: int, max_pdu_bytes: int, request: bytes, dataset: bytes) -> bytes:
    """A whole C-STORE, ready to be sent in one call."""
    return command_pdu(context_id, request) + b"".join(
        data_pdus(context_id, max_pdu_bytes, [dataset])
    )


def receive_exactly(channel: socket.socket, count: int) -> bytes:
    """That many bytes; raises ConnectionError at an early end.

    Acknowledges at once what came: a server that sends with Nagle's algorithm would otherwise
    wait 40 ms for this client in the middle of its response, which is no work of its own.
    """
    buffer = bytearray(count)
    view = memoryview(buffer)
    at = 0
    while at < count:
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        received = channel.recv_into(view[at:])
        if not received:
            raise ConnectionError("the peer closed the connection")
        at += received
    return bytes(buffer)


def receive_pdu(channel: socket.socket) -> tuple[int, bytes]:
    """The type and the body of the next PDU."""
    kind, length = struct.unpack(">BxI", receive_exactly(channel, 6))
    return kind, receive_exactly(channel, length)


class Association:
    """A raw service class user: one context per SOP class, one message at a time."""

    def __init__(
        self, host: str, port: int, called: str, calling: str, sop_classes: tuple[str, ...]
    ) -> None:
        self.channel = socket.create_connection((host, port), timeout=120)
        self.channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        syntax = ("1.2.840.10008.1.2.1",)
        offers = [
            Offer(2 * number + 1, uid, ("1.2.840.10008.1.2",) if uid == VERIFICATION else syntax)
            for number, uid in enumerate(sop_classes)
        ]
        negotiation = Negotiation(called.encode(), calling.encode(), tuple(offers), 1 << 14)
        self.channel.sendall(associate(ASSOCIATE_RQ, negotiation))
        kind, body = receive_pdu(self.channel)
        if kind != ASSOCIATE_AC:
            raise ConnectionError(f"the association was not accepted (PDU type {kind})")
        answer = read_associate(body)
        results = {offer.context_id: offer.result for offer in answer.offers}
        refused = [offer.abstract_syntax for offer in offers if results.get(offer.context_id) != 0]
        if refused:
            raise ConnectionError(f"not accepted: {', '.join(refused)}")
        self.max_pdu_bytes = answer.max_pdu_bytes
        self.contexts = {offer.abstract_syntax: offer.context_id for offer in offers}

    def status(self) -> int:
        """The status of the next response."""
        encoded = b""
        control = 0
        while not control & _LAST:
            kind, body = receive_pdu(self.channel)
            if kind != P_DATA:
                raise ConnectionError(f"PDU type {kind} instead of a response")
            control = body[5]
            encoded += body[6:]
        return int.from_bytes(read_command(encoded)[0x0900], "little")

    def echo(self) -> int:
        """C-ECHO and its status."""
        self.channel.sendall(command_pdu(self.contexts[VERIFICATION], echo_request(1)))
        return self.status()

    def store(self, message: bytes) -> int:
        """Send a prepared C-STORE and return its status."""
        self.channel.sendall(message)
        return self.status()

    def release(self) -> None:
        """End in an orderly way, and wait until the peer agrees."""
        self.channel.sendall(struct.pack(">BxII", RELEASE_RQ, 4, 0))
        receive_pdu(self.channel)
        self.channel.close()

"""Mutations of a DICOM conversation that know what they hit: PDU, item, PDV, command element.

A conversation is what one peer sends: a request, some messages, a release. It is built from parts
that are struck before the lengths around them are counted, or after.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.encoded import EXPLICIT, IMPLICIT
from tests.scp import raw_peer

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

ODD_LENGTHS = (0, 1, 2, 3, 5, 6, 0xFF, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x40006, 0x40007)
LONG_LENGTHS = (*ODD_LENGTHS, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
PDU_TYPES = (*range(9), 0x42, 0x7F, 0xFF)
ITEM_TYPES = (0x10, 0x20, 0x21, 0x30, 0x40, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58)
TITLES = (b"CT1", b"", b" ", b"CT1\r\nfake", b"\x1b[2J", b"A" * 16, b"\0" * 16, b"\xe4\xff", b"\\")
CLASSES = (raw_peer.CT, raw_peer.MR, raw_peer.VERIFICATION, "1.2", "", "x", "1" * 64, "1." * 40)
UIDS = (
    *("1.2.3", "", ".", "..", "../../x", "/etc/x", "1.02.3", "1" * 64, "1" * 65, "1." * 40),
    *("2.25.1\0", "1.2\0.3", "1 2", "QXID000001", "\xe4", "%s", "1.2.3\n{}"),
)
FIELDS = (
    0x0001,
    0x0030,
    0x0FFF,
    0x0020,
    0x0010,
    0x0021,
    0x0100,
    0x0150,
    0x8001,
    0x8030,
    0,
    0xFFFF,
)


def conversation(chance: Random, datasets: Callable[[Random], bytes]) -> bytes:
    """The next one.

    Args:
        chance: Decides everything.
        datasets: Gives what a message carries.
    """
    pdus = [_request(chance), *_messages(chance, datasets)]
    pdus.append(raw_peer.pdu(raw_peer.RELEASE_RQ, bytes(4)))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        pdus = chance.choice(BLOWS)(pdus, chance)
    data = b"".join(pdus)
    if chance.random() < 0.3:
        data = _flipped(data, chance)
    return data[: chance.randrange(len(data) + 1)] if chance.random() < 0.15 else data


# ---------------------------------------------------------------- the parts


def _rarely(chance: Random, usual: object, odd: tuple[object, ...], share: float = 0.1) -> object:
    return chance.choice(odd) if chance.random() < share else usual


def _item(chance: Random, kind: int, value: bytes) -> bytes:
    kind = _rarely(chance, kind, ITEM_TYPES, 0.02)
    length = _rarely(chance, len(value), ODD_LENGTHS, 0.02) & 0xFFFF
    return struct.pack(">BBH", kind, 0, length) + value


def _request(chance: Random) -> bytes:
    contexts = [_context(chance, 2 * number + 1) for number in range(chance.choice((1, 1, 3)))]
    if chance.random() < 0.02:
        contexts *= chance.choice((2, 130))
    user = _item(chance, 0x51, struct.pack(">I", chance.choice((0, 16384, 1, 7, 0xFFFFFFFF))))
    for _ in range(chance.choice((0, 0, 1, 3))):
        user += _item(chance, chance.choice(ITEM_TYPES), chance.randbytes(chance.randrange(20)))
    called = _rarely(chance, b"ANONODE", TITLES, 0.03)
    calling = _rarely(chance, b"CT1", TITLES, 0.05)
    version = _rarely(chance, 1, (0, 2, 3, 0xFFFF), 0.03)
    body = struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
    body += _item(chance, 0x10, _rarely(chance, raw_peer.DICOM.encode(), (b"", b"1.2"), 0.03))
    body += b"".join(contexts) + _item(chance, 0x50, user)
    return raw_peer.pdu(raw_peer.RQ, body)


def _context(chance: Random, number: int) -> bytes:
    name = _rarely(chance, raw_peer.CT, CLASSES)
    syntaxes = chance.choice(([EXPLICIT], [IMPLICIT, EXPLICIT], [], ["1.2.3"], [EXPLICIT] * 9))
    names = _item(chance, 0x30, name.encode())
    names += b"".join(_item(chance, 0x40, syntax.encode()) for syntax in syntaxes)
    number = _rarely(chance, number, (0, 2, 255, 1), 0.05)
    return _item(chance, 0x20, bytes([number, 0, 0, 0]) + names)


def _messages(chance: Random, datasets: Callable[[Random], bytes]) -> list[bytes]:
    pdus = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        command = _command(chance)
        pdus += _fragmented(chance, command, raw_peer.COMMAND)
        if chance.random() < 0.9:
            pdus += _fragmented(chance, datasets(chance), 0)
    return pdus


def _command(chance: Random) -> bytes:
    field = _rarely(chance, 1, FIELDS)
    elements = [
        raw_peer.element(0x0002, _rarely(chance, raw_peer.CT, CLASSES).encode()),
        raw_peer.us(0x0100, field),
        raw_peer.us(0x0110, chance.randrange(1 << 16)),
        raw_peer.us(0x0700, 0),
        raw_peer.us(0x0800, _rarely(chance, 1, (0x0101, 0, 0xFFFF), 0.05)),
        raw_peer.element(0x1000, _uid(chance)),
    ]
    for _ in range(_rarely(chance, 0, (1, 1, 2))):
        elements = _struck(elements, chance)
    return raw_peer.command_set(*elements)


def _uid(chance: Random) -> bytes:
    usual = f"1.2.7.88.{chance.randrange(1 << 30)}"
    return _rarely(chance, usual, UIDS, 0.15).encode("latin-1")


def _struck(elements: list[bytes], chance: Random) -> list[bytes]:
    at = chance.randrange(len(elements))
    hit = elements[at]
    value = chance.randbytes(chance.choice((0, 1, 2, 4, 70)))
    instead = chance.choice(
        (
            [],
            [hit, hit],
            [hit[:-1]],
            [hit[:4] + struct.pack("<I", chance.choice(LONG_LENGTHS)) + hit[8:]],
            [struct.pack("<HHI", 0, chance.randrange(1 << 16), len(value)) + value],
            [struct.pack("<HH", chance.choice((2, 8, 0xFFFF)), 0) + hit[4:]],
        )
    )
    return elements[:at] + instead + elements[at + 1 :]


def _fragmented(chance: Random, data: bytes, control: int) -> list[bytes]:
    """Fragments in as many PDUs, or several in one; the last is told."""
    step = chance.choice((len(data) or 1, len(data) or 1, 4096, 1000, 64))
    pieces = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
    number = _rarely(chance, 1, (0, 2, 3, 255), 0.02)
    pdvs = [raw_peer.pdv(number, control, piece) for piece in pieces[:-1]]
    last = _rarely(chance, control | raw_peer.LAST, (0, 1, 2, 3, 0xFF), 0.05)
    pdvs.append(raw_peer.pdv(number, last, pieces[-1]))
    if chance.random() < 0.3:
        return [raw_peer.pdu(raw_peer.P_DATA, b"".join(pdvs))]
    return [raw_peer.pdu(raw_peer.P_DATA, one) for one in pdvs]


# ---------------------------------------------------------------- the blows


def _with(pdus: list[bytes], at: int, *instead: bytes) -> list[bytes]:
    return [*pdus[:at], *instead, *pdus[at + 1 :]]


def retype(pdus: list[bytes], chance: Random) -> list[bytes]:
    """A PDU bears another type."""
    at = chance.randrange(len(pdus))
    return _with(pdus, at, bytes([chance.choice(PDU_TYPES)]) + pdus[at][1:])


def resize(pdus: list[bytes], chance: Random) -> list[bytes]:
    """A PDU claims another length."""
    at = chance.randrange(len(pdus))
    length = chance.choice((*LONG_LENGTHS, len(pdus[at]) - 7, len(pdus[at]) - 5))
    return _with(pdus, at, pdus[at][:2] + struct.pack(">I", max(length, 0)) + pdus[at][6:])


def resize_pdv(pdus: list[bytes], chance: Random) -> list[bytes]:
    """The first PDV of a PDU claims another length."""
    at = chance.randrange(len(pdus))
    length = chance.choice((*LONG_LENGTHS, len(pdus[at]) - 11, len(pdus[at]) - 9))
    return _with(pdus, at, pdus[at][:6] + struct.pack(">I", max(length, 0)) + pdus[at][10:])


def drop(pdus: list[bytes], chance: Random) -> list[bytes]:
    """A PDU does not come."""
    return _with(pdus, chance.randrange(len(pdus))) if len(pdus) > 1 else pdus


def repeat(pdus: list[bytes], chance: Random) -> list[bytes]:
    """A PDU comes again."""
    at = chance.randrange(len(pdus))
    return _with(pdus, at, *[pdus[at]] * chance.choice((2, 2, 5)))


def shuffle(pdus: list[bytes], chance: Random) -> list[bytes]:
    """Two PDUs change places."""
    one, other = (chance.randrange(len(pdus)) for _ in range(2))
    turned = list(pdus)
    turned[one], turned[other] = pdus[other], pdus[one]
    return turned


def intrude(pdus: list[bytes], chance: Random) -> list[bytes]:
    """A PDU comes that has no place there."""
    at = chance.randrange(len(pdus))
    body = chance.randbytes(chance.choice((0, 3, 4, 5, 100)))
    return _with(pdus, at, raw_peer.pdu(chance.choice(PDU_TYPES), body), pdus[at])


def shorten(pdus: list[bytes], chance: Random) -> list[bytes]:
    """A PDU lacks its end, so that the next one is read for it."""
    at = chance.randrange(len(pdus))
    return _with(pdus, at, pdus[at][: chance.randrange(len(pdus[at]) + 1)])


BLOWS = (retype, resize, resize_pdv, drop, repeat, shuffle, intrude, shorten)


def _flipped(data: bytes, chance: Random) -> bytes:
    hit = bytearray(data)
    for _ in range(chance.choice((1, 2, 8))):
        hit[chance.randrange(len(hit))] = chance.randrange(256)
    return bytes(hit)

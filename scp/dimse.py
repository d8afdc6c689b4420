"""DIMSE messages on the wire: command sets, and their way through P-DATA-TF PDUs.

Command sets are always implicit VR little endian (PS3.7 6.3.1). Only the elements that
the node uses are read; the others are stepped over. Written by hand because this runs for
every instance. Nothing here touches a socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from scp.errors import AbortReason, AbortSource, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

C_STORE_RQ: Final = 0x0001
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000
"""This bit of a Command Field tells a response from a request (PS3.7 E.1)."""

REQUESTS: Final = frozenset(
    {C_STORE_RQ, 0x0010, 0x0020, 0x0021, C_ECHO_RQ}
    | {0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150}
)
"""Every request of PS3.7 E.1 that expects a response."""

NO_DATA_SET: Final = 0x0101
COMMAND: Final = 0x01
"""Bit of a message control header: this fragment belongs to the command set (PS3.8 E.2)."""
LAST: Final = 0x02
"""Bit of a message control header: this is the last fragment."""

PDV_HEADER_BYTES: Final = 6
PDATA_HEADER_BYTES: Final = 12
"""The headers of a P-DATA-TF PDU and of the only PDV in it."""
SMALLEST_PDU_BYTES: Final = 16
"""A peer that allows less cannot be sent anything sensible."""

_ELEMENT: Final = Struct("<HHI")
_US: Final = Struct("<H")
_US_ELEMENT: Final = Struct("<HHIH")
_UL_ELEMENT: Final = Struct("<HHII")
_PDV: Final = Struct(">IBB")
_PDATA: Final = Struct(">BBIIBB")

_SOP_CLASS: Final = 0x0002
_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDS_TO: Final = 0x0120
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_SOP_INSTANCE: Final = 0x1000

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_UID_CHARACTERS: Final = 64
_COMMENT_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Command:
    """A command set that was received.

    Attributes:
        field: Command Field (0000,0100).
        message_id: Message ID (0000,0110) of a request, Message ID Being Responded To
            (0000,0120) of a response or a C-CANCEL.
        has_data_set: whether a data set follows (0000,0800).
        sop_class_uid: Affected SOP Class UID (0000,0002), "" if absent; not checked.
        sop_instance_uid: Affected SOP Instance UID (0000,1000), "" if absent; not checked.
        status: Status (0000,0900); None if absent.
        error_comment: Error Comment (0000,0902), printable, "" if absent.
    """

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    status: int | None
    error_comment: str

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.field & RESPONSE)


def is_uid(text: str) -> bool:
    """Whether it has a UID's syntax (PS3.5 9.1); leading zeros, which exist, are let pass."""
    return len(text) <= _UID_CHARACTERS and _UID.fullmatch(text) is not None


def printable(text: str, most: int) -> str:
    """At most `most` characters of a peer's text, with all but plain ASCII escaped."""
    return "".join(
        character if " " <= character <= "~" and character != "\\" else f"\\x{ord(character):02x}"
        for character in text[:most]
    )


def decode_command(data: bytes | bytearray) -> Command:
    """Read a whole command set.

    Raises:
        ProtocolError: it is not a command set, or lacks what every one of its kind has.
    """
    elements = _elements(data)
    field = _us(elements, _FIELD)
    answers = field & RESPONSE or field == C_CANCEL_RQ
    return Command(
        field=field,
        message_id=_us(elements, _RESPONDS_TO if answers else _MESSAGE_ID),
        has_data_set=_us(elements, _DATA_SET_TYPE) != NO_DATA_SET,
        sop_class_uid=_text(elements, _SOP_CLASS),
        sop_instance_uid=_text(elements, _SOP_INSTANCE),
        status=_us(elements, _STATUS) if _STATUS in elements else None,
        error_comment=printable(_text(elements, _ERROR_COMMENT), _COMMENT_CHARACTERS),
    )


def _elements(data: bytes | bytearray) -> dict[int, bytes | bytearray]:
    elements: dict[int, bytes | bytearray] = {}
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _ELEMENT.size:
            raise _malformed("a command set ends inside an element")
        group, element, length = _ELEMENT.unpack_from(data, offset)
        offset += _ELEMENT.size
        if group or length > end - offset or element in elements:
            raise _malformed("a command set with an element that cannot be")
        elements[element] = data[offset : offset + length]
        offset += length
    return elements


def _us(elements: dict[int, bytes | bytearray], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != _US.size:
        raise _malformed("a command set without an element that it needs")
    number: int = _US.unpack(value)[0]
    return number


def _text(elements: dict[int, bytes | bytearray], element: int) -> str:
    return elements.get(element, b"").decode("latin-1").rstrip("\0 ")


def _malformed(message: str) -> ProtocolError:
    return ProtocolError(message, source=AbortSource.SERVICE_USER)


def encode_response(request: Command, status: int, comment: str = "") -> bytes:
    """The command set that answers a request, without a data set.

    Args:
        request: its UIDs are repeated if they are UIDs.
        status: Status (0000,0900).
        comment: Error Comment (0000,0902), cut to the 64 characters of an LO; "" is left out.
    """
    parts = [
        _encode_us(_FIELD, request.field | RESPONSE),
        _encode_us(_RESPONDS_TO, request.message_id),
        _encode_us(_DATA_SET_TYPE, NO_DATA_SET),
        _encode_us(_STATUS, status),
    ]
    if comment:
        parts.append(_encode_text(_ERROR_COMMENT, _as_lo(comment), b" "))
    if is_uid(request.sop_class_uid):
        parts.insert(0, _encode_text(_SOP_CLASS, request.sop_class_uid, b"\0"))
    if is_uid(request.sop_instance_uid):
        parts.append(_encode_text(_SOP_INSTANCE, request.sop_instance_uid, b"\0"))
    return _with_length(parts)


def _as_lo(text: str) -> str:
    """A text as one value of a Long String without character set (PS3.5 6.2)."""
    return "".join(
        character if " " <= character <= "~" and character != "\\" else "?"
        for character in text[:_COMMENT_CHARACTERS]
    )


def encode_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The command set of a C-STORE-RQ of medium priority (PS3.7 9.3.1.1)."""
    return _with_length(
        [
            _encode_text(_SOP_CLASS, sop_class_uid, b"\0"),
            _encode_us(_FIELD, C_STORE_RQ),
            _encode_us(_MESSAGE_ID, message_id),
            _encode_us(_PRIORITY, 0),
            _encode_us(_DATA_SET_TYPE, 1),
            _encode_text(_SOP_INSTANCE, sop_instance_uid, b"\0"),
        ]
    )


def encode_echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """The command set of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _with_length(
        [
            _encode_text(_SOP_CLASS, sop_class_uid, b"\0"),
            _encode_us(_FIELD, C_ECHO_RQ),
            _encode_us(_MESSAGE_ID, message_id),
            _encode_us(_DATA_SET_TYPE, NO_DATA_SET),
        ]
    )


def _encode_us(element: int, value: int) -> bytes:
    return _US_ELEMENT.pack(0, element, _US.size, value)


def _encode_text(element: int, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii")
    if len(value) % 2:
        value += padding
    return _ELEMENT.pack(0, element, len(value)) + value


def _with_length(parts: list[bytes]) -> bytes:
    elements = b"".join(parts)
    return _UL_ELEMENT.pack(0, 0, 4, len(elements)) + elements


def fragments(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """The PDVs of a P-DATA-TF PDU (PS3.8 9.3.5).

    Yields:
        Presentation context ID, message control header, and the fragment, which aliases
        `body`.

    Raises:
        ProtocolError: a length is wrong, or there is no PDV at all.
    """
    offset, end = 0, len(body)
    if not end:
        raise _misfit("a P-DATA-TF PDU without a value")
    while offset < end:
        if end - offset < PDV_HEADER_BYTES:
            raise _misfit("a P-DATA-TF PDU ends inside a header")
        length, context_id, control = _PDV.unpack_from(body, offset)
        following = offset + 4 + length
        if length < PDV_HEADER_BYTES - 4 or following > end:
            raise _misfit("a presentation data value with a wrong length")
        yield context_id, control, body[offset + PDV_HEADER_BYTES : following]
        offset = following


def _misfit(message: str) -> ProtocolError:
    return ProtocolError(message, AbortReason.INVALID_PARAMETER)


def write_pdata_header(
    target: bytearray | memoryview, context_id: int, control: int, length_bytes: int
) -> None:
    """Put the headers of a P-DATA-TF PDU with one PDV at the start of `target`."""
    _PDATA.pack_into(target, 0, 4, 0, length_bytes + 6, length_bytes + 2, context_id, control)


def pdu_bytes_to_send(peer_bytes: int, most_bytes: int) -> int:
    """The longest P-DATA-TF body to send: fragments have an even length (PS3.8 9.3.5.1).

    Args:
        peer_bytes: the peer's Maximum Length Received; 0 means any length.
        most_bytes: what this node sends at most.
    """
    return min(peer_bytes or most_bytes, most_bytes) & ~1


def encode_command(context_id: int, command: bytes, pdu_bytes: int) -> bytes:
    """A command set as P-DATA-TF PDUs whose bodies have at most `pdu_bytes`."""
    step = pdu_bytes - PDV_HEADER_BYTES
    pieces: list[bytes | bytearray] = []
    for offset in range(0, len(command), step):
        piece = command[offset : offset + step]
        control = COMMAND | LAST if offset + step >= len(command) else COMMAND
        header = bytearray(PDATA_HEADER_BYTES)
        write_pdata_header(header, context_id, control, len(piece))
        pieces += (header, piece)
    return b"".join(pieces)

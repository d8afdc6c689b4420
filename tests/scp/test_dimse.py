"""Command sets and presentation data values, against pynetdicom and against garbage."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode

from scp import dimse
from scp.errors import AbortReason, AbortSource, ProtocolError
from tests.scp.raw_peer import CT, command_set, element, elements, pdv, plain_command, us

UIDS = st.from_regex(r"[1-9][0-9]{0,9}(\.[1-9][0-9]{0,9}){0,4}", fullmatch=True)


def test_a_request_of_pynetdicom_is_read() -> None:
    """Another implementation's encoding, not our own."""
    primitive = C_STORE()
    primitive.MessageID = 7
    primitive.AffectedSOPClassUID = CT
    primitive.AffectedSOPInstanceUID = "1.2.345"
    primitive.Priority = 2
    primitive.MoveOriginatorApplicationEntityTitle = "MOVER"
    primitive.DataSet = BytesIO(b"data")
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)

    command = dimse.decode_command(encode(message.command_set, True, True))  # noqa: FBT003

    assert (command.field, command.message_id, command.has_data_set) == (1, 7, True)
    assert (command.sop_class_uid, command.sop_instance_uid) == (CT, "1.2.345")


@given(uid=UIDS, status=st.integers(0, 0xFFFF), comment=st.text(max_size=100))
def test_a_response_is_read_by_pynetdicom(uid: str, status: int, comment: str) -> None:
    """The comment is cut to an LO and cannot carry control characters."""
    asked = dimse.decode_command(dimse.encode_store_request(9, CT, uid))
    encoded = dimse.encode_response(asked, status, comment)

    answer = decode(BytesIO(encoded), True, True)  # noqa: FBT003
    message = C_STORE_RSP()
    message.command_set = answer
    primitive = message.message_to_primitive()

    assert primitive.Status == status
    assert primitive.MessageIDBeingRespondedTo == 9
    assert str(primitive.AffectedSOPInstanceUID) == uid
    shown = answer.get("ErrorComment", "")
    assert len(shown) <= 64
    assert shown.isprintable()
    assert answer.CommandGroupLength == len(encoded) - 12


def test_uids_that_are_none_are_not_repeated() -> None:
    """A response never carries what its request had no right to say."""
    asked = dimse.decode_command(plain_command(0x0030, sop_class="../../etc"))

    assert set(elements(dimse.encode_response(asked, 0))) == {0, 0x0100, 0x0120, 0x0800, 0x0900}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        command_set(us(0x0110, 1), us(0x0800, 0x0101)),
        command_set(us(0x0100, 1), us(0x0800, 0x0101)),
        command_set(us(0x0100, 1), us(0x0110, 1)),
        command_set(us(0x0100, 1), us(0x0100, 1), us(0x0110, 1), us(0x0800, 1)),
        command_set(element(0x0100, b"\1\0\0\0"), us(0x0110, 1), us(0x0800, 1)),
        command_set(us(0x8001, 1), us(0x0110, 1), us(0x0800, 1)),
        b"\x08\0\x18\0\0\0\0\0",
        b"\0\0\0\x01\xff\xff\xff\xff\x01\0",
        plain_command(0x0030)[:-1],
    ],
    ids=[
        *("empty", "a byte", "no field", "no message ID", "no data set type", "twice"),
        *("four bytes", "no field but data", "group 0008", "endless", "cut"),
    ],
)
def test_a_command_set_without_what_it_needs_is_the_peers_mistake(data: bytes) -> None:
    """Whoever sends it is aborted by the service user."""
    with pytest.raises(ProtocolError) as caught:
        dimse.decode_command(data)
    assert caught.value.source == AbortSource.SERVICE_USER


@given(st.binary(max_size=300))
def test_garbage_is_a_command_set_or_a_protocol_error(data: bytes) -> None:
    """Nothing else ever comes out of it."""
    try:
        dimse.decode_command(data)
    except ProtocolError:
        return


@given(st.binary(max_size=300))
def test_garbage_is_fragments_or_a_protocol_error(data: bytes) -> None:
    """Fragments lie inside the PDU."""
    try:
        total = sum(len(fragment) for _, _, fragment in dimse.fragments(memoryview(data)))
    except ProtocolError:
        return
    assert total <= len(data)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0\0",
        b"\0\0\0\0\1\2",
        b"\0\0\0\1\1",
        b"\0\0\0\1\1\2",
        b"\0\0\0\5\1\2",
        pdv(1, 2, b"ab") + b"\0",
    ],
    ids=["none", "header", "length 0", "length 1 cut", "length 1", "too long", "a byte more"],
)
def test_a_presentation_data_value_with_a_wrong_length_is_refused(body: bytes) -> None:
    """Length 1 has killed other implementations: it has no control header."""
    with pytest.raises(ProtocolError) as caught:
        list(dimse.fragments(memoryview(body)))
    assert caught.value.reason == AbortReason.INVALID_PARAMETER


@given(command=st.binary(min_size=1, max_size=400), pdu_bytes=st.integers(8, 200))
def test_a_command_set_fits_the_pdus_that_a_peer_receives(command: bytes, pdu_bytes: int) -> None:
    """Fragments join to what was sent, and only the last one says that it is."""
    stream = memoryview(dimse.encode_command(3, command, pdu_bytes))
    joined, controls = b"", []
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        assert length <= pdu_bytes
        for number, control, fragment in dimse.fragments(stream[6 : 6 + length]):
            assert number == 3
            joined += fragment
            controls.append(control)
        stream = stream[6 + length :]

    assert joined == command
    assert controls == [1] * (len(controls) - 1) + [3]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("1.2.840", True),
        ("1", True),
        ("1.02.3", True),
        ("1." * 31 + "12", True),
        ("1." * 32 + "1", False),
        ("", False),
        (".1", False),
        ("1.", False),
        ("1..2", False),
        ("1.2\n", False),
        ("1.2/3", False),
        ("../../x", False),
        ("1.²", False),
        ("1.٣", False),
    ],
)
def test_the_syntax_of_a_uid(text: str, *, is_one: bool) -> None:
    """Digits and dots; leading zeros exist in the field."""
    assert dimse.is_uid(text) is is_one

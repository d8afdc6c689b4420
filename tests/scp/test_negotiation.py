"""What is agreed before the first message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.sop_class import _STORAGE_CLASSES

from scp import negotiation
from scp.errors import AbortReason, ProtocolError
from scp.limits import Limits
from scp.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from tests.scp.raw_peer import CT, EXPLICIT, IMPLICIT, VERIFICATION, context, item, request

JPEG = "1.2.840.10008.1.2.4.50"
PRIVATE = "1.3.46.670589.11.0.0.12.1"


def answered(*contexts: bytes, **parts: object) -> A_ASSOCIATE_AC:
    """The answer to a request, read by pynetdicom."""
    body = memoryview(request(*contexts, **parts))[6:]
    agreement = negotiation.negotiate(negotiation.decode_request(body), STORAGE_CLASSES)
    pdu = A_ASSOCIATE_AC()
    pdu.decode(negotiation.encode_accept(negotiation.decode_titles(body), agreement, 65536))
    return pdu


def results(*contexts: bytes, **parts: object) -> list[tuple[int, int]]:
    """Context IDs with their results."""
    return [
        (item_.context_id, item_.result)
        for item_ in answered(*contexts, **parts).presentation_context
    ]


def test_every_storage_class_and_transfer_syntax_is_accepted() -> None:
    """Nothing that pynetdicom knows as storage is refused, nor deflated or big endian."""
    for number, sop_class in enumerate(sorted(_STORAGE_CLASSES.values())):
        transfer_syntax = sorted(TRANSFER_SYNTAXES)[number % len(TRANSFER_SYNTAXES)]
        assert results(context(1, sop_class, transfer_syntax)) == [(1, 0)]
    assert {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"} <= TRANSFER_SYNTAXES


def test_the_first_transfer_syntax_that_is_supported_wins() -> None:
    """The sender knows best in what form it has its instances."""
    answer = answered(
        context(1, CT, "1.2.3", JPEG, EXPLICIT), context(3, CT, IMPLICIT, JPEG, EXPLICIT)
    )

    assert [item_.transfer_syntax for item_ in answer.presentation_context] == [JPEG, IMPLICIT]


def test_what_is_not_supported_is_refused_context_by_context() -> None:
    """3 is the abstract syntax, 4 the transfer syntaxes (PS3.8 Table 9-18)."""
    worklist = "1.2.840.10008.5.1.4.31"
    assert results(
        context(9, worklist, EXPLICIT),
        context(1, VERIFICATION, IMPLICIT),
        context(5, CT, "1.2.3", "not a uid"),
        context(7, "1.02.!", EXPLICIT),
    ) == [(9, 3), (1, 0), (5, 4), (7, 3)]


def test_private_classes_are_accepted_when_they_are_named() -> None:
    """An allow list, not a guess."""
    proposal = negotiation.decode_request(memoryview(request(context(1, PRIVATE, EXPLICIT)))[6:])

    assert not negotiation.negotiate(proposal, STORAGE_CLASSES).contexts
    agreed = negotiation.negotiate(proposal, STORAGE_CLASSES | {PRIVATE})
    assert agreed.contexts[1].sop_class_uid == PRIVATE


@pytest.mark.parametrize(
    ("roles", "result", "answer"),
    [((1, 0), 0, (1, 0)), ((1, 1), 0, (1, 0)), ((0, 1), 1, None), ((0, 0), 1, None)],
)
def test_the_peer_can_only_be_scu(
    roles: tuple[int, int], result: int, answer: tuple[int, int] | None
) -> None:
    """Who wants to be SCP alone gets no context (PS3.7 D.3.3.4)."""
    uid = CT.encode()
    selection = item(0x54, len(uid).to_bytes(2, "big") + uid + bytes(roles))
    pdu = answered(context(1, CT, EXPLICIT), user=selection)

    assert [item_.result for item_ in pdu.presentation_context] == [result]
    answers = {
        (role.scu_role, role.scp_role) for role in pdu.user_information.role_selection.values()
    }
    assert answers == ({answer} if answer else set())


def test_more_than_one_operation_at_a_time_is_never_agreed() -> None:
    """No answer means one (PS3.7 D.3.3.3); unknown items are skipped (PS3.8 9.3.1)."""
    window = item(0x53, b"\0\0\0\0") + item(0x7F, b"unknown") + item(0x58, b"identity")
    answer = answered(user=window)

    assert answer.user_information.async_ops_window is None
    assert answer.user_information.maximum_length == 65536


def test_the_longest_request_fits_the_limit() -> None:
    """128 contexts with every transfer syntax are not an attack."""
    classes = sorted(STORAGE_CLASSES)[:128]
    contexts = [
        context(2 * number + 1, sop_class, *sorted(TRANSFER_SYNTAXES))
        for number, sop_class in enumerate(classes)
    ]
    encoded = request(*contexts)

    assert len(encoded) < Limits().request_bytes
    assert len(negotiation.decode_request(memoryview(encoded)[6:]).contexts) == 128


@pytest.mark.parametrize(
    "encoded",
    [
        request(context(2, CT, EXPLICIT)),
        request(context(1, CT, EXPLICIT), context(1, CT, IMPLICIT)),
        request(context(1, CT)),
        request(item(0x20, b"")),
        request(item(0x20, b"\1\0\0\0" + item(0x40, EXPLICIT.encode()))),
        request(item(0x10, b"")),
        request(pdu_bytes=7),
        request(user=item(0x54, b"\0\xff1.2\0\1")),
        request(user=b"\x51"),
        request()[:-1],
        request() + b"\x20",
    ],
    ids=[
        *("even ID", "ID twice", "no transfer syntax", "empty context", "no abstract syntax"),
        *("no context", "tiny maximum", "wrong role", "cut sub-item", "cut item", "cut header"),
    ],
)
def test_a_malformed_request_is_a_protocol_error(encoded: bytes) -> None:
    """Never an assertion, a KeyError or a warning."""
    with pytest.raises(ProtocolError) as caught:
        negotiation.decode_request(memoryview(encoded)[6:])
    assert caught.value.reason == AbortReason.INVALID_PARAMETER


@given(st.binary(max_size=200))
def test_garbage_is_a_proposal_or_a_protocol_error(tail: bytes) -> None:
    """And whatever is a proposal can be answered."""
    body = memoryview(request(item(0x20, b"\1\0\0\0"))[6:74] + tail)
    try:
        proposal = negotiation.decode_request(body)
    except ProtocolError:
        return
    agreement = negotiation.negotiate(proposal, STORAGE_CLASSES)
    negotiation.encode_accept(negotiation.decode_titles(body), agreement, 65536)


@pytest.mark.parametrize(
    ("raw", "shown", "valid"),
    [
        (b" CT1", "CT1", True),
        (b"A B", "A B", True),
        (b"", "", False),
        (b"CT\n1", "CT\\x0a1", False),
        (b"\x1b[31mRED", "\\x1b[31mRED", False),
        ("Ä".encode("latin-1"), "\\xc4", False),
        (b"A\\B", "A\\x5cB", False),
    ],
)
def test_titles_are_shown_without_what_could_forge_a_log(
    raw: bytes, shown: str, *, valid: bool
) -> None:
    """An AE title is text from a stranger."""
    titles = negotiation.decode_titles(memoryview(request(calling=raw))[6:])

    assert (titles.calling_ae, titles.calling_valid) == (shown, valid)


def test_a_request_of_ours_is_read_by_pynetdicom() -> None:
    """One context per class and transfer syntax, in order, with odd IDs."""
    pairs = [(CT, EXPLICIT), (CT, JPEG), (VERIFICATION, IMPLICIT)]
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(negotiation.encode_request("ANONODE", "PACS", pairs, 32768))

    proposed = [(c.abstract_syntax, c.transfer_syntax[0]) for c in pdu.presentation_context]
    assert proposed == pairs
    assert [c.context_id for c in pdu.presentation_context] == [1, 3, 5]
    assert (pdu.calling_ae_title, pdu.called_ae_title) == ("ANONODE", "PACS")
    assert pdu.user_information.maximum_length == 32768


@pytest.mark.parametrize("pairs", [[], [(CT, EXPLICIT)] * 129, [(CT, "x")]])
def test_contexts_that_cannot_be_proposed_are_a_value_error(pairs: list[tuple[str, str]]) -> None:
    """128 IDs exist, and only UIDs name a syntax."""
    with pytest.raises(ValueError, match="context"):
        negotiation.encode_request("A", "B", pairs, 32768)

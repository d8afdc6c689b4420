"""A-ASSOCIATE in both roles, over pynetdicom's PDU classes and its negotiation.

The only file that knows how pynetdicom spells things. Bytes of a peer are stripped of what
the node does not negotiate before pynetdicom sees them, and whatever it raises becomes a
ProtocolError without a value. Nothing here touches a socket.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
)
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import (
    PresentationContext,
    build_context,
    negotiate_as_acceptor,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made by a loop
    _STORAGE_CLASSES,
    Verification,
)

from scp.dimse import SMALLEST_PDU_BYTES, is_uid, printable
from scp.errors import AbortReason, AbortSource, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# pynetdicom quotes what peers send in its own records and tracebacks. Nothing is lost: the
# transport reports every outcome itself.
logging.getLogger("pynetdicom").propagate = False

IMPLEMENTATION_CLASS_UID: Final = "2.25.267328711838627008154025989816401909005"
IMPLEMENTATION_VERSION_NAME: Final = "ANONODE"

VERIFICATION: Final = str(Verification)
STORAGE_CLASSES: Final[frozenset[str]] = frozenset(map(str, _STORAGE_CLASSES.values()))
"""Every SOP class of the Storage Service Class that pynetdicom knows (PS3.4 B.5)."""

TRANSFER_SYNTAXES: Final[frozenset[str]] = frozenset(map(str, ALL_TRANSFER_SYNTAXES)) | {
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
}
"""Every transfer syntax that is accepted, whatever the SOP class."""

MOST_CONTEXTS: Final = 128
"""Context IDs are the odd numbers of one byte (PS3.8 9.3.2.2)."""

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_HEADER_BYTES: Final = 6
_FIXED_BYTES: Final = 68
_CALLED_AE: Final = slice(4, 20)
_CALLING_AE: Final = slice(20, 36)
_VERSION_1: Final = 0x0001
_ITEM: Final = Struct(">BxH")
_USER_INFORMATION: Final = 0x50
_ITEMS: Final = frozenset({0x10, 0x20, 0x21, _USER_INFORMATION})
_USER_ITEMS: Final = frozenset({0x51, 0x54})
"""Maximum length and role selection. Left out by name: the asynchronous operations window
(no answer means one operation at a time), the user identity (its secrets are nobody's here)
and extended negotiation (nothing to offer). Unknown items are skipped (PS3.8 9.3.1)."""

_ACCEPTED: Final = 0x00


@dataclass(frozen=True, slots=True)
class Titles:
    """The AE titles of an A-ASSOCIATE-RQ, without padding.

    A title with other characters than an AE may have (PS3.5 6.2) is escaped; `valid` tells.
    """

    calling_ae: str
    called_ae: str
    calling_valid: bool
    called_valid: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a requestor proposes.

    Attributes:
        application_context: Application Context Name; only one exists (PS3.7 A.2.1).
        pdu_bytes: the longest P-DATA-TF body it receives; 0 means any length (PS3.8 D.1).
        contexts: its presentation contexts, in the order of their IDs.
        roles: SCU and SCP role it proposes for itself, by SOP class.
    """

    application_context: str
    pdu_bytes: int
    contexts: tuple[PresentationContext, ...]
    roles: Mapping[UID, tuple[bool, bool]]


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The outcome of a negotiation.

    Attributes:
        contexts: the accepted presentation contexts by ID.
        pdu_bytes: the longest P-DATA-TF body the peer receives; 0 means any length.
        results: what to answer, accepted or not; only for the acceptor.
        roles: roles to answer; only for the acceptor.
    """

    contexts: Mapping[int, Context]
    pdu_bytes: int
    results: tuple[PresentationContext, ...] = ()
    roles: tuple[SCP_SCU_RoleSelectionNegotiation, ...] = ()


RELEASE_RQ: Final[bytes] = A_RELEASE_RQ().encode()
RELEASE_RP: Final[bytes] = A_RELEASE_RP().encode()


def encode_abort(source: AbortSource, reason: AbortReason) -> bytes:
    """An A-ABORT PDU (PS3.8 9.3.8); the reason of a service user is always 0."""
    pdu = A_ABORT_RQ()
    pdu.source = int(source)
    pdu.reason_diagnostic = int(reason) if source == AbortSource.SERVICE_PROVIDER else 0
    return pdu.encode()


def encode_reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = result, source, reason
    return pdu.encode()


def decode_result(body: memoryview) -> tuple[int, int, int]:
    """Result, source and reason of an A-ASSOCIATE-RJ; of an A-ABORT the last two count."""
    if len(body) < 4:  # noqa: PLR2004 - a reserved byte and three others, PS3.8 9.3.4, 9.3.8
        raise ProtocolError("a short PDU", AbortReason.INVALID_PARAMETER)
    return body[1], body[2], body[3]


def supports_version(body: memoryview) -> bool:
    """Whether an A-ASSOCIATE-RQ speaks version 1 of the protocol, among others.

    Raises:
        ProtocolError: it is too short to be one.
    """
    if len(body) < _FIXED_BYTES:
        raise ProtocolError("a short A-ASSOCIATE-RQ", AbortReason.INVALID_PARAMETER)
    return bool(int.from_bytes(body[:2], "big") & _VERSION_1)


def decode_titles(body: memoryview) -> Titles:
    """The AE titles of an A-ASSOCIATE-RQ that `supports_version` has looked at."""
    called, called_valid = _title(bytes(body[_CALLED_AE]))
    calling, calling_valid = _title(bytes(body[_CALLING_AE]))
    return Titles(calling, called, calling_valid, called_valid)


def _title(padded: bytes) -> tuple[str, bool]:
    text = padded.decode("latin-1").strip("\0 ")
    shown = printable(text, len(text))
    return shown, bool(text) and shown == text and "\\" not in text


def decode_request(body: memoryview) -> Proposal:
    """Read an A-ASSOCIATE-RQ whose titles are valid.

    Raises:
        ProtocolError: it is malformed.
    """
    try:
        pdu = A_ASSOCIATE_RQ()
        pdu.decode(_negotiable(body))
        contexts = [item.to_primitive() for item in pdu.presentation_context]
        information = pdu.user_information
        return Proposal(
            application_context=str(pdu.application_context_name or ""),
            pdu_bytes=_checked_length(information.maximum_length if information else None),
            contexts=_checked_contexts(contexts),
            roles={
                uid: (bool(role.scu_role), bool(role.scp_role))
                for uid, role in (information.role_selection if information else {}).items()
            },
        )
    except ProtocolError:
        raise
    except Exception:  # noqa: BLE001 - whatever pynetdicom makes of malformed bytes
        raise _malformed() from None


def is_dicom(proposal: Proposal) -> bool:
    """Whether the application context is the DICOM one (PS3.7 A.2.1)."""
    return proposal.application_context == _APPLICATION_CONTEXT


def _malformed() -> ProtocolError:
    return ProtocolError("a malformed association PDU", AbortReason.INVALID_PARAMETER)


def _checked_length(length: int | None) -> int:
    """The peer's maximum length; absent is treated as unlimited, as PS3.8 D.1.1 has it."""
    if length and length < SMALLEST_PDU_BYTES:
        raise ProtocolError("a useless maximum length", AbortReason.INVALID_PARAMETER)
    return length or 0


def _checked_contexts(contexts: list[PresentationContext]) -> tuple[PresentationContext, ...]:
    by_id = {context.context_id or 0: context for context in contexts}
    complete = all(context.abstract_syntax and context.transfer_syntax for context in contexts)
    if not contexts or len(by_id) != len(contexts) or not complete:
        raise _malformed()
    return tuple(context for _, context in sorted(by_id.items()))


def _negotiable(body: memoryview) -> bytes:
    """The PDU of `body` with only the items that the node negotiates."""
    data = bytes(body)
    kept = [bytes(_HEADER_BYTES), data[:_FIXED_BYTES]]
    for item_type, value in _items(data[_FIXED_BYTES:], _ITEMS):
        if item_type == _USER_INFORMATION:
            inner = _items(value, _USER_ITEMS)
            value = b"".join(_ITEM.pack(kind, len(part)) + part for kind, part in inner)  # noqa: PLW2901
        kept += (_ITEM.pack(item_type, len(value)), value)
    return b"".join(kept)


def _items(data: bytes, wanted: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _ITEM.size:
            raise _malformed()
        item_type, length = _ITEM.unpack_from(data, offset)
        offset += _ITEM.size
        if length > end - offset:
            raise _malformed()
        if item_type in wanted:
            yield item_type, data[offset : offset + length]
        offset += length


def negotiate(proposal: Proposal, sop_classes: frozenset[str]) -> Agreement:
    """Answer the proposed presentation contexts as acceptor (PS3.8 9.3.3.2).

    In each context the first proposed transfer syntax that is supported wins.

    Args:
        proposal: what the requestor proposes.
        sop_classes: the storage classes, to which Verification is always added.
    """
    results: list[PresentationContext] = []
    roles: dict[str, SCP_SCU_RoleSelectionNegotiation] = {}
    for context in proposal.contexts:
        answers, answered_roles = negotiate_as_acceptor(
            [context], [_supported(context, sop_classes)], dict(proposal.roles)
        )
        results += answers
        roles.update((str(role.sop_class_uid), role) for role in answered_roles)
    accepted = {
        result.context_id or 0: Context(
            str(result.abstract_syntax), str(result.transfer_syntax[0])
        )
        for result in results
        if result.result == _ACCEPTED
    }
    return Agreement(accepted, proposal.pdu_bytes, tuple(results), tuple(roles.values()))


def _supported(proposed: PresentationContext, sop_classes: frozenset[str]) -> PresentationContext:
    """What the node supports of one proposed context: its class, one transfer syntax."""
    supported = PresentationContext()
    abstract_syntax = str(proposed.abstract_syntax)
    if abstract_syntax in sop_classes or abstract_syntax == VERIFICATION:
        supported.abstract_syntax = proposed.abstract_syntax
    for transfer_syntax in proposed.transfer_syntax:
        if str(transfer_syntax) in TRANSFER_SYNTAXES:
            supported.add_transfer_syntax(transfer_syntax)
            break
    # The node is SCP and the peer SCU, also where the peer proposes more.
    supported.scu_role, supported.scp_role = True, False
    return supported


def encode_accept(titles: Titles, agreement: Agreement, pdu_bytes: int) -> bytes:
    """The A-ASSOCIATE-AC PDU that announces `pdu_bytes` as Maximum Length Received."""
    primitive = _primitive(titles.calling_ae, titles.called_ae, pdu_bytes)
    primitive.presentation_context_definition_results_list = list(agreement.results)
    primitive.user_information += agreement.roles
    primitive.result = _ACCEPTED
    return A_ASSOCIATE_AC(primitive).encode()


def encode_request(
    calling_ae: str, called_ae: str, contexts: Sequence[tuple[str, str]], pdu_bytes: int
) -> bytes:
    """The A-ASSOCIATE-RQ PDU with one presentation context per (class, transfer syntax).

    Raises:
        ValueError: a title, a UID or the number of contexts is not allowed.
    """
    if not 0 < len(contexts) <= MOST_CONTEXTS:
        raise ValueError(f"an association takes 1 to {MOST_CONTEXTS} presentation contexts")
    if not all(is_uid(uid) for pair in contexts for uid in pair):
        raise ValueError("a presentation context with something that is not a UID")
    primitive = _primitive(calling_ae, called_ae, pdu_bytes)
    proposed = [build_context(*pair) for pair in contexts]
    for number, context in enumerate(proposed):
        context.context_id = context_id(number)
    primitive.presentation_context_definition_list = proposed
    return A_ASSOCIATE_RQ(primitive).encode()


def context_id(number: int) -> int:
    """The ID of the proposed context with this number, counted from 0."""
    return 2 * number + 1


def decode_accept(body: memoryview, contexts: Sequence[tuple[str, str]]) -> Agreement:
    """Read the answer to `encode_request` with the same contexts.

    Raises:
        ProtocolError: it is malformed, or accepts what was not proposed.
    """
    if len(body) < _FIXED_BYTES:
        raise _malformed()
    try:
        pdu = A_ASSOCIATE_AC()
        pdu.decode(_negotiable(body))
        answers = {
            item.context_id or 0: str(item.transfer_syntax or "")
            for item in pdu.presentation_context
            if item.result == _ACCEPTED
        }
        information = pdu.user_information
        length = _checked_length(information.maximum_length if information else None)
    except ProtocolError:
        raise
    except Exception:  # noqa: BLE001 - whatever pynetdicom makes of malformed bytes
        raise _malformed() from None
    proposed = {context_id(number): Context(*pair) for number, pair in enumerate(contexts)}
    for number, transfer_syntax in answers.items():
        if number not in proposed or transfer_syntax != proposed[number].transfer_syntax_uid:
            raise _malformed()
    return Agreement({number: proposed[number] for number in answers}, length)


def _primitive(calling_ae: str, called_ae: str, pdu_bytes: int) -> A_ASSOCIATE:
    length = MaximumLengthNotification()
    length.maximum_length_received = pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(_APPLICATION_CONTEXT)
    primitive.calling_ae_title = calling_ae
    primitive.called_ae_title = called_ae
    primitive.user_information = [length, implementation, version]
    return primitive

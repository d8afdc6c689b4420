"""A-ASSOCIATE in both roles, over pynetdicom's PDU classes and its negotiation.

The only file that knows how pynetdicom spells things. A peer's bytes are taken apart here,
every length checked, and pynetdicom sees only what is known to be sound: its own decoders
take a tenth of a second for the longest request, and quote what they dislike in warnings.
Nothing here touches a socket.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID, UID_dictionary  # type: ignore[attr-defined] # not re-exported
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

from rules.filemeta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from scp.dimse import SMALLEST_PDU_BYTES, is_uid, printable
from scp.errors import AbortReason, AbortSource, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# pynetdicom quotes what peers send in its own records and tracebacks. Nothing is lost: the
# transport reports every outcome itself.
logging.getLogger("pynetdicom").propagate = False


VERIFICATION: Final = str(Verification)
_COMPOSITE: Final = "1.2.840.10008.5.1.4.1.1."
STORAGE_CLASSES: Final[frozenset[str]] = frozenset(map(str, _STORAGE_CLASSES.values())) | {
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class" and "Storage" in name and uid.startswith(_COMPOSITE)
}
"""Every class of the Storage Service that pynetdicom or the standard's own list knows (PS3.4 B.5,
PS3.6 A), the retired ones among them: scanners outlive the classes that they send."""

TRANSFER_SYNTAXES: Final[frozenset[str]] = frozenset(map(str, ALL_TRANSFER_SYNTAXES)) | {
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
}
"""Every transfer syntax that is accepted, whatever the SOP class."""
_TRANSFER_SYNTAXES: Final = {text: UID(text) for text in TRANSFER_SYNTAXES}

MOST_CONTEXTS: Final = 128
"""Context IDs are the odd numbers of one byte (PS3.8 9.3.2.2)."""

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_FIXED_BYTES: Final = 68
_CALLED_AE: Final = slice(4, 20)
_CALLING_AE: Final = slice(20, 36)
_VERSION_1: Final = 0x0001

_ITEM: Final = Struct(">BxH")
_APPLICATION_CONTEXT_ITEM: Final = 0x10
_PROPOSED_ITEM: Final = 0x20
_ANSWERED_ITEM: Final = 0x21
_ABSTRACT_SYNTAX_ITEM: Final = 0x30
_TRANSFER_SYNTAX_ITEM: Final = 0x40
# Of the user information two items matter. The others are left alone: without an answer to
# an asynchronous operations window it is one operation at a time (PS3.7 D.3.3.3), the secrets
# of a user identity are nobody's here, and extended negotiation has nothing to offer.
_USER_INFORMATION_ITEM: Final = 0x50
_MAXIMUM_LENGTH_ITEM: Final = 0x51
_ROLES_ITEM: Final = 0x54

_CONTEXT_BYTES: Final = 4
_RESULT: Final = 2
_UID_LENGTH_BYTES: Final = 2
_ROLES_BYTES: Final = 2

_ACCEPTED: Final = 0
_ABSTRACT_SYNTAX_NOT_SUPPORTED: Final = 3
_TRANSFER_SYNTAXES_NOT_SUPPORTED: Final = 4


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
class ProposedContext:
    """A presentation context as proposed; the UIDs are not checked."""

    context_id: int
    sop_class_uid: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a requestor proposes.

    Attributes:
        application_context: Application Context Name; only one exists (PS3.7 A.2.1).
        pdu_bytes: the longest P-DATA-TF body it receives; 0 means any length (PS3.8 D.1).
        contexts: its presentation contexts; their IDs are odd and differ.
        roles: SCU and SCP role it proposes for itself, by SOP class.
    """

    application_context: str
    pdu_bytes: int
    contexts: tuple[ProposedContext, ...]
    roles: Mapping[str, tuple[bool, bool]]


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
    return shown, bool(text) and shown == text


def decode_request(body: memoryview) -> Proposal:
    """Read an A-ASSOCIATE-RQ that `supports_version` has looked at.

    Items that the node does not know or negotiate are skipped (PS3.8 9.3.1).

    Raises:
        ProtocolError: it is malformed.
    """
    application_context, pdu_bytes = "", 0
    contexts: list[ProposedContext] = []
    roles: dict[str, tuple[bool, bool]] = {}
    for kind, value in _items(bytes(body[_FIXED_BYTES:])):
        if kind == _APPLICATION_CONTEXT_ITEM:
            application_context = _uid_text(value)
        elif kind == _PROPOSED_ITEM:
            contexts.append(_proposed(value))
        elif kind == _USER_INFORMATION_ITEM:
            pdu_bytes = _maximum_length(value)
            roles.update(_roles(value))
    ids = [context.context_id for context in contexts]
    if not contexts or len(set(ids)) != len(ids):
        raise _malformed()
    return Proposal(application_context, pdu_bytes, tuple(contexts), roles)


def is_dicom(proposal: Proposal) -> bool:
    """Whether the application context is the DICOM one (PS3.7 A.2.1)."""
    return proposal.application_context == _APPLICATION_CONTEXT


def _proposed(value: bytes) -> ProposedContext:
    abstract_syntaxes, transfer_syntaxes = [], []
    for kind, name in _items(value[_CONTEXT_BYTES:]):
        if kind == _ABSTRACT_SYNTAX_ITEM:
            abstract_syntaxes.append(_uid_text(name))
        elif kind == _TRANSFER_SYNTAX_ITEM:
            transfer_syntaxes.append(_uid_text(name))
    if len(abstract_syntaxes) != 1 or not transfer_syntaxes or not value[0] % 2:
        raise _malformed()
    return ProposedContext(value[0], abstract_syntaxes[0], tuple(transfer_syntaxes))


def _maximum_length(user_information: bytes) -> int:
    """Maximum Length Received; absent means any length (PS3.8 D.1.1)."""
    length = 0
    for kind, value in _items(user_information):
        if kind == _MAXIMUM_LENGTH_ITEM:
            length = int.from_bytes(value, "big")
    if 0 < length < SMALLEST_PDU_BYTES:
        raise _malformed()
    return length


def _roles(user_information: bytes) -> Iterator[tuple[str, tuple[bool, bool]]]:
    """SCP/SCU role selections (PS3.7 D.3.3.4): length, UID, SCU role, SCP role."""
    for kind, value in _items(user_information):
        if kind == _ROLES_ITEM:
            if len(value) != _UID_LENGTH_BYTES + int.from_bytes(value[:2], "big") + _ROLES_BYTES:
                raise _malformed()
            uid = _uid_text(value[_UID_LENGTH_BYTES:-_ROLES_BYTES])
            yield uid, (bool(value[-2]), bool(value[-1]))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Items and sub-items: type, a reserved byte, length, value (PS3.8 9.3.1)."""
    offset, end = 0, len(data)
    while offset < end:
        if end - offset < _ITEM.size:
            raise _malformed()
        kind, length = _ITEM.unpack_from(data, offset)
        offset += _ITEM.size
        if length > end - offset:
            raise _malformed()
        yield kind, data[offset : offset + length]
        offset += length


def _uid_text(value: bytes) -> str:
    return value.decode("latin-1").rstrip("\0 ")


def _malformed() -> ProtocolError:
    return ProtocolError("a malformed association PDU", AbortReason.INVALID_PARAMETER)


def negotiate(proposal: Proposal, sop_classes: frozenset[str]) -> Agreement:
    """Answer the proposed presentation contexts as acceptor (PS3.8 9.3.3.2).

    In each context the first proposed transfer syntax that is supported wins.

    Args:
        proposal: what the requestor proposes.
        sop_classes: the storage classes, to which Verification is always added.
    """
    answers: list[PresentationContext] = []
    roles: dict[str, SCP_SCU_RoleSelectionNegotiation] = {}
    for proposed in proposal.contexts:
        if proposed.sop_class_uid in sop_classes or proposed.sop_class_uid == VERIFICATION:
            answer, answered_roles = _answer(proposed, proposal.roles.get(proposed.sop_class_uid))
            roles.update((proposed.sop_class_uid, role) for role in answered_roles)
        else:
            answer = _context(proposed, _ABSTRACT_SYNTAX_NOT_SUPPORTED)
        answers.append(answer)
    accepted = {
        proposed.context_id: Context(proposed.sop_class_uid, str(answer.transfer_syntax[0]))
        for proposed, answer in zip(proposal.contexts, answers, strict=True)
        if answer.result == _ACCEPTED
    }
    return Agreement(accepted, proposal.pdu_bytes, tuple(answers), tuple(roles.values()))


def _answer(
    proposed: ProposedContext, roles: tuple[bool, bool] | None
) -> tuple[PresentationContext, list[SCP_SCU_RoleSelectionNegotiation]]:
    """Let pynetdicom answer a context whose SOP class is supported."""
    transfer_syntax = next(
        filter(_TRANSFER_SYNTAXES.__contains__, proposed.transfer_syntaxes), None
    )
    if transfer_syntax is None:
        return _context(proposed, _TRANSFER_SYNTAXES_NOT_SUPPORTED), []
    sop_class = UID(proposed.sop_class_uid)
    requested = build_context(sop_class, _TRANSFER_SYNTAXES[transfer_syntax])
    requested.context_id = proposed.context_id
    # The node is SCP and the peer SCU, also where the peer proposes more.
    supported = build_context(sop_class, _TRANSFER_SYNTAXES[transfer_syntax])
    supported.scu_role, supported.scp_role = True, False
    answers, answered_roles = negotiate_as_acceptor(
        [requested], [supported], {} if roles is None else {sop_class: roles}
    )
    return answers[0], answered_roles


def _context(proposed: ProposedContext, result: int) -> PresentationContext:
    """A refusal; the transfer syntax of one has no meaning but must be there."""
    context = PresentationContext()
    context.context_id = proposed.context_id
    context.transfer_syntax = [_TRANSFER_SYNTAXES[_IMPLICIT_VR_LITTLE_ENDIAN]]
    context.result = result
    return context


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
    proposed = {context_id(number): Context(*pair) for number, pair in enumerate(contexts)}
    accepted: dict[int, Context] = {}
    pdu_bytes = 0
    for kind, value in _items(bytes(body[_FIXED_BYTES:])):
        if kind == _ANSWERED_ITEM:
            accepted |= _accepted(value, proposed)
        elif kind == _USER_INFORMATION_ITEM:
            pdu_bytes = _maximum_length(value)
    return Agreement(accepted, pdu_bytes)


def _accepted(value: bytes, proposed: Mapping[int, Context]) -> dict[int, Context]:
    """The context that an item of an A-ASSOCIATE-AC accepts, if it does (PS3.8 9.3.3.2)."""
    if len(value) < _CONTEXT_BYTES:
        raise _malformed()
    if value[_RESULT] != _ACCEPTED:
        return {}
    context = proposed.get(value[0])
    for kind, name in _items(value[_CONTEXT_BYTES:]):
        if (
            context is not None
            and kind == _TRANSFER_SYNTAX_ITEM
            and _uid_text(name) == context.transfer_syntax_uid
        ):
            return {value[0]: context}
    raise _malformed()


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

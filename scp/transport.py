"""One association in the acceptor's role, from its first byte to its last.

A blocking thread per association: nothing polls, no length is trusted, every wait has an
end. Whatever a peer sends, `Association.run` returns, the peer has been told why if it can
be told, and a message that was under way is abandoned.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

from scp import dimse, negotiation, wire
from scp.errors import (
    AbortReason,
    AbortSource,
    ConnectionLost,
    PeerAborted,
    ProtocolError,
    Stopping,
    Timeout,
    TransportError,
)
from scp.instance import Peer
from scp.limits import RateFloor
from scp.service import Messages, report_failure

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from scp.limits import Limits
    from scp.negotiation import Agreement, Titles
    from scp.places import Place
    from scp.routes import Certificate
    from scp.service import Events, OpenStore
    from scp.tls import Acceptor
    from scp.wire import Signal


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """Who asks for an association.

    Attributes:
        calling_ae: what the peer calls itself, without padding.
        called_ae: whom it asks for, without padding.
        address: its IP address, without a port.
        certificate: what it has proved to be; None for nothing.
    """

    calling_ae: str
    called_ae: str
    address: str
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The association may be made; `route` is passed on to the store handlers."""

    route: object


@dataclass(frozen=True, slots=True)
class Rejected:
    """The association is rejected, in the numbers of PS3.8 Table 9-21."""

    result: int
    source: int
    reason: int


BAD_APPLICATION_CONTEXT: Final = Rejected(1, 1, 2)
BAD_CALLING_AE: Final = Rejected(1, 1, 3)
BAD_CALLED_AE: Final = Rejected(1, 1, 7)
BAD_VERSION: Final = Rejected(1, 2, 2)
CONGESTED: Final = Rejected(2, 3, 1)
LIMIT_EXCEEDED: Final = Rejected(2, 3, 2)


@dataclass(frozen=True, slots=True)
class Node:
    """What every association of a listener shares.

    Attributes:
        accept: decides about an association by its titles, address and certificate.
        open_store: makes the handler of a C-STORE message.
        sop_classes: storage classes that are accepted.
        limits: what a peer may take.
        events: hears what happens.
        drain: set when no further message shall be begun.
        stop: set when messages under way shall be given up.
        tls: what the node proves itself with; None where it speaks in the clear.
    """

    accept: Callable[[AssociationRequest], Accepted | Rejected]
    open_store: OpenStore
    sop_classes: frozenset[str]
    limits: Limits
    events: Events
    drain: Signal
    stop: Signal
    tls: Acceptor | None = None


class _Answered(Exception):
    """The last word has been said; only the peer's close is left."""


class Association:
    """One accepted connection; `run` is the body of its thread."""

    def __init__(self, sock: socket.socket, place: Place, node: Node) -> None:
        """Take over a connected socket.

        Args:
            sock: closed when `run` returns.
            place: what it was given.
            node: what all associations share.
        """
        self._begun = monotonic()
        self._place = place
        self._node = node
        self._limits = node.limits
        self._certificate: Certificate | None = None
        self._can_speak = node.tls is None
        self._wire = wire.Wire(
            sock, node.limits.longest_pdu_bytes, stop=node.stop, drain=node.drain
        )
        self._messages: Messages | None = None
        self._floor = RateFloor(node.limits.rate_bytes_per_s, node.limits.rate_window_s)
        self._peer_pdu_bytes = 0
        self._titles: dict[str, str | float] = {"address": place.address}

    def cut(self) -> None:
        """End the conversation from another thread."""
        self._wire.cut()

    def run(self) -> None:
        """Serve the peer until the association ends, however it ends."""
        try:
            self._begin()
            self._converse()
        except _Answered:
            self._wire.finish(self._limits.linger_s)
        except (PeerAborted, ConnectionLost) as error:
            self._report_end("association lost", cause=str(error))
        except TransportError as error:
            self._abort(error)
        except Exception as error:  # noqa: BLE001 - a defect of ours ends one association only
            report_failure(self._node.events, "association failed", error)
            self._abort(ProtocolError("a defect of the node", source=AbortSource.SERVICE_USER))
        finally:
            # They know each other, and would keep the wire's buffer until cycles are collected.
            self._messages = None
            self._wire.close()

    def _begin(self) -> None:
        """Wait for its turn, then shake hands if the node speaks TLS here."""
        if self._place.pause_s:
            self._wire.rest(self._place.pause_s)
            self._begun = monotonic()
        if self._node.tls is not None:
            self._secure(self._node.tls)

    def _secure(self, tls: Acceptor) -> None:
        channel = tls.channel()
        try:
            self._wire.secure(channel, self._begun + self._limits.tls_s)
        except ConnectionLost as error:
            self._report_end("association lost", cause=str(error))
            raise _Answered from None
        self._can_speak = True
        self._titles["tls"] = channel.version
        self._certificate = channel.certificate
        if self._certificate:
            self._titles["certificate"] = self._certificate.fingerprint

    def _converse(self) -> None:
        request = self._receive_request()
        titles = negotiation.decode_titles(request)
        self._titles |= {"calling_ae": titles.calling_ae, "called_ae": titles.called_ae}
        decision = self._decide(titles, supports_version=negotiation.supports_version(request))
        if isinstance(decision, Rejected):
            self._reject(decision)
        proposal = negotiation.decode_request(request)
        if not negotiation.is_dicom(proposal):
            self._reject(BAD_APPLICATION_CONTEXT)
        agreement = negotiation.negotiate(proposal, self._node.sop_classes)
        messages = self._accept(titles, agreement, decision.route)
        try:
            self._serve(messages)
        finally:
            messages.abandon()

    def _receive_request(self) -> memoryview:
        limits = self._limits
        self._wire.caps = {
            wire.ASSOCIATE_RQ: limits.request_bytes,
            wire.ABORT: limits.control_bytes,
        }
        by = self._begun + limits.request_s
        pdu_type, body = self._wire.receive(
            first_by=by, pdu_s=limits.request_s, complete_by=by, interruptible=True
        )
        if pdu_type == wire.ABORT:
            raise _aborted(body)
        negotiation.supports_version(body)
        return body

    def _decide(self, titles: Titles, *, supports_version: bool) -> Accepted | Rejected:
        if not supports_version:
            return BAD_VERSION
        if self._place.full:
            return LIMIT_EXCEEDED
        if not titles.calling_valid:
            return BAD_CALLING_AE
        if not titles.called_valid:
            return BAD_CALLED_AE
        request = AssociationRequest(
            titles.calling_ae, titles.called_ae, self._place.address, self._certificate
        )
        try:
            return self._node.accept(request)
        except Exception as error:  # noqa: BLE001 - fails closed: without a decision, no entry
            report_failure(self._node.events, "accept decision failed", error)
            return CONGESTED

    def _reject(self, decision: Rejected) -> NoReturn:
        result, source, reason = decision.result, decision.source, decision.reason
        self._report_end("association rejected", result=result, source=source, reason=reason)
        self._send(negotiation.encode_reject(result, source, reason))
        raise _Answered

    def _accept(self, titles: Titles, agreement: Agreement, route: object) -> Messages:
        limits = self._limits
        self._peer_pdu_bytes = dimse.pdu_bytes_to_send(agreement.pdu_bytes, limits.pdu_bytes)
        self._messages = messages = Messages(
            agreement.contexts,
            Peer(titles.calling_ae, titles.called_ae, self._place.address),
            route,
            self._node.open_store,
            self._reply,
            limits,
            self._node.events,
        )
        self._wire.caps = {
            wire.P_DATA_TF: limits.data_bytes,
            wire.RELEASE_RQ: limits.control_bytes,
            wire.ABORT: limits.control_bytes,
        }
        contexts = len(agreement.contexts)
        self._node.events(
            "association accepted",
            **self._titles,
            contexts=contexts,
            contexts_refused=len(agreement.results) - contexts,
        )
        self._send(negotiation.encode_accept(titles, agreement, limits.pdu_bytes))
        return messages

    def _serve(self, messages: Messages) -> NoReturn:
        """Serve messages until the peer releases (PS3.8 9.2, state Sta6)."""
        while True:
            pdu_type, body = self._receive(idle=messages.idle)
            if pdu_type == wire.P_DATA_TF:
                for context_id, control, fragment in dimse.fragments(body):
                    messages.take(context_id, control, fragment)
            elif pdu_type == wire.RELEASE_RQ:
                self._release()
            else:
                raise _aborted(body)

    def _receive(self, *, idle: bool) -> tuple[int, memoryview]:
        limits, line, now = self._limits, self._wire, monotonic()
        # A peer that always has more to read never makes the wire wait and look by itself.
        if (self._node.drain if idle else self._node.stop).is_set():
            raise Stopping("the node is stopping")
        if not idle:
            if not self._floor.holds(line.waited_s, line.received_bytes):
                raise Timeout("a message came slower than the lowest rate")
            return line.receive(first_by=now + limits.pdu_s, pdu_s=limits.pdu_s)
        dies_at = self._begun + limits.life_s
        if now >= dies_at:
            raise Timeout("the association is too old")
        first_by = min(now + limits.idle_s, dies_at)
        received = line.receive(first_by=first_by, pdu_s=limits.pdu_s, interruptible=True)
        self._floor.restart(line.waited_s, line.received_bytes)
        return received

    def _release(self) -> NoReturn:
        self._report_end("association released")
        # A peer that has closed already got what it wanted.
        with contextlib.suppress(ConnectionLost):
            self._send(negotiation.RELEASE_RP)
        raise _Answered

    def _reply(self, context_id: int, command_set: bytes) -> None:
        self._send(dimse.encode_command(context_id, command_set, self._peer_pdu_bytes))

    def _send(self, data: bytes) -> None:
        self._wire.send(data, monotonic() + self._limits.pdu_s)

    def _abort(self, error: TransportError) -> None:
        """Tell the peer why this node gives up (PS3.8 9.2, AA-1, AA-8; AA-2 before a request)."""
        source, reason = AbortSource.SERVICE_PROVIDER, AbortReason.NOT_SPECIFIED
        if isinstance(error, ProtocolError):
            source, reason = error.source, error.reason
        self._report_end(
            "association aborted", cause=str(error), source=int(source), reason=int(reason)
        )
        if not self._can_speak or (self._messages is None and isinstance(error, Timeout)):
            return
        with contextlib.suppress(TransportError):
            by = monotonic() + self._limits.linger_s
            self._wire.send(negotiation.encode_abort(source, reason), by)
        self._wire.finish(self._limits.linger_s)

    def _report_end(self, event: str, **fields: str | float) -> None:
        if self._messages is not None:
            counts = self._messages.counts
            fields |= {
                "stored": counts.stored,
                "refused": counts.refused,
                "echoed": counts.echoed,
                "dataset_bytes": counts.dataset_bytes,
            }
        duration_s = round(monotonic() - self._begun, 3)
        self._node.events(event, **self._titles, **fields, duration_s=duration_s)


def _aborted(body: memoryview) -> PeerAborted:
    _, source, reason = negotiation.decode_result(body)
    return PeerAborted(source, reason)

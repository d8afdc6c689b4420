"""Associations out: proposes presentation contexts, sends instances, asks for an echo.

One thread uses an association. Every wait has an end, the last words included: whatever a peer
does or leaves, the thread is free `abort_s` after a deadline. Memory is bounded: a data set is
read piece by piece into one buffer of the size that the peer receives, and a response is short.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Final, Self

from scp import dimse, negotiation, wire
from scp.dialling import dial
from scp.errors import (
    AbortReason,
    AbortSource,
    ConnectionLost,
    KeyFileError,
    PeerAborted,
    PeerRejected,
    ProtocolError,
    Timeout,
    TransportError,
)
from scp.limits import KIB, RateFloor
from scp.tls import requestor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scp.dimse import Command
    from scp.settings import Destination
    from scp.tls import Requestor
    from scp.wire import Signal

_CONTROL_BYTES: Final = 4 * KIB
_COMMAND_BYTES: Final = 64 * KIB
_ACCEPT_BYTES: Final = 64 * KIB
_RECEIVED_PDU_BYTES: Final = 64 * KIB
"""Announced as Maximum Length Received: responses are small."""
_SENT_PDU_BYTES: Final = 128 * KIB
"""The longest P-DATA-TF body sent, also to a peer that takes more; gains end before it."""
_MESSAGE_IDS: Final = 0x10000
_USER: Final = AbortSource.SERVICE_USER


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a destination may take.

    Attributes:
        connect_s: to make the TCP connection, for each address of its name; and again to
            shake hands for TLS.
        negotiate_s: to answer the A-ASSOCIATE-RQ.
        pdu_s: to take a PDU, and to send one from its first byte to its last.
        response_s: to give its response to a message.
        release_s: to answer a release, and to close after it.
        abort_s: to take an abort, and to close after it.
        rate_bytes_per_s: the slowest it may take a data set, over `rate_window_s` of
            waiting for it.
        rate_window_s: see `rate_bytes_per_s`.
    """

    connect_s: float = 10.0
    negotiate_s: float = 20.0
    pdu_s: float = 20.0
    response_s: float = 120.0
    release_s: float = 5.0
    abort_s: float = 2.0
    rate_bytes_per_s: int = 16 * KIB
    rate_window_s: float = 30.0

    @classmethod
    def answering_in(cls, response_s: float) -> Self:
        """For a destination that shall answer in so many seconds, and take no longer otherwise."""
        usual = cls()
        return replace(
            usual,
            negotiate_s=min(usual.negotiate_s, response_s),
            pdu_s=min(usual.pdu_s, response_s),
            response_s=response_s,
        )


class SenderAssociation:
    """An association that this node requested; a context manager.

    Leaving the block releases the association, or aborts it if the block raised.

    Attributes:
        last_comment: Error Comment of the last response, printable; "" if it had none.
    """

    def __init__(
        self,
        address: tuple[str, int],
        calling_ae: str,
        called_ae: str,
        contexts: Sequence[tuple[str, str]],
        timeouts: Timeouts | None = None,
        *,
        tls: Requestor | None = None,
        stop: Signal | None = None,
    ) -> None:
        """Prepare; the connection is made on entering the block.

        Args:
            address: host and port of the destination.
            calling_ae: AE title of this node.
            called_ae: AE title of the destination.
            contexts: pairs of SOP class and transfer syntax, one presentation context each;
                1 to 128, equal ones count once.
            timeouts: the defaults if None.
            tls: verifies the destination and proves who calls; None to speak in the clear.
            stop: interrupts whatever the association waits for.

        Raises:
            ValueError: a title, a UID or the number of contexts is not allowed.
        """
        self.last_comment = ""
        self._address = address
        self._timeouts = timeouts or Timeouts()
        self._tls = tls
        self._stop = stop
        self._contexts = tuple(dict.fromkeys(contexts))
        self._request = negotiation.encode_request(
            calling_ae, called_ae, self._contexts, _RECEIVED_PDU_BYTES
        )
        self._wire: wire.Wire | None = None
        self._ids: dict[tuple[str, str], int] = {}
        self._buffer = bytearray()
        self._pdu_bytes = _SENT_PDU_BYTES
        self._message_id = 0

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def connect(self) -> None:
        """Make the association.

        Raises:
            PeerRejected: the peer does not want it.
            TransportError: it could not be made for another reason.
        """
        try:
            sock = dial(self._address, self._timeouts.connect_s, self._stop)
            line = wire.Wire(sock, _RECEIVED_PDU_BYTES, stop=self._stop)
        except TimeoutError:
            raise Timeout("no connection was made in time") from None
        except (OSError, UnicodeError) as error:
            cause = getattr(error, "strerror", None) or type(error).__name__
            raise ConnectionLost(f"no connection could be made: {cause}") from None
        self._wire = line
        if self._tls is not None:
            self._secure(line, self._tls)
        with self._aborting():
            self._negotiate(line)

    def _secure(self, line: wire.Wire, tls: Requestor) -> None:
        """Shake hands; without that not even an abort is said."""
        try:
            line.secure(tls.channel(), monotonic() + self._timeouts.connect_s)
        except KeyFileError as error:
            self._forget()
            raise ConnectionLost(f"no TLS: {error}") from None
        except TransportError:
            self._forget()
            raise

    def accepted(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether the peer takes instances of this class in this transfer syntax."""
        return (sop_class_uid, transfer_syntax_uid) in self._ids

    def echo(self) -> int:
        """Ask for an echo (PS3.7 9.1.5); returns Status (0000,0900).

        Raises:
            ValueError: no presentation context for Verification was accepted.
            TransportError: the association is lost.
        """
        number = self._context(negotiation.VERIFICATION)
        with self._aborting():
            message_id = self._next_id()
            self._send_command(
                number, dimse.encode_echo_request(message_id, negotiation.VERIFICATION)
            )
            return self._response(number, message_id, dimse.C_ECHO_RQ)

    def store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        dataset_chunks: Iterable[bytes | memoryview],
    ) -> int:
        """Send an instance (PS3.7 9.1.1).

        Args:
            sop_class_uid: of the instance.
            sop_instance_uid: of the instance.
            transfer_syntax_uid: in which the data set is encoded.
            dataset_chunks: the data set without preamble and file meta information, in
                pieces of any size; each must only live until the next is asked for.

        Returns:
            Status (0000,0900): 0x0000 if the peer has it.

        Raises:
            ValueError: the presentation context was not accepted, or a UID is none.
            TransportError: the association is lost; whether the peer has it is unknown.
            Exception: whatever reading the chunks raises; the association is aborted,
                because the peer would take a shorter data set for a whole one.
        """
        number = self._context(sop_class_uid, transfer_syntax_uid)
        if not dimse.is_uid(sop_instance_uid):
            raise ValueError("the SOP Instance UID is not a UID")
        with self._aborting():
            message_id = self._next_id()
            command = dimse.encode_store_request(message_id, sop_class_uid, sop_instance_uid)
            self._send_command(number, command)
            self._send_dataset(number, dataset_chunks)
            return self._response(number, message_id, dimse.C_STORE_RQ)

    def release(self) -> None:
        """End the association in order (PS3.8 7.2); without one, do nothing.

        A peer that does not answer is aborted: its instances are safe either way.
        """
        line = self._wire
        if line is None:
            return
        try:
            line.caps = {
                wire.P_DATA_TF: _RECEIVED_PDU_BYTES,
                wire.RELEASE_RQ: _CONTROL_BYTES,
                wire.RELEASE_RP: _CONTROL_BYTES,
                wire.ABORT: _CONTROL_BYTES,
            }
            by = monotonic() + self._timeouts.release_s
            line.send(negotiation.RELEASE_RQ, by)
            self._await_release(line, by)
        except (PeerAborted, ConnectionLost):
            self._forget()
        except TransportError:
            self._abort(line, by)
        else:
            self._close(line, by)

    def abort(self) -> None:
        """End the association at once (PS3.8 7.3); without one, do nothing."""
        if self._wire is not None:
            self._abort(self._wire, monotonic() + self._timeouts.abort_s)

    def _abort(self, line: wire.Wire, by: float) -> None:
        with contextlib.suppress(TransportError):
            line.send(negotiation.encode_abort(_USER, AbortReason.NOT_SPECIFIED), by)
        self._close(line, by)

    def _close(self, line: wire.Wire, by: float) -> None:
        line.finish(max(0.0, by - monotonic()))
        self._wire = None
        self._ids = {}

    @contextlib.contextmanager
    def _aborting(self) -> Iterator[None]:
        """Whatever is raised inside ends the association."""
        try:
            yield
        except (PeerRejected, PeerAborted, ConnectionLost):
            self._forget()
            raise
        except BaseException:
            self.abort()
            raise

    def _forget(self) -> None:
        if self._wire is not None:
            self._wire.close()
        self._wire = None
        self._ids = {}

    def _negotiate(self, line: wire.Wire) -> None:
        line.caps = {
            wire.ASSOCIATE_AC: _ACCEPT_BYTES,
            wire.ASSOCIATE_RJ: _CONTROL_BYTES,
            wire.ABORT: _CONTROL_BYTES,
        }
        by = monotonic() + self._timeouts.negotiate_s
        line.send(self._request, by)
        pdu_type, body = line.receive(first_by=by, complete_by=by)
        if pdu_type == wire.ASSOCIATE_RJ:
            raise PeerRejected(*negotiation.decode_result(body))
        if pdu_type == wire.ABORT:
            raise _aborted(body)
        agreement = negotiation.decode_accept(body, self._contexts)
        self._ids = {
            (context.sop_class_uid, context.transfer_syntax_uid): number
            for number, context in agreement.contexts.items()
        }
        self._pdu_bytes = dimse.pdu_bytes_to_send(agreement.pdu_bytes, _SENT_PDU_BYTES)
        self._buffer = bytearray(wire.HEADER_BYTES + self._pdu_bytes)

    def _context(self, sop_class_uid: str, transfer_syntax_uid: str | None = None) -> int:
        self._connected()
        for (sop_class, transfer_syntax), number in self._ids.items():
            if sop_class == sop_class_uid and transfer_syntax_uid in (None, transfer_syntax):
                return number
        raise ValueError("no presentation context was accepted for this")

    def _next_id(self) -> int:
        self._message_id = (self._message_id + 1) % _MESSAGE_IDS
        return self._message_id

    def _connected(self) -> wire.Wire:
        if self._wire is None:
            raise ConnectionLost("there is no association")
        return self._wire

    def _send(self, data: bytes | memoryview) -> None:
        """Send, and if the peer has ended the association find out what it said."""
        line = self._connected()
        try:
            line.send(data, monotonic() + self._timeouts.pdu_s)
        except ConnectionLost:
            self._hear_abort(line)
            raise

    def _hear_abort(self, line: wire.Wire) -> None:
        """An A-ABORT may have come before the connection broke; it tells more."""
        line.caps = {wire.P_DATA_TF: _RECEIVED_PDU_BYTES, wire.ABORT: _CONTROL_BYTES}
        soon = monotonic() + self._timeouts.release_s
        with contextlib.suppress(ConnectionLost, Timeout, ProtocolError):
            while True:
                pdu_type, body = line.receive(first_by=soon, complete_by=soon)
                if pdu_type == wire.ABORT:
                    raise _aborted(body)

    def _send_command(self, number: int, command: bytes) -> None:
        self._send(dimse.encode_command(number, command, self._pdu_bytes))

    def _send_dataset(self, number: int, chunks: Iterable[bytes | memoryview]) -> None:
        """Send a data set in PDUs as large as the peer takes, the last one marked.

        A full buffer is kept until another byte comes: only then it is not the last.
        """
        line, timeouts = self._connected(), self._timeouts
        floor = RateFloor(timeouts.rate_bytes_per_s, timeouts.rate_window_s)
        floor.restart(line.waited_s, line.sent_bytes)
        begin, capacity = dimse.PDATA_HEADER_BYTES, len(self._buffer)
        filled = begin
        for chunk in chunks:
            left = memoryview(chunk).cast("B")
            while left:
                if filled == capacity:
                    self._send_fragment(number, filled, 0)
                    filled = begin
                    if not floor.holds(line.waited_s, line.sent_bytes):
                        raise Timeout("the peer takes a data set slower than the lowest rate")
                taken = min(capacity - filled, len(left))
                self._buffer[filled : filled + taken] = left[:taken]
                filled += taken
                left = left[taken:]
        self._send_fragment(number, filled, dimse.LAST)

    def _send_fragment(self, number: int, filled: int, control: int) -> None:
        length = filled - dimse.PDATA_HEADER_BYTES
        dimse.write_pdata_header(self._buffer, number, control, length)
        with memoryview(self._buffer) as buffer:
            self._send(buffer[:filled])

    def _response(self, number: int, message_id: int, request_field: int) -> int:
        """Wait for the response to a request; returns its status."""
        response = self._receive_command(number)
        if (
            response.field != request_field | dimse.RESPONSE
            or response.message_id != message_id
            or response.status is None
            or response.has_data_set
        ):
            raise ProtocolError("not the response to the request", source=_USER)
        self.last_comment = response.error_comment
        return response.status

    def _receive_command(self, number: int) -> Command:
        line, timeouts = self._connected(), self._timeouts
        line.caps = {
            wire.P_DATA_TF: _RECEIVED_PDU_BYTES,
            wire.RELEASE_RQ: _CONTROL_BYTES,
            wire.ABORT: _CONTROL_BYTES,
        }
        command_set = bytearray()
        by = monotonic() + timeouts.response_s
        while True:
            pdu_type, body = line.receive(first_by=by, pdu_s=timeouts.pdu_s, complete_by=by)
            if pdu_type == wire.ABORT:
                raise _aborted(body)
            if pdu_type == wire.RELEASE_RQ:
                raise ProtocolError("a release instead of a response", source=_USER)
            if _gather(command_set, body, number):
                return dimse.decode_command(command_set)

    def _await_release(self, line: wire.Wire, by: float) -> None:
        while True:
            pdu_type, body = line.receive(first_by=by, complete_by=by)
            if pdu_type == wire.RELEASE_RP:
                return
            if pdu_type == wire.ABORT:
                raise _aborted(body)
            if pdu_type == wire.RELEASE_RQ:
                # Both released at once: the requestor answers first (PS3.8 7.2.2.7).
                line.send(negotiation.RELEASE_RP, by)


def _gather(command_set: bytearray, body: memoryview, number: int) -> bool:
    """Add the fragments of a P-DATA-TF PDU; True when the command set is complete."""
    complete = False
    for context_id, control, fragment in dimse.fragments(body):
        if complete or context_id != number or not control & dimse.COMMAND:
            raise ProtocolError("a fragment that is not of the response", source=_USER)
        command_set += fragment
        if len(command_set) > _COMMAND_BYTES:
            raise ProtocolError("a command set longer than its limit", source=_USER)
        complete = bool(control & dimse.LAST)
    return complete


def _aborted(body: memoryview) -> PeerAborted:
    _, source, reason = negotiation.decode_result(body)
    return PeerAborted(source, reason)


def called(
    destination: Destination, contexts: Sequence[tuple[str, str]], stop: Signal | None = None
) -> SenderAssociation:
    """An association with a destination of the configuration, as that says; enter it to begin.

    Args:
        destination: Whom to call.
        contexts: SOP classes with their transfer syntaxes, at most 128.
        stop: Ends every wait when it is set.
    """
    return SenderAssociation(
        (destination.host, destination.port),
        destination.calling_ae_title,
        destination.ae_title,
        contexts,
        Timeouts.answering_in(destination.response_s),
        tls=requestor(destination),
        stop=stop,
    )

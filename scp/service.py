"""The services behind an association: C-ECHO and C-STORE, one message after the other.

Takes the fragments of presentation data values, gives a store handler its data set piece by
piece, and answers. Every request gets exactly one response or the association ends; a message
that was refused is still read to its end, so that the next one can be served. Nothing here
touches a socket.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Protocol

from scp import dimse
from scp.errors import AbortReason, AbortSource, ProtocolError
from scp.instance import Outcome, StoreRequest
from scp.negotiation import VERIFICATION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scp.dimse import Command
    from scp.instance import Peer
    from scp.limits import Limits
    from scp.negotiation import Context

SUCCESS: Final = 0x0000
FAILED: Final = Outcome(0x0110, "the instance could not be processed")
NO_SUCH_CLASS: Final = Outcome(0x0122, "SOP Class not accepted in this presentation context")
INVALID_INSTANCE: Final = Outcome(0x0117, "SOP Instance UID is not a UID")
UNRECOGNIZED: Final = Outcome(0x0211, "operation not supported")
MISTYPED: Final = Outcome(0x0212, "data set missing or not expected")
"""General statuses of PS3.7 Annex C; none of them depends on an instance's content."""


class StoreHandler(Protocol):
    """Takes the data set of one C-STORE message.

    `feed` is called for every fragment, then `finish` once; or `abandon` once, at any point.
    """

    def feed(self, fragment: memoryview) -> None:
        """Take the next bytes, which are valid only during the call.

        A data set that turns out to be unacceptable is remembered, not raised.
        """

    def finish(self) -> Outcome:
        """The data set is complete: make it durable, and say what to answer."""

    def abandon(self) -> None:
        """The rest never comes: leave nothing behind."""


class OpenStore(Protocol):
    """Makes the handler of a C-STORE message that was accepted so far."""

    def __call__(self, peer: Peer, route: object, request: StoreRequest, /) -> StoreHandler:
        """Make one; whatever this raises is answered as a failure."""


class Events(Protocol):
    """Takes what happened, for a log. `structlog`'s `logger.info` is one.

    Fields are counts, codes, addresses and escaped AE titles: never what an instance holds.
    """

    def __call__(self, event: str, /, **fields: str | float) -> object:
        """Take one event with its fields."""


@dataclass(slots=True)
class Counts:
    """What an association did."""

    stored: int = 0
    refused: int = 0
    echoed: int = 0
    other: int = 0
    dataset_bytes: int = 0


def report_failure(events: Events, event: str, error: Exception) -> None:
    """Report an exception by its type and place; its text may quote a value."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    events(event, error=type(error).__name__, place=place)


class _Discard:
    """Stands in for a handler where the answer is already known."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def feed(self, fragment: memoryview) -> None:
        """Forget the fragment."""

    def finish(self) -> Outcome:
        """Give the answer."""
        return self._outcome

    def abandon(self) -> None:
        """Have nothing to leave behind."""


class Messages:
    """The DIMSE messages that one association receives.

    Attributes:
        counts: what was served so far.
    """

    def __init__(
        self,
        contexts: Mapping[int, Context],
        peer: Peer,
        route: object,
        open_store: OpenStore,
        reply: Callable[[int, bytes], None],
        limits: Limits,
        events: Events,
    ) -> None:
        """Begin with no message.

        Args:
            contexts: the accepted presentation contexts by ID.
            peer: passed to `open_store`.
            route: passed to `open_store`.
            open_store: makes a handler; what it raises is answered as a failure.
            reply: sends a command set in a presentation context.
            limits: of which the bytes of a command set and of a data set are kept here.
            events: hears of handlers that raise.
        """
        self.counts = Counts()
        self._contexts = contexts
        self._peer = peer
        self._route = route
        self._open_store = open_store
        self._reply = reply
        self._limits = limits
        self._events = events
        self._context_id = 0
        self._command_set = bytearray()
        self._request: Command | None = None
        self._handler: StoreHandler = _Discard(FAILED)
        self._charged_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether no message is under way."""
        return not self._context_id

    def take(self, context_id: int, control: int, fragment: memoryview) -> None:
        """Take the next fragment.

        Raises:
            ProtocolError: it cannot come now, or in this presentation context.
        """
        if self.idle and context_id in self._contexts:
            self._context_id = context_id
        if self.idle or context_id != self._context_id:
            raise _unexpected("a fragment in a wrong presentation context")
        last = bool(control & dimse.LAST)
        if control & dimse.COMMAND:
            self._take_command(fragment, last=last)
        else:
            self._take_data(fragment, last=last)

    def abandon(self) -> None:
        """The association ends; a message under way is dropped."""
        if self._request is not None:
            self._abandon(self._handler)
        self._begin_anew()

    def _take_command(self, fragment: memoryview, *, last: bool) -> None:
        if self._request is not None:
            raise _unexpected("a command set where a data set was announced")
        self._charge(fragment)
        if self._charged_bytes > self._limits.command_bytes:
            raise ProtocolError("a command set longer than its limit", source=_USER)
        self._command_set += fragment
        if not last:
            return
        request = dimse.decode_command(self._command_set)
        if request.is_response:
            raise ProtocolError("a response to nothing", source=_USER)
        self._charged_bytes = 0
        self._handler = self._open(request)
        self._request = request
        if not request.has_data_set:
            self._complete(request)

    def _take_data(self, fragment: memoryview, *, last: bool) -> None:
        request = self._request
        if request is None:
            raise _unexpected("a data set without a command set")
        self._charge(fragment)
        if self._charged_bytes > self._limits.message_bytes:
            raise ProtocolError("a data set longer than its limit", source=_USER)
        self.counts.dataset_bytes += len(fragment)
        try:
            self._handler.feed(fragment)
        except Exception as error:  # noqa: BLE001 - one bad instance must not end the thread
            self._failed(error)
        if last:
            self._complete(request)

    def _charge(self, fragment: memoryview) -> None:
        # With its header, so that fragments without content do not go on for ever.
        self._charged_bytes += len(fragment) + dimse.PDV_HEADER_BYTES

    def _open(self, request: Command) -> StoreHandler:
        """The handler of a request; one that only knows its answer if it is not served."""
        if request.field == dimse.C_STORE_RQ:
            return self._open_checked(request)
        if request.field == dimse.C_ECHO_RQ:
            return _Discard(self._check_echo(request))
        if request.field == dimse.C_CANCEL_RQ or request.field in dimse.REQUESTS:
            return _Discard(UNRECOGNIZED)
        raise ProtocolError("an unknown command", source=_USER)

    def _check_echo(self, request: Command) -> Outcome:
        agreed = self._contexts[self._context_id].sop_class_uid
        if not request.sop_class_uid == agreed == VERIFICATION:
            return NO_SUCH_CLASS
        return MISTYPED if request.has_data_set else Outcome(SUCCESS)

    def _open_checked(self, request: Command) -> StoreHandler:
        context = self._contexts[self._context_id]
        if request.sop_class_uid != context.sop_class_uid or context.sop_class_uid == VERIFICATION:
            return _Discard(NO_SUCH_CLASS)
        if not dimse.is_uid(request.sop_instance_uid):
            return _Discard(INVALID_INSTANCE)
        if not request.has_data_set:
            return _Discard(MISTYPED)
        store_request = StoreRequest(
            message_id=request.message_id,
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=context.transfer_syntax_uid,
        )
        try:
            return self._open_store(self._peer, self._route, store_request)
        except Exception as error:  # noqa: BLE001 - as for every call of a handler
            report_failure(self._events, "store handler failed", error)
            return _Discard(FAILED)

    def _complete(self, request: Command) -> None:
        """Let the handler decide, then answer."""
        try:
            outcome = self._handler.finish()
        except Exception as error:  # noqa: BLE001 - as for every call of a handler
            self._failed(error)
            outcome = FAILED
        self._count(request, outcome)
        context_id = self._context_id
        self._begin_anew()
        # PS3.7 9.3.2.3: nothing was begun that a C-CANCEL could end, and it has no response.
        if request.field != dimse.C_CANCEL_RQ:
            response = dimse.encode_response(request, outcome.status, outcome.comment)
            self._reply(context_id, response)

    def _count(self, request: Command, outcome: Outcome) -> None:
        counts = self.counts
        if request.field == dimse.C_STORE_RQ:
            if outcome.status == SUCCESS:
                counts.stored += 1
            else:
                counts.refused += 1
        elif request.field == dimse.C_ECHO_RQ:
            counts.echoed += 1
        else:
            counts.other += 1

    def _failed(self, error: Exception) -> None:
        """A handler raised: drop it and go on without, so that the sender gets its answer."""
        report_failure(self._events, "store handler failed", error)
        self._abandon(self._handler)
        self._handler = _Discard(FAILED)

    def _abandon(self, handler: StoreHandler) -> None:
        try:
            handler.abandon()
        except Exception as error:  # noqa: BLE001 - nothing is left to tell the peer
            report_failure(self._events, "store handler failed", error)

    def _begin_anew(self) -> None:
        self._context_id = 0
        self._command_set = bytearray()
        self._request = None
        self._handler = _Discard(FAILED)
        self._charged_bytes = 0


_USER: Final = AbortSource.SERVICE_USER


def _unexpected(message: str) -> ProtocolError:
    return ProtocolError(message, AbortReason.INVALID_PARAMETER)

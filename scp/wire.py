"""One TCP connection as PDUs with deadlines, in the clear or over TLS.

Promises: no call outlasts its deadline, no length is believed before it is compared with
its limit, no more than one buffer is held (over TLS, one more of what TCP has brought),
nothing polls. Works for every file descriptor number, because it waits with poll(2).
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import threading
from struct import Struct
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from scp.errors import AbortReason, ConnectionLost, ProtocolError, Stopping, Timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSOCIATE_RQ: Final = 0x01
ASSOCIATE_AC: Final = 0x02
ASSOCIATE_RJ: Final = 0x03
P_DATA_TF: Final = 0x04
RELEASE_RQ: Final = 0x05
RELEASE_RP: Final = 0x06
ABORT: Final = 0x07

HEADER_BYTES: Final = 6
READ_AHEAD_BYTES: Final = 16 * 1024
"""Read beyond the PDU at hand, so that a small instance costs one system call."""

_HEADER: Final = Struct(">BxI")
_DISCARD_BYTES: Final = 64 * 1024
_TLS_BYTES: Final = 128 * 1024
"""Taken from TCP, and given to it, at once over TLS: eight records of the longest kind."""
_LONGEST_POLL_MS: Final = 2**31 - 1


class Signal:
    """A switch that is thrown once and wakes whoever waits on a wire.

    It is a pipe whose writing end closes: every poll(2) with the reading end returns.
    """

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe()
        self._set = False
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._ear

    def is_set(self) -> bool:
        """Whether the switch was thrown."""
        return self._set

    def set(self) -> None:
        """Throw the switch; again is harmless."""
        with self._lock:
            if not self._set:
                self._set = True
                os.close(self._mouth)

    def close(self) -> None:
        """Throw the switch and free the pipe; only when nobody waits any more."""
        self.set()
        with self._lock:
            ear, self._ear = self._ear, -1
            if ear >= 0:
                os.close(ear)


class Channel(Protocol):
    """TLS between what is read and written here and what TCP carries (`scp.tls`)."""

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is over."""

    def feed(self, received: memoryview) -> None:
        """Take what TCP has brought."""

    def outgoing(self) -> bytes:
        """Give what TCP is to carry."""

    def read_into(self, target: memoryview) -> int | None:
        """Read; 0 when the peer has closed, None when more must be fed first."""

    def write(self, data: memoryview) -> None:
        """Write all of it."""

    def close(self) -> None:
        """Say that nothing more is written."""


class Wire:
    """A connected socket that speaks PDUs. One thread uses it; any may `cut` it.

    Attributes:
        caps: longest body in bytes of every PDU type that may come now. The owner sets
            it as the association goes through its states.
        waited_s: time spent waiting for the peer since the connection was made.
        received_bytes: bytes read since then, without what TLS adds.
        sent_bytes: bytes handed to TCP since then.
    """

    def __init__(
        self,
        sock: socket.socket,
        longest_pdu_bytes: int,
        *,
        stop: Signal | None = None,
        drain: Signal | None = None,
    ) -> None:
        """Take over a connected socket.

        Args:
            sock: it is closed by this object.
            longest_pdu_bytes: longest body that any of `caps` will ever allow.
            stop: interrupts every wait.
            drain: interrupts only the wait for a first byte that is `interruptible`.
        """
        self.caps: Mapping[int, int] = {}
        self.waited_s = 0.0
        self.received_bytes = 0
        self.sent_bytes = 0
        sock.settimeout(0.0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._fd = sock.fileno()
        self._closing = threading.Lock()
        self._capacity = HEADER_BYTES + longest_pdu_bytes + READ_AHEAD_BYTES
        self._view = memoryview(bytearray(self._capacity))
        self._start = 0
        self._end = 0
        self._drained = True
        self._channel: Channel | None = None
        self._received = memoryview(b"")
        self._interrupted = self._poller(0, stop, drain)
        self._readable = self._poller(select.POLLIN, stop)
        self._writable = self._poller(select.POLLOUT, stop)
        self._readable_or_drain = self._poller(select.POLLIN, stop, drain)

    def _poller(self, events: int, *signals: Signal | None) -> select.poll:
        poller = select.poll()
        if events:
            poller.register(self._fd, events)
        for signal in signals:
            if signal is not None:
                poller.register(signal.fileno(), select.POLLIN)
        return poller

    def rest(self, seconds: float) -> None:
        """Leave the peer waiting for a while.

        Raises:
            Stopping: a signal came first.
        """
        if self._interrupted.poll(math.ceil(seconds * 1000)):
            raise Stopping("the node is stopping")

    def secure(self, channel: Channel, by: float) -> None:
        """Shake hands; everything from here on goes over TLS.

        To be called in the connection's own thread: the peer may take its time until `by`,
        and the `drain` signal ends it.

        Raises:
            ConnectionLost: the two sides do not agree; the peer has been told why.
            Timeout, Stopping: it was not over by then.
        """
        self._received = memoryview(bytearray(_TLS_BYTES))
        try:
            while not channel.handshake():
                self._put(channel.outgoing(), by)
                self._feed(channel, by, self._readable_or_drain)
        except ConnectionLost:
            with contextlib.suppress(ConnectionLost, Timeout, Stopping):
                self._put(channel.outgoing(), by)
            raise
        self._put(channel.outgoing(), by)
        self._channel = channel

    def receive(
        self,
        *,
        first_by: float,
        pdu_s: float = math.inf,
        complete_by: float = math.inf,
        interruptible: bool = False,
    ) -> tuple[int, memoryview]:
        """Wait for the next PDU.

        Args:
            first_by: when its first byte must be here, on the monotonic clock.
            pdu_s: seconds it may take from its first byte to its last.
            complete_by: when it must be complete at the latest.
            interruptible: whether the `drain` signal ends the wait for the first byte.

        Returns:
            Its type and its body (PS3.8 9.3.1), which is valid until the next call.

        Raises:
            ProtocolError: its type or its length is not allowed now.
            Timeout, ConnectionLost, Stopping: it did not come.
        """
        if self._end == self._start:
            waiting = self._readable_or_drain if interruptible else self._readable
            self._more(HEADER_BYTES, min(first_by, complete_by), waiting)
        deadline = min(monotonic() + pdu_s, complete_by)
        while self._end - self._start < HEADER_BYTES:
            self._more(HEADER_BYTES, deadline, self._readable)
        pdu_type, length = _HEADER.unpack_from(self._view, self._start)
        self._check(pdu_type, length)
        whole = HEADER_BYTES + length
        while self._end - self._start < whole:
            self._more(whole, deadline, self._readable)
        body = self._view[self._start + HEADER_BYTES : self._start + whole]
        self._start += whole
        return pdu_type, body

    def _check(self, pdu_type: int, length: int) -> None:
        cap = self.caps.get(pdu_type)
        if cap is None:
            if ASSOCIATE_RQ <= pdu_type <= ABORT:
                raise ProtocolError("unexpected PDU", AbortReason.UNEXPECTED_PDU)
            raise ProtocolError("unknown PDU type", AbortReason.UNRECOGNIZED_PDU)
        if length > cap:
            raise ProtocolError("PDU longer than its limit", AbortReason.INVALID_PARAMETER)

    def _more(self, wanted: int, deadline: float, waiting: select.poll) -> None:
        """Read something, towards `wanted` bytes from the start of the PDU."""
        held = self._end - self._start
        if self._start and (not held or self._start + wanted > self._capacity):
            self._view[:held] = self._view[self._start : self._end]
            self._start, self._end = 0, held
        room = min(self._capacity - self._end, wanted - held + READ_AHEAD_BYTES)
        target = self._view[self._end : self._end + room]
        if self._channel is None:
            count = self._recv(target, deadline, waiting)
        else:
            count = self._decrypt(self._channel, target, deadline, waiting)
        self._end += count
        self.received_bytes += count

    def _decrypt(
        self, channel: Channel, target: memoryview, deadline: float, waiting: select.poll
    ) -> int:
        while True:
            count = channel.read_into(target)
            # A peer may change its keys at any time and wants an answer to that.
            self._put(channel.outgoing(), deadline)
            if count:
                return count
            if count is not None:
                raise ConnectionLost("the peer closed the connection")
            self._feed(channel, deadline, waiting)

    def _feed(self, channel: Channel, deadline: float, waiting: select.poll) -> None:
        # Records that hold nothing must not gain time by never making anybody wait.
        if monotonic() >= deadline:
            raise Timeout("a deadline passed")
        count = self._recv(self._received, deadline, waiting)
        channel.feed(self._received[:count])

    def _recv(self, target: memoryview, deadline: float, waiting: select.poll) -> int:
        while True:
            # A short read has emptied the socket: asking it again would only cost a call.
            if self._drained:
                self._wait(waiting, deadline)
            try:
                count = self._sock.recv_into(target)
                # Linux forgets quick ACKs after a while. A sender with Nagle's algorithm
                # waits for our ACK before its last small segment, so a delayed ACK (40 ms)
                # would be paid for every message.
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            except BlockingIOError:
                self._drained = True
                continue
            except OSError as error:
                raise _lost(error) from None
            if not count:
                raise ConnectionLost("the peer closed the connection")
            self._drained = count < len(target)
            return count

    def _wait(self, waiting: select.poll, deadline: float) -> None:
        begun = monotonic()
        if deadline <= begun:
            raise Timeout("a deadline passed")
        ready = waiting.poll(math.ceil(min((deadline - begun) * 1000, _LONGEST_POLL_MS)))
        self.waited_s += monotonic() - begun
        if not ready:
            raise Timeout("a deadline passed")
        if any(fd != self._fd for fd, _ in ready):
            raise Stopping("the node is stopping")

    def send(self, data: bytes | memoryview, deadline: float) -> None:
        """Send all of it by `deadline` on the monotonic clock.

        Raises:
            Timeout, ConnectionLost, Stopping: not all of it could be handed to TCP.
        """
        left = memoryview(data)
        if self._channel is None:
            self._put(left, deadline)
            return
        while left:
            self._channel.write(left[:_TLS_BYTES])
            self._put(self._channel.outgoing(), deadline)
            left = left[_TLS_BYTES:]

    def _put(self, data: bytes | memoryview, deadline: float) -> None:
        left = memoryview(data)
        while left:
            try:
                sent = self._sock.send(left)
            except BlockingIOError:
                self._wait(self._writable, deadline)
                continue
            except OSError as error:
                raise _lost(error) from None
            self.sent_bytes += sent
            left = left[sent:]

    def finish(self, linger_s: float) -> None:
        """Let the last word arrive: half-close, wait for the peer to close, close.

        Closing at once would answer whatever the peer still sends with a reset, and a
        reset makes its TCP forget what we said last.
        """
        with contextlib.suppress(OSError, ConnectionLost, Timeout, Stopping):
            deadline = monotonic() + linger_s
            if self._channel is not None:
                self._channel.close()
                self._put(self._channel.outgoing(), deadline)
            self._sock.shutdown(socket.SHUT_WR)
            rest = self._view[:_DISCARD_BYTES]
            self._drained = True
            while True:
                self._recv(rest, deadline, self._readable)
                if monotonic() > deadline:
                    break
        self.close()

    def cut(self) -> None:
        """End the conversation from any thread: every wait of the owner returns."""
        with self._closing, contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; again is harmless."""
        with self._closing:
            self._sock.close()


def _lost(error: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection broke: {error.strerror or type(error).__name__}")

"""What a peer may take of this node: connections, time, bytes.

Every number that stands between an unauthenticated peer and the node's memory, threads
and patience is here, with its unit in its name.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the acceptor's role; the defaults suit a hospital's network.

    Attributes:
        connections: open connections, all peers together.
        connections_per_address: open connections from one address.
        connections_per_s: new connections from one address in a second, in the long run;
            two seconds' worth may come at once.
        pause_s: how long a connection may wait for its turn; one that would have to wait
            longer is closed without a word.
        turned_away: connections beyond those two that are answered "local limit
            exceeded"; any more are closed without a word.
        tls_s: from the connection to the end of the TLS handshake.
        request_s: from the connection to the complete A-ASSOCIATE-RQ.
        pdu_s: from the first byte of a PDU to its last; also the longest silence inside
            a message, and the longest time to get an answer out.
        idle_s: the longest silence between two messages.
        life_s: age after which an association gets no further message.
        linger_s: how long to wait for the peer to close after the last word.
        request_bytes: length of an A-ASSOCIATE-RQ. 128 presentation contexts with 45
            transfer syntaxes each take about 170 KiB.
        pdu_bytes: Maximum Length Received that is announced (PS3.8 D.1) and enforced, but
            for the six bytes that some senders count otherwise.
        control_bytes: length of any other PDU.
        command_bytes: length of a command set, with 6 bytes for each of its fragments.
        message_bytes: length of a data set, with 6 bytes for each of its fragments.
        rate_bytes_per_s: the slowest a message may arrive, over `rate_window_s` of
            waiting for the peer; the time this node takes does not count.
        rate_window_s: see `rate_bytes_per_s`.
    """

    connections: int = 64
    connections_per_address: int = 8
    connections_per_s: float = 50.0
    pause_s: float = 1.0
    turned_away: int = 16
    tls_s: float = 5.0
    request_s: float = 10.0
    pdu_s: float = 30.0
    idle_s: float = 60.0
    life_s: float = 4 * 3600.0
    linger_s: float = 5.0
    request_bytes: int = 256 * KIB
    pdu_bytes: int = 256 * KIB
    control_bytes: int = 4 * KIB
    command_bytes: int = 64 * KIB
    message_bytes: int = 4 * GIB
    rate_bytes_per_s: int = 16 * KIB
    rate_window_s: float = 30.0

    @property
    def data_bytes(self) -> int:
        """The longest body of a P-DATA-TF PDU that is taken."""
        return self.pdu_bytes + 6

    @property
    def longest_pdu_bytes(self) -> int:
        """The longest body of a PDU of any kind."""
        return max(self.request_bytes, self.data_bytes, self.control_bytes)


class RateFloor:
    """Fails a peer that keeps moving, but slower than is worth waiting for."""

    __slots__ = ("_bytes_per_s", "_moved_bytes", "_waited_s", "_window_s")

    def __init__(self, bytes_per_s: int, window_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._window_s = window_s
        self._waited_s = 0.0
        self._moved_bytes = 0

    def restart(self, waited_s: float, moved_bytes: int) -> None:
        """Begin a window at these readings of the wire."""
        self._waited_s = waited_s
        self._moved_bytes = moved_bytes

    def holds(self, waited_s: float, moved_bytes: int) -> bool:
        """Whether the peer is fast enough; both counters only ever grow."""
        waited = waited_s - self._waited_s
        if waited < self._window_s:
            return True
        fast_enough = moved_bytes - self._moved_bytes >= waited * self._bytes_per_s
        self.restart(waited_s, moved_bytes)
        return fast_enough


class Budget:
    """Bytes that the handlers of all associations may hold together.

    A handler that keeps bytes of an unfinished instance reserves them first. While it
    waits nothing is read from its socket, so the wait reaches the sender as TCP's back
    pressure. The wait must end: two handlers that each hold half would wait for each
    other for ever.
    """

    def __init__(self, total_bytes: int) -> None:
        self._free_bytes = total_bytes
        self._total_bytes = total_bytes
        self._changed = threading.Condition()

    @property
    def held_bytes(self) -> int:
        """Bytes reserved at the moment."""
        with self._changed:
            return self._total_bytes - self._free_bytes

    def reserve(self, count_bytes: int, wait_s: float) -> bool:
        """Reserve bytes; False when they did not become free within `wait_s` seconds."""
        if count_bytes > self._total_bytes:
            return False
        with self._changed:
            granted = self._changed.wait_for(lambda: self._free_bytes >= count_bytes, wait_s)
            if granted:
                self._free_bytes -= count_bytes
            return granted

    def release(self, count_bytes: int) -> None:
        """Give back what `reserve` granted."""
        with self._changed:
            self._free_bytes += count_bytes
            self._changed.notify_all()

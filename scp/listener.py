"""Associations in: accepts connections and gives each a thread, as many as the limits allow.

Promises: the accepting thread never reads from a peer, so no peer holds up another; running
out of descriptors, threads or memory costs a pause, not the listener; a flood costs neither a
core nor the log; `stop` ends in time whatever peers do.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import select
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final, Self

from scp.limits import Limits
from scp.negotiation import STORAGE_CLASSES
from scp.places import Places
from scp.transport import Accepted, Association, AssociationRequest, Node, Rejected
from scp.wire import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from scp.places import Place
    from scp.service import Events, OpenStore
    from scp.tls import Acceptor

_BACKLOG: Final = 1024
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0
_TURN_S: Final = 5.0
"""How often the accepting thread turns even if nobody calls, so that a watchdog sees it live."""
_ABORT_S: Final = 2.0
"""Time for aborts to get out, after the grace, before the sockets are shut down."""
_SAID_EVERY_S: Final = 1.0
"""How often it is said that connections are turned away."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Listener:
    """Accepts associations on one address until it is stopped.

    Attributes:
        accept_errors: how often the system could not hand over a connection.
        turned_away: connections closed without a word: too many were open, or came at once.
        turned_at: when the accepting thread last turned, on the monotonic clock; it does so
            every few seconds.
    """

    def __init__(
        self,
        address: tuple[str, int] | socket.socket,
        accept: Callable[[AssociationRequest], Accepted | Rejected],
        open_store: OpenStore,
        *,
        limits: Limits | None = None,
        places: Places | None = None,
        tls: Acceptor | None = None,
        extra_classes: frozenset[str] = frozenset(),
        events: Events,
    ) -> None:
        """Bind, but accept nothing before `start`.

        Args:
            address: host and port, where "" is every interface and port 0 any free port;
                or a bound socket, listening or not, for example one from systemd.
            accept: decides about an association; called in the association's thread.
            open_store: makes the handler of a C-STORE message.
            limits: the defaults if None.
            places: shared with other listeners; by those limits if None.
            tls: what the node proves itself with; None to speak in the clear.
            extra_classes: SOP classes accepted beyond the Storage Service Class.
            events: hears what happens, from many threads; what it raises is dropped.

        Raises:
            OSError: the address cannot be bound.
        """
        self.accept_errors = 0
        self.turned_away = 0
        self.turned_at = monotonic()
        limits = limits or Limits()
        self._places = places or Places(limits)
        self._said_at = -_SAID_EVERY_S
        self._is_adopted = isinstance(address, socket.socket)
        self._socket = _bound(address)
        self._node = Node(
            accept=accept,
            open_store=open_store,
            sop_classes=STORAGE_CLASSES | extra_classes,
            limits=limits,
            events=_harmless(events),
            drain=Signal(),
            stop=Signal(),
            tls=tls,
        )
        self._changed = threading.Condition()
        self._open: set[Association] = set()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that peers can reach."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def speaks_tls(self) -> bool:
        """Whether peers must speak TLS."""
        return self._node.tls is not None

    @property
    def associations(self) -> int:
        """Connections open at the moment."""
        with self._changed:
            return len(self._open)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(grace_s=0.0)

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    def stop(self, grace_s: float) -> int:
        """Stop accepting, let messages under way finish, abort what is left.

        Associations between two messages are aborted at once. The threads are daemons: one
        that hangs in a handler, on a dead disk for example, cannot be ended from outside
        and must not keep the process alive.

        Args:
            grace_s: seconds that messages under way may take.

        Returns:
            The number of associations whose handler did not return; 0 when all is well.
        """
        self._node.drain.set()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        if not self._wait_until_empty(grace_s):
            self._node.stop.set()
            if not self._wait_until_empty(_ABORT_S):
                self._cut_all()
                self._wait_until_empty(_ABORT_S)
        left = self.associations
        if not left:
            self._node.drain.close()
            self._node.stop.close()
        return left

    def _wait_until_empty(self, most_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, most_s)

    def _cut_all(self) -> None:
        with self._changed:
            for association in self._open:
                association.cut()

    def _run(self) -> None:
        waiting = select.poll()
        waiting.register(self._socket.fileno(), select.POLLIN)
        waiting.register(self._node.drain.fileno(), select.POLLIN)
        pause_s = _FIRST_PAUSE_S
        while not self._node.drain.is_set():
            self.turned_at = monotonic()
            waiting.poll(_TURN_S * 1000)
            try:
                sock, address = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                pause_s = self._accept_failed(error, pause_s)
                continue
            except MemoryError:
                pause_s = self._accept_failed(OSError(errno.ENOMEM, ""), pause_s)
                continue
            pause_s = _FIRST_PAUSE_S
            self._admit(sock, _plain(address[0]))
        if not self._is_adopted:
            self._tell_who_still_waits()

    def _tell_who_still_waits(self) -> None:
        """Abort what the kernel has accepted meanwhile: closing the socket would only reset it.

        Who waits at an adopted socket goes on waiting there, for the next start.
        """
        with contextlib.suppress(OSError):
            for _ in range(_BACKLOG + 1):  # whoever goes on calling does not hold up the end
                sock, address = self._socket.accept()
                self._admit(sock, _plain(address[0]))

    def _accept_failed(self, error: OSError, pause_s: float) -> float:
        """Count it; if the system is out of something, pause. Returns the next pause."""
        self.accept_errors += 1
        self._node.events(
            "accept failed",
            error=errno.errorcode.get(error.errno or 0, "unknown"),
            count=self.accept_errors,
        )
        if error.errno not in _EXHAUSTED:
            return _FIRST_PAUSE_S
        # The connection stays in the backlog, so without a pause this would spin.
        pausing = select.poll()
        pausing.register(self._node.drain.fileno(), select.POLLIN)
        pausing.poll(pause_s * 1000)
        return min(pause_s * 2, _LONGEST_PAUSE_S)

    def _admit(self, sock: socket.socket, address: str) -> None:
        place = self._places.take(address)
        if place is not None:
            if self._begin(sock, place):
                return
            self._places.leave(place)
        # Who sees the end has been counted.
        self._turned_away(address)
        sock.close()

    def _turned_away(self, address: str) -> None:
        """Count it, and say so now and then: who floods the node shall not flood its log."""
        self.turned_away += 1
        now = monotonic()
        if now - self._said_at >= _SAID_EVERY_S:
            self._said_at = now
            self._node.events("connection turned away", address=address, count=self.turned_away)

    def _begin(self, sock: socket.socket, place: Place) -> bool:
        """Give a connection its thread; False if the system has none, or no memory, left."""
        try:
            association = Association(sock, place, self._node)
            thread = threading.Thread(
                target=self._serve,
                args=(association, place),
                name=f"association {place.address}",
                daemon=True,
            )
        except (OSError, MemoryError):
            return False
        with self._changed:
            self._open.add(association)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            with self._changed:
                self._open.discard(association)
            return False
        return True

    def _serve(self, association: Association, place: Place) -> None:
        try:
            association.run()
        finally:
            self._places.leave(place)
            with self._changed:
                self._open.discard(association)
                self._changed.notify_all()


def _bound(address: tuple[str, int] | socket.socket) -> socket.socket:
    sock = address if isinstance(address, socket.socket) else _bind(*address)
    sock.listen(_BACKLOG)
    sock.settimeout(0.0)
    return sock


def _bind(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, target = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
    except OSError:
        sock.close()
        raise
    return sock


def _plain(address: str) -> str:
    """An address as routes write it: IPv4 stays IPv4 on a socket that serves both."""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _harmless(events: Events) -> Events:
    """The same events; a log that cannot be written must not end an association."""

    def report(event: str, /, **fields: str | float) -> None:
        with contextlib.suppress(Exception):
            events(event, **fields)

    return report

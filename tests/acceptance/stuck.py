"""Peers that stop in the middle of everything, from addresses of their own.

Each is a socket that has said something and waits; those that drip are fed by one thread.
"""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.scp import raw_peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRIP_S = 0.3
SMALL_BUFFER_BYTES = 4096
HELLO = bytes.fromhex("1603010200010001fc0303")
"""The beginning of a ClientHello of 512 bytes."""


@dataclass
class Crowd:
    """Stuck sockets; a context manager that hangs them all up."""

    sockets: list[socket.socket] = field(default_factory=list)
    _drips: list[tuple[socket.socket, Iterator[int]]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._drip)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for sock in self.sockets:
            sock.close()

    def join(
        self, count: int, port: int, source: str, get_stuck: Callable[[Crowd, socket.socket], None]
    ) -> None:
        """So many more from one address; those that are turned away do not count less."""
        for _ in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            sock.settimeout(raw_peer.PATIENCE_S)
            sock.bind((source, 0))
            sock.connect(("127.0.0.1", port))
            self.sockets.append(sock)
            with suppress(OSError):
                get_stuck(self, sock)

    def feed(self, sock: socket.socket, data: bytes) -> None:
        """Send this byte by byte, over and over."""
        self._drips.append((sock, itertools.cycle(data)))

    def _drip(self) -> None:
        while not self._over.wait(DRIP_S):
            for sock, data in list(self._drips):
                with suppress(OSError):
                    sock.send(bytes([next(data)]), socket.MSG_DONTWAIT)


# ---------------------------------------------------------------- DICOM


def says_one_byte(_: Crowd, sock: socket.socket) -> None:
    """And no more."""
    sock.sendall(b"\x01")


def drips_a_request(crowd: Crowd, sock: socket.socket) -> None:
    """One byte of it now and then."""
    crowd.feed(sock, raw_peer.request())


def stops_inside_a_pdu(_: Crowd, sock: socket.socket) -> None:
    """Half of what its header promised."""
    sock.sendall(raw_peer.request())
    assert sock.recv(1 << 12)
    sock.sendall(raw_peer.store(bytes(1000))[:-500])


def falls_silent(_: Crowd, sock: socket.socket) -> None:
    """An association, and nothing in it."""
    sock.sendall(raw_peer.request())
    assert sock.recv(1 << 12)


DICOM = (says_one_byte, drips_a_request, stops_inside_a_pdu, falls_silent)

# ---------------------------------------------------------------- TLS


def says_nothing(_: Crowd, sock: socket.socket) -> None:
    """Connected, no more."""
    assert sock.fileno() >= 0


def drips_a_hello(crowd: Crowd, sock: socket.socket) -> None:
    """A ClientHello that never is complete."""
    sock.sendall(HELLO)
    crowd.feed(sock, b"\0")


TLS = (says_nothing, drips_a_hello)

# ---------------------------------------------------------------- HTTP


def drips_a_head(crowd: Crowd, sock: socket.socket) -> None:
    """Headers without end."""
    sock.sendall(b"GET /system HTTP/1.1\r\nHost: localhost\r\nX: ")
    crowd.feed(sock, b"a")


def drips_a_body(crowd: Crowd, sock: socket.socket) -> None:
    """An upload that takes days."""
    head = b"POST /instances HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    sock.sendall(head + bytes(200))
    crowd.feed(sock, b"\0")


def asks_nothing(_: Crowd, sock: socket.socket) -> None:
    """Connected, no more."""
    assert sock.fileno() >= 0


def reads_nothing(path: str) -> Callable[[Crowd, socket.socket], None]:
    """Asks for something large, and does not take it."""

    def ask(_: Crowd, sock: socket.socket) -> None:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    return ask

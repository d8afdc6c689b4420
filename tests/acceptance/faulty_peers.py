"""Peers and networks that fail: a proxy that cuts, stalls and loses, and destinations that lie.

Everything runs in threads of the test process, on loopback, and ends with its `with` block.
"""

from __future__ import annotations

import contextlib
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.scp import raw_peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST = "127.0.0.1"
PATIENCE_S = 20.0
ABORTS, CRASHES = -1, -2
"""Instead of a status."""
_PIECE_BYTES = 64 * 1024
_TICK_S = 0.05
_ANSWER = re.compile(rb"\x04\x00.{4}.{4}.[\x01\x03]", re.DOTALL)
_ASKED = re.compile(rb"\x00\x00\x00\x10(.)\x00\x00\x00([0-9.]+)", re.DOTALL)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


def until(condition: Callable[[], object], limit_s: float) -> bool:
    """Whether something in another process comes true within the limit."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(_TICK_S)
    return True


@dataclass
class Proxy:
    """A network between a requestor and a Storage SCP; a context manager.

    Attributes:
        target: Port of the SCP.
        port: Where it listens; the same again after `down` and `up`.
        bytes_per_s: The rate towards the SCP; 0 for as fast as it goes.
        silent: While set nothing is read, carried or accepted: packets vanish.
        loses: Whether the answer to the instance with this UID is lost; asked once for each
            answer, with how often that instance was sent.
        connections: How many were made, each at its moment on the monotonic clock.
        lost: SOP Instance UIDs whose answers were cut off.
        carried_bytes: So many have gone to the SCP.
    """

    target: int
    port: int = 0
    bytes_per_s: int = 0
    silent: threading.Event = field(default_factory=threading.Event)
    loses: Callable[[str, int], bool] = lambda _uid, _times: False
    connections: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    carried_bytes: int = 0
    _sent: dict[str, int] = field(default_factory=dict)
    _closing: threading.Event = field(default_factory=threading.Event)
    _server: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.down()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def up(self) -> None:
        """Listen."""
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.bytes_per_s:
            # What the kernel holds on the way must not look like a fast peer.
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self._server.bind((HOST, self.port))
        self._server.listen(64)
        self.port = self._server.getsockname()[1]
        self._start(self._accept, self._server)

    def down(self) -> None:
        """Refuse connections, and reset those that there are."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for sock in list(self._open):
            _reset(sock)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            if not self._holds(server):
                return
            try:
                sock, _ = server.accept()
            except OSError:
                return
            self.connections.append(time.monotonic())
            self._start(self._carry, sock)

    def _holds(self, sock: socket.socket) -> bool:
        """Wait out a silence; whether the socket is still open."""
        while self.silent.is_set() and not self._closing.is_set() and sock.fileno() >= 0:
            self._closing.wait(_TICK_S)
        return sock.fileno() >= 0 and not self._closing.is_set()

    def _carry(self, near: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, ValueError):
            far = socket.create_connection((HOST, self.target), PATIENCE_S)
            for sock in (near, far):
                sock.settimeout(PATIENCE_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(sock)
                stack.callback(self._open.discard, sock)
                stack.callback(sock.close)
            asked = ""
            while self._holds(near):
                for source in select.select([near, far], [], [], _TICK_S)[0]:
                    if self.silent.is_set():
                        break
                    data = source.recv(self._most())
                    if not data:
                        return
                    if source is near:
                        asked = self._uid_in(data) or asked
                        far.sendall(data)
                        self.carried_bytes += len(data)
                        self._closing.wait(self._pause_s(data))
                    elif _ANSWER.match(data) and self._takes_away(asked):
                        _reset(near)
                        return
                    else:
                        near.sendall(data)
        # Both ends hear of the end of either.

    def _most(self) -> int:
        return min(
            _PIECE_BYTES, max(1024, self.bytes_per_s // 20) if self.bytes_per_s else 1 << 20
        )

    def _pause_s(self, data: bytes) -> float:
        return len(data) / self.bytes_per_s if self.bytes_per_s else 0.0

    def _uid_in(self, data: bytes) -> str:
        """The Affected SOP Instance UID of a request, if one begins here."""
        found = _ASKED.search(data) if data[:1] == b"\x04" else None
        if not found:
            return ""
        uid = found[2][: found[1][0]].decode()
        self._sent[uid] = self._sent.get(uid, 0) + 1
        return uid

    def _takes_away(self, uid: str) -> bool:
        if not self.loses(uid, self._sent.get(uid, 0)):
            return False
        self.lost.append(uid)
        return True


def _reset(sock: socket.socket) -> None:
    """End a connection as a cut cable and a peer that knows nothing of it do."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


@dataclass
class QuickArchive:
    """A Storage SCP without a library: quick, and it answers as it is told; a context manager.

    Attributes:
        answers: The status for an instance; ABORTS for none but an A-ABORT, CRASHES for as if
            the program had crashed: the connection is gone, and nobody listens for `crash_s`.
        port: Where it listens; the same again after stop and start.
        received: The dataset by SOP Instance UID, an entry for every one that it took.
        offered: SOP Instance UIDs in the order of their arrival, with the moment.
    """

    answers: Callable[[str], int] = lambda _: 0
    port: int = 0
    crash_s: float = 0.5
    received: list[tuple[str, bytes]] = field(default_factory=list)
    offered: list[tuple[str, float]] = field(default_factory=list)
    _server: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in [one for one in self._threads if isinstance(one, threading.Timer)]:
            thread.join(PATIENCE_S)
        self.stop()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def start(self) -> None:
        self._server = socket.create_server((HOST, self.port))
        self.port = self._server.getsockname()[1]
        self._begin(threading.Thread(target=self._accept, args=(self._server,), daemon=True))

    def stop(self) -> None:
        """Listen no more, and reset who is there."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for sock in list(self._open):
            _reset(sock)

    def uids(self) -> list[str]:
        return [uid for uid, _ in self.received]

    def _begin(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(threading.Thread(target=self._serve, args=(sock,), daemon=True))

    def _serve(self, sock: socket.socket) -> None:
        peer = raw_peer.RawPeer.__new__(raw_peer.RawPeer)
        peer.sock = sock
        self._open.add(sock)
        with peer, contextlib.suppress(OSError, struct.error):
            accept(peer)
            for command, number, dataset in _messages(peer):
                uid = command[0x1000].rstrip(b"\0").decode()
                message_id = struct.unpack("<H", command[0x0110])[0]
                if not self._answer(peer, uid, number, message_id, dataset):
                    break
        self._open.discard(sock)

    def _answer(
        self, peer: raw_peer.RawPeer, uid: str, number: int, message_id: int, dataset: bytes
    ) -> bool:
        """Whether the association goes on."""
        self.offered.append((uid, time.monotonic()))
        status = self.answers(uid)
        if status == ABORTS:
            peer.send(raw_peer.pdu(raw_peer.ABORT, bytes(4)))
            return False
        if status == CRASHES:
            self.stop()
            self._begin(threading.Timer(self.crash_s, self.start))
            return False
        if status == 0:
            self.received.append((uid, dataset))
        peer.send(_response(number, message_id, status))
        return True


def _messages(peer: raw_peer.RawPeer) -> Iterator[tuple[dict[int, bytes], int, bytes]]:
    """Command, context and dataset of each C-STORE until the association is released."""
    command, parts = b"", []
    while True:
        kind, body = peer.read_pdu()
        if kind == raw_peer.RELEASE_RQ:
            peer.send(raw_peer.pdu(raw_peer.RELEASE_RP, bytes(4)))
        if kind != raw_peer.P_DATA:
            return
        while body:
            length, number, control = struct.unpack_from(">IBB", body)
            fragment, body = body[6 : 4 + length], body[4 + length :]
            if control & raw_peer.COMMAND:
                command += fragment
                continue
            parts.append(fragment)
            if control & raw_peer.LAST:
                yield raw_peer.elements(command), number, b"".join(parts)
                command, parts = b"", []


def _response(number: int, message_id: int, status: int) -> bytes:
    whole = raw_peer.command_set(
        raw_peer.us(0x0100, 0x8001),
        raw_peer.us(0x0120, message_id),
        raw_peer.us(0x0800, 0x0101),
        raw_peer.us(0x0900, status),
    )
    return raw_peer.pdu(
        raw_peer.P_DATA, raw_peer.pdv(number, raw_peer.COMMAND | raw_peer.LAST, whole)
    )


@contextlib.contextmanager
def raw_destination(talk: Callable[[raw_peer.RawPeer], object]) -> Iterator[RawDestination]:
    """A destination that does something else with every connection than it should."""
    made = RawDestination(talk)
    with made.server:
        thread = threading.Thread(target=made.serve, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.gate.set()
            with contextlib.suppress(OSError):
                made.server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


class RawDestination:
    """One connection after the other, each accepted as an association and then spoilt.

    Attributes:
        gate: Set when the test is over: whoever stands still goes on.
        begun, ended: Moments of the monotonic clock at which connections began and were seen
            to end by the node.
    """

    def __init__(self, talk: Callable[[raw_peer.RawPeer], object]) -> None:
        self.server = socket.socket()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.server.bind((HOST, 0))
        self.server.listen(16)
        self.port = int(self.server.getsockname()[1])
        self.gate = threading.Event()
        self.begun: list[float] = []
        self.ended: list[float] = []
        self._talk = talk

    def serve(self) -> None:
        """Serve until the test is over."""
        while not self.gate.is_set():
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            peer = raw_peer.RawPeer.__new__(raw_peer.RawPeer)
            peer.sock = sock
            sock.settimeout(PATIENCE_S)
            self.begun.append(time.monotonic())
            with peer, contextlib.suppress(OSError, struct.error):
                self._talk(peer)
                self._stand_still(sock)
            self.ended.append(time.monotonic())

    def _stand_still(self, sock: socket.socket) -> None:
        """Read nothing until the other side is gone: its reset shows without reading."""
        poller = select.poll()
        poller.register(sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        while not self.gate.is_set() and not poller.poll(_TICK_S * 1000):
            pass


def accept(peer: raw_peer.RawPeer) -> None:
    """Accept every presentation context in its first transfer syntax."""
    _, body = peer.read_pdu()
    answers = b""
    for kind, value in _items(body[68:]):
        if kind == 0x20:
            [(_, _), (_, syntax), *_] = _items(value[4:])
            answers += raw_peer.item(0x21, value[:1] + bytes(3) + raw_peer.item(0x40, syntax))
    user = raw_peer.item(0x50, raw_peer.item(0x51, struct.pack(">I", 65536)))
    application = raw_peer.item(0x10, raw_peer.DICOM.encode())
    peer.send(raw_peer.pdu(raw_peer.AC, b"\0\1" + bytes(66) + application + answers + user))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, length = struct.unpack_from(">BxH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def takes_nothing(peer: raw_peer.RawPeer) -> None:
    """A zero window: associate, and read no more."""
    accept(peer)


def says_half(peer: raw_peer.RawPeer) -> None:
    """Take an instance, and send the first half of the response."""
    accept(peer)
    while True:
        kind, body = peer.read_pdu()
        if kind != raw_peer.P_DATA:
            return
        if not body[5] & raw_peer.COMMAND and body[5] & raw_peer.LAST:
            break
    said = _response(1, 1, 0)
    peer.send(said[: len(said) // 2])


@dataclass
class Storescp:
    """DCMTK's storescp, which can be stopped as a process and go on; a context manager."""

    program: Path
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self.port = free_port()
        options = ["-pm", "+xa", "+B", "+uf", "-od", str(self.folder), str(self.port)]
        self.process = subprocess.Popen([self.program, *options], stderr=subprocess.DEVNULL)
        assert until(self._listens, PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process
        self.go_on()
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def stand_still(self) -> None:
        """The kernel still accepts for it; nothing answers."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def files(self) -> list[Path]:
        return list(self.folder.iterdir())

    def _listens(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex((HOST, self.port)) == 0

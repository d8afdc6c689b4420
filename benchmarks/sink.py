"""The limit: receives, writes and syncs each instance, and understands nothing.

It believes every length, checks nothing and keeps no record; the file is synced, its folder is
not. A node that promises more cannot be faster than this by much on the same disk.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path
from typing import Final

from benchmarks import wire

_BUFFER: Final = 1 << 18
_MAX_PDU: Final = 1 << 17
_SAFE_LENGTH: Final = 6


class Connection:
    """One association on one thread."""

    def __init__(self, channel: socket.socket, folder: Path, number: int) -> None:
        self.channel = channel
        self.folder = folder
        self.number = number
        self.buffer = bytearray(_BUFFER)
        self.start = 0
        self.end = 0
        self.stored = 0

    def need(self, count: int) -> memoryview:
        """The next bytes, in place; valid until the next call."""
        view = memoryview(self.buffer)
        if self.start + count > len(self.buffer):
            left = self.end - self.start
            view[:left] = bytes(view[self.start : self.end])
            self.start, self.end = 0, left
        while self.end - self.start < count:
            received = self.channel.recv_into(view[self.end :])
            # Renewed each time: the kernel falls back to delayed acknowledgements by itself, and
            # a sender with Nagle's algorithm then waits 40 ms for each of them.
            self.channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            if not received:
                raise ConnectionError("the peer closed the connection")
            self.end += received
        self.start += count
        return view[self.start - count : self.start]

    def pdu(self) -> tuple[int, memoryview]:
        """The next PDU, in place."""
        head = self.need(_SAFE_LENGTH)
        kind, length = head[0], int.from_bytes(head[2:6], "big")
        return kind, self.need(length)

    def run(self) -> None:
        """Serve until the peer releases or goes."""
        with self.channel:
            _, body = self.pdu()
            self.channel.sendall(self.accept(wire.read_associate(bytes(body))))
            while True:
                kind, body = self.pdu()
                if kind != wire.P_DATA:
                    break
                self.message(body)
            if kind == wire.RELEASE_RQ:
                self.channel.sendall(bytes([wire.RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0]))

    @staticmethod
    def accept(offered: wire.Negotiation) -> bytes:
        """Accept every context with its first transfer syntax."""
        offers = tuple(
            wire.Offer(offer.context_id, offer.abstract_syntax, offer.transfer_syntaxes[:1])
            for offer in offered.offers
        )
        answer = wire.Negotiation(offered.called, offered.calling, offers, _MAX_PDU)
        return wire.associate(wire.ASSOCIATE_AC, answer)

    def message(self, body: memoryview) -> None:
        """A command, then its dataset if it has one, then the response."""
        context_id = body[4]
        request = wire.read_command(bytes(body[6:]))
        if request[0x0100] == wire.C_STORE_RQ.to_bytes(2, "little"):
            self.store()
        self.channel.sendall(wire.command_pdu(context_id, wire.response(request, 0)))

    def store(self) -> None:
        """Write the dataset as it comes, and sync it."""
        self.stored += 1
        path = self.folder / f"{self.number}-{self.stored}"
        with path.open("wb", buffering=0) as file:
            last = 0
            while not last:
                _, body = self.pdu()
                last = body[5] & 0x02
                file.write(body[6:])
            os.fsync(file.fileno())


def serve(port: int, folder: Path) -> None:
    """Accept for ever; the benchmark ends this process."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as server:
        number = 0
        while True:
            channel, _ = server.accept()
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            threading.Thread(target=Connection(channel, folder, number).run, daemon=True).start()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))

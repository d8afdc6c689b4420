"""The HTTP server: a thread of its own on a bound socket, with limits of time and number.

- So many connections are open at once, TLS handshakes included; one more is closed at once.
- A peer that shakes hands, sends its request or takes its answer slower than is worth waiting for
  is cut off.
- `begin_stop` ends listening; `join` waits for what is under way, so long and no longer.

Source: RFC 9112 (HTTP/1.1).
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from scp.settings import ServerTls
from scp.tls import Acceptor

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport
    from pathlib import Path

    from fastapi import FastAPI
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

_HEAD_BYTES: Final = 64 << 10
_KEEP_ALIVE_S: Final = 15
_BACKLOG: Final = 128
_BEGIN_S: Final = 30.0
_FORCED_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How slow a peer may be.

    Attributes:
        check_every_s: How often it is looked at.
        strikes: So many looks in a row may find it too slow.
        head_s: How long the head of a request may take.
        bytes_per_s: The slowest a body may come, between two looks.
        tls_s: How long a TLS handshake may take, and the farewell of TLS.
    """

    check_every_s: float = 5.0
    strikes: int = 2
    head_s: float = 10.0
    bytes_per_s: int = 256
    tls_s: float = 5.0


class _Door(socket.socket):
    """A listening socket that lets so many in at once."""

    limit: int = 64

    def __init__(self, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 - as the base
        super().__init__(*arguments, **keywords)
        self._inside: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @property
    def inside(self) -> int:
        """How many are open."""
        return sum(one.fileno() >= 0 for one in list(self._inside))

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; one too many is closed, which the loop takes for none."""
        connection, address = super().accept()
        if self.inside >= self.limit:
            connection.close()
            raise BlockingIOError
        self._inside.add(connection)
        return connection, address


class _Loop(asyncio.SelectorEventLoop):
    """A loop whose TLS has deadlines; asyncio's own are a minute and half of one."""

    tls_s: float = 5.0

    async def create_server(self, *arguments: Any, **keywords: Any) -> asyncio.Server:  # noqa: ANN401 - as the base
        """Serve."""
        if keywords.get("ssl") is not None:
            keywords |= {"ssl_handshake_timeout": self.tls_s, "ssl_shutdown_timeout": self.tls_s}
        return await super().create_server(*arguments, **keywords)


class _Patient(H11Protocol):
    """A connection whose patience ends.

    Before a request the keep-alive time counts, or at first the time of a head; from its first
    byte on the head must be there soon, and then body and answer must move.
    """

    def __init__(self, patience: Patience, **keywords: Any) -> None:  # noqa: ANN401 - as the base
        super().__init__(**keywords)
        self._patience = patience
        self._check: TimerHandle | None = None
        self._since = time.monotonic()
        self._seen_bytes = 0
        self._checked_bytes = 0
        self._strikes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A peer is there."""
        super().connection_made(transport)
        self._later()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._check is not None:
            self._check.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """It says something."""
        if self.timeout_keep_alive_task is not None:
            self._since = time.monotonic()  # a next request begins
        self._seen_bytes += len(data)
        super().data_received(data)

    def resume_writing(self) -> None:
        """It has taken most of what was written."""
        self._strikes = 0
        super().resume_writing()

    def _later(self) -> None:
        self._check = self.loop.call_later(self._patience.check_every_s, self._look)

    def _look(self) -> None:
        """Cut the peer off, or look again later."""
        self._strikes = self._strikes + 1 if self._is_slow() else 0
        if self._strikes > self._patience.strikes:
            self.transport.abort()
            return
        self._checked_bytes = self._seen_bytes
        self._later()

    def _is_slow(self) -> bool:
        if self.transport.is_closing() or self.flow.write_paused:
            return True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            waits_for_next = self.timeout_keep_alive_task is not None
            return not waits_for_next and time.monotonic() - self._since > self._patience.head_s
        if cycle.more_body and not self.flow.read_paused:
            least_bytes = self._patience.check_every_s * self._patience.bytes_per_s
            return self._seen_bytes - self._checked_bytes < least_bytes
        return False


class ApiServer:
    """Serves an application; start it once, stop it once."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        connections: int = 64,
        tls: tuple[Path, Path] | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Bind the address.

        Args:
            address: Host and port; 0 for any free one.
            connections: Open at once.
            tls: Files of certificate and key in PEM; None for plain HTTP.
            patience: How slow a peer may be.

        Raises:
            KeyFileError: the files are none, or do not belong together.
            OSError: it cannot be bound.
        """
        self._tls = None if tls is None else Acceptor(ServerTls(*tls))
        self._socket = _bound(address)
        self._socket.limit = connections
        self._patience = patience or Patience()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        name = self._socket.getsockname()
        return name[0], name[1]

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._socket.inside

    def prepare(self, app: FastAPI) -> None:
        """Take the application."""
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=partial(_Patient, self._patience),  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
        config.load()
        config.ssl = self._tls.context if self._tls else None
        self._server = uvicorn.Server(config)

    def start(self) -> None:
        """Begin to answer.

        Raises:
            RuntimeError: the application did not begin.
        """
        server = self._server
        if server is None:
            raise RuntimeError("there is no application to serve")
        self._thread = threading.Thread(target=self._run, args=(server,), name="rest", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _BEGIN_S
        while not server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the REST API did not begin")

    def _run(self, server: uvicorn.Server) -> None:
        with asyncio.Runner(loop_factory=self._loop) as runner:
            runner.run(server.serve([self._socket]))

    def _loop(self) -> _Loop:
        loop = _Loop()
        loop.tls_s = self._patience.tls_s
        return loop

    def reload_certificate(self) -> None:
        """Read certificate and key again, for handshakes to come.

        Raises:
            KeyFileError: they cannot be used; those read before still count.
        """
        if self._tls:
            self._tls.reload()

    def begin_stop(self, within_s: float) -> None:
        """Listen no more; what is under way has so long to end, then it is given up."""
        if self._server is None or self._thread is None:
            self._socket.close()
            return
        self._server.config.timeout_graceful_shutdown = max(1, round(within_s))
        self._server.should_exit = True

    def join(self, within_s: float) -> bool:
        """Wait for the end, and force it after that time; whether it has come."""
        if self._thread is None or self._server is None:
            return True
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(_FORCED_S)
        return not self._thread.is_alive()


def _bound(address: tuple[str, int]) -> _Door:
    host, port = address
    family, kind, protocol, _, target = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    door = _Door(family, kind, protocol)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(target)
        door.listen(_BACKLOG)
    except OSError:
        door.close()
        raise
    return door

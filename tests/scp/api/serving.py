"""A small application behind the real gate, on a real socket, and a client that is plain."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response

from rules.errors import DeidentificationError, InstanceRefused, Reason
from scp.api import errors
from scp.api.answers import answer, plain
from scp.api.bodies import JsonBody, WholeBody, pieces
from scp.api.guard import Gate, Guard
from scp.api.server import ApiServer
from scp.errors import JournalError, OutOfSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "JOHN^CANARY"
FAILURES = {
    "unforeseen": RuntimeError(CANARY),
    "fault": errors.Fault(errors.Code.BAD_REQUEST, "A sentence"),
    "missing": errors.Missing(),
    "space": OutOfSpace("the journal has no room on the disk"),
    "journal": JournalError(f"database of {CANARY}"),
    "refused": InstanceRefused(Reason.BURNED_IN),
    "unreadable": DeidentificationError(Reason.TRUNCATED, 0x00100010),
}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks one address, each time over a connection of its own."""

    port: int

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


def small_app(guard: Guard) -> FastAPI:
    """Answers how much it was sent, and fails in every way."""
    app = FastAPI(openapi_url=None)

    @app.get("/things/{id_}")
    def thing(id_: str) -> Response:
        return plain(id_)

    @app.delete("/things/{id_}")
    def remove(id_: str) -> Response:
        return plain(id_)

    @app.get("/count")
    def count(since: int = 0) -> Response:
        return plain(str(since))

    @app.post("/length")
    def length(body: WholeBody) -> Response:
        return plain(str(len(body)))

    @app.post("/json")
    def parsed(body: JsonBody) -> Response:
        return answer(body)

    @app.post("/instances")
    def upload(request: Request) -> Response:
        return plain(str(sum(map(len, pieces(request)))))

    @app.post("/unread")
    def unread() -> Response:
        return plain("")

    @app.get("/user")
    def user(request: Request) -> Response:
        return plain(request.state.user)

    @app.post("/fails/{how}")
    def fails(how: str) -> Response:
        raise FAILURES[how]

    app.add_middleware(Gate, guard=guard)
    errors.install(app)
    return app


def guard(**changed: object) -> Guard:
    """One that lets this machine in."""
    usual = {
        "hosts": frozenset({"localhost", "node.example"}),
        "users": None,
        "body_limit_bytes": 1000,
        "upload_limit_bytes": 100_000,
    }
    return Guard(**usual | changed)


@contextmanager
def served(app: FastAPI, **options: object) -> Iterator[ApiServer]:
    """The application on a free port of this machine."""
    server = ApiServer(("127.0.0.1", 0), **options)
    server.prepare(app)
    server.start()
    try:
        yield server
    finally:
        server.begin_stop(1)
        assert server.join(5)

"""The HTTP server: how many, how slow, how long it takes to end, and TLS."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.client import HTTPSConnection

import pytest
from fastapi import FastAPI, Response

from scp.api.answers import plain
from scp.api.server import ApiServer, Patience
from scp.errors import KeyFileError
from tests.scp.api.serving import Client, guard, served, small_app

HURRIED = Patience(check_every_s=0.1, strikes=1, head_s=0.3, bytes_per_s=1000)
HEAD = b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n"


@pytest.fixture(scope="module")
def hurried():
    """The port of a server that waits for nobody."""
    with served(small_app(guard()), patience=HURRIED, connections=4) as server:
        yield server.address[1]


def is_cut_off(port: int, said: bytes, drip: bytes = b"") -> bool:
    """Whether the server ends a connection on which this is said, then a byte at a time."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(said)
        sock.settimeout(0.05)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                if sock.recv(1) == b"":
                    return True
                sock.sendall(drip)
            except TimeoutError:
                sock.sendall(drip)
            except OSError:
                return True
        return False


@pytest.mark.parametrize(
    ("said", "drip"),
    [(b"", b""), (b"GET", b""), (b"GET / HTTP/1.1\r\nX: ", b"x"), (HEAD + b"\r\n", b"x")],
    ids=["nothing", "half a head", "a head in drops", "a body in drops"],
)
def test_a_peer_that_is_too_slow_is_cut_off(hurried, said, drip):
    """It holds a connection that others want."""
    assert is_cut_off(hurried, said, drip)


def test_a_peer_that_does_not_take_its_answer_is_cut_off():
    """Nothing is kept for it."""
    app = FastAPI()
    begun = threading.Event()

    @app.get("/much")
    def much() -> Response:
        begun.set()
        return plain("x" * 50_000_000)

    with (
        served(app, patience=HURRIED) as server,
        socket.create_connection(server.address) as sock,
    ):
        sock.sendall(b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert begun.wait(5)
        while server.connections:
            os.sched_yield()


def test_a_body_that_moves_is_not(hurried):
    """However long it takes."""
    with socket.create_connection(("127.0.0.1", hurried)) as sock:
        sock.sendall(HEAD + b"\r\n")
        for _ in range(9):
            sock.sendall(b"x" * 100)
            threading.Event().wait(0.08)
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_connection_too_many_is_closed_and_the_others_go_on(hurried):
    """And there is room again as soon as one has gone."""
    held = [socket.create_connection(("127.0.0.1", hurried)) for _ in range(4)]
    asked = socket.create_connection(("127.0.0.1", hurried))
    asked.settimeout(5)
    with contextlib.suppress(ConnectionResetError):  # or closed without a word
        assert asked.recv(1) == b""
    for sock in [*held, asked]:
        sock.close()
    assert any(answers(hurried) for _ in range(100))


def answers(port: int) -> bool:
    """Whether a request is answered."""
    try:
        return Client(port).ask("GET", "/things/1").status == 200
    except OSError:
        return False


def test_a_stop_ends_in_time_whatever_is_under_way():
    """A request that hangs is given up."""
    app = FastAPI()
    begun, release = threading.Event(), threading.Event()

    @app.get("/hangs")
    def hangs() -> Response:
        begun.set()
        release.wait(30)
        return plain("")

    server = ApiServer(("127.0.0.1", 0))
    server.prepare(app)
    server.start()
    with socket.create_connection(server.address) as sock:
        sock.sendall(b"GET /hangs HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert begun.wait(5)
        since = time.monotonic()
        server.begin_stop(1)
        server.join(2)
        assert time.monotonic() - since < 4
    release.set()
    assert server.join(5)


def test_a_server_that_never_began_is_ended_too():
    """Its port is free again."""
    server = ApiServer(("127.0.0.1", 0))
    address = server.address

    server.begin_stop(1)

    assert server.join(1)
    again = ApiServer(address)
    assert again.address == address
    again.begin_stop(1)


@pytest.fixture(scope="module")
def certificate(peer, tmp_path_factory):
    """A certificate of this machine, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = (folder / "rest.crt", folder / "rest.key")
    command = [
        *(peer("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext"),
        *("subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", names[0], "-keyout", names[1]),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return names


def test_tls_is_spoken_where_there_is_a_certificate(certificate):
    """And nothing older than 1.2."""
    with served(small_app(guard()), tls=certificate) as server:
        context = ssl.create_default_context(cafile=certificate[0])
        asking = HTTPSConnection("127.0.0.1", server.address[1], context=context, timeout=10)
        asking.request("GET", "/things/1")
        assert asking.getresponse().read() == b"1"
        asking.close()


def test_a_silent_handshake_delays_nobody(certificate):
    """It waits beside the others."""
    with served(small_app(guard()), tls=certificate) as server:
        silent = [socket.create_connection(server.address) for _ in range(20)]
        context = ssl.create_default_context(cafile=certificate[0])
        asking = HTTPSConnection("127.0.0.1", server.address[1], context=context, timeout=2)
        asking.request("GET", "/things/1")
        assert asking.getresponse().status == 200
        asking.close()
        for sock in silent:
            sock.close()


def test_files_that_are_no_certificate_are_told(tmp_path):
    """Before anything listens."""
    files = (tmp_path / "rest.crt", tmp_path / "rest.key")

    with pytest.raises(KeyFileError, match=r"rest\.crt: .* in PEM"):
        ApiServer(("127.0.0.1", 0), tls=files)


def test_a_handshake_that_hangs_is_ended(certificate):
    """Long before asyncio's minute: nothing is said, or the beginning of a hello."""
    hurried = Patience(tls_s=0.3)
    with served(small_app(guard()), tls=certificate, patience=hurried) as server:
        begun = time.monotonic()
        for said in (b"", b"\x16\x03\x01\x02\x00"):
            with socket.create_connection(server.address, timeout=20) as sock:
                sock.sendall(said)
                with contextlib.suppress(ConnectionResetError):
                    assert sock.recv(1) == b""
        assert time.monotonic() - begun < 10


def test_a_new_certificate_counts_from_the_next_connection(certificate, tmp_path):
    """And the connection that is open goes on."""
    files = (tmp_path / "rest.crt", tmp_path / "rest.key")
    for source, target in zip(certificate, files, strict=True):
        shutil.copy(source, target)
    context = ssl.create_default_context(cafile=certificate[0])
    with served(small_app(guard()), tls=files) as server:
        asking = HTTPSConnection("127.0.0.1", server.address[1], context=context, timeout=10)
        asking.request("GET", "/things/1")
        assert asking.getresponse().read() == b"1"
        for target in files:
            target.write_text("no PEM")
        with pytest.raises(KeyFileError):
            server.reload_certificate()
        asking.request("GET", "/things/1")
        assert asking.getresponse().read() == b"1"
        asking.close()

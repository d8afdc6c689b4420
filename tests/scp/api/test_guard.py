"""The gate: who may ask, by which name, and how much they may send."""

from __future__ import annotations

import base64
import socket
import threading
from select import select

import pytest

from scp.api.credentials import PasswordHash, Users
from scp.api.guard import MOST_WITHOUT
from scp.api.trials import MOST_TRIALS
from tests.scp.api.serving import Client, guard, served, small_app


@pytest.fixture(scope="module")
def open_to_all():
    """A client of a node without users."""
    with served(small_app(guard())) as server:
        yield Client(server.address[1])


@pytest.fixture(scope="module")
def locked():
    """A client of a node with one user."""
    users = Users({"anna": PasswordHash.of("pässword")})
    with served(small_app(guard(users=users))) as server:
        yield Client(server.address[1])


def pair(name: str, password: str) -> str:
    """A header of Basic credentials."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:9", "LOCALHOST", "node.example", "Node.Example.:80"]
)
def test_a_name_of_the_node_is_let_in(open_to_all, host):
    """Its address, localhost, and the names of the configuration; whatever the port."""
    assert open_to_all.ask("GET", "/things/1", Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.2", "localhost.evil.example", "", "[", "a b"]
)
def test_another_name_is_not(open_to_all, host):
    """A page that has its name point at this machine gets nothing (DNS rebinding)."""
    refused = open_to_all.ask("GET", "/things/1", Host=host)

    assert refused.status == 403
    assert "rest.hosts" in refused.json["Details"]


def test_a_page_of_the_node_itself_may_ask(open_to_all):
    """Its Origin is what the request went to."""
    own = f"http://127.0.0.1:{open_to_all.port}"

    asked = open_to_all.ask("POST", "/length", b"1", Origin=own, Sec_Fetch_Site="same-origin")

    assert asked.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_page_of_another_origin_may_not(open_to_all, method, headers):
    """The browser of an administrator is no way in."""
    assert open_to_all.ask(method, "/things/1", **headers).status == 403


def test_a_pair_that_fits_is_let_in_and_named(locked):
    """The first time and afterwards."""
    entered = [locked.ask("GET", "/user", Authorization=pair("anna", "pässword")) for _ in "12"]

    assert [(one.status, one.body) for one in entered] == [(200, b"anna")] * 2


@pytest.mark.parametrize(
    "header",
    [
        pair("anna", "password"),
        pair("bert", "pässword"),
        pair("anna", ""),
        "Basic",
        "Basic =",
        "Basic YW5uYQ==",
        "Bearer x",
    ],
)
def test_a_pair_that_does_not_fit_is_asked_for_again(locked, header):
    """401, and nothing of what was tried."""
    refused = locked.ask("GET", "/things/1", Authorization=header)

    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert refused.json["OrthancStatus"] == 29


class Slow(Users):
    """Users whose passwords are tried when a test says so."""

    begin = threading.Event()

    def admit(self, name, password):
        assert self.begin.wait(30)
        return super().admit(name, password)


def test_strangers_keep_nobody_waiting_whose_password_is_known():
    """However many try theirs; those who would wait for too many others are told so."""
    users = Slow({"anna": PasswordHash.of("pässword")})
    users.begin.set()
    with served(small_app(guard(users=users))) as server:
        client = Client(server.address[1])
        assert client.ask("GET", "/user", Authorization=pair("anna", "pässword")).status == 200
        users.begin.clear()

        strangers = [asking(client.port, pair("x", f"{number}")) for number in range(50)]
        assert client.ask("GET", "/user", Authorization=pair("anna", "pässword")).status == 200
        while len(answered := select(strangers, [], [], 10)[0]) < 50 - MOST_TRIALS:
            assert answered
        users.begin.set()

        told = [heard(one) for one in answered]
        assert {one[:12] for one in told} == {b"HTTP/1.1 503"}
        assert all(b"retry-after: 1\r\n" in one.lower() for one in told)
        waited = {heard(one)[:12] for one in strangers if one not in answered}
        assert waited == {b"HTTP/1.1 401"}


def test_the_same_pair_from_many_is_tried_once():
    """A program that begins with many connections is not turned away."""
    users = Slow({"anna": PasswordHash.of("pässword")})
    users.begin.clear()
    with served(small_app(guard(users=users))) as server:
        port = server.address[1]
        asked = [asking(port, pair("anna", "pässword")) for _ in range(3 * MOST_TRIALS)]
        refused = asking(port, pair("anna", ""), path="/" + "x" * 9)
        users.begin.set()

        assert {heard(one)[:12] for one in asked} == {b"HTTP/1.1 200"}
        assert heard(refused)[:12] == b"HTTP/1.1 401"


def test_without_credentials_not_even_an_unknown_address_is_told(locked):
    """What there is and what there is not is for those who may enter."""
    assert locked.ask("GET", "/nothing/here").status == 401


@pytest.mark.parametrize(("path", "limit"), [("/length", 1000), ("/instances", 100_000)])
def test_a_body_may_be_as_long_as_its_limit(open_to_all, path, limit):
    """Uploads have a limit of their own."""
    assert open_to_all.ask("POST", path, bytes(limit)).body == str(limit).encode()


@pytest.mark.parametrize(("path", "limit"), [("/length", 1000), ("/instances", 100_000)])
def test_a_longer_one_is_refused_by_what_it_says_of_itself(open_to_all, path, limit):
    """Before any of it is read, let alone kept."""
    said = raw(
        open_to_all.port,
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limit + 1}\r\n\r\n",
    )

    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in said.lower()


@pytest.mark.parametrize(("path", "limit"), [("/length", 1000), ("/instances", 100_000)])
def test_a_longer_one_that_does_not_say_is_refused_when_the_limit_is_passed(
    open_to_all, path, limit
):
    """A body in chunks has no length to tell."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = f"{limit + 1:x}\r\n{'x' * (limit + 1)}\r\n"

    assert raw(open_to_all.port, head + chunk).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/tools/find", MOST_WITHOUT),
        ("/studies/a/split", MOST_WITHOUT),
        ("/modalities/pacs/store", MOST_WITHOUT),
        ("/tools/create-dicom", 32 << 20),
        ("/instances/a/modify", 32 << 20),
        ("/studies/a/anonymize", 32 << 20),
        ("/tools/bulk-modify", 32 << 20),
        ("/instances", 100_000),
    ],
)
def test_only_a_body_that_may_hold_documents_may_be_long(path, limit):
    """Whatever else is that long costs memory and means nothing."""
    assert guard(body_limit_bytes=32 << 20).limit_bytes("POST", path) == limit


def test_a_slash_at_the_end_makes_no_difference(open_to_all):
    """As Orthanc reads addresses."""
    assert open_to_all.ask("GET", "/things/1/").body == b"1"


def raw(port: int, text: str) -> bytes:
    """What comes back for bytes that no client would send, up to the end of the head."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(text.encode())
    return heard(sock)


def asking(port: int, authorization: str, path: str = "/user") -> socket.socket:
    """A connection with a request, whose answer is still to be read."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\r\n"
    sock.sendall(head.encode())
    return sock


def heard(sock: socket.socket) -> bytes:
    """The head of an answer."""
    with sock:
        said = b""
        while b"\r\n\r\n" not in said and (more := sock.recv(65536)):
            said += more
        return said

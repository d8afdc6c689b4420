"""Requests that a running node must not grant: forged, rebound, reaching out, or too much."""

# ruff: noqa: S311, T201 - choices of a test are no secrets; `pytest -s` shows its figures

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
import socket
import zipfile
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

import pytest

from tests import instances
from tests.acceptance.running import RunningNode
from tests.acceptance.watching import MIB, Held, forget_peak, peak_bytes, rss_bytes, until
from tests.encoded import EXPLICIT
from tests.scp.api.serving import Answer, Client
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {{listen: "127.0.0.1:0", drain_s: 1}}
rest: {{listen: "127.0.0.1:0", profile: plain, body_limit_bytes: 1000000}}
profiles:
  plain: {{Base: basic, BurnedIn: keep}}
destinations:
  pacs: {{ae_title: PACS, host: 127.0.0.1, port: {pacs}}}
routes: [{{from: "*", profile: plain}}]
"""
PATHS = size(ci=1000, nightly=10_000)
MEMORY_BYTES = 64 * MIB
GIB = 1 << 30


@dataclass
class Place:
    """A node, what it is asked by, and what it holds.

    Attributes:
        decoy: Listens where only a request that is obeyed would connect to.
        pacs: Listens where the configuration says that a destination is.
    """

    node: RunningNode
    rest: Client
    decoy: socket.socket
    pacs: socket.socket
    ids: dict[str, str] = field(default_factory=dict)

    def state(self) -> object:
        """Everything that a request could change."""
        asked = ("/instances", "/patients", "/jobs", "/changes", "/modalities?expand")
        return [self.rest.ask("GET", path).body for path in asked]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    """One for the module; afterwards it still ends in order, and has said no value."""
    folder = tmp_path_factory.mktemp("node")
    with contextlib.ExitStack() as stack:
        decoy, pacs = (stack.enter_context(_ear()) for _ in range(2))
        config = CONFIG.format(pacs=pacs.getsockname()[1])
        node = stack.enter_context(RunningNode(folder / "node", config))
        found = Place(node, Client(node.rest_port), decoy, pacs)
        dataset = instances.file(instances.small_ct(), EXPLICIT)
        assert found.rest.ask("POST", "/instances", dataset).status == 200
        for level in ("patients", "studies", "series", "instances"):
            (found.ids[level],) = found.rest.ask("GET", f"/{level}").json
        yield found
    said = node.output.read_text()
    assert node.process.returncode == 0
    assert "Traceback" not in said
    assert "canary" not in said


def _ear() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)
    sock.settimeout(0.0)
    return sock


def callers(ear: socket.socket) -> int:
    """How many have connected since this was last asked."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            ear.accept()[0].close()
            count += 1
    return count


# ---------------------------------------------------------------- T61, T62

FORGED = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example", "Content-Type": "text/plain"},
    {"Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Content-Type": "text/plain"},
    {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
]
FOREIGN_HOSTS = [
    *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8042"),
    *("", ".", "127.0.0.2", "[::1]", "localhost@evil.example", "0", "127.1", "localhost,evil"),
]


def test_a_forged_request_changes_nothing(place, figures):
    """T-FORGED: a page of another origin is told 403, whatever it asks for, and sees nothing."""
    before = place.state()
    asked = [
        ("POST", f"/studies/{place.ids['studies']}/anonymize"),
        ("POST", "/modalities/pacs/store"),
        ("DELETE", f"/patients/{place.ids['patients']}"),
        ("PUT", f"/studies/{place.ids['studies']}/labels/x"),
        ("GET", "/instances"),
        ("OPTIONS", "/instances"),
    ]
    answers = [
        _asked(place, method, path, headers) for headers in FORGED for method, path in asked
    ]

    assert {answer.status for answer in answers} == {403}
    assert not any("access-control-allow-origin" in _names(answer) for answer in answers)
    assert place.state() == before
    assert callers(place.pacs) == 0
    figures("T-FORGED", requests=len(answers), granted=0)


def test_another_name_is_no_way_in(place, figures):
    """T-REBIND: a name that has been bound to this address anew is told 403."""
    before = place.state()
    answers = [
        _asked(place, method, path, {"Host": host})
        for host in FOREIGN_HOSTS
        for method, path in (
            ("GET", "/instances"),
            ("DELETE", f"/patients/{place.ids['patients']}"),
        )
    ]
    raw = [
        b"DELETE /patients/x HTTP/1.0\r\n\r\n",
        b"GET http://evil.example/instances HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /instances HTTP/1.1\r\n\r\n",
        b"GET /instances HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ]
    statuses = [_status_of(place.node.rest_port, one) for one in raw]

    assert {answer.status for answer in answers} <= {400, 403}
    assert set(statuses) <= {400, 403}
    assert place.state() == before
    figures("T-REBIND", requests=len(answers) + len(raw), granted=0)


def _asked(place: Place, method: str, path: str, headers: dict[str, str]) -> Answer:
    return place.rest.ask(method, path, b"{}" if method in {"POST", "PUT"} else None, **headers)


def _names(answer: Answer) -> set[str]:
    return {name.lower() for name in answer.headers}


def _status_of(port: int, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(request)
        return int(sock.recv(1 << 12).split()[1])


# ---------------------------------------------------------------- T63


def test_no_request_says_where_something_is_sent_to(place, figures):
    """T-SSRF: a host or port in a request is refused; nobody is called but who is configured."""
    before = place.state()
    host, port = "127.0.0.1", place.decoy.getsockname()[1]
    instance = place.ids["instances"]
    there = {"AET": "EVIL", "Host": host, "Port": port}
    asked = [
        ("PUT", "/modalities/evil", there),
        ("PUT", "/modalities/pacs", there),
        ("PUT", "/modalities/evil", ["EVIL", host, port]),
        ("DELETE", "/modalities/pacs", None),
        ("POST", "/modalities/evil/store", [instance]),
        ("POST", "/modalities/pacs/store", {"Resources": [instance], **there}),
        ("POST", "/modalities/pacs/store", {"Resources": [instance], "CalledAet": "EVIL"}),
        ("POST", f"/modalities/{host}:{port}/store", [instance]),
        ("POST", f"/modalities/{host}:{port}/echo", there),
        ("POST", "/modalities/pacs/move", {"Resources": [instance], "TargetAet": "EVIL"}),
        ("POST", "/tools/dicom-echo", there),
        ("PUT", "/peers/evil", {"Url": f"http://{host}:{port}/"}),
        ("POST", "/peers/evil/store", [instance]),
        ("POST", "/tools/execute-script", f"http://{host}:{port}/"),
        ("POST", "/instances", {"Url": f"http://{host}:{port}/x"}),
        ("PUT", "/tools/log-level", "verbose"),
    ]
    answers = [place.rest.ask(method, path, json.dumps(body)) for method, path, body in asked]

    assert {answer.status // 100 for answer in answers} == {4}
    assert callers(place.decoy) == 0
    assert callers(place.pacs) == 0
    assert place.state() == before
    figures("T-SSRF", requests=len(asked), obeyed=0)


# ---------------------------------------------------------------- T64


@pytest.fixture
def risen(place):
    """How far the memory of the node has risen since the test began."""
    pid = place.node.process.pid
    base = rss_bytes(pid)
    forget_peak(pid)
    return lambda: peak_bytes(pid) - base


def test_a_body_that_says_that_it_is_too_long_is_not_read(place, risen, figures):
    """T-BODY: ten gigabytes announced are told 413 before a byte of them is asked for."""
    statuses = {}
    for path in ("/instances", "/tools/find", f"/studies/{place.ids['studies']}/modify"):
        for length in (10 * GIB, 1 << 63, 10**30):  # the last is no number to some
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
            statuses[path, length] = _status_of(place.node.rest_port, head.encode())

    assert set(statuses.values()) <= {400, 413}
    assert {status for (_, length), status in statuses.items() if length < 10**30} == {413}
    assert risen() < MEMORY_BYTES
    figures("T-BODY", requests=9, risen_mib=round(risen() / MIB, 1))


@pytest.mark.parametrize("path", ["/tools/find", "/tools/bulk-anonymize"])
def test_a_packed_body_is_not_unpacked_where_nothing_packed_belongs(place, risen, path):
    """T-BODY: a Content-Encoding is not followed; a gigabyte of blanks stays a megabyte."""
    body = gzip.compress(b" " * (500 * MIB), 1)[: MIB - 100_000]
    answer = place.rest.ask("POST", path, body, Content_Encoding="gzip")

    assert 400 <= answer.status < 500
    assert risen() < MEMORY_BYTES


def _zip(*files: tuple[str, bytes], level: int = 6) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return data.getvalue()


def _file_of_zeros(total: int) -> bytes:
    """The beginning of a DICOM file, and zeros."""
    return instances.file(instances.small_ct(), EXPLICIT)[:400] + bytes(total)


def _bombs() -> Iterator[tuple[str, bytes]]:
    zeros = _file_of_zeros(120 * MIB)
    inner, packed = _zip(("a.dcm", zeros)), gzip.compress(zeros, 6)
    yield "a zip of zeros", inner
    yield "a gzip of zeros", packed
    yield "a zip of zips", _zip(*((f"{number}.zip", inner) for number in range(20)))
    yield "a gzip of a gzip", gzip.compress(packed)
    yield "a gzip of a zip", gzip.compress(inner)
    yield "a zip of many files", _zip(*((f"{number}", b"") for number in range(20_000)), level=0)
    yield "a zip of bad names", _zip(("../../../tmp/canary", b"x"), ("/etc/canary", b"x"))
    yield "a deflate without an end", packed[: len(packed) // 2]


def test_an_upload_that_unfolds_costs_no_memory(place, risen, deadline_s, figures):
    """T-UNFOLD: archives of a gigabyte of zeros, of archives, of many files, of odd names."""
    before = place.state()[:2]
    statuses = {}
    bombs = dict(_bombs())
    for name, body in bombs.items():
        connection = HTTPConnection("127.0.0.1", place.node.rest_port, timeout=deadline_s(30))
        with contextlib.closing(connection):
            connection.request("POST", "/instances", body)
            response = connection.getresponse()
            statuses[name] = response.status, response.read()[:60]

    print(
        f"\n{ {name: status for name, (status, _) in statuses.items()} }, {risen() / MIB:.1f} MiB"
    )
    assert not any(status >= 500 for status, _ in statuses.values()), statuses
    assert risen() < MEMORY_BYTES
    assert place.state()[:2] == before
    figures("T-UNFOLD", bombs=len(bombs), risen_mib=round(risen() / MIB, 1))


# ---------------------------------------------------------------- T66

PIECES = (
    *("..", ".", "%2e%2e", "%2f", "/", "%00", "%0d%0a", "\\", "%5c", "%25", "~", "*", "?", ";"),
    *("'", '"', "%27%20OR%201=1--", "%c0%ae", "%ff", "%F0%9F%92%A9", "null", "-1", "0", "a" * 40),
    *("etc", "passwd", "data", "key", "journal.sqlite3", "instances", "canary", "{}", "%7b0%7d"),
    *(
        "file",
        "tags",
        "header",
        "content",
        "attachments",
        "dicom",
        "metadata",
        "labels",
        "x" * 300,
    ),
)
TEMPLATES = (
    *("/instances/{}", "/instances/{}/file", "/instances/{}/tags", "/instances/{}/content/{}"),
    *("/patients/{}", "/studies/{}/archive", "/series/{}/instances", "/studies/{}/metadata/{}"),
    *("/jobs/{}", "/modalities/{}", "/instances/{}/attachments/{}/data", "/studies/{}/labels/{}"),
    *("/{}", "/{}/{}", "/instances/{}/frames/{}/preview", "/patients/{}/shared-tags"),
)


def test_no_identifier_leads_anywhere_else(place, deadline_s, figures):
    """T-ASTRAY: whatever stands for an identifier: 200, 400 or 404, and nothing of the disk."""
    chance = random.Random(66)
    key = (place.node.data / "key").read_bytes().strip()
    pid, before = place.node.process.pid, place.state()
    base = Held.of(pid)
    statuses: dict[int, int] = {}
    connection = HTTPConnection("127.0.0.1", place.node.rest_port, timeout=deadline_s(10))
    with contextlib.closing(connection):
        for _ in range(PATHS):
            status, body = _got(connection, _path(chance, list(place.ids.values())))
            statuses[status] = statuses.get(status, 0) + 1
            assert b"SQLite format" not in body
            assert key not in body
            assert b"root:" not in body

    print(f"\n{statuses}")
    assert set(statuses) <= {200, 301, 307, 400, 404, 405}
    assert statuses[404] > PATHS // 2
    assert place.state() == before
    assert until(lambda: Held.of(pid).files <= base.files + 4, deadline_s(10))
    figures("T-ASTRAY", requests=PATHS, astray=0)


def _path(chance: random.Random, ids: list[str]) -> str:
    template = chance.choice(TEMPLATES)
    made = ["".join(chance.choices(PIECES, k=chance.choice((1, 1, 2, 4)))) for _ in range(2)]
    if chance.random() < 0.2:
        one = chance.choice(ids)
        made[0] = chance.choice((one, one.upper(), one[:-1], f"{one}x", f"{one}%00", f"{one}/.."))
    return template.format(*made)


def _got(connection: HTTPConnection, path: str) -> tuple[int, bytes]:
    try:
        connection.putrequest("GET", path.replace(" ", "%20"), skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    except (HTTPException, OSError):
        connection.close()  # it hangs up on what is no request at all
        return 400, b""

"""What a client hears of whatever goes wrong."""

from __future__ import annotations

import io
import json

import pytest

from scp import logs
from scp.api.errors import Code, code_of
from scp.archive.job import Status
from tests.scp.api.serving import CANARY, Client, guard, served, small_app


@pytest.fixture(scope="module")
def client():
    """Of an application that fails."""
    with served(small_app(guard())) as server:
        yield Client(server.address[1])


def test_a_fault_is_described_as_orthanc_describes_it(client):
    """Every field, in plain text that is pretty JSON."""
    told = client.ask("POST", "/fails/fault", b"")

    assert told.status == 400
    assert told.headers["content-type"].startswith("text/plain")
    assert told.json == {
        "Details": "A sentence",
        "HttpError": "Bad Request",
        "HttpStatus": 400,
        "Message": "Bad request",
        "Method": "POST",
        "OrthancError": "Bad request",
        "OrthancStatus": 8,
        "Uri": "/fails/fault",
    }
    assert told.body.startswith(b'{\n   "Details" : ')


@pytest.mark.parametrize(
    ("how", "status", "number"),
    [("space", 507, 19), ("journal", 500, 11), ("refused", 400, 2018), ("unreadable", 400, 15)],
)
def test_an_error_of_the_node_has_its_number(client, how, status, number):
    """And no sentence where it is the node's own business."""
    told = client.ask("POST", f"/fails/{how}", b"")

    assert (told.status, told.json["OrthancStatus"]) == (status, number)
    assert ("Details" in told.json) == (status == 400)


def test_an_error_nobody_foresaw_is_500_and_says_nothing(client):
    """Neither to the client nor to the log: its type and place at most."""
    written = io.StringIO()
    logs.configure(written, strict=True)

    told = client.ask("POST", "/fails/unforeseen", b"")

    assert (told.status, told.json["OrthancStatus"]) == (500, -1)
    assert "Details" not in told.json
    assert CANARY.encode() not in told.body
    (line,) = [json.loads(line) for line in written.getvalue().splitlines()]
    assert line["error"] == "RuntimeError"
    assert CANARY not in str(line)


@pytest.mark.parametrize("path", ["/nothing", "/things", "/things/1/2"])
def test_an_address_that_leads_nowhere_has_no_body(client, path):
    """404, as the router of Orthanc answers."""
    told = client.ask("GET", path)

    assert (told.status, told.body) == (404, b"")


def test_a_thing_that_is_not_there_has_no_body(client):
    """404 as well."""
    told = client.ask("POST", "/fails/missing", b"")

    assert (told.status, told.body) == (404, b"")


def test_a_method_that_is_unknown_is_told_those_that_are(client):
    """All of them, be they of several routes."""
    told = client.ask("PUT", "/things/1", b"")

    assert (told.status, told.body) == (405, b"")
    assert told.headers["allow"] == "DELETE, GET"


def test_a_parameter_that_is_no_number_is_named_and_not_quoted(client):
    """What was written may be anything."""
    told = client.ask("GET", f"/count?since={CANARY}")

    assert (told.status, told.json["OrthancStatus"]) == (400, 3)
    assert "since" in told.json["Details"]
    assert CANARY.encode() not in told.body


def test_every_code_has_a_message():
    """And an unknown number is an internal error."""
    assert all(code.message for code in Code)
    assert code_of(12345) is Code.INTERNAL
    assert code_of(17) is Code.UNKNOWN_RESOURCE


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.SUCCESS])
def test_whatever_ends_a_job_has_its_own_code(status):
    """With the same number and sentence."""
    assert code_of(status) == status
    assert code_of(status).message == status.sentence

"""/jobs: lists, one of them, and what can be done to it."""

from __future__ import annotations

import socket
from http.client import HTTPConnection

import pytest

from scp.archive.identifiers import identifier
from tests.instances import ROOT
from tests.scp.api.archiving import archive, patient
from tests.scp.api.noding import api

STUDY = identifier("P", f"{ROOT}.1")
CONFIG = """\
version: 1
destinations:
  silent: {{ae_title: SILENT, host: 127.0.0.1, port: {port}}}
routes: [{{from: "*", profile: basic}}]
rest: {{listen: "127.0.0.1:0", profile: keep-all}}
"""
MORE_THAN_THREADS = 45


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node on which one job has succeeded."""
    with api(tmp_path_factory.mktemp("node")) as running:
        running.upload()
        running.post(f"/studies/{STUDY}/anonymize", {"Priority": 3})
        yield running


def test_jobs_are_listed_and_expanded(node):
    """By identifier, or with all that is said of each but the moment."""
    (id_,) = node.get("/jobs")
    (line,) = node.get("/jobs?expand")
    single = node.get(f"/jobs/{id_}")

    assert {**line, "Timestamp": ""} == {**single, "Timestamp": ""}
    assert single["Priority"] == 3
    assert single["State"] == "Success"
    assert (single["ErrorCode"], single["ErrorDescription"]) == (0, "Success")
    assert len(single["CreationTime"]) == len("20261122T091707.177250")
    assert "UserData" not in single


def test_a_job_that_has_ended_cannot_be_stopped_and_nobody_minds(node):
    """200 without effect, as in Orthanc."""
    (id_,) = node.get("/jobs")

    for action in ("cancel", "pause"):
        assert node.post(f"/jobs/{id_}/{action}", {}) == {}
    assert node.get(f"/jobs/{id_}")["State"] == "Success"


@pytest.mark.parametrize("action", ["resume", "resubmit"])
def test_a_job_that_has_succeeded_is_not_done_again(node, action):
    """400 without a body."""
    (id_,) = node.get("/jobs")
    told = node.ask("POST", f"/jobs/{id_}/{action}", b"")

    assert (told.status, told.body) == (400, b"")


def test_a_job_that_has_ended_can_be_forgotten(node):
    """Once."""
    kept = node.get("/jobs")
    node.post(f"/studies/{STUDY}/anonymize", {})
    (id_,) = set(node.get("/jobs")) - set(kept)

    assert node.ask("DELETE", f"/jobs/{id_}").status == 200
    assert node.get("/jobs") == kept
    again = node.ask("DELETE", f"/jobs/{id_}")
    assert (again.status, again.json["OrthancStatus"]) == (404, 7)
    assert again.json["Details"] == "No job found with this id"


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "resubmit"])
def test_an_unknown_job_has_no_actions(node, action):
    """400 without a body; GET is 404."""
    told = node.ask("POST", f"/jobs/nobody/{action}", b"")

    assert (told.status, told.body) == (400, b"")
    assert node.ask("GET", "/jobs/nobody").status == 404


def test_whoever_waits_for_a_job_takes_no_thread(tmp_path):
    """Nor does who has gone away, whose job goes on; the others are told how it ended."""
    peer = socket.create_server(("127.0.0.1", 0))
    with archive(tmp_path, CONFIG.format(port=peer.getsockname()[1])) as node:
        id_ = node.upload(patient(1))
        waiting = [stored_at(node, "silent", id_) for _ in range(MORE_THAN_THREADS)]
        while len(node.ask("GET", "/jobs")) < MORE_THAN_THREADS:
            pass
        for one in waiting[1:]:
            one.close()
        assert not [one for one in node.ask("GET", "/jobs?expand") if "CompletionTime" in one]
        peer.close()

        told = waiting[0].getresponse()
        assert (told.status, b'"OrthancStatus" : 9' in told.read()) == (500, True)
        waiting[0].close()
        ended = [node.services.jobs.wait(one, 30) for one in node.ask("GET", "/jobs")]
        assert {one.error.status for one in ended} == {9}


def stored_at(node, name: str, id_: str) -> HTTPConnection:
    """A client that has asked for a store, and waits."""
    client = HTTPConnection("127.0.0.1", node.client.port, timeout=30)
    client.request("POST", f"/modalities/{name}/store", id_)
    return client

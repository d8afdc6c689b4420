"""What the node says of itself, and its small tools."""

from __future__ import annotations

import re

import pytest

from scp import __version__
from tests.scp.api.noding import api


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node that holds nothing."""
    with api(tmp_path_factory.mktemp("node")) as running:
        yield running


def test_it_speaks_the_level_of_orthanc_and_says_who_it_is(node):
    """Clients look at Version; people look at the name."""
    said = node.get("/system")

    assert (said["Version"], said["Name"]) == ("1.13.0", "Anonode")
    assert said["AnonodeVersion"] == __version__
    assert said["DicomAet"] == "ANONODE"
    assert said["DicomPort"] == node.node.port
    assert said["HttpPort"] == node.client.port
    assert said["IsHttpServerSecure"] is False


def test_it_counts_what_is_stored(node):
    """Sizes in bytes are texts, as in Orthanc."""
    said = node.get("/statistics")

    assert said["CountInstances"] == 0
    assert said["TotalDiskSize"] == "0"
    assert said["TotalDiskSizeMB"] == 0


@pytest.mark.parametrize("path", ["/tools/now", "/tools/now-local"])
def test_it_tells_the_time(node, path):
    """Date and time in one text."""
    told = node.ask("GET", path)

    assert told.headers["content-type"].startswith("text/plain")
    assert re.fullmatch(rb"\d{8}T\d{6}", told.body)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_new_uid_is_valid_and_new(node, level):
    """Under 2.25, thus of nobody's root."""
    made = [node.ask("GET", f"/tools/generate-uid?level={level}").body for _ in "12"]

    assert all(re.fullmatch(rb"2\.25\.[1-9]\d{10,38}", uid) for uid in made)
    assert made[0] != made[1]


def test_a_new_patient_identifier_is_no_uid(node):
    """A random text."""
    assert re.fullmatch(
        rb"[0-9a-f-]{36}", node.ask("GET", "/tools/generate-uid?level=patient").body
    )


@pytest.mark.parametrize("query", ["", "?level=", "?level=frame"])
def test_a_level_that_is_none_is_refused(node, query):
    """Parameter out of range."""
    told = node.ask("GET", f"/tools/generate-uid{query}")

    assert (told.status, told.json["OrthancStatus"]) == (400, 3)

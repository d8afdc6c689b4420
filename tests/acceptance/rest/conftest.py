"""A node of our own, started as `make run` starts it, and Debian's Orthanc beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.rest.asking import CONFIG, Server
from tests.acceptance.rest.orthanc import running_orthanc
from tests.acceptance.running import RunningNode

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def node(peer, tmp_path_factory) -> Iterator[RunningNode]:
    """One for all tests of a module; what it prints is looked at when it has ended."""
    peer("curl")
    with RunningNode(tmp_path_factory.mktemp("node"), CONFIG) as started:
        yield started
    assert "Traceback" not in started.output.read_text()


@pytest.fixture(scope="module")
def ours(node, tmp_path_factory) -> Server:
    """Its REST API."""
    return Server(node.rest_port, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(peer, tmp_path_factory) -> Iterator[Server]:
    """The REST API of Debian's Orthanc; skipped by name where it is not installed."""
    with running_orthanc(peer("Orthanc"), tmp_path_factory.mktemp("orthanc")) as server:
        yield server

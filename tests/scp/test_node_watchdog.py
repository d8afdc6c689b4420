"""The node says that it is alive only while all of it is; a part of it is wedged by hand."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from scp import watchdog
from scp.config import parse_config
from scp.disk import Disk
from scp.journal import Writer
from scp.node import Node
from scp.notify import ServiceManager
from scp.sender import SenderAssociation
from tests import instances
from tests.encoded import EXPLICIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0", drain_s: 1}
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 1}
routes: [{from: CT1, profile: basic, forward: [pacs]}]
"""
PATIENCE_S = 3.0
STILL_S = 0.5
CONTEXT = (instances.CT_IMAGE, EXPLICIT)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The end of the conversation that systemd holds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        yield channel


@contextmanager
def running(folder: Path, manager: socket.socket) -> Iterator[Node]:
    """A node whose watchdog waits for some seconds."""
    node = Node(
        parse_config(CONFIG, "config.yaml", folder),
        bytes(32),
        manager=ServiceManager(manager.getsockname(), PATIENCE_S),
    )
    node.start()
    yield node
    node.stop()


def is_fed(manager: socket.socket, within_s: float) -> bool:
    """Whether the watchdog hears from the node within a time."""
    manager.settimeout(within_s)
    try:
        return manager.recv(64) == b"WATCHDOG=1"
    except TimeoutError:
        return False


def hears_nothing_any_more(manager: socket.socket) -> bool:
    """Whether feeding stops, after what was on its way, for longer than systemd would wait."""
    return any(not is_fed(manager, PATIENCE_S) for _ in range(3))


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(Writer, "transaction", id="commit"),
        pytest.param(Disk, "sync", id="sync"),
    ],
)
def test_a_disk_that_hangs_ends_the_feeding(
    tmp_path, manager, monkeypatch, deadline_s: Callable[[float], float], owner, name
):
    """The node would accept, and answer nobody. Once the disk moves again, it is fed again."""
    monkeypatch.setattr(watchdog, "DISK_S", STILL_S)
    hangs, go_on = threading.Event(), threading.Event()
    moves = getattr(owner, name)

    def hang(*arguments: object) -> None:
        hangs.set()
        go_on.wait(60)
        moves(*arguments)

    with running(tmp_path, manager) as node:
        assert is_fed(manager, deadline_s(PATIENCE_S))
        assert is_fed(manager, deadline_s(PATIENCE_S))
        monkeypatch.setattr(owner, name, hang)
        sender = threading.Thread(target=store, args=[node.port])
        sender.start()
        assert hangs.wait(deadline_s(10))
        assert hears_nothing_any_more(manager)
        go_on.set()
        assert is_fed(manager, deadline_s(10))
        sender.join(deadline_s(10))


def test_a_listener_whose_thread_has_died_ends_the_feeding(tmp_path, manager, monkeypatch):
    """Connections would wait in the kernel for ever."""
    monkeypatch.setattr(watchdog, "LISTENER_S", STILL_S)
    monkeypatch.setattr("scp.listener._TURN_S", STILL_S / 5)
    with running(tmp_path, manager) as node:
        assert is_fed(manager, 2 * PATIENCE_S)

        node._listeners[0]._node.drain.set()

        assert hears_nothing_any_more(manager)


def test_a_forwarder_whose_thread_has_died_ends_the_feeding(tmp_path, manager):
    """Its destination would get nothing for ever."""
    with running(tmp_path, manager) as node:
        assert is_fed(manager, 2 * PATIENCE_S)

        worker = node._forwarder._workers["pacs"]
        worker.stopping.set()
        worker.wake()

        assert hears_nothing_any_more(manager)


def store(port: int) -> None:
    """Send one instance."""
    dataset = instances.dataset(instances.ct(32, 32), EXPLICIT)
    uid = f"{instances.ROOT}.1.1.1"
    with SenderAssociation(("127.0.0.1", port), "CT1", "ANONODE", [CONTEXT]) as association:
        assert association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset]) == 0

"""`run`: the node, until it is told to stop."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import typer

from scp import logs
from scp.cli.options import ConfigOption, configuration, key_for_good
from scp.node import Node
from scp.notify import ServiceManager, adopt_sockets

if TYPE_CHECKING:
    from types import FrameType

SOCKET_NAME = "dicom"
"""FileDescriptorName= of the socket unit."""


def run(*, config: ConfigOption = None) -> None:
    """Start the node and leave it up; SIGTERM or Ctrl-C drains it and ends it."""
    logs.configure()
    loaded = configuration(config)
    manager = ServiceManager.from_environment(os.environ)
    adopted = adopt_sockets(os.environ, pid=os.getpid()).get(SOCKET_NAME, ())
    node = Node(loaded, key_for_good(loaded), sockets=adopted)
    stopping = node.stopping
    _on_signals(stopping)
    node.start()
    manager.ready(_status(node))
    stopping.wait()
    manager.stopping("draining", grace_s=loaded.node.drain_s)
    clean = node.stop()
    if not clean:
        # A thread that hangs in the system cannot be ended; everything acknowledged is safe.
        os._exit(1)
    if node.failed:
        raise typer.Exit(1)


def _status(node: Node) -> str:
    rest = node.rest_address
    answering = f", answering HTTP on {rest[0]}:{rest[1]}" if rest else ""
    return f"receiving on {node.addresses}{answering}"


def _on_signals(stopping: threading.Event) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

"""`run`: the node, until it is told to stop.

- SIGTERM and SIGINT stop it: what is under way has the grace, then everything ends. One is enough,
  and more do no harm.
- SIGHUP makes it read the configuration again.
- Whatever happens, the process ends: what hangs in the system then is not waited for.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from scp import logs
from scp.cli.options import ConfigOption, configuration, key_for_good
from scp.cli.orders import Order, Orders
from scp.cli.reloading import reload
from scp.node import Node
from scp.notify import ServiceManager, adopt_sockets

if TYPE_CHECKING:
    from scp.settings import Config

SOCKET_NAME = "dicom"
"""FileDescriptorName= of the socket unit."""
_LAST_S: Final = 10.0
"""Behind the grace of a stop: after so long the system ends the process."""


def run(*, config: ConfigOption = None) -> None:
    """Start the node and leave it up; SIGTERM or Ctrl-C drains it, SIGHUP reads CONFIG again."""
    logs.configure()
    orders = Orders()
    orders.on(signal.SIGHUP)
    loaded = configuration(config)
    manager = ServiceManager.from_environment(os.environ, pid=os.getpid())
    adopted = adopt_sockets(os.environ, pid=os.getpid()).get(SOCKET_NAME, ())
    key = key_for_good(loaded)
    node = Node(loaded, key, sockets=adopted, manager=manager, on_failure=orders.stop)
    orders.on(signal.SIGTERM, signal.SIGINT)
    node.start()
    manager.ready(_status(node))
    while orders.next() is Order.RELOAD:
        manager.reloading("reading the configuration again")
        said = reload(node, config or _file_of(loaded), key)
        manager.ready(f"{_status(node)}; {said}")
    _stop(node, manager)


def _status(node: Node) -> str:
    rest = node.rest_address
    answering = f", answering HTTP on {rest[0]}:{rest[1]}" if rest else ""
    return f"receiving on {node.addresses}{answering}"


def _file_of(loaded: Config) -> Path | None:
    """The file that was read at the start; it is not replaced by another when it is gone."""
    return None if loaded.is_embedded else Path(loaded.file)


def _stop(node: Node, manager: ServiceManager) -> NoReturn:
    """Drain, and end the process: at the latest by an alarm that nobody catches."""
    manager.stopping("draining", grace_s=node.grace_s + _LAST_S)
    signal.setitimer(signal.ITIMER_REAL, node.grace_s + _LAST_S)
    clean = node.stop()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Threads that hang in the system cannot be ended; everything acknowledged is safe.
    os._exit(0 if clean and not node.has_failed else 1)

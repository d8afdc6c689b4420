"""TCP connections out: each attempt has an end, and a stop of the node ends it at once."""

from __future__ import annotations

import errno
import math
import os
import select
import socket
from typing import TYPE_CHECKING

from scp.errors import Stopping

if TYPE_CHECKING:
    from scp.wire import Signal


def dial(address: tuple[str, int], within_s: float, stop: Signal | None) -> socket.socket:
    """Connect to a host by the first of its addresses that answers.

    Args:
        address: Host and port.
        within_s: How long each address may take.
        stop: Interrupts the wait.

    Raises:
        TimeoutError: The last address did not answer.
        OSError: It cannot be reached, or the host has none.
        Stopping: The node is about to stop.
    """
    failure = OSError("the host has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        try:
            # The system may lack the family of an address that a name has.
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            _connect(sock, place, within_s, stop)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _connect(
    sock: socket.socket, place: tuple[object, ...], within_s: float, stop: Signal | None
) -> None:
    sock.settimeout(0.0)
    code = sock.connect_ex(place)
    if code == errno.EINPROGRESS:
        _await(sock, within_s, stop)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _await(sock: socket.socket, within_s: float, stop: Signal | None) -> None:
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    if stop is not None:
        poller.register(stop, select.POLLIN)
    ready = poller.poll(math.ceil(within_s * 1000))
    if not ready:
        raise TimeoutError
    if any(fd != sock.fileno() for fd, _ in ready):
        raise Stopping("the node is stopping")

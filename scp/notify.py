"""What the node and systemd say to each other; without systemd, nothing is said.

Promises:

* Only the process that was addressed takes part: the variables are removed from the environment,
  so that a child neither speaks for the node nor adopts its sockets.
* A listening socket is adopted by its name, never by its place in a list.
* Whether the node is alive is for `watchdog` to judge; here it is only said.
* Telling systemd never fails the node: a lost message costs a status line, not an instance.

Source: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scp.errors import ScpError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

FIRST_PASSED_FD = 3
"""SD_LISTEN_FDS_START: passed descriptors follow standard input, output and error."""

_UNNAMED = "unknown"
_LONGEST_STATUS = 400


class ActivationError(ScpError):
    """The sockets that were passed to the node are not what the variables say."""


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The way to systemd, or to nobody.

    Attributes:
        address: Path of the datagram socket, or `@name` of an abstract one; `None` means that
            nobody listens and every message is dropped.
        watchdog_s: Within how many seconds it wants to hear `alive` again and again; `None` if
            it does not wait for it.
    """

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str], *, pid: int) -> ServiceManager:
        """Take the address and the patience of the watchdog out of the environment.

        Args:
            environ: Loses `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, so that children
                do not speak for the node.
            pid: Of this process. A watchdog that waits for another one is not ours to feed.
        """
        usec = environ.pop("WATCHDOG_USEC", "")
        waits_for = environ.pop("WATCHDOG_PID", "") or str(pid)
        patience_s = _seconds(usec) if waits_for == str(pid) else None
        return cls(environ.pop("NOTIFY_SOCKET", None) or None, patience_s)

    def ready(self, status: str) -> bool:
        """Tell that the node receives, at first or again after `reloading`."""
        return self._send("READY=1", f"STATUS={_one_line(status)}")

    def reloading(self, status: str) -> bool:
        """Tell that the configuration is being read again; `ready` must follow."""
        now_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._send(
            "RELOADING=1", f"MONOTONIC_USEC={now_usec}", f"STATUS={_one_line(status)}"
        )

    def stopping(self, status: str, *, grace_s: float = 0.0) -> bool:
        """Tell that the node drains and ends.

        Args:
            status: What it waits for.
            grace_s: How long this may take from now; zero leaves the unit's own limit.
        """
        lines = ["STOPPING=1", f"STATUS={_one_line(status)}"]
        if grace_s > 0:
            lines.append(f"EXTEND_TIMEOUT_USEC={round(grace_s * 1_000_000)}")
        return self._send(*lines)

    def alive(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1")

    def status(self, status: str) -> bool:
        """Show one line in `systemctl status`."""
        return self._send(f"STATUS={_one_line(status)}")

    def _send(self, *lines: str) -> bool:
        """Whether somebody was told."""
        if self.address is None:
            return False
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                # Blocking here would let a stuck manager stop the node.
                channel.settimeout(0)
                channel.sendto("\n".join(lines).encode(), address)
        except (OSError, ValueError):
            return False
        return True


def adopt_sockets(
    environ: MutableMapping[str, str], *, pid: int, first_fd: int = FIRST_PASSED_FD
) -> Mapping[str, tuple[socket.socket, ...]]:
    """Take over the listening sockets that systemd opened.

    Args:
        environ: Loses `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`, whoever they address.
        pid: Of this process. Sockets meant for another process are left alone.
        first_fd: Number of the first passed descriptor.

    Returns:
        The sockets by the name that their unit gives them (`FileDescriptorName=`), in its order;
        one name may own several. Empty without socket activation.

    Raises:
        ActivationError: The variables contradict each other, or a descriptor is not a listening
            stream socket.
    """
    wanted_pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "")
    if wanted_pid != str(pid) or not count:
        return {}
    adopted: dict[str, tuple[socket.socket, ...]] = {}
    for offset, name in enumerate(_names(count, names)):
        adopted[name] = (*adopted.get(name, ()), _listening(first_fd + offset, name))
    return adopted


def _names(count: str, names: str) -> list[str]:
    if not count.isascii() or not count.isdecimal():
        raise ActivationError("LISTEN_FDS is not a number")
    if not names:
        return [_UNNAMED] * int(count)
    listed = names.split(":")
    if len(listed) != int(count):
        raise ActivationError("LISTEN_FDNAMES does not name as many sockets as LISTEN_FDS counts")
    return listed


def _listening(fd: int, name: str) -> socket.socket:
    try:
        adopted = socket.socket(fileno=fd)
    except OSError as error:
        raise ActivationError(f"descriptor {fd} ({name}) is not an open socket") from error
    os.set_inheritable(fd, False)  # noqa: FBT003 - the call has no keyword
    if (
        adopted.family not in (socket.AF_INET, socket.AF_INET6)
        or adopted.type != socket.SOCK_STREAM
        or not adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        adopted.detach()
        raise ActivationError(f"descriptor {fd} ({name}) is not a listening TCP socket")
    # systemd passes non-blocking sockets when a unit asks for it; the listener blocks.
    adopted.settimeout(None)
    return adopted


def _seconds(usec: str) -> float | None:
    """A number of microseconds in seconds; None for zero and for what is no number."""
    is_number = usec.isascii() and usec.isdecimal()
    return int(usec) / 1_000_000 or None if is_number else None


def _one_line(text: str) -> str:
    """Keep a status from ending its line and beginning another message."""
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_STATUS]

"""What an address was to be bound for, said where it cannot be: the system names neither."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def bound_for(key: str, address: tuple[str, int] | socket.socket) -> Iterator[None]:
    """Put a key of the configuration and its address where an error of the system has a file.

    Args:
        key: Such as `node.listen`.
        address: Host and port, or a socket that was handed over instead.

    Raises:
        OSError: as the block does.
    """
    try:
        yield
    except OSError as error:
        error.filename = f"{key} {_described(address)}"
        raise


def _described(address: tuple[str, int] | socket.socket) -> str:
    if isinstance(address, socket.socket):
        return "by a socket that was handed over"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

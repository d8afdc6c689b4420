"""A loop of forwarding ends where it closes: nothing goes back to where it comes from.

1. A destination that is this node itself is a mistake of the configuration (`is_own`).
2. What a destination sends is not forwarded back to it (`sent_by`): it calls itself what it is
   called, and calls from one of its addresses. Both count, because many things are called alike.
3. What a destination was sent and somebody sends back is known by its UID, see `scp.ingest`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from scp.routes import parsed_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Address, IPv6Address

    from scp.settings import Destination

Address = tuple[str, int]
"""Host and port."""


def is_own(destination: Address, listening: Address) -> bool:
    """Whether who calls a destination surely reaches an address that this node listens on."""
    (host, port), (own, own_port) = destination, listening
    if port != own_port:
        return False
    return host == own or (_is_local(host) and (_is_local(own) or _is_every(own)))


def sent_by(
    destinations: Iterable[Destination], calling_ae: str, address: str
) -> Iterator[Destination]:
    """Those of the destinations that a peer is.

    Args:
        destinations: Where its instances would go.
        calling_ae: What the peer calls itself; surrounding blanks do not count.
        address: Its IP address, without a port.
    """
    for destination in destinations:
        # Names are looked up for those only that are called alike: hardly ever.
        if destination.ae_title == calling_ae.strip(" ") and _has(destination.host, address):
            yield destination


def _has(host: str, address: str) -> bool:
    with suppress(ValueError):
        return parsed_address(address) in _addresses_of(host)
    return False


def _addresses_of(host: str) -> set[IPv4Address | IPv6Address]:
    """The addresses of a host; none if its name cannot be resolved now."""
    with suppress(OSError, UnicodeError):
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return {parsed_address(str(place[0])) for *_, place in found}
    return set()


def _is_local(host: str) -> bool:
    with suppress(ValueError):
        return parsed_address(host).is_loopback
    return host.lower() == "localhost"


def _is_every(host: str) -> bool:
    with suppress(ValueError):
        return parsed_address(host).is_unspecified
    return False

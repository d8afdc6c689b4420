"""A loop of forwarding ends where it closes: nothing goes back to where it comes from.

1. A destination that is this node itself is a mistake of the configuration (`own_of`); one that
   only a resolver or a router knows to be this node is found out by the third.
2. What a destination sends is not forwarded back to it (`sent_by`): it calls itself what it is
   called, and calls from one of its addresses. Both count, because many things are called alike.
3. What a destination was sent and somebody sends back is known by its UID, see `scp.ingest`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from scp.routes import parsed_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from ipaddress import IPv4Address, IPv6Address

    from scp.settings import Destination

Address = tuple[str, int]
"""Host and port."""

_V6: Final = 6
_ANY_PORT: Final = 9
"""Of the service that discards what it gets (RFC 863); it gets nothing."""


def own_of(destinations: Iterable[Destination], listening: Collection[Address]) -> list[str]:
    """Names of those that surely are this node, which listens on these addresses."""
    return [
        one.name
        for one in destinations
        if any(is_own((one.host, one.port), address) for address in listening)
    ]


def is_own(destination: Address, listening: Address) -> bool:
    """Whether who calls a destination surely reaches an address that this node listens on."""
    (host, port), (own, own_port) = destination, listening
    if port != own_port:
        return False
    host, own = _plain(host), _plain(own)
    if host == own:
        return True
    if not is_every(own):
        return _is_local(host) and _is_local(own)
    # Who listens on 0.0.0.0 is not reached over IPv6.
    return _is_local(host) or ((":" in own or ":" not in host) and _is_of_this_machine(host))


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


def _plain(host: str) -> str:
    """The one spelling of a name or of an address."""
    with suppress(ValueError):
        return str(parsed_address(host))
    return host.lower().removesuffix(".")


def _is_local(host: str) -> bool:
    """Whether a call of it stays on this machine; that of an unspecified address does."""
    with suppress(ValueError):
        parsed = parsed_address(host)
        return parsed.is_loopback or parsed.is_unspecified
    return host == "localhost"


def _is_of_this_machine(host: str) -> bool:
    """Whether it is an address of this machine, or its name; no resolver is asked.

    The system calls an address of its own from that address itself. Nothing is sent.
    """
    try:
        parsed = parsed_address(host)
    except ValueError:
        return host == _plain(socket.gethostname())
    family = socket.AF_INET6 if parsed.version == _V6 else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((host, _ANY_PORT))
        return parsed_address(str(sock.getsockname()[0])) == parsed
    return False


def is_every(host: str) -> bool:
    """Whether who listens on it listens on every interface."""
    with suppress(ValueError):
        return parsed_address(host).is_unspecified
    return False

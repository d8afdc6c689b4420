"""Routes: which associations they take, and where their instances go.

What a route cannot decide (an address that is none) is not taken.
An AE title is what a peer says of itself; its address and its certificate are what it cannot.

Source: PS3.8 9.3.2 (AE titles of an association).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address

Network = IPv4Network | IPv6Network

_FINGERPRINT_DIGITS = 64
_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a peer has proved to be, over TLS.

    Attributes:
        fingerprint: SHA-256 of the certificate, in hexadecimal, lower case.
        names: Its names, in lower case: host names, addresses, URIs and mail addresses of
            Subject Alternative Name; the common names of the subject if there are none.
    """

    fingerprint: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Route:
    """Who may send, what is done to it, and where it goes.

    Attributes:
        calling: Calling AE titles, in which `*` and `?` stand for characters.
        called: The called AE title it wants; None for any.
        peers: Addresses that may use it; empty for any.
        profile: Name of the profile.
        store: Whether an instance stays once every destination has it.
        forward: Names of destinations.
        certificates: Fingerprints and names of certificates that may use it, written as in
            `Certificate`; empty for any certificate and for none.
    """

    calling: tuple[str, ...]
    called: str | None
    peers: tuple[Network, ...]
    profile: str
    store: bool
    forward: tuple[str, ...]
    certificates: tuple[str, ...] = ()

    def takes(self, calling_ae: str) -> bool:
        """Whether a calling AE title is one of its own; case counts, padding does not."""
        title = calling_ae.strip(" ")
        return any(fnmatchcase(title, pattern) for pattern in self.calling)

    def answers_to(self, called_ae: str) -> bool:
        """Whether a called AE title is the one it wants, if it wants any."""
        return self.called is None or self.called == called_ae.strip(" ")

    def admits(self, address: str) -> bool:
        """Whether an address may use it; what is no address may not, where it matters."""
        if not self.peers:
            return True
        try:
            parsed = parsed_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.peers)

    def trusts(self, certificate: Certificate | None) -> bool:
        """Whether a certificate may use it; a peer without one may not, where it matters."""
        if not self.certificates:
            return True
        if certificate is None:
            return False
        # What looks like a fingerprint is one, whatever names an authority has signed.
        return any(
            one == certificate.fingerprint if is_fingerprint(one) else one in certificate.names
            for one in self.certificates
        )


@dataclass(frozen=True, slots=True)
class RouteMiss:
    """Why no route is for an association: `calling`, `called`, `address`, `certificate`."""

    what: str


def is_fingerprint(text: str) -> bool:
    """Whether it is SHA-256 in hexadecimal, in lower case."""
    return len(text) == _FINGERPRINT_DIGITS and set(text) <= _DIGITS


def covering(earlier: list[Route], later: Route) -> list[int]:
    """Which routes surely take every association of a later one, alone or together.

    Returns:
        Numbers of the routes, in their order; none if something may be left for the later one.
    """
    alone = next((n for n, route in enumerate(earlier) if covers(route, later)), None)
    if alone is not None:
        return [alone]
    found: set[int] = set()
    for part in _parts(later):
        one = next((n for n, route in enumerate(earlier) if covers(route, part)), None)
        if one is None:
            return []
        found.add(one)
    return sorted(found)


def _parts(route: Route) -> Iterator[Route]:
    """The route for one title, one network and one certificate at a time."""
    peers: list[tuple[Network, ...]] = [(one,) for one in route.peers] or [()]
    certificates: list[tuple[str, ...]] = [(one,) for one in route.certificates] or [()]
    for calling, peer, certificate in product(route.calling, peers, certificates):
        yield replace(route, calling=(calling,), peers=peer, certificates=certificate)


def covers(earlier: Route, later: Route) -> bool:
    """Whether every association of the later route is surely one of the earlier."""
    titles = all(
        any(_glob_covers(wide, narrow) for wide in earlier.calling) for narrow in later.calling
    )
    called = earlier.called is None or earlier.called == later.called
    peers = not earlier.peers or (
        bool(later.peers)
        and all(any(_holds(wide, one) for wide in earlier.peers) for one in later.peers)
    )
    certificates = not earlier.certificates or (
        bool(later.certificates) and set(later.certificates) <= set(earlier.certificates)
    )
    return titles and called and peers and certificates


def _glob_covers(wide: str, narrow: str) -> bool:
    """Whether all that `narrow` matches is matched by `wide`; False where it is not plain.

    A `*` of `wide` may stand for a wildcard of `narrow`; a `?` may not, because `*` is longer.
    """
    if wide == narrow:
        return True
    plain = not set(narrow) & set("*?")
    return (plain or "?" not in wide) and fnmatchcase(narrow, wide)


def _holds(wide: Network, narrow: Network) -> bool:
    if isinstance(wide, IPv4Network):
        return isinstance(narrow, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)


def parsed_address(text: str) -> IPv4Address | IPv6Address:
    """An address of a socket: without a zone, and IPv4 where IPv6 carries it."""
    parsed = ip_address(text.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed

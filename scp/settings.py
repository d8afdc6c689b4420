"""What config.yaml says, as the node uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scp.routes import RouteMiss

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rules.profile import Profile
    from scp.routes import Route

SYSTEMD: Final = "systemd"
"""`credentials:` of a REST API whose users systemd hands over."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The node itself.

    Attributes:
        ae_title: Its own AE title, as calling AE title of what it sends.
        host: The address or host name it listens on; 0.0.0.0 or :: is every interface.
        port: 0 for any free one.
        data: The folder of instances, journal and key.
        sop_classes: SOP Class UIDs it accepts beyond the standard's storage classes.
        associations: Open at once, all peers together.
        associations_per_address: Open at once from one address.
        idle_s: The longest silence between two messages.
        drain_s: How long messages under way may take at the stop.
        message_bytes: The longest dataset.
        header_bytes: The longest part of a dataset outside its pixel data.
        in_flight_bytes: Held in memory for all associations together, outside pixel data.
    """

    ae_title: str
    host: str
    port: int
    data: Path
    sop_classes: frozenset[str]
    associations: int
    associations_per_address: int
    idle_s: float
    drain_s: float
    message_bytes: int
    header_bytes: int
    in_flight_bytes: int


@dataclass(frozen=True, slots=True)
class RestConfig:
    """The REST API.

    Attributes:
        host: The address or host name it listens on.
        port: 0 for any free one.
        profile: Name of the profile that uploads go through.
        hosts: Names by which it may be asked for, in lower case, beside its address.
        credentials: The file of users; `SYSTEMD` for the one that systemd hands over; None where
            whoever reaches the address may ask, unless systemd hands one over all the same.
        tls_certificate: PEM file of the certificate and its chain; None for plain HTTP.
        tls_key: PEM file of its key; None likewise.
        upload_limit_bytes: The longest upload of instances.
        body_limit_bytes: The longest body of any other request.
        connections: Open at once.
    """

    host: str
    port: int
    profile: str
    hosts: frozenset[str]
    credentials: Path | str | None
    tls_certificate: Path | None
    tls_key: Path | None
    upload_limit_bytes: int
    body_limit_bytes: int
    connections: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where instances are forwarded to.

    Attributes:
        calling_ae_title: What the node calls itself there; its own AE title unless said.
        response_s: How long it may take to answer one instance.
        retry_base_s: The longest wait before the first attempt after a failure; it doubles.
        retry_cap_s: The longest wait between two attempts.
        lifetime_days: After so long an instance that could not be delivered has failed.
    """

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    response_s: float
    retry_base_s: float
    retry_cap_s: float
    lifetime_days: float


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says.

    Attributes:
        file: Its name, as messages show it.
        digest: SHA-256 of its text, in hexadecimal.
        profiles: Those of the file, then the ready-made ones whose names it leaves free.
        routes: In the order of the file; the first that fits is taken.
        rest: The REST API; None for none.
    """

    file: str
    digest: str
    node: NodeConfig
    profiles: Mapping[str, Profile]
    destinations: Mapping[str, Destination]
    routes: tuple[Route, ...]
    rest: RestConfig | None = None

    def route_for(self, calling_ae: str, called_ae: str, address: str) -> Route | RouteMiss:
        """The first route that is for an association, or what about it fits none.

        Args:
            calling_ae: Calling AE title; surrounding blanks do not count.
            called_ae: Called AE title; likewise.
            address: IP address of the peer, without a port.
        """
        calling = [route for route in self.routes if route.takes(calling_ae)]
        called = [route for route in calling if route.answers_to(called_ae)]
        admitted = next((route for route in called if route.admits(address)), None)
        if admitted:
            return admitted
        if called:
            return RouteMiss("address")
        return RouteMiss("called" if calling else "calling")

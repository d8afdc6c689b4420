"""What config.yaml says, as the node uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scp.routes import RouteMiss

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rules import Plan
    from rules.profile import Profile
    from scp.routes import Certificate, Route

EMBEDDED: Final = "(embedded default)"
"""`file` of a configuration that stands in none."""
SYSTEMD: Final = "systemd"
"""`credentials:` of a REST API whose users systemd hands over."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What the accepting side of TLS proves itself with; files in PEM.

    Attributes:
        certificate: Its certificate and chain.
        key: The key of it, without a password.
        client_ca: Authorities, or single certificates, that callers must prove themselves by,
            and their revocation lists; None where anybody may call.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How a destination is called over TLS; files in PEM.

    Attributes:
        ca: Authorities, or single certificates, that it must prove itself by, and their
            revocation lists; None for the authorities that the system trusts.
        certificate: The node's own certificate and chain, for a destination that asks for it.
        key: The key of it, without a password.
        server_name: The name that its certificate must have; empty for its `host`.
    """

    ca: Path | None
    certificate: Path | None
    key: Path | None
    server_name: str


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
        disk_low_bytes: Free on the disk of `data`; with fewer nothing more is taken in.
        disk_high_bytes: With so many free it is taken in again.
        disk_low_inodes: The same of inodes: files that can still be made.
        disk_high_inodes: Likewise.
        connections_per_s: New connections from one address in a second, in the long run.
        tls_listen: Host and port on which it listens for TLS as well; None for nowhere.
        tls: What it proves itself with there; None for nowhere.
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
    disk_low_bytes: int = 256 << 20
    disk_high_bytes: int = 512 << 20
    disk_low_inodes: int = 1000
    disk_high_inodes: int = 2000
    connections_per_s: float = 50.0
    tls_listen: tuple[str, int] | None = None
    tls: ServerTls | None = None


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
        body_limit_bytes: The longest body of any other request; 4 MiB where it holds no documents.
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
        tls: How it is called over TLS; None for in the clear.
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
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says.

    Attributes:
        file: Its name, as messages show it.
        digest: SHA-256 of its text, in hexadecimal.
        profiles: Those of the file, then the ready-made ones whose names it leaves free.
        routes: In the order of the file; the first that fits is taken.
        rest: The REST API; None for none.
        plans: Of the profiles of the file, by name: compiled while they were checked.
    """

    file: str
    digest: str
    node: NodeConfig
    profiles: Mapping[str, Profile]
    destinations: Mapping[str, Destination]
    routes: tuple[Route, ...]
    rest: RestConfig | None = None
    plans: Mapping[str, Plan] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_embedded(self) -> bool:
        """Whether there is no file."""
        return self.file == EMBEDDED

    def route_for(
        self,
        calling_ae: str,
        called_ae: str,
        address: str,
        certificate: Certificate | None = None,
    ) -> Route | RouteMiss:
        """The first route that is for an association, or what about it fits none.

        Args:
            calling_ae: Calling AE title; surrounding blanks do not count.
            called_ae: Called AE title; likewise.
            address: IP address of the peer, without a port.
            certificate: What it has proved to be; None for nothing.
        """
        calling = [route for route in self.routes if route.takes(calling_ae)]
        called = [route for route in calling if route.answers_to(called_ae)]
        admitted = [route for route in called if route.admits(address)]
        trusted = next((route for route in admitted if route.trusts(certificate)), None)
        if trusted:
            return trusted
        if admitted:
            return RouteMiss("certificate")
        if called:
            return RouteMiss("address")
        return RouteMiss("called" if calling else "calling")

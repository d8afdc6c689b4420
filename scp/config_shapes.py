"""The shapes of config.yaml: its keys, and what stands for those that are left out."""

from __future__ import annotations

from pydantic import Field

from rules.language.shapes import Shape


class FileShape(Shape):
    """The file as a whole."""

    version: str
    node: dict[str, object] = Field(default_factory=dict)
    profiles: dict[str, object] = Field(default_factory=dict)
    destinations: dict[str, object] = Field(default_factory=dict)
    routes: list[object] = Field(default_factory=list)
    rest: dict[str, object] | None = None


class NodeShape(Shape):
    """`node:`."""

    ae_title: str = "ANONODE"
    listen: str = "127.0.0.1:11112"
    data: str = ""
    sop_classes: list[object] = Field(default_factory=list)
    max_associations: str = "64"
    max_associations_per_address: str = "8"
    idle_s: str = "60"
    drain_s: str = "30"
    message_limit_bytes: str = str(4 << 30)
    header_limit_bytes: str = str(64 << 20)
    in_flight_limit_bytes: str = str(512 << 20)
    disk_low_bytes: str = str(256 << 20)
    disk_high_bytes: str = str(512 << 20)
    disk_low_inodes: str = "1000"
    disk_high_inodes: str = "2000"
    max_connections_per_s_per_address: str = "50"
    tls_listen: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""


class RestShape(Shape):
    """`rest:`."""

    listen: str = "127.0.0.1:8042"
    profile: str = "basic"
    hosts: list[object] = Field(default_factory=list)
    credentials: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    upload_limit_bytes: str = str(4 << 30)
    body_limit_bytes: str = str(32 << 20)
    max_connections: str = "64"


class DestinationShape(Shape):
    """An entry of `destinations:`."""

    ae_title: str
    host: str
    port: str
    calling_ae_title: str = ""
    response_s: str = "120"
    retry_base_s: str = "5"
    retry_cap_s: str = "900"
    retry_lifetime_days: str = "30"
    tls: str = "false"
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    tls_server_name: str = ""


class RouteShape(Shape):
    """An entry of `routes:`."""

    from_: object = Field(alias="from")
    to: str = ""
    peer: object = None
    certificate: object = None
    profile: str
    store: str = "true"
    forward: object = None

"""What the parts of a node are built with, out of its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.limits import Limits
from scp.patience import Policy
from scp.room import Marks

if TYPE_CHECKING:
    from scp.settings import Config, Destination, NodeConfig

_DAY_S: Final = 86400.0


def limits_of(node: NodeConfig) -> Limits:
    """What a peer may take."""
    return Limits(
        connections=node.associations,
        connections_per_address=node.associations_per_address,
        connections_per_s=node.connections_per_s,
        idle_s=node.idle_s,
        message_bytes=node.message_bytes,
    )


def marks_of(node: NodeConfig) -> Marks:
    """When the disk counts as full, and when it does not any more."""
    return Marks(
        low_bytes=node.disk_low_bytes,
        high_bytes=node.disk_high_bytes,
        low_inodes=node.disk_low_inodes,
        high_inodes=node.disk_high_inodes,
    )


def policies_of(config: Config) -> dict[str, Policy]:
    """How patient to be with each destination."""
    return {name: _policy(destination) for name, destination in config.destinations.items()}


def _policy(destination: Destination) -> Policy:
    return Policy(
        base_s=destination.retry_base_s,
        cap_s=destination.retry_cap_s,
        lifetime_s=destination.lifetime_days * _DAY_S,
    )

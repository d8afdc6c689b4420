"""What a configuration that is read again changes in a running node, and what it cannot.

Profiles with their lookups and regions, routes and destinations change at once; so does what is
read anew whenever it is needed. Addresses, folders and limits that the running parts were built
with stay as they are until the next start, and are named.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from scp.settings import Config, NodeConfig, RestConfig

S = TypeVar("S", "NodeConfig", "RestConfig")

_OF_NODE: Final = frozenset({"ae_title", "drain_s", "header_bytes"})
_OF_REST: Final = frozenset({"profile"})
"""Settings that are looked up whenever they are needed; every other one takes a restart."""
_KEYS: Final = {
    "host": "listen",
    "port": "listen",
    "associations": "max_associations",
    "associations_per_address": "max_associations_per_address",
    "connections": "max_connections",
    "connections_per_s": "max_connections_per_s_per_address",
    "message_bytes": "message_limit_bytes",
    "in_flight_bytes": "in_flight_limit_bytes",
    "tls": "tls_certificate",
}
"""Keys of the file, where they are not the names of the settings."""


def following(running: Config, read: Config) -> tuple[Config, tuple[str, ...]]:
    """The configuration as far as it can count now, and the keys whose change cannot.

    Args:
        running: What counts so far.
        read: What the file says now.
    """
    node, waiting = _kept(running.node, read.node, _OF_NODE)
    found = [f"node.{key}" for key in waiting]
    rest = running.rest
    if rest and read.rest:
        rest, waiting = _kept(rest, read.rest, _OF_REST)
        found += [f"rest.{key}" for key in waiting]
    elif rest or read.rest:
        found.append("rest")
    return replace(read, node=node, rest=rest), tuple(found)


def _kept(running: S, read: S, follow: frozenset[str]) -> tuple[S, list[str]]:
    """What was read, but for settings that cannot change; and the keys of those that would."""
    fixed = {one.name: getattr(running, one.name) for one in fields(running)}
    fixed = {name: value for name, value in fixed.items() if name not in follow}
    changed = [name for name, value in fixed.items() if getattr(read, name) != value]
    keys = list(dict.fromkeys(_KEYS.get(name, name) for name in changed))
    return replace(read, **fixed), keys

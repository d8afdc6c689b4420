"""What the parts of a node get of its configuration: every setting arrives where it counts."""

from __future__ import annotations

from pathlib import Path

from scp.config import parse_config
from scp.parts import limits_of, marks_of, policies_of

CONFIG = parse_config(
    """
version: 1
node:
  listen: "127.0.0.1:0"
  max_associations: 11
  max_associations_per_address: 12
  max_connections_per_s_per_address: 13
  idle_s: 14
  message_limit_bytes: 15000000
destinations:
  pacs:
    ae_title: PACS
    host: 127.0.0.1
    port: 104
    retry_base_s: 2
    retry_cap_s: 3
    retry_lifetime_days: 4
routes: [{from: CT1, profile: basic, forward: [pacs]}]
""",
    "config.yaml",
    Path("/somewhere"),
)


def test_limits() -> None:
    """Of what a peer may take."""
    limits = limits_of(CONFIG.node)

    assert (limits.connections, limits.connections_per_address) == (11, 12)
    assert (limits.connections_per_s, limits.idle_s, limits.message_bytes) == (13, 14, 15000000)


def test_marks_of_the_disk() -> None:
    """Below the low ones it is full, above the high ones not any more."""
    marks, node = marks_of(CONFIG.node), CONFIG.node

    assert (marks.low_bytes, marks.high_bytes) == (node.disk_low_bytes, node.disk_high_bytes)
    assert (marks.low_inodes, marks.high_inodes) == (node.disk_low_inodes, node.disk_high_inodes)


def test_patience_with_each_destination() -> None:
    """Days become seconds."""
    policies = policies_of(CONFIG)

    assert set(policies) == {"pacs"}
    found = policies["pacs"]
    assert (found.base_s, found.cap_s, found.lifetime_s) == (2, 3, 4 * 86400)

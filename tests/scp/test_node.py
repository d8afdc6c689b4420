"""The node starts whatever its disk has left, because delivering is what frees it."""

from __future__ import annotations

from scp.config import parse_config
from scp.errors import OutOfSpace
from scp.journal import Journal
from scp.node import Node

CONFIG = """
version: 1
node: {listen: "127.0.0.1:0"}
routes: [{from: "*", profile: basic}]
"""


def test_a_node_starts_when_there_is_no_room_to_widen_its_log(tmp_path, monkeypatch):
    """Widening buys speed only; a full disk is no reason to stay down."""

    def full(_journal: Journal) -> None:
        raise OutOfSpace("the journal has no room on the disk")

    monkeypatch.setattr(Journal, "widen", full)
    node = Node(parse_config(CONFIG, "config.yaml", tmp_path), bytes(32))

    node.start()

    assert node.port
    assert node.stop()

"""What the running node takes of memory, processor, open files and threads."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import instances, processes, wire
from tests.acceptance.peers import SUCCESS, store
from tests.acceptance.running import RunningNode
from tests.scp import raw_peer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0"}
routes:
  - {from: CT1, to: ANONODE, profile: basic}
"""
MIB = 1 << 20
LARGE_BYTES = 1 << 30
MEMORY_BYTES = 200 * 1_000_000
IDLE_S = 8.0
IDLE_SHARE = 0.005
ABORTED = 50


@pytest.fixture
def node(tmp_path):
    """A node whose files are removed at once: pytest would keep gigabytes."""
    with RunningNode(tmp_path / "node", CONFIG) as running:
        yield running
    shutil.rmtree(running.data)


def _large(node: RunningNode) -> int:
    """Send an instance that nobody ever holds whole; the status of the response."""
    uid = instances.instance_uid(1, 1, 1)
    sop_class = instances.MULTI_FRAME
    association = wire.Association("127.0.0.1", node.port, "ANONODE", "CT1", (sop_class,))
    context = association.contexts[sop_class]
    request = wire.store_request(1, sop_class, uid)
    association.channel.sendall(wire.command_pdu(context, request))
    header = instances.with_uid(instances.large_header(LARGE_BYTES), uid)
    for pieces in ([header], instances.large_pixels(LARGE_BYTES)):
        last = pieces is not None and not isinstance(pieces, list)
        _stream(association, context, pieces, last=last)
    status = association.status()
    association.release()
    return status

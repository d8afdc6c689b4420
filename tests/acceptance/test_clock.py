"""The wall clock is set, by hours and by a day: what is owed is delivered, and nobody notices."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from scp.config import parse_config
from scp.node import Node
from scp.patience import Surroundings
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.peers import SUCCESS, Archive
from tests.encoded import EXPLICIT
from tests.scp.raw_peer import RawPeer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom import evt

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  research: {{Base: basic}}
destinations:
  down: {{ae_title: DOWN, host: 127.0.0.1, port: {down}, retry_base_s: 1, retry_cap_s: 1}}
  full: {{ae_title: FULL, host: 127.0.0.1, port: {full}, retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: "CT*", to: ANONODE, profile: research, forward: [down, full]}}
"""
HOUR_S = 3600.0
STEPS = (HOUR_S, -HOUR_S, 24 * HOUR_S, -24 * HOUR_S, -24 * HOUR_S)
CAP_S = 1.0
MOST_PER_S = 20.0
"""Attempts at both destinations, in the long run: the mean wait is half a second."""
OUT_OF_RESOURCES = 0xA700


@dataclass
class Wall:
    """A wall clock that can be set.

    Attributes:
        set_by_s: How far it is from the right time.
    """

    set_by_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.set_by_s


@dataclass
class Full(Archive):
    """An archive that has no room, until it has."""

    has_room: threading.Event = field(default_factory=threading.Event)

    def _keep(self, event: evt.Event) -> int:
        return super()._keep(event) if self.has_room.is_set() else OUT_OF_RESOURCES


class Attempts:
    """What a node makes its associations by, counted."""

    def __init__(self, node: Node) -> None:
        self.by_name: Counter[str] = Counter()
        self._open = node._association
        for worker in node._forwarder._workers.values():
            worker._open_association = self

    def __call__(self, name: str, contexts: object) -> SenderAssociation:
        self.by_name[name] += 1
        return self._open(name, contexts)

    def more(self, count: int, limit_s: float) -> bool:
        """Whether each destination is tried so many times more within the limit."""
        wanted = Counter({name: done + count for name, done in self.by_name.items()})
        wanted |= Counter(down=count, full=count)
        return until(lambda: wanted <= self.by_name, limit_s)


@pytest.mark.slow
def test_a_clock_that_is_set_loses_no_retry_and_ends_no_association(tmp_path, deadline_s, figures):
    """T-CLOCK: after each step what waits is tried as before, and delivered within the cap."""
    wall, down, full, limit_s = Wall(), Archive(), Full(), deadline_s(10)
    longest_s = 0.0
    with ExitStack() as stack:
        stack.enter_context(full)
        down.start()
        down.stop()
        config = CONFIG.format(down=down.port, full=full.port)
        node = Node(
            parse_config(config, "config.yaml", tmp_path),
            bytes(32),
            surroundings=Surroundings(wall=wall),
        )
        attempts = Attempts(node)
        node.start()
        stack.callback(node.stop)
        context = (instances.CT_IMAGE, EXPLICIT)
        sender = SenderAssociation(("127.0.0.1", node.port), "CT1", "ANONODE", [context])
        stack.enter_context(sender)
        silent = stack.enter_context(RawPeer(("127.0.0.1", node.port)))
        silent.associate(calling=b"CT2")
        begun = time.monotonic()
        for number, step_s in enumerate(STEPS, start=1):
            assert sender.store(instances.CT_IMAGE, *made(number)) == SUCCESS
            assert attempts.more(1, limit_s)

            wall.set_by_s += step_s

            assert attempts.more(1, limit_s)
            works_at = time.monotonic()
            full.has_room.set()
            down.start()
            for archive in (down, full):
                assert archive.wait_for(number, limit_s)
            longest_s = max(longest_s, time.monotonic() - works_at)
            full.has_room.clear()
            down.stop()
        rate = attempts.by_name.total() / (time.monotonic() - begun)
        silent.release()

    assert longest_s < CAP_S + deadline_s(2)
    assert rate < MOST_PER_S
    for archive in (down, full):
        assert len(set(archive.uids())) == len(archive.uids()) == len(STEPS)
    figures(
        "T-CLOCK",
        steps=len(STEPS),
        lost=0,
        aborted=0,
        delivered=2 * len(STEPS),
        longest_s=round(longest_s, 2),
        attempts_per_s=round(rate, 1),
    )


def made(number: int) -> tuple[str, str, list[bytes]]:
    """An instance of a number: its UID, its transfer syntax, its dataset."""
    number += 40_000_000
    uid = f"{instances.ROOT}.1.1.{number}"
    dataset = instances.dataset(instances.ct(32, 32, instance=number), EXPLICIT)
    return uid, EXPLICIT, [dataset]


def until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether something comes true within the limit."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(0.01)
    return True

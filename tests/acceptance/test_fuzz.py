"""Mutated conversations with a running node, and mutated datasets through the engine.

Whatever comes: no crash, nothing that hangs, nothing left open, and no word of it told.
"""

# ruff: noqa: S311, T201 - choices of a test are no secrets; `pytest -s` shows its figures

from __future__ import annotations

import gc
import socket
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests import encoded
from tests.acceptance.peers import SUCCESS
from tests.acceptance.running import RunningNode
from tests.acceptance.watching import MIB, Held, rss_bytes, until
from tests.fuzz import conversations, engine
from tests.fuzz.inputs import FOLDER, case_of
from tests.fuzz.mutation import mutated
from tests.fuzz.seeds import WORD, seeds
from tests.scp import raw_peer
from tests.sizes import size

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

COUNT = size(ci=2500, nightly=100_000)
SEED = 20_260_101
HUNG_S = 5.0
GROWTH_BYTES = 48 * MIB
CONFIG = """
version: 1
node: {ae_title: ANONODE, listen: "127.0.0.1:0", header_limit_bytes: 4194304,
  max_connections_per_s_per_address: 100000}
profiles:
  plain: {Base: basic, BurnedIn: keep}
routes:
  - {from: CT1, to: ANONODE, profile: plain}
"""
PLAIN = [seed for seed in seeds() if seed.syntax in {encoded.EXPLICIT, encoded.IMPLICIT}]


@pytest.fixture
def uncollected():
    """What only a cycle keeps stays, and shows."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_a_mutated_dataset_ends_in_a_result_or_a_discreet_refusal(figures):
    """T-FUZZ: no other exception, within 5 s, well formed, nothing told; the number replays it."""
    outcomes = Counter()
    slowest_s = 0.0
    for number in range(SEED, SEED + COUNT):
        if not number % 1000:
            gc.collect()  # of the tests' own
        one = engine.case(Random(number))
        begun = time.monotonic()
        try:
            outcomes[engine.judge(one)] += 1
        except Exception as error:
            raise AssertionError(f"mutation {number} of {one.seed.syntax}, {one.plan}") from error
        slowest_s = max(slowest_s, time.monotonic() - begun)

    print(f"\n{COUNT} datasets, {slowest_s:.2f} s at the most: {outcomes.most_common()}")
    assert outcomes["result"] > COUNT / 10  # else nothing would be tested but the front door
    assert len(outcomes) > 8
    figures("T-FUZZ", mutations=COUNT, violations=0, slowest_s=round(slowest_s, 2))


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.bin")), ids=lambda path: path.stem)
def test_an_input_that_a_guided_search_has_kept_is_judged_likewise(path: Path):
    """T-FUZZ: each reaches code that no smaller one does."""
    engine.judge(case_of(path.read_bytes()))


@pytest.fixture
def node(tmp_path):
    """One that takes instances of any kind."""
    with RunningNode(tmp_path / "node", CONFIG) as running:
        yield running


def _dataset(chance: Random) -> bytes:
    known = tuple(PLAIN)
    seed = chance.choice(known)
    return mutated(seed, chance, known).dataset if chance.random() < 0.5 else seed.dataset


def _talk(node: RunningNode, data: bytes) -> float:
    """Send all of it at once, take what is answered to its end; the seconds that took."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", node.port), HUNG_S) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 16):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass  # it may hang up before it has read all
    return time.monotonic() - begun


def _is_well(node: RunningNode, number: int) -> bool:
    """Whether it takes an instance that is as it should be."""
    with raw_peer.RawPeer(("127.0.0.1", node.port)) as peer:
        peer.associate()
        uid = f"1.2.7.99.{number}"
        data = bytes.fromhex("08001600") + b"UI" + (26).to_bytes(2, "little")
        data += raw_peer.CT.encode() + b"\0" + bytes.fromhex("08001800") + b"UI"
        value = uid.encode() + b"\0" * (len(uid) % 2)
        data += len(value).to_bytes(2, "little") + value
        peer.send(raw_peer.store(data, uid=uid))
        status = peer.status()
        peer.release()
    return status == SUCCESS


def test_mutated_conversations_neither_end_nor_fill_the_node(node, deadline_s, figures):
    """T-FUZZ-PDU: each ends within 5 s; threads, open files and memory are what they were."""
    chance, pid = Random(SEED), node.process.pid
    alone = Held.of(pid)
    assert all(_is_well(node, number) for number in range(5))
    for _ in range(COUNT // 10):  # what is made once is made now
        _talk(node, conversations.conversation(chance, _dataset))
    assert until(lambda: Held.of(pid).threads <= alone.threads, deadline_s(10))
    base, base_bytes = Held.of(pid), rss_bytes(pid)

    slowest_s = max(
        _talk(node, conversations.conversation(chance, _dataset)) for _ in range(COUNT)
    )

    assert until(lambda: Held.of(pid).is_within(base), deadline_s(10)), (base, Held.of(pid))
    grown_bytes = rss_bytes(pid) - base_bytes
    assert _is_well(node, 99)
    assert node.terminate() == 0
    said = node.output.read_bytes()
    print(f"\n{COUNT} conversations, {slowest_s:.2f} s at the most, {grown_bytes / MIB:.1f} MiB")
    assert slowest_s < deadline_s(HUNG_S)
    assert grown_bytes < GROWTH_BYTES
    assert b"Traceback" not in said
    assert b'"association failed"' not in said
    assert b'"store handler failed"' not in said
    assert not WORD.search(said)
    figures(
        "T-FUZZ-PDU",
        mutations=COUNT,
        crashes=0,
        slowest_s=round(slowest_s, 2),
        rss_growth_mib=round(grown_bytes / MIB, 1),
    )

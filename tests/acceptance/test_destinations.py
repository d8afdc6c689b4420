"""Destinations that fail, and the networks before them: nothing is lost, and nobody waits.

Nodes, archives and DCMTK run as they do elsewhere; between them is a proxy that cuts, stalls and
loses. Each test says the name of its promise and what it measured.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

from rules import Pseudonyms
from scp.journal import FILE_NAME
from scp.sender import SenderAssociation
from tests import instances
from tests.acceptance.faulty_peers import (
    ABORTS,
    CRASHES,
    Proxy,
    QuickArchive,
    Storescp,
    free_port,
    raw_destination,
    says_half,
    takes_nothing,
    until,
)
from tests.acceptance.peers import SUCCESS
from tests.acceptance.running import RunningNode
from tests.encoded import EXPLICIT
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

pytestmark = pytest.mark.slow

PROFILE = "research"
RESPONSE_S = 2
CAP_S = 1
FREED_S = RESPONSE_S + 5
"""The latest moment at which a worker is free of a destination that stands still."""
NUMBERS = count(1)
"""Of instances: no two of a run are the same."""


def config(
    *,
    response_s: int = RESPONSE_S,
    base_s: int = 1,
    cap_s: int = 1,
    apart: str = "",
    **destinations: int,
) -> str:
    """All that CT1 sends goes to all destinations but `apart`; what CT2 sends goes there alone."""
    lines = [
        f"  {name}: {{ae_title: {name.upper()}, host: 127.0.0.1, port: {at},"
        f" response_s: {response_s}, retry_base_s: {base_s}, retry_cap_s: {cap_s}}}"
        for name, at in destinations.items()
    ]
    forward = ", ".join(name for name in destinations if name != apart)
    return "\n".join(
        [
            "version: 1",
            'node: {ae_title: ANONODE, listen: "127.0.0.1:0"}',
            f"profiles: {{{PROFILE}: {{Base: basic}}}}",
            "destinations:",
            *lines,
            "routes:",
            f"  - {{from: CT1, profile: {PROFILE}, forward: [{forward}]}}",
            f"  - {{from: CT2, profile: {PROFILE}" + (f", forward: [{apart}]}}" if apart else "}"),
            "",
        ]
    )


class Node(RunningNode):
    """A node, and what can be seen of it from outside."""

    def new_uid(self, number: int) -> str:
        """The SOP Instance UID that an instance of ours gets."""
        pseudonyms = Pseudonyms(bytes.fromhex((self.data / "key").read_text()))
        return pseudonyms.uid(PROFILE, f"{instances.ROOT}.1.1.{number}")

    def states(self, destination: str) -> Counter[str]:
        """How many deliveries to a destination are in each state."""
        return Counter(
            dict(
                self.ask(
                    "SELECT state, count(*) FROM deliveries WHERE destination = ? GROUP BY state",
                    destination,
                )
            )
        )

    def settled(self, destination: str) -> bool:
        """Whether nothing is owed any more."""
        return not self.states(destination).keys() - {"delivered", "failed"}

    def ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(f"file:{self.data / FILE_NAME}?mode=ro", uri=True)) as db:
            return db.execute(statement, values).fetchall()

    def logged(self, event: str, destination: str) -> list[dict[str, object]]:
        lines = map(json.loads, self.output.read_text().splitlines())
        return [
            line
            for line in lines
            if line["event"] == event and line.get("destination") == destination
        ]

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    @contextmanager
    def association(self, calling: str = "CT1", port: int = 0) -> Iterator[SenderAssociation]:
        context = (instances.CT_IMAGE, EXPLICIT)
        address = ("127.0.0.1", port or self.port)
        with SenderAssociation(address, calling, "ANONODE", [context]) as association:
            yield association

    def send(self, wanted: int, *, calling: str = "CT1", edge: int = 64) -> dict[int, float]:
        """Send so many instances on one association; when each was acknowledged."""
        with self.association(calling) as association:
            return {number: self.send_one(association, number, edge) for number in take(wanted)}

    def send_one(self, association: SenderAssociation, number: int, edge: int = 64) -> float:
        uid = f"{instances.ROOT}.1.1.{number}"
        dataset = instances.dataset(instances.ct(edge, edge, instance=number), EXPLICIT)
        assert association.store(instances.CT_IMAGE, uid, EXPLICIT, [dataset]) == SUCCESS
        return time.monotonic()


def take(wanted: int) -> Iterator[int]:
    """So many numbers of instances."""
    return (next(NUMBERS) for _ in range(wanted))


def logged_at(line: dict[str, object]) -> float:
    """The moment of a log line on the monotonic clock."""
    age_s = time.time() - datetime.fromisoformat(str(line["timestamp"])).timestamp()
    return time.monotonic() - age_s


def percentile(values: Iterable[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def delays(node: Node, archive: QuickArchive, sent: dict[int, float]) -> list[float]:
    """How long after the acknowledgement each instance was last offered: then it was taken."""
    came = dict(archive.offered)
    return [came[node.new_uid(number)] - moment for number, moment in sent.items()]


def once(archive: QuickArchive) -> bool:
    """Whether no UID came with two contents, however often it came."""
    contents: dict[str, set[bytes]] = {}
    for uid, content in archive.received:
        contents.setdefault(uid, set()).add(content)
    return all(len(versions) == 1 for versions in contents.values())


def test_a_destination_that_is_down_costs_the_senders_nothing(tmp_path, deadline_s, figures):
    """T-DOWN: it refuses TCP, is knocked at ever more rarely, and gets everything on its return.

    What another sender's destination takes meanwhile is the measure of undisturbed receiving.
    """
    for_s, wanted = size(ci=4, nightly=600), 40
    archive = QuickArchive(port=free_port())
    patience = {"base_s": size(ci=1, nightly=5), "cap_s": size(ci=4, nightly=60)}
    with QuickArchive() as working:
        ports = {"archive": archive.port, "working": working.port}
        with Node(tmp_path, config(apart="working", **ports, **patience)) as node:
            rates: dict[str, list[float]] = {"CT1": [], "CT2": []}
            for calling in rates:
                node.send(wanted, calling=calling)
            before = node.resident_bytes()
            end = time.monotonic() + for_s
            while time.monotonic() < end:
                for calling, seen in rates.items():
                    begun = time.monotonic()
                    node.send(wanted, calling=calling)
                    seen.append(wanted / (time.monotonic() - begun))
                if for_s > 60:
                    threading.Event().wait(2)
            sent = wanted * (1 + len(rates["CT1"]))
            grown = node.resident_bytes() - before
            attempts = len(node.logged("a destination does not work", "archive"))
            with archive:
                assert until(lambda: archive.received, deadline_s(90))
                begun = time.monotonic()
                assert until(lambda: node.settled("archive"), deadline_s(300))
                drained_s = time.monotonic() - begun
                assert node.states("archive") == {"delivered": sent}
    share = median(rates["CT1"]) / median(rates["CT2"])
    figures(
        "T-DOWN",
        down_s=for_s,
        sent=sent,
        delivered=len(set(archive.uids())),
        receiving_share=round(share, 2),
        memory_growth_mib=round(grown / (1 << 20), 1),
        attempts=attempts,
        drained_per_s=round(sent / drained_s),
    )

    assert len(archive.received) == len(set(archive.uids())) == sent
    assert share > size(ci=70, nightly=95) / 100
    assert grown < 20 << 20
    assert attempts <= size(ci=12, nightly=40)


def test_packets_that_vanish_free_the_worker_and_disturb_nobody(tmp_path, deadline_s, figures):
    """T-BLACKHOLE: silence in the middle of a delivery; the other destination does not notice."""
    rounds = size(ci=40, nightly=400)
    with (
        QuickArchive() as good,
        QuickArchive() as far,
        Proxy(far.port, bytes_per_s=256 * 1024) as network,
        Node(tmp_path, config(good=good.port, lost=network.port)) as node,
    ):
        calm = trickle(node, rounds)
        assert until(lambda: node.settled("lost"), deadline_s(30))
        before = network.carried_bytes
        first = node.send(1, edge=256)  # takes half a second on its way
        assert until(lambda: network.carried_bytes > before + 16384, deadline_s(10))
        network.silent.set()
        began = time.monotonic()
        disturbed = trickle(node, rounds)
        put_off = ("delivery put off", "lost")
        assert until(lambda: node.logged(*put_off), deadline_s(FREED_S + 2))
        freed_s = logged_at(node.logged(*put_off)[0]) - began
        network.silent.clear()
        sent = {**calm, **first, **disturbed}
        assert until(lambda: node.settled("lost") and node.settled("good"), deadline_s(30))
        assert node.states("lost") == {"delivered": len(sent)}
        quiet, noisy = (percentile(delays(node, good, part), 0.99) for part in (calm, disturbed))
    figures(
        "T-BLACKHOLE",
        freed_s=round(freed_s, 1),
        allowed_s=FREED_S,
        other_p99_ms=round(noisy * 1000),
        other_p99_undisturbed_ms=round(quiet * 1000),
        lost=len(sent) - len(set(far.uids())),
    )

    assert freed_s < FREED_S
    assert noisy < 1.1 * quiet + deadline_s(0.25)
    assert set(far.uids()) == set(good.uids()) == {node.new_uid(one) for one in sent}
    assert once(far)


def trickle(node: Node, wanted: int) -> dict[int, float]:
    """Send one after the other, each after a moment."""
    pause = threading.Event()
    with node.association() as association:
        sent = {}
        for number in take(wanted):
            sent[number] = node.send_one(association, number)
            pause.wait(0.02)
        return sent


def test_destinations_that_stand_still_free_their_workers(tmp_path, peer, deadline_s, figures):
    """T-SIGSTOP: stopped before it accepts, inside an instance, inside its response, not reading.

    All at once: one thread for each, none of them leaked, and everything arrives in the end.
    """
    with ExitStack() as peers:
        enter = peers.enter_context
        good = enter(QuickArchive())
        stopped = enter(Storescp(peer("storescp"), tmp_path / "stopped"))
        inside = enter(Storescp(peer("storescp"), tmp_path / "inside"))
        network = enter(Proxy(inside.port, bytes_per_s=256 * 1024))
        half = enter(raw_destination(says_half))
        window = enter(raw_destination(takes_nothing))
        ports = {
            "good": good.port,
            "stopped": stopped.port,
            "inside": network.port,
            "half": half.port,
            "window": window.port,
        }
        node = enter(Node(tmp_path / "node", config(**ports)))
        threads = node.threads()
        stopped.stand_still()
        began = time.monotonic()
        sent = node.send(1, edge=256)
        assert until(lambda: network.carried_bytes > 16384, deadline_s(10))
        inside.stand_still()
        inside_s = time.monotonic() - began
        sent |= node.send(20)
        freed = {}
        for name in ("stopped", "inside", "half", "window"):
            assert until(lambda: failures(node, name), deadline_s(FREED_S + 2)), name  # noqa: B023
            freed[name] = logged_at(failures(node, name)[0]) - began
        freed["inside"] -= inside_s
        assert until(lambda: node.settled("good"), deadline_s(10))
        stopped.go_on()
        inside.go_on()
        assert until(lambda: node.settled("stopped") and node.settled("inside"), deadline_s(30))
        waiting = max(delays(node, good, sent))
        assert until(lambda: node.threads() <= threads, deadline_s(10))
        delivered = {name: node.states(name)["delivered"] for name in ("stopped", "inside")}
        kept = {"half": node.states("half").total(), "window": node.states("window").total()}
    figures(
        "T-SIGSTOP",
        **{f"freed_s_{name}": round(delay, 1) for name, delay in freed.items()},
        allowed_s=FREED_S,
        other_delay_ms=round(waiting * 1000),
        threads_leaked=0,
        lost=2 * len(sent) - sum(delivered.values()),
    )

    assert max(freed.values()) < FREED_S
    assert waiting < deadline_s(2)
    assert delivered == {"stopped": len(sent), "inside": len(sent)}
    assert {len(stopped.files()), len(inside.files())} == {len(sent)}
    assert kept == {"half": len(sent), "window": len(sent)}


def failures(node: Node, name: str) -> list[dict[str, object]]:
    """What the log says of attempts that came to nothing."""
    return node.logged("delivery put off", name) + node.logged("a destination does not work", name)


def test_a_slow_destination_makes_a_queue_on_the_disk_alone(tmp_path, deadline_s, figures):
    """T-SLOWPEER: it takes 64 KiB/s; receiving goes on, memory stays, everything arrives."""
    edge, wanted = size(ci=64, nightly=512), size(ci=24, nightly=40)
    with (
        QuickArchive() as archive,
        Proxy(archive.port, bytes_per_s=64 * 1024) as network,
        Node(tmp_path, config(slow=network.port, response_s=20)) as node,
    ):
        node.send(5, calling="CT2", edge=edge)
        before = node.resident_bytes()
        begun = time.monotonic()
        node.send(wanted, edge=edge)
        received_s = time.monotonic() - begun
        queued = wanted - node.states("slow")["delivered"]
        assert until(lambda: node.settled("slow"), deadline_s(wanted * edge**2 / 16384 + 20))
        taken_s = time.monotonic() - begun
        grown = node.resident_bytes() - before
    figures(
        "T-SLOWPEER",
        instances=wanted,
        received_s=round(received_s, 1),
        delivered_s=round(taken_s, 1),
        queued_at_most=queued,
        memory_growth_mib=round(grown / (1 << 20), 1),
    )

    assert len(archive.received) == wanted
    assert queued > wanted / 2
    assert received_s < taken_s / 2
    assert grown < 20 << 20


def test_a_poisonous_instance_is_set_aside_and_delays_nobody(tmp_path, deadline_s, figures):
    """T-POISON: one of a hundred is refused, aborts the association, or crashes the archive."""
    poison: set[str] = set()

    def unless_poison(answer: int) -> Callable[[str], int]:
        return lambda uid: answer if uid in poison else SUCCESS

    with (
        QuickArchive(answers=unless_poison(0xC000)) as refusing,
        QuickArchive(answers=unless_poison(ABORTS)) as aborting,
        QuickArchive(answers=unless_poison(CRASHES)) as crashing,
    ):
        archives = {"refusing": refusing, "aborting": aborting, "crashing": crashing}
        ports = {name: archive.port for name, archive in archives.items()}
        with Node(tmp_path, config(**ports)) as node:
            # The first of all: nothing was delivered yet that would speak for the destination.
            bad = next(NUMBERS)
            poison.add(node.new_uid(bad))
            sent: dict[int, float] = {}
            with node.association() as association:
                node.send_one(association, bad)
                for number in take(49):
                    sent[number] = node.send_one(association, number)
            begun = time.monotonic()
            failed = dict.fromkeys(archives, 0.0)
            while not all(failed.values()):
                assert time.monotonic() < begun + deadline_s(30), failed
                sent |= trickle(node, 5)
                for name in archives:
                    if not failed[name] and node.states(name)["failed"]:
                        failed[name] = time.monotonic() - begun
            for name in archives:
                assert until(lambda: node.settled(name), deadline_s(10))  # noqa: B023
                assert node.states(name) == {"failed": 1, "delivered": len(sent)}
            worst = {name: max(delays(node, one, sent)) for name, one in archives.items()}
            times = {
                name: sum(uid in poison for uid, _ in one.offered)
                for name, one in archives.items()
            }
    figures(
        "T-POISON",
        instances=len(sent) + 1,
        **{f"attempts_{name}": number for name, number in times.items()},
        **{f"delay_ms_{name}": round(1000 * delay) for name, delay in worst.items()},
        delivered_of_the_others=len(sent),
    )

    assert times["refusing"] == 3
    assert max(times["aborting"], times["crashing"]) <= 5
    assert max(worst["refusing"], worst["aborting"]) < deadline_s(2)
    assert worst["crashing"] < deadline_s(2 + crashing.crash_s + CAP_S)
    for archive in archives.values():
        assert set(archive.uids()) == {node.new_uid(number) for number in sent}


def test_a_destination_that_comes_and_goes_gets_everything(tmp_path, deadline_s, figures):
    """T-FLAP: up and down in turn; every instance arrives soon after it is up for good."""
    turn_s, turns = size(ci=1, nightly=5), size(ci=3, nightly=30)
    pause = threading.Event()
    with (
        QuickArchive() as archive,
        Proxy(archive.port) as network,
        Node(tmp_path, config(flapping=network.port)) as node,
    ):
        sent: dict[int, float] = {}
        for turn in range(2 * turns):
            if turn % 2:
                network.up()
            else:
                network.down()
            end = time.monotonic() + turn_s
            while time.monotonic() < end:
                sent |= node.send(5)
                pause.wait(0.05)
        begun = time.monotonic()
        assert until(lambda: node.settled("flapping"), deadline_s(60))
        last_s = time.monotonic() - begun
        assert node.states("flapping") == {"delivered": len(sent)}
        attempts = len(network.connections) + len(
            node.logged("a destination does not work", "flapping")
        )
    figures(
        "T-FLAP",
        turns=turns,
        sent=len(sent),
        delivered=len(set(archive.uids())),
        last_after_s=round(last_s, 1),
        associations=attempts,
    )

    assert set(archive.uids()) == {node.new_uid(number) for number in sent}
    assert once(archive)
    assert last_s < deadline_s(60)


def test_a_lost_answer_is_asked_for_again_and_makes_no_second_object(
    tmp_path, deadline_s, figures
):
    """T-LOSTACK: cut exactly between the store and its response, on both sides of the node."""
    wanted = size(ci=20, nightly=200)
    seen: dict[str, int] = {}

    def every_second_at_first(uid: str, times: int) -> bool:
        return times == 1 and seen.setdefault(uid, len(seen)) % 2 == 1

    with (
        QuickArchive() as archive,
        Proxy(archive.port, loses=every_second_at_first) as behind,
        Node(tmp_path, config(archive=behind.port)) as node,
        Proxy(node.port, loses=lambda _, times: times == 1) as before,
    ):
        resent = 0
        for number in take(wanted):
            with (
                pytest.raises(Exception, match="connection"),
                node.association(port=before.port) as association,
            ):
                node.send_one(association, number)
            with node.association(port=before.port) as association:
                node.send_one(association, number)
                resent += 1
        assert until(lambda: node.settled("archive"), deadline_s(60))
        assert node.states("archive") == {"delivered": wanted}
        [(rows,)] = node.ask("SELECT count(*) FROM instances")
        files = [one for one in node.data.rglob("*.dcm") if one.stat().st_size]
    figures(
        "T-LOSTACK",
        answers_lost_receiving=len(before.lost),
        answers_lost_delivering=len(behind.lost),
        resent=resent,
        instances=rows,
        objects_at_the_destination=len(set(archive.uids())),
    )

    assert len(before.lost) == wanted
    assert len(behind.lost) >= wanted // 3
    assert rows == len(files) == len(set(archive.uids())) == wanted
    assert once(archive)

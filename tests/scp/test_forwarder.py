"""What is owed is delivered: each promise at the top of the forwarder."""

from __future__ import annotations

import io
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scp import logs
from scp.errors import ConnectionLost, PeerAborted, PeerRejected, Stopping, Timeout
from scp.forwarder import (
    CHANGED,
    EXPIRED,
    NO_CONTEXT,
    NO_CONTEXTS,
    UNREADABLE,
    Attempt,
    Forwarder,
    Policy,
    Surroundings,
    Worker,
    fit,
    next_attempt,
    settle,
    sweep,
)
from scp.instance import DeliveryState, DueDelivery, StoredFile
from scp.journal import FILE_NAME, Journal
from scp.spool import Spool
from scp.status import Verdict
from tests.scp.disks import FaultyDisk
from tests.scp.storing import CT, EXPLICIT, JPEG, MR, OFFSET, stored, uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

Context = tuple[str, str]
POLICY = Policy()


class Time:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        """Begin some day."""
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class Pacs:
    """A destination that does what it is told, and remembers what it was sent.

    Attributes:
        connecting: Raised by every attempt to open an association.
        answers: Status or error by SOP Instance UID; 0x0000 for the others.
        answer: Instead of 0x0000.
        refuses: Contexts that it does not accept.
    """

    connecting: Exception | None = None
    answers: dict[str, int | Exception] = field(default_factory=dict)
    answer: int | Exception = 0x0000
    refuses: set[Context] = field(default_factory=set)
    received: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    datasets: dict[str, bytes] = field(default_factory=dict)
    associations: list[tuple[Context, ...]] = field(default_factory=list)
    during: Callable[[str], object] = lambda _: None

    def open(self, _: str, contexts: Sequence[Context]) -> Association:
        """Prepare an association."""
        return Association(self, tuple(contexts))


class Association:
    """One association with a `Pacs`."""

    def __init__(self, pacs: Pacs, contexts: tuple[Context, ...]) -> None:
        """Prepare."""
        self.pacs = pacs
        self.contexts = contexts

    def __enter__(self) -> Self:
        """Connect."""
        self.pacs.associations.append(self.contexts)
        if self.pacs.connecting is not None:
            raise self.pacs.connecting
        return self

    def __exit__(self, *_: object) -> None:
        """Release."""

    def accepted(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether the context was proposed and is accepted."""
        context = (sop_class_uid, transfer_syntax_uid)
        return context in self.contexts and context not in self.pacs.refuses

    def store(
        self, sop_class_uid: str, instance: str, transfer_syntax_uid: str, chunks: Iterable[bytes]
    ) -> int:
        """Take an instance, or do what was ordered."""
        assert self.accepted(sop_class_uid, transfer_syntax_uid)
        self.pacs.offered.append(instance)
        self.pacs.during(instance)
        dataset = b"".join(chunks)
        answer = self.pacs.answers.get(instance, self.pacs.answer)
        if isinstance(answer, Exception):
            raise answer
        if answer == 0 or answer >> 12 == 0xB:
            self.pacs.received.append(instance)
            self.pacs.datasets[instance] = dataset
        return answer


@dataclass
class Site:
    """A node's durable half, one destination, and the time."""

    journal: Journal
    spool: Spool
    disk: FaultyDisk
    pacs: Pacs
    time: Time
    lines: io.StringIO
    data: Path

    def worker(self, policy: Policy = POLICY) -> Worker:
        """The worker of the destination; chance is always in the middle."""
        around = Surroundings(self.time, self.time, lambda: 0.5)
        return Worker("pacs", self.journal, self.spool, self.pacs.open, policy, around, logs.log())

    def owe(self, *numbers: int, **changes: object) -> None:
        """Store instances that the destination is owed."""
        for number in numbers:
            self.journal.add(stored(self.spool, number, "pacs", **changes))

    def states(self) -> dict[int, str]:
        """The state of every delivery by the number of its instance."""
        return {
            int(record.sop_instance_uid[5:]): delivery.state.value
            for listed in self.journal.instances()
            if (record := self.journal.instance(listed.id))
            for delivery in record.deliveries
        }

    def outcome(self, number: int) -> str:
        """The last outcome of a delivery."""
        record = self.journal.instance(uid(number))
        assert record is not None
        return record.deliveries[0].last_outcome

    def run(self, worker: Worker, for_s: float) -> None:
        """Let the worker live so long, in no time."""
        end = self.time.now + for_s
        for _ in range(100_000):
            wait_s = worker.turn()
            if self.time.now + wait_s >= end:
                break
            self.time.now += wait_s
        self.time.now = end

    def logged(self, event: str) -> list[dict[str, object]]:
        """The lines of the log with this event."""
        lines = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Nothing is stored and nothing is owed."""
    disk, time, lines = FaultyDisk(), Time(), io.StringIO()
    logs.configure(lines, strict=True)
    spool = Spool(tmp_path, files=disk, reserve_bytes=0)
    journal = Journal(spool.private_file(FILE_NAME), wall=time)
    yield Site(journal, spool, disk, Pacs(), time, lines, tmp_path)
    journal.close()


# ---- pure


@pytest.mark.parametrize(
    ("failures", "bound_s"),
    [(1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (100, 900), (10**9, 900)],
)
def test_waits_double_up_to_the_cap(failures: int, bound_s: float) -> None:
    """The bound of the n-th wait is 5 s times two to the n-1, and 15 minutes at most."""
    assert next_attempt(failures, lambda: 1.0, 5, 900) == bound_s
    assert next_attempt(failures, lambda: 0.0, 5, 900) == 0


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_within_its_bounds(failures: int, chance: float) -> None:
    """Never negative, never beyond the cap, whatever happened before."""
    assert 0 <= next_attempt(failures, lambda: chance, 5, 900) <= 900


def test_waits_are_spread_over_their_whole_range() -> None:
    """Full jitter: destinations that failed together do not come back together."""
    chance = random.Random(1)  # noqa: S311 - the same every time
    waits = sorted(next_attempt(4, chance.random, 5, 900) for _ in range(4000))

    deciles = [waits[400 * tenth] for tenth in range(1, 10)]
    assert deciles == pytest.approx([4.0 * tenth for tenth in range(1, 10)], rel=0.15)


def delivery(number: int = 1, context: Context = (CT, EXPLICIT), **changes: object) -> DueDelivery:
    """Something that is due."""
    file = StoredFile(f"ab/{number}", 1, "")
    made = DueDelivery(number, uid(number), *context, file, OFFSET, 0, 0, 1000.0)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("verdict", "counts", "before", "state", "refusals"),
    [
        (Verdict.DELIVERED, False, 2, DeliveryState.DELIVERED, 2),
        (Verdict.DELIVERED_WITH_WARNING, False, 0, DeliveryState.DELIVERED, 0),
        (Verdict.INSTANCE_REFUSED, False, 0, DeliveryState.DUE, 1),
        (Verdict.INSTANCE_REFUSED, False, 1, DeliveryState.DUE, 2),
        (Verdict.INSTANCE_REFUSED, False, 2, DeliveryState.FAILED, 3),
        (Verdict.TEMPORARY, False, 2, DeliveryState.DUE, 2),
        (Verdict.TEMPORARY, True, 2, DeliveryState.FAILED, 3),
    ],
)
def test_an_attempt_settles_a_delivery(
    verdict: Verdict, *, counts: bool, before: int, state: DeliveryState, refusals: int
) -> None:
    """Three strikes, and only what counts is one."""
    attempt = Attempt(verdict, None, "tried", counts)
    settled = settle(delivery(refusals=before, attempts=5), attempt, 2000.0, POLICY, 7.0)

    assert (settled.state, settled.refusals, settled.attempts) == (state, refusals, 6)
    assert settled.next_attempt_at == (2007.0 if state is DeliveryState.DUE else 0.0)


def test_a_delivery_past_its_lifetime_has_failed() -> None:
    """Tried once more, it is given up, with the reason."""
    attempt = Attempt(Verdict.TEMPORARY, None, "too slow")
    settled = settle(delivery(), attempt, 1001.0 + POLICY.lifetime_s, POLICY, 1.0)

    assert (settled.state, settled.last_outcome) == (DeliveryState.FAILED, EXPIRED)


def test_an_association_proposes_each_context_once() -> None:
    """And at most so many: what does not fit waits for the next one."""
    batch = [delivery(1), delivery(2, (MR, EXPLICIT)), delivery(3), delivery(4, (CT, JPEG))]
    contexts, fitting = fit(batch, 2)

    assert contexts == [(CT, EXPLICIT), (MR, EXPLICIT)]
    assert [one.id for one in fitting] == [1, 2, 3]


# ---- delivering


def test_everything_due_goes_in_one_association(site: Site) -> None:
    """In the order of arrival, the dataset without its file meta information."""
    site.owe(1, 2)
    site.owe(3, sop_class_uid=MR)
    wait_s = site.worker().turn()

    assert wait_s == 0.0
    assert site.pacs.received == [uid(1), uid(2), uid(3)]
    assert site.pacs.associations == [((CT, EXPLICIT), (MR, EXPLICIT))]
    assert site.pacs.datasets[uid(2)] == b"dataset 2"
    assert set(site.states().values()) == {"delivered"}


def test_a_delivery_is_sending_while_it_is_sent(site: Site) -> None:
    """The operator sees what is on its way."""
    site.owe(1, 2)
    seen: list[dict[int, str]] = []
    site.pacs.during = lambda _: seen.append(site.states())
    site.worker().turn()

    assert seen[1] == {1: "delivered", 2: "sending"}


def test_nothing_owed_is_nothing_to_do(site: Site) -> None:
    """No association is opened, and the worker may sleep for ever."""
    assert site.worker().turn() == float("inf")
    assert site.pacs.associations == []


def test_batches_are_bounded(site: Site) -> None:
    """Memory does not grow with the queue."""
    site.owe(*range(1, 8))
    worker = site.worker(replace(POLICY, batch=3))
    site.run(worker, 1)

    assert len(site.pacs.associations) == 3
    assert site.pacs.received == [uid(number) for number in range(1, 8)]


def test_a_warning_is_delivered_and_kept_in_view(site: Site) -> None:
    """The destination has it, and said something about it."""
    site.pacs.answer = 0xB000
    site.owe(1)
    site.worker().turn()

    assert site.states() == {1: "delivered"}
    assert "warning (0xb000)" in site.outcome(1)


# ---- an instance that cannot be delivered


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122])
def test_a_refused_instance_fails_after_three_attempts(site: Site, status: int) -> None:
    """It is kept, and the others are delivered at once."""
    site.pacs.answers = {uid(2): status}
    site.owe(1, 2, 3)
    worker = site.worker()
    worker.turn()
    assert site.pacs.received == [uid(1), uid(3)]
    site.run(worker, 3600)

    assert site.states() == {1: "delivered", 2: "failed", 3: "delivered"}
    assert Counter(site.pacs.offered)[uid(2)] == 3
    assert f"({status:#06x})" in site.outcome(2)
    record = site.journal.instance(uid(2))
    assert record is not None
    assert (site.data / "instances" / record.file_name).exists()


@pytest.mark.parametrize(
    "poison", [PeerAborted(0, 0), ConnectionLost("gone"), Timeout("slow"), 0x0110, ValueError()]
)
def test_a_poisonous_instance_delays_nobody(site: Site, poison: int | Exception) -> None:
    """It makes the destination fail, in whatever way; the others go on in the next association."""
    site.pacs.answers = {uid(3): poison}
    site.owe(*range(1, 7))
    worker = site.worker()
    site.run(worker, 3)

    assert site.pacs.received == [uid(number) for number in (1, 2, 4, 5, 6)]


def test_a_poisonous_instance_fails_once_the_destination_is_known_to_work(site: Site) -> None:
    """Each failure with a delivery since the one before is a strike."""
    site.pacs.answers = {uid(1): PeerAborted(0, 0)}
    site.owe(1, 2)
    worker = site.worker()
    for number in range(3, 40):
        site.run(worker, 60)
        site.owe(number)
    site.run(worker, 60)

    states = site.states()
    assert states.pop(1) == "failed"
    assert set(states.values()) == {"delivered"}


def test_a_suspect_waits_alone(site: Site) -> None:
    """Nothing else is due, it fails again and again: a new instance is delivered at once."""
    site.pacs.answers = {uid(1): PeerAborted(0, 0)}
    site.owe(1)
    worker = site.worker()
    site.run(worker, 3600)
    site.owe(2)
    site.run(worker, 1)

    assert site.pacs.received == [uid(2)]
    assert site.states()[1] == "due"


def test_an_instance_is_not_blamed_for_a_destination_that_is_down(site: Site) -> None:
    """Hours without room at the destination fail nothing."""
    site.owe(1, 2)
    site.worker().turn()
    site.pacs.answer = 0xA700
    site.owe(3, 4, 5)
    worker = site.worker()
    site.run(worker, 6 * 3600)
    assert site.states() == {1: "delivered", 2: "delivered", 3: "due", 4: "due", 5: "due"}
    site.pacs.answer = 0x0000
    site.run(worker, 2 * POLICY.cap_s)

    assert set(site.states().values()) == {"delivered"}


def test_a_context_that_is_not_accepted_is_the_instances_fault(site: Site) -> None:
    """The destination takes others: this one fails after three attempts."""
    site.pacs.refuses = {(MR, EXPLICIT)}
    site.owe(1)
    site.owe(2, sop_class_uid=MR)
    worker = site.worker()
    site.run(worker, 3600)

    assert site.states() == {1: "delivered", 2: "failed"}
    assert site.outcome(2) == NO_CONTEXT


def test_changed_bytes_are_never_sent(site: Site) -> None:
    """One bit on the disk: that delivery has failed, the next is made."""
    site.owe(1, 2)
    record = site.journal.instance(uid(1))
    assert record is not None
    path = site.data / "instances" / record.file_name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    site.worker().turn()

    assert site.pacs.offered == [uid(2)]
    assert site.states() == {1: "failed", 2: "delivered"}
    assert site.outcome(1) == CHANGED


def test_a_file_that_cannot_be_read_fails_alone(site: Site) -> None:
    """After three attempts, since the disk may have been busy."""
    site.owe(1)
    site.disk.faults = {"read": 5}
    worker = site.worker()
    site.run(worker, 3600)

    assert site.pacs.offered == []
    assert site.states() == {1: "failed"}
    assert site.outcome(1) == UNREADABLE


# ---- a destination that does not work


def test_a_destination_that_is_down_is_asked_ever_more_rarely(site: Site) -> None:
    """T-DOWN: one association per attempt whatever is queued, and then everything at once."""
    site.pacs.connecting = ConnectionLost("no connection could be made")
    site.owe(*range(1, 51))
    worker = site.worker()
    site.run(worker, 3600)
    attempts = len(site.pacs.associations)
    assert attempts <= 20
    assert set(site.states().values()) == {"due"}
    site.pacs.connecting = None
    site.run(worker, POLICY.cap_s)

    assert site.pacs.received == [uid(number) for number in range(1, 51)]
    assert len(site.pacs.associations) == attempts + 1


def test_new_instances_do_not_shorten_the_wait(site: Site) -> None:
    """A busy sender does not make the node knock at every instance."""
    site.pacs.connecting = Timeout("no answer")
    worker = site.worker()
    for number in range(1, 100):
        site.owe(number)
        site.run(worker, 0.5)

    assert len(site.pacs.associations) <= 6


def test_the_queue_says_why_and_when(site: Site) -> None:
    """What an operator asks first."""
    site.pacs.connecting = ConnectionLost("no connection could be made")
    site.owe(1)
    site.worker().turn()
    [line] = site.journal.queue()

    assert line.last_outcome == "no connection could be made"
    assert line.next_attempt_at == site.time.now + 2.5


def test_what_is_too_old_has_failed(site: Site) -> None:
    """After its lifetime, with a destination that never came back."""
    site.pacs.connecting = ConnectionLost("no connection could be made")
    site.owe(1)
    worker = site.worker(replace(POLICY, lifetime_s=7200))
    site.run(worker, 7000)
    assert site.states() == {1: "due"}
    site.run(worker, 2000)

    assert site.states() == {1: "failed"}
    assert site.outcome(1) == EXPIRED


@pytest.mark.parametrize("refusal", [PeerRejected(1, 1, 3), 0x0124])
def test_a_destination_that_refuses_the_node_fails_nothing(
    site: Site, refusal: int | Exception
) -> None:
    """Its queue is held with the reason, asked again at the cap, and recovers by itself."""
    if isinstance(refusal, int):
        site.pacs.answer = refusal
    else:
        site.pacs.connecting = refusal
    site.owe(1, 2)
    worker = site.worker(replace(POLICY, lifetime_s=1000))
    site.run(worker, 4.5 * POLICY.cap_s)
    assert site.states() == {1: "held", 2: "held"}
    assert len(site.pacs.associations) == 5
    assert {line["level"] for line in site.logged("a destination refuses this node")} == {"error"}
    site.pacs.answer, site.pacs.connecting = 0x0000, None
    site.run(worker, POLICY.cap_s)

    assert set(site.states().values()) == {"delivered"}
    assert site.journal.destination("pacs").failures == 0


def test_a_destination_that_takes_no_context_at_all_is_held(site: Site) -> None:
    """It may be set up tomorrow; other contexts are tried meanwhile."""
    site.pacs.refuses = {(CT, EXPLICIT)}
    site.owe(1)
    worker = site.worker()
    site.run(worker, 60)
    assert site.states() == {1: "held"}
    assert site.journal.queue()[0].last_outcome == NO_CONTEXTS
    site.owe(2, sop_class_uid=MR)
    site.run(worker, 1)

    assert site.pacs.received == [uid(2)]
    assert site.pacs.associations[1] == ((MR, EXPLICIT),)
    assert len(site.pacs.associations) <= 3


def test_retry_in_another_process_is_noticed(site: Site) -> None:
    """Within the time that the policy says, not at the end of a long wait."""
    site.pacs.connecting = PeerRejected(1, 1, 3)
    site.owe(1)
    worker = site.worker()
    site.run(worker, 60)
    site.pacs.connecting = None
    beside = Journal.existing(site.data)
    assert beside.retry(destination="pacs") == 1
    beside.close()
    site.time.now += POLICY.look_again_s
    site.run(worker, 1)

    assert site.pacs.received == [uid(1)]


def test_failures_are_remembered_over_a_restart(site: Site) -> None:
    """A new process asks at once, and then is as patient as the one before."""
    site.pacs.connecting = ConnectionLost("no connection could be made")
    site.owe(1)
    site.run(site.worker(), 600)
    failures = site.journal.destination("pacs").failures
    site.worker().turn()

    assert site.journal.destination("pacs").failures == failures + 1


def test_a_clock_set_forward_and_back_delays_nothing(site: Site) -> None:
    """T-CLOCK: stored moments of another time are not waited for."""
    site.pacs.answers = {uid(1): 0xC000}
    site.owe(1)
    worker = site.worker()
    worker.turn()
    site.pacs.answers = {}
    site.time.now -= 86400
    site.run(worker, 10)

    assert site.states() == {1: "delivered"}


# ---- files that need not be stored


def test_a_delivered_instance_that_is_not_to_be_stored_goes(site: Site) -> None:
    """Once nobody is owed it; what is stored stays."""
    site.owe(1, store=False)
    site.owe(2)
    site.worker().turn()
    left = [path for path in site.data.rglob("*.dcm") if path.stat().st_size]

    assert len(left) == 1
    assert site.journal.instance(uid(1)).file_name == ""  # type: ignore[union-attr]


def test_a_sweep_that_was_cut_short_is_finished_at_the_next_start(site: Site) -> None:
    """The journal forgets first: a file without a row is deleted by recovery."""
    site.owe(1, store=False)
    site.disk.faults = {"unlink": 5}
    worker = site.worker()
    worker._safe_turn()
    site.disk.faults = {}
    again = Spool(site.data, reserve_bytes=0)
    recovery = again.recover(site.journal.files)
    again.close()

    assert site.states() == {1: "delivered"}
    assert (recovery.deleted, recovery.missing) == (1, ())


def test_what_is_neither_stored_nor_owed_is_swept_at_start(site: Site) -> None:
    """A crash came between the last delivery and the sweep."""
    site.journal.add(stored(site.spool, 1, store=False))
    sweep(site.journal, site.spool, logs.log())

    assert site.journal.files("") == frozenset()
    assert not [path for path in site.data.rglob("*.dcm") if path.stat().st_size]


# ---- workers as threads


def test_a_worker_survives_everything(site: Site) -> None:
    """A journal that fails once, an association that cannot be made: it goes on."""
    site.owe(1)
    worker = site.worker()
    due = site.journal.due
    site.journal.due = failing  # type: ignore[method-assign]
    wait_s = worker._safe_turn()
    site.journal.due = due  # type: ignore[method-assign]
    site.run(worker, wait_s + 1)

    assert site.pacs.received == [uid(1)]
    [line] = site.logged("a forwarder failed")
    assert (line["error"], line["destination"]) == ("RuntimeError", "pacs")


def failing(*_: object, **__: object) -> list[DueDelivery]:
    """A journal that fails."""
    raise RuntimeError("SMITH^JOHN")


def test_a_stop_gives_back_what_was_not_sent(site: Site) -> None:
    """The instance that is being sent is finished; the rest is due."""
    site.owe(1, 2, 3)
    worker = site.worker()
    site.pacs.during = lambda _: worker.stopping.set()
    worker.turn()

    assert site.states() == {1: "delivered", 2: "due", 3: "due"}


def test_an_interrupted_delivery_counts_against_nobody(site: Site) -> None:
    """This node stopped, so neither the instance nor the destination has failed."""
    site.pacs.answer = Stopping("the node is stopping")
    site.owe(1)
    worker = site.worker()
    worker.turn()

    [delivery] = site.journal.due("pacs", 10, horizon_s=900)
    assert (delivery.attempts, site.journal.destination("pacs").failures) == (0, 0)


@pytest.fixture
def forwarder(site: Site, deadline_s: Callable[[float], float]) -> Iterator[Forwarder]:
    """Two real workers with real clocks."""
    forwarder = Forwarder(site.journal, site.spool, ["pacs", "archive"], site.pacs.open)
    yield forwarder
    assert forwarder.stop(deadline_s(10))


def test_a_woken_worker_delivers(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """From what was owed at the start to what comes later; unknown names are harmless."""
    arrived = threading.Semaphore(0)
    site.pacs.during = lambda _: arrived.release()
    site.owe(1)
    forwarder.start()
    assert arrived.acquire(timeout=deadline_s(10))
    site.owe(2)
    forwarder.wake(["pacs", "unknown"])

    assert arrived.acquire(timeout=deadline_s(10))


def test_a_stuck_destination_does_not_delay_another(
    site: Site, forwarder: Forwarder, deadline_s: Callable[[float], float]
) -> None:
    """One hangs in the middle of an instance; the other gets everything; stop says who hangs."""
    hangs, arrived, go_on = threading.Event(), threading.Semaphore(0), threading.Event()

    def during(instance: str) -> None:
        if instance == uid(1):
            hangs.set()
            go_on.wait(deadline_s(30))
        else:
            arrived.release()

    site.pacs.during = during
    site.owe(1)
    forwarder.start()
    assert hangs.wait(deadline_s(10))
    for number in range(2, 12):
        site.journal.add(stored(site.spool, number, "archive"))
    forwarder.wake(["archive"])
    for _ in range(10):
        assert arrived.acquire(timeout=deadline_s(10))
    assert not forwarder.stop(0.01)
    go_on.set()

    assert forwarder.stop(deadline_s(10))


def test_a_destination_that_was_taken_out_of_the_configuration_is_pointed_out(
    site: Site, forwarder: Forwarder
) -> None:
    """What it is owed stays owed, and the log says so at every start."""
    site.journal.add(stored(site.spool, 1, "gone"))
    forwarder.start()

    [line] = site.logged("a destination is owed instances and is not in the configuration")
    assert (line["destination"], line["count"]) == ("gone", 1)


# Every example is a day of a node: a sixth of the usual number is enough for a run.
@settings(max_examples=max(10, settings.default.max_examples // 6))
@given(seed=st.integers(0, 2**32))
def test_whatever_a_destination_does_everything_ends_in_one_state(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """T-SIM: an erratic destination for a day; nothing is lost, nothing is tried for ever."""
    chance, time = random.Random(seed), Time()  # noqa: S311 - the same every time
    logs.configure(io.StringIO(), level="error", strict=True)
    spool = Spool(tmp_path_factory.mktemp("sim"), reserve_bytes=0)
    journal = Journal(spool.private_file(FILE_NAME), wall=time)
    pacs = Pacs()
    site = Site(journal, spool, FaultyDisk(), pacs, time, io.StringIO(), spool._data)
    worker = site.worker()
    moods = [0, 0, 0, 0xB000, 0xA700, 0xC000, 0x0110, PeerAborted(0, 0), Timeout("slow")]
    for number in range(1, 21):
        site.owe(number)
        pacs.answer = chance.choice(moods)
        pacs.connecting = chance.choice([None, None, None, PeerRejected(2, 3, 1)])
        if chance.random() < 0.2:
            journal.give_back()
            worker = site.worker()
        site.run(worker, chance.uniform(0, 3600))
    pacs.answer, pacs.connecting = 0, None
    site.run(worker, 3 * POLICY.cap_s)
    states = site.states()
    journal.close()

    assert set(states.values()) <= {"delivered", "failed"}
    assert all(uid(n) in pacs.received for n, state in states.items() if state == "delivered")
    assert Counter(pacs.received).most_common(1)[0][1] <= 1
    assert max(Counter(pacs.offered).values()) < 100

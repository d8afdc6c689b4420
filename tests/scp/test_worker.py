"""One destination's queue: each promise at the top of the worker."""

from __future__ import annotations

import errno
import io
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scp import logs
from scp.errors import ConnectionLost, PeerAborted, PeerRejected, Stopping, Timeout
from scp.journal import FILE_NAME, DestinationNote, Journal
from scp.patience import Surroundings
from scp.settling import CHANGED, EXPIRED, NO_CONTEXT, NO_CONTEXTS, UNREADABLE
from scp.spool import ASIDE, Spool
from scp.worker import Worker, sweep
from tests.scp.delivering import POLICY, Pacs, Site, Time, site_in
from tests.scp.disks import FaultyDisk
from tests.scp.storing import CT, EXPLICIT, MR, stored, uid
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scp.instance import DueDelivery
    from tests.scp.delivering import Association, Context


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Nothing is stored and nothing is owed."""
    with site_in(tmp_path) as made:
        yield made


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


def test_changed_bytes_give_way_to_those_of_a_resend(site: Site) -> None:
    """They are set aside, also for the other destinations, and the new ones are sent."""
    instance = stored(site.spool, 1, "pacs", "other")
    site.journal.add(instance)
    path = site.data / "instances" / instance.file.name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    worker = site.worker()
    worker.turn()
    again = site.journal.add(stored(site.spool, 1, "pacs", "other"))
    site.run(worker, 1)

    assert [one.read_bytes()[-1:] for one in (site.data / ASIDE).iterdir()] == [b"x"]
    assert (again.kept, again.owed) == (True, ("pacs", "other"))
    assert site.pacs.received == [uid(1)]


def test_bytes_that_have_been_replaced_meanwhile_are_sent_in_their_turn(site: Site) -> None:
    """What a worker has taken may be lost and sent again before it comes to it."""
    site.owe(1, 2)
    record = site.journal.instance(uid(2))
    assert record is not None

    def replace_second(_: str) -> None:
        site.pacs.during = lambda _: None
        site.spool.remove(record.file_name)
        site.journal.lose([record.file_name], outcome="lost by the test")
        site.owe(2)

    site.pacs.during = replace_second
    site.run(site.worker(), POLICY.base_s + 1)

    assert site.pacs.received == [uid(1), uid(2)]
    assert not site.logged("delivery failed")


def test_a_file_that_cannot_be_read_just_now_has_not_failed(site: Site) -> None:
    """The node may lack descriptors for an hour: that is no fault of the instances."""
    site.owe(1, 2)
    site.disk.faults = {"read": errno.EMFILE}
    worker = site.worker()
    site.run(worker, 3600)
    assert site.states() == {1: "due", 2: "due"}
    assert site.outcome(1) == UNREADABLE
    assert len(site.logged("delivery put off")) < 100
    site.disk.faults = {}
    site.run(worker, POLICY.cap_s)

    assert set(site.states().values()) == {"delivered"}
    assert site.journal.destination("pacs").failures == 0


def test_a_file_that_can_never_be_read_delays_nobody(site: Site) -> None:
    """Whatever the disk says of it, it may be there all the same: it is due, behind the others."""
    site.owe(1, 2, 3)
    record = site.journal.instance(uid(1))
    assert record is not None
    path = site.data / "instances" / record.file_name
    path.unlink()
    path.mkdir()
    site.run(site.worker(), 60)

    assert site.states() == {1: "due", 2: "delivered", 3: "delivered"}


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
    assert len(site.pacs.associations) == attempts + 2  # the probe, then all the others


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


def test_an_instance_that_is_refused_as_if_it_were_the_node_blocks_nobody(site: Site) -> None:
    """After one wait another is asked for; then the refusal is known to be of the instance."""
    site.owe(1, 2, 3)
    site.pacs.answers = {uid(1): 0x0124}
    worker = site.worker()
    worker.turn()
    assert site.states() == {1: "held", 2: "held", 3: "held"}
    site.run(worker, 3 * POLICY.cap_s)

    assert site.states() == {1: "failed", 2: "delivered", 3: "delivered"}
    assert site.pacs.offered.count(uid(1)) == 1 + POLICY.strikes
    assert site.journal.destination("pacs").failures == 0


def test_a_destination_that_begins_to_refuse_the_node_fails_nothing(site: Site) -> None:
    """In the middle of an association: one instance is asked about, the next shows what it is."""
    site.owe(*range(1, 30))

    def revoke(instance: str) -> None:
        if instance == uid(10):
            site.pacs.answer = 0x0124

    site.pacs.during = revoke
    worker = site.worker()
    site.run(worker, 30 * POLICY.cap_s)

    assert sorted(site.states().values()) == ["delivered"] * 9 + ["held"] * 20
    assert len(site.pacs.associations) <= 34


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


def test_one_instance_in_one_association_probes_a_destination_that_failed(site: Site) -> None:
    """Half open: the others wait until it has been delivered, and then go together."""
    site.pacs.connecting = ConnectionLost("no connection could be made")
    site.owe(*range(1, 11))
    worker = site.worker()
    worker.turn()
    site.pacs.connecting = None
    site.time.now += POLICY.base_s
    worker.turn()
    assert site.pacs.received == [uid(1)]
    assert set(list(site.states().values())[:-1]) == {"due"}
    worker.turn()

    assert site.pacs.received == [uid(number) for number in range(1, 11)]
    assert len(site.pacs.associations) == 3


def test_a_probe_that_fails_leaves_the_destination_alone_for_longer(site: Site) -> None:
    """It makes associations and answers nothing: two instances at first, then one at a time."""
    site.pacs.answer = Timeout("no answer")
    site.owe(*range(1, 101))
    worker = site.worker()
    site.run(worker, 10)
    assert len(site.pacs.offered) <= 4
    site.run(worker, 3600)

    assert len(site.pacs.offered) == len(site.pacs.associations)
    assert len(site.pacs.offered) <= 40


def test_suspects_wait_for_each_other(site: Site) -> None:
    """After a long outage there are many; a destination is not knocked at by each of them."""
    site.pacs.answer = 0xA700
    worker = site.worker(replace(POLICY, lifetime_s=1e9))
    for number in range(1, 41):
        site.owe(number)
        site.run(worker, POLICY.cap_s)
    before = len(site.pacs.offered)
    site.run(worker, 20 * POLICY.cap_s)

    assert len(site.pacs.offered) - before <= 42
    site.pacs.answer = 0
    site.run(worker, 2 * POLICY.cap_s)
    assert set(site.states().values()) == {"delivered"}


def test_one_poisonous_instance_does_not_open_the_breaker(site: Site) -> None:
    """Sent first of all, it fails; the others go at once and not after a wait."""
    site.pacs.answers = {uid(1): Timeout("slow")}
    site.owe(*range(1, 101))
    begun = site.time.now
    worker = site.worker()
    worker.turn()
    worker.turn()

    assert site.pacs.received == [uid(number) for number in range(2, 101)]
    assert site.time.now == begun
    assert site.logged("a destination does not work") == []


def test_a_destination_that_takes_back_what_it_took_fails_nothing(site: Site) -> None:
    """It accepted the context before and does not now: its queue is held, nothing fails."""
    site.owe(1)
    worker = site.worker()
    worker.turn()
    site.pacs.refuses = {(CT, EXPLICIT)}
    site.owe(2)
    site.run(worker, 3 * POLICY.cap_s)
    assert site.states() == {1: "delivered", 2: "held"}
    site.pacs.refuses = set()
    site.run(worker, POLICY.cap_s)

    assert set(site.states().values()) == {"delivered"}


def test_waits_are_full_jitter_and_nobody_storms_at_the_return(
    site: Site, figures: Callable[..., None]
) -> None:
    """T-JITTER: 200 queued for a dead host, half an hour of a simulated clock, again and again.

    Each wait divided by its bound is uniform between 0 and 1: the distance of Kolmogorov and
    Smirnov stays below the bound of p = 0.01.
    """
    site.owe(*range(1, 201))
    site.pacs.connecting = ConnectionLost("no connection could be made")
    shares: list[float] = []
    for seed in range(size(ci=12, nightly=500)):
        site.journal.note_destination("pacs", DestinationNote())
        moments: list[float] = []
        worker = jittery(site, random.Random(seed), moments)  # noqa: S311
        site.run(worker, 1800)
        waits = [after - before for before, after in pairwise(moments)]
        shares += [
            wait_s / min(POLICY.cap_s, POLICY.base_s * 2**failures)
            for failures, wait_s in enumerate(waits)
        ]
    site.pacs.connecting = None
    moments.clear()
    site.run(worker, POLICY.cap_s)
    at_recovery = max(within_a_second(moments))
    distance, bound = distance_from_uniform(shares), 1.628 / len(shares) ** 0.5
    figures(
        "T-JITTER",
        waits=len(shares),
        distance=round(distance, 3),
        bound=round(bound, 3),
        attempts_per_second_at_recovery=at_recovery,
    )

    assert distance < bound
    assert at_recovery <= 2
    assert set(site.states().values()) == {"delivered"}


def jittery(site: Site, chance: random.Random, moments: list[float]) -> Worker:
    """A worker that waits as chance has it; it notes when it makes an association."""

    def opened(name: str, contexts: Sequence[Context]) -> Association:
        moments.append(site.time.now)
        return site.pacs.open(name, contexts)

    around = Surroundings(site.time, site.time, chance.random)
    return Worker("pacs", site.journal, site.spool, opened, POLICY, around, logs.log())


def within_a_second(moments: list[float]) -> list[int]:
    """How many follow within a second of each, itself included."""
    return [sum(0 <= other - one < 1 for other in moments) for one in moments]


def distance_from_uniform(shares: list[float]) -> float:
    """The Kolmogorov-Smirnov distance of a sample from the uniform distribution on [0, 1)."""
    count = len(shares)
    return max(
        max((number + 1) / count - share, share - number / count)
        for number, share in enumerate(sorted(shares))
    )


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

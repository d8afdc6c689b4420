"""What is owed is delivered: one worker per destination, so that none delays another.

The promise:

1. At least once. A delivery is settled when the destination has answered. What was on its way at
   a crash or a stop is due again, and sends the same bytes under the same UID.
2. A temporary failure makes the whole destination wait, not each instance: full jitter, doubling
   up to a cap, one association per attempt. Past its lifetime a delivery has failed.
3. An instance that a destination refuses has failed after three attempts, is kept with its
   reason, and delays nobody: what was never tried goes first. One that makes a destination fail
   waits alone, and its failures count once others were delivered in between.
4. A destination that refuses this node fails nothing: what it is owed is held, visibly, and it is
   asked again at the cap. Presentation contexts it did not refuse are not held.
5. Bytes are checked against their digest before they are sent; changed bytes are never sent.
6. Memory is bounded: so many deliveries at a time, and no file as a whole.
7. A worker survives whatever happens to one job.
8. Swept files: the journal forgets them durably before they are removed.
"""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from scp import logs
from scp.errors import ScpError, SpoolError, Stopping
from scp.instance import DeliveryState
from scp.journal import DestinationNote, Settlement
from scp.status import Verdict, judge_error, judge_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from scp.instance import DueDelivery
    from scp.journal import Journal
    from scp.logs import Log
    from scp.spool import Spool

    Context = tuple[str, str]

CHANGED: Final = "the stored bytes are gone or have changed, they are not sent"
EXPIRED: Final = "not delivered within its lifetime"
NO_CONTEXT: Final = "the destination does not accept its presentation context"
NO_CONTEXTS: Final = "the destination accepts none of the presentation contexts"
UNREADABLE: Final = "the stored file cannot be read"

_DOUBLINGS: Final = 62
"""More would not fit a float's exact range; the cap has long been reached."""


class Association(Protocol):
    """An association with a destination, as `scp.sender` makes them."""

    def accepted(self, sop_class_uid: str, transfer_syntax_uid: str, /) -> bool:
        """Whether the destination takes instances of this class in this transfer syntax."""

    def store(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        dataset_chunks: Iterable[bytes],
        /,
    ) -> int:
        """Send one instance; the Status (0000,0900) of the response."""


class OpenAssociation(Protocol):
    """Makes an association; leaving the block releases it, or aborts it after an exception."""

    def __call__(
        self, destination: str, contexts: Sequence[Context], /
    ) -> AbstractContextManager[Association]:
        """Prepare one with a destination, by its name; entering the block opens it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the forwarder is.

    Attributes:
        base_s: Upper bound of the first wait; each further one is twice as long.
        cap_s: Upper bound of every wait.
        lifetime_s: How long a delivery is tried before it has failed.
        strikes: Attempts that count against an instance before its delivery has failed.
        batch: Deliveries taken at a time.
        contexts: Presentation contexts proposed in an association (PS3.8 9.3.2.2: 128).
        look_again_s: How soon a worker sees what another process asked for.
    """

    base_s: float = 5.0
    cap_s: float = 900.0
    lifetime_s: float = 5 * 86400.0
    strikes: int = 3
    batch: int = 256
    contexts: int = 128
    look_again_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that a worker takes from outside, so that a simulation can take its place.

    Attributes:
        wall: Clock of what is stored, seconds since 1970.
        monotonic: Clock of waits and durations, in seconds.
        random: Uniform in [0, 1).
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random


def next_attempt(failures: int, random: Callable[[], float], base_s: float, cap_s: float) -> float:
    """How long to wait after so many failures in a row: full jitter.

    Args:
        failures: At least 1.
        random: Uniform in [0, 1).
        base_s: Upper bound of the first wait.
        cap_s: Upper bound of every wait.

    Returns:
        Seconds, uniform between 0 and the bound.
    """
    bound_s: float = min(cap_s, base_s * 2.0 ** min(failures - 1, _DOUBLINGS))
    return random() * bound_s


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of offering an instance.

    Attributes:
        status: Status of the response, None if there was none.
        outcome: One sentence for the operator.
        counts: Whether a temporary failure counts against the instance.
    """

    verdict: Verdict
    status: int | None
    outcome: str
    counts: bool = False


def settle(
    delivery: DueDelivery, attempt: Attempt, now: float, policy: Policy, wait_s: float
) -> Settlement:
    """What an attempt makes of a delivery; pure.

    Args:
        delivery: As it was taken.
        attempt: What came of it.
        now: Seconds since 1970.
        policy: Strikes and lifetime.
        wait_s: How long to wait if it is tried again.
    """
    settled = Settlement(
        delivery_id=delivery.id,
        state=DeliveryState.DELIVERED,
        attempts=delivery.attempts + 1,
        refusals=delivery.refusals,
        next_attempt_at=0.0,
        last_status=attempt.status,
        last_outcome=attempt.outcome,
    )
    if attempt.verdict.delivered:
        return settled
    if attempt.verdict is Verdict.INSTANCE_REFUSED or attempt.counts:
        settled = replace(settled, refusals=delivery.refusals + 1)
    if settled.refusals >= policy.strikes:
        return replace(settled, state=DeliveryState.FAILED)
    if now - delivery.due_since > policy.lifetime_s:
        return replace(settled, state=DeliveryState.FAILED, last_outcome=EXPIRED)
    return replace(settled, state=DeliveryState.DUE, next_attempt_at=now + wait_s)


def fit(deliveries: Sequence[DueDelivery], most: int) -> tuple[list[Context], list[DueDelivery]]:
    """The contexts of one association, at most so many, and the deliveries that they serve."""
    contexts = list(dict.fromkeys(delivery.context for delivery in deliveries))[:most]
    return contexts, [delivery for delivery in deliveries if delivery.context in contexts]


def sweep(journal: Journal, spool: Spool, log: Log) -> None:
    """Remove the files that are not to be stored and that nobody is owed any more.

    Raises:
        ScpError: It cannot be done now. A file that the journal has forgotten goes at the next
            start at the latest.
    """
    while names := journal.sweep():
        for name in names:
            spool.remove(name)
        log.info("instances swept", count=len(names))


class _Leave(Exception):
    """The association cannot be used any more, and everything about it is settled."""


@dataclass(slots=True)
class _Pause:
    """Why and how long a destination is left alone; lives in one worker.

    Attributes:
        failures: Failed attempts since the destination last worked.
        until: Moment of the monotonic clock.
        refused: The contexts that a hold is about; empty means everything.
    """

    failures: int = 0
    until: float = -math.inf
    refused: frozenset[Context] = frozenset()


class Worker:
    """Delivers what one destination is owed; one thread calls `turn`, any may call `wake`."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        spool: Spool,
        open_association: OpenAssociation,
        policy: Policy,
        surroundings: Surroundings,
        log: Log,
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self._bell = threading.Event()
        self._journal = journal
        self._spool = spool
        self._open_association = open_association
        self._policy = policy
        self._around = surroundings
        self._log = log
        self._pause = _Pause(journal.destination(name).failures)
        self._looked_at = surroundings.monotonic()
        self._delivered = 0
        self._takes_something = False
        # How much had been delivered when an instance last made the destination fail.
        self._suspects: dict[int, int] = {}
        self._on_its_way: set[int] = set()

    def wake(self) -> None:
        """Something may be due."""
        self._bell.set()

    def run(self) -> None:
        """Deliver until told to stop; survives every error."""
        while not self.stopping.is_set():
            wait_s = self._safe_turn()
            if wait_s > 0:
                self._bell.wait(min(wait_s, self._policy.look_again_s))
                self._bell.clear()

    def turn(self) -> float:
        """Do what is due now, in at most one association.

        Returns:
            Seconds until there may be something to do; infinite if nothing is owed.
        """
        left_s = self._pause.until - self._around.monotonic()
        if left_s > 0 and self._somebody_asks():
            self._pause = _Pause()
            left_s = 0.0
        if left_s > 0 and not self._pause.refused:
            return left_s
        batch = self._journal.due(
            self.name,
            self._policy.batch,
            horizon_s=self._policy.cap_s,
            without=self._pause.refused if left_s > 0 else frozenset(),
        )
        if not batch:
            return left_s if left_s > 0 else self._idle_s()
        self._send(*fit(batch, self._policy.contexts))
        sweep(self._journal, self._spool, self._log)
        return 0.0

    def _safe_turn(self) -> float:
        failure: Exception | None = None
        try:
            return self.turn()
        except Exception as error:  # noqa: BLE001 - a worker that ends is a queue that stands
            failure = error
        # In memory only: the journal may be what failed.
        self._pause.until = self._around.monotonic() + self._policy.base_s
        self._log.error("a forwarder failed", destination=self.name, **logs.of_error(failure))
        return self._policy.base_s

    def _somebody_asks(self) -> bool:
        """Whether `retry` was called for this destination, perhaps in another process."""
        now = self._around.monotonic()
        if now - self._looked_at < self._policy.look_again_s:
            return False
        self._looked_at = now
        note = self._journal.destination(self.name)
        return self._pause.failures > 0 and note.failures == 0

    def _idle_s(self) -> float:
        wait_s = self._journal.next_turn_in_s(self.name)
        return math.inf if wait_s is None else min(wait_s, self._policy.cap_s)

    # ---- one association

    def _send(self, contexts: list[Context], batch: list[DueDelivery]) -> None:
        opened = False
        failure: Exception | None = None
        try:
            with self._open_association(self.name, contexts) as association:
                opened = True
                self._offer_all(association, batch)
        except (_Leave, Stopping):
            pass
        except Exception as error:  # noqa: BLE001 - classified below, or reported
            failure = error
        finally:
            self._give_back()
        if failure is None:
            return
        if opened:
            # Whatever was answered is settled; the rest has been given back.
            self._pause.until = self._around.monotonic() + self._policy.base_s
            self._log.error("an association failed", destination=self.name, **_say(failure))
        elif judge_error(failure) is Verdict.DESTINATION_REFUSES:
            self._hold(_sentence(failure))
        else:
            self._back_off(_sentence(failure))

    def _offer_all(self, association: Association, batch: list[DueDelivery]) -> None:
        accepted = [delivery for delivery in batch if association.accepted(*delivery.context)]
        if not accepted and not self._takes_something:
            self._hold(NO_CONTEXTS, frozenset(delivery.context for delivery in batch))
            return
        self._takes_something = True
        taken = {delivery.id for delivery in accepted}
        for delivery in batch:
            if delivery.id not in taken:
                self._settle(delivery, Attempt(Verdict.INSTANCE_REFUSED, None, NO_CONTEXT))
        if not accepted:
            return
        self._on_its_way = taken
        self._journal.mark_sending(accepted)
        at_first = self._delivered
        for delivery in accepted:
            if self.stopping.is_set() or not self._offer(association, delivery, at_first):
                return

    def _offer(self, association: Association, delivery: DueDelivery, at_first: int) -> bool:
        """Send one instance; whether the association can be used for the next."""
        if not self._is_sendable(delivery):
            return True
        begun = self._around.monotonic()
        try:
            status = association.store(
                delivery.sop_class_uid,
                delivery.sop_instance_uid,
                delivery.transfer_syntax_uid,
                self._spool.read(delivery.file, delivery.dataset_offset),
            )
        except Stopping:
            raise
        except Exception as error:
            self._failed_with(delivery, None, _sentence(error), at_first)
            raise _Leave from error
        return self._answered(delivery, status, at_first, self._around.monotonic() - begun)

    def _is_sendable(self, delivery: DueDelivery) -> bool:
        """Check the bytes; what cannot be sent is settled."""
        try:
            intact = self._spool.intact(delivery.file)
        except SpoolError:
            self._settle(delivery, Attempt(Verdict.INSTANCE_REFUSED, None, UNREADABLE))
            return False
        if not intact:
            changed = Attempt(Verdict.INSTANCE_REFUSED, None, CHANGED)
            # No further attempt would find other bytes.
            self._settle(replace(delivery, refusals=self._policy.strikes), changed)
        return intact

    def _answered(
        self, delivery: DueDelivery, status: int, at_first: int, duration_s: float
    ) -> bool:
        """Settle what the destination answered; whether to go on."""
        verdict = judge_status(status)
        outcome = f"{verdict.value} ({status:#06x})" if status else verdict.value
        if verdict is Verdict.DESTINATION_REFUSES:
            self._hold(outcome)
            return False
        if verdict is Verdict.TEMPORARY:
            self._failed_with(delivery, status, outcome, at_first)
            return False
        self._settle(delivery, Attempt(verdict, status, outcome), duration_s)
        self._delivered += verdict.delivered
        self._works()
        return True

    def _failed_with(
        self, delivery: DueDelivery, status: int | None, outcome: str, at_first: int
    ) -> None:
        """A temporary failure while an instance was offered: the instance's or the destination's?

        It counts against the instance if others were delivered since its last failure, or before
        its first in this association. Otherwise the destination waits, unless this instance has
        failed before: then it waits alone, so that it cannot hold up the others.
        """
        counts = self._delivered > self._suspects.get(delivery.id, at_first)
        self._suspects[delivery.id] = self._delivered
        self._settle(delivery, Attempt(Verdict.TEMPORARY, status, outcome, counts))
        if delivery.attempts == 0 and not counts:
            self._back_off(outcome)

    def _settle(
        self, delivery: DueDelivery, attempt: Attempt, duration_s: float | None = None
    ) -> None:
        wait_s = self._wait_s(delivery.attempts + 1)
        settled = settle(delivery, attempt, self._around.wall(), self._policy, wait_s)
        self._journal.settle([settled])
        self._on_its_way.discard(delivery.id)
        if settled.state is not DeliveryState.DUE:
            self._suspects.pop(delivery.id, None)
        self._report(delivery, settled, duration_s)

    def _give_back(self) -> None:
        """Make due what was to be sent in this association and was not."""
        if self._on_its_way:
            self._journal.give_back(self.name)
            self._on_its_way = set()

    # ---- the destination as a whole

    def _back_off(self, outcome: str) -> None:
        """Leave the destination alone for a while."""
        self._pause.failures += 1
        self._pause_for(self._wait_s(self._pause.failures), outcome, hold=False)
        expired = self._journal.expire(
            self.name, lifetime_s=self._policy.lifetime_s, outcome=EXPIRED
        )
        if expired:
            self._log.error(
                "deliveries failed", destination=self.name, count=expired, reason=EXPIRED
            )

    def _hold(self, outcome: str, refused: frozenset[Context] = frozenset()) -> None:
        """Hold what the destination is owed, fail nothing, and ask again at the cap."""
        self._pause.failures += 1
        self._pause.refused = self._pause.refused | refused if refused else frozenset()
        # Before the rest of the batch counts as held it must not count as sent.
        self._give_back()
        self._pause_for(self._policy.cap_s, outcome, hold=True)

    def _pause_for(self, wait_s: float, outcome: str, *, hold: bool) -> None:
        if not hold:
            self._pause.refused = frozenset()
        self._pause.until = self._around.monotonic() + wait_s
        note = DestinationNote(self._pause.failures, self._around.wall() + wait_s, outcome)
        self._journal.note_destination(self.name, note, hold=hold)
        say = self._log.error if hold else self._log.warning
        say(
            "a destination refuses this node" if hold else "a destination does not work",
            destination=self.name,
            attempt=self._pause.failures,
            duration_s=round(wait_s, 1),
            reason=outcome,
        )

    def _works(self) -> None:
        """It answered: whatever was against it is over."""
        if self._pause.failures:
            self._pause = _Pause()
            self._journal.note_destination(self.name, DestinationNote())
            self._log.info("a destination works again", destination=self.name)

    def _wait_s(self, failures: int) -> float:
        policy = self._policy
        return next_attempt(failures, self._around.random, policy.base_s, policy.cap_s)

    def _report(
        self, delivery: DueDelivery, settled: Settlement, duration_s: float | None
    ) -> None:
        fields: dict[str, str | float] = {
            "destination": self.name,
            "instance": delivery.sop_instance_uid,
            "attempt": settled.attempts,
            "state": settled.state.value,
        }
        if settled.last_status is not None:
            fields["status"] = f"{settled.last_status:#06x}"
        if duration_s is not None:
            fields["duration_s"] = round(duration_s, 4)
        if settled.state is DeliveryState.DELIVERED:
            self._log.info("delivery made", **fields)
        elif settled.state is DeliveryState.FAILED:
            self._log.error("delivery failed", reason=settled.last_outcome, **fields)
        else:
            self._log.warning("delivery put off", reason=settled.last_outcome, **fields)


class Forwarder:
    """All workers of the node."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        destinations: Iterable[str],
        open_association: OpenAssociation,
        *,
        policy: Policy | None = None,
        policies: Mapping[str, Policy] | None = None,
        surroundings: Surroundings | None = None,
        log: Log | None = None,
    ) -> None:
        """Prepare a worker for each destination; none runs before `start`.

        Args:
            journal: What is owed.
            spool: The bytes.
            destinations: Names, as in the configuration.
            open_association: Makes an association with one of them.
            policy: How patient to be.
            policies: Where a destination asks for more patience, or less.
            surroundings: Clocks and chance.
            log: Where events go.
        """
        self._journal = journal
        self._spool = spool
        self._log = log if log is not None else logs.log()
        self._workers = {
            name: Worker(
                name,
                journal,
                spool,
                open_association,
                (policies or {}).get(name) or policy or Policy(),
                surroundings or Surroundings(),
                self._log,
            )
            for name in destinations
        }
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Make due what a crash left as being sent, then start to deliver."""
        self._journal.give_back()
        sweep(self._journal, self._spool, self._log)
        for line in self._journal.queue():
            if line.destination not in self._workers and line.state is DeliveryState.DUE:
                self._log.warning(
                    "a destination is owed instances and is not in the configuration",
                    destination=line.destination,
                    count=line.count,
                )
        # Daemons: what a stuck peer holds on to must not keep the process from ending; what was
        # on its way is due at the next start.
        self._threads = [
            threading.Thread(target=worker.run, name=f"forward-{name}", daemon=True)
            for name, worker in self._workers.items()
        ]
        for thread in self._threads:
            thread.start()

    def wake(self, destinations: Iterable[str]) -> None:
        """Tell workers that their destinations are owed something new; never blocks."""
        for name in destinations:
            if name in self._workers:
                self._workers[name].wake()

    def stop(self, within_s: float) -> bool:
        """Let every worker finish the instance it is sending, then stop; may be repeated.

        Args:
            within_s: How long to wait for them.

        Returns:
            Whether all have stopped. If not, interrupt their associations and call it again.
        """
        deadline = time.monotonic() + within_s
        for worker in self._workers.values():
            worker.stopping.set()
            worker.wake()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)


def _sentence(error: BaseException) -> str:
    """What the journal may say of an error: our own sentences, of others only the type."""
    return str(error) if isinstance(error, ScpError) else f"failed with {type(error).__name__}"


def _say(error: BaseException) -> dict[str, str]:
    return {"reason": _sentence(error), **logs.of_error(error)}

"""One destination's queue, delivered by one worker; it knows no other.

The promise:

1. At least once. A delivery is settled when the destination has answered. What was on its way at
   a crash or a stop is due again, and sends the same bytes under the same UID.
2. A temporary failure makes the whole destination wait, not each instance: `scp.patience` has the
   breaker. While it is half open one instance in one association is offered. Past its lifetime a
   delivery has failed.
3. An instance that a destination refuses has failed after three attempts, is kept with its
   reason, and delays nobody: what was never tried goes first. One that makes a destination fail
   waits alone, and its failures count once others were delivered in between.
4. A destination that refuses this node fails nothing: what it is owed is held, visibly, and it is
   asked again at the cap, with another instance each time. Once it has taken others, the refusal
   is of the instance. Presentation contexts it did not refuse are not held.
5. Bytes are checked against their digest before they are sent. Changed bytes are never sent: the
   file is set aside, and the same instance sent again takes its place. A file that cannot be read
   may be there all the same: that counts against nobody.
6. Memory is bounded: so many deliveries at a time, one association, and no file as a whole.
7. A worker survives whatever happens to one job.
8. Swept files: the journal forgets them durably before they are removed.
"""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from scp import logs
from scp.delivery_notes import DeliveryNotes
from scp.errors import SpoolError, Stopping
from scp.instance import DeliveryState
from scp.patience import Breaker
from scp.quarantine import quarantine
from scp.settling import (
    CHANGED,
    NO_CONTEXT,
    NO_CONTEXTS,
    UNREADABLE,
    Attempt,
    answered,
    fit,
    refused,
    sentence,
)
from scp.status import Verdict, judge_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from scp.instance import DueDelivery
    from scp.journal import Journal
    from scp.logs import Log
    from scp.patience import Context, Policy, Surroundings
    from scp.spool import Spool


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
        self.back_by = math.inf
        """When the wait that it is in ends, on the monotonic clock; infinite while it works."""
        self._bell = threading.Event()
        self._journal = journal
        self._spool = spool
        self._open_association = open_association
        self._policy = policy
        self._around = surroundings
        self._log = log
        self._notes = DeliveryNotes(name, journal, policy, surroundings, log)
        self._breaker = Breaker(journal.destination(name).failures)
        self._looked_at = surroundings.monotonic()
        self._delivered = 0
        # The contexts that the destination has ever accepted.
        self._taken: set[Context] = set()
        # How much had been delivered when an instance last made the destination fail.
        self._suspects: dict[int, int] = {}
        # How much had been delivered when the destination last refused this node.
        self._unwelcome_at = 0
        # What it refused as if it were this node, while it took others.
        self._unwelcome: set[int] = set()

    def wake(self) -> None:
        """Something may be due."""
        self._bell.set()

    def run(self) -> None:
        """Deliver until told to stop; survives every error."""
        while not self.stopping.is_set():
            wait_s = self._safe_turn()
            if wait_s > 0:
                wait_s = min(wait_s, self._policy.look_again_s)
                self.back_by = self._around.monotonic() + wait_s
                self._bell.wait(wait_s)
                self._bell.clear()
                self.back_by = math.inf

    def turn(self) -> float:
        """Do what is due now, in at most one association.

        Returns:
            Seconds until there may be something to do; infinite if nothing is owed.
        """
        # Something is left from the turn before only if the journal failed then: a full disk.
        self._notes.give_back()
        left_s = self._left_s()
        if left_s > 0 and not self._breaker.refused:
            return left_s
        batch = self._journal.due(
            self.name,
            self._policy.batch,
            horizon_s=self._policy.cap_s,
            without=self._breaker.refused if left_s > 0 else frozenset(),
        )
        suspects_left_s = self._breaker.suspects_left_s(self._around.monotonic())
        if suspects_left_s > 0:
            # What was never tried comes first, so that none of it is beyond the end of the batch.
            batch = [delivery for delivery in batch if not delivery.attempts]
        if not batch:
            return left_s or suspects_left_s or self._idle_s()
        self._send(*fit(batch, self._policy.contexts))
        sweep(self._journal, self._spool, self._log)
        return 0.0

    def _left_s(self) -> float:
        """How long the destination is left alone, unless somebody asks for it."""
        left_s = self._breaker.left_s(self._around.monotonic())
        if left_s > 0 and self._somebody_asks():
            self._breaker = Breaker()
            return 0.0
        return left_s

    def _safe_turn(self) -> float:
        failure: Exception | None = None
        try:
            return self.turn()
        except Exception as error:  # noqa: BLE001 - a worker that ends is a queue that stands
            failure = error
        # In memory only: the journal may be what failed.
        self._breaker.rest(self._around.monotonic(), self._policy.base_s)
        self._log.error("a forwarder failed", destination=self.name, **logs.of_error(failure))
        return self._policy.base_s

    def _somebody_asks(self) -> bool:
        """Whether `retry` was called for this destination, perhaps in another process."""
        now = self._around.monotonic()
        if now - self._looked_at < self._policy.look_again_s:
            return False
        self._looked_at = now
        note = self._journal.destination(self.name)
        return self._breaker.failures > 0 and note.failures == 0

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
            self._notes.give_back()
        if failure is None:
            return
        if opened:
            # Whatever was answered is settled; the rest has been given back.
            self._breaker.rest(self._around.monotonic(), self._policy.base_s)
            self._log.error("an association failed", destination=self.name, **_say(failure))
        elif judge_error(failure) is Verdict.DESTINATION_REFUSES:
            self._hold(sentence(failure))
        else:
            self._back_off(sentence(failure))

    def _offer_all(self, association: Association, batch: list[DueDelivery]) -> None:
        accepted = [delivery for delivery in batch if association.accepted(*delivery.context)]
        if not accepted and self._refuses_all(batch):
            self._hold(NO_CONTEXTS, frozenset(delivery.context for delivery in batch))
            return
        self._taken.update(delivery.context for delivery in accepted)
        taken = {delivery.id for delivery in accepted}
        for delivery in batch:
            if delivery.id not in taken:
                self._settle(delivery, refused(NO_CONTEXT))
        if self._breaker.probes:
            accepted = accepted[:1]
        if not accepted:
            return
        self._notes.sending(accepted)
        at_first = self._delivered
        for delivery in accepted:
            if self.stopping.is_set() or not self._offer(association, delivery, at_first):
                return

    def _refuses_all(self, batch: list[DueDelivery]) -> bool:
        """Whether it is the destination's way to accept none of these contexts.

        One that takes others, and never took these, means the instances.
        """
        took_them = any(delivery.context in self._taken for delivery in batch)
        return took_them or not self._taken

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
        except SpoolError as error:
            self._cannot_read(delivery)
            raise _Leave from error
        except Exception as error:
            self._failed_with(
                delivery, Attempt(Verdict.TEMPORARY, None, sentence(error)), at_first
            )
            raise _Leave from error
        return self._answered(delivery, status, at_first, self._around.monotonic() - begun)

    def _is_sendable(self, delivery: DueDelivery) -> bool:
        """Check the bytes; what cannot be sent is settled."""
        file = delivery.file
        try:
            # What was read may have been damaged on its way.
            if self._spool.intact(file) or self._spool.intact(file, from_disk=True):
                return True
        except SpoolError as error:
            self._cannot_read(delivery)
            raise _Leave from error
        if file.name and not self._journal.names(file.name):
            # Another copy has taken its place: that is sent when this is given back. Or it was
            # lost, and that is settled. Not at once, in case an index of the journal is damaged.
            self._breaker.rest(self._around.monotonic(), self._policy.base_s)
            return False
        # No further attempt would find other bytes.
        self._settle(replace(delivery, refusals=self._policy.strikes), refused(CHANGED))
        if file.name:
            quarantine(self._journal, self._spool, file.name)
        return False

    def _cannot_read(self, delivery: DueDelivery) -> None:
        """Something of this node fails, as where it lacks descriptors: what is next may do."""
        self._settle(delivery, Attempt(Verdict.TEMPORARY, None, UNREADABLE))
        self._breaker.rest(self._around.monotonic(), self._policy.base_s)

    def _answered(
        self, delivery: DueDelivery, status: int, at_first: int, duration_s: float
    ) -> bool:
        """Settle what the destination answered; whether to go on."""
        attempt = answered(status)
        if attempt.verdict is Verdict.DESTINATION_REFUSES:
            return self._refused_as_if_all(delivery, attempt, at_first)
        if attempt.verdict is Verdict.TEMPORARY:
            self._failed_with(delivery, attempt, at_first)
            return False
        self._settle(delivery, attempt, duration_s)
        self._delivered += attempt.verdict.delivered
        if self._breaker.close():
            self._notes.works()
        return True

    def _refused_as_if_all(self, delivery: DueDelivery, attempt: Attempt, at_first: int) -> bool:
        """The destination refuses this node, it says, while an instance was offered.

        It means the instance if others were delivered since it refused that, or, at the first
        time, since it refused anything so and in this association. Whether to go on.
        """
        first = max(at_first, self._unwelcome_at)
        if self._delivered > self._suspects.get(delivery.id, first):
            self._unwelcome.add(delivery.id)
        self._suspects[delivery.id] = self._unwelcome_at = self._delivered
        if delivery.id in self._unwelcome:
            self._settle(delivery, replace(attempt, verdict=Verdict.INSTANCE_REFUSED))
            return True
        # Perhaps it was the node all the time. This goes behind those that were not refused: the
        # next to be asked about is another one.
        self._unwelcome.clear()
        self._settle(delivery, attempt)
        self._hold(attempt.outcome)
        return False

    def _failed_with(self, delivery: DueDelivery, attempt: Attempt, at_first: int) -> None:
        """A temporary failure while an instance was offered: the instance's or the destination's?

        It counts against the instance if others were delivered since its last failure, or before
        its first in this association. Otherwise an instance that never failed before speaks
        against the destination, and one that did against itself.
        """
        counts = self._delivered > self._suspects.get(delivery.id, at_first)
        self._suspects[delivery.id] = self._delivered
        self._settle(delivery, replace(attempt, counts=counts))
        if counts:
            return
        if delivery.attempts:
            self._suspect()
        elif not self._breaker.is_first_doubt():
            self._back_off(attempt.outcome)

    def _settle(
        self, delivery: DueDelivery, attempt: Attempt, duration_s: float | None = None
    ) -> None:
        settled = self._notes.settle(delivery, attempt, duration_s)
        if settled.state is not DeliveryState.DUE:
            self._suspects.pop(delivery.id, None)
            self._unwelcome.discard(delivery.id)

    # ---- the destination as a whole

    def _back_off(self, outcome: str) -> None:
        """Leave the destination alone for a while."""
        wait_s = self._wait_s(self._breaker.failures + 1)
        self._breaker.open(self._around.monotonic(), wait_s)
        self._notes.failed(self._breaker.failures, wait_s, outcome, hold=False)
        self._notes.expire()

    def _suspect(self) -> None:
        """Leave what failed before alone for a while."""
        wait_s = self._wait_s(self._breaker.suspicions + 1)
        self._breaker.suspect(self._around.monotonic(), wait_s)
        self._notes.expire()

    def _hold(self, outcome: str, contexts: frozenset[Context] = frozenset()) -> None:
        """Hold what the destination is owed, fail nothing, and ask again at the cap."""
        wait_s = self._policy.cap_s
        self._breaker.hold(self._around.monotonic(), wait_s, contexts)
        # Before the rest of the batch counts as held it must not count as sent.
        self._notes.give_back()
        self._notes.failed(self._breaker.failures, wait_s, outcome, hold=True)

    def _wait_s(self, failures: int) -> float:
        return self._policy.wait_s(failures, self._around.random)


def _say(error: BaseException) -> dict[str, str]:
    return {"reason": sentence(error), **logs.of_error(error)}

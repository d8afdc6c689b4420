"""What is written down about deliveries to one destination: in the journal and in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scp.instance import DeliveryState
from scp.journal import DestinationNote
from scp.settling import EXPIRED, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scp.instance import DueDelivery
    from scp.journal import Journal, Settlement
    from scp.logs import Log
    from scp.patience import Policy, Surroundings
    from scp.settling import Attempt


class DeliveryNotes:
    """The notes of one destination; used by its worker's thread.

    Attributes:
        on_its_way: The deliveries that are marked as being sent and not settled yet.
    """

    def __init__(
        self, destination: str, journal: Journal, policy: Policy, around: Surroundings, log: Log
    ) -> None:
        self.on_its_way: set[int] = set()
        self._destination = destination
        self._journal = journal
        self._policy = policy
        self._around = around
        self._log = log

    def sending(self, deliveries: Sequence[DueDelivery]) -> None:
        """These are part of the association that is open now."""
        self.on_its_way = {delivery.id for delivery in deliveries}
        self._journal.mark_sending(deliveries)

    def give_back(self) -> None:
        """Make due what was to be sent in this association and was not."""
        if self.on_its_way:
            self._journal.give_back(self._destination)
            self.on_its_way = set()

    def settle(
        self, delivery: DueDelivery, attempt: Attempt, duration_s: float | None = None
    ) -> Settlement:
        """What an attempt made of a delivery."""
        wait_s = self._policy.wait_s(delivery.attempts + 1, self._around.random)
        settled = settle(delivery, attempt, self._around.wall(), self._policy, wait_s)
        self._journal.settle([settled])
        self.on_its_way.discard(delivery.id)
        self._report(delivery, settled, duration_s)
        return settled

    def failed(self, failures: int, wait_s: float, outcome: str, *, hold: bool) -> None:
        """The destination is left alone; what it is owed is held if it refuses this node."""
        note = DestinationNote(failures, self._around.wall() + wait_s, outcome)
        self._journal.note_destination(self._destination, note, hold=hold)
        say = self._log.error if hold else self._log.warning
        say(
            "a destination refuses this node" if hold else "a destination does not work",
            destination=self._destination,
            attempt=failures,
            duration_s=round(wait_s, 1),
            reason=outcome,
        )

    def works(self) -> None:
        """Whatever was against the destination is over."""
        self._journal.note_destination(self._destination, DestinationNote())
        self._log.info("a destination works again", destination=self._destination)

    def expire(self) -> None:
        """Give up what has been due for longer than its lifetime."""
        expired = self._journal.expire(
            self._destination, lifetime_s=self._policy.lifetime_s, outcome=EXPIRED
        )
        if expired:
            self._log.error(
                "deliveries failed", destination=self._destination, count=expired, reason=EXPIRED
            )

    def _report(
        self, delivery: DueDelivery, settled: Settlement, duration_s: float | None
    ) -> None:
        fields: dict[str, str | float] = {
            "destination": self._destination,
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

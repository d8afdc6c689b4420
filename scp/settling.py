"""What an attempt makes of a delivery; pure.

An instance that the destination refuses, or that is known to make it fail, has a strike. After
three it has failed: it is kept with its reason until an operator decides. What fails for another
reason is tried until its lifetime is over; a destination that refuses this node ends no lifetime.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from scp.errors import ScpError
from scp.instance import DeliveryState
from scp.journal import Settlement
from scp.status import Verdict, judge_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scp.instance import DueDelivery
    from scp.patience import Context, Policy

CHANGED: Final = "the stored bytes are gone or have changed, they are not sent"
EXPIRED: Final = "not delivered within its lifetime"
NO_CONTEXT: Final = "the destination does not accept its presentation context"
NO_CONTEXTS: Final = "the destination accepts none of the presentation contexts"
UNREADABLE: Final = "the stored file cannot be read"


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


def answered(status: int) -> Attempt:
    """The attempt that a response with this status ends."""
    verdict = judge_status(status)
    return Attempt(
        verdict, status, f"{verdict.value} ({status:#06x})" if status else verdict.value
    )


def refused(outcome: str) -> Attempt:
    """The attempt that fails before anything is sent, for a reason of the instance's own."""
    return Attempt(Verdict.INSTANCE_REFUSED, None, outcome)


def settle(
    delivery: DueDelivery, attempt: Attempt, now: float, policy: Policy, wait_s: float
) -> Settlement:
    """What an attempt makes of a delivery.

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
    if attempt.verdict is Verdict.DESTINATION_REFUSES:
        # It is asked again when the destination is; until then it is held, however long.
        return replace(settled, state=DeliveryState.DUE)
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


def sentence(error: BaseException) -> str:
    """What the journal may say of an error: our own sentences, of others only the type."""
    return str(error) if isinstance(error, ScpError) else f"failed with {type(error).__name__}"

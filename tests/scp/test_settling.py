"""What an attempt makes of a delivery."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scp.instance import DeliveryState, DueDelivery, StoredFile
from scp.settling import EXPIRED, Attempt, fit, settle
from scp.status import Verdict
from tests.scp.delivering import POLICY, Context
from tests.scp.storing import CT, EXPLICIT, JPEG, MR, OFFSET, uid


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

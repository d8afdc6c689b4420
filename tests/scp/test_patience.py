"""How patient the forwarder is: waits and the breaker."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.patience import Breaker, next_attempt


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


# ---- the breaker


def test_a_closed_breaker_lets_everything_pass() -> None:
    """A destination that nobody knows anything about is asked, and not by a probe."""
    breaker = Breaker()

    assert (breaker.left_s(0.0), breaker.suspects_left_s(0.0), breaker.probes) == (0.0, 0.0, False)


def test_an_open_breaker_becomes_half_open_in_time() -> None:
    """Then one attempt decides."""
    breaker = Breaker()
    breaker.open(100.0, 7.0)

    assert breaker.left_s(101.0) == 6.0
    assert breaker.left_s(107.0) == 0.0
    assert breaker.probes


def test_only_the_first_doubt_costs_nothing() -> None:
    """The second instance that fails speaks against the destination."""
    breaker = Breaker()

    assert [breaker.is_first_doubt() for _ in range(3)] == [True, False, False]


def test_a_half_open_breaker_has_no_doubts() -> None:
    """A probe that fails opens it again, whatever was sent."""
    breaker = Breaker(failures=1)

    assert not breaker.is_first_doubt()


def test_a_hold_of_contexts_grows_and_a_hold_of_all_covers_them() -> None:
    """Empty stands for everything."""
    breaker = Breaker()
    breaker.hold(0.0, 1.0, frozenset({("ct", "le")}))
    breaker.hold(0.0, 1.0, frozenset({("mr", "le")}))
    assert breaker.refused == {("ct", "le"), ("mr", "le")}
    breaker.hold(0.0, 1.0, frozenset())

    assert breaker.refused == frozenset()


def test_closing_forgets_everything_and_says_whether_there_was_something() -> None:
    """So that it is noted once that a destination works again."""
    breaker = Breaker()
    breaker.open(0.0, 100.0)
    breaker.suspect(0.0, 100.0)

    assert breaker.close()
    assert not breaker.close()
    assert breaker == Breaker()

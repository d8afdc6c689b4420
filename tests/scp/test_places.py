"""Places for connections: how many, how fast, and for whom."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from scp.limits import Limits
from scp.places import Place, Places

NEAR, FAR = "10.0.0.1", "10.0.0.2"


class Clock:
    """A clock that a test sets."""

    now = 1024.0

    def __call__(self) -> float:
        return self.now


def places(**limits: float) -> tuple[Places, Clock]:
    """Places under these limits, and their clock."""
    clock = Clock()
    return Places(Limits(**limits), clock=clock), clock


def test_whoever_comes_beyond_a_cap_is_told_so_and_then_nothing() -> None:
    """Places that were given back are given again; those who are told take none."""
    open_, _ = places(connections=3, connections_per_address=2, turned_away=1)
    near = [open_.take(NEAR) for _ in range(4)]
    far = open_.take(FAR)

    assert near[:2] == [Place(NEAR, full=False, pause_s=0.0)] * 2
    assert near[2] == Place(NEAR, full=True, pause_s=0.0)
    assert near[3] is None
    assert far == Place(FAR, full=False, pause_s=0.0)
    assert open_.take(FAR) is None

    open_.leave(near[2])
    assert open_.take(FAR) == Place(FAR, full=True, pause_s=0.0)
    open_.leave(near[0])
    assert open_.take(FAR) == Place(FAR, full=False, pause_s=0.0)


def test_an_address_that_comes_too_often_waits_its_turn_and_only_it() -> None:
    """Two seconds' worth at once is free; then each waits for its part of a second."""
    open_, _ = places(connections=99, connections_per_address=99, connections_per_s=8)
    taken = [open_.take(NEAR) for _ in range(40)]
    pauses = [place.pause_s for place in taken if place]

    assert pauses == [0.0] * 17 + [number / 8 for number in range(1, 9)]
    assert open_.take(FAR) == Place(FAR, full=False, pause_s=0.0)


def test_time_gives_an_address_its_turns_back() -> None:
    """As fast as it may come in the long run, and no more than two seconds' worth."""
    open_, clock = places(connections=999, connections_per_address=999, connections_per_s=8)
    while open_.take(NEAR):
        pass
    clock.now += 1.0
    assert sum(open_.take(NEAR) is not None for _ in range(50)) == 8
    clock.now += 3600.0
    assert sum(open_.take(NEAR) is not None for _ in range(50)) == 25


def test_a_rate_without_an_end_holds_nobody_up() -> None:
    """For those who have another guard before the node."""
    open_, _ = places(connections_per_s=math.inf, connections_per_address=9999, connections=9999)

    assert all(open_.take(NEAR) == Place(NEAR, False, 0.0) for _ in range(5000))  # noqa: FBT003


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    """An attacker that has a whole network of them fills no memory."""
    open_, clock = places(connections=1, turned_away=0)
    for number in range(20_000):
        place = open_.take(f"10.0.{number // 256}.{number % 256}")
        assert place
        open_.leave(place)
        clock.now += 1e-5

    assert len(open_._paid_until) <= 4096


@given(
    moves=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(0.0, 0.5)), max_size=60)
)
def test_the_caps_hold_whoever_comes_and_goes(moves) -> None:
    """And whoever is in counts exactly once."""
    limits = Limits(connections=4, connections_per_address=2, turned_away=2, connections_per_s=5.0)
    clock, taken = Clock(), []
    open_ = Places(limits, clock=clock)
    for number, comes, passes_s in moves:
        clock.now += passes_s
        if comes:
            place = open_.take(str(number))
            taken += [place] if place else []
        elif taken:
            open_.leave(taken.pop(number % len(taken)))
        inside = [place.address for place in taken if not place.full]
        assert len(inside) <= limits.connections
        assert all(inside.count(one) <= limits.connections_per_address for one in inside)
        assert sum(place.full for place in taken) <= limits.turned_away
    for place in taken:
        open_.leave(place)
    assert not open_._taken
    assert open_._rejecting == 0

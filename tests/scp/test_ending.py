"""Ending several things at once: the time is theirs together."""

from __future__ import annotations

import threading
import time

import pytest

from scp.ending import Endings

LONG_S = 30.0


def test_what_has_ended_is_not_waited_for() -> None:
    """All true: everything has ended, and nobody waits for the deadline."""
    begun = time.monotonic()

    assert Endings([lambda: True, lambda: True]).join(begun + LONG_S)
    assert time.monotonic() - begun < LONG_S / 2


def test_one_that_has_not_ended_is_told() -> None:
    """Its call has returned, and says so."""
    assert not Endings([lambda: True, lambda: False]).join(time.monotonic() + LONG_S)


def test_one_that_hangs_takes_the_time_of_all_once() -> None:
    """And it may end later."""
    held = threading.Event()
    endings = Endings([lambda: held.wait(LONG_S), lambda: held.wait(LONG_S)])
    begun = time.monotonic()
    assert not endings.join(begun + 0.1)
    assert time.monotonic() - begun < LONG_S / 2

    endings.add(lambda: not held.set())

    assert endings.join(time.monotonic() + LONG_S)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_that_fails_has_not_ended() -> None:
    """The others have, and are waited for."""

    def fail() -> bool:
        raise OSError

    assert not Endings([fail, lambda: True]).join(time.monotonic() + LONG_S)

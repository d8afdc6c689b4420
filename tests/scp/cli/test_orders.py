"""Signals become orders, one after the other, and none is missed."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from scp.cli.orders import Order, Orders

if TYPE_CHECKING:
    from collections.abc import Iterator

TAKEN = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def orders() -> Iterator[Orders]:
    """Of this process; afterwards signals do what they did."""
    before = {number: signal.getsignal(number) for number in TAKEN}
    made = Orders()
    made.on(*TAKEN)
    yield made
    made.close()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "order"),
    [
        (signal.SIGHUP, Order.RELOAD),
        (signal.SIGTERM, Order.STOP),
        (signal.SIGINT, Order.STOP),
    ],
)
def test_a_signal_is_an_order(orders: Orders, number: signal.Signals, order: Order) -> None:
    """Also one that came before anybody waited for it."""
    os.kill(os.getpid(), number)

    assert orders.next() is order


def test_many_reloads_are_one(orders: Orders) -> None:
    """The file is read as it is now; the times before would find the same."""
    for _ in range(100):
        os.kill(os.getpid(), signal.SIGHUP)
    assert orders.next() is Order.RELOAD

    os.kill(os.getpid(), signal.SIGTERM)

    assert orders.next() is Order.STOP


def test_a_stop_comes_before_what_was_asked_with_it(orders: Orders) -> None:
    """Whoever stops the node does not wait for new rules."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)

    assert orders.next() is Order.STOP


def test_a_thread_may_ask_for_a_stop(orders: Orders) -> None:
    """And wakes who waits."""
    thread = threading.Timer(0.05, orders.stop)
    thread.start()

    assert orders.next() is Order.STOP
    thread.join()


def test_a_thousand_signals_at_any_moment_are_all_heard(orders: Orders) -> None:
    """Each is sent as soon as the one before was taken: just when the thread begins to wait."""
    taken = threading.Semaphore(0)

    def send() -> None:
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGHUP)
            if not taken.acquire(timeout=20):
                return

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(1000):
        assert orders.next() is Order.RELOAD
        taken.release()
    sender.join()

"""Bytes in flight stay within the budget of the node."""

from __future__ import annotations

import threading

import pytest
from pydicom.uid import RLELossless

from rules import Deidentifier, Pseudonyms, compile_plan
from rules.language.schema import ready_made
from scp import admission
from scp.admission import UNCOUNTED_BYTES, Admitted
from scp.errors import OutOfSpace
from scp.limits import Budget
from tests.encoded import split_part10
from tests.rules.test_pixels import drawn, instance
from tests.screened import PLAN, made_by, written

SYNTAX = "1.2.840.10008.1.2.1"
BUDGET_BYTES = 4 << 20
# An element that says it is longer than what follows: all of it is held.
HEADER = b"\x09\x00\x10\x10OB\0\0" + (32 << 20).to_bytes(4, "little")


def admitted(budget: Budget) -> Admitted:
    """A de-identifier under way."""
    engine = Deidentifier(compile_plan(ready_made("basic")), Pseudonyms(bytes(32)), SYNTAX)
    return Admitted(engine, budget)


def test_what_an_instance_holds_is_reserved_and_given_back():
    """More than the uncounted part is charged while it is held, and no longer."""
    budget = Budget(BUDGET_BYTES)
    instance = admitted(budget)

    instance.feed(memoryview(HEADER + bytes(2 << 20)))
    held = budget.held_bytes
    instance.close()
    instance.close()

    assert held == len(HEADER) + (2 << 20) - UNCOUNTED_BYTES
    assert budget.held_bytes == 0


def test_pixels_that_are_held_to_be_blanked_count(monkeypatch):
    """An encapsulated image under a rule of pixels waits whole until its end."""
    monkeypatch.setattr(admission, "WAIT_S", 0.01)
    dataset = made_by(instance(drawn("L")))
    dataset.compress(RLELossless)
    _, encoded = split_part10(written(dataset))
    start = encoded.index(b"\xe0\x7f\x10\x00OB") + 12
    budget = Budget(BUDGET_BYTES)
    engine = Deidentifier(PLAN, Pseudonyms(bytes(32)), RLELossless)
    held = Admitted(engine, budget)

    held.feed(memoryview(encoded[:start]))
    assert budget.held_bytes == 0
    fragment = b"\xfe\xff\x00\xe0" + (3 << 20).to_bytes(4, "little") + bytes(3 << 20)
    held.feed(memoryview(fragment))

    assert budget.held_bytes == 12 + len(fragment) - UNCOUNTED_BYTES
    with pytest.raises(OutOfSpace):
        held.feed(memoryview(fragment))
    held.close()
    assert budget.held_bytes == 0


def test_an_instance_that_finds_no_room_is_refused(monkeypatch):
    """After its patience the answer is out of resources, and the others keep theirs."""
    monkeypatch.setattr(admission, "WAIT_S", 0.01)
    budget = Budget(BUDGET_BYTES)
    first, second = admitted(budget), admitted(budget)
    first.feed(memoryview(HEADER + bytes(4 << 20)))

    with pytest.raises(OutOfSpace):
        second.feed(memoryview(HEADER + bytes(3 << 20)))
    second.close()

    assert budget.held_bytes == len(HEADER) + (4 << 20) - UNCOUNTED_BYTES


def test_an_instance_waits_for_room_that_comes():
    """The wait is what makes TCP hold the sender back."""
    budget = Budget(BUDGET_BYTES)
    first, second = admitted(budget), admitted(budget)
    first.feed(memoryview(HEADER + bytes(4 << 20)))
    leaving = threading.Timer(0.05, first.close)
    leaving.start()

    second.feed(memoryview(HEADER + bytes(3 << 20)))

    leaving.join()
    assert budget.held_bytes == len(HEADER) + (3 << 20) - UNCOUNTED_BYTES

"""The housekeeping of a node: what it does every second, and when it ends the node."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from scp.continuity import FACT, Mark
from scp.errors import OutOfSpace
from scp.instance import RuleSet
from scp.keeper import Keeper
from tests.scp.delivering import Site, site_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RULES = RuleSet("ab" * 32, "mine", "basic", "2026d", (), "1")


class Dog:
    """Counts the looks."""

    def __init__(self) -> None:
        self.looked = threading.Semaphore(0)
        self.barks = False

    def look(self) -> None:
        self.looked.release()
        if self.barks:
            raise RuntimeError("dictionary changed size during iteration")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Nothing is stored."""
    with site_in(tmp_path) as made:
        yield made


@pytest.fixture
def dog() -> Dog:
    """A watchdog."""
    return Dog()


@pytest.fixture
def failed() -> threading.Event:
    """Set when the node is to stop."""
    return threading.Event()


@pytest.fixture
def keeper(
    site: Site, dog: Dog, failed: threading.Event, deadline_s: Callable[[float], float]
) -> Iterator[Keeper]:
    """One that runs."""
    made = Keeper(site.journal, site.spool, dog, also=lambda: None, on_failure=failed.set)
    made.start()
    yield made
    assert made.stop(deadline_s(10))


def test_it_looks_again_and_again(
    keeper: Keeper, dog: Dog, deadline_s: Callable[[float], float]
) -> None:
    """At the parts of the node."""
    assert all(dog.looked.acquire(timeout=deadline_s(10)) for _ in range(2))
    assert not keeper.failed


def test_the_journal_is_told_from_its_copies(
    keeper: Keeper, site: Site, dog: Dog, deadline_s: Callable[[float], float]
) -> None:
    """In every turn in which something was stored, and in no other."""
    numbers = []
    for number in (1, 2, None):
        if number:
            site.owe(number)
        assert all(dog.looked.acquire(timeout=deadline_s(10)) for _ in range(3))
        numbers.append(int(site.journal.fact(FACT)))
        assert Mark(site.journal, site.spool).is_unbroken()

    assert numbers[0] < numbers[1] == numbers[2]
    assert not keeper.failed


@pytest.mark.parametrize("part", ["journal", "spool"])
def test_a_failed_sync_ends_the_node_and_the_looking(
    keeper: Keeper,
    site: Site,
    failed: threading.Event,
    deadline_s: Callable[[float], float],
    part: str,
) -> None:
    """Whichever of the two has failed."""
    getattr(site, part).fatal.set()

    assert failed.wait(deadline_s(10))
    assert keeper.failed
    assert keeper.stop(deadline_s(10))


def test_a_step_that_fails_is_logged_and_ends_no_housekeeping(
    keeper: Keeper,
    site: Site,
    dog: Dog,
    failed: threading.Event,
    deadline_s: Callable[[float], float],
) -> None:
    """Whatever it raises: the steps behind it are taken, and a failed sync still ends the node."""
    checkpointed = threading.Event()
    site.journal.checkpoint = checkpointed.set  # type: ignore[method-assign]
    dog.barks = True
    assert all(dog.looked.acquire(timeout=deadline_s(10)) for _ in range(3))
    assert checkpointed.is_set()
    said = site.logged("a step of the housekeeping failed")[0]
    assert (said["error"], str(said["place"]).partition(":")[0]) == (
        "RuntimeError",
        "test_keeper.py",
    )
    assert keeper._thread.is_alive()

    site.spool.fatal.set()

    assert failed.wait(deadline_s(10))


def test_a_beginning_that_fails_ends_no_housekeeping(
    site: Site,
    dog: Dog,
    monkeypatch: pytest.MonkeyPatch,
    deadline_s: Callable[[float], float],
) -> None:
    """What makes the node faster is not what keeps it."""

    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr("scp.keeper._calm_collector", fail)
    made = Keeper(site.journal, site.spool, dog, also=lambda: None, on_failure=lambda: None)
    made.start()

    assert dog.looked.acquire(timeout=deadline_s(10))
    assert made.stop(deadline_s(10))


def test_what_could_not_be_noted_is_noted_later(
    keeper: Keeper,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    deadline_s: Callable[[float], float],
) -> None:
    """On a full disk; nothing is raised meanwhile, and nothing is forgotten."""
    note, noted = site.journal.note_rule_sets, threading.Event()

    def full(_: object) -> None:
        raise OutOfSpace("the journal has no room on the disk")

    def has_room(rule_sets: list[RuleSet]) -> None:
        note(rule_sets)
        noted.set()

    monkeypatch.setattr(site.journal, "note_rule_sets", full)
    keeper.note([RULES])
    assert site.journal.rule_sets() == {}
    monkeypatch.setattr(site.journal, "note_rule_sets", has_room)

    assert noted.wait(deadline_s(10))
    assert set(site.journal.rule_sets()) == {RULES.digest}

"""A ledger: results in order, off the memory, and without a name on the disk."""

from __future__ import annotations

import random

import pytest

from scp.archive.ledger import Entry, Ledger
from scp.errors import OutOfSpace
from tests.scp.archive.archives import archive

MANY = 3000


@pytest.fixture
def stored(tmp_path):
    """An empty archive."""
    with archive(tmp_path / "data") as made:
        yield made


def entry(number: int) -> Entry:
    """Some result of some length."""
    return Entry(f"source {number}", f"{number:x}", b'["\\t",%d,"' % number + b"x" * (number % 90))


def test_results_come_back_by_number(stored) -> None:
    """In whatever order they were noted, over more than one window of the file."""
    numbers = list(range(MANY))
    random.Random(1).shuffle(numbers)  # noqa: S311 - the same order every time
    ledger = Ledger(stored.spool, MANY + 1)
    for number in numbers:
        ledger.add(number, entry(number))

    assert len(ledger) == MANY
    assert list(ledger) == [entry(number) for number in range(MANY)]
    assert list(ledger) == [entry(number) for number in range(MANY)]
    ledger.close()


def test_an_empty_ledger_touches_no_disk(stored) -> None:
    """A job of nothing takes no file."""
    ledger = Ledger(stored.spool, 3)

    assert list(ledger) == []
    ledger.close()
    assert not list((stored.data / "instances").rglob("*.dcm"))


def test_the_file_of_a_ledger_has_no_name(stored) -> None:
    """So that nothing of it is left, however the process ends."""
    ledger = Ledger(stored.spool, 1)
    ledger.add(0, entry(0))

    assert stored.files() == set()
    ledger.close()
    assert len(ledger) == 0


def test_what_the_disk_had_no_room_for_is_not_noted(stored, monkeypatch) -> None:
    """What comes later is read as it was written, whatever part of a line the disk took."""
    ledger = Ledger(stored.spool, 3)
    ledger.add(0, entry(80))
    disk = stored.spool._files
    write = type(disk).write

    def fill(self, descriptor, buffers):
        write(self, descriptor, [bytes(buffers[0])[:7]])
        raise OSError(28, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(type(disk), "write", fill)
        with pytest.raises(OutOfSpace):
            ledger.add(1, entry(81))
    ledger.add(2, entry(82))

    assert list(ledger) == [entry(80), entry(82)]
    ledger.close()

"""Stored bytes are compared with their digests: what has changed is found, and only that."""

from __future__ import annotations

import errno
import io
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scp import logs
from scp.instance import DeliveryState
from scp.journal import FILE_NAME, Journal, Verdict
from scp.recovery import checked_through, end_well
from scp.scrub import DAMAGED, FILE_BYTES, Scrub
from scp.spool import ASIDE, Spool
from tests.scp.disks import FaultyDisk
from tests.scp.storing import stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAST = float(1 << 40)


@dataclass
class Store:
    """A spool and a journal with four instances, and what compares them."""

    data: Path
    disk: FaultyDisk
    spool: Spool
    journal: Journal
    lines: io.StringIO

    def scrub(self, bytes_per_s: float = FAST) -> Scrub:
        """A new one, as after a start."""
        return Scrub(
            self.journal, self.spool, bytes_per_s=bytes_per_s, first_bytes_per_s=bytes_per_s
        )

    def damage(self, number: int) -> Path:
        """Change one bit of an instance."""
        path = self.data / "instances" / self.file(number)
        data = bytearray(path.read_bytes())
        data[-1] ^= 0x10
        path.write_bytes(data)
        return path

    def file(self, number: int) -> str:
        """The name of its file."""
        record = self.journal.instance(number)
        assert record is not None
        return record.file_name

    def states(self) -> list[DeliveryState]:
        """Of the delivery of each instance."""
        records = [self.journal.instance(number) for number in range(1, 5)]
        return [record.deliveries[0].state for record in records if record]

    def errors(self) -> list[dict[str, object]]:
        """What was said of errors."""
        lines = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [line for line in lines if line["level"] == "error"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Four instances that are owed to one destination."""
    disk = FaultyDisk()
    spool = Spool(tmp_path, files=disk, reserve_bytes=0)
    journal = Journal(spool.private_file(FILE_NAME))
    for number in range(1, 5):
        journal.add(stored(spool, number, "pacs"))
    lines = io.StringIO()
    logs.configure(lines, strict=True)
    yield Store(tmp_path, disk, spool, journal, lines)
    journal.close()
    spool.close()


@pytest.mark.parametrize("look", ["look_at_new", "look_at_all"])
def test_one_changed_bit_is_found_and_only_that_instance_fails(store: Store, look: str) -> None:
    """With its reason, and in the log; the bytes are set aside, not deleted."""
    path = store.damage(3)
    damaged = path.read_bytes()

    assert getattr(store.scrub(), look)() == 1
    due, failed = DeliveryState.DUE, DeliveryState.FAILED
    assert store.states() == [due, due, failed, due]
    record = store.journal.instance(3)
    assert record is not None
    assert record.deliveries[0].last_outcome == DAMAGED
    [line] = store.errors()
    assert (line["instance"], line["reason"]) == (record.sop_instance_uid, DAMAGED)
    [aside] = (store.data / ASIDE).iterdir()
    assert aside.read_bytes() == damaged


def test_what_is_sent_again_takes_the_place_of_what_was_damaged(store: Store) -> None:
    """The same instance is known, its new bytes are kept, and it is owed again."""
    store.damage(3)
    store.scrub().look_at_all()
    added = store.journal.add(stored(store.spool, 3, "pacs"))

    assert (added.verdict, added.kept, added.owed) == (Verdict.KNOWN, True, ("pacs",))
    assert store.states() == [DeliveryState.DUE] * 4
    assert store.scrub().look_at_all() == 0


def test_what_is_in_order_stays_as_it_is(store: Store) -> None:
    """And is not looked at a second time by the next start."""
    scrub = store.scrub()

    assert scrub.look_at_new() == 0
    assert scrub.is_through
    assert checked_through(store.journal) == store.journal.newest() == 4
    assert store.states() == [DeliveryState.DUE] * 4
    assert store.errors() == []


def test_a_stop_in_good_order_needs_no_look(store: Store) -> None:
    """Only what came after it does."""
    end_well(store.journal)
    store.damage(2)

    assert store.scrub().look_at_new() == 0
    assert store.scrub().look_at_all() == 1


def test_a_file_that_cannot_be_read_is_said_and_kept(store: Store) -> None:
    """A cable may be loose: nothing is given up for that."""
    store.disk.faults = {"read": errno.EIO}

    assert store.scrub().look_at_all() == 0
    assert store.states() == [DeliveryState.DUE] * 4
    assert {line["event"] for line in store.errors()} == {"a stored file cannot be read"}


def test_a_file_that_was_swept_meanwhile_is_no_damage(store: Store) -> None:
    """Its row does not name it any more."""
    [first, *_] = store.journal.kept_after(0, 10)
    store.spool.remove(first.file.name)
    store.journal.lose([first.file.name], outcome="swept by the test")

    assert store.scrub()._is_damaged(first, FAST, from_disk=False) is False
    assert store.errors() == []


def test_it_reads_no_faster_than_it_may(store: Store) -> None:
    """Four small files at so many bytes a second."""
    begun = time.monotonic()
    store.scrub(bytes_per_s=FILE_BYTES * 40).look_at_all()

    assert time.monotonic() - begun >= 4 / 40


def test_it_ends_in_the_middle_and_goes_on_from_there(store: Store) -> None:
    """A stop does not wait for a round."""
    scrub = store.scrub(bytes_per_s=1.0)
    scrub.start()

    assert scrub.stop(10.0)
    assert not scrub.is_through
    assert checked_through(store.journal) == 0


def test_after_a_stop_in_good_order_the_next_one_is_in_good_order_at_once(store: Store) -> None:
    """However short the life between: there was nothing to compare."""
    end_well(store.journal)
    scrub = store.scrub()
    scrub.start()

    assert scrub.stop(10.0)
    assert scrub.is_through

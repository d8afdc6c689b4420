"""Damage in the write-ahead log: what SQLite would pass over in silence."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scp.journal import FILE_NAME, Journal, frames_found, index_of, log_of
from scp.journal_log import FRAME_HEADER_BYTES, HEADER_BYTES, LogState, read_log
from tests.scp.storing import new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRAME_BYTES = FRAME_HEADER_BYTES + 4096
BEFORE = 3
ALL = 12


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of a journal that a crash left: 12 instances, 3 of them in the database proper."""
    top = tmp_path_factory.mktemp("crashed")
    (top / "live").mkdir()
    journal = Journal(top / "live" / FILE_NAME)
    for number in range(1, ALL + 1):
        journal.add(new(number, "pacs"))
        if number == BEFORE:
            journal.checkpoint()
    shutil.copytree(top / "live", top / "left")
    yield top / "left"
    journal.close()


@pytest.fixture
def journal_file(crashed: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    shutil.copytree(crashed, tmp_path / "data")
    return tmp_path / "data" / FILE_NAME


def state(path: Path) -> LogState:
    """What is in the log."""
    return read_log(log_of(path), index_of(path))


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def stored(path: Path) -> int:
    """How many instances SQLite finds."""
    with closing(Journal(path)) as journal:
        return len(journal.instances())


def test_the_log_of_a_crash_is_whole(journal_file: Path) -> None:
    """Every frame of it is valid, and some of it had been moved."""
    found = state(journal_file)

    assert found.valid == found.written > 0
    assert not found.is_damaged
    assert stored(journal_file) == ALL


def test_a_log_that_is_not_there_or_empty_holds_nothing(tmp_path: Path) -> None:
    """As after a stop in good order."""
    assert read_log(tmp_path / "no", tmp_path / "index") == LogState()
    (tmp_path / "no").write_bytes(bytes(5000))
    assert read_log(tmp_path / "no", tmp_path / "index") == LogState()


def test_one_bit_anywhere_is_noticed(journal_file: Path) -> None:
    """In the header, in a frame's header or in its page: SQLite finds less, and it shows."""
    chance = random.Random(5)  # noqa: S311 - places, no secret
    whole, log = state(journal_file), log_of(journal_file)
    end = HEADER_BYTES + whole.valid * FRAME_BYTES
    places = [*range(HEADER_BYTES), *(chance.randrange(end) for _ in range(60))]
    missed = []
    for place in places:
        bit = chance.randrange(8)
        flip(log, place, bit)
        if not state(journal_file).is_damaged:
            missed.append(place)
        flip(log, place, bit)

    assert missed == []
    assert state(journal_file) == whole


def test_without_the_index_the_commits_behind_the_damage_tell_of_it(journal_file: Path) -> None:
    """Each goes on from the checksum that stands in the frame before it."""
    index_of(journal_file).unlink()
    flip(log_of(journal_file), HEADER_BYTES + 2 * FRAME_BYTES + 1000)
    found = state(journal_file)

    assert found.is_damaged
    assert found.is_loss
    assert stored(journal_file) < ALL


def test_a_commit_that_was_cut_short_is_no_damage(journal_file: Path) -> None:
    """It was never acknowledged, and SQLite is right to pass over it."""
    index_of(journal_file).unlink()
    whole, log = state(journal_file), log_of(journal_file)
    os.truncate(log, HEADER_BYTES + (whole.valid - 1) * FRAME_BYTES + 100)
    found = state(journal_file)

    assert not found.is_damaged
    assert found.valid < whole.valid


def test_a_log_that_is_in_the_database_already_is_outdated(tmp_path: Path) -> None:
    """Nothing of it is needed, and what SQLite would take of it are older pages."""
    (tmp_path / "live").mkdir()
    with closing(Journal(tmp_path / "live" / FILE_NAME)) as journal:
        for number in range(1, ALL + 1):
            journal.add(new(number, "pacs"))
        journal.checkpoint()
        shutil.copytree(tmp_path / "live", tmp_path / "left")
    path = tmp_path / "left" / FILE_NAME
    flip(log_of(path), HEADER_BYTES + 5 * FRAME_BYTES + 1000)
    found = state(path)

    assert found.is_outdated
    assert not found.is_loss


def test_what_sqlite_says_is_what_is_found_by_looking(journal_file: Path) -> None:
    """Whole, and with one bit changed: the quick way sees the same as the slow one."""
    chance = random.Random(6)  # noqa: S311 - places, no secret
    whole, log = state(journal_file), log_of(journal_file)
    end = HEADER_BYTES + whole.valid * FRAME_BYTES
    seen = []
    for place in (None, *(chance.randrange(HEADER_BYTES, end) for _ in range(25))):
        shutil.copytree(journal_file.parent, journal_file.parent.with_name("copy"))
        copy = journal_file.parent.with_name("copy") / FILE_NAME
        if place is not None:
            flip(log_of(copy), place)
        slow = state(copy)
        quick = read_log(log_of(copy), index_of(copy), lambda path=copy: frames_found(path))
        seen.append((slow, quick))
        shutil.rmtree(copy.parent)

    assert log.exists()
    assert [slow for slow, _ in seen] == [quick for _, quick in seen]

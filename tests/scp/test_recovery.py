"""The data folder at a start: damage is found before it does harm, and nothing is deleted."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scp import logs, recovery
from scp.continuity import FACT, MARK, Mark
from scp.disk import Disk
from scp.errors import JournalError, SpoolError
from scp.instance import DeliveryState
from scp.journal import FILE_NAME, Journal, log_of
from scp.journal_log import FRAME_HEADER_BYTES, HEADER_BYTES
from scp.recovery import Recovery, checked_through, end_well
from scp.room import BALLAST
from scp.spool import ASIDE, Spool
from tests.scp.storing import stored, uid
from tests.sizes import size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scp.instance import DueDelivery

FRAME_BYTES = FRAME_HEADER_BYTES + 4096
FLIPS = size(ci=40, nightly=2000)


@dataclass
class Folder:
    """A data folder, as a node leaves it and finds it."""

    data: Path
    lines: io.StringIO

    def live(self, count: int, *, checkpoint: bool = False, well: bool = False) -> None:
        """One life: store some, then be killed, or stop in good order."""
        spool, journal = self.start()
        before = journal.newest()
        for number in range(before + 1, before + count + 1):
            journal.add(stored(spool, number, "pacs"))
        if checkpoint:
            journal.checkpoint()
        if well:
            end_well(journal)
        # What a killed process leaves is what is there before anything is closed.
        left = self.data.with_name("left")
        shutil.copytree(self.data, left)
        journal.close()
        spool.close()
        shutil.rmtree(self.data)
        left.rename(self.data)

    def leave_file(self) -> str:
        """A file that no row names, in its folder; its name."""
        spool = Spool(self.data, reserve_bytes=0)
        file = stored(spool, 99).file
        spool.close()
        return file.name

    def start(self) -> tuple[Spool, Journal]:
        """The next life's beginning."""
        spool = Spool(self.data, reserve_bytes=0)
        recovering = Recovery(spool)
        try:
            journal = recovering.journal()
        except BaseException:
            spool.close()
            raise
        recovering.put_in_order(journal)
        return spool, journal

    def found(self) -> tuple[int, int]:
        """Start once: rows, and rows whose bytes are all there."""
        spool, journal = self.start()
        kept = journal.kept_after(0, 1000)
        intact = sum(spool.intact(one.file) for one in kept)
        journal.close()
        spool.close()
        return len(kept), intact

    def aside(self) -> list[str]:
        """The names of what was set aside."""
        folder = self.data / ASIDE
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def warnings(self) -> list[dict[str, object]]:
        """What was said, apart from what is only information."""
        lines = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [line for line in lines if line["level"] != "info"]

    def events(self) -> list[object]:
        """Its events."""
        return [line["event"] for line in self.warnings()]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder nobody has lived in."""
    lines = io.StringIO()
    logs.configure(lines, strict=True)
    return Folder(tmp_path / "data", lines)


def flip(path: Path, position: int, bit: int = 0) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << bit]))


def test_a_crash_leaves_everything_that_was_committed(folder: Folder) -> None:
    """And nothing is said of it."""
    folder.live(7)

    assert folder.found() == (7, 7)
    assert (folder.aside(), folder.events()) == ([], [])


def test_what_a_crash_cut_short_is_deleted(folder: Folder) -> None:
    """The journal is the one of the life before: nobody was told that this is stored."""
    folder.live(3)
    name = folder.leave_file()

    assert folder.found() == (3, 3)
    assert not (folder.data / "instances" / name).exists()
    assert (folder.aside(), folder.events()) == ([], [])


@pytest.mark.parametrize("lives", [0, 1])
def test_a_journal_restored_from_a_copy_deletes_nothing(folder: Folder, lives: int) -> None:
    """Files that were acknowledged since are set aside, also if the node runs as it is made."""
    folder.live(2, well=True)
    path = folder.data / FILE_NAME
    spool, journal = folder.start()
    mark = Mark(journal, spool)
    journal.empty_log()
    shutil.copy(path, folder.data.with_name("copy"))
    for number in range(3, 6):
        journal.add(stored(spool, number, "pacs"))
    mark.keep()
    end_well(journal)
    journal.close()
    spool.close()
    for _ in range(lives):
        folder.live(1, well=True)
    shutil.copy(folder.data.with_name("copy"), path)

    assert folder.found() == (2, 2)
    assert len(folder.aside()) == 3 + lives
    assert folder.events() == ["files without a row were set aside"]
    folder.leave_file()
    assert folder.found() == (2, 2)
    assert len(folder.aside()) == 3 + lives


def made_anew(folder: Folder) -> None:
    """Salvage the journal as its remedy says, without the last instance."""
    path = folder.data / FILE_NAME
    with closing(sqlite3.connect(path)) as damaged:
        lines = list(damaged.iterdump())
        [(version,)] = damaged.execute("PRAGMA user_version")
    for one in folder.data.glob(f"{FILE_NAME}*"):
        one.unlink()
    with closing(sqlite3.connect(path)) as salvaged:
        salvaged.executescript("\n".join(lines))
        salvaged.execute("DELETE FROM deliveries WHERE instance_id = 3")
        salvaged.execute("DELETE FROM instances WHERE id = 3")
        salvaged.execute(f"PRAGMA user_version = {version}")
        salvaged.commit()


def test_a_journal_that_was_salvaged_deletes_nothing(folder: Folder) -> None:
    """It has the facts of the one before, and not all of its rows."""
    folder.live(3, well=True)
    made_anew(folder)

    assert folder.found() == (2, 2)
    assert len(folder.aside()) == 1
    assert folder.events() == ["files without a row were set aside"]


def test_a_doubt_outlives_a_death(folder: Folder) -> None:
    """A start that dies after it has opened the journal leaves one that looks like any other."""
    folder.live(3, well=True)
    made_anew(folder)
    spool = Spool(folder.data, reserve_bytes=0)
    Recovery(spool).journal().close()
    spool.close()

    assert folder.found() == (2, 2)
    assert len(folder.aside()) == 1


@pytest.mark.parametrize("done", range(3))
def test_a_start_that_dies_between_its_marks_is_no_doubt(folder: Folder, done: int) -> None:
    """The journal's comes first, so that it never has less than the file."""
    folder.live(3)
    name = folder.leave_file()
    spool = Spool(folder.data, reserve_bytes=0)
    journal = Recovery(spool).journal()
    if done:
        journal.note_fact(FACT, "2")
    if done > 1:
        Mark(journal, spool).advance()
    journal.close()
    spool.close()

    assert folder.found() == (3, 3)
    assert not (folder.data / "instances" / name).exists()
    assert folder.aside() == []


def test_a_journal_that_is_not_checked_deletes_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which files its rows name is read from an index that may be damaged."""
    monkeypatch.setattr(recovery, "MOST_CHECKED_BYTES", 0)
    folder.live(3, well=True)
    name = folder.leave_file()

    assert folder.found() == (3, 3)
    assert folder.aside() == [name.replace("/", "-")]
    [line] = folder.warnings()
    assert (line["level"], line["count"]) == ("warning", 1)


@pytest.mark.parametrize("content", [None, b"", b"1" * 19, b"x" * 20, b"0" * 20])
def test_a_mark_that_is_gone_or_no_number_deletes_nothing(
    folder: Folder, content: bytes | None
) -> None:
    """As at the first start of a node that keeps one."""
    folder.live(3, well=True)
    folder.leave_file()
    path = folder.data / MARK
    path.unlink() if content is None else path.write_bytes(content)

    assert folder.found() == (3, 3)
    assert len(folder.aside()) == 1


class Watched(Disk):
    """The real disk, which remembers what was written over."""

    def __init__(self) -> None:
        """Begin."""
        self.renewed: list[str] = []

    def open_to_write(self, path: Path) -> int:
        """Open it, and remember its name."""
        self.renewed.append(path.name)
        return super().open_to_write(path)


@pytest.mark.parametrize("well", [False, True])
def test_what_a_crash_left_in_the_log_is_written_again(folder: Folder, *, well: bool) -> None:
    """It may be in memory only, if a sync has failed; a stop in good order leaves none."""
    folder.live(2, well=well)
    disk = Watched()
    spool = Spool(folder.data, files=disk, reserve_bytes=0)
    Recovery(spool).journal().close()
    spool.close()

    assert disk.renewed == ([] if well else [log_of(folder.data / FILE_NAME).name])


def test_only_a_stop_in_good_order_is_believed(folder: Folder) -> None:
    """What came after it is to be compared with its digests."""
    folder.live(3, well=True)
    folder.live(2)
    spool, journal = folder.start()
    through, newest = checked_through(journal), journal.newest()
    journal.close()
    spool.close()

    assert (through, newest) == (3, 5)


def test_a_stop_in_good_order_leaves_an_empty_log(folder: Folder) -> None:
    """What lies in a log could be damaged there, and with it everything behind it."""
    folder.live(3, well=True)

    assert log_of(folder.data / FILE_NAME).stat().st_size == 0
    assert folder.found() == (3, 3)


def test_two_nodes_do_not_read_one_journal(folder: Folder) -> None:
    """The folder is locked before its journal is touched."""
    spool, journal = folder.start()
    with pytest.raises(SpoolError, match="another node"):
        Recovery(Spool(folder.data, reserve_bytes=0)).journal()
    journal.close()
    spool.close()


def test_files_whose_rows_a_damaged_log_has_lost_are_set_aside(folder: Folder) -> None:
    """SQLite passes over the last commits; their files are kept, and it is said."""
    folder.live(7)
    log = log_of(folder.data / FILE_NAME)
    frames = (log.stat().st_size - HEADER_BYTES) // FRAME_BYTES
    flip(log, HEADER_BYTES + (frames - 1) * FRAME_BYTES + 500)
    rows, intact = folder.found()

    assert rows == intact < 7
    assert len([name for name in folder.aside() if name.endswith(".dcm")]) == 7 - rows
    lost = "the journal's log is damaged, the last commits are lost"
    assert folder.events() == [lost, "files without a row were set aside"]


def test_a_damaged_log_that_is_not_needed_costs_nothing(folder: Folder) -> None:
    """All of it is in the database proper: SQLite must not turn that back to older pages."""
    folder.live(7, checkpoint=True)
    log = log_of(folder.data / FILE_NAME)
    flip(log, HEADER_BYTES + 5 * FRAME_BYTES + 500)

    assert folder.found() == (7, 7)
    assert folder.aside() == [log.name]
    assert folder.events() == ["the journal's log is damaged, nothing of it was needed"]


def changed_in_an_index(path: Path) -> None:
    """Change a UID where only an index has it."""
    with closing(sqlite3.connect(path)) as database:
        [(page,)] = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name='sqlite_autoindex_instances_1'"
        )
    data = path.read_bytes()
    at = data.index(uid(3).encode(), (page - 1) * 4096, page * 4096)
    flip(path, at + len(uid(3)) - 1)


def test_an_index_that_is_damaged_is_made_anew(folder: Folder) -> None:
    """It follows from its table, so nothing is lost, and it is said."""
    folder.live(7, well=True)
    changed_in_an_index(folder.data / FILE_NAME)

    assert folder.found() == (7, 7)
    assert folder.events() == ["the journal was damaged, it is mended"]
    assert folder.found() == (7, 7)
    assert len(folder.events()) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("received_at", b"x"), ("tags", '{"X": '), ("profile", b"\xff"), ("store", "x")],
)
def test_a_value_that_cannot_be_is_mended(folder: Folder, column: str, value: object) -> None:
    """It hides neither its own row nor those beside it."""
    folder.live(3, well=True)
    with closing(sqlite3.connect(folder.data / FILE_NAME)) as database, database:
        database.execute(f"UPDATE instances SET {column} = ? WHERE id = 2", (value,))  # noqa: S608
    spool, journal = folder.start()
    found = [record.id for record in journal.instances()]
    journal.close()
    spool.close()

    assert found == [3, 2, 1]
    assert folder.events() == ["the journal was damaged, it is mended"]
    assert folder.found() == (3, 3)


def test_a_table_that_is_damaged_is_refused_with_the_remedy(folder: Folder) -> None:
    """Nothing of the folder is touched: the files may be all that is left."""
    folder.live(7, well=True)
    path = folder.data / FILE_NAME
    with closing(sqlite3.connect(path)) as database:
        [(page,)] = database.execute("SELECT rootpage FROM sqlite_master WHERE name='instances'")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(100))
    before = sorted((folder.data / "instances").rglob("*.dcm"))
    with pytest.raises(JournalError, match=r"\.recover"):
        folder.start()

    assert sorted((folder.data / "instances").rglob("*.dcm")) == before


def test_a_row_that_has_changed_names_no_bytes_that_could_be_sent(folder: Folder) -> None:
    """Where its dataset begins, say: no index has that, and the file is as it was."""
    folder.live(3, well=True)
    with closing(sqlite3.connect(folder.data / FILE_NAME)) as database, database:
        database.execute("UPDATE instances SET dataset_offset = 153 WHERE id = 2")
    spool, journal = folder.start()
    intact = [spool.intact(one.file) for one in journal.due("pacs", 9, horizon_s=1.0)]
    journal.close()
    spool.close()

    assert intact == [True, False, True]


def test_a_journal_that_is_gone_is_no_new_beginning(folder: Folder) -> None:
    """Every file would be one that no row names."""
    folder.live(3, well=True)
    for path in folder.data.glob(f"{FILE_NAME}*"):
        path.unlink()
    with pytest.raises(JournalError, match="the journal is gone"):
        folder.start()

    assert len(list((folder.data / "instances").rglob("*.dcm"))) >= 3


def test_a_row_whose_file_is_gone_has_failed_with_its_reason(folder: Folder) -> None:
    """And the others have not."""
    folder.live(3, well=True)
    spool, journal = folder.start()
    [lost, *_] = journal.kept_after(0, 1)
    journal.close()
    spool.close()
    (folder.data / "instances" / lost.file.name).unlink()
    spool, journal = folder.start()
    states = [journal.instance(number).deliveries[0] for number in (1, 2, 3)]  # type: ignore[union-attr]
    journal.close()
    spool.close()

    assert [one.state for one in states] == [
        DeliveryState.FAILED,
        DeliveryState.DUE,
        DeliveryState.DUE,
    ]
    assert states[0].last_outcome == "the stored file is missing"


def test_the_journal_gets_its_reserve_where_nothing_else_is_free(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else has filled the disk: it starts all the same."""
    folder.live(1, well=True)
    (folder.data / BALLAST).write_bytes(bytes(1000))
    nothing = os.statvfs_result((4096, 4096, 1000, 0, 0, 1000, 900, 900, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: nothing)
    spool = Spool(folder.data, reserve_bytes=1 << 20)
    Recovery(spool).journal().close()
    spool.close()

    assert not (folder.data / BALLAST).exists()
    assert folder.events() == ["the disk is full: the journal gets what was reserved for it"]


@pytest.mark.slow
def test_one_bit_anywhere_in_the_database_never_passes_for_something_else(
    folder: Folder, tmp_path: Path
) -> None:
    """T-CORRUPT: either the start refuses, or what is owed goes out as it was, or it is said."""
    folder.live(8, well=True)
    spool, journal = folder.start()
    right = {one.sop_instance_uid: _as_sent(one) for one in journal.due("pacs", 99, horizon_s=1)}
    end_well(journal)
    journal.close()
    spool.close()
    shutil.copytree(folder.data, tmp_path / "sound")
    path = folder.data / FILE_NAME
    data = path.read_bytes()
    chance = random.Random(11)  # noqa: S311 - places, no secret
    written = [place for place, byte in enumerate(data) if byte]
    refused, odd = 0, []
    for place in chance.sample(written, FLIPS):
        shutil.rmtree(folder.data)
        shutil.copytree(tmp_path / "sound", folder.data)
        path.write_bytes(data)
        flip(path, place, chance.randrange(8))
        folder.lines.truncate(0)
        folder.lines.seek(0)
        try:
            spool, journal = folder.start()
        except JournalError:
            refused += 1
            continue
        due = journal.due("pacs", 99, horizon_s=1)
        sent = {one.sop_instance_uid: _as_sent(one) for one in due if spool.intact(one.file)}
        wrong = [uid for uid, said in sent.items() if right.get(uid) != said]
        if wrong or (len(due) < len(right) and not folder.events()):
            odd.append((place, wrong))
        journal.close()
        spool.close()

    assert odd == []
    assert refused < FLIPS


def _as_sent(delivery: DueDelivery) -> tuple[object, ...]:
    """All that decides what a destination gets."""
    return (delivery.context, delivery.dataset_offset, delivery.file)

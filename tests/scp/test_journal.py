"""What is where and what is owed."""

from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scp.errors import JournalError, OutOfSpace
from scp.instance import DeliveryState, RuleSet, StoredFile, StudyDelivery
from scp.journal import (
    FILE_NAME,
    LOG_BYTES,
    DestinationNote,
    InstanceFilter,
    Journal,
    Settlement,
    Verdict,
    log_of,
)
from scp.journal_schema import SCHEMA_VERSION
from tests.scp.storing import CT, EXPLICIT, JPEG, MR, new, uid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scp.instance import DueDelivery, InstanceRecord


class Clock:
    """A wall clock that the test sets."""

    def __init__(self) -> None:
        """Begin some day."""
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the journal."""
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """An empty journal."""
    journal = Journal(tmp_path / FILE_NAME, wall=clock)
    yield journal
    journal.close()


def due(journal: Journal, destination: str = "pacs", limit: int = 100) -> list[DueDelivery]:
    """What could be sent now."""
    return journal.due(destination, limit, horizon_s=900.0)


def states(journal: Journal, key: int | str) -> dict[str, DeliveryState]:
    """The states of an instance's deliveries."""
    record = journal.instance(key)
    assert record is not None
    return {delivery.destination: delivery.state for delivery in record.deliveries}


def settled(delivery: DueDelivery, state: DeliveryState, **changes: object) -> Settlement:
    """What an attempt might have made of a delivery."""
    settlement = Settlement(
        delivery_id=delivery.id,
        state=state,
        attempts=delivery.attempts + 1,
        refusals=delivery.refusals,
        next_attempt_at=0.0,
        last_status=None,
        last_outcome="tried",
    )
    return replace(settlement, **changes)


def settle_all(journal: Journal, state: DeliveryState, destination: str = "pacs") -> None:
    """Settle everything that is due."""
    journal.settle([settled(delivery, state) for delivery in due(journal, destination)])


def one(journal: Journal, key: int | str) -> InstanceRecord:
    """An instance that must be there."""
    record = journal.instance(key)
    assert record is not None
    return record


# ---- receiving


def test_a_new_instance_is_stored_and_owed(journal: Journal, clock: Clock) -> None:
    """The row says everything that was known, and every destination is owed it."""
    added = journal.add(new(1, "pacs", "archive"))
    record = one(journal, uid(1))

    assert (added.verdict, added.owed, added.kept) == (Verdict.STORED, ("pacs", "archive"), True)
    assert record == one(journal, added.instance_id)
    assert record.tags == {"StudyDescription": "Größe"}
    assert record.received_at == clock.now
    assert record.store is True
    assert states(journal, uid(1)) == dict.fromkeys(("pacs", "archive"), DeliveryState.DUE)


def test_the_same_bytes_again_change_nothing(journal: Journal) -> None:
    """A resend is no second copy and no second delivery."""
    journal.add(new(1, "pacs"))
    settle_all(journal, DeliveryState.DELIVERED)
    again = journal.add(new(1, "pacs", file=StoredFile("cd/1.dcm", 1000, f"{1:064x}")))

    assert (again.verdict, again.owed, again.kept) == (Verdict.KNOWN, (), False)
    assert one(journal, uid(1)).file_name == "ab/1.dcm"
    assert states(journal, uid(1)) == {"pacs": DeliveryState.DELIVERED}


def test_other_bytes_under_a_known_uid_are_a_conflict(journal: Journal) -> None:
    """The first is kept, and nobody is owed the second."""
    journal.add(new(1, "pacs"))
    other = journal.add(new(1, "archive", file=StoredFile("cd/1.dcm", 9, "f" * 64)))

    assert (other.verdict, other.owed, other.kept) == (Verdict.CONFLICT, (), False)
    assert states(journal, uid(1)) == {"pacs": DeliveryState.DUE}


def test_a_resend_over_another_route_adds_what_is_missing(journal: Journal) -> None:
    """Only a destination that does not have it and is not owed it is owed it now."""
    journal.add(new(1, "pacs"))
    again = journal.add(new(1, "pacs", "archive"))

    assert (again.owed, again.kept) == (("archive",), False)
    assert [delivery.sop_instance_uid for delivery in due(journal, "archive")] == [uid(1)]


def test_a_resend_of_what_failed_is_another_chance_with_the_new_bytes(journal: Journal) -> None:
    """The first copy may be what made it fail, so the new one takes its place."""
    journal.add(new(1, "pacs"))
    settle_all(journal, DeliveryState.FAILED)
    again = journal.add(new(1, "pacs", file=StoredFile("cd/1.dcm", 1000, f"{1:064x}")))
    [delivery] = due(journal)

    assert (again.owed, again.kept, again.replaced) == (("pacs",), True, "ab/1.dcm")
    assert (delivery.file.name, delivery.attempts) == ("cd/1.dcm", 0)


def test_bytes_that_somebody_is_about_to_send_are_not_replaced(journal: Journal) -> None:
    """One destination failed, another one is just being served from the first copy."""
    journal.add(new(1, "pacs", "archive"))
    settle_all(journal, DeliveryState.FAILED)
    journal.mark_sending(due(journal, "archive"))
    again = journal.add(new(1, "pacs", file=StoredFile("cd/1.dcm", 1000, f"{1:064x}")))

    assert (again.owed, again.kept) == (("pacs",), False)
    assert one(journal, uid(1)).file_name == "ab/1.dcm"


def test_a_swept_instance_is_recognised(journal: Journal) -> None:
    """Delivered, not stored, gone: a resend is a success and is not delivered again."""
    journal.add(new(1, "pacs", store=False))
    settle_all(journal, DeliveryState.DELIVERED)
    assert journal.sweep() == ("ab/1.dcm",)
    again = journal.add(new(1, "pacs", store=False, file=StoredFile("cd/1", 1, f"{1:064x}")))

    assert (again.verdict, again.owed, again.kept) == (Verdict.KNOWN, (), False)


@pytest.mark.parametrize(
    ("destinations", "store"), [(("archive",), False), (("pacs",), True)], ids=["owed", "stored"]
)
def test_a_swept_instance_that_is_wanted_again_comes_back(
    journal: Journal, *, destinations: tuple[str, ...], store: bool
) -> None:
    """Another destination, or a route that stores: the new copy is kept."""
    journal.add(new(1, "pacs", store=False))
    settle_all(journal, DeliveryState.DELIVERED)
    journal.sweep()
    file = StoredFile("cd/1.dcm", 1000, f"{1:064x}")
    again = journal.add(new(1, *destinations, store=store, file=file))

    assert again.kept
    assert again.replaced == ""
    assert one(journal, uid(1)).file_name == "cd/1.dcm"


def test_threads_with_one_uid_store_one_instance(journal: Journal) -> None:
    """Two associations send the same instance at the same moment: the database decides."""
    start = threading.Barrier(8)
    verdicts: list[Verdict] = []

    def send(number: int) -> None:
        start.wait()
        for turn in range(20):
            file = StoredFile(f"{number:02x}/{turn}", 1, f"{turn:064x}")
            verdicts.append(journal.add(new(turn, "pacs", file=file)).verdict)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert verdicts.count(Verdict.STORED) == 20
    assert verdicts.count(Verdict.KNOWN) == 140
    assert len(due(journal, limit=1000)) == 20


def test_one_instance_that_cannot_be_written_spoils_no_other(journal: Journal) -> None:
    """They share a transaction, not a fate."""
    start = threading.Barrier(4)
    outcomes: dict[int, object] = {}

    def send(number: int) -> None:
        start.wait()
        for turn in range(number, 200, 4):
            bad = turn % 5 == 0
            try:
                outcomes[turn] = journal.add(new(turn, patient_id="\ud800" if bad else "OK"))
            except UnicodeEncodeError as error:
                outcomes[turn] = error

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    failed = {turn for turn, outcome in outcomes.items() if isinstance(outcome, Exception)}
    assert failed == set(range(0, 200, 5))
    assert len(journal.instances(limit=1000)) == 160


# ---- delivering


def test_what_was_never_tried_is_sent_first(journal: Journal, clock: Clock) -> None:
    """An instance that failed cannot hold up the others."""
    for number in (1, 2, 3):
        journal.add(new(number, "pacs"))
    first = due(journal)[0]
    journal.settle([settled(first, DeliveryState.DUE, next_attempt_at=clock.now - 1)])

    assert [delivery.sop_instance_uid for delivery in due(journal)] == [uid(2), uid(3), uid(1)]
    assert len(due(journal, limit=2)) == 2


def test_nothing_is_due_before_its_time(journal: Journal, clock: Clock) -> None:
    """And the journal says how long that is."""
    journal.add(new(1, "pacs"))
    assert journal.next_turn_in_s("pacs") == 0.0
    journal.settle([settled(due(journal)[0], DeliveryState.DUE, next_attempt_at=clock.now + 60)])

    assert due(journal) == []
    assert journal.next_turn_in_s("pacs") == 60.0
    assert journal.next_turn_in_s("archive") is None
    clock.now += 60
    assert len(due(journal)) == 1


def test_a_clock_that_was_set_back_delays_nothing(journal: Journal, clock: Clock) -> None:
    """A moment beyond the longest wait there is was written under another time."""
    journal.add(new(1, "pacs"))
    journal.settle([settled(due(journal)[0], DeliveryState.DUE, next_attempt_at=clock.now + 60)])
    clock.now -= 3600

    assert len(due(journal)) == 1


def test_contexts_can_be_left_out(journal: Journal) -> None:
    """What a destination refuses does not stand in the way of the rest."""
    journal.add(new(1, "pacs"))
    journal.add(new(2, "pacs", sop_class_uid=MR))
    journal.add(new(3, "pacs", transfer_syntax_uid=JPEG))
    without = frozenset({(CT, EXPLICIT), (MR, JPEG)})
    left = journal.due("pacs", 10, horizon_s=900.0, without=without)

    assert [delivery.context for delivery in left] == [(MR, EXPLICIT), (CT, JPEG)]


def test_what_was_being_sent_is_due_again(journal: Journal) -> None:
    """After a crash for all, after an association for one destination."""
    journal.add(new(1, "pacs", "archive"))
    journal.mark_sending([*due(journal), *due(journal, "archive")])
    assert due(journal) == []

    assert journal.give_back("pacs") == 1
    assert states(journal, uid(1))["archive"] is DeliveryState.SENDING
    assert journal.give_back() == 1
    assert len(due(journal, "archive")) == 1


def test_a_settlement_is_kept(journal: Journal, clock: Clock) -> None:
    """What an attempt came to is what the operator reads."""
    journal.add(new(1, "pacs"))
    clock.now += 5
    settlement = settled(due(journal)[0], DeliveryState.FAILED, refusals=3, last_status=0xC000)
    journal.settle([settlement])
    [delivery] = one(journal, 1).deliveries

    assert (delivery.state, delivery.attempts, delivery.refusals) == (DeliveryState.FAILED, 1, 3)
    assert (delivery.last_status, delivery.last_outcome) == (0xC000, "tried")
    assert delivery.changed_at == clock.now


def test_a_held_queue_is_visible_and_is_released(journal: Journal, clock: Clock) -> None:
    """It says why, is still offered when the destination is asked again, and then is due."""
    journal.add(new(1, "pacs"))
    journal.note_destination("pacs", DestinationNote(1, clock.now + 900, "refused"), hold=True)
    [line] = journal.queue()

    assert (line.state, line.last_outcome) == (DeliveryState.HELD, "refused")
    assert line.next_attempt_at == clock.now + 900
    assert len(due(journal)) == 1
    journal.note_destination("pacs", DestinationNote())
    assert states(journal, 1) == {"pacs": DeliveryState.DUE}


def test_old_deliveries_expire(journal: Journal, clock: Clock) -> None:
    """Past its lifetime a delivery has failed, and says so."""
    journal.add(new(1, "pacs"))
    clock.now += 100
    journal.add(new(2, "pacs"))

    assert journal.expire("pacs", lifetime_s=50, outcome="too old") == 1
    assert states(journal, uid(1)) == {"pacs": DeliveryState.FAILED}
    assert states(journal, uid(2)) == {"pacs": DeliveryState.DUE}


@pytest.mark.parametrize("state", [DeliveryState.DUE, DeliveryState.FAILED])
def test_what_somebody_is_owed_is_not_swept(journal: Journal, state: DeliveryState) -> None:
    """A failed delivery keeps its bytes: an operator may want them."""
    journal.add(new(1, "pacs", "archive", store=False))
    settle_all(journal, DeliveryState.DELIVERED)
    settle_all(journal, state, "archive")

    assert journal.sweep() == ()


def test_only_what_is_not_to_be_stored_is_swept(journal: Journal) -> None:
    """Delivered everywhere, a stored instance stays."""
    journal.add(new(1, "pacs"))
    journal.add(new(2, "pacs", store=False))
    settle_all(journal, DeliveryState.DELIVERED)

    assert journal.sweep() == ("ab/2.dcm",)
    assert journal.sweep() == ()
    assert journal.files("ab/") == {"ab/1.dcm"}


# ---- asking


def test_instances_are_listed_newest_first(journal: Journal) -> None:
    """A limit bounds the list."""
    for number in range(5):
        journal.add(new(number))
    listed = journal.instances(limit=3)

    assert [record.sop_instance_uid for record in listed] == [uid(4), uid(3), uid(2)]


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (InstanceFilter(), [3, 2, 1]),
        (InstanceFilter(patient_id="OTHER"), [2]),
        (InstanceFilter(modality="MR"), [3]),
        (InstanceFilter(calling_ae="CT1", study_instance_uid="2.25.100"), [3, 2, 1]),
        (InstanceFilter(study_instance_uid="2.25.101"), []),
        (InstanceFilter(destination="archive"), [3]),
        (InstanceFilter(state=DeliveryState.FAILED), [1]),
        (InstanceFilter(destination="archive", state=DeliveryState.FAILED), []),
    ],
)
def test_instances_are_found(journal: Journal, which: InstanceFilter, found: list[int]) -> None:
    """By what they are, and by what is owed of them."""
    journal.add(new(1, "pacs"))
    settle_all(journal, DeliveryState.FAILED)
    journal.add(new(2, "pacs", patient_id="OTHER"))
    journal.add(new(3, "archive", modality="MR"))

    listed = [record.sop_instance_uid for record in journal.instances(which)]
    assert listed == [uid(number) for number in found]


def test_an_unknown_instance_is_none(journal: Journal) -> None:
    """Neither a number nor a UID that nobody stored is an error."""
    assert journal.instance(7) is None
    assert journal.instance("1.2.3") is None


def test_the_queue_counts_by_destination_and_state(journal: Journal, clock: Clock) -> None:
    """One line each, with the oldest and the latest outcome."""
    journal.add(new(1, "pacs"))
    clock.now += 10
    journal.add(new(2, "pacs", "archive"))
    journal.settle([settled(due(journal)[0], DeliveryState.FAILED, last_outcome="refused")])
    lines = {(line.destination, line.state.value): line for line in journal.queue()}

    assert {key: line.count for key, line in lines.items()} == {
        ("archive", "due"): 1,
        ("pacs", "due"): 1,
        ("pacs", "failed"): 1,
    }
    assert lines["pacs", "failed"].last_outcome == "refused"
    assert lines["pacs", "due"].oldest_at == clock.now


@pytest.mark.parametrize(
    ("chosen", "count"),
    [({}, 3), ({"destination": "pacs"}, 2), ({"instance_id": 2}, 2), ({"instance_id": 9}, 0)],
    ids=["all", "destination", "instance", "nothing"],
)
def test_retry_makes_failed_and_held_deliveries_due(
    journal: Journal, clock: Clock, chosen: dict[str, object], count: int
) -> None:
    """They begin anew: attempts, strikes and lifetime."""
    journal.add(new(1, "pacs"))
    journal.add(new(2, "pacs", "archive"))
    settle_all(journal, DeliveryState.FAILED)
    journal.note_destination("archive", DestinationNote(4, clock.now + 900, "no"), hold=True)
    clock.now += 1000

    assert journal.retry(**chosen) == count  # type: ignore[arg-type]
    assert sum(len(due(journal, name)) for name in ("pacs", "archive") if count) >= count
    if not chosen:
        assert journal.destination("archive").failures == 0
        assert {delivery.due_since for delivery in due(journal)} == {clock.now}


def test_retry_leaves_what_was_delivered(journal: Journal) -> None:
    """Nothing is sent twice because somebody asked for what failed."""
    journal.add(new(1, "pacs"))
    settle_all(journal, DeliveryState.DELIVERED)

    assert journal.retry() == 0
    assert due(journal) == []


# ---- files


def test_files_are_found_by_their_folder(journal: Journal) -> None:
    """Recovery asks folder by folder."""
    for name in ("ab/1.dcm", "ab/2.dcm", "ac/3.dcm", "a/4.dcm"):
        number = int(name[-5])
        journal.add(new(number, file=StoredFile(name, 1, f"{number:064x}")))

    assert journal.files("ab/") == {"ab/1.dcm", "ab/2.dcm"}
    assert journal.files("ff/") == frozenset()


def test_a_lost_file_fails_its_deliveries_until_it_is_sent_again(journal: Journal) -> None:
    """Nobody is told that it is fine, and a resend brings it back."""
    journal.add(new(1, "pacs"))
    journal.lose(["ab/1.dcm"], outcome="the file is missing")
    assert states(journal, 1) == {"pacs": DeliveryState.FAILED}
    assert journal.files("ab/") == frozenset()
    again = journal.add(new(1, "pacs", file=StoredFile("cd/1.dcm", 1000, f"{1:064x}")))

    assert again.kept
    assert states(journal, 1) == {"pacs": DeliveryState.DUE}


def test_what_was_lost_comes_back_with_other_bytes(journal: Journal) -> None:
    """The profile has changed since, and nothing is left that other bytes could contradict."""
    journal.add(new(1, "pacs"))
    settle_all(journal, DeliveryState.DELIVERED)
    journal.lose(["ab/1.dcm"], outcome="the file is missing")
    file = StoredFile("cd/1.dcm", 900, "f" * 64)
    again = journal.add(new(1, "pacs", file=file, profile="other", dataset_offset=200))
    record = one(journal, uid(1))
    [kept] = journal.kept_after(0, 9)

    assert (again.kept, again.replaced, again.instance_id) == (True, "", record.id)
    assert (record.profile, record.dataset_offset) == ("other", 200)
    assert kept.file == file
    assert states(journal, uid(1)) == {"pacs": DeliveryState.DELIVERED}


def test_a_row_that_was_damaged_is_made_anew_by_a_resend(journal: Journal, tmp_path: Path) -> None:
    """Its check would not fit the new file either."""
    journal.add(new(1, "pacs"))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database, database:
        database.execute("UPDATE instances SET dataset_offset = 153")
    journal.lose(["ab/1.dcm"], outcome="its row has changed")
    journal.add(new(1, "pacs", file=StoredFile("cd/1.dcm", 1000, f"{1:064x}")))

    assert due(journal)[0].file.digest == f"{1:064x}"


def test_what_was_delivered_and_swept_is_not_contradicted(journal: Journal) -> None:
    """Its destination has it: other bytes under its UID stay a conflict."""
    journal.add(new(1, "pacs", store=False))
    settle_all(journal, DeliveryState.DELIVERED)
    journal.sweep()
    again = journal.add(new(1, "pacs", file=StoredFile("cd/1.dcm", 9, "f" * 64)))

    assert (again.verdict, again.kept) == (Verdict.CONFLICT, False)


def test_a_copy_is_kept_where_the_first_is_not_there(tmp_path: Path) -> None:
    """Whoever is told that it is stored may throw away his own."""
    there = {("ab/1.dcm", 1000)}
    journal = Journal(tmp_path / FILE_NAME, holds=lambda *file: file in there)
    journal.add(new(1, "pacs"))
    copy = StoredFile("cd/1.dcm", 1000, f"{1:064x}")
    known = journal.add(new(1, "pacs", file=copy))
    there.clear()
    again = journal.add(new(1, "pacs", file=copy))
    [delivery] = due(journal)
    journal.close()

    assert not known.kept
    assert (again.kept, again.replaced, delivery.file.name) == (True, "ab/1.dcm", "cd/1.dcm")


# ---- the database


def test_it_survives_a_restart(tmp_path: Path) -> None:
    """What was added is there, also without a tidy close."""
    first = Journal(tmp_path / FILE_NAME)
    first.add(new(1, "pacs"))
    second = Journal(tmp_path / FILE_NAME)

    assert one(second, uid(1)).sop_instance_uid == uid(1)
    first.close()
    second.close()


def test_another_process_reads_and_retries_while_the_node_runs(
    tmp_path: Path, journal: Journal
) -> None:
    """The command line needs no help of the node."""
    journal.add(new(1, "pacs"))
    settle_all(journal, DeliveryState.FAILED)
    beside = Journal.existing(tmp_path)

    assert [line.state for line in beside.queue()] == [DeliveryState.FAILED]
    assert beside.retry(destination="pacs") == 1
    assert len(due(journal)) == 1
    journal.add(new(2, "pacs"))
    assert len(beside.instances()) == 2
    beside.close()


def test_a_reader_does_not_write(tmp_path: Path) -> None:
    """To look at a folder without a journal makes none, and says so."""
    with pytest.raises(JournalError, match="no journal yet"):
        Journal.existing(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_its_files_are_private(tmp_path: Path, journal: Journal) -> None:
    """The database and what SQLite puts beside it."""
    journal.add(new(1))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert set(modes.values()) == {0o600}
    assert FILE_NAME + "-wal" in modes


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    """An older version of the node must not write into what it does not know."""
    Journal(tmp_path / FILE_NAME).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()

    for attempt in (lambda: Journal(tmp_path / FILE_NAME), lambda: Journal.existing(tmp_path)):
        with pytest.raises(JournalError, match="newer version"):
            attempt()


FIRST_SCHEMA = """
ALTER TABLE instances DROP COLUMN actions;
ALTER TABLE instances DROP COLUMN rule_set;
DROP TABLE rule_sets;
DROP TABLE resources;
DROP TABLE metadata;
DROP TABLE labels;
DROP TABLE changes;
DROP TABLE counters;
DROP TABLE pending;
DROP TABLE jobs;
ALTER TABLE instances DROP COLUMN origin;
ALTER TABLE instances DROP COLUMN remote_ip;
ALTER TABLE instances DROP COLUMN row_check;
DROP TABLE facts;
PRAGMA user_version=1;
"""
"""What makes a journal of today one of the first release."""


def columns(path: Path) -> dict[str, set[tuple[object, ...]]]:
    """Of each table: name, type, whether it may be null, default, place in the key."""
    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
    found = {
        name: {tuple(row[1:]) for row in connection.execute(f"PRAGMA table_info({name})")}
        for (name,) in tables
    }
    connection.close()
    return found


def indices(path: Path) -> set[tuple[str, ...]]:
    """Of each table: what it is found by."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT tbl_name, sql FROM sqlite_master WHERE type='index'")
    indices = {(table, " ".join((text or "").split())) for table, text in found}
    connection.close()
    return indices


def test_a_journal_of_the_first_release_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its instances stay, its tables become those of a new one, and it can be written to."""
    path = tmp_path / FILE_NAME
    first = Journal(path)
    first.add(new(1, "pacs"))
    first.close()
    fresh, found_by = columns(path), indices(path)
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_SCHEMA)
    connection.close()
    assert columns(path) != fresh

    journal = Journal(path)
    journal.add(new(2, "pacs", actions={"X": 1}, rule_set="digest"))
    old, late = journal.instance(uid(1)), journal.instance(uid(2))
    journal.close()

    assert old is not None
    assert late is not None
    assert columns(path) == fresh
    assert indices(path) == found_by
    assert (old.actions, old.rule_set, len(old.deliveries)) == ({}, "", 1)
    assert (late.actions, late.rule_set) == ({"X": 1}, "digest")


def test_what_was_done_is_kept_for_each_study(journal: Journal, clock: Clock) -> None:
    """Instances that differ in nothing of it are one row, with the first and the last moment."""
    same = {"actions": {"X": 2, "U": 1}, "rule_set": "digest"}
    for number in (1, 2, 3):
        journal.add(new(number, **same))
        clock.now += 5
    journal.add(new(4, study_instance_uid="2.25.101", **same))

    first, second = journal.studies()

    assert (first.study_instance_uid, first.instances) == ("2.25.100", 3)
    assert (dict(first.actions), first.rule_set) == (same["actions"], "digest")
    assert first.last_at - first.first_at == 10
    assert journal.studies("2.25.101") == [second]


def test_the_deliveries_of_a_study_are_counted_by_state(journal: Journal) -> None:
    """Those of other studies are not."""
    for number in (1, 2):
        journal.add(new(number, "pacs"))
    journal.add(new(3, "pacs", study_instance_uid="2.25.101"))

    assert journal.study_deliveries("2.25.100") == [
        StudyDelivery("2.25.100", "pacs", DeliveryState.DUE, 2)
    ]
    assert len(journal.study_deliveries()) == 2


def test_a_rule_set_is_noted_once(journal: Journal) -> None:
    """The first note stands: a digest means the same for ever."""
    rules = RuleSet("d" * 64, "trial", "basic", "2026d", ("retain-uids",), "0.3.0")
    other = replace(rules, digest="e" * 64, options=())

    journal.note_rule_sets([rules])
    journal.note_rule_sets([replace(rules, release="9"), other])
    journal.note_rule_sets([])

    assert journal.rule_sets() == {rules.digest: rules, other.digest: other}


@pytest.mark.parametrize("content", ["text", "database"])
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: str) -> None:
    """It is named for what it is, and left as it was."""
    path = tmp_path / FILE_NAME
    if content == "text":
        path.write_bytes(b"not a database" * 100)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE other (x)")
        connection.close()
    with pytest.raises(JournalError):
        Journal(path)


def test_what_must_not_be_lost_is_synced(journal: Journal) -> None:
    """An instance, a sweep and an operator's wish cost a full sync; notes about deliveries do not.

    SQLite's own figures: 2 is FULL, 1 is NORMAL.
    """
    steps = {
        "add": lambda: journal.add(new(1, "pacs", store=False)),
        "mark": lambda: journal.mark_sending(due(journal)),
        "lose": lambda: journal.lose(["ab/9.dcm"], outcome="missing"),
        "give back": journal.give_back,
        "add again": lambda: journal.add(new(2, "pacs")),
        "settle": lambda: settle_all(journal, DeliveryState.DELIVERED),
        "sweep": journal.sweep,
        "note": lambda: journal.note_destination("pacs", DestinationNote()),
        "retry": journal.retry,
    }
    synced = {}
    for name, step in steps.items():
        step()
        raw = journal._for_writing().raw
        synced[name] = raw.execute("PRAGMA synchronous").fetchone()[0]

    assert {name for name, level in synced.items() if level == 2} == {
        *("add", "lose", "add again", "sweep", "retry")
    }


def test_a_full_disk_is_out_of_space(journal: Journal) -> None:
    """The node says that it has no room, and goes on when there is some."""

    def limit(writer: object) -> None:
        pages = writer.raw.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
        writer.raw.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]

    journal.write(limit, durable=False)
    with pytest.raises(OutOfSpace):
        add_large(journal, 1000)
    journal._for_writing().raw.execute("PRAGMA max_page_count=1000000")

    assert journal.add(new(5000)).verdict is Verdict.STORED


def add_large(journal: Journal, count: int) -> None:
    """Add instances with much to say."""
    for number in range(count):
        journal.add(new(number, tags={"StudyDescription": "x" * 1000}))


def test_a_failed_sync_is_final(journal: Journal) -> None:
    """The database may have been told that something is safe which is not."""

    def fail(_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    with pytest.raises(JournalError, match="SQLITE_IOERR_FSYNC"):
        journal.write(fail, durable=True)

    assert journal.fatal.is_set()
    with pytest.raises(JournalError, match="restarts"):
        journal.add(new(1))


def test_an_error_quotes_no_value(journal: Journal) -> None:
    """Libraries put parameters into their messages; ours does not reach anybody."""
    with pytest.raises(JournalError) as caught:
        journal.write(
            lambda writer: writer.raw.execute("SELECT 'SMITH^JOHN' FROM nowhere"), durable=False
        )

    assert str(caught.value) == "the journal cannot be used (SQLITE_ERROR)"
    assert caught.value.__cause__ is None


def test_checkpoints_keep_the_log_short(tmp_path: Path, journal: Journal) -> None:
    """After a checkpoint the log is written from its beginning again."""
    for number in range(50):
        journal.add(new(number))
    journal.checkpoint()
    size = (tmp_path / f"{FILE_NAME}-wal").stat().st_size
    for number in range(50, 60):
        journal.add(new(number))

    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size == size


def test_a_fact_is_what_was_noted_last(journal: Journal) -> None:
    """Empty if nothing was."""
    assert journal.fact("name") == ""
    journal.note_fact("name", "one")
    journal.note_fact("name", "two", durable=False)

    assert journal.fact("name") == "two"


def test_what_is_kept_comes_in_order_and_in_parts(journal: Journal) -> None:
    """Only what has a file."""
    for number in range(1, 6):
        journal.add(new(number))
    journal.lose(["ab/2.dcm"], outcome="lost by the test")

    assert [kept.id for kept in journal.kept_after(0, 3)] == [1, 3, 4]
    assert [kept.id for kept in journal.kept_after(4, 3)] == [5]
    assert (journal.names("ab/2.dcm"), journal.names("ab/3.dcm")) == (False, True)
    assert journal.newest() == 5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sop_instance_uid", "2.25.77"),
        ("sop_class_uid", MR),
        ("transfer_syntax_uid", JPEG),
        ("size_bytes", 1001),
        ("digest", "1" * 64),
        ("dataset_offset", 144),
    ],
)
def test_a_row_that_has_changed_by_itself_names_no_bytes(
    tmp_path: Path, journal: Journal, column: str, value: object
) -> None:
    """Nothing is sent as what it is not; rows of before have no check and are believed."""
    for number in (1, 2):
        journal.add(new(number, "pacs"))
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(f"UPDATE instances SET {column} = ? WHERE id = 1", (value,))  # noqa: S608
    connection.close()
    assert [bool(one.file.digest) for one in due(journal)] == [False, True]
    assert [bool(one.file.digest) for one in journal.kept_after(0, 9)] == [False, True]

    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE instances SET row_check = 0")
    connection.close()
    assert all(one.file.digest for one in due(journal))


def test_a_full_disk_is_tried_again_with_the_reserve(tmp_path: Path) -> None:
    """Once; what cannot be written even then is refused as before."""
    given = []

    def give() -> bool:
        given.append(1)
        journal._for_writing().raw.execute("PRAGMA max_page_count=1000000")
        return len(given) == 1

    journal = Journal(tmp_path / FILE_NAME, make_room=give)
    _fill(journal)
    journal.note_fact("name", "x" * 100_000)
    _fill(journal)
    with pytest.raises(OutOfSpace):
        journal.note_fact("other", "x" * 100_000)

    assert journal.fact("name") == "x" * 100_000
    assert (journal.fact("other"), len(given)) == ("", 2)
    journal.close()


def _fill(journal: Journal) -> None:
    raw = journal._for_writing().raw
    [pages] = raw.execute("PRAGMA page_count").fetchone()
    raw.execute(f"PRAGMA max_page_count={pages}")


def test_the_log_does_not_grow_for_ever_under_load(tmp_path: Path) -> None:
    """There is no moment at which nobody commits; it begins anew all the same."""
    journal = Journal(tmp_path / FILE_NAME)
    ending = threading.Event()

    def load() -> None:
        number = 0
        while not ending.is_set():
            number += 1
            journal.note_fact(f"{number % 50}", "x" * 20_000, durable=False)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    sizes = []
    for _ in range(12):
        ending.wait(0.05)
        journal.checkpoint()
        sizes.append(log_of(tmp_path / FILE_NAME).stat().st_size)
    ending.set()
    for thread in threads:
        thread.join()
    journal.close()

    assert sizes[-1] < 4 * LOG_BYTES

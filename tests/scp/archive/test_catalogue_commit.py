"""Jobs and deletions: everything or nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from scp.archive.catalogue_tables import counters
from scp.archive.identifiers import Level
from scp.errors import Conflict, JournalError
from scp.instance import DeliveryState
from scp.journal import Settlement
from tests.scp.archive.cataloguing import Archive, at, id_of, instance, produced
from tests.scp.storing import uid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty one."""
    archive = Archive(tmp_path)
    yield archive
    archive.journal.close()


def deliver(archive: Archive) -> None:
    """Everything that is owed to `pacs` arrives there."""
    owed = archive.journal.due("pacs", 100, horizon_s=900.0)
    archive.journal.settle(
        [Settlement(one.id, DeliveryState.DELIVERED, 1, 0, 0.0, 0, "") for one in owed]
    )


# ---- adding


def test_what_a_job_made_is_there_at_once(archive: Archive) -> None:
    """With its files, its place in the tree and its changes."""
    source = archive.add(1)
    archive.catalogue.refresh()
    since = archive.newest()
    committed = archive.catalogue.commit([produced(11, source=source), produced(12)])
    found = archive.catalogue.instances([at("B/1/1")])

    assert committed.added == tuple(one.id for one in found)
    assert (committed.known, committed.replaced) == ((), ())
    assert [one.file_name for one in found] == ["ab/11-0.dcm", "ab/12-0.dcm"]
    assert archive.kinds(since) == [
        *("NewInstance Instance", "NewSeries Series", "NewStudy Study", "NewPatient Patient"),
        "NewInstance Instance",
    ]


def test_a_result_says_what_it_was_made_from(archive: Archive) -> None:
    """The instance always; above it whatever has another identifier than the source's."""
    source = archive.add(1, "A/1/1")
    result = produced(11, "A/1/2", source, "ModifiedFrom", metadata={"1024": "x"})
    [id_] = archive.catalogue.commit([result]).added

    assert archive.catalogue.metadata(id_)["ModifiedFrom"] == source
    assert archive.catalogue.metadata(id_)["1024"] == "x"
    assert archive.catalogue.metadata(at("A/1/2"))["ModifiedFrom"] == at("A/1/1")
    assert "ModifiedFrom" not in archive.catalogue.metadata(at("A/1/2", 2))


def test_labels_pass_where_they_are_to(archive: Archive) -> None:
    """From each level to the same level of the result; and not otherwise."""
    source = archive.add(1, "A/1/1")
    archive.catalogue.set_label(at("A/1/1", 1), "patient")
    archive.catalogue.set_label(source, "instance")
    keeping = produced(11, "B/1/1", source, keeps_labels=True)
    committed = archive.catalogue.commit([keeping, produced(12, "C/1/1", source)])

    assert archive.catalogue.labels(committed.added[0]) == ["instance"]
    assert archive.catalogue.labels(at("B/1/1", 1)) == ["patient"]
    assert archive.catalogue.labels(at("C/1/1", 1)) == []


def test_the_same_result_again_is_known(archive: Archive) -> None:
    """A job that is done twice changes nothing, and its new files may go."""
    result = produced(11)
    first = archive.catalogue.commit([result])
    before = archive.listed()
    again = archive.catalogue.commit([result])

    assert (first.known, again.known) == ((), first.added)
    assert archive.listed() == before


def test_a_result_that_was_only_forwarded_is_stored_now(archive: Archive) -> None:
    """Its first file stays, so the new one may go."""
    archive.add(11, "B/1/1", "pacs", store=False)
    committed = archive.catalogue.commit([produced(11)])

    assert committed.known == committed.added
    assert archive.catalogue.find(committed.added[0]) is not None


def test_a_result_takes_the_place_of_what_was_swept(archive: Archive) -> None:
    """Only the row was left: the new file is named, so it must stay."""
    archive.add(11, "B/1/1", "pacs", store=False)
    deliver(archive)
    archive.journal.sweep()
    committed = archive.catalogue.commit([produced(11, file=instance(11).file)])
    [found] = archive.catalogue.instances(committed.added)

    assert (committed.known, found.file_name) == ((), instance(11).file.name)


def test_other_bytes_under_a_uid_undo_everything(archive: Archive) -> None:
    """No result, no deletion, no change, and not what else was to be written."""
    source = archive.add(1)
    taken = archive.add(12, "B/1/1")
    before, since = archive.listed(), archive.newest()
    results = [produced(11, source=source), produced(12, data=1)]
    noted: list[object] = []
    with pytest.raises(Conflict):
        archive.catalogue.commit(results, [source], also=noted.append)

    assert (archive.listed(), archive.newest()) == (before, since)
    assert taken in before
    assert archive.journal.instance(uid(11)) is None
    assert noted == []


def test_what_fails_in_the_same_transaction_undoes_everything(archive: Archive) -> None:
    """A job whose outcome cannot be noted has no results."""
    source = archive.add(1)
    before = archive.listed()

    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(JournalError):
        archive.catalogue.commit([produced(11)], [source], also=fail)

    assert archive.listed() == before


def test_the_outcome_of_a_job_stands_with_its_results(archive: Archive) -> None:
    """Whatever else is written is committed with them."""

    def note(connection: sa.Connection) -> None:
        connection.execute(counters.insert(), {"name": "jobs done", "value": 7})

    archive.catalogue.commit([produced(11)], also=note)

    assert archive.catalogue.next_number("jobs done") == 8


def test_one_conflict_does_not_spoil_the_commits_of_others(archive: Archive) -> None:
    """Those who commit at the same moment share a transaction, not their fate."""
    archive.add(99, "B/1/1")
    barrier = threading.Barrier(8)
    outcomes: dict[int, str] = {}

    def run(number: int) -> None:
        results = [produced(100 + 10 * number + one, f"C/{number}/1") for one in range(3)]
        if number % 2:
            results.append(produced(99, data=1))
        barrier.wait()
        try:
            outcomes[number] = str(len(archive.catalogue.commit(results).added))
        except Conflict:
            outcomes[number] = "conflict"

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {number: "conflict" if number % 2 else "3" for number in range(8)}
    assert archive.catalogue.statistics().instances == 1 + 4 * 3


# ---- replacing


def test_what_is_replaced_goes_with_the_commit(archive: Archive) -> None:
    """Its file may be removed; what it leaves empty goes too."""
    source = archive.add(1, "A/1/1")
    archive.catalogue.refresh()
    since = archive.newest()
    committed = archive.catalogue.commit([produced(11, "A/2/1", source)], [source])

    assert committed.replaced == ("ab/1-0.dcm",)
    assert archive.catalogue.find(source) is None
    assert [one.id for one in archive.catalogue.listing(Level.STUDY)] == [at("A/2/1", 2)]
    assert archive.kinds(since) == [
        "Deleted Instance",
        *("NewInstance Instance", "NewSeries Series", "NewStudy Study"),
        *("Deleted Series", "Deleted Study"),
    ]


def test_a_result_may_take_the_place_of_its_source(archive: Archive) -> None:
    """The same UID, other bytes: everything above stays, with what was said of it."""
    source = archive.add(1)
    archive.catalogue.set_label(at("A/1/1"), "kept")
    result = produced(1, "A/1/1", source, "ModifiedFrom", data=1)
    committed = archive.catalogue.commit([result], [source])
    [found] = archive.catalogue.instances([source])

    assert (committed.added, committed.replaced) == ((source,), ("ab/1-0.dcm",))
    assert found.file_name == "ab/1-1.dcm"
    assert archive.catalogue.labels(at("A/1/1")) == ["kept"]


def test_what_is_still_owed_is_not_replaced_under_its_uid(archive: Archive) -> None:
    """The destination would get other bytes than it was promised."""
    source = archive.add(1, "A/1/1", "pacs")
    with pytest.raises(Conflict):
        archive.catalogue.commit([produced(1, "A/1/1", source, data=1)], [source])

    assert archive.catalogue.find(source) is not None


def test_what_is_gone_already_does_no_harm(archive: Archive) -> None:
    """Somebody may have deleted the source while the job ran; its results say where from."""
    source = archive.add(1)
    archive.catalogue.delete(source)
    committed = archive.catalogue.commit([produced(11, "B/1/1", source, "ModifiedFrom")], [source])

    assert archive.catalogue.metadata(committed.added[0])["ModifiedFrom"] == source
    assert committed.replaced == ()


# ---- deleting


def test_a_resource_goes_with_all_below_it(archive: Archive) -> None:
    """Rows, files, notes; what is left above is named."""
    first = archive.add(1, "A/1/1")
    second = archive.add(2, "A/1/2")
    archive.catalogue.set_label(first, "x")
    deleted = archive.catalogue.delete(at("A/1/1"))

    assert deleted is not None
    assert deleted.ids == (first, at("A/1/1"))
    assert deleted.ancestor == (at("A/1/1", 2), Level.STUDY)
    assert deleted.files == ("ab/1-0.dcm",)
    assert archive.listed()[-1] == second
    assert archive.journal.instance(uid(1)) is None
    assert archive.catalogue.all_labels() == []


def test_the_last_instance_takes_everything_above_along(archive: Archive) -> None:
    """From below, and each is a change."""
    id_ = archive.add(1)
    archive.catalogue.refresh()
    since = archive.newest()
    deleted = archive.catalogue.delete(id_)

    assert deleted is not None
    assert deleted.ids == (id_, *(at("A/1/1", levels) for levels in (3, 2, 1)))
    assert deleted.ancestor is None
    assert archive.kinds(since) == [
        *("Deleted Instance", "Deleted Series", "Deleted Study", "Deleted Patient"),
    ]
    assert archive.listed() == []


def test_what_is_not_there_is_not_deleted(archive: Archive) -> None:
    """Nothing happens."""
    assert archive.catalogue.delete("nothing") is None


def test_what_is_owed_leaves_the_disk_once_it_is_delivered(archive: Archive) -> None:
    """It is not in the catalogue any more, and still gets to its destination."""
    id_ = archive.add(1, "A/1/1", "pacs")
    deleted = archive.catalogue.delete(id_)
    early = archive.journal.sweep()
    deliver(archive)

    assert deleted is not None
    assert (deleted.files, archive.listed()) == ((), [])
    assert (early, archive.journal.sweep()) == ((), ("ab/1-0.dcm",))


def test_what_is_owed_and_deleted_comes_back_when_it_is_sent_again(archive: Archive) -> None:
    """The same bytes, to be stored: they are still there."""
    id_ = archive.add(1, "A/1/1", "pacs")
    archive.catalogue.delete(id_)
    archive.add(1, "A/1/1", "pacs")

    assert archive.catalogue.find(id_) is not None


def test_what_was_deleted_may_come_again_with_other_bytes(archive: Archive) -> None:
    """Nothing of the first is left that could contradict it."""
    archive.catalogue.delete(archive.add(1, "A/1/1"))
    id_ = archive.add(1, "A/1/1", data=1)

    assert archive.catalogue.find(id_) is not None
    assert id_ == id_of(instance(1, "A/1/1"))


@pytest.mark.slow
def test_readers_see_whole_trees_while_others_write(archive: Archive) -> None:
    """Every instance that is listed has everything above it, at any moment."""
    stop = threading.Event()
    broken: list[str] = []

    def read() -> None:
        while not stop.is_set():
            for one in archive.catalogue.listing(Level.INSTANCE):
                above = archive.catalogue.above(one.id)
                if archive.catalogue.find(one.id) and len(above) != 3:
                    broken.append(one.id)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(100):
        place = f"{number % 3}/{number % 7}/{number % 2}"
        source = archive.add(number, place)
        archive.catalogue.commit([produced(1000 + number, place, source)], [source])
    stop.set()
    for reader in readers:
        reader.join()

    assert broken == []
    assert archive.catalogue.statistics().instances == 100

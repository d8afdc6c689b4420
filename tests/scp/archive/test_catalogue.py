"""What is stored, by patient, study, series and instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scp.archive.catalogue import Catalogue
from scp.archive.catalogue_schema import RESOURCES
from scp.archive.identifiers import Level
from scp.archive.resources import Statistics
from scp.errors import BadName, UnknownResource
from scp.journal import add_instance
from tests.scp.archive.cataloguing import Archive, at, id_of, instance
from tests.scp.storing import CT, EXPLICIT, uid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MORNING = 1_000_000.0  # 1970-01-12 13:46:40 UTC
TAGS = {
    "PatientName": "ANON",
    "StudyDate": "20200101",
    "AccessionNumber": "Acc-1",
    "Modality": "CT",
    "InstanceNumber": "7",
}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty one."""
    archive = Archive(tmp_path)
    yield archive
    archive.journal.close()


@pytest.fixture
def full(archive: Archive) -> Archive:
    """Two patients, three studies, four series, five instances, numbered in order."""
    for number, place in enumerate(("A/1/1", "A/1/1", "A/1/2", "A/2/1", "B/3/1"), 1):
        archive.add(number, place, tags=TAGS)
    return archive


def ids(resources: list) -> list[str]:
    """The identifiers of some resources."""
    return [one.id for one in resources]


# ---- following the journal


def test_what_is_stored_is_found_at_once(archive: Archive) -> None:
    """Nobody has to ask for it: the next reading takes it in."""
    id_ = archive.add(1, "A/1/2", tags=TAGS)
    found = archive.catalogue.find(id_)

    assert found is not None
    assert (found.level, found.uid, found.parent) == (Level.INSTANCE, uid(1), at("A/1/2"))
    assert (found.created_at, found.changed_at) == (MORNING, MORNING)
    assert found.tags == {"SOPInstanceUID": uid(1), "InstanceNumber": "7"}


def test_what_is_only_forwarded_is_not_there(archive: Archive) -> None:
    """An instance without `store` is on its way, not stored."""
    archive.add(1, "A/1/1", "pacs", store=False)

    assert archive.listed() == []


def test_what_is_to_be_stored_later_comes_later(archive: Archive) -> None:
    """A second route may say that an instance is to be kept that was only forwarded."""
    archive.add(1, "A/1/1", "pacs", store=False)
    archive.add(2, "A/1/1")
    archive.catalogue.refresh()
    archive.add(1, "A/1/1", store=True)

    assert len(archive.catalogue.listing(Level.INSTANCE)) == 2


def test_what_is_lost_on_the_disk_goes(archive: Archive) -> None:
    """Nothing is offered that cannot be read; a resend brings it back."""
    one = instance(1)
    archive.journal.add(one)
    archive.catalogue.refresh()
    archive.journal.lose([one.file.name], outcome="missing")
    lost = archive.listed()
    archive.journal.add(one)

    assert lost == []
    assert id_of(one) in archive.listed()


def test_the_number_of_a_deleted_row_may_be_given_again(archive: Archive) -> None:
    """What comes under it is another instance, and is seen."""
    archive.add(1)
    archive.catalogue.delete(archive.add(2))
    id_ = archive.add(3)

    assert archive.catalogue.find(id_) is not None
    assert len(archive.catalogue.listing(Level.INSTANCE)) == 2


def test_a_restart_forgets_nothing(archive: Archive) -> None:
    """Another catalogue of the same journal says the same, and changes nothing."""
    archive.add(1)
    before = archive.listed(), archive.newest()
    archive.catalogue = Catalogue(archive.journal)

    assert (archive.listed(), archive.newest()) == before


def test_more_than_a_batch_is_taken_in_at_once(archive: Archive) -> None:
    """A node that received for days without a question answers the first one in full."""
    many = [instance(number, f"A/{number % 3}/1") for number in range(1100)]
    archive.journal.write(
        lambda writer: [add_instance(writer, one, MORNING) for one in many], durable=False
    )

    assert archive.catalogue.statistics().instances == 1100


def test_a_patient_cannot_take_the_place_of_a_study(archive: Archive) -> None:
    """PatientID is free text: one that is made up of a study's goes without the other."""
    archive.add(1, "A/1/1")
    archive.add(2, "C/9/1", patient_id="A|2.25.11")
    [study] = archive.catalogue.listing(Level.STUDY, limit=1)
    archive.catalogue.delete(study.id)

    assert [one.uid for one in archive.catalogue.listing(Level.PATIENT)] == ["A|2.25.11"]


# ---- the tree


def test_resources_are_listed_in_the_order_they_came(full: Archive) -> None:
    """A patient once, however many instances it has."""
    assert ids(full.catalogue.listing(Level.PATIENT)) == [at("A/1/1", 1), at("B/3/1", 1)]
    assert [one.uid for one in full.catalogue.listing(Level.INSTANCE)] == [
        uid(number) for number in range(1, 6)
    ]


def test_a_listing_is_cut_where_it_is_asked_to(full: Archive) -> None:
    """So many are left out, at most so many are given; 0 is all."""
    cut = full.catalogue.listing(Level.INSTANCE, since=1, limit=2)

    assert [one.uid for one in cut] == [uid(2), uid(3)]
    assert len(full.catalogue.listing(Level.INSTANCE, since=1)) == 4


def test_a_resource_is_not_found_at_another_level(full: Archive) -> None:
    """An address names both, and must be right in both."""
    assert full.catalogue.find(at("A/1/1"), Level.SERIES) is not None
    assert full.catalogue.find(at("A/1/1"), Level.STUDY) is None
    assert full.catalogue.find("nothing") is None


def test_the_way_down_and_the_way_up_agree(full: Archive) -> None:
    """Children are right below; above comes the nearest first."""
    catalogue = full.catalogue
    [first, *_] = catalogue.listing(Level.INSTANCE)

    assert ids(catalogue.children(at("A/1/1", 1))) == [at("A/1/1", 2), at("A/2/1", 2)]
    assert ids(catalogue.above(first.id)) == [at("A/1/1", levels) for levels in (3, 2, 1)]
    assert catalogue.children(first.id) == []
    assert catalogue.above(at("A/1/1", 1)) == []


def test_what_is_below_may_be_any_level(full: Archive) -> None:
    """Itself at its own level, nothing above it."""
    catalogue, patient = full.catalogue, at("A/1/1", 1)

    assert [one.uid for one in catalogue.below(patient, Level.INSTANCE)] == [
        uid(number) for number in (1, 2, 3, 4)
    ]
    assert ids(catalogue.below(patient, Level.PATIENT)) == [patient]
    assert catalogue.below(at("A/1/1"), Level.STUDY) == []


def test_instances_of_mixed_resources_come_once(full: Archive) -> None:
    """A series and one of its instances name that instance once."""
    [first, *_] = full.catalogue.listing(Level.INSTANCE)
    found = full.catalogue.instances([at("B/3/1", 1), first.id, at("A/1/1"), "nothing"])

    assert [one.sop_instance_uid for one in found] == [uid(1), uid(2), uid(5)]


def test_an_instance_says_where_its_bytes_are(full: Archive) -> None:
    """All that is needed to read it, and everything above it."""
    [found] = full.catalogue.instances([id_of(instance(5, "B/3/1"))])
    record = full.journal.instance(uid(5))

    assert record is not None
    assert (found.row, found.file_name, found.digest) == (
        *(record.id, record.file_name, record.digest),
    )
    assert (found.patient, found.study, found.series) == tuple(
        at("B/3/1", levels) for levels in (1, 2, 3)
    )
    assert (found.sop_class_uid, found.transfer_syntax_uid) == (CT, EXPLICIT)
    assert found.tags == TAGS


def test_everything_is_looked_up_by_what_names_it(full: Archive) -> None:
    """PatientID, UIDs and AccessionNumber, in either case, with or without padding."""
    lookup = full.catalogue.lookup

    assert lookup("a ") == [(Level.PATIENT, at("A/1/1", 1))]
    assert lookup("2.25.211") == [(Level.SERIES, at("A/1/1"))]
    assert [level for level, _ in lookup("ACC-1")] == [Level.STUDY] * 3
    assert lookup("") == []


def test_main_attributes_include_those_above(full: Archive) -> None:
    """A series shows its patient's name."""
    series = at("A/1/1")
    tags = full.catalogue.main_tags([series, series, "nothing"])

    assert set(tags) == {series}
    assert (tags[series]["PatientName"], tags[series]["Modality"]) == ("ANON", "CT")
    assert "InstanceNumber" not in tags[series]


def test_statistics_count_what_is_below(full: Archive) -> None:
    """Or everything; sizes are those of the files."""
    whole = full.catalogue.statistics()
    one = full.catalogue.statistics(at("A/1/1", 1))

    assert whole == Statistics(2, 3, 4, 5, 5015)
    assert one == Statistics(1, 2, 3, 4, 4010)
    assert full.catalogue.statistics("nothing") == Statistics(0, 0, 0, 0, 0)


# ---- metadata and labels


def test_metadata_that_follow_are_there(archive: Archive) -> None:
    """Of an instance where it came from, of what is above when it last came."""
    id_ = archive.add(1, tags=TAGS, remote_ip="192.0.2.7")

    assert archive.catalogue.metadata(id_) == {
        "ReceptionDate": "19700112T134640",
        "RemoteAET": "CT1",
        "CalledAET": "ANONODE",
        "RemoteIP": "192.0.2.7",
        "Origin": "DicomProtocol",
        "TransferSyntax": EXPLICIT,
        "SopClassUid": CT,
        "IndexInSeries": "7",
    }
    assert archive.catalogue.metadata(at("A/1/1")) == {
        "LastUpdate": "19700112T134640",
        "RemoteAET": "CT1",
    }
    assert archive.catalogue.metadata("nothing") == {}


def test_a_metadata_of_ones_own_stays_until_it_is_dropped(archive: Archive) -> None:
    """The last value counts."""
    archive.add(1)
    patient, catalogue = at("A/1/1", 1), archive.catalogue
    catalogue.set_metadata(patient, "1024", "first")
    catalogue.set_metadata(patient, "1024", "second")
    written = catalogue.metadata(patient)["1024"]
    catalogue.drop_metadata(patient, "1024")

    assert written == "second"
    assert "1024" not in catalogue.metadata(patient)


@pytest.mark.parametrize("name", ["RemoteAET", "AnonymizedFrom", "", "a b", "x/y", "x\n", "ä"])
def test_a_metadata_of_the_node_is_not_written_by_others(archive: Archive, name: str) -> None:
    """Nor one whose name is none."""
    id_ = archive.add(1)

    with pytest.raises(BadName):
        archive.catalogue.set_metadata(id_, name, "value")


def test_labels_are_a_set(archive: Archive) -> None:
    """Sorted, each once, and gone with their last resource."""
    one, other, catalogue = archive.add(1), archive.add(2), archive.catalogue
    for id_, label in ((one, "b"), (one, "a"), (one, "a"), (other, "c")):
        catalogue.set_label(id_, label)
    labels = catalogue.labels(one)
    catalogue.drop_label(one, "b")
    catalogue.delete(other)

    assert labels == ["a", "b"]
    assert catalogue.all_labels() == ["a"]


@pytest.mark.parametrize("label", ["", "a b", "a.b", "ä", "../x"])
def test_a_label_is_a_plain_word(archive: Archive, label: str) -> None:
    """It stands in addresses."""
    with pytest.raises(BadName):
        archive.catalogue.set_label(archive.add(1), label)


def test_nothing_is_said_of_what_is_not_there(archive: Archive) -> None:
    """A note about a resource that has gone would come back with its identifier."""
    with pytest.raises(UnknownResource):
        archive.catalogue.set_label("nothing", "x")
    with pytest.raises(UnknownResource):
        archive.catalogue.set_metadata("nothing", "1024", "x")


# ---- changes


def test_what_comes_is_a_change(archive: Archive) -> None:
    """From the instance upwards, only what is new; at the moment it came."""
    archive.add(1, "A/1/1")
    archive.clock.now += 5
    archive.add(2, "A/1/2")

    assert archive.kinds() == [
        *("NewInstance Instance", "NewSeries Series", "NewStudy Study", "NewPatient Patient"),
        *("NewInstance Instance", "NewSeries Series"),
    ]
    last = archive.catalogue.last_change()
    assert last is not None
    assert (last.id, last.at) == (at("A/1/2"), MORNING + 5)


def test_changes_are_read_page_by_page(full: Archive) -> None:
    """Each behind the last one, until there are no more."""
    pages, since, done = [], 0, False
    while not done:
        page, done = full.catalogue.changes(since=since, limit=5)
        pages.append(len(page))
        since = page[-1].seq

    whole, all_of_them = full.catalogue.changes(limit=0)
    assert pages == [5, 5, 4]
    assert (len(whole), all_of_them) == (14, True)
    assert full.catalogue.changes(since=since) == ([], True)


def test_numbers_go_on_after_the_changes_were_cleared(full: Archive) -> None:
    """Who asks for what is behind a number must never miss one."""
    before = full.newest()
    full.catalogue.clear_changes()
    cleared = full.catalogue.last_change()
    full.add(9, "A/1/1")

    assert cleared is None
    assert full.newest() == before + 1


def test_what_gets_nothing_more_is_stable(archive: Archive) -> None:
    """After the stable age, once, and again after another instance."""
    archive.add(1)
    archive.catalogue.refresh()
    since = archive.newest()
    series = at("A/1/1")
    stable = []
    for wait in (59, 2, 1):
        archive.clock.now += wait
        archive.catalogue.settle()
        stable.append(archive.catalogue.find(series).is_stable)
    settled = archive.kinds(since)
    archive.add(2)

    assert stable == [False, True, True]
    assert settled == ["StableSeries Series", "StableStudy Study", "StablePatient Patient"]
    assert not archive.catalogue.find(series).is_stable


def test_settling_follows_the_journal_when_nothing_more_comes(archive: Archive) -> None:
    """So that a first question is answered at once; while instances come, nobody pays for it."""
    archive.add(1)
    taken_in = []
    for _ in range(2):
        archive.catalogue.settle()
        taken_in.append(bool(archive.journal.rows(RESOURCES)))

    assert taken_in == [False, True]


def test_a_counter_counts(archive: Archive) -> None:
    """Each name by itself, and over a restart."""
    numbers = [archive.catalogue.next_number(name) for name in ("a", "a", "b")]

    assert numbers == [1, 2, 1]
    assert Catalogue(archive.journal).next_number("a") == 3

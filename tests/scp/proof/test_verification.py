"""What stands in a result and should not is found wherever it is put; what may stand is not."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from scp.proof import dciodvfy
from tests.scp.proof.verifying import (
    ACCESSION,
    FAMILY,
    GIVEN,
    INSTITUTION,
    NEW_ROOT,
    RECORD,
    ROOT,
    STUDY_DATE,
    one_pair,
    original,
    result,
    said,
    save,
    verified,
)

MODIFIED_DATES, FULL_DATES, UIDS, INSTITUTIONS = "113107", "113106", "113110", "113112"


@pytest.fixture(autouse=True)
def _without_dciodvfy(monkeypatch):
    """The instances of these tests are not valid ones, and need not be."""
    monkeypatch.setattr(dciodvfy, "PROGRAM", "not-installed-anywhere")


def _private(dataset: Dataset, vr: str, value: object) -> None:
    dataset.add_new(0x00090010, "LO", "NOBODY KNOWN")
    dataset.add_new(0x00091001, vr, value)


def _comment(text: str):
    return lambda dataset: setattr(dataset, "ImageComments", text)


def _nested(dataset: Dataset) -> None:
    inner, outer = Dataset(), Dataset()
    inner.ReferencedSOPInstanceUID = f"{ROOT}.3.1"
    outer.ReferencedSOPSequence = [inner]
    dataset.ReferencedSeriesSequence = [outer]


NESTED = "(0008,1115)[].(0008,1199)[].(0008,1155)"
LEAKS = {
    "name in a blob": (
        lambda one: _private(one, "OB", b"\1\2" + FAMILY.encode() + b"\0\xff"),
        ("leak", "name", "(0009,1001)"),
    ),
    "name in capitals in UTF-16": (
        lambda one: _private(one, "OB", GIVEN.upper().encode("utf-16-be")),
        ("leak", "name", "(0009,1001)"),
    ),
    "name in a comment": (
        _comment(f"seen with dr {FAMILY.lower()}, fine"),
        ("leak", "name", "(0020,4000)"),
    ),
    "record in a comment": (
        _comment(f"see {RECORD}"),
        ("leak", "identifier", "(0020,4000)"),
    ),
    "institution in a comment": (
        _comment(f"at {INSTITUTION}"),
        ("leak", "identifier", "(0020,4000)"),
    ),
    "date in a comment": (_comment(f"on {STUDY_DATE}"), ("leak", "date", "(0020,4000)")),
    "date as people write it": (_comment("on 15.03.2011"), ("leak", "date", "(0020,4000)")),
    "date and time": (_comment("at 20110315101500"), ("leak", "date", "(0020,4000)")),
    "UID in a comment": (_comment(f"was {ROOT}.2"), ("leak", "uid", "(0020,4000)")),
    "UID in a blob": (
        lambda one: _private(one, "UN", f"\1{ROOT}.3.1\0".encode()),
        ("leak", "uid", "(0009,1001)"),
    ),
    "UID three deep": (_nested, ("leak", "uid", NESTED)),
    "accession number where it was": (
        lambda one: setattr(one, "AccessionNumber", ACCESSION),
        ("leak", "kept", "(0008,0050)"),
    ),
    "name where it was": (
        lambda one: setattr(one, "PatientName", f"{FAMILY}^{GIVEN}"),
        ("leak", "kept", "(0010,0010)"),
    ),
    "date where it was": (
        lambda one: setattr(one, "ContentDate", STUDY_DATE),
        ("leak", "kept", "(0008,0023)"),
    ),
    "record among pixels": (
        lambda one: setattr(
            one, "PixelData", bytes(300) + b"\xff\xfe" + RECORD.encode() + b"\0\0"
        ),
        ("leak", "identifier", "(7FE0,0010)"),
    ),
    "no mark": (
        lambda one: delattr(one, "PatientIdentityRemoved"),
        ("fault", "mark", "(0012,0062)"),
    ),
    "no method": (
        lambda one: (
            delattr(one, "DeidentificationMethod"),
            delattr(one, "DeidentificationMethodCodeSequence"),
        ),
        ("fault", "mark", "(0012,0063)"),
    ),
    "no word on dates": (
        lambda one: delattr(one, "LongitudinalTemporalInformationModified"),
        ("fault", "mark", "(0028,0303)"),
    ),
}


def test_a_proper_result_is_no_finding(tmp_path):
    """What all the others differ from by one thing."""
    assert one_pair(tmp_path, original(), result(original())) == []


@pytest.mark.parametrize("name", LEAKS)
def test_what_should_not_be_there_is_found(tmp_path, name):
    """By its kind, in its element."""
    change, expected = LEAKS[name]
    after = result(original())
    change(after)

    assert expected in said(one_pair(tmp_path, original(), after))


def test_the_preamble_is_searched(tmp_path):
    """It belongs to no element."""
    preamble = FAMILY.encode().ljust(128, b"\0")
    found = said(one_pair(tmp_path, original(), result(original()), preamble=preamble))

    assert found == {("leak", "name", "preamble"), ("fault", "preamble", "preamble")}


def test_the_file_meta_information_is_searched(tmp_path):
    """It names the instance and its sender, too."""
    after = result(original())
    after.file_meta = FileMetaDataset()
    after.file_meta.SourceApplicationEntityTitle = RECORD
    save(tmp_path / "originals", original())
    path = save(tmp_path / "results", after)
    new, old = f"{NEW_ROOT}.3.1".encode(), f"{ROOT}.3.1".encode()
    path.write_bytes(path.read_bytes().replace(new, old, 1))

    assert said(verified(tmp_path).findings) == {
        ("leak", "uid", "(0002,0003)"),
        ("fault", "meta", "(0002,0003)"),
        ("leak", "identifier", "(0002,0016)"),
        ("fault", "meta", "(0002,0016)"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "Quandrysonite deposits",
        "version 1.2.7.555",
        "counted 201103151",
        "Melis",
    ],
)
def test_what_only_begins_alike_is_no_leak(tmp_path, text):
    """A person may look at it, but nobody is given away."""
    after = result(original())
    after.ImageComments = text
    found = one_pair(tmp_path, original(), after)

    assert [one for one in found if one.severity == "leak"] == []


def test_an_original_among_the_results_is_a_leak_by_every_value(tmp_path):
    """It claims nothing: nothing of it may stay."""
    found = said(one_pair(tmp_path, original(), original()))
    leaks = {(kind, tag) for severity, kind, tag in found if severity == "leak"}

    assert {("uid", "(0008,0018)"), ("uid", "(0002,0003)"), ("kept", "(0010,0010)")} <= leaks
    assert {("kept", "(0010,0020)"), ("kept", "(0010,0030)"), ("kept", "(0008,0050)")} <= leaks
    assert {("kept", "(0008,0080)"), ("kept", "(0020,4000)"), ("kept", "(0008,0020)")} <= leaks


def test_a_name_that_is_a_word_of_the_trade_is_only_possible(tmp_path):
    """Patients are called Head and Philips, and devices, too."""
    before = original()
    before.PatientName = "Head^Philips"
    after = result(before)
    after.Manufacturer = before.Manufacturer = "Philips"
    after.ImageComments = "Head first"

    assert said(one_pair(tmp_path, before, after)) == {("possible", "name", "(0020,4000)")}


def test_moved_dates_may_be_those_of_others(tmp_path):
    """A date counts where the same original had it, not where another one had."""
    first, second = original(1), original(2)
    second.StudyDate = second.ContentDate = "20110301"
    for one, moved in ((first, "20110301"), (second, "20110215")):
        save(tmp_path / "originals", one)
        after = result(one, MODIFIED_DATES)
        after.StudyDate = after.ContentDate = moved
        after.LongitudinalTemporalInformationModified = "MODIFIED"
        save(tmp_path / "results", after)

    assert verified(tmp_path).findings == []


def test_a_date_that_should_have_moved_is_found(tmp_path):
    """In its own place it is what it was."""
    after = result(original(), MODIFIED_DATES)
    after.StudyDate = STUDY_DATE

    assert ("leak", "kept", "(0008,0020)") in said(one_pair(tmp_path, original(), after))


def test_what_a_result_says_it_keeps_is_no_finding(tmp_path):
    """Dates, UIDs and institutions under their options."""
    before = original()
    after = result(before, FULL_DATES, UIDS, INSTITUTIONS)
    after.SOPInstanceUID, after.StudyInstanceUID = before.SOPInstanceUID, before.StudyInstanceUID
    after.SeriesInstanceUID = before.SeriesInstanceUID
    after.StudyDate = after.ContentDate = STUDY_DATE
    after.LongitudinalTemporalInformationModified = "UNMODIFIED"
    after.InstitutionName = INSTITUTION

    assert one_pair(tmp_path, before, after) == []


def test_values_of_any_original_are_looked_for_in_every_result(tmp_path):
    """A leak into another patient's instance is one, too."""
    other = original(2)
    other.PatientName, other.PatientID = "Otherman^Peregrine", "PID-990011"
    save(tmp_path / "originals", original(1))
    save(tmp_path / "originals", other)
    leaky = result(original(1))
    leaky.ImageComments = "next is Otherman"
    save(tmp_path / "results", leaky)
    save(tmp_path / "results", result(other))

    (finding,) = verified(tmp_path).findings
    assert (finding.kind, finding.tag) == ("name", "(0020,4000)")
    assert finding.file.name == f"{NEW_ROOT}.3.1.dcm"


def test_a_reference_that_leads_nowhere_is_found(tmp_path):
    """Its target is there, under another UID."""
    target, source = original(1), original(2)
    _nested(source)
    save(tmp_path / "originals", target)
    save(tmp_path / "originals", source)
    save(tmp_path / "results", result(target))
    good = result(source)
    save(tmp_path / "results", good)
    verdict = verified(tmp_path)
    assert (verdict.references.before, verdict.references.after) == (1, 1)
    assert verdict.findings == []

    inner = good.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    inner.ReferencedSOPInstanceUID = "2.25.999"
    save(tmp_path / "results", good)
    assert said(verified(tmp_path).findings) == {("fault", "reference", NESTED)}


def test_an_original_without_a_result_is_named(tmp_path):
    """By its file."""
    save(tmp_path / "originals", original(1))
    missing = save(tmp_path / "originals", original(2))
    save(tmp_path / "results", result(original(1)))

    (finding,) = verified(tmp_path).findings
    assert (finding.kind, finding.severity, finding.file) == ("missing", "fault", missing)


def test_a_result_that_is_no_part_10_file_is_named(tmp_path):
    """Whatever it is, nobody has looked into it."""
    save(tmp_path / "originals", original())
    save(tmp_path / "results", result(original()))
    (tmp_path / "results" / "stray.txt").write_text("nothing")

    assert said(verified(tmp_path).findings) == {("fault", "unreadable", "")}


def test_no_finding_tells_a_value(tmp_path):
    """It is written down, and sent around."""
    after = result(original())
    for change, _ in LEAKS.values():
        if "del" not in str(change):
            change(after)
    told = repr(one_pair(tmp_path, original(), after)).casefold()

    values = (FAMILY, GIVEN, RECORD, ACCESSION, INSTITUTION, STUDY_DATE, f"{ROOT}.2")
    assert [value for value in values if f"{value.casefold()}" in _without_paths(told)] == []


def _without_paths(told: str) -> str:
    """Originals are named by their files, and those by whoever sent them."""
    return told.replace(f"{ROOT}.3.1.dcm", "")

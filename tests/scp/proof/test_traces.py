"""What originals leave behind to be looked for: what says who, and not what says nothing."""

from __future__ import annotations

import pytest
from pydicom.uid import generate_uid

from scp.proof.second_reader import read_again
from scp.proof.traces import Kind, Traces, dates_in
from scp.proof.unchanged import texts_of
from tests.scp.proof.verifying import FAMILY, RECORD, ROOT, original, result, save


def _texts(folder, dataset, kept=None) -> set[tuple[str, str]]:
    traces = Traces()
    traces.add(read_again(save(folder, dataset)), kept or {})
    found = [one for many in traces.spellings().values() for one in many]
    return {(one.kind.value, one.text) for one in found}


def test_uids_of_instances_are_taken_and_those_of_classes_are_not(tmp_path):
    """A class, a transfer syntax or a registered UID is nobody's."""
    dataset = original()
    dataset.CreatorVersionUID = generate_uid()
    uids = {text for kind, text in _texts(tmp_path, dataset) if kind == "uid"}

    assert uids == {f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3.1"}


def test_what_the_result_keeps_in_its_place_is_not_gone(tmp_path):
    """A pseudonym in the place of an identifier leaves the identifier to be looked for."""
    kept = texts_of(read_again(save(tmp_path / "results", result(original()))))
    found = _texts(tmp_path, original(), kept)

    assert ("identifier", RECORD.casefold()) in found
    assert ("name", FAMILY.casefold()) in found
    assert not any(text == "makers of devices" for _, text in found)


def test_names_that_say_nobody_are_not_looked_for(tmp_path):
    """Nor initials, nor one letter again and again."""
    dataset = original()
    dataset.PatientName = "Anonymous^XXXX^A"
    assert not any(kind == "name" for kind, _ in _texts(tmp_path, dataset))


def test_a_name_is_looked_for_in_the_bytes_that_encode_it(tmp_path):
    """Those of its own character set, of UTF-8, and of both orders of UTF-16."""
    dataset = original()
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎"
    path = save(tmp_path, dataset)
    traces = Traces()
    traces.add(read_again(path), {})
    spelled = set(traces.spellings())

    iso_2022 = "山田".encode("iso2022_jp").split(b"\x1b")[1][2:].lower()
    assert iso_2022 in path.read_bytes().lower()
    for spelling in ("山田".encode(), "山田".encode("utf-16-be"), iso_2022, b"yamada"):
        assert any(spelling in one for one in spelled)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("20110315", "20110315"),
        ("2011.03.15", "20110315"),
        ("20110315101500.000+0100", "20110315"),
        ("19000101", ""),
        ("201103", ""),
        ("20111399", ""),
    ],
)
def test_a_date_is_what_says_a_day(text, date):
    """A stand-in is none."""
    assert dates_in(text) == date


def test_a_trace_does_not_show_what_it_is_of():
    """It may be logged by mistake."""
    traces = Traces()
    traces._add(Kind.NAME, "secret", 0x00100010)

    assert "secret" not in repr(traces.spellings()[b"secret"])

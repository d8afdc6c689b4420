"""The engine and the reference make the same of every file that pydicom can read.

The files are those of pydicom's own package and, through ANONODE_CORPUS, forty more. What is
not well formed may be refused, but only with a reason; what is accepted must agree.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from rules.errors import DeidentificationError, InstanceRefused, Reason
from tests import driving, encoded, instances, reference
from tests.encoded import El, Element

if TYPE_CHECKING:
    from pathlib import Path

SMALL_BYTES = 150_000
EDGE_BYTES = 20_000
CHARSETS = {"latin-1": "ISO_IR 100", "utf-8": "ISO_IR 192"}
MARKS = frozenset(
    [
        reference.IDENTITY_REMOVED,
        reference.METHOD,
        reference.METHOD_CODES,
        reference.TEMPORAL_INFORMATION,
    ]
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One file: how it is fed, what is wrong with it, and what became of it."""

    file: bytes
    dataset: bytes
    transfer_syntax: str
    irregularity: str
    output: driving.Output | None
    refusal: Exception | None


def _is_a_part_of_one(path: Path) -> bool:
    """Part 10, but without a SOP class: a directory, or a dataset made for one oddity."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM" and path not in FILES


@cache
def _sample(path: Path) -> Sample:
    file = path.read_bytes()
    _, dataset = encoded.split_part10(file)
    syntax = driving.transfer_syntax_of(file)
    irregularity = driving.irregularity(dataset, syntax)
    output, refusal = None, None
    try:
        output = driving.engine(dataset, syntax)
    except (InstanceRefused, DeidentificationError) as error:
        refusal = error
    return Sample(file, dataset, syntax, irregularity, output, refusal)


FILES = list(driving.instance_files())
PARTS = [path for path in driving.candidates() if _is_a_part_of_one(path)]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def _accepted(path: Path) -> tuple[Sample, driving.Output]:
    sample = _sample(path)
    if sample.output is None:
        pytest.skip(f"refused: {sample.refusal} ({sample.irregularity})")
    return sample, sample.output


@every_file
def test_only_what_is_not_well_formed_is_refused(path):
    """A file is refused for what is wrong with it, or for want of a UID; never otherwise."""
    sample = _sample(path)
    if sample.refusal is None:
        return
    if sample.irregularity:
        assert isinstance(sample.refusal, DeidentificationError)
        return
    with pytest.raises(reference.Refused):
        driving.expected(sample.file)
    assert sample.refusal.reason in {Reason.NO_SOP_CLASS, Reason.NO_SOP_INSTANCE}


@every_file
def test_engine_and_reference_agree(path):
    """The same tags at each depth, with the same VRs and values."""
    sample, output = _accepted(path)

    assert driving.disagreements(sample.file, output) == []


@every_file
def test_kept_elements_are_byte_for_byte_what_they_were(path):
    """Header and value of every element that the table keeps are found unchanged."""
    sample, output = _accepted(path)
    if sample.irregularity:
        pytest.skip(f"normalised first: {sample.irregularity}")
    form = encoded.Form.of(sample.transfer_syntax)
    before = encoded.read(_plain(sample.dataset, sample.transfer_syntax), form)
    after = encoded.read(output.dataset, form)

    assert list(_changed(before, after)) == []


def _plain(dataset: bytes, transfer_syntax: str) -> bytes:
    return encoded.inflate(dataset) if transfer_syntax == encoded.DEFLATED else dataset


def _changed(before: tuple[Element, ...], after: tuple[Element, ...], place: str = ""):
    """The places of elements that should be the same and are not."""
    found = {element.tag: element for element in after}
    for element in before:
        where = f"{place}({element.tag:08X})"
        if place == "" and (element.tag in MARKS or element.tag >> 16 in {0, 2}):
            continue
        if element.items is not None and reference.action(element.tag) in "KU":
            yield from _changed_below(element, found.get(element.tag), where)
        elif reference.action(element.tag) == "K" and _fits(element):
            there = found.get(element.tag)
            if there is None or there.raw != element.raw:
                yield where


def _fits(element: Element) -> bool:
    """Whether the value is one of the standard's VR; what is not may go."""
    allowed = (reference.standard_vr(element.tag) or "").split(" or ")
    fitting = any(reference.fits(vr, element.value) for vr in allowed)
    return element.vr is None or element.vr in allowed or fitting


def _changed_below(before: Element, after: Element | None, where: str):
    if after is None or after.items is None or len(after.items) != len(before.items):
        yield where
        return
    if (before.vr, before.undefined) != (after.vr, after.undefined):
        yield f"{where} form"
    for index, (old, new) in enumerate(zip(before.items, after.items, strict=True)):
        if old.undefined != new.undefined:
            yield f"{where}[{index}] form"
        yield from _changed(old.elements, new.elements, f"{where}[{index}].")


@every_file
@pytest.mark.slow
def test_chunks_do_not_matter(path):
    """Fed in chunks of 1, 7, 4096 bytes or at once, a dataset gives the same file."""
    sample, output = _accepted(path)

    for size in (7, 4096):
        assert driving.engine(sample.dataset, sample.transfer_syntax, size).file == output.file
    assert driving.feed(_bytewise(sample.dataset), sample.transfer_syntax).file == output.file


def _bytewise(dataset: bytes, edge: int = EDGE_BYTES):
    """Byte for byte; of a large dataset, the inner pixels in larger chunks to save time."""
    if len(dataset) <= SMALL_BYTES:
        edge = len(dataset)
    tail = max(edge, len(dataset) - edge)
    return chain(
        (dataset[at : at + 1] for at in range(edge)),
        (dataset[at : min(at + 4093, tail)] for at in range(edge, tail, 4093)),
        (dataset[at : at + 1] for at in range(tail, len(dataset))),
    )


@pytest.mark.slow
@every_file
def test_single_bytes_do_not_matter(path):
    """The same, byte for byte to the end of the largest file."""
    sample, output = _accepted(path)

    assert driving.engine(sample.dataset, sample.transfer_syntax, 1).file == output.file


@every_file
def test_the_result_is_well_formed(path):
    """Ascending tags, no duplicates, lengths that fit, in the transfer syntax received."""
    sample, output = _accepted(path)

    assert encoded.text_of(output.meta, 0x00020010) == sample.transfer_syntax
    assert output.report.transfer_syntax_uid == sample.transfer_syntax
    assert encoded.read(output.dataset, encoded.Form.of(sample.transfer_syntax))


@every_file
def test_the_file_meta_information_is_all_new(path):
    """Zero preamble, and of group 0002 only what identifies the new instance and us."""
    _, output = _accepted(path)
    meta, data = output.meta, driving.read(output.file)

    assert output.file[:132] == bytes(128) + b"DICM"
    wanted = {0x0000, 0x0001, 0x0002, 0x0003, 0x0010, 0x0012, 0x0013}
    assert {tag & 0xFFFF for tag in meta} == wanted
    assert (
        encoded.text_of(meta, 0x00020002) == str(data.SOPClassUID) == output.report.sop_class_uid
    )
    assert encoded.text_of(meta, 0x00020003) == str(data.SOPInstanceUID)
    length = int.from_bytes(meta[0x00020000], "little")
    assert len(output.file) == 132 + 12 + length + len(encoded.split_part10(output.file)[1])


@every_file
def test_the_report_tells_the_result(path):
    """The report's identifiers are those of the new instance."""
    _, output = _accepted(path)
    data, report = driving.read(output.file), output.report

    for name, value in [
        ("SOPInstanceUID", report.sop_instance_uid),
        ("StudyInstanceUID", report.study_instance_uid),
        ("SeriesInstanceUID", report.series_instance_uid),
        ("PatientID", report.patient_id),
        ("Modality", report.modality),
    ]:
        assert str(data.get(name) or "") == value, name


@pytest.mark.slow
@every_file
def test_dcmdump_reads_the_result(path, peer, tmp_path):
    """DCMTK reads every result whose original it reads."""
    dcmdump = peer("dcmdump")
    sample, output = _accepted(path)
    original, result = tmp_path / "before.dcm", tmp_path / "after.dcm"
    original.write_bytes(encoded.part10(sample.dataset, sample.transfer_syntax))
    result.write_bytes(output.file)

    if _dumps(dcmdump, original):
        assert _dumps(dcmdump, result)


def _dumps(dcmdump: Path, file: Path) -> bool:
    command = [dcmdump, "--quiet", "--print-short", file]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_what_is_no_instance_agrees_once_it_is_made_one(path):
    """Directories and fragments, given the two UIDs that they lack."""
    _, dataset = encoded.split_part10(path.read_bytes())
    syntax = driving.transfer_syntax_of(path.read_bytes())
    if driving.irregularity(dataset, syntax):
        pytest.skip(driving.irregularity(dataset, syntax))
    completed = _completed(dataset, syntax)
    output = driving.engine(completed, syntax)

    assert driving.disagreements(encoded.part10(completed, syntax), output) == []


def _completed(dataset: bytes, syntax: str) -> bytes:
    """The dataset with SOP class and instance UID in their place, instead of its own."""
    form = encoded.Form.of(syntax)
    own = (reference.SOP_CLASS_UID, reference.SOP_INSTANCE_UID)
    uids = [
        instances.text(tag, "UI", uid)
        for tag, uid in zip(own, ("1.2.3.4", "1.2.3.5"), strict=True)
    ]
    others = [el for el in encoded.read(_plain(dataset, syntax), form) if el.tag not in own]
    before = b"".join(el.raw for el in others if el.tag < own[0])
    after = b"".join(el.raw for el in others if el.tag > own[0])
    return encoded.transferred(before + encoded.encode(uids, form) + after, syntax)


def test_new_uids_agree_between_all_files():
    """One original UID has one replacement wherever it stands, and no two share one."""
    new_by_old: dict[bytes, set[bytes]] = {}
    for sample in map(_sample, FILES):
        if sample.output is not None and not sample.irregularity:
            form = encoded.Form.of(sample.transfer_syntax)
            before = encoded.read(_plain(sample.dataset, sample.transfer_syntax), form)
            after = encoded.read(sample.output.dataset, form)
            for old, new in _uid_pairs(before, after):
                new_by_old.setdefault(old, set()).add(new)

    assert len(new_by_old) > len(FILES)
    assert [olds for olds, news in new_by_old.items() if len(news) != 1] == []
    assert len(set.union(*new_by_old.values())) == len(new_by_old)


def _uid_pairs(before: tuple[Element, ...], after: tuple[Element, ...]):
    found = {element.tag: element for element in after}
    for element in before:
        there = found.get(element.tag)
        if there is None or reference.action(element.tag) not in "KU":
            continue
        if element.items and there.items:
            for old, new in zip(element.items, there.items, strict=False):
                yield from _uid_pairs(old.elements, new.elements)
        elif reference.action(element.tag) == "U":
            olds, news = (e.value.strip(b"\0 ").split(b"\\") for e in (element, there))
            yield from zip(olds, news, strict=True)


# ---------------------------------------------------------------- made instances

every_syntax = pytest.mark.parametrize("syntax", instances.SYNTAXES)


def _agreed(elements: list[El], syntax: str) -> driving.Output:
    """The engine's output for these elements, after the reference has agreed to it."""
    output = driving.engine(instances.dataset(elements, syntax), syntax)
    assert driving.disagreements(instances.file(elements, syntax), output) == []
    return output


@every_syntax
def test_a_ct_image_agrees(syntax):
    """An ordinary image, in each way that elements are encoded."""
    data = driving.read(_agreed(instances.ct(), syntax).file)

    assert data.PatientName == ""
    assert data.PatientID not in {"", "PAT-4711"}
    assert "DOE" not in str(data).upper()
    assert data.PixelData == driving.read(instances.file(instances.ct(), syntax)).PixelData
    assert data.PatientIdentityRemoved == "YES"
    assert data.LongitudinalTemporalInformationModified == "REMOVED"


@every_syntax
def test_every_length_form_is_kept(syntax):
    """Sequences and items of defined and undefined length, empty and nested, stay as they were."""
    elements = instances.with_every_length_form()
    output = _agreed(elements, syntax)

    form = encoded.Form.of(syntax)
    before = encoded.read(encoded.encode(elements, form), form)
    assert list(_changed(before, encoded.read(output.dataset, form))) == []
    assert b"Inner^Name" not in output.dataset


@every_syntax
def test_group_lengths_are_dropped_at_every_depth(syntax):
    """A group length would be wrong after the change, in the dataset as in an item."""
    stale = El(0x00080000, "UL", b"\x10\0\0\0")
    nested = El(0x00081115, "SQ", [[stale, instances.text(0x0020000E, "UI", "1.2.3")]])
    data = driving.read(_agreed(instances.small_ct([stale, nested]), syntax).file)

    assert 0x00080000 not in data
    assert 0x00080000 not in data[0x00081115].value[0]


@pytest.mark.parametrize("syntax", instances.LITTLE_SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
def test_a_sequence_hidden_in_un_is_walked(syntax, undefined):
    """UN of a known sequence is a sequence in implicit VR (PS3.5 6.2.2), whatever surrounds it."""
    items = [instances.report_on(3)[3:5], [instances.text(0x00081030, "LO", "Secret study")]]
    hidden = El(0x0008114A, "UN", items, undefined, items_undefined=[True, False])
    output = _agreed(instances.small_ct([hidden]), syntax)

    assert b"Doe^Jane" not in output.dataset
    assert b"Secret" not in output.dataset
    assert b"PAT-4711" not in output.dataset


@every_syntax
@pytest.mark.parametrize("tag", [0x00080FF0, 0x00280FF0, 0x77000010])
def test_elements_unknown_to_the_dictionary_are_removed(syntax, tag):
    """What no edition of the standard names may hold anything."""
    output = _agreed(instances.small_ct([instances.text(tag, "LO", "Nobody knows")]), syntax)

    assert b"Nobody knows" not in output.dataset


@every_syntax
def test_private_elements_are_removed_at_every_depth(syntax):
    """Blocks, creators, orphans and private sequences, also inside kept sequences."""
    private = [
        instances.text(0x00110010, "LO", "SECRET MAKER"),
        El(0x00111001, "SQ", [[instances.text(0x00080104, "LO", "SECRET")]], undefined=True),
        instances.text(0x00131001, "LO", "SECRET orphan"),
    ]
    nested = El(0x00081115, "SQ", [private], items_undefined=True)
    output = _agreed(instances.small_ct([*private, nested]), syntax)

    assert b"SECRET" not in output.dataset


@every_syntax
@pytest.mark.parametrize("group", [0x5000, 0x50FE, 0x6000, 0x601E, 0x60FE])
def test_overlays_and_curves_are_removed_whole(syntax, group):
    """Not only the data: rows and origin of nothing are of no use."""
    extra = [
        instances.number(group << 16 | 0x0010, "US", 8),
        El(group << 16 | 0x3000, "OW", b"OVERLAY!"),
    ]
    output = _agreed(instances.small_ct(extra), syntax)

    assert not [tag for tag in driving.got(output) if tag >> 16 == group]


@every_syntax
def test_a_dummy_item_stands_for_a_content_sequence(syntax):
    """Text of a report is lost by design; its evidence keeps its references."""
    output = _agreed(instances.report_on(7), syntax)
    data = driving.read(output.file)

    assert b"Mrs Doe" not in output.dataset
    assert [item.TextValue for item in data.ContentSequence] == ["ANONYMIZED"]


@every_syntax
def test_references_follow_the_instances_that_they_refer_to(syntax):
    """A report refers to the new UIDs of its image, study and series."""
    image = driving.read(_agreed(instances.small_ct(instance=7), syntax).file)
    report = driving.read(_agreed(instances.report_on(7), syntax).file)
    study = report.CurrentRequestedProcedureEvidenceSequence[0]
    series = study.ReferencedSeriesSequence[0]

    assert report.StudyInstanceUID == study.StudyInstanceUID == image.StudyInstanceUID
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    reference_ = series.ReferencedSOPSequence[0]
    assert reference_.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert reference_.ReferencedSOPClassUID == instances.CT_IMAGE


@every_syntax
def test_marks_are_appended_to_those_of_an_earlier_de_identification(syntax):
    """What was done before stays said; values that contradict ours do not."""
    extra = [
        instances.text(0x00120062, "CS", "NO"),
        instances.text(0x00120063, "LO", r"Hand\Other tool"),
        El(0x00120064, "SQ", [instances.code("113107", "DCM", "Option")], undefined=True),
        instances.text(0x00280303, "CS", "MODIFIED"),
    ]
    data = driving.read(_agreed(instances.small_ct(extra), syntax).file)

    assert data.PatientIdentityRemoved == "YES"
    assert data.LongitudinalTemporalInformationModified == "REMOVED"
    assert list(data.DeidentificationMethod)[:2] == ["Hand", "Other tool"]
    assert list(data.DeidentificationMethod)[2] == "Anonode: trial, basic 2026d"
    codes = [item.CodeValue for item in data.DeidentificationMethodCodeSequence]
    assert codes == ["113107", "113100"]


@pytest.mark.parametrize("undefined", [True, False])
def test_a_mark_joins_items_that_un_hides(undefined):
    """What a sequence in UN holds is in implicit VR; an item of ours beside it must not mix."""
    items = [instances.code("113107", "DCM", "Option")]
    hidden = El(reference.METHOD_CODES, "UN", items, undefined)
    output = _agreed(instances.small_ct([hidden]), encoded.EXPLICIT)

    elements = encoded.read(output.dataset, encoded.Form.of(encoded.EXPLICIT))
    (marked,) = (element for element in elements if element.tag == reference.METHOD_CODES)
    assert len(marked.items) == 2


@every_syntax
def test_a_touched_element_has_the_vr_of_the_standard(syntax):
    """Whatever was stated: UN, another text, a number, a sequence where none should be."""
    extra = [
        instances.text(0x00080050, "LO", "ACC"),
        El(0x00081030, "UN", b"Secret study"),
        El(0x00181030, "SQ", [[instances.text(0x00080104, "LO", "Secret")]], undefined=True),
        El(0x00200052, "LO", b"1.2.3.4 "),
        El(0x00400275, "LO", b"Secret"),
        El(0x0040A123, "US", b"Secret"),
        El(0x0040A730, "LO", b"Secret"),
    ]
    if syntax == encoded.IMPLICIT:
        pytest.skip("implicit VR states nothing")
    output = _agreed(instances.small_ct(extra), syntax)

    assert b"Secret" not in output.dataset
    assert driving.read(output.file)["PersonName"].value == "ANONYMIZED"


@every_syntax
def test_a_sequence_stated_as_something_else_does_not_pass(syntax):
    """What cannot be walked may hide anything, so it is removed although the table keeps it."""
    if syntax == encoded.IMPLICIT:
        pytest.skip("implicit VR states nothing")
    opaque = El(instances.KEPT_SEQUENCES[0], "OB", b"Secret")
    output = _agreed(instances.small_ct([opaque]), syntax)

    assert b"Secret" not in output.dataset


@every_syntax
def test_marks_are_not_repeated(syntax):
    """What the engine made already carries its marks; they stand there once."""
    first = _agreed(instances.small_ct(), syntax)
    _, dataset = encoded.split_part10(first.file)
    second = driving.engine(dataset, syntax)

    assert driving.disagreements(first.file, second) == []
    data = driving.read(second.file)
    assert data.DeidentificationMethod == "Anonode: trial, basic 2026d"
    assert len(data.DeidentificationMethodCodeSequence) == 1


@pytest.mark.parametrize("syntax", instances.LITTLE_SYNTAXES)
def test_a_patient_has_one_pseudonym_in_every_character_set(syntax):
    """The same ID, sent by one scanner in Latin-1 and by another in UTF-8, is the same patient."""
    results = [
        driving.read(driving.engine(instances.dataset(elements, syntax), syntax).file).PatientID
        for elements in (_patient("M\xfcller-1", charset) for charset in ("latin-1", "utf-8"))
    ]
    assert results[0] == results[1]


def _patient(patient_id: str, charset: str) -> list[El]:
    encoded_id = patient_id.encode(charset)
    return instances.small_ct(
        [
            instances.text(0x00080005, "CS", CHARSETS[charset]),
            El(reference.PATIENT_ID, "LO", encoded_id + b" " * (len(encoded_id) % 2)),
        ]
    )


@every_syntax
def test_a_dummy_is_never_empty(syntax):
    """D asks for a value of non-zero length, also where there was none (E.1-1a)."""
    elements = [_sample_of(tag) for tag, code in reference.table().items() if code == "D"]
    for element in elements:
        element.value = [] if isinstance(element.value, list) else b""
    output = driving.engine(instances.dataset(instances.small_ct(elements), syntax), syntax)

    types = reference.types_of_class()[instances.CT_IMAGE]
    for tag, value in driving.got(output).items():
        if reference.action(tag, types, top=True) == "D":
            assert value.items if isinstance(value, reference.Branch) else value.value, hex(tag)


@pytest.mark.parametrize("syntax", [encoded.JPEG, encoded.EXPLICIT])
def test_encapsulated_pixel_data_is_copied_verbatim(syntax):
    """Offset table, fragments and delimiters; also with bytes inside that look like delimiters."""
    elements = instances.encapsulated()
    output = _agreed(elements, syntax)

    pixels = encoded.encode_one(elements[-1], encoded.Form(implicit=False))
    assert output.dataset.endswith(pixels)


@every_syntax
def test_elements_after_the_pixel_data_are_walked(syntax):
    """Signatures, padding and private elements behind the pixels are dropped."""
    extra = [
        instances.text(0x7FE10010, "LO", "SECRET"),
        El(0xFFFAFFFA, "SQ", [[instances.text(0x04000115, "LO", "SECRET")]], undefined=True),
        El(0xFFFCFFFC, "OB", b"SECRET"),
    ]
    output = _agreed(instances.small_ct(extra), syntax)

    assert b"SECRET" not in output.dataset
    assert max(driving.got(output)) == instances.PIXEL_DATA


@every_syntax
def test_every_action_agrees_at_every_depth(syntax):
    """All rows of the table with a value, in the dataset and inside a kept sequence."""
    rows = [tag for tag in reference.table() if tag >> 16 not in {0, 2, 4}]
    elements = [_sample_of(tag) for tag in rows if tag != 0x00080018]
    nested = El(instances.KEPT_SEQUENCES[0], "SQ", [sorted(elements, key=lambda e: e.tag)])
    everything = instances.small_ct([*elements, nested])
    _agreed(everything, syntax)


def _sample_of(tag: int) -> El:
    vr = encoded.vr_in_dictionary(tag) or reference.vr_in_table().get(tag) or "UN"
    vr = vr.split(" or ")[0]
    if vr == "SQ":
        return El(
            tag, vr, [[instances.text(0x00080104, "LO", "Meaning")]], undefined=bool(tag & 1)
        )
    value = b"1.2.3.4\0" if vr == "UI" else b"12345678"
    return El(tag, vr, value)

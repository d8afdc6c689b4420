"""Who watches the watchman: the reference by itself, where it can be judged by itself."""

from __future__ import annotations

import subprocess
import warnings
from io import BytesIO

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset

from rules.pseudonyms import Pseudonyms
from tests import encoded, instances, reference

PSEUDONYMS = Pseudonyms(bytes(32))
every_syntax = pytest.mark.parametrize("syntax", instances.SYNTAXES)


def _deidentified(file: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = dcmread(BytesIO(file))
        result = reference.deidentify(source, PSEUDONYMS, profile_name="trial")
        result.set_original_encoding(*source.original_encoding)
        return result


def _leaves(branch: dict):
    for tag, value in branch.items():
        if isinstance(value, reference.Branch):
            yield tag, b""
            for item in value.items:
                yield from _leaves(item)
        else:
            yield tag, value.value


def test_the_table_has_all_its_rows():
    """653 rows name one tag; the other four are groups and private elements (2026d: 657)."""
    assert len(reference.table()) == 653
    assert reference.table()[0x00100010] == "Z"
    assert reference.table()[0x00100020] == "D"
    assert reference.table()[0x00081140] == "U"


@every_syntax
def test_the_words_that_must_be_gone_are_gone(syntax):
    """Judged on values alone: a unique word stood in every element."""
    canaries = instances.canary_dataset(reference.every_action())
    elements = [el for el in canaries.elements if el.fragments is None and el.vr != "UN"]
    result = reference.flat(_deidentified(instances.file(elements, syntax)))
    values = b"\n".join(value for _, value in _leaves(result))
    found = {values[at : at + 16] for at in range(len(values))}

    assert canaries.words.gone & found == set()
    if syntax != encoded.BIG_ENDIAN:
        assert len(canaries.words.stay - found) < 10  # those of the elements left out above


@every_syntax
def test_no_tag_whose_action_is_x_is_left_at_any_depth(syntax):
    """Neither at the root nor in an item, but for what dummies and marks hold."""
    elements = instances.with_every_length_form()
    result = reference.flat(_deidentified(instances.file(elements, syntax)))

    assert [tag for tag, _ in _leaves(result) if reference.action(tag) == "X"] == []
    for mark in (reference.IDENTITY_REMOVED, reference.METHOD, reference.METHOD_CODES):
        assert mark in result


@pytest.mark.parametrize("syntax", [encoded.IMPLICIT, encoded.EXPLICIT])
@pytest.mark.parametrize("made", [instances.ct(16, 16), instances.report_on(3)], ids=["ct", "sr"])
def test_peers_read_the_result(made, syntax, peer, tmp_path):
    """What the reference makes can be written by pydicom and read by DCMTK and dciodvfy."""
    dcmdump, dciodvfy = peer("dcmdump"), peer("dciodvfy")
    result = _deidentified(instances.file(made, syntax))
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = syntax
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    file = tmp_path / "result.dcm"
    dcmwrite(file, result, enforce_file_format=True)

    assert subprocess.run([dcmdump, "-q", file], capture_output=True, check=False).returncode == 0
    verdict = subprocess.run([dciodvfy, file], capture_output=True, check=False, text=True)
    assert "Value Representation" not in verdict.stderr
    assert "Value invalid" not in verdict.stderr

"""The second reader finds every value where it lies, and gives the file back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from scp.errors import NotPart10
from scp.proof.second_reader import read_again
from tests import encoded, instances
from tests.encoded import DEFLATED, EXPLICIT, IMPLICIT, El
from tests.scp.proof.verifying import original, save

FILES = ("CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm", "MR_small_implicit.dcm", "test-SR.dcm")


def _packaged(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


@pytest.mark.parametrize("name", FILES)
def test_the_pieces_are_the_whole_file(name):
    """Pixel data apart; of a deflated dataset as it is inflated."""
    reading = read_again(_packaged(name))
    raw = reading.path.read_bytes()
    if reading.deflated:
        raw = raw[: reading.dataset_offset] + encoded.inflate(raw[reading.dataset_offset :])
    covered = bytearray(len(raw))
    for piece in reading.pieces():
        end = piece.offset + len(piece.data)
        assert raw[piece.offset : end] == piece.data
        covered[piece.offset : end] = b"\1" * len(piece.data)
        inside = reading.pixels[0] <= piece.offset < reading.pixels[1]
        assert piece.is_pixels == inside

    assert covered == b"\1" * len(raw)


@pytest.mark.parametrize("name", FILES)
def test_a_value_lies_where_its_span_says(name):
    """At the root: what is nested lies inside of it."""
    reading = read_again(_packaged(name))
    raw = reading.path.read_bytes()
    if reading.deflated:
        raw = raw[: reading.dataset_offset] + encoded.inflate(raw[reading.dataset_offset :])

    for leaf in reading.leaves:
        assert leaf.raw in raw[slice(*leaf.span)]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
def test_values_are_found_at_every_depth(tmp_path, syntax):
    """In sequences of sequences, behind UN, under private creators."""
    hidden = [[instances.text(0x00100010, "PN", "Hidden^H ")]]
    extra = [
        El(0x00081115, "SQ", [[El(0x0008114A, "SQ", hidden, undefined=True)]]),
        instances.text(0x00090010, "LO", "NOBODY"),
        El(0x00091001, "UN", hidden, undefined=True),
    ]
    path = tmp_path / "one.dcm"
    elements = instances.merged(instances.small_ct(), extra)
    path.write_bytes(instances.file(elements, syntax))

    found = {leaf.shown: leaf.texts for leaf in read_again(path).leaves}
    assert found["(0008,1115)[].(0008,114A)[].(0010,0010)"] == ("Hidden^H",)
    assert found["(0009,1001)[].(0010,0010)"] == ("Hidden^H",)


def test_a_private_element_has_its_place_whatever_block_it_is_in(tmp_path):
    """Its creator and its low byte say which one it is."""
    places = []
    for number in (0x10, 0x42):
        dataset = original()
        dataset.add_new(0x00090000 | number, "LO", "NOBODY")
        dataset.add_new(0x00090007 | number << 8, "LO", "value")
        reading = read_again(save(tmp_path, dataset, f"{number}.dcm"))
        places += [leaf.place for leaf in reading.leaves if leaf.texts == ("value",)]

    assert places == [((0x0009, "NOBODY", 0x07),)] * 2


def test_texts_are_decoded_as_the_instance_says(tmp_path):
    """Also in an item that says nothing of its own."""
    dataset, item = original(), Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = item.PatientName = "Müller^Änne"
    dataset.ReferencedPatientSequence = [item]
    reading = read_again(save(tmp_path, dataset))

    names = [leaf.texts for leaf in reading.leaves if leaf.vr == "PN"]
    assert names == [("Müller^Änne",)] * 2


@pytest.mark.parametrize("content", [b"", b"not one", bytes(128) + b"DICM\2\0\0\0UL\4\0"])
def test_what_is_no_part_10_file_is_refused(tmp_path, content):
    """By its name, not by what it holds."""
    path = tmp_path / "stray"
    path.write_bytes(content)
    with pytest.raises(NotPart10):
        read_again(path)

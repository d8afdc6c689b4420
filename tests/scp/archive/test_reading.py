"""Stored instances, read from anywhere."""

from __future__ import annotations

import pytest
from pydicom import dcmread

from scp.archive.reading import dataset_of, file_meta_of, fragments, span, stored_file
from scp.archive.resources import StoredInstance
from scp.archive.tag_json import entries
from scp.errors import SpoolError
from scp.ingest import dataset_offset
from scp.spool import PIECE_BYTES, Spool
from tests.encoded import DEFLATED, EXPLICIT, El
from tests.instances import (
    SYNTAXES,
    ct,
    encapsulated,
    file,
    small_ct,
    text,
    with_every_length_form,
)

JPEG = "1.2.840.10008.1.2.4.50"


@pytest.fixture
def spool(tmp_path):
    """An empty one."""
    return Spool(tmp_path, reserve_bytes=0)


def stored(spool: Spool, elements: list[El], syntax: str) -> StoredInstance:
    """An instance whose file is in the spool."""
    data = file(elements, syntax)
    draft = spool.draft()
    draft.write([data])
    sealed = draft.seal()
    draft.keep()
    return StoredInstance(
        *("", "", "", "", "", "", "", "", ""),
        transfer_syntax_uid=syntax,
        row=1,
        file_name=sealed.name,
        size_bytes=sealed.size_bytes,
        digest=sealed.digest,
        dataset_offset=dataset_offset(data[:144]),
        tags={},
    )


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_dataset_is_what_pydicom_reads_of_the_file(spool, tmp_path, syntax):
    """In front of the pixel data, sequences of every form among it."""
    instance = stored(spool, with_every_length_form(), syntax)
    dataset, pixels = dataset_of(spool, instance)

    expected = dcmread(tmp_path / "instances" / instance.file_name, stop_before_pixels=True)
    assert sorted(dataset.keys()) == sorted(expected.keys())
    assert all(dataset[tag] == expected[tag] for tag in sorted(expected.keys()))
    assert pixels.tag == 0x7FE00010


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixel_data_are_found_behind_a_header_of_many_pieces(spool, syntax):
    """And can be read from there."""
    long = (
        text(0x00204000, "LT", "") if syntax == DEFLATED else El(0x00282000, "OB", bytes(1 << 19))
    )
    instance = stored(spool, ct(4, 4, extra=[long]), syntax)
    _, pixels = dataset_of(spool, instance)

    assert pixels.length == 32
    value = b"".join(span(spool, instance, pixels.offset, pixels.length))
    assert value in (b"\1\0" * 16, b"\0\1" * 16)


def test_an_instance_without_pixels_has_none(spool):
    """Its dataset ends where it ends."""
    elements = [one for one in small_ct() if one.tag != 0x7FE00010]

    assert dataset_of(spool, stored(spool, elements, EXPLICIT))[1] is None


def test_fragments_are_listed(spool):
    """The offset table first."""
    instance = stored(spool, encapsulated(), JPEG)
    _, pixels = dataset_of(spool, instance)
    found = list(fragments(spool, instance, pixels))

    assert pixels.length is None
    assert [length for _, length in found] == [4, 28]
    assert b"".join(span(spool, instance, *found[1])).startswith(b"\xff\xd8")


def test_a_span_stops_where_it_ends(spool):
    """Also inside of a piece, and across several."""
    instance = stored(spool, ct(512, 512), EXPLICIT)
    _, pixels = dataset_of(spool, instance)
    pieces = list(span(spool, instance, pixels.offset, PIECE_BYTES + 10))

    assert sum(map(len, pieces)) == PIECE_BYTES + 10


def test_the_file_meta_information_is_read_by_itself(spool):
    """It names the transfer syntax."""
    meta = file_meta_of(spool, stored(spool, small_ct(), JPEG))

    assert meta.TransferSyntaxUID == JPEG


def test_a_file_that_is_gone_is_an_error(spool):
    """Not an empty dataset."""
    instance = stored(spool, small_ct(), EXPLICIT)
    spool.remove(stored_file(instance).name)

    with pytest.raises(SpoolError):
        dataset_of(spool, instance)


def test_pydicom_is_silent_about_what_instances_hold(spool, capfd):
    """Its warnings quote values; nothing is printed."""
    strange = [text(0x00080005, "CS", "CANARY"), El(0x00200013, "IS", b"CANARY")]
    dataset, _ = dataset_of(spool, stored(spool, small_ct(strange), EXPLICIT))
    entries(dataset)

    assert "CANARY" not in "".join(capfd.readouterr())

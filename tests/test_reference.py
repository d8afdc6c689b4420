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


ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"


@pytest.mark.parametrize(
    ("tag", "sop_class", "action"),
    [
        (0x00181000, ENHANCED_CT, "D"),  # DeviceSerialNumber: type 1
        (0x00181000, instances.CT_IMAGE, "X"),
        (0x00181000, "1.2.3", "D"),
        (0x00102203, instances.CT_IMAGE, "Z"),  # PatientSexNeutered: type 2C
        (0x00700082, PRESENTATION_STATE, "D"),  # plain X in the table, type 1 in the IOD
        (0x00700082, instances.CT_IMAGE, "X"),
        (0x00081140, instances.CT_IMAGE, "U"),
        (0x00100010, ENHANCED_CT, "Z"),
    ],
)
def test_the_type_decides_at_the_root(tag, sop_class, action):
    """As PS3.3 states it for the IOD; the reading that always conforms where it says nothing."""
    types = reference.types_of_class().get(sop_class)

    assert reference.action(tag, types, top=True) == action


@pytest.mark.parametrize(
    ("parent", "tag", "action"),
    [
        (0x00189506, 0x00181030, "D"),  # ProtocolName of Contributing Sources: 1C
        (0x00321064, 0x00081030, "X"),
        (0x00080110, 0x00181030, "D"),  # nothing of the table is in these items: unknown
    ],
)
def test_the_type_decides_in_items(parent, tag, action):
    """By the sequence that they stand in."""
    assert reference.action(tag, reference.types_in_items().get(parent)) == action


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00741013, "X"),  # in no edition of the dictionary
        (0x00140104, "D"),  # SecondaryReviewerName, PN
        (0x00141020, "D"),  # ExpiryDate, DA
        (0x00143077, "D"),  # TimeOfGainCalibration, TM
        (0x00080404, "D"),  # ItemInventoryDateTime, DT
        (0x00280304, "U"),  # ReferencedColorPaletteInstanceUID
        (0x00080062, "K"),  # SOPClassesInStudy: kinds of things
        (0x00080102, "K"),
    ],
)
def test_below_the_table_the_vr_decides(tag, action):
    """Names, dates and UIDs that the table does not list (E.1.1)."""
    assert tag not in reference.codes()
    assert reference.action(tag) == action


@pytest.mark.parametrize(
    ("vr", "value", "fitting"),
    [
        ("DS", b"1.5\\-2e3 ", True),
        ("DS", b"about 5 ", False),
        ("CS", b"ORIGINAL", True),
        ("CS", b"Original", False),
        ("UI", b"1.2.3\0", True),
        ("UI", b"1.2.x ", False),
        ("US", b"\1\0\2\0", True),
        ("FD", b"abcdef", False),
        ("SH", b"x" * 17, False),
        ("LO", b"two\nlines", False),
        ("LT", b"two\nlines", True),
        ("SQ", b"", False),
        ("AE", b"", True),
    ],
)
def test_a_value_fits_its_vr_or_does_not(vr, value, fitting):
    """PS3.5 6.2: repertoire, length, size of a number."""
    assert reference.fits(vr, value) is fitting


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

"""Elements as JSON."""

from __future__ import annotations

import warnings
from io import BytesIO

import pytest
from pydicom import dcmread

from scp.archive.tag_json import entries, full, short, simple
from tests.encoded import BIG_ENDIAN, EXPLICIT, IMPLICIT, El, Form, encode
from tests.instances import file, number, report_on, small_ct, text, with_every_length_form

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN)


def read(elements: list[El], syntax: str = EXPLICIT):
    """As pydicom reads it, nothing converted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(BytesIO(file(elements, syntax)), stop_before_pixels=True)


def value(element: El, syntax: str = EXPLICIT, **options: object) -> object:
    """What becomes of one element."""
    key = f"{element.tag >> 16:04x},{element.tag & 0xFFFF:04x}"
    return short(entries(read(small_ct([element]), syntax), **options))[key]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (number(0x00280010, "US", 512), "512"),
        (number(0x00189219, "SS", -3), "-3"),
        (El(0x00189306, "FD", b"333333\xf3?"), "1.2"),
        (El(0x00280009, "AT", b"\x18\x00\x63\x10"), "0018,1063"),
        (El(0x00180050, "DS", b"1.50\\-0"), "1.50\\-0"),
        (El(0x00200013, "IS", b" 007"), "007"),
        (El(0x00081030, "LO", b""), ""),
        (El(0x00281201, "OW", b"\0\1"), None),
    ],
)
def test_a_value_is_a_text(element, expected, syntax):
    """Numbers as they are written, bytes as null; in every encoding."""
    assert value(element, syntax) == expected


@pytest.mark.parametrize(
    ("charset", "encoded", "decoded"),
    [
        ("ISO_IR 100", b"M\xfcller", "Müller"),
        ("ISO_IR 192", "Müller ✓".encode(), "Müller ✓"),
        ("\\ISO 2022 IR 58", b"Z=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1", "Z=张^小"),
        ("", b"M\xfcller", "M?ller"),
        ("nonsense", b"M\xfcller", "M?ller"),
    ],
)
def test_a_text_is_decoded(charset, encoded, decoded):
    """In the character set of the instance; what fits none is marked, never an error."""
    elements = small_ct([text(0x00080005, "CS", charset), El(0x00081030, "LO", encoded)])
    shown = short(entries(read(elements)))["0008,1030"]

    assert shown == decoded or (decoded == "M?ller" and shown.startswith("M"))


def test_items_have_their_own_character_set():
    """And inherit that of the instance otherwise."""
    own = [text(0x00080005, "CS", "ISO_IR 192"), El(0x00080104, "LO", "Öl".encode())]
    elements = small_ct(
        [
            text(0x00080005, "CS", "ISO_IR 100"),
            El(0x00082218, "SQ", [own, [El(0x00080104, "LO", b"\xd6l")]]),
        ]
    )
    items = short(entries(read(elements)))["0008,2218"]

    assert [item["0008,0104"] for item in items] == ["Öl", "Öl"]


def test_numbers_of_either_sign_follow_the_pixels():
    """Where the dictionary leaves it open, in implicit VR."""
    unsigned = El(0x00280106, "US", b"\xff\xff")
    signed = number(0x00280103, "US", 1)

    assert value(unsigned, IMPLICIT) == "65535"
    elements = small_ct([unsigned, signed])
    assert short(entries(read(elements, IMPLICIT)))["0028,0106"] == "-1"


def test_a_long_text_is_too_long():
    """Unless its tag is named."""
    long = text(0x00104000, "LT", "x" * 257)

    assert value(long) is None
    assert value(text(0x00104000, "LT", "x" * 256)) == "x" * 256
    assert value(long, whole=frozenset({0x00104000})) == "x" * 257


def test_only_some_elements_can_be_asked_for():
    """At the root."""
    found = entries(read(small_ct()), only=frozenset({0x00100010, 0x00081140}))

    assert [one.name for one in found] == ["ReferencedImageSequence", "PatientName"]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("elements", [with_every_length_form(), report_on(1)])
def test_every_element_is_listed(elements, syntax):
    """At every depth, in all three forms."""
    dataset = read(elements, syntax)
    found = entries(dataset)

    assert [one.tag for one in found] == sorted(map(int, dataset.keys()))
    assert len(full(found)) == len(short(found)) == len(simple(found)) == len(found)


def test_no_element_hides_another():
    """Those that share a name, or have none, are listed by tag."""
    private = [
        text(0x00290010, "LO", "SIEMENS CSA HEADER"),
        text(0x00290011, "LO", "SIEMENS CSA HEADER"),
        text(0x00291008, "CS", "one"),
        text(0x00291108, "CS", "two"),
        text(0x002910FE, "LO", "three"),
    ]
    found = simple(entries(read(small_ct(private))))

    assert (found["CSAImageHeaderType"], found["0029,1108"]) == ("one", "two")
    assert (found["0029,10fe"], found["0029,0010"]) == ("three", "SIEMENS CSA HEADER")


def test_an_element_of_unknown_vr_is_what_the_standard_says():
    """A text and items among them; a private one is bytes."""
    item = encode([text(0x00081155, "UI", "1.2.3")], Form.of(IMPLICIT))
    wrapped = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    unknown = [
        El(0x00081030, "UN", b"Chest "),
        El(0x00081110, "UN", wrapped),
        El(0x00091001, "UN", b"secret"),
    ]
    found = short(entries(read(small_ct(unknown))))

    assert found["0008,1030"] == "Chest"
    assert found["0008,1110"] == [{"0008,1155": "1.2.3"}]
    assert found["0009,1001"] is None

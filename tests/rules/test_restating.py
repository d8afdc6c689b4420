"""A dataset in the other form of VR: the same values, and VRs as PS3.6 has them."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import DeidentificationError, Reason
from rules.restating import Surroundings, restated, stated_vr
from tests import encoded, instances
from tests.encoded import El, Form
from tests.instances import number, text

EXPLICIT, IMPLICIT = Form(implicit=False), Form(implicit=True)
SEQUENCE, LUT_SEQUENCE = 0x00081140, 0x00283010
SMALLEST, PADDING, DESCRIPTOR, LUT = 0x00280106, 0x00280120, 0x00283002, 0x00283006
CREATOR, PRIVATE = 0x00290010, 0x00291008  # SIEMENS CSA HEADER, CS


def restate(elements, source, target, depth=8, **surroundings):
    """The elements as read in the other form; they must be well formed there."""
    made = restated(
        encoded.encode(elements, source),
        implicit=source.implicit,
        into_implicit=target.implicit,
        surroundings=Surroundings(**surroundings),
        depth=depth,
    )
    return encoded.read(made, target)


def stated(elements, **surroundings):
    """VR by tag, once they are stated."""
    return {one.tag: one.vr for one in restate(elements, IMPLICIT, EXPLICIT, **surroundings)}


ITEM = [text(0x00080100, "SH", "C"), El(0x00080117, "UI", b"1.2\0")]


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("items", [False, True])
@given(st.integers(0, 3), st.binary(max_size=40).map(lambda value: value * 2))
def test_there_and_back_is_the_same(undefined, items, depth, value):
    """Nested, in every form of length; values of any bytes."""
    inner = ITEM
    for _ in range(depth):
        inner = [El(SEQUENCE, "SQ", [inner, []], undefined, items)]
    elements = [El(0x00080060, "CS", b"CT"), *inner] if inner is ITEM else inner
    elements = sorted([*elements, El(0x00204000, "LT", value)], key=lambda one: one.tag)
    explicit = encoded.encode(elements, EXPLICIT)

    there = restated(
        explicit, implicit=False, into_implicit=True, surroundings=Surroundings(), depth=8
    )
    back = restated(
        there, implicit=True, into_implicit=False, surroundings=Surroundings(), depth=8
    )

    assert there == encoded.encode(elements, IMPLICIT)
    assert back == explicit


def test_pixel_representation_decides_between_us_and_ss():
    """Of the root, also for what stands before it; of an item, where the item has one."""
    elements = [
        number(0x00189810, "US", 1),
        number(0x00280103, "US", 1),
        number(SMALLEST, "SS", -1),
        El(LUT_SEQUENCE, "SQ", [[number(PADDING, "US", 1)]]),
        El(
            0x00409096,
            "SQ",
            [[number(0x00280103, "US", 0), number(0x00409211, "US", 1)]],
        ),
    ]

    found = restate(elements, IMPLICIT, EXPLICIT, is_signed=True)

    vrs = {one.tag: one.vr for one in found}
    assert vrs[0x00189810] == vrs[SMALLEST] == "SS"
    assert found[3].items[0].elements[0].vr == "SS"
    assert found[4].items[0].elements[1].vr == "US"


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (256, "OW")])
def test_a_lookup_table_of_one_entry_is_a_number(entries, vr):
    """Its descriptor says so (PS3.3 C.11.1.1.1)."""
    item = [El(DESCRIPTOR, "US", struct.pack("<3H", entries, 0, 16)), El(LUT, "OW", b"ab")]

    (sequence,) = restate([El(LUT_SEQUENCE, "SQ", [item])], IMPLICIT, EXPLICIT)

    assert sequence.items[0].elements[1].vr == vr


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (16, "OW")])
def test_pixels_and_waveforms_have_the_vr_of_their_bits(bits, vr):
    """Bytes or words."""
    waveform = [number(0x54001004, "US", bits), El(0x54001010, vr, b"ab")]

    assert stated(waveform)[0x54001010] == vr
    assert stated_vr(0x7FE00010, Surroundings(bits=bits)) == vr


def test_private_elements_have_the_vr_of_their_creator():
    """By the private dictionary; its block number is nobody's."""
    creator = text(0x00290055, "LO", "SIEMENS CSA HEADER")
    elements = [creator, El(0x00295508, "CS", b"IMAGE "), El(0x002955EE, "UN", b"what")]

    assert stated(elements) == {0x00290055: "LO", 0x00295508: "CS", 0x002955EE: "UN"}


def test_a_creator_does_not_hold_in_items():
    """Every item has blocks of its own (PS3.5 7.8.1)."""
    item = [El(PRIVATE, "UN", b"IMAGE ")]
    elements = [
        text(CREATOR, "LO", "SIEMENS CSA HEADER"),
        El(PRIVATE, "CS", b"IMAGE "),
        El(0x00400555, "SQ", [item]),
    ]

    found = restate(elements, IMPLICIT, EXPLICIT)

    assert found[1].vr == "CS"
    assert found[2].items[0].elements[0].vr == "UN"


def test_what_no_dictionary_knows_is_un_or_a_sequence():
    """Without a length it can be nothing but items; with one it is bytes."""
    unknown = El(0x00091001, "SQ", [ITEM], undefined=True)

    vrs = stated([unknown, El(0x00091002, "UN", b"1234")])

    assert vrs == {0x00091001: "SQ", 0x00091002: "UN"}


@pytest.mark.parametrize("undefined", [False, True])
def test_a_un_is_copied(undefined):
    """Inside it is implicit VR in both forms."""
    element = El(0x00091001, "UN", [ITEM], undefined)

    (found,) = restate([element], EXPLICIT, EXPLICIT)
    (hidden,) = restate([element], EXPLICIT, IMPLICIT)

    assert found.raw == encoded.encode_one(element, EXPLICIT)
    assert hidden.value == found.value


def test_a_value_too_long_for_its_vr_becomes_un():
    """Sixteen bits have no room for its length (PS3.5 6.2.2)."""
    assert stated([El(0x00204000, "LT", b"x" * 0x10000)]) == {0x00204000: "UN"}


def test_what_is_no_sequence_but_should_be_is_kept_as_bytes():
    """Nothing is lost where nothing can be read."""
    element = El(SEQUENCE, "UN", b"no items")

    made = restated(
        encoded.encode_one(element, IMPLICIT),
        implicit=True,
        into_implicit=False,
        surroundings=Surroundings(),
        depth=8,
    )

    assert made == encoded.encode_one(element, EXPLICIT)


ICON = [
    text(0x00280004, "CS", "YBR_FULL_422"),
    number(0x00280010, "US", 1),
    El(0x7FE00010, "OB", fragments=[b"", b"\xff\xd8"]),
]


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT])
def test_pixels_of_an_item_become_native_and_their_item_says_so(undefined, target):
    """A length around them is that of what is there now."""
    seen = []

    def natively(said, items):
        seen.append((said[0x00280010], items))
        return {0x00280004: ("CS", b"RGB "), 0x00282110: ("CS", b"01")}, "OB", b"pixels"

    made = restated(
        encoded.encode([El(0x00880200, "SQ", [ICON], undefined, undefined)], EXPLICIT),
        implicit=False,
        into_implicit=target.implicit,
        surroundings=Surroundings(),
        depth=8,
        natively=natively,
    )

    (sequence,) = encoded.read(made, target)
    values = [one.value for one in sequence.items[0].elements]
    assert values == [b"RGB ", b"\1\0", b"pixels"]
    assert seen == [(b"\1\0", encoded.encode_fragments([b"", b"\xff\xd8"], EXPLICIT))]


@pytest.mark.parametrize("tag", [0x7FE00010, 0x00420011])
def test_other_fragments_in_an_item_are_refused(tag):
    """Without somebody who makes them native, or where they are no pixels."""
    fragments = El(tag, "OB", fragments=[b"", b"\xff\xd8"])

    with pytest.raises(DeidentificationError) as raised:
        restate([El(0x00880200, "SQ", [[fragments]])], EXPLICIT, IMPLICIT)

    assert (raised.value.reason, raised.value.tag) == (Reason.TRANSCODE, tag)


def nested(levels):
    """Sequences in each other."""
    inner = ITEM
    for _ in range(levels):
        inner = [El(SEQUENCE, "SQ", [inner], undefined=True, items_undefined=True)]
    return inner


@pytest.mark.parametrize("form", [EXPLICIT, IMPLICIT])
def test_levels_are_limited(form):
    """At the limit it is done, beyond it refused."""
    other = IMPLICIT if form is EXPLICIT else EXPLICIT
    assert restate(nested(8), form, other)

    with pytest.raises(DeidentificationError) as raised:
        restate(nested(9), form, other)

    assert raised.value.reason is Reason.TOO_DEEP


@pytest.mark.parametrize("form", [EXPLICIT, IMPLICIT])
@given(st.data())
def test_what_is_cut_off_is_refused_or_kept_whole(form, data):
    """Never an error of another kind."""
    other = IMPLICIT if form is EXPLICIT else EXPLICIT
    whole = encoded.encode([*nested(3), text(0x00204000, "LT", "text")], form)
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]

    with suppress(DeidentificationError):
        made = restated(
            cut,
            implicit=form.implicit,
            into_implicit=other.implicit,
            surroundings=Surroundings(),
            depth=8,
        )
        assert encoded.read(made, other)


def test_every_attribute_of_the_dictionary_has_a_vr():
    """Also those of which the dictionary leaves a choice."""
    known = {*encoded.LONG_VRS, *encoded.SHORT_VRS}
    tags = [tag for tag in instances.DicomDictionary if tag >> 16 != 0xFFFE]

    assert {stated_vr(tag, Surroundings()) for tag in tags} <= known

"""Native pixels as a stream: blanked where they must be, untouched everywhere else."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from rules.blanking import PIXEL_DATA, Blanker, black
from rules.errors import DeidentificationError, Reason
from rules.operators import KEEP, REMOVE
from rules.pixeldata import PixelData
from rules.plan import Actions
from rules.regions import Box, Decision, Geometry, bands

FLOAT, DOUBLE = 0x7FE00008, 0x7FE00009


def image(rows=6, columns=8, frames=1, samples=1, bits=8, *, planar=False, photometric=""):
    """An image; of three samples RGB unless it says otherwise."""
    colours = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    return Geometry(rows, columns, frames, samples, bits, planar, colours)


def blanked(geometry, decision, value, cuts=(), tag=PIXEL_DATA):
    """What comes of a value that is fed in pieces."""
    blanker = Blanker(geometry, decision)
    blanker.begin(tag)
    assert len(value) == blanker.value_bytes
    edges = sorted({0, len(value), *(cut % (len(value) + 1) for cut in cuts)})
    pieces = [memoryview(value)[start:stop] for start, stop in pairwise(edges)]
    return b"".join(bytes(part) for piece in pieces for part in blanker.feed(piece))


def expected(geometry, decision, value, *, zeros=False):
    """The same with arrays, pixel by pixel, all of it at once."""
    covered = np.zeros((geometry.rows, geometry.columns), bool)
    for top, bottom, intervals in bands(decision, geometry.rows, geometry.columns):
        for left, right in intervals:
            covered[top:bottom, left:right] = True
    dark = [0] * geometry.samples if zeros else black(geometry)
    kind = np.dtype(f"<u{max(geometry.bits_allocated // 8, 1)}")
    if geometry.bits_allocated == 1:
        count = geometry.frames * geometry.rows * geometry.columns
        flat = np.unpackbits(np.frombuffer(value, "u1"), bitorder="little")[:count]
    else:
        size = len(value) - len(value) % kind.itemsize
        count = geometry.frames * geometry.rows * geometry.columns * geometry.samples
        flat = np.frombuffer(value[:size], kind)[:count].copy()
    shape = (geometry.frames, geometry.samples, geometry.rows, geometry.columns)
    if not geometry.planar:
        pixels = flat.reshape(shape[0], *shape[2:], shape[1])
        pixels[:, covered] = dark
    else:
        pixels = flat.reshape(shape)
        for sample, shade in enumerate(dark):
            pixels[:, sample][:, covered] = shade
    if geometry.bits_allocated == 1:
        encoded = np.packbits(pixels.ravel(), bitorder="little").tobytes()
    else:
        encoded = pixels.tobytes()
    return encoded + bytes(len(encoded) % 2)


boxes = st.builds(Box, *[st.integers(0, 9)] * 4)
decisions = st.builds(
    Decision,
    st.lists(boxes, max_size=3).map(tuple),
    st.none() | st.lists(boxes, max_size=2).map(tuple),
)
layouts = st.sampled_from(
    [(1, bits, False, "MONOCHROME2") for bits in (1, 8, 16, 32, 64)]
    + [(1, 1, False, "MONOCHROME1"), (1, 16, False, "MONOCHROME1"), (1, 8, False, "PALETTE COLOR")]
    + [(3, bits, planar, "RGB") for bits in (8, 16) for planar in (False, True)]
    + [(3, 8, planar, "YBR_FULL") for planar in (False, True)]
)


@given(
    layouts,
    st.integers(1, 8),
    st.integers(1, 11),
    st.integers(1, 3),
    decisions,
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 5000), max_size=8),
)
def test_a_stream_is_blanked_as_an_array_is(layout, rows, columns, frames, decision, random, cuts):
    """However it is cut, in every layout of samples; the padding is zero."""
    samples, bits, planar, photometric = layout
    geometry = image(rows, columns, frames, samples, bits, planar=planar, photometric=photometric)
    size = -(-rows * columns * frames * samples * bits // 8)
    pixels = random.randbytes(size)
    if bits == 1 and (spare := -rows * columns * frames % 8):
        pixels = pixels[:-1] + bytes([pixels[-1] & 0xFF >> spare])
    value = pixels + b"\xff" * (size % 2)

    found = blanked(geometry, decision, value, cuts)

    assert found == expected(geometry, decision, value)


@given(decisions, st.integers(1, 6), st.lists(st.integers(0, 500), max_size=5))
def test_pixels_that_share_chroma_are_blanked_together(decision, pairs, cuts):
    """YBR_FULL_422: two luma, then the chroma of both (PS3.3 C.7.6.3.1.2)."""
    geometry = image(5, pairs * 2, 2, 3, photometric="YBR_FULL_422")
    value = bytes(range(1, 101)) * pairs * 2
    value = value[: 5 * pairs * 4 * 2]

    found = np.frombuffer(blanked(geometry, decision, value, cuts), "u1")

    covered = np.zeros((5, pairs * 2), bool)
    for top, bottom, intervals in bands(decision, 5, pairs * 2):
        for left, right in intervals:
            covered[top:bottom, left:right] = True
    together = covered.reshape(5, pairs, 2).any(axis=2)
    units = found.reshape(2, 5, pairs, 4)
    assert (units[:, together] == [0, 0, 128, 128]).all()
    same = np.frombuffer(value, "u1").reshape(2, 5, pairs, 4)
    assert (units[:, ~together] == same[:, ~together]).all()


@pytest.mark.parametrize(
    ("photometric", "samples", "bits", "stored", "signed", "shades"),
    [
        ("MONOCHROME2", 1, 16, 12, False, (0,)),
        ("MONOCHROME2", 1, 16, 12, True, (0,)),
        ("MONOCHROME1", 1, 16, 12, False, (4095,)),
        ("MONOCHROME1", 1, 16, 12, True, (2047,)),
        ("MONOCHROME1", 1, 8, 0, False, (255,)),
        ("PALETTE COLOR", 1, 8, 8, False, (0,)),
        ("RGB", 3, 8, 8, False, (0, 0, 0)),
        ("YBR_FULL", 3, 8, 8, False, (0, 128, 128)),
        ("YBR_PARTIAL_422", 3, 8, 8, False, (16, 128, 128)),
    ],
)
def test_blanked_is_black(photometric, samples, bits, stored, signed, shades):
    """As far as the photometric interpretation knows black."""
    plain = image(1, 2, 1, samples, bits, photometric=photometric)
    geometry = replace(plain, bits_stored=stored, signed=signed)

    assert black(geometry) == shades


@pytest.mark.parametrize(("tag", "bits"), [(FLOAT, 32), (DOUBLE, 64)])
def test_numbers_with_a_point_become_zero(tag, bits):
    """Whatever the photometric interpretation: there is no stored value that is greatest."""
    geometry = image(bits=bits, photometric="MONOCHROME1")
    decision = Decision((Box(1, 1, 4, 2),))
    value = np.arange(1, 49, dtype=f"<f{bits // 8}").tobytes()

    found = blanked(geometry, decision, value, tag=tag)

    assert found == expected(geometry, decision, value, zeros=True)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_text_is_gone_and_the_rest_is_the_same(mode):
    """Drawn into two frames, blanked in both."""
    canvas = Image.radial_gradient("L").convert(mode)
    clean = np.array(canvas)
    ImageDraw.Draw(canvas).text((5, 3), "DOE^JANE 1970-01-01", fill="white")
    frame = np.array(canvas)
    value = np.stack([frame, frame])
    geometry = image(256, 256, 2, 3 if mode == "RGB" else 1)

    found = blanked(geometry, Decision((Box(0, 0, 256, 20),)), value.tobytes())

    pixels = np.frombuffer(found, "u1").reshape(value.shape)
    assert (frame[:20] != clean[:20]).any()
    assert not pixels[:, :20].any()
    assert (pixels[:, 20:] == clean[20:]).all()


def test_what_is_not_touched_is_not_copied():
    """Rows above and below a box leave as the views that came."""
    blanker = Blanker(image(100, 100), Decision((Box(0, 50, 100, 10),)))
    data = memoryview(bytes(1000))

    passed = [blanker.feed(data) for _ in range(10)]

    assert all(parts[0].obj is data.obj for parts in passed[:5] + passed[6:])


def test_memory_does_not_grow_with_the_image():
    """A gigabyte of frames goes by in pieces."""
    blanker = Blanker(image(1024, 1024, 128, 1), Decision((Box(1, 1, 10, 900),)))
    piece = memoryview(bytes(1 << 18))
    tracemalloc.start()

    for _ in range(128 * 4):
        blanker.feed(piece)

    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "geometry",
    [
        image(columns=7, samples=3, photometric="YBR_FULL_422"),
        image(samples=3, planar=True, photometric="YBR_FULL_422"),
        image(samples=3, photometric="YBR_PARTIAL_420"),
        image(samples=3, photometric="YBR_RCT"),
        image(samples=3, bits=1),
    ],
)
def test_what_cannot_be_native_is_not_blanked_in_the_wrong_place(geometry):
    """Chroma of half a pixel, of other rows, or of a codec."""
    with pytest.raises(DeidentificationError) as raised:
        Blanker(geometry, Decision((Box(0, 0, 1, 1),)))

    assert raised.value.reason is Reason.PIXELS_UNREADABLE


def test_more_than_a_value_can_hold_is_too_large():
    """65535 by 65535 in 16 bits."""
    with pytest.raises(DeidentificationError) as raised:
        Blanker(image(65535, 65535, bits=16), Decision((Box(0, 0, 1, 1),)))

    assert raised.value.reason is Reason.PIXELS_TOO_LARGE


# ---- inside of group 7FE0


def element(tag, value, vr=b"OB", length=None):
    """An element in explicit VR little endian."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    size = len(value) if length is None else length
    return head + vr + b"\0\0" + size.to_bytes(4, "little") + value


def group(data, cuts=(), actions=None, **how):
    """Group 7FE0 as it passes, fed in pieces."""
    chosen = Actions(lambda _: KEEP) if actions is None else actions  # an unused plan is empty
    pixels = PixelData(chosen, implicit=False, **how)
    out = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, stop in pairwise(edges):
        pixels.feed(memoryview(data)[start:stop], out)
    assert pixels.finish() == b""
    return b"".join(bytes(part) for part in out)


@given(st.lists(st.integers(0, 5000), max_size=6))
def test_only_the_element_of_pixels_is_blanked(cuts):
    """What stands before and behind it in the group passes as it is."""
    geometry, decision = image(), Decision((Box(0, 0, 8, 3),))
    value = bytes(range(1, 49))
    others = element(0x7FE00001, b"OFFSETS!", b"OV"), element(0x7FE07FE1, b"BEHIND")

    found = group(
        others[0] + element(PIXEL_DATA, value) + others[1],
        cuts,
        blanker=Blanker(geometry, decision),
    )

    assert found == others[0] + element(PIXEL_DATA, bytes(24) + value[24:]) + others[1]


@pytest.mark.parametrize("length", [46, 50, 0, 0xFFFFFFFF])
def test_pixels_of_another_length_than_the_image_says_do_not_pass(length):
    """Neither too few nor too many, and no fragments in their place."""
    blanker = Blanker(image(), Decision((Box(0, 0, 8, 3),)))

    with pytest.raises(DeidentificationError) as raised:
        group(element(PIXEL_DATA, bytes(60), length=length), blanker=blanker)

    assert raised.value.reason is Reason.PIXELS_UNREADABLE


def test_pixels_without_a_size_are_barred():
    """Any other element of the group passes."""
    offsets = element(0x7FE00001, b"OFFSETS!", b"OV")

    assert group(offsets, bars_pixels=True) == offsets
    with pytest.raises(DeidentificationError):
        group(offsets + element(PIXEL_DATA, bytes(48)), bars_pixels=True)


def test_pixels_that_the_plan_removes_need_no_blanking():
    """Whatever their length."""
    removes = Actions(lambda tag: REMOVE if tag == PIXEL_DATA else KEEP)
    blanker = Blanker(image(), Decision((Box(0, 0, 8, 3),)))

    assert group(element(PIXEL_DATA, bytes(10)), actions=removes, blanker=blanker) == b""

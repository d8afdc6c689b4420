"""Pictures of a first frame: what was bright is bright, what was blanked is black."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000Lossless, RLELossless

from scp.images import NoPicture, png
from scp.images import picture as pixels_of
from tests.rules.test_pixels import drawn, instance, jpeg


def picture(dataset):
    """The picture of an instance, as an array."""
    found = png(dataset)
    assert found.startswith(b"\x89PNG")
    return np.array(Image.open(io.BytesIO(found)))


def test_grey_is_stretched_from_darkest_to_brightest():
    """Twelve bits and a narrow range: the picture uses all of its eight."""
    ramp = np.linspace(100, 300, 64 * 48).reshape(1, 48, 64).round().astype("u2")

    found = picture(instance(ramp, 12))

    assert (found.shape, found.dtype) == ((48, 64), np.uint8)
    assert (found.min(), found.max()) == (0, 255)
    assert (np.diff(found.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(("kind", "times"), [("u1", 6), ("u2", 4)])
def test_a_large_picture_takes_little_memory(kind, times):
    """A few copies of the frame, not the eightfold of several."""
    frame = np.zeros((1, 2048, 2048), kind)
    frame[0, 0, 0] = 1
    dataset = instance(frame, 8 * frame.itemsize)
    png(dataset)
    tracemalloc.start()
    try:
        png(dataset)
        assert tracemalloc.get_traced_memory()[1] < times * frame.nbytes
    finally:
        tracemalloc.stop()


def test_a_frame_of_one_shade_is_black():
    """There is nothing to stretch."""
    assert not picture(instance(np.full((1, 8, 8), 77, "u1"))).any()


def test_monochrome1_is_bright_where_its_values_are_small():
    """PS3.3 C.7.6.3.1.2."""
    ramp = np.arange(64, dtype="u1").reshape(1, 8, 8)

    straight, turned = (
        picture(instance(ramp, photometric=f"MONOCHROME{number}")) for number in (2, 1)
    )

    assert np.array_equal(turned, 255 - straight)


def test_colour_is_shown_as_it_is():
    """Eight bits of RGB need no stretching."""
    frames = drawn("RGB")

    assert np.array_equal(picture(instance(frames)), frames[0])


def test_deep_colour_keeps_its_black():
    """Sixteen bits: what was zero stays zero, so that a blanked box is seen."""
    frames = drawn("RGB", 16)
    frames[:, :10] = 0

    found = picture(instance(frames, 16))

    assert found.shape == frames.shape[1:]
    assert not found[:10].any()
    assert found.max() == 255


def test_signed_values_are_shown():
    """The least of them is the darkest."""
    ramp = (np.arange(64).reshape(1, 8, 8) - 32).astype("i2")

    found = picture(instance(ramp, 12, signed=True))

    assert (found[0, 0], found[7, 7]) == (0, 255)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_pixels_make_the_same_picture(syntax):
    """The syntax is no part of the image."""
    dataset = instance(drawn("L", 12, frames=2), 12)
    before = picture(dataset)

    dataset.compress(syntax)

    assert np.array_equal(picture(dataset), before)


def test_lossy_colour_is_turned_into_rgb():
    """YBR as it is stored would be shown in wrong colours."""
    dataset = jpeg(drawn("RGB"))

    assert np.array_equal(picture(dataset), pixel_array(dataset, index=0))


def test_palettes_are_looked_up():
    """The number of a colour is no shade."""
    dataset = instance(np.array([[[0, 1], [2, 3]]], "u1"), photometric="PALETTE COLOR")
    for name, shades in (("Red", (0, 255, 0, 9)), ("Green", (1, 2, 3, 4)), ("Blue", (9, 8, 7, 6))):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(dataset, f"{name}PaletteColorLookupTableData", bytes(shades))

    assert picture(dataset).tolist() == [[[0, 1, 9], [255, 2, 8]], [[0, 3, 7], [9, 4, 6]]]


def test_only_the_first_frame_is_shown():
    """A loop of hundreds would make no picture."""
    frames = drawn("RGB", frames=3)

    assert np.array_equal(picture(instance(frames)), frames[0])


def test_an_instance_without_pixels_has_no_picture():
    """The sentence says so."""
    dataset = instance(drawn("L"))
    del dataset.Rows

    with pytest.raises(NoPicture, match="has no pixels"):
        png(dataset)


@pytest.mark.parametrize("harm", ["cut", "noise", "syntax"])
def test_pixels_that_cannot_be_read_have_no_picture(harm):
    """Nothing of what a codec says is repeated."""
    dataset = instance(drawn("L"))
    dataset.compress(RLELossless)
    if harm == "cut":
        dataset.PixelData = dataset.PixelData[:20]
    elif harm == "noise":
        dataset.PixelData = dataset.PixelData[:40] + b"\xff" * 40
    else:
        dataset.file_meta.TransferSyntaxUID = "1.2.3"

    with pytest.raises(NoPicture, match=r"^the pixels cannot be decoded$") as raised:
        png(dataset)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("mode", "colour", "samples", "bits", "data"),
    [
        ("L", 7, 1, 8, b"\7" * 6),
        ("LA", (7, 0), 1, 8, b"\7" * 6),
        ("RGB", (1, 2, 3), 3, 8, b"\1\2\3" * 6),
        ("P", 0, 3, 8, b"\0\0\0" * 6),
        ("I;16", 0x0102, 1, 16, b"\2\1" * 6),
    ],
)
def test_a_png_becomes_pixel_data(mode, colour, samples, bits, data):
    """Grey values or colours, 16 bits in little endian; transparency is left out."""
    made = io.BytesIO()
    Image.new(mode, (3, 2), colour).save(made, "PNG")
    found = pixels_of(made.getvalue())

    assert (found.rows, found.columns, found.samples, found.bits) == (2, 3, samples, bits)
    assert found.data == data


@pytest.mark.parametrize("image", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"%!PS"])
def test_what_is_no_picture_is_refused(image):
    """Other formats too, whatever the library could read."""
    with pytest.raises(NoPicture):
        pixels_of(image)


def test_a_picture_of_too_many_pixels_is_refused():
    """By what it says of itself, before they are decoded."""
    made = io.BytesIO()
    Image.new("1", (3, 2)).save(made, "PNG")
    claiming = bytearray(made.getvalue())
    claiming[16:24] = struct.pack(">LL", 11_000, 10_000)
    claiming[29:33] = struct.pack(">L", zlib.crc32(claiming[12:29]))

    with pytest.raises(NoPicture, match="too many"):
        pixels_of(bytes(claiming))

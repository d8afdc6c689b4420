"""JPEG lossless: every decoder gives back what went in, and no code is longer than 16 bits."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGLosslessSV1

from rules import jpeg_lossless
from rules.jpeg_lossless import encode
from tests.rules.test_pixels import drawn, instance, pixels_of

DECODER = get_decoder(JPEGLosslessSV1)


def decoded(stream, frame, bits):
    """As libjpeg reads it."""
    found, _ = DECODER.as_array(
        encapsulate([stream]),
        raw=True,
        rows=frame.shape[0],
        columns=frame.shape[1],
        number_of_frames=1,
        samples_per_pixel=3 if frame.ndim == 3 else 1,
        bits_allocated=frame.dtype.itemsize * 8,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="RGB" if frame.ndim == 3 else "MONOCHROME2",
        planar_configuration=0,
        pixel_keyword="PixelData",
    )
    return found


def noise(bits, *shape):
    """Every value of that many bits, as likely as any other."""
    values = np.random.default_rng(bits).integers(0, 1 << bits, shape)
    return values.astype("u1" if bits <= 8 else "u2")


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize(("components", "shape"), [(b"\1", (33, 47)), (b"RGB", (12, 31, 3))])
def test_every_precision_is_given_back(bits, components, shape):
    """Noise has every category of differences, and every bit pattern that must be stuffed."""
    frame = noise(bits, *shape)

    assert np.array_equal(decoded(encode(frame, bits, components), frame, bits), frame)


@given(
    arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.sampled_from([0, 0x7FFF, 0xFFFF]),
)
@settings(deadline=None)
def test_any_frame_is_given_back(frame, mask):
    """Of any size and any value; a mask of zero leaves one symbol only."""
    frame &= mask

    assert np.array_equal(decoded(encode(frame, 16, b"\1"), frame, 16), frame)


def test_the_difference_that_has_no_more_bits_is_given_back():
    """32768 is as much up as down."""
    frame = np.zeros((4, 6), "u2")
    frame[::2, ::2] = 32768

    assert np.array_equal(decoded(encode(frame, 16, b"\1"), frame, 16), frame)


def test_steps_of_the_packing_leave_no_trace(monkeypatch):
    """A frame larger than a step is the same stream, wherever the steps are cut."""
    frame = noise(12, 40, 50)
    whole = encode(frame, 12, b"\1")

    monkeypatch.setattr(jpeg_lossless, "_STEP", 7)

    assert encode(frame, 12, b"\1") == whole


def test_codes_are_no_longer_than_sixteen_bits():
    """Frequencies like Fibonacci's numbers make the longest codes there are."""
    counts = [1, 1]
    while len(counts) < 17:
        counts.append(counts[-1] + counts[-2])

    lengths = jpeg_lossless._code_lengths(dict(enumerate(counts)))

    assert max(lengths.values()) <= 16
    assert sum(2.0**-length for length in lengths.values()) < 1  # all ones is left over


def test_a_smooth_frame_becomes_small():
    """The table is made of the frame: a slope costs one bit a sample, and no more."""
    frame = np.add.outer(np.arange(256), np.arange(256)).astype("u2")

    assert len(encode(frame, 16, b"\1")) < frame.size * 2 // 8 + 100


@pytest.mark.parametrize(
    ("frame", "bits"),
    [
        (np.zeros((2, 2), "u1"), 1),
        (np.zeros((2, 2), "u4"), 17),
        (np.zeros((0, 2), "u1"), 8),
        (np.zeros((1, 65536), "u1"), 8),
    ],
    ids=["one bit", "seventeen bits", "no row", "too wide"],
)
def test_what_cannot_be_written_is_an_error(frame, bits):
    """Nothing is cut to fit."""
    with pytest.raises(ValueError, match="16 bits"):
        encode(frame, bits, b"\1")


@pytest.mark.parametrize(
    ("mode", "depth"), [("L", 8), ("L", 10), ("L", 12), ("L", 14), ("L", 16), ("RGB", 8)]
)
def test_dcmtk_gives_back_every_frame(peer, tmp_path, mode, depth):
    """A decoder that shares nothing with the one above; two frames."""
    frames = drawn(mode, depth, frames=2)
    dataset = instance(frames, depth)
    components = b"RGB" if mode == "RGB" else b"\1"
    dataset.PixelData = encapsulate([encode(frame, depth, components) for frame in frames])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.save_as(tmp_path / "encoded.dcm", enforce_file_format=True)

    subprocess.run(
        [peer("dcmdjpeg"), tmp_path / "encoded.dcm", tmp_path / "decoded.dcm"],
        check=True,
        capture_output=True,
    )

    assert np.array_equal(pixels_of(dcmread(tmp_path / "decoded.dcm")), frames)

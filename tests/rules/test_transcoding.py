"""Pixels in another transfer syntax: lossless is the very same, lossy says so, no is no.

What comes out is read by DCMTK or by pydicom with another codec where there is one.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from rules.errors import DeidentificationError, Reason
from rules.regions import Box, Decision
from rules.targets import TranscodeJob
from rules.transcoding import transcode
from tests.rules.test_pixels import SEQUENCE_END, drawn, instance, jpeg, pixels_of, result_of
from tests.rules.test_pixels import job as blanking_job

ALL_LOSSLESS = (RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
LOSSLESS = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)
LOSSY = (JPEGBaseline8Bit, JPEGLSNearLossless, JPEG2000)
DCMTK = {
    JPEGBaseline8Bit: "dcmdjpeg",
    JPEGLossless: "dcmdjpeg",
    JPEGLosslessSV1: "dcmdjpeg",
    JPEGLSLossless: "dcmdjpls",
    JPEGLSNearLossless: "dcmdjpls",
    RLELossless: "dcmdrle",
}


def job(dataset, target, quality=90, **changes):
    """What is asked for an instance, native or compressed."""
    asked = blanking_job(dataset)
    is_native = not dataset.file_meta.TransferSyntaxUID.is_encapsulated
    value = bytes(dataset.PixelData) if is_native else asked.fragments
    source = str(asked.transfer_syntax_uid)
    return replace(TranscodeJob(source, asked.geometry, value, target, quality), **changes)


def transcoded(dataset, target, quality=90, **changes):
    """The instance in another transfer syntax, as a reader of files sees it."""
    result = transcode(job(dataset, target, quality, **changes))
    assert result.transfer_syntax_uid == target
    return result_of(dataset, result)


def read_by_dcmtk(command, dataset, folder):
    """The pixels of an instance as DCMTK decodes them."""
    dataset.save_as(folder / "encoded.dcm", enforce_file_format=True)
    subprocess.run(
        [command, folder / "encoded.dcm", folder / "decoded.dcm"],
        check=True,
        capture_output=True,
    )
    return pixels_of(dcmread(folder / "decoded.dcm"))


@pytest.mark.parametrize("target", ALL_LOSSLESS)
@pytest.mark.parametrize("depth", [8, 12, 16])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_native_pixels_are_given_back_by_every_lossless_target(target, depth, mode):
    """Two frames, in grey and in colour; nothing says that anything was lost."""
    frames = drawn(mode, depth, frames=2)

    found = transcoded(instance(frames, depth), target)

    assert np.array_equal(pixels_of(found), frames)
    assert "LossyImageCompression" not in found


@pytest.mark.parametrize("target", [one for one in ALL_LOSSLESS if one in DCMTK])
@pytest.mark.parametrize(
    ("mode", "depth"), [("L", 8), ("L", 12), ("L", 16), ("RGB", 8), ("signed", 12)]
)
@pytest.mark.slow
def test_dcmtk_gives_back_every_frame(peer, tmp_path, target, mode, depth):
    """Signed samples too: their bits, and so their values, are the same to everybody."""
    frames = drawn("RGB" if mode == "RGB" else "L", depth, frames=2)
    if mode == "signed":
        frames = frames.astype("i2") - 2048
    found = transcoded(instance(frames, depth, signed=mode == "signed"), target)

    assert np.array_equal(read_by_dcmtk(peer(DCMTK[target]), found, tmp_path), frames)


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize(("kind", "depth"), [("i1", 8), ("i2", 12), ("i2", 16)])
def test_signed_pixels_are_given_back(target, kind, depth):
    """Noise over all values, below zero as well as above."""
    half = 1 << (depth - 1)
    frames = np.random.default_rng(depth).integers(-half, half, (1, 40, 50)).astype(kind)

    found = transcoded(instance(frames, depth, signed=True), target)

    assert np.array_equal(pixels_of(found), frames)


@pytest.mark.parametrize("source", LOSSLESS)
@pytest.mark.parametrize("target", [*LOSSLESS, ExplicitVRLittleEndian])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.slow
def test_every_family_becomes_every_other(source, target, mode):
    """From one lossless syntax to another, and back to native."""
    frames = drawn(mode, 16, frames=2)
    encoded = transcoded(instance(frames, 16), source)

    assert np.array_equal(pixels_of(transcoded(encoded, target)), frames)


def test_planes_become_pixels():
    """Planar Configuration follows."""
    frames = drawn("RGB")
    dataset = instance(frames)
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.ascontiguousarray(frames.transpose(0, 3, 1, 2)).tobytes()

    found = transcoded(dataset, JPEGLosslessSV1)

    assert found.PlanarConfiguration == 0
    assert np.array_equal(pixels_of(found), frames)


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("colours", ["PALETTE COLOR", "YBR_FULL", "MONOCHROME1"])
def test_colours_stay_what_they_are(target, colours):
    """Nothing is converted on the way to a lossless target."""
    frames = drawn("RGB" if colours == "YBR_FULL" else "L")

    found = transcoded(instance(frames, photometric=colours), target)

    assert found.PhotometricInterpretation == colours
    assert np.array_equal(pixels_of(found), frames)


@pytest.mark.parametrize("target", [RLELossless, JPEGLosslessSV1])
def test_bits_that_are_not_stored_stay_where_there_is_room(target):
    """An overlay may hide in them."""
    frames = drawn("L", 12)
    frames[:, 20:30, 20:30] |= 0x1000
    dataset = instance(frames, 12)

    found = transcoded(transcoded(dataset, target), ExplicitVRLittleEndian)

    assert np.array_equal(np.frombuffer(found.PixelData, "<u2"), frames.ravel())


@pytest.mark.parametrize("target", [JPEGLSLossless, JPEG2000Lossless])
def test_bits_that_are_not_stored_do_not_become_pixels(target):
    """Their precision is that of what is stored."""
    frames = drawn("L", 12)
    dirty = frames.copy()
    dirty[:, 20:30, 20:30] |= 0x1000

    found = transcoded(instance(dirty, 12), target)

    assert np.array_equal(pixels_of(found), frames)


@pytest.mark.parametrize("target", LOSSY)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_lossy_target_is_near_and_says_so(target, mode):
    """It looks the same, and the header says what was lost, and how."""
    frames = drawn(mode, frames=2)

    found = transcoded(instance(frames), target)

    seen = pixel_array(found)  # as RGB
    assert np.abs(seen.astype(int) - frames).mean() < 2
    assert found.LossyImageCompression == "01"
    assert found.LossyImageCompressionRatio > 1
    assert found.LossyImageCompressionMethod.startswith("ISO_")


@pytest.mark.parametrize(
    ("target", "colours"),
    [
        (JPEGBaseline8Bit, "YBR_FULL_422"),
        (JPEGLSNearLossless, "RGB"),
        (JPEG2000, "YBR_ICT"),
        (JPEG2000Lossless, "YBR_RCT"),
        (JPEGLosslessSV1, "RGB"),
    ],
)
def test_photometric_interpretation_says_what_is_inside(target, colours):
    """Each family has its own colours."""
    found = transcoded(instance(drawn("RGB")), target)

    assert found.PhotometricInterpretation == colours
    assert found.BitsAllocated == 8


@pytest.mark.parametrize("target", LOSSY)
def test_quality_is_heard(target):
    """More of it is more bytes and fewer errors."""
    frames = drawn("L")
    made = [transcoded(instance(frames), target, quality) for quality in (1, 50, 100)]

    sizes = [len(one.PixelData) for one in made]
    errors = [np.abs(pixels_of(one).astype(int) - frames).mean() for one in made]
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    assert sizes[0] < sizes[-1]
    assert errors[0] > errors[-1]


@pytest.mark.parametrize("target", [JPEGLSNearLossless, JPEG2000])
def test_a_lossy_target_of_signed_pixels_is_near_to_them(target):
    """Also around zero, where two's complement leaps."""
    frames = drawn("L", 12).astype("i2") - 2048

    found = pixels_of(transcoded(instance(frames, 12, signed=True), target))

    assert np.abs(found.astype(int) - frames).max() < 100


def test_quality_of_few_values_in_many_bits():
    """JPEG 2000 measures noise by what bits could hold: an image that uses few would be lost."""
    frames = drawn("L").astype("u2")

    found = pixels_of(transcoded(instance(frames, 16), JPEG2000))

    assert np.abs(found.astype(int) - frames).mean() < 2


def test_lossy_jpeg_is_read_by_dcmtk(peer, tmp_path):
    """As pydicom reads it, to within rounding."""
    frames = drawn("L", frames=2)
    found = transcoded(instance(frames), JPEGBaseline8Bit)

    assert (
        np.abs(
            read_by_dcmtk(peer("dcmdjpeg"), found, tmp_path).astype(int) - pixels_of(found)
        ).max()
        <= 2
    )


def test_what_was_lossy_says_so_in_a_lossless_target():
    """The pixels are those that a viewer saw before."""
    dataset = jpeg(drawn("L"))
    seen = pixels_of(dataset)

    found = transcoded(dataset, JPEGLosslessSV1)

    assert found.LossyImageCompression == "01"
    assert np.array_equal(pixels_of(found), seen)


def test_blanking_comes_first():
    """One decoding for both: the box is black, and the rest is what it was."""
    frames = drawn("L", 12)
    encoded = transcoded(instance(frames, 12), RLELossless)

    found = transcoded(encoded, JPEGLosslessSV1, decision=Decision((Box(4, 2, 100, 14),)))

    expected = frames.copy()
    expected[:, 2:16, 4:104] = 0
    assert (expected != frames).any()
    assert np.array_equal(pixels_of(found), expected)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "SC_rgb_rle_2frame.dcm"])
@pytest.mark.parametrize("target", LOSSLESS)
def test_real_instances_are_given_back(name, target):
    """Written by other makers."""
    dataset = dcmread(get_testdata_file(name))
    seen = pixels_of(dataset)

    assert np.array_equal(pixels_of(transcoded(dataset, target)), seen)


GREY, DEEP, COLOUR = drawn("L"), drawn("L", 16), drawn("RGB")


@pytest.mark.parametrize(
    ("dataset", "changes"),
    [
        (instance(DEEP, 16), {"target": JPEGBaseline8Bit}),
        (instance(DEEP, 12), {"target": JPEGBaseline8Bit}),
        (instance(GREY.astype("i1"), signed=True), {"target": JPEGBaseline8Bit}),
        (instance(GREY, photometric="PALETTE COLOR"), {"target": JPEGBaseline8Bit}),
        (instance(GREY, photometric="PALETTE COLOR"), {"target": JPEG2000}),
        (instance(GREY, photometric="PALETTE COLOR"), {"target": JPEGLSNearLossless}),
        (instance(GREY.astype("u4"), 32), {"target": JPEGLosslessSV1}),
        (instance(GREY), {"target": HTJ2K}),
        (instance(GREY), {"target": MPEG2MPML}),
        (instance(GREY), {"target": "1.2.3"}),
        (instance(GREY), {"value": b""}),
        (instance(GREY), {"value": GREY.tobytes()[:-1]}),
        (instance(GREY), {"value": GREY.tobytes() * 2}),
        (instance(GREY), {"transfer_syntax_uid": RLELossless}),
        (instance(GREY), {"transfer_syntax_uid": ExplicitVRBigEndian}),
        (instance(GREY), {"transfer_syntax_uid": MPEG2MPML}),
        (instance(GREY), {"transfer_syntax_uid": "no UID"}),
    ],
    ids=range(17),
)
def test_what_cannot_be_done_is_an_error_and_never_something_else(dataset, changes):
    """What a target cannot hold, what nothing encodes, what is not what the image says."""
    asked = replace(job(dataset, JPEGLosslessSV1), **changes)

    with pytest.raises(DeidentificationError) as raised:
        transcode(asked)

    assert raised.value.reason is Reason.TRANSCODE
    assert raised.value.__cause__ is None


def test_garbage_is_an_error():
    """Fragments that are no codestream."""
    dataset = transcoded(instance(GREY), JPEG2000Lossless)
    asked = replace(job(dataset, RLELossless), value=bytes(500) + SEQUENCE_END)

    with pytest.raises(DeidentificationError, match="cannot be encoded"):
        transcode(asked)

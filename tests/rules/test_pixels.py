"""Encapsulated pixel data: text in a box is gone, and the rest is what it was.

What comes out is read by DCMTK or by pydicom with another codec where there is one, and
compared with what went in: never by the code under test.
"""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG2MPML,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from rules.errors import DeidentificationError, Reason
from rules.pixels import blank
from rules.regions import Box, Decision, Geometry, PixelJob

SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
TOP = Decision((Box(4, 2, 100, 14), Box(0, 90, 20, 50)))
"""Where text is drawn, and a second box that reaches beyond the image."""
ROWS, COLUMNS = 96, 120


def drawn(mode, depth=8, frames=1):
    """Frames with a gradient and a name in them: rows by columns (by samples)."""
    made = []
    for number in range(frames):
        canvas = Image.radial_gradient("L").resize((COLUMNS, ROWS)).convert("L")
        ImageDraw.Draw(canvas).text((6, 3), f"DOE^JANE {number}", fill=255)
        frame = np.array(canvas).astype(f"u{2 if depth > 8 else 1}")
        frame <<= max(depth - 8, 0)
        made.append(np.stack([frame, frame[::-1], frame // 2], axis=2) if mode == "RGB" else frame)
    return np.stack(made)


def instance(frames, depth=8, *, signed=False, photometric=None):
    """A native instance with these frames."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PatientID = dataset.PatientName = "X"
    is_colour = frames.ndim == 4
    dataset.SamplesPerPixel = 3 if is_colour else 1
    dataset.PhotometricInterpretation = photometric or ("RGB" if is_colour else "MONOCHROME2")
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.NumberOfFrames = frames.shape[0]
    dataset.BitsAllocated = frames.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = depth, depth - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = frames.tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    return dataset


def job(dataset, decision=TOP):
    """What is asked for an instance that is compressed already."""
    geometry = Geometry(
        dataset.Rows,
        dataset.Columns,
        int(dataset.get("NumberOfFrames") or 1),
        dataset.SamplesPerPixel,
        dataset.BitsAllocated,
        dataset.get("PlanarConfiguration") == 1,
        dataset.PhotometricInterpretation,
        dataset.BitsStored,
        dataset.PixelRepresentation == 1,
    )
    fragments = dataset.PixelData + SEQUENCE_END
    return PixelJob(str(dataset.file_meta.TransferSyntaxUID), geometry, decision, fragments)


def result_of(dataset, result):
    """The instance with its new pixels and attributes, as a reader of files sees it."""
    whole = Dataset()
    whole.file_meta = FileMetaDataset(dataset.file_meta)
    whole.file_meta.TransferSyntaxUID = UID(result.transfer_syntax_uid)
    whole.update({tag: one for tag, one in dataset.items() if tag < 0x7FE00000})
    for tag, (vr, value) in result.attributes.items():
        said = value.decode().strip() if vr == "CS" else int.from_bytes(value, "little")
        whole.add_new(tag, vr, said)
    file = io.BytesIO()
    whole.save_as(file, enforce_file_format=True)
    return dcmread(io.BytesIO(file.getvalue() + result.element))


OTHER_CODECS = {RLELossless: "pydicom", JPEGLSLossless: "pylibjpeg", JPEG2000Lossless: "pillow"}
"""Decoders that are not those under test."""


def pixels_of(dataset):
    """All frames as arrays, decoded by another codec."""
    syntax = dataset.file_meta.TransferSyntaxUID
    plugin = OTHER_CODECS.get(syntax, "")
    if plugin == "pillow" and (dataset.PixelRepresentation or _is_deep_colour(dataset)):
        plugin = "pylibjpeg"  # pillow knows neither
    found = pixel_array(dataset, raw=True, decoding_plugin=plugin)
    number = int(dataset.get("NumberOfFrames") or 1)
    return found if number > 1 else found[np.newaxis]


def _is_deep_colour(dataset):
    return dataset.SamplesPerPixel > 1 and dataset.BitsAllocated > 8


def assert_only_text_is_gone(found, clean, shade=0, decision=TOP):
    """Inside of the boxes one shade, outside of them the pixels of the source."""
    expected = clean.copy()
    for box in decision.boxes:
        expected[:, box.y : box.y + box.height, box.x : box.x + box.width] = shade
    assert found.shape == expected.shape
    assert (expected != clean).any()
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("depth", [8, 12, 16])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_lossless_family_stays_and_loses_nothing_but_the_text(syntax, depth, mode):
    """Two frames, several boxes, in grey and in colour."""
    clean = drawn(mode, depth, frames=2)
    dataset = instance(clean, depth)
    dataset.compress(syntax)

    result = blank(job(dataset))

    assert result.transfer_syntax_uid == syntax
    assert 0x00282110 not in result.attributes
    assert_only_text_is_gone(pixels_of(result_of(dataset, result)), clean)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_signed_pixels_stay_what_they_were(syntax):
    """Values below zero, of which twelve bits of sixteen are stored."""
    clean = drawn("L", 12).astype("i2") - 2048
    dataset = instance(clean, 12, signed=True)
    dataset.compress(syntax)

    found = result_of(dataset, blank(job(dataset)))

    assert_only_text_is_gone(pixels_of(found), clean)


@pytest.mark.parametrize(
    ("syntax", "how", "target"),
    [
        (JPEGLSNearLossless, {"jls_error": 3}, JPEGLSLossless),
        (JPEG2000, {"j2k_cr": [4]}, JPEG2000Lossless),
    ],
)
def test_what_was_lossy_says_so_in_a_lossless_syntax(syntax, how, target):
    """Outside of the boxes are the pixels that a viewer saw before."""
    dataset = instance(drawn("L"))
    dataset.compress(syntax, **how)
    seen = pixel_array(dataset, raw=True)[np.newaxis]

    result = blank(job(dataset))

    assert result.transfer_syntax_uid == target
    assert result.attributes[0x00282110] == ("CS", b"01")
    assert_only_text_is_gone(pixels_of(result_of(dataset, result)), seen)


def jpeg(frames, **how):
    """Frames in JPEG baseline, as pillow writes it."""
    dataset = instance(frames)
    encoded = []
    for frame in frames:
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=90, **how)
        encoded.append(stream.getvalue())
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    if dataset.SamplesPerPixel == 3:
        dataset.PhotometricInterpretation = "YBR_FULL_422"
    return dataset


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_jpeg_becomes_native_and_is_not_lossy_once_more(mode):
    """In colour as RGB; outside of the boxes it is what pillow decodes, to within rounding."""
    dataset = jpeg(drawn(mode, frames=2))
    seen = np.stack(
        [
            np.array(Image.open(io.BytesIO(frame)).convert(mode))
            for frame in generate_frames(dataset.PixelData, number_of_frames=2)
        ]
    )

    result = blank(job(dataset))

    found = result_of(dataset, result)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.LossyImageCompression == "01"
    assert found.PhotometricInterpretation == ("RGB" if mode == "RGB" else "MONOCHROME2")
    pixels = pixels_of(found)
    box = TOP.boxes[0]
    inside = np.s_[:, box.y : box.y + box.height, box.x : box.x + box.width]
    assert not pixels[inside].any()
    assert seen[inside].any()
    outside = np.ones(pixels.shape[1:3], bool)
    for one in TOP.boxes:
        outside[one.y : one.y + one.height, one.x : one.x + one.width] = False
    apart = np.abs(pixels[:, outside].astype(int) - seen[:, outside])
    # Two decoders smooth halved chroma in ways of their own; grey has none.
    assert np.percentile(apart, 99) <= (16 if mode == "RGB" else 1)


@pytest.mark.parametrize(("option", "syntax"), [("+el", JPEGLossless), ("+e1", JPEGLosslessSV1)])
@pytest.mark.parametrize(("mode", "depth"), [("L", 8), ("L", 16), ("RGB", 8)])
def test_lossless_jpeg_becomes_native_and_loses_nothing(
    peer, tmp_path, option, syntax, mode, depth
):
    """As DCMTK encodes it; nothing says that it was lossy."""
    clean = drawn(mode, depth, frames=2)
    dataset = compressed(peer("dcmcjpeg"), instance(clean, depth), option, tmp_path)
    assert dataset.file_meta.TransferSyntaxUID == syntax

    result = blank(job(dataset))

    assert result.transfer_syntax_uid == ExplicitVRLittleEndian
    assert 0x00282110 not in result.attributes
    assert_only_text_is_gone(pixels_of(result_of(dataset, result)), clean)


def test_extended_jpeg_keeps_its_twelve_bits(peer, tmp_path):
    """Outside of the box is what DCMTK decodes, to within rounding."""
    dataset = compressed(peer("dcmcjpeg"), instance(drawn("L", 12), 12), "+ee", tmp_path)
    assert dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    seen = decompressed(peer("dcmdjpeg"), tmp_path)

    found = pixels_of(result_of(dataset, blank(job(dataset))))

    assert not found[:, 2:16, 4:104].any()
    assert np.abs(found[:, 16:90].astype(int) - seen[:, 16:90]).max() <= 2


def compressed(command, dataset, option, folder):
    """An instance that DCMTK compressed."""
    dataset.save_as(folder / "native.dcm", enforce_file_format=True)
    subprocess.run(
        [command, option, folder / "native.dcm", folder / "compressed.dcm"],
        check=True,
        capture_output=True,
    )
    return dcmread(folder / "compressed.dcm")


def decompressed(command, folder):
    """The pixels of what `compressed` left, as DCMTK decodes them."""
    subprocess.run(
        [command, folder / "compressed.dcm", folder / "decoded.dcm"],
        check=True,
        capture_output=True,
    )
    return pixels_of(dcmread(folder / "decoded.dcm"))


@pytest.mark.parametrize(("number", "syntax"), [("017", HTJ2K), ("018", HTJ2KLossless)])
def test_high_throughput_becomes_plain_jpeg_2000(corpus, number, syntax):
    """There is no encoder for it; nothing is lost on the way."""
    (path,) = [path for path in corpus if path.name.startswith(number)]
    dataset = dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    seen = pixel_array(dataset, raw=True)[np.newaxis]

    result = blank(job(dataset))

    assert result.transfer_syntax_uid == JPEG2000Lossless
    assert result.attributes[0x00280004] == ("CS", b"YBR_RCT ")
    assert (0x00282110 in result.attributes) is (syntax == HTJ2K)
    assert_only_text_is_gone(pixels_of(result_of(dataset, result)), seen)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "examples_jpeg2k.dcm",
        "rtdose_rle.dcm",
    ],
)
@pytest.mark.filterwarnings("ignore:.*Invalid value for VR UI")
def test_real_instances_keep_what_is_outside_of_the_box(name):
    """Written by other makers' encoders; one has a UID that pydicom finds fault with."""
    dataset = dcmread(get_testdata_file(name))
    decision = Decision((Box(1, 2, 5, 4),))
    seen = pixels_of(dataset)

    found = pixels_of(result_of(dataset, blank(job(dataset, decision))))

    expected = seen.copy()
    expected[:, 2:6, 1:6] = 0
    assert np.array_equal(found, expected)


def test_blanked_monochrome1_is_its_greatest_value():
    """Which is black."""
    clean = drawn("L", 12)
    dataset = instance(clean, 12, photometric="MONOCHROME1")
    dataset.compress(JPEGLSLossless)

    found = result_of(dataset, blank(job(dataset)))

    assert_only_text_is_gone(pixels_of(found), clean, shade=4095)


def test_all_outside_of_the_regions_can_go():
    """As of an ultrasound image."""
    clean = drawn("RGB")
    dataset = instance(clean)
    dataset.compress(RLELossless)

    found = pixels_of(
        result_of(dataset, blank(job(dataset, Decision(keep=(Box(10, 20, 30, 40),)))))
    )

    expected = np.zeros_like(clean)
    expected[:, 20:60, 10:40] = clean[:, 20:60, 10:40]
    assert np.array_equal(found, expected)


def test_words_in_the_codestream_are_left_behind():
    """A comment is no pixel."""
    dataset = jpeg(drawn("L"), comment=b"DOE^JANE")
    assert b"DOE^JANE" in dataset.PixelData

    assert b"DOE^JANE" not in blank(job(dataset)).element


def asked(**changes):
    """A job that would succeed, with something changed."""
    dataset = instance(drawn("L", frames=2))
    dataset.compress(RLELossless)
    whole = job(dataset)
    geometry = {name: changes.pop(name) for name in list(changes) if hasattr(whole.geometry, name)}
    return replace(whole, geometry=replace(whole.geometry, **geometry), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"transfer_syntax_uid": MPEG2MPML},
        {"transfer_syntax_uid": "1.2.840.10008.1.2.8.1"},
        {"transfer_syntax_uid": ExplicitVRLittleEndian},
        {"transfer_syntax_uid": "no UID"},
        {"transfer_syntax_uid": JPEGBaseline8Bit},
        {"fragments": b""},
        {"fragments": bytes(100)},
        {"frames": 1},
        {"frames": 3},
        {"rows": ROWS + 1},
        {"columns": COLUMNS + 1},
        {"samples": 3},
        {"bits_allocated": 16},
        {"bits_allocated": 1, "bits_stored": 1},
    ],
    ids=repr,
)
def test_what_is_not_what_the_image_says_is_refused(changes):
    """Video, deflated frames, garbage, too few or too many frames, other sizes."""
    with pytest.raises(DeidentificationError) as raised:
        blank(asked(**changes))

    assert raised.value.reason is Reason.PIXELS_UNREADABLE
    assert raised.value.__cause__ is None

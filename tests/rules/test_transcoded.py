"""The engine with a target: the result is in another transfer syntax, or there is none.

Whatever else the engine does is done as without a target. What comes out is read by pydicom.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from rules import DEFAULT_LIMITS, DeidentificationError, Deidentifier, Reason, compile_plan
from rules.conditions import Condition, Equals
from rules.deidentify import deidentify
from rules.pixels import blank
from rules.profile import RemoveRule
from rules.regions import Box, PixelPolicy, PixelRule
from rules.selectors import parse_selector
from rules.transcoding import transcode
from tests import driving, encoded
from tests.rules.test_pixels import drawn, instance, jpeg

NATIVE = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
LOSSLESS = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLosslessSV1)
LOSSY_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
MATRIX = (*NATIVE[:3], *LOSSLESS)
KEEP_ALL = compile_plan(driving.profile("none"))
PIXELS = 0x7FE00010


def file_of(dataset):
    """A Part 10 file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def result(file, target, plan=KEEP_ALL, **options):
    """File and report of a received file."""
    _, body = encoded.split_part10(file)
    source = driving.transfer_syntax_of(file)
    options = {"transcode": transcode, "blank": blank, "target": target} | options
    return deidentify(body, plan, driving.pseudonyms(), source, **options)


def reading(file, target, plan=KEEP_ALL, **options):
    """The result as pydicom reads it; file meta information and report agree."""
    made, report = result(file, target, plan, **options)
    dataset = driving.read(made)
    assert dataset.file_meta.TransferSyntaxUID == report.transfer_syntax_uid
    return dataset


def pixels(dataset):
    """As they are stored; of lossy JPEG as RGB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = dataset.file_meta.TransferSyntaxUID not in LOSSY_JPEG
        return pixel_array(dataset, raw=raw)


def others(dataset):
    """Everything but pixels, and what says how they are encoded: VRs and values."""
    changing = (PIXELS, 0x00280004, 0x00280006, 0x00282110)
    return {one.tag: one for one in dataset if one.tag not in changing}


def named(name):
    """A file of pydicom's package."""
    with open(get_testdata_file(name), "rb") as file:  # noqa: PTH123 - a name is what there is
        return file.read()


COLOUR = drawn("RGB", frames=2)
GREY = drawn("L", 12)


def source(syntax, frames=GREY, depth=12, **said):
    """An instance in this transfer syntax, with more than pixels to it."""
    dataset = instance(frames, depth, **said)
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
    dataset.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
    dataset.add_new(0x00291008, "CS", "IMAGE NUM 4")
    item = Dataset()
    item.CodeValue, item.CodeMeaning = "T-1", "Knie\u00df"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.AnatomicRegionSequence = [item]
    dataset.PixelPaddingValue = 0
    made = file_of(dataset)
    if syntax == ExplicitVRLittleEndian:
        return made
    return result(made, syntax)[0]


@pytest.mark.parametrize("received", [*NATIVE, *LOSSLESS])
@pytest.mark.parametrize("target", [*NATIVE, *LOSSLESS])
def test_every_syntax_becomes_every_other(received, target):
    """Pixels, sequences, private elements, texts: all that there was, and its VR."""
    found = reading(source(received), target)

    original = driving.read(source(ExplicitVRLittleEndian))
    assert found.file_meta.TransferSyntaxUID == target
    assert np.array_equal(pixels(found), GREY[0])
    assert others(found) == others(original)


@pytest.mark.parametrize("received", [ImplicitVRLittleEndian, JPEGLosslessSV1])
@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("chunk_bytes", [1, 7, 4096])
def test_it_does_not_matter_how_the_input_is_cut(received, target, chunk_bytes):
    """One byte at a time is the same."""
    file = source(received, drawn("L")[:, :20, :30], 8)
    _, body = encoded.split_part10(file)
    engine = Deidentifier(
        KEEP_ALL, driving.pseudonyms(), received, target=target, transcode=transcode
    )

    parts = [
        bytes(part)
        for at in range(0, len(body), chunk_bytes)
        for part in engine.feed(memoryview(body)[at : at + chunk_bytes])
    ]
    last, _ = engine.finish()

    assert b"".join([*parts, *map(bytes, last)]) == result(file, target)[0]


@pytest.mark.parametrize("target", [*NATIVE, *LOSSLESS])
def test_the_rules_are_applied_all_the_same(target):
    """What the basic profile makes of an instance, in another transfer syntax."""
    file = named("CT_small.dcm")
    plain = result(file, None, driving.basic_plan())[0]

    found = reading(file, target, driving.basic_plan())

    assert others(found) == others(driving.read(plain))
    assert np.array_equal(pixels(found), pixels(driving.read(file)))


def test_native_pixels_pass_while_only_their_dataset_changes():
    """Nothing is held, so that an instance of any size can pass."""
    file = source(ImplicitVRLittleEndian)
    _, body = encoded.split_part10(file)
    at = body.index(b"\xe0\x7f\x10\x00") + 8
    engine = Deidentifier(
        KEEP_ALL, driving.pseudonyms(), ImplicitVRLittleEndian, target=ExplicitVRLittleEndian
    )

    engine.feed(memoryview(body)[:at])
    (piece,) = engine.feed(memoryview(body)[at : at + 1000])

    assert piece == body[at : at + 1000]
    assert engine.held_bytes == 0


def test_what_is_held_counts():
    """The node reserves it."""
    file = source(ExplicitVRLittleEndian)
    _, body = encoded.split_part10(file)
    engine = Deidentifier(
        KEEP_ALL, driving.pseudonyms(), ExplicitVRLittleEndian, target=RLELossless
    )

    engine.feed(body)

    assert engine.held_bytes > GREY.nbytes


@pytest.mark.parametrize("target", [RLELossless, ExplicitVRBigEndian])
def test_what_is_held_is_limited(target):
    """Encoded or turned round whole."""
    with pytest.raises(DeidentificationError) as raised:
        result(
            source(ExplicitVRLittleEndian),
            target,
            limits=replace(DEFAULT_LIMITS, whole_bytes=10_000),
        )

    assert raised.value.reason in (Reason.PIXELS_TOO_LARGE, Reason.TOO_LARGE)


def test_the_syntax_received_is_not_encoded_again():
    """Even a lossy one loses nothing then."""
    file = file_of(jpeg(drawn("RGB")))

    made, report = result(file, str(JPEGBaseline8Bit), transcode=None)

    assert made == result(file, None)[0]
    assert not report.is_lossy


def test_a_dataset_without_pixels_becomes_native():
    """There is nothing to be encapsulated."""
    dataset = instance(GREY, 12)
    del dataset.PixelData

    found = reading(file_of(dataset), JPEGLosslessSV1, transcode=None)

    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.Rows == GREY.shape[1]


def test_elements_behind_the_pixels_follow():
    """Data Set Trailing Padding, in the VR form of the target."""
    dataset = instance(GREY, 12)
    dataset.DataSetTrailingPadding = b"\0" * 10

    for target in (ImplicitVRLittleEndian, JPEGLosslessSV1, ExplicitVRBigEndian):
        assert len(reading(file_of(dataset), target).DataSetTrailingPadding) == 10


@pytest.mark.parametrize(
    ("target", "method"),
    [(JPEGBaseline8Bit, "ISO_10918_1"), (JPEG2000, "ISO_15444_1")],
)
def test_a_lossy_target_is_said_in_the_header_and_in_the_report(target, method):
    """Derived, with ratio and method; the report tells the caller that the UID must be new."""
    dataset = instance(COLOUR)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]

    made, report = result(file_of(dataset), target)

    found = driving.read(made)
    assert report.is_lossy
    assert found.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert found.LossyImageCompression == "01"
    assert found.LossyImageCompressionMethod == method
    assert found.LossyImageCompressionRatio > 1


def test_ratio_and_method_stand_behind_earlier_ones():
    """Each encoding adds its own (PS3.3 C.7.6.1.1.5)."""
    dataset = instance(COLOUR)
    dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = "8", "ISO_13818_1"

    found = reading(file_of(dataset), JPEG2000)

    assert found.LossyImageCompressionMethod == ["ISO_13818_1", "ISO_15444_1"]
    assert found.LossyImageCompressionRatio[0] == 8


def test_what_a_rule_removes_does_not_come_back_as_derived():
    """The plan has the first word on Image Type."""
    dataset = instance(COLOUR)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    removal = RemoveRule(parse_selector("ImageType"), driving.profile().mark)
    plan = compile_plan(driving.profile("none", remove=(removal,)))

    assert "ImageType" not in reading(file_of(dataset), JPEG2000, plan)


@pytest.mark.parametrize("target", LOSSLESS)
def test_a_lossless_target_changes_no_identity(target):
    """Image Type and UIDs stay, and nothing was lost."""
    dataset = instance(COLOUR)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]

    made, report = result(file_of(dataset), target)

    found = driving.read(made)
    assert not report.is_lossy
    assert found.ImageType == ["ORIGINAL", "PRIMARY"]
    assert found.SOPInstanceUID == dataset.SOPInstanceUID
    assert "LossyImageCompression" not in found


def test_quality_is_handed_on():
    """Less of it is fewer bytes."""
    file = file_of(instance(COLOUR))

    low, high = (result(file, JPEGBaseline8Bit, lossy_quality=one)[0] for one in (10, 95))

    assert len(low) < len(high)


BLANKING = PixelPolicy(
    rules=(
        PixelRule(
            when=Condition(((0x00100020, Equals("X")),), driving.profile().mark),
            blank=(Box(4, 2, 100, 14),),
            keep_regions=False,
            matches=(),
            passes=(),
            mark=driving.profile().mark,
        ),
    )
)


@pytest.mark.parametrize("received", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, JPEGLosslessSV1, JPEG2000Lossless])
def test_blanking_comes_first(received, target):
    """The box is black, the rest is what it was, and the header says that nothing is burned in."""
    plan = replace(KEEP_ALL, pixels=BLANKING, by_class=None)

    found = reading(source(received), target, plan)

    expected = GREY[0].copy()
    expected[2:16, 4:104] = 0
    assert (expected != GREY[0]).any()
    assert np.array_equal(pixels(found), expected)
    assert found.BurnedInAnnotation == "NO"


def icons(count, rows=GREY.shape[1]):
    """An instance with icons that are encapsulated like its pixels."""
    whole = driving.read(source(RLELossless))
    small = Dataset()
    for keyword in ("Columns", "SamplesPerPixel", "PhotometricInterpretation"):
        small[keyword] = whole[keyword]
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        small[keyword] = whole[keyword]
    small.Rows = rows
    small.add_new(PIXELS, "OB", whole.PixelData)
    small["PixelData"].is_undefined_length = True
    whole.IconImageSequence = [small] * count
    return file_of(whole)


@pytest.mark.parametrize("target", [*NATIVE, JPEGLosslessSV1])
def test_an_icon_becomes_native(target):
    """In every syntax it may be."""
    found = reading(icons(1), target)

    (icon,) = found.IconImageSequence
    order = ">u2" if target == ExplicitVRBigEndian else "<u2"
    assert np.array_equal(np.frombuffer(icon.PixelData, order), GREY.ravel())
    assert icon["PixelData"].VR == "OW"


def floating():
    """Samples that no encapsulated syntax has."""
    dataset = instance(GREY, 12)
    dataset.FloatPixelData = GREY.astype("f4").tobytes()
    del dataset.PixelData
    return file_of(dataset)


def one_bit():
    """A segmentation."""
    dataset = instance(np.zeros((1, 16, 16), "u1"))
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.PixelData = bytes(32)
    return file_of(dataset)


REFUSED = {
    "an unknown UID": (source(ExplicitVRLittleEndian), "1.2.3", {}),
    "no UID": (source(ExplicitVRLittleEndian), "JPEG", {}),
    "nothing encodes it": (source(ExplicitVRLittleEndian), HTJ2K, {}),
    "nothing transcodes": (source(ExplicitVRLittleEndian), RLELossless, {"transcode": None}),
    "twelve bits": (source(ExplicitVRLittleEndian), JPEGBaseline8Bit, {}),
    "one bit": (one_bit(), RLELossless, {}),
    "floating point": (floating(), RLELossless, {}),
    "an icon that cannot be read": (icons(1, rows=97), ExplicitVRLittleEndian, {}),
    "too many icons": (icons(9), ExplicitVRLittleEndian, {}),
    "words of words": (named("rtdose.dcm"), ExplicitVRBigEndian, {}),
    "words of words back": (named("rtdose_expb.dcm"), RLELossless, {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused(name):
    """Never another syntax than was asked for."""
    file, target, options = REFUSED[name]

    with pytest.raises(DeidentificationError) as raised:
        result(file, target, **options)

    assert raised.value.reason is Reason.TRANSCODE


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_a_quality_is_one_to_a_hundred(quality):
    """A caller's mistake."""
    with pytest.raises(ValueError, match="1 to 100"):
        result(source(ExplicitVRLittleEndian), JPEG2000, lossy_quality=quality)


def is_too_small(image, target):
    """Two codecs say so: pylibjpeg's of JPEG 2000, pyjpegls'."""
    if target == JPEG2000Lossless:
        return min(image.Rows, image.Columns) < 32
    return target == JPEGLSLossless and image.Rows * image.Columns < 10


def is_beyond(image, target):
    """Whether it is known that this image cannot be in this syntax."""
    syntax, bits = image.file_meta.TransferSyntaxUID, image.BitsAllocated
    if syntax == target:
        return False
    if syntax == ExplicitVRBigEndian and bits > 16:
        return True
    if target in LOSSLESS:
        deepest = 32 if target == RLELossless else 16
        is_odd = bits == 1 or bits > deepest or "PixelData" not in image
        return is_odd or is_too_small(image, target)
    return bits == 1 and syntax.is_encapsulated


def is_accepted(file):
    """Whether the engine takes it at all."""
    try:
        result(file, None)
    except DeidentificationError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("target", MATRIX)
@pytest.mark.parametrize(
    "path", driving.instance_files(), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_every_real_image_is_read_with_equal_pixels(path, target):
    """By pydicom; within a second for each megabyte and two more."""
    file = path.read_bytes()
    image = driving.read(file)
    try:
        seen = pixels(image)
    except (ValueError, RuntimeError, AttributeError, NotImplementedError):
        pytest.skip("it has no pixels, or none that pydicom can read")
    if not is_accepted(file):
        pytest.skip("it is refused without a target too")

    if is_beyond(image, target):
        with pytest.raises(DeidentificationError, match="cannot be encoded"):
            result(file, target)
    else:
        with driving.within(2 + seen.nbytes / 1e6):
            found = reading(file, target)
        assert np.array_equal(pixels(found), seen)

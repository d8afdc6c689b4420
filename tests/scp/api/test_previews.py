"""Previews: of the first frame, whatever encodes it, and of nothing else."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from io import BytesIO

import pytest
from pydicom import dcmwrite
from pydicom.encaps import encapsulate, fragment_frame, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from scp.images import png
from tests.instances import file
from tests.rules.test_pixels import drawn, instance, jpeg
from tests.scp.api.archiving import archive, patient

NATIVE = (
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian),
    *(ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """An archive whose uploads keep everything."""
    with archive(tmp_path_factory.mktemp("node")) as running:
        yield running


def uploaded(node, dataset) -> str:
    """The address of the preview of a dataset."""
    made = BytesIO()
    dataset.BurnedInAnnotation = "NO"
    dcmwrite(made, dataset, enforce_file_format=True)
    return f"/instances/{node.upload(made.getvalue())}/preview"


def shown(node, address: str) -> bytes:
    """A preview."""
    answer = node.client.ask("GET", address)
    assert answer.status == 200, answer
    return answer.body


@pytest.mark.parametrize("depth", [8, 12])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("syntax", NATIVE)
def test_native_pixels_are_shown(node, syntax, mode, depth):
    """Of several frames the first; of all transfer syntaxes the same."""
    dataset = instance(drawn(mode, depth, frames=3), depth)
    expected = png(dataset)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian and depth > 8:
        dataset.PixelData = drawn(mode, depth, frames=3).astype(">u2").tobytes()

    assert shown(node, uploaded(node, dataset)) == expected


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_pixels_are_shown(node, syntax, frames):
    """With an offset table."""
    dataset = instance(drawn("L", 12, frames), 12)
    expected = png(dataset)
    dataset.compress(syntax)

    assert shown(node, uploaded(node, dataset)) == expected


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_frame_may_lie_in_pieces(node, frames, pieces, has_table):
    """Found by the offset table, or by where an image ends."""
    dataset = instance(drawn("L", 8, frames))
    expected = png(dataset)
    dataset.compress(JPEG2000Lossless)
    one_by_one = list(generate_frames(dataset.PixelData, number_of_frames=frames))
    dataset.PixelData = encapsulate(one_by_one, pieces, has_bot=has_table)

    assert shown(node, uploaded(node, dataset)) == expected
    assert len(list(fragment_frame(one_by_one[0], pieces))) == pieces


def test_lossy_colour_is_shown(node):
    """As it is decoded."""
    dataset = jpeg(drawn("RGB", frames=2))

    assert shown(node, uploaded(node, dataset)) == png(dataset)


def test_a_frame_that_is_too_large_has_no_preview(node):
    """By what it says of itself; no pixels are read."""
    dataset = instance(drawn("L"))
    dataset.Rows = dataset.Columns = 20_000
    answer = node.client.ask("GET", uploaded(node, dataset))

    assert (answer.status, b"too large for a preview" in answer.body) == (415, True)


@pytest.mark.parametrize("lacking", ["Rows", "BitsAllocated", "SamplesPerPixel", "PixelData"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_what_is_not_described_has_no_preview(node, syntax, lacking):
    """415, and nothing of it is quoted."""
    dataset = instance(drawn("L"))
    if syntax == RLELossless:
        dataset.compress(syntax)
    del dataset[lacking]

    assert node.client.ask("GET", uploaded(node, dataset)).status == 415


def test_what_a_preview_takes_is_reserved(node):
    """And given back."""
    address, budget = uploaded(node, instance(drawn("L"))), node.services.budget
    all_of_it = (1 << 28) - 1000
    assert budget.reserve(all_of_it, 0)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(shown(node, address)))
    waiting.start()
    assert not answers
    budget.release(all_of_it)
    waiting.join(20)

    assert answers
    assert budget.held_bytes == 0


def test_whoever_waits_for_a_preview_takes_no_thread(node):
    """However many ask at once."""
    address, budget = uploaded(node, instance(drawn("L"))), node.services.budget
    assert budget.reserve(1 << 28, 0)
    asking = [HTTPConnection("127.0.0.1", node.client.port, timeout=30) for _ in range(45)]
    for one in asking:
        one.request("GET", address)
    assert node.client.ask("GET", "/jobs").status == 200
    budget.release(1 << 28)

    assert {one.getresponse().status for one in asking} == {200}
    for one in asking:
        one.close()


def test_a_document_has_no_preview(node):
    """It has no pixels."""
    own = [one for one in patient(1) if one.tag >> 16 not in (0x0028, 0x7FE0)]
    id_ = node.upload(file(own, ExplicitVRLittleEndian))

    assert node.client.ask("GET", f"/instances/{id_}/preview").status == 415

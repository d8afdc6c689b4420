"""Text burned into pixels is gone at the far end of a running node, in every family of codecs.

What arrives is decoded by another codec than the node's where there is one, and compared with
what was sent: inside of the boxes of the rule nothing is left, outside of them nothing is lost.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    HTJ2K,
    CTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.acceptance.peers import SUCCESS, Archive, store
from tests.acceptance.running import RunningNode, anonode
from tests.rules.test_pixels import (
    assert_only_text_is_gone,
    compressed,
    drawn,
    instance,
    jpeg,
    pixels_of,
)
from tests.screened import PIXELS, made_by, written

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  screened:
    Base: basic
{pixels}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {port}, retry_base_s: 1}}
routes:
  - {{from: CT1, to: ANONODE, profile: screened, forward: [archive]}}
"""
NOT_BLANKED = 0xC107
BURNED_IN = 0xC106


@pytest.fixture(scope="module")
def archive():
    """Where everything goes."""
    with Archive() as running:
        yield running


@pytest.fixture(scope="module")
def node(archive, tmp_path_factory):
    """A node that knows where MAKER burns text in."""
    config = CONFIG.format(pixels=PIXELS, port=archive.port)
    with RunningNode(tmp_path_factory.mktemp("pixels"), config) as running:
        yield running


@pytest.fixture
def sent(node, archive, deadline_s):
    """Send an instance as of MAKER; what the archive gets."""

    def send(dataset):
        before = len(archive.received)
        assert store(node.port, dcmread(BytesIO(written(made_by(dataset))))) == SUCCESS
        assert archive.wait_for(before + 1, deadline_s(30))
        return dcmread(BytesIO(archive.received[-1][1]))

    return send


def in_syntax(syntax):
    """Two frames of twelve bits with a name in them."""
    dataset = instance(drawn("L", 12, frames=2), 12)
    if syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        dataset.compress(syntax)
    return dataset


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: syntax.name,
)
def test_text_is_gone_and_nothing_else(sent, syntax):
    """In the syntax that it was sent in."""
    found = sent(in_syntax(syntax))

    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.BurnedInAnnotation == "NO"
    assert "LossyImageCompression" not in found
    assert_only_text_is_gone(pixels_of(found), drawn("L", 12, frames=2))


def test_text_in_lossless_jpeg_is_gone(sent, peer, tmp_path):
    """It arrives native, and outside of the boxes it is what it was."""
    clean = drawn("RGB", frames=2)
    dataset = compressed(peer("dcmcjpeg"), instance(clean), "+el", tmp_path)
    assert dataset.file_meta.TransferSyntaxUID == JPEGLossless

    found = sent(dataset)

    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert_only_text_is_gone(pixels_of(found), clean)


def test_text_in_lossy_jpeg_is_gone(sent):
    """It arrives native and says that it was lossy; no loss comes on top."""
    dataset = jpeg(drawn("L", frames=2))
    assert dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    seen = pixel_array(dataset, raw=True)

    found = sent(dataset)

    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.LossyImageCompression == "01"
    assert_only_text_is_gone(pixels_of(found), seen)


@pytest.mark.parametrize(("number", "syntax"), [("017", HTJ2K), ("018", HTJ2KLossless)])
def test_text_in_high_throughput_jpeg_2000_is_gone(sent, corpus, number, syntax):
    """It arrives as plain JPEG 2000, without a further loss."""
    (path,) = [path for path in corpus if path.name.startswith(number)]
    dataset = dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == syntax
    seen = pixel_array(dataset, raw=True)[np.newaxis]

    found = sent(dataset)

    assert found.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert_only_text_is_gone(pixels_of(found), seen)


def test_what_no_rule_knows_is_refused(node):
    """A secondary capture of another maker: nobody knows where its text is."""
    assert store(node.port, made_by(in_syntax(RLELossless), "OTHER")) == BURNED_IN


def test_a_stream_that_is_none_is_refused_and_the_next_image_is_not(node, sent):
    """Noise where a codestream should be costs the instance that has it."""
    dataset = made_by(in_syntax(JPEG2000Lossless))
    dataset.PixelData = encapsulate([os.urandom(4000)] * 2)

    assert store(node.port, dataset) == NOT_BLANKED
    assert_only_text_is_gone(pixels_of(sent(in_syntax(RLELossless))), drawn("L", 12, frames=2))


def children(node):
    """The processes of a node."""
    listed = Path(f"/proc/{node.process.pid}/task").glob("*/children")
    return [int(pid) for path in listed for pid in path.read_text().split()]


def test_an_image_that_waits_for_its_decoder_holds_up_nobody(node, sent, archive, deadline_s):
    """While one association waits, another stores."""
    before = len(archive.received)
    sent(in_syntax(RLELossless))
    stopped = children(node)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    statuses = []
    waiting = threading.Thread(
        target=lambda: statuses.append(store(node.port, made_by(in_syntax(RLELossless))))
    )
    waiting.start()

    other = instance(drawn("L"))
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = CTImageStorage
    assert store(node.port, other) == SUCCESS
    assert statuses == []

    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    waiting.join()
    assert statuses == [SUCCESS]
    assert archive.wait_for(before + 3, deadline_s(30))


def test_the_report_says_what_was_done(node, sent):
    """Digest, base and counts of the study; every instance is delivered."""
    study = sent(in_syntax(JPEGLSLossless)).StudyInstanceUID

    (found,) = json.loads(node.run("report", study, "--json").stdout)["studies"]

    (treatment,) = found["treatments"]
    assert (treatment["profile"], treatment["base"]) == ("screened", "basic")
    assert len(treatment["rule_set"]) == 64
    assert treatment["actions"]["U"] >= 3
    assert [one["destination"] for one in found["deliveries"]] == ["archive"]


@pytest.mark.slow
def test_no_process_is_left_when_the_node_stops(tmp_path):
    """Whatever its decoders do at that moment."""
    with RunningNode(tmp_path, CONFIG.format(pixels=PIXELS, port=104)) as node:
        assert store(node.port, made_by(in_syntax(RLELossless))) == SUCCESS
        found = children(node)
        assert found
        for pid in found:
            os.kill(pid, signal.SIGSTOP)

        assert node.terminate() == 0

    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


@pytest.mark.slow
def test_a_folder_is_blanked_as_the_network_is(tmp_path):
    """`deidentify` decodes apart, too, in several processes at once."""
    clean = drawn("L", 12, frames=2)
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for number, syntax in enumerate([RLELossless, JPEGLSLossless, ExplicitVRLittleEndian] * 4):
        dataset = made_by(in_syntax(syntax))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        (source / f"{number}.dcm").write_bytes(written(dataset))
    (tmp_path / "config.yaml").write_text(CONFIG.format(pixels=PIXELS, port=104))

    done = anonode(
        *("deidentify", source, target, "--profile", "screened"),
        *("--config", tmp_path / "config.yaml"),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    results = [dcmread(path) for path in target.rglob("*.dcm")]
    assert len(results) == 12
    for result in results:
        assert_only_text_is_gone(pixels_of(result), clean)

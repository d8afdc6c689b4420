"""Pixels are blanked apart: whatever an image does to its decoder costs that image only."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from rules import pixels, transcoding
from rules.errors import DeidentificationError, Reason
from rules.regions import Box, Decision
from scp import pixel_worker
from scp.errors import OutOfSpace, Stopping
from scp.pixel_worker import DEFAULT_LIMITS, PixelWorker
from tests.rules.test_pixels import SEQUENCE_END, drawn, instance, job, jpeg
from tests.rules.test_transcoding import job as encoding_job

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


def compressed(syntax=RLELossless):
    """A job that succeeds."""
    dataset = instance(drawn("L", 12, frames=2), 12)
    dataset.compress(syntax)
    return job(dataset)


GOOD = compressed()


@contextmanager
def working(processes=1, **limits):
    """A worker that has blanked one image, and the ids of its processes."""
    with PixelWorker(processes, replace(DEFAULT_LIMITS, **limits)) as worker:
        assert worker(GOOD) == pixels.blank(GOOD)
        yield worker


def pids(worker):
    """Of its processes that are to be ended."""
    return [process.pid for process in worker._running]


def refused(worker, wanted):
    """The reason for which it does not blank."""
    with pytest.raises(DeidentificationError) as raised:
        worker(wanted)
    assert raised.value.__cause__ is None
    return raised.value.reason


def ends(pid):
    """Whether a process ends before patience does, waited for or not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    found = poll.poll(PATIENCE_S * 1000)
    os.close(handle)
    return bool(found)


def is_running(pid):
    """Whether there is such a process, waited for or not."""
    return Path(f"/proc/{pid}").exists()


@pytest.fixture(scope="module")
def shared():
    """One worker for tests that leave it as it was."""
    with PixelWorker(processes=1) as worker:
        yield worker


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_the_result_is_that_of_the_rules(shared, syntax):
    """Two pipes in between change nothing."""
    wanted = compressed(syntax)

    assert shared(wanted) == pixels.blank(wanted)


def test_regions_to_keep_travel_as_well(shared):
    """A decision is boxes, or all outside of boxes; none to keep keeps nothing."""
    for decision in (Decision(keep=(Box(10, 20, 30, 40),)), Decision(keep=())):
        wanted = replace(GOOD, decision=decision)

        assert shared(wanted) == pixels.blank(wanted)


NATIVE = instance(drawn("L", frames=2))


@pytest.mark.parametrize(
    "wanted",
    [
        *(encoding_job(NATIVE, one) for one in (RLELossless, JPEGLosslessSV1, JPEG2000)),
        encoding_job(NATIVE, JPEGBaseline8Bit, quality=30),
        encoding_job(NATIVE, ExplicitVRLittleEndian),
    ],
    ids=lambda wanted: wanted.target,
)
def test_pixels_are_encoded_as_well(shared, wanted):
    """With their quality; native ones are their own value."""
    assert shared(wanted) == transcoding.transcode(wanted)


def test_pixels_to_be_encoded_are_blanked_first(shared):
    """The decision travels with the job."""
    dataset = instance(drawn("L"))
    dataset.compress(RLELossless)
    wanted = encoding_job(dataset, JPEGLosslessSV1, decision=Decision((Box(0, 0, 50, 20),)))

    assert shared(wanted) == transcoding.transcode(wanted)
    assert shared(wanted) != shared(replace(wanted, decision=Decision()))


@pytest.mark.parametrize(
    "changes", [{"target": "1.2.3"}, {"value": b""}, {"target": JPEGBaseline8Bit, "quality": 0}]
)
def test_what_cannot_be_encoded_says_so(shared, changes):
    """Its reason is not that of blanking."""
    wanted = replace(encoding_job(instance(drawn("L", 12), 12), RLELossless), **changes)

    assert refused(shared, wanted) is Reason.TRANSCODE
    assert shared(GOOD) == pixels.blank(GOOD)


def test_a_process_that_is_lost_while_it_encodes_says_that_it_could_not():
    """The one that was to be encoded pays for it."""
    with working() as worker:
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGSTOP)
        worker._limits = replace(DEFAULT_LIMITS, job_s=0.2)

        assert refused(worker, encoding_job(NATIVE, RLELossless)) is Reason.TRANSCODE


def test_native_pixels_are_limited_as_decoded_ones():
    """They are not smaller than that."""
    with PixelWorker(1, replace(DEFAULT_LIMITS, encoded_bytes=1000)) as worker:
        assert worker(encoding_job(NATIVE, RLELossless))
    with PixelWorker(1, replace(DEFAULT_LIMITS, decoded_bytes=20_000)) as worker:
        assert refused(worker, encoding_job(NATIVE, RLELossless)) is Reason.PIXELS_TOO_LARGE
        assert pids(worker) == []


def test_nothing_is_started_before_it_is_needed():
    """A node whose images are never blanked has no process for it."""
    with PixelWorker() as worker:
        assert pids(worker) == []


def test_a_process_serves_again():
    """Its start costs more than most images."""
    with working() as worker:
        first = pids(worker)
        worker(GOOD)

        assert pids(worker) == first


def test_threads_share_the_processes():
    """More images than processes: each gets its own result."""
    results = []
    with working(processes=2) as worker:
        threads = [threading.Thread(target=lambda: results.append(worker(GOOD))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(pids(worker)) <= 2
    assert results == [pixels.blank(GOOD)] * 6


def test_a_process_that_died_while_idle_is_replaced():
    """The system may have taken it for its memory: no image pays for that."""
    with working() as worker:
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGKILL)
        assert ends(pid)

        assert worker(GOOD) == pixels.blank(GOOD)
        assert pid not in pids(worker)


def test_a_crash_costs_the_image_that_did_it():
    """The process is gone in the middle of a job; the next image gets a new one."""
    with working() as worker:
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGSTOP)  # it can be met in the middle
        crash = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        crash.start()

        assert refused(worker, GOOD) is Reason.PIXELS_UNREADABLE
        crash.join()
        assert worker(GOOD) == pixels.blank(GOOD)


def test_a_hang_costs_the_image_that_did_it():
    """After its time the process is ended, and the next image gets a new one."""
    with working() as worker:
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGSTOP)
        worker._limits = replace(DEFAULT_LIMITS, job_s=0.2)

        assert refused(worker, GOOD) is Reason.PIXELS_UNREADABLE
        assert not is_running(pid)
        worker._limits = DEFAULT_LIMITS
        assert worker(GOOD) == pixels.blank(GOOD)


def garbage():
    """Codestreams that are none, cut, or lie."""
    good = compressed(JPEG2000Lossless)
    dataset = jpeg(drawn("L"))
    plain = job(dataset)
    at = plain.fragments.index(b"\xff\xc0") + 5
    huge = bytearray(plain.fragments)
    huge[at : at + 4] = b"\x0f\xff\x0f\xff"  # 4095 rows and columns
    yield "noise", replace(good, fragments=encapsulate([os.urandom(5000)] * 2) + SEQUENCE_END)
    yield "zeros", replace(plain, fragments=encapsulate([bytes(4000)]) + SEQUENCE_END)
    yield "cut", replace(plain, fragments=plain.fragments[:400] + SEQUENCE_END)
    yield "huge", replace(plain, fragments=bytes(huge))
    yield "other", replace(good, transfer_syntax_uid=JPEGBaseline8Bit)


@pytest.mark.parametrize(
    "name",
    [
        "noise",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("zeros", "cut", "huge", "other")
        ),
    ],
)
def test_a_stream_that_is_none_costs_the_image_that_has_it(shared, name):
    """Whatever the codec does with it, the next image is blanked."""
    assert refused(shared, dict(garbage())[name]) in pixel_worker._REASONS.values()
    assert shared(GOOD) == pixels.blank(GOOD)


def test_a_bomb_bursts_in_its_own_process():
    """A few kilobytes that are many megabytes: the memory of the process ends first."""
    clean = np.zeros((1, 6000, 6000), "u1")
    dataset = instance(clean)
    dataset.compress(RLELossless)
    bomb = job(dataset)
    with working(memory_bytes=200 << 20) as worker:
        assert refused(worker, bomb) in pixel_worker._REASONS.values()
        assert worker(GOOD) == pixels.blank(GOOD)


@pytest.mark.parametrize("limits", [{"encoded_bytes": 1000}, {"decoded_bytes": 20_000}])
def test_what_is_too_large_starts_nothing(limits):
    """Its sizes say so."""
    with PixelWorker(1, replace(DEFAULT_LIMITS, **limits)) as worker:
        assert refused(worker, GOOD) is Reason.PIXELS_TOO_LARGE
        assert pids(worker) == []


def test_where_all_processes_are_busy_the_sender_may_try_again():
    """It is the node that has no room; the image is not at fault."""
    with working(wait_s=0.05) as worker:
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGSTOP)
        busy = threading.Thread(target=lambda: worker(GOOD))
        busy.start()
        while worker._places.qsize():
            os.sched_yield()

        with pytest.raises(OutOfSpace):
            worker(GOOD)

        os.kill(pid, signal.SIGCONT)
        busy.join()


def test_closing_ends_idle_processes():
    """None is left, not even to be waited for."""
    with working(processes=2) as worker:
        found = pids(worker)

    assert found
    assert not any(map(is_running, found))
    with pytest.raises(Stopping):
        worker(GOOD)


def test_closing_ends_a_process_that_hangs():
    """And the thread that waits for it hears why; it is not told that its image is at fault."""
    heard = []

    def wait():
        with pytest.raises(Stopping) as raised:
            worker(GOOD)
        heard.append(raised.value)

    with working() as worker:
        (pid,) = pids(worker)
        os.kill(pid, signal.SIGSTOP)
        thread = threading.Thread(target=wait)
        thread.start()
        while worker._places.qsize():
            os.sched_yield()
        begun = time.monotonic()

    assert time.monotonic() - begun < pixel_worker._LAST_WORDS_S
    thread.join(PATIENCE_S)
    assert len(heard) == 1
    assert not is_running(pid)


KILLED = """
import os, signal, sys
sys.path.insert(0, ".")
from scp.pixel_worker import PixelWorker
from tests.scp.test_pixel_worker import GOOD, pids

worker = PixelWorker(processes=1)
worker(GOOD)
print(*pids(worker), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_a_node_that_was_killed():
    """Its requests have ended, and so does it."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE_S * 3,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert ends(int(done.stdout))


def test_a_process_is_bound_and_knows_nothing():
    """No core, no file, bounded memory and time; no environment but what it needs."""
    with working() as worker:
        (pid,) = pids(worker)
        process = Path(f"/proc/{pid}")
        limits = (process / "limits").read_text()
        environ = (process / "environ").read_bytes().split(b"\0")
        score = (process / "oom_score_adj").read_text()

    soft = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert soft["Max core file size"] == soft["Max file size"] == "0"
    assert soft["Max address space"] == str(DEFAULT_LIMITS.memory_bytes)
    assert int(soft["Max cpu time"]) <= 2 * DEFAULT_LIMITS.job_s
    assert {one.partition(b"=")[0] for one in environ} <= {
        *(b"", b"LC_CTYPE", b"PYTHONPATH", b"OPENBLAS_NUM_THREADS", b"OMP_NUM_THREADS"),
    }
    assert int(score) == 1000


ELEMENT = b"\xe0\x7f\x10\x00OW\0\0\x02\0\0\0ab"
HEAD = b'{"transfer_syntax": "1.2.840.10008.1.2.1", "attributes": []}'


def test_an_answer_is_taken_as_it_is():
    """The one that the others differ from."""
    assert pixel_worker._result(HEAD, ELEMENT).element == ELEMENT


@pytest.mark.parametrize(
    ("head", "element"),
    [
        (b"", ELEMENT),
        (b"[]", ELEMENT),
        (b'{"transfer_syntax": "1.2.840.10008.1.2.1"}', ELEMENT),
        (HEAD.replace(b".1.2.1", b".1.2"), ELEMENT),
        (HEAD.replace(b".1.2.1", b".1.2.5"), ELEMENT),
        (HEAD.replace(b"[]", b'[[1048592, "PN", "41"]]'), ELEMENT),
        (HEAD.replace(b"[]", b'[[2621444, "LO", "41"]]'), ELEMENT),
        (HEAD.replace(b"[]", b'[[2621444, "CS", "zz"]]'), ELEMENT),
        (b'{"reason": "REJECTED"}', b""),
        (HEAD, b""),
        (HEAD, ELEMENT + b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0ab"),
        (HEAD, ELEMENT[:-1]),
        (HEAD, b"\x10\x00\x10\x00" + ELEMENT[4:]),
    ],
    ids=repr,
)
def test_an_answer_that_is_none_is_not_taken(head, element):
    """A process that was taken over says what it likes: one element of pixels, or nothing."""
    with pytest.raises(pixel_worker._Failed):
        pixel_worker._result(head, element)


def test_an_answer_is_in_the_syntax_that_was_asked_for():
    """Another one, right as it may be, is not what the header will say."""
    assert pixel_worker._result(HEAD, ELEMENT, frozenset((ExplicitVRLittleEndian,)))
    with pytest.raises(pixel_worker._Failed):
        pixel_worker._result(HEAD, ELEMENT, frozenset((JPEGLosslessSV1,)))


def test_without_the_extra_images_are_refused(monkeypatch):
    """What cannot be decoded cannot be blanked."""
    monkeypatch.setitem(sys.modules, "rules.pixels", None)
    request = pixel_worker._said_of(GOOD)
    head, element = pixel_worker._done(io.BytesIO(request), len(request), 0)

    assert (head, element) == (b'{"reason": "PIXELS_UNREADABLE"}', b"")

"""Decoding apart from the listener: processes that blank pixel data, or encode them anew.

- Codecs are C and read what strangers send. They run in processes of their own, bounded in
  memory and time; one that crashes, hangs or bursts its bounds costs the instance that did it,
  and nothing else.
- Such a process writes no file, no core and no word on stderr: what it holds is identifiable.
- What it answers is checked like anything else from outside.
- A process is started when it is first needed, and serves until it fails. It does not outlive
  the node: its requests end with the node, and its processor time with the job.
- Where memory runs out, the system ends such a process before it ends the node.

Requests and answers go over pipes: a frame of two lengths, JSON, bytes. Nothing is pickled, so
that a process that was taken over cannot take over the node.
"""

from __future__ import annotations

import json
import math
import os
import queue
import resource
import select
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from rules.errors import DeidentificationError, Reason
from rules.regions import Box, Decision, Geometry, PixelJob, PixelResult
from rules.targets import LOSSLESS, LOSSY, TranscodeJob
from rules.transfer import EXPLICIT_LITTLE
from scp.errors import OutOfSpace, Stopping
from scp.process import seal

if TYPE_CHECKING:
    from types import TracebackType

_PIXEL_DATA = 0x7FE00010
_FRAME = struct.Struct(">LQ")
_ELEMENT_STARTS = (b"\xe0\x7f\x10\x00OB\0\0", b"\xe0\x7f\x10\x00OW\0\0")
_UNDEFINED = b"\xff\xff\xff\xff"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_ELEMENT_HEAD_BYTES = 12
_MOST_HEAD_BYTES = 1 << 16
_READ_BYTES = 1 << 20
_BITS_OF_BYTE = 8
_MODULE = "scp.pixel_worker"
_FILES = 64
_LAST_WORDS_S = 5.0
_FIRST_TO_GO = "1000"
_ATTRIBUTES = {0x00280004: "CS", 0x00280006: "US", 0x00282110: "CS"}
_ATTRIBUTES |= {0x00282112: "DS", 0x00282114: "CS"}
# What blanking makes: RLE, JPEG-LS lossless, JPEG 2000 lossless, or native.
_OF_BLANKING = frozenset("1.2.840.10008.1.2." + end for end in ("5", "4.80", "4.90"))
_OF_BLANKING |= {EXPLICIT_LITTLE}
_ENCAPSULATED = LOSSLESS | LOSSY
_REASONS = {
    reason.name: reason
    for reason in (Reason.PIXELS_UNREADABLE, Reason.PIXELS_TOO_LARGE, Reason.TRANSCODE)
}

Job = PixelJob | TranscodeJob


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What the pixels of one instance may cost.

    Attributes:
        encoded_bytes: Of encapsulated pixel data.
        decoded_bytes: Of all frames decoded, and of native pixel data.
        memory_bytes: Address space of a process, with its libraries (some 150 MiB) and its
            copies of a job.
        job_s: From handing over a job to its answer, the start of a process included; also the
            most processor time that a job may take.
        wait_s: For a process to become free; shorter than the patience of senders.
    """

    encoded_bytes: int = 256 << 20
    decoded_bytes: int = 512 << 20
    memory_bytes: int = 1536 << 20
    job_s: float = 60.0
    wait_s: float = 20.0


DEFAULT_LIMITS: Final = PixelLimits()


class _Failed(Exception):
    """The process gave no answer that can be used."""


class PixelWorker:
    """Blanks or encodes pixel data in other processes; safe to call from several threads."""

    def __init__(self, processes: int | None = None, limits: PixelLimits = DEFAULT_LIMITS) -> None:
        """Prepare; nothing is started yet.

        Args:
            processes: How many at once; None for one per processor.
            limits: Of every job.
        """
        self._limits = limits
        self._places: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        self._count = processes or len(os.sched_getaffinity(0))
        for _ in range(self._count):
            self._places.put(None)
        self._running: set[_Process] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self, job: Job) -> PixelResult:
        """Blank the pixels of one instance, or encode them anew.

        Raises:
            DeidentificationError: it cannot be done, or not within the limits; PIXELS_TOO_LARGE
                says so where size is known to be the reason.
            OutOfSpace: no process has become free.
            Stopping: it is closed.
        """
        self._judge(job)
        try:
            process = self._places.get(timeout=self._limits.wait_s)
        except queue.Empty:
            raise OutOfSpace("all processes for pixels are busy") from None
        result = None
        try:
            process = self._ready(process)
            deadline = time.monotonic() + self._limits.job_s
            result = process.work(job, self._limits, deadline)
        except (_Failed, OSError):
            self._say_if_closed()
            raise DeidentificationError(_failure(job), _PIXEL_DATA) from None
        finally:
            # Whatever went wrong in it, the next instance gets a process that is as new.
            if result is None:
                self._end(process)
            self._places.put(None if result is None else process)
        return result

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End every process; a job under way fails, and so does every later one."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            process.kill()
        deadline = time.monotonic() + _LAST_WORDS_S
        taken = 0
        with suppress(queue.Empty):
            while taken < self._count:
                self._end(self._places.get(timeout=max(0.0, deadline - time.monotonic())))
                taken += 1
        for _ in range(taken):  # those who wait still hear that it is closed
            self._places.put(None)

    def _judge(self, job: Job) -> None:
        image, limits = job.geometry, self._limits
        bits = image.rows * image.columns * image.samples * image.bits_allocated * image.frames
        is_native = job.transfer_syntax_uid == EXPLICIT_LITTLE
        most = limits.decoded_bytes if is_native else limits.encoded_bytes
        if len(_pixels(job)) > most or bits > limits.decoded_bytes * _BITS_OF_BYTE:
            raise DeidentificationError(Reason.PIXELS_TOO_LARGE, _PIXEL_DATA)

    def _ready(self, process: _Process | None) -> _Process:
        """A process that lives: this one, or a new one in its place."""
        if process is not None and process.is_alive:
            return process
        self._end(process)
        with self._lock:
            self._say_if_closed()
            started = _Process(self._limits)
            self._running.add(started)
        return started

    def _say_if_closed(self) -> None:
        if self._closed:
            raise Stopping("pixels are not worked on any more: the node stops")

    def _end(self, process: _Process | None) -> None:
        if process is not None:
            with self._lock:
                self._running.discard(process)
            process.end()


class _Process:
    """One process and the pipes to it; one thread at a time."""

    def __init__(self, limits: PixelLimits) -> None:
        root = str(Path(__file__).parents[1])
        bounds = (str(limits.memory_bytes), str(math.ceil(limits.job_s)))
        # -B writes no bytecode; -P imports nothing from where the node happens to be started.
        self._process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            [sys.executable, "-B", "-P", "-m", _MODULE, *bounds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            start_new_session=True,  # an interrupt at the terminal is for the node to judge
            env={"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        assert self._process.stdout is not None  # noqa: S101
        self._to, self._from = self._process.stdin, self._process.stdout
        for pipe in (self._to, self._from):
            os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended of itself."""
        return self._process.poll() is None

    def work(self, job: Job, limits: PixelLimits, deadline: float) -> PixelResult:
        """Hand a job over and wait for its answer.

        Raises:
            _Failed: there is none in time, or none that can be used.
            DeidentificationError: as the process says.
        """
        head, body = _said_of(job), _pixels(job)
        self._write(_FRAME.pack(len(head), len(body)) + head, deadline)
        self._write(body, deadline)
        head_bytes, body_bytes = _FRAME.unpack(self._read(_FRAME.size, deadline))
        if head_bytes > _MOST_HEAD_BYTES or body_bytes > 2 * limits.decoded_bytes:
            raise _Failed
        answer = self._read(head_bytes, deadline)
        wanted = frozenset((job.target,)) if isinstance(job, TranscodeJob) else _OF_BLANKING
        return _result(answer, self._read(body_bytes, deadline), wanted)

    def kill(self) -> None:
        """Stop it at once, whatever it does; another thread may be waiting for it."""
        self._process.kill()

    def end(self) -> None:
        """Stop it and give back what it took."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._to.close()
        self._from.close()

    def _write(self, data: bytes | memoryview, deadline: float) -> None:
        left = memoryview(data)
        while left:
            _await(self._to, select.POLLOUT, deadline)
            with suppress(BlockingIOError):
                left = left[os.write(self._to.fileno(), left[:_READ_BYTES]) :]

    def _read(self, size: int, deadline: float) -> bytes:
        data = BytesIO()  # gives away its bytes without a copy
        while data.tell() < size:
            _await(self._from, select.POLLIN, deadline)
            with suppress(BlockingIOError):
                step = os.read(self._from.fileno(), min(size - data.tell(), _READ_BYTES))
                if not step:
                    raise _Failed
                data.write(step)
        return data.getvalue()


def _await(pipe: IO[bytes], event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(pipe.fileno(), event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise _Failed


# ---- what goes over the pipes


def _pixels(job: Job) -> bytes | memoryview:
    return job.value if isinstance(job, TranscodeJob) else job.fragments


def _failure(job: Job) -> Reason:
    """Why there is no result, where nothing says it better."""
    return Reason.TRANSCODE if isinstance(job, TranscodeJob) else Reason.PIXELS_UNREADABLE


def _said_of(job: Job) -> bytes:
    keep = job.decision.keep
    said: dict[str, Any] = {
        "transfer_syntax": job.transfer_syntax_uid,
        "geometry": asdict(job.geometry),
        "boxes": [asdict(box) for box in job.decision.boxes],
        "keep": None if keep is None else [asdict(box) for box in keep],
    }
    if isinstance(job, TranscodeJob):
        said |= {"target": job.target, "quality": job.quality}
    return json.dumps(said).encode()


def _job(head: bytes, body: bytes) -> Job:
    said = json.loads(head)
    keep = said["keep"]
    source, geometry = said["transfer_syntax"], Geometry(**said["geometry"])
    decision = Decision(
        tuple(Box(**box) for box in said["boxes"]),
        None if keep is None else tuple(Box(**box) for box in keep),
    )
    if "target" not in said:
        return PixelJob(source, geometry, decision, body)
    return TranscodeJob(source, geometry, body, said["target"], said["quality"], decision)


def _answer(result: PixelResult) -> bytes:
    attributes = [[tag, vr, value.hex()] for tag, (vr, value) in result.attributes.items()]
    said = {"transfer_syntax": result.transfer_syntax_uid, "attributes": attributes}
    return json.dumps(said).encode()


def _result(head: bytes, element: bytes, wanted: frozenset[str] = _OF_BLANKING) -> PixelResult:
    """Read an answer, which is in one of the transfer syntaxes that are wanted.

    Raises:
        _Failed: it is none.
        DeidentificationError: it says that there is no result.
    """
    try:
        said: dict[str, Any] = json.loads(head)
        if "reason" in said:
            raise DeidentificationError(_REASONS[said["reason"]], _PIXEL_DATA)
        attributes = {
            int(tag): (str(vr), bytes.fromhex(value)) for tag, vr, value in said["attributes"]
        }
        uid = str(said["transfer_syntax"])
    except (ValueError, KeyError, TypeError):
        raise _Failed from None
    are_known = all(_ATTRIBUTES.get(tag) == vr for tag, (vr, _) in attributes.items())
    if not are_known or uid not in wanted or not _is_pixel_data(uid, element):
        raise _Failed
    return PixelResult(uid, element, attributes)


def _is_pixel_data(uid: str, element: bytes) -> bool:
    """Whether it is one element of that syntax, and nothing stands behind it."""
    if not element.startswith(_ELEMENT_STARTS):
        return False
    length = element[_ELEMENT_HEAD_BYTES - 4 : _ELEMENT_HEAD_BYTES]
    if uid in _ENCAPSULATED:
        return length == _UNDEFINED and element.endswith(_SEQUENCE_END)
    size = int.from_bytes(length, "little")
    return len(element) == _ELEMENT_HEAD_BYTES + size


# ---- the process


def main() -> None:
    """Do what comes over stdin until it ends; the arguments are memory in bytes and seconds."""
    memory_bytes, job_s = map(int, sys.argv[1:])
    with suppress(OSError):  # where there is no such file, nothing is lost but an order
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, "ascii")
    seal()
    _bind(memory_bytes)
    # What a codec may print must not mix with answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = os.fdopen(0, "rb")
    while frame := requests.read(_FRAME.size):
        head_bytes, body_bytes = _FRAME.unpack(frame)
        _grant(job_s)
        head, element = _done(requests, head_bytes, body_bytes)
        answers.write(_FRAME.pack(len(head), len(element)) + head)
        answers.write(element)
        answers.flush()


def _bind(memory_bytes: int) -> None:
    """Give up what pixels do not need: memory without end, files, cores."""
    bounds = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _FILES,
    }
    for bound, value in bounds.items():
        lower = _lower(value, resource.getrlimit(bound)[1])
        resource.setrlimit(bound, (lower, lower))


def _lower(value: int, hard: int) -> int:
    """What stands already may be less, and cannot be raised."""
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _grant(job_s: int) -> None:
    """Processor time for one job: one that never ends does so even if the node is gone."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(spent.ru_utime + spent.ru_stime) + job_s
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(most, hard), hard))


def _done(requests: IO[bytes], head_bytes: int, body_bytes: int) -> tuple[bytes, bytes]:
    """The answer to one request: JSON and the element, which is empty if there is none."""
    reason = Reason.PIXELS_UNREADABLE
    try:
        job = _job(requests.read(head_bytes), requests.read(body_bytes))
        reason = _failure(job)
        result = _worked(job)
        return _answer(result), result.element
    except DeidentificationError as error:
        reason = error.reason
    except MemoryError:
        reason = Reason.PIXELS_TOO_LARGE
    except ImportError:
        pass  # what cannot be decoded is refused
    return json.dumps({"reason": reason.name}).encode(), b""


def _worked(job: Job) -> PixelResult:
    # Here, so that the node itself needs neither numpy nor codecs.
    if isinstance(job, TranscodeJob):
        from rules.transcoding import transcode  # noqa: PLC0415

        return transcode(job)
    from rules.pixels import blank  # noqa: PLC0415

    return blank(job)


if __name__ == "__main__":
    main()

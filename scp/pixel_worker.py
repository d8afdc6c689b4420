"""Decoding apart from the listener: processes that blank encapsulated pixel data.

- Codecs are C and read what strangers send. They run in processes of their own, bounded in
  memory and time; one that crashes, hangs or bursts its bounds costs the instance that did it,
  and nothing else.
- Such a process writes no file, no core and no word on stderr: what it holds is identifiable.
- What it answers is checked like anything else from outside.
- A process is started when it is first needed, and serves until it fails.

Requests and answers go over pipes: a frame of two lengths, JSON, bytes. Nothing is pickled, so
that a process that was taken over cannot take over the node.
"""

from __future__ import annotations

import json
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
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from rules.errors import DeidentificationError, Reason
from rules.regions import Box, Decision, Geometry, PixelJob, PixelResult

if TYPE_CHECKING:
    from types import TracebackType

_PIXEL_DATA = 0x7FE00010
_FRAME = struct.Struct(">LQ")
_ELEMENT_START = b"\xe0\x7f\x10\x00O"  # the tag, and the letter that OB and OW share
_MOST_HEAD_BYTES = 1 << 16
_READ_BYTES = 1 << 20
_BITS_OF_BYTE = 8
_MODULE = "scp.pixel_worker"
_FILES = 64
_LAST_WORDS_S = 5.0
_TAGS = frozenset((0x00280004, 0x00280006, 0x00282110))
_REASONS = {reason.name: reason for reason in (Reason.PIXELS_UNREADABLE, Reason.PIXELS_TOO_LARGE)}


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What the blanking of one instance may cost.

    Attributes:
        encoded_bytes: Of encapsulated pixel data.
        decoded_bytes: Of all frames decoded.
        memory_bytes: Address space of a process, with its libraries (some 300 MiB) and its
            copies of a job.
        job_s: From handing over a job to its answer, the start of a process included.
        wait_s: For a process to become free.
    """

    encoded_bytes: int = 256 << 20
    decoded_bytes: int = 512 << 20
    memory_bytes: int = 1536 << 20
    job_s: float = 120.0
    wait_s: float = 120.0


DEFAULT_LIMITS: Final = PixelLimits()


class _Failed(Exception):
    """The process gave no answer that can be used."""


class PixelWorker:
    """Blanks encapsulated pixel data in other processes; safe to call from several threads."""

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

    def __call__(self, job: PixelJob) -> PixelResult:
        """Blank one instance.

        Raises:
            DeidentificationError: it cannot be decoded, or not within the limits; PIXELS_TOO_LARGE
                says so where size is known to be the reason.
        """
        self._judge(job)
        try:
            process = self._places.get(timeout=self._limits.wait_s)
        except queue.Empty:
            raise _unreadable() from None
        result = None
        try:
            process = self._ready(process)
            deadline = time.monotonic() + self._limits.job_s
            result = process.blank(job, self._limits, deadline)
        except (_Failed, OSError):
            raise _unreadable() from None
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
        for _ in range(self._count):
            with suppress(queue.Empty):
                self._end(self._places.get(timeout=_LAST_WORDS_S))
                self._places.put(None)

    def _judge(self, job: PixelJob) -> None:
        image = job.geometry
        bits = image.rows * image.columns * image.samples * image.bits_allocated * image.frames
        is_large = len(job.fragments) > self._limits.encoded_bytes
        if is_large or bits > self._limits.decoded_bytes * _BITS_OF_BYTE:
            raise DeidentificationError(Reason.PIXELS_TOO_LARGE, _PIXEL_DATA)

    def _ready(self, process: _Process | None) -> _Process:
        """A process that lives: this one, or a new one in its place."""
        if process is not None and process.is_alive:
            return process
        self._end(process)
        with self._lock:
            if self._closed:
                raise _Failed
            started = _Process(self._limits.memory_bytes)
            self._running.add(started)
        return started

    def _end(self, process: _Process | None) -> None:
        if process is not None:
            with self._lock:
                self._running.discard(process)
            process.end()


class _Process:
    """One process and the pipes to it; one thread at a time."""

    def __init__(self, memory_bytes: int) -> None:
        root = str(Path(__file__).parents[1])
        # -B writes no bytecode; -P imports nothing from where the node happens to be started.
        self._process = subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            [sys.executable, "-B", "-P", "-m", _MODULE, str(memory_bytes)],
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

    def blank(self, job: PixelJob, limits: PixelLimits, deadline: float) -> PixelResult:
        """Hand a job over and wait for its answer.

        Raises:
            _Failed: there is none in time, or none that can be used.
            DeidentificationError: as the process says.
        """
        head = _said_of(job)
        self._write(_FRAME.pack(len(head), len(job.fragments)) + head, deadline)
        self._write(job.fragments, deadline)
        head_bytes, body_bytes = _FRAME.unpack(self._read(_FRAME.size, deadline))
        if head_bytes > _MOST_HEAD_BYTES or body_bytes > 2 * limits.decoded_bytes:
            raise _Failed
        answer = self._read(head_bytes, deadline)
        return _result(answer, self._read(body_bytes, deadline))

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

    def _write(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            _await(self._to, select.POLLOUT, deadline)
            with suppress(BlockingIOError):
                left = left[os.write(self._to.fileno(), left[:_READ_BYTES]) :]

    def _read(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            _await(self._from, select.POLLIN, deadline)
            with suppress(BlockingIOError):
                step = os.read(self._from.fileno(), min(size - len(data), _READ_BYTES))
                if not step:
                    raise _Failed
                data += step
        return bytes(data)


def _await(pipe: IO[bytes], event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(pipe.fileno(), event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise _Failed


def _unreadable() -> DeidentificationError:
    return DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)


# ---- what goes over the pipes


def _said_of(job: PixelJob) -> bytes:
    keep = job.decision.keep
    said = {
        "transfer_syntax": job.transfer_syntax_uid,
        "geometry": asdict(job.geometry),
        "boxes": [asdict(box) for box in job.decision.boxes],
        "keep": None if keep is None else [asdict(box) for box in keep],
    }
    return json.dumps(said).encode()


def _job(head: bytes, fragments: bytes) -> PixelJob:
    said = json.loads(head)
    keep = said["keep"]
    return PixelJob(
        said["transfer_syntax"],
        Geometry(**said["geometry"]),
        Decision(
            tuple(Box(**box) for box in said["boxes"]),
            None if keep is None else tuple(Box(**box) for box in keep),
        ),
        fragments,
    )


def _answer(result: PixelResult) -> bytes:
    attributes = [[tag, vr, value.hex()] for tag, (vr, value) in result.attributes.items()]
    said = {"transfer_syntax": result.transfer_syntax_uid, "attributes": attributes}
    return json.dumps(said).encode()


def _result(head: bytes, element: bytes) -> PixelResult:
    """Read an answer.

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
    if not _TAGS.issuperset(attributes) or not element.startswith(_ELEMENT_START):
        raise _Failed
    return PixelResult(uid, element, attributes)


# ---- the process


def main() -> None:
    """Blank what comes over stdin until it ends; the only argument is the memory in bytes."""
    _bind(int(sys.argv[1]))
    # What a codec may print must not mix with answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = os.fdopen(0, "rb")
    while frame := requests.read(_FRAME.size):
        head_bytes, body_bytes = _FRAME.unpack(frame)
        head, element = _blanked(requests, head_bytes, body_bytes)
        answers.write(_FRAME.pack(len(head), len(element)) + head)
        answers.write(element)
        answers.flush()


def _bind(memory_bytes: int) -> None:
    """Give up what blanking does not need: memory without end, files, cores."""
    bounds = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _FILES,
    }
    for bound, value in bounds.items():
        resource.setrlimit(bound, (value, value))


def _blanked(requests: IO[bytes], head_bytes: int, body_bytes: int) -> tuple[bytes, bytes]:
    """The answer to one request: JSON and the element, which is empty if there is none."""
    try:
        # Here, so that the node itself needs neither numpy nor codecs.
        from rules.pixels import blank  # noqa: PLC0415

        job = _job(requests.read(head_bytes), requests.read(body_bytes))
        result = blank(job)
        return _answer(result), result.element
    except DeidentificationError as error:
        reason = error.reason
    except MemoryError:
        reason = Reason.PIXELS_TOO_LARGE
    except ImportError:
        reason = Reason.PIXELS_UNREADABLE
    return json.dumps({"reason": reason.name}).encode(), b""


if __name__ == "__main__":
    main()

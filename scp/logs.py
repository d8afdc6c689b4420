"""What the node says of itself: JSON lines whose fields are a fixed list.

The promise:

1. A line has the fields of `FIELDS` and no others. A field that nobody put on the list is left
   out and its absence is shouted about, so a value cannot slip in by way of a new keyword.
2. A field is a short text or a number; lines cannot be broken, long texts are cut.
3. An exception is its type and a place in the code. Its text never appears: libraries quote
   values in theirs. The same holds for warnings, for what other libraries log, and for threads
   and processes that die.
4. Logging never raises: a pipe that is gone loses lines, not instances.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType, TracebackType

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "event": "what happened, a fixed sentence of the code",
        "level": "info, warning: surprising, nothing lost; error: a person must act",
        "timestamp": "ISO 8601, UTC",
        "address": "IP address of a peer",
        "attempt": "which attempt of a delivery it was, from 1",
        "cause": "why an association was lost, a fixed sentence of the code",
        "called_ae": "AE title that the peer asked for",
        "certificate": "SHA-256 fingerprint of the peer's certificate",
        "calling_ae": "AE title that the peer gives itself",
        "contexts": "presentation contexts accepted",
        "contexts_refused": "presentation contexts not accepted",
        "count": "how many",
        "dataset_bytes": "bytes of data sets received",
        "destination": "name of a destination in the configuration",
        "duration_s": "seconds it took",
        "echoed": "C-ECHO requests answered",
        "error": "type of an exception, or name of an error of the system",
        "free_bytes": "bytes free on the disk of the data folder",
        "free_inodes": "files that can still be made there",
        "instance": "SOP Instance UID of the result, never the original",
        "peer": "address and port of a peer",
        "place": "file and line of the code, or of the configuration",
        "port": "TCP port",
        "profile": "name of a profile in the configuration",
        "reason": "a fixed sentence of the code, or what is wrong in the configuration",
        "refused": "instances refused",
        "result": "Result of an A-ASSOCIATE-RJ",
        "route": "which route of the configuration",
        "rules": "SHA-256 of the configuration that counts",
        "size_bytes": "bytes of the instance as stored",
        "sop_class": "SOP Class UID",
        "source": "Source of an A-ASSOCIATE-RJ or A-ABORT",
        "state": "state of a delivery or of the node",
        "status": "DIMSE status, hexadecimal",
        "stored": "instances stored",
        "tag": "tag of an element that made an instance fail",
        "tls": "version of TLS that is spoken",
        "transfer_syntax": "Transfer Syntax UID",
        "version": "version of the node",
    }
)
"""Every field that a line may have, and what it says."""

TEXT_LIMIT: Final = 256
"""Characters of a text; AE titles and UIDs are far shorter."""
DROPPED: Final = "a log line lost fields that are not on the list"

_OWN: Final = ("scp", "rules")
"""The packages of this program."""
_SILENT: Final = ("pydicom", "pynetdicom")
"""Loggers whose texts quote what an instance holds."""


class UnknownField(Exception):
    """A line was given a field that is not on the list; only raised where `strict`."""


class Log(Protocol):
    """What the rest of the node may do with a log."""

    def info(self, event: str, /, **fields: str | float) -> object:
        """An association, an instance stored, a delivery made."""

    def warning(self, event: str, /, **fields: str | float) -> object:
        """Surprising, nothing is lost."""

    def error(self, event: str, /, **fields: str | float) -> object:
        """Something is lost, or a person must act."""


def configure(stream: TextIO | None = None, *, level: str = "info", strict: bool = False) -> None:
    """Send everything that the process says through this module; call once, at the start.

    Args:
        stream: Where the lines go; standard error unless told otherwise.
        level: The least level that is written: info, warning or error.
        strict: Raise `UnknownField` rather than drop a field, as tests want it.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _only_known_fields(strict=strict),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Lines(stream if stream is not None else sys.stderr),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries()
    _take_over_deaths()


def log() -> Log:
    """A log as last configured; ask for it after `configure`."""
    return cast("Log", structlog.get_logger().bind())


def place(error: BaseException) -> str:
    """Where an exception was raised, as `file.py:12`; empty if it never was."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def own_place(error: BaseException) -> str:
    """The last place of this program's own code on the way to where it was raised."""
    steps = traceback.walk_tb(error.__traceback__)
    own = [(frame.f_code, line) for frame, line in steps if _is_own(frame)]
    return f"{PurePath(own[-1][0].co_filename).name}:{own[-1][1]}" if own else place(error)


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in _OWN


def of_error(error: BaseException) -> dict[str, str]:
    """The fields that an exception may fill: its type and its place."""
    return {"error": type(error).__name__, "place": place(error)}


class _Lines:
    """Writes lines, one at a time, and gives up quietly on a stream that is gone."""

    _lock = threading.Lock()

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            # The reader of the log has gone. There is nowhere left to say so.
            return

    debug = info = warning = error = critical = exception = log = msg


def _only_known_fields(*, strict: bool) -> Callable[[object, str, Any], Any]:
    """A processor that lets through what is on the list and shouts about the rest."""

    def process(_logger: object, _method: str, event: Any) -> Any:  # noqa: ANN401 - structlog's own type
        unknown = sorted(event.keys() - FIELDS.keys())
        if unknown and strict:
            raise UnknownField(f"not in scp.logs.FIELDS: {', '.join(unknown)}")
        for name in unknown:
            del event[name]
        if unknown:
            event["level"] = "error"
            event["reason"] = f"{DROPPED}: {', '.join(unknown)}"
        return {name: _plain(value) for name, value in event.items()}

    return process


def _plain(value: object) -> str | float | None:
    """A number, or a short text; what has other types says only its type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else value[: TEXT_LIMIT - 1] + "…"
    return f"<{type(value).__name__}>"


class _Handler(logging.Handler):
    """What other libraries log: where they said something, never what."""

    def emit(self, record: logging.LogRecord) -> None:
        say = log().error if record.levelno >= logging.ERROR else log().warning
        where = f"{PurePath(record.pathname).name}:{record.lineno}"
        kind = record.exc_info[0] if record.exc_info else None
        if kind is None:
            say("a library logged something", place=where)
        else:
            say("a library logged an error", place=where, error=kind.__name__)


def _take_over_libraries() -> None:
    logging.raiseExceptions = False
    logging.basicConfig(handlers=[_Handler()], level=logging.WARNING, force=True)
    for name in _SILENT:
        silent = logging.getLogger(name)
        silent.handlers = [logging.NullHandler()]
        silent.propagate = False
        silent.setLevel(logging.CRITICAL + 1)
    warnings.showwarning = _warned


def _take_over_deaths() -> None:
    sys.excepthook = _died
    threading.excepthook = _thread_died
    sys.unraisablehook = _not_raised


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del message, file, line
    where = f"{PurePath(filename).name}:{lineno}"
    log().warning("a library warned", error=category.__name__, place=where)


def _died(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    del kind, trace
    if not isinstance(error, KeyboardInterrupt):
        log().error("the process ends because of an error", **of_error(error))


def _thread_died(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None and arguments.exc_type is not SystemExit:
        log().error("a thread ended because of an error", **of_error(arguments.exc_value))


def _not_raised(arguments: sys.UnraisableHookArgs) -> None:
    if arguments.exc_value is not None:
        log().warning("an error could not be raised", **of_error(arguments.exc_value))

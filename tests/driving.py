"""How the tests drive the engine and the reference, and read what comes out.

Everything is asked of the public names of `rules` only.
"""

from __future__ import annotations

import logging
import signal
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.data import get_testdata_files
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from rules import Deidentifier, Mark, Pseudonyms, compile_plan
from rules.profile import Profile
from rules.regions import KINDS
from tests import encoded, reference
from tests.conftest import corpus_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

    from rules import Report

PROFILE = "trial"
KEY = bytes(range(32))


OPTIONS_OF = {
    "basic": (),
    "research": (
        "retain-safe-private",
        "retain-patient-characteristics",
        "retain-longitudinal-modified-dates",
        "clean-descriptors",
        "clean-graphics",
    ),
    "clinical-trial": (
        "retain-device-identity",
        "retain-longitudinal-modified-dates",
        "clean-descriptors",
    ),
}
"""The options of the profiles that are judged over real files."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the engine made of one dataset."""

    file: bytes
    report: Report

    @property
    def meta(self) -> dict[int, bytes]:
        """The file meta information by tag."""
        return encoded.split_part10(self.file)[0]

    @property
    def dataset(self) -> bytes:
        """The new dataset, inflated where it is deflated."""
        meta, body = encoded.split_part10(self.file)
        deflated = encoded.text_of(meta, 0x00020010) == encoded.DEFLATED
        return encoded.inflate(body) if deflated else body


def profile(base: str = "basic", **rules: object) -> Profile:
    """A profile of this base, with pixels left to themselves.

    Private elements go where a base removes them.
    """
    settings = {
        "name": PROFILE,
        "mark": Mark("test.yaml", 1, 1),
        "base": base,
        "edition": reference.EDITION,
        "consistent": None,
        "keep": (),
        "remove": (),
        "replace": (),
        "private": "keep" if base == "none" else "remove",
        "burned_in": dict.fromkeys(KINDS, "keep"),
        "reject": (),
    }
    return Profile(**{**settings, **rules})


@cache
def basic_plan():
    """The plan of the basic profile, compiled once."""
    return compile_plan(profile())


@cache
def named_plan(name: str):
    """The plan of one of `OPTIONS_OF`, but with pixels left to themselves."""
    options = OPTIONS_OF[name]
    private = "safe" if "retain-safe-private" in options else "remove"
    return compile_plan(profile(options=options, private=private))


@cache
def candidates() -> tuple[Path, ...]:
    """The files of pydicom's package, and those of the corpus."""
    packaged = (Path(name) for name in sorted(set(get_testdata_files())))
    return (*(path for path in packaged if path.is_file()), *corpus_files())


@cache
def instance_files() -> tuple[Path, ...]:
    """Every one that pydicom reads as an instance: it has a SOP Class UID."""
    return tuple(path for path in candidates() if _is_an_instance(path))


def _is_an_instance(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(reference.text_of(read(path.read_bytes()), reference.SOP_CLASS_UID))


@cache
def pseudonyms() -> Pseudonyms:
    """The keyed functions of engine and reference alike."""
    return Pseudonyms(KEY)


def engine(dataset: bytes, transfer_syntax: str, chunk_bytes: int = 0, plan=None) -> Output:
    """Feed an encoded dataset to the engine in chunks of this size, 0 for all at once."""
    size = chunk_bytes or len(dataset) or 1
    chunks = (dataset[at : at + size] for at in range(0, len(dataset), size))
    return feed(chunks, transfer_syntax, plan)


def feed(chunks: Iterator[bytes], transfer_syntax: str, plan=None) -> Output:
    """Feed these chunks; each is overwritten afterwards, as a receive buffer is."""
    deidentifier = Deidentifier(plan or basic_plan(), pseudonyms(), transfer_syntax)
    written = bytearray()
    for chunk in chunks:
        buffer = bytearray(chunk)
        for part in deidentifier.feed(memoryview(buffer)):
            written += part
        buffer[:] = b"\xa5" * len(buffer)
    parts, report = deidentifier.finish()
    for part in parts:
        written += part
    return Output(bytes(written), report)


def read(file: bytes) -> Dataset:
    """A Part 10 file as pydicom reads it, warnings left aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(BytesIO(file), force=True)


def expected(file: bytes) -> dict[int, reference.Leaf | reference.Branch]:
    """What the reference makes of a file; raises reference.Refused as the engine should."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = reference.deidentify(read(file), pseudonyms(), profile_name=PROFILE)
        return reference.flat(result)


def got(output: Output) -> dict[int, reference.Leaf | reference.Branch]:
    """The engine's result in the same terms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reference.flat(read(output.file))


def disagreements(file: bytes, output: Output) -> list[str]:
    """One sentence for each place where engine and reference differ."""
    return list(reference.differences(expected(file), got(output)))


def transfer_syntax_of(file: bytes) -> str:
    """As the file meta information says, else as pydicom guesses."""
    meta, _ = encoded.split_part10(file)
    stated = encoded.text_of(meta, 0x00020010)
    if stated:
        return stated
    implicit, little = read(file).original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def irregularity(dataset: bytes, transfer_syntax: str) -> str:
    """Why a dataset is not well formed; empty if it is."""
    try:
        plain = encoded.inflate(dataset) if transfer_syntax == encoded.DEFLATED else dataset
        encoded.read(plain, encoded.Form.of(transfer_syntax))
    except encoded.Irregular as reason:
        return str(reason)
    return ""


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.NOTSET)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what would have been written."""
        self.lines.append(record.getMessage())


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that any logger takes while this lasts, pydicom's above all."""
    lines: list[str] = []
    handler = _Lines(lines)
    for logger in (logging.getLogger(), logging.getLogger("pydicom")):
        logger.addHandler(handler)
    try:
        yield lines
    finally:
        for logger in (logging.getLogger(), logging.getLogger("pydicom")):
            logger.removeHandler(handler)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail, wherever it is, what takes longer than this."""

    def hung(*_: object) -> None:
        raise TimeoutError(f"still busy after {seconds} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

"""The engine alone: one instance in memory, read, de-identified and encoded again.

Every contender gets the same bytes and must give the bytes of a Part 10 file. Rounds are
interleaved; a library that is not installed is left out by name. There are three instances: an
ordinary image, one whose header is long and nested, and one of nothing but long values.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import pydicom

from benchmarks import instances
from rules import Deidentifier, Pseudonyms, compile_plan
from rules.language.schema import ready_made

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_FRAGMENT: Final = 16_376  # of a P-DATA-TF of 16 KiB, as most senders make them
_KEY: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Timed:
    """What one contender took for one instance."""

    instance: str
    name: str
    median_ms: float
    best_ms: float


CT_IMAGE: Final = "512x512 CT"
INSTANCES: Final[dict[str, Callable[[], Dataset]]] = {
    CT_IMAGE: lambda: instances.ct(512),
    "enhanced MR, header of 200 frames": lambda: instances.enhanced(200),
    "RTSTRUCT, 1000 contours of 100 points": lambda: instances.contours(20, 50, 100),
}


def run(*, rounds: int, repeats: int) -> tuple[list[Timed], list[str]]:
    """Time every contender on every instance.

    Args:
        rounds: Of all contenders in turn, after one that is not counted.
        repeats: Of one contender in a round, on the CT; their mean is the round's figure.

    Returns:
        The contenders, and the names of those that are not installed.
    """
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    timed: list[Timed] = []
    missing: list[str] = []
    for name, make in INSTANCES.items():
        times = repeats if name == CT_IMAGE else 1
        some, missing = _timed(name, make(), rounds=rounds, repeats=times)
        timed += some
    return timed, missing


def _timed(
    instance: str, dataset: Dataset, *, rounds: int, repeats: int
) -> tuple[list[Timed], list[str]]:
    encoded = instances.encode(dataset)
    contenders, missing = _contenders(encoded, instances.part10(dataset))
    took: dict[str, list[float]] = {name: [] for name in contenders}
    # One buffer for all rounds: what a system call or an allocation costs is not measured.
    out = BytesIO(bytes(2 * len(encoded)))
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            for _ in range(repeats):
                out.seek(0)
                contender(out)
            if number:
                took[name].append(1000 * (time.perf_counter() - start) / repeats)
    figures = [Timed(instance, name, statistics.median(ms), min(ms)) for name, ms in took.items()]
    return figures, missing


Contender = Callable[[BytesIO], object]
"""De-identifies the instance and writes it as a Part 10 file into a buffer, from its start."""


def _contenders(encoded: bytes, file: bytes) -> tuple[dict[str, Contender], list[str]]:
    contenders: dict[str, Contender] = {
        "Anonode": _anonode(encoded, len(encoded)),
        "Anonode, research": _anonode(encoded, len(encoded), "research"),
        "Anonode, buffers ready to be written": _anonode_alone(encoded),
        "Anonode, in fragments of 16 KiB": _anonode(encoded, _FRAGMENT),
        "pydicom read + write": lambda out: pydicom.dcmread(BytesIO(file)).save_as(out),
    }
    missing: list[str] = []
    rivals = (
        ("dcmanon (Rust)", "dcmanon", _dcmanon),
        ("dicom-anonymizer", "dicomanonymizer", _dicom_anonymizer),
        ("dicognito", "dicognito", _dicognito),
    )
    for name, module, make in rivals:
        if importlib.util.find_spec(module) is None:
            missing.append(name)
        else:
            contenders[name] = make(file)
    return contenders, missing


def _anonode(encoded: bytes, fragment: int, profile: str = "basic") -> Contender:
    plan = compile_plan(ready_made(profile))
    pseudonyms = Pseudonyms(_KEY)

    def once(out: BytesIO) -> None:
        deidentifier = Deidentifier(plan, pseudonyms, instances.EXPLICIT_LITTLE)
        view = memoryview(encoded)
        for at in range(0, len(view), fragment):
            out.writelines(deidentifier.feed(view[at : at + fragment]))
        out.writelines(deidentifier.finish()[0])

    return once


def _anonode_alone(encoded: bytes) -> Contender:
    """What the node pays: the buffers go to the disk as they are, pixel data uncopied."""
    plan = compile_plan(ready_made("basic"))
    pseudonyms = Pseudonyms(_KEY)

    def once(_out: BytesIO) -> object:
        deidentifier = Deidentifier(plan, pseudonyms, instances.EXPLICIT_LITTLE)
        return deidentifier.feed(memoryview(encoded)), deidentifier.finish()

    return once


def _dcmanon(file: bytes) -> Contender:
    anonymizer: Any = importlib.import_module("dcmanon").Anonymizer()
    return lambda out: out.write(anonymizer.anonymize(BytesIO(file)))


def _dicom_anonymizer(file: bytes) -> Contender:
    library: Any = importlib.import_module("dicomanonymizer")

    def once(out: BytesIO) -> None:
        dataset = pydicom.dcmread(BytesIO(file))
        library.anonymize_dataset(dataset)
        dataset.save_as(out)

    return once


def _dicognito(file: bytes) -> Contender:
    anonymizer: Any = importlib.import_module("dicognito.anonymizer").Anonymizer(seed="bench")

    def once(out: BytesIO) -> None:
        dataset = pydicom.dcmread(BytesIO(file))
        anonymizer.anonymize(dataset)
        dataset.save_as(out)

    return once

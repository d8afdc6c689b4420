"""The engine alone: one instance in memory, read, de-identified and encoded again.

Every contender gets the same bytes and must give the bytes of a Part 10 file. Rounds are
interleaved; a library that is not installed is left out by name.
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
from typing import Any, Final

import pydicom

from benchmarks import instances
from rules import Deidentifier, Pseudonyms, compile_plan
from rules.schema import ready_made

_FRAGMENT: Final = 16_376  # of a P-DATA-TF of 16 KiB, as most senders make them
_KEY: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Timed:
    """What one contender took."""

    name: str
    median_ms: float
    best_ms: float


def run(*, rounds: int, repeats: int) -> tuple[list[Timed], list[str]]:
    """Time every contender.

    Args:
        rounds: Of all contenders in turn, after one that is not counted.
        repeats: Of one contender in a round; their mean is the round's figure.

    Returns:
        The contenders, and the names of those that are not installed.
    """
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    dataset = instances.ct(512)
    contenders, missing = _contenders(instances.encode(dataset), instances.part10(dataset))
    took: dict[str, list[float]] = {name: [] for name in contenders}
    # One buffer for all rounds: what a system call or an allocation costs is not measured.
    out = BytesIO(bytes(2 * len(instances.encode(dataset))))
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            start = time.perf_counter()
            for _ in range(repeats):
                out.seek(0)
                contender(out)
            if number:
                took[name].append(1000 * (time.perf_counter() - start) / repeats)
    return [Timed(name, statistics.median(ms), min(ms)) for name, ms in took.items()], missing


Contender = Callable[[BytesIO], object]
"""De-identifies the instance and writes it as a Part 10 file into a buffer, from its start."""


def _contenders(encoded: bytes, file: bytes) -> tuple[dict[str, Contender], list[str]]:
    contenders: dict[str, Contender] = {
        "Anonode": _anonode(encoded, len(encoded)),
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


def _anonode(encoded: bytes, fragment: int) -> Contender:
    plan = compile_plan(ready_made("basic"))
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

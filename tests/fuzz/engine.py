"""The engine under mutated datasets, and what must hold whatever they are.

A result or a refusal with a reason, in time; a result is well formed and the same however the
input was cut; nothing that is raised or logged holds a word of the input; what was held is let
go of at once, if nobody collects cycles meanwhile.
"""

from __future__ import annotations

import traceback
import weakref
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from rules import Deidentifier, Limits, compile_plan, parse_profile, pixels, ready_made
from rules.errors import DeidentificationError, InstanceRefused, Reason
from tests import driving, encoded
from tests.fuzz.mutation import mutated, sent
from tests.fuzz.seeds import WORD, Seed, seeds

if TYPE_CHECKING:
    from random import Random

    from rules import Plan

LIMIT_S = 5.0
GROWTH = 8
"""A result may be so many times as long as the dataset was."""
GROWTH_BYTES = 1024 * 1024
LIMITS = Limits(header_bytes=1 << 20, whole_bytes=1 << 20, inflated_bytes=4 << 20)
PROFILES = ("basic", "research", "clinical-trial", "teaching", "keep-all", "nothing")
EVERYTHING = """
Base: basic
Options: [retain-safe-private, retain-longitudinal-modified-dates, clean-descriptors,
  clean-structured-content, clean-graphics, retain-patient-characteristics]
Keep: ["(0019,{SIEMENS MR HEADER}0C)", "(50xx,xxxx)", StationName]
Replace:
  PatientName: ANON^NAME
  PatientID: {pseudonym: project-a}
  AccessionNumber: {hash: 12}
  PatientAge: {age: cap-89}
  PatientBirthDate: {date: year}
  StudyDescription: {regex: "/[0-9]+/", with: N}
  InstitutionName: ""
  ReferencedStudySequence: []
  InstitutionCodeSequence:
    - {CodeValue: SITE1, CodingSchemeDesignator: 99TRIAL, CodeMeaning: Site 1}
  ReferencedSeriesSequence[*].SeriesInstanceUID: {uid: keyed}
PrivateTags: safe
Descriptors: {Allow: [Hand], Deny: [Springfield]}
BurnedIn: keep
Pixels:
  - When: {Rows: /./}
    Blank: ["0,0 2x2"]
    Test: {Matches: {Rows: 5}, Passes: {Modality: CT}}
Reject:
  - {PatientComments: /never that/}
"""
"""As many operators as fit into one profile."""


class Violation(AssertionError):
    """What must hold does not; the message says what, never of which value."""


@dataclass(frozen=True, slots=True)
class Case:
    """One mutated dataset and how it is fed."""

    seed: Seed
    data: bytes
    plan: str
    chunk_bytes: int


@cache
def plans() -> dict[str, Plan]:
    """The plans by the names of their profiles."""
    found = {name: compile_plan(ready_made(name)) for name in PROFILES}
    everything = parse_profile(EVERYTHING, name="everything", file="everything.yaml")
    return found | {"everything": compile_plan(everything)}


def case(chance: Random) -> Case:
    """The next one."""
    known = seeds()
    seed = mutated(chance.choice(known), chance, known)
    data = sent(seed, chance)
    plan = chance.choice([*plans(), "basic", "everything"])
    return Case(seed, data, plan, chance.choice((0, 0, 1 << 12, 100, 7)))


def judge(one: Case) -> str:
    """What became of it: `result`, or the name of the reason. To be called without a collector.

    Raises:
        Violation: Something that must hold does not.
    """
    with driving.within(LIMIT_S), driving.logged() as lines:
        name, file = _outcome_alone(one, one.chunk_bytes)
        if one.chunk_bytes:
            again, same = _outcome_alone(one, 0)
            if (again == "result") != (name == "result") or same != file:
                raise Violation(f"{one.plan}: cut into pieces {name}, at once {again}")
    if lines and WORD.search("".join(lines).encode()):
        raise Violation("a log line holds a word")
    if file:
        _inspect(one, file)
    return name


def _outcome_alone(one: Case, chunk_bytes: int) -> tuple[str, bytes]:
    engine = Deidentifier(
        plans()[one.plan],
        driving.pseudonyms(),
        one.seed.syntax,
        limits=LIMITS,
        blank=pixels.blank,
    )
    left = weakref.ref(engine._body)
    result = _outcome(one, engine, chunk_bytes)
    del engine
    if left() is not None:
        raise Violation(f"{one.plan}: what was held is still there after {result[0]}")
    return result


def _outcome(one: Case, engine: Deidentifier, chunk_bytes: int) -> tuple[str, bytes]:
    size = chunk_bytes or len(one.data) or 1
    made = bytearray()
    try:
        for at in range(0, len(one.data), size):
            for buffer in engine.feed(memoryview(one.data)[at : at + size]):
                made += buffer
        last, report = engine.finish()
        for buffer in last:
            made += buffer
    except (InstanceRefused, DeidentificationError) as refusal:
        _inspect_refusal(refusal)
        return refusal.reason.name, b""
    repr(report)
    return "result", bytes(made)


def _inspect_refusal(refusal: InstanceRefused | DeidentificationError) -> None:
    if not isinstance(refusal.reason, Reason):
        raise Violation("a refusal without a reason of the list")
    told = "".join(traceback.format_exception(refusal)) + repr(vars(refusal))
    if WORD.search(told.encode("utf-8", "surrogateescape")):
        raise Violation("a refusal holds a word")


def _inspect(one: Case, file: bytes) -> None:
    if len(file) > GROWTH * len(one.seed.dataset) + GROWTH_BYTES:
        raise Violation(f"{one.plan}: the result is {len(file)} bytes long")
    meta, dataset = encoded.split_part10(file)
    syntax = encoded.text_of(meta, 0x00020010)
    irregular = driving.irregularity(dataset, syntax)
    if irregular:
        raise Violation(f"{one.plan}: the result is irregular: {irregular}")

"""Inputs as files: what a guided search has kept, so that it is tried every time.

Three bytes choose transfer syntax, profile and the size of the pieces; the dataset follows.
"""

from __future__ import annotations

from pathlib import Path

from tests.encoded import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG
from tests.fuzz.engine import PROFILES, Case
from tests.fuzz.seeds import Seed

FOLDER = Path(__file__).with_name("found")
SYNTAXES = (
    *(IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, JPEG),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.70"),
)
PLANS = (*PROFILES, "everything")
PIECES = (0, 100, 7, 1 << 12)
HEAD_BYTES = 3


def case_of(data: bytes) -> Case:
    """The case that an input stands for; whatever is missing of it is zero."""
    syntax, plan, pieces = data[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0")
    dataset = data[HEAD_BYTES:]
    seed = Seed(SYNTAXES[syntax % len(SYNTAXES)], dataset)
    return Case(seed, dataset, PLANS[plan % len(PLANS)], PIECES[pieces % len(PIECES)])


def input_of(case: Case) -> bytes:
    """The input that stands for a case."""
    head = (SYNTAXES.index(case.seed.syntax), PLANS.index(case.plan), 0)
    return bytes(head) + case.data

"""What is mutated: small datasets with unique words in every place, in every transfer syntax.

Real ones that pydicom ships, and made ones. The words tell whether an error, a log line or a
file has quoted a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tests import driving, encoded, instances
from tests.encoded import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, JPEG
from tests.rules import planting

WORD = re.compile(rb"Qx[a-z]{6}zuv|QXID\d{6}|1\.2\.7\.88\.\d{6}", re.IGNORECASE)
"""Every word that `planting` makes, in whatever case an operator has left it."""
SMALL_BYTES = 16 * 1024
_PLAIN = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)


@dataclass(frozen=True, slots=True)
class Seed:
    """An instance to begin from.

    Attributes:
        syntax: UID of its transfer syntax.
        dataset: Encoded in that, but not deflated.
    """

    syntax: str
    dataset: bytes

    @property
    def form(self) -> encoded.Form:
        """How its elements are written."""
        return encoded.Form.of(self.syntax)


@cache
def seeds() -> tuple[Seed, ...]:
    """All of them; the order is the same on every machine with the same pydicom and corpus."""
    files = [path.read_bytes() for path in driving.candidates() if _is_small(path)]
    made = [_planted(file) for file in (*files, *_made())]
    return tuple(seed for seed in made if seed is not None)


def _is_small(path) -> bool:
    return path.stat().st_size <= SMALL_BYTES


def _made() -> list[bytes]:
    nested = instances.with_every_length_form()
    report = instances.report_on(1)
    plain = [instances.file(body, ts) for ts in _PLAIN for body in (nested, report)]
    return [*plain, instances.file(instances.encapsulated(), JPEG)]


def _planted(file: bytes) -> Seed | None:
    """None for one of the files that are not well formed to begin with."""
    try:
        planted = planting.plant(file, charset="ISO_IR 192")
    except encoded.Irregular:
        return None
    deflated = planted.transfer_syntax == DEFLATED
    dataset = encoded.inflate(planted.dataset) if deflated else planted.dataset
    return Seed(planted.transfer_syntax, dataset)

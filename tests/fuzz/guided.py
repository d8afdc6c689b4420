"""A coverage-guided search for datasets that break the engine; to be started by hand.

    pip install atheris
    python -m tests.fuzz.guided FOLDER [-max_total_time=170 ...]

FOLDER keeps the inputs that reach something new; what breaks a promise is left in the current one
as `crash-*`. A few that together reach most are in `found/`, which the tests try every time.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["rules"]):
    from tests.fuzz import engine

from tests import encoded
from tests.fuzz.inputs import HEAD_BYTES, PLANS, SYNTAXES, case_of, input_of
from tests.fuzz.mutation import mutated, sent
from tests.fuzz.seeds import Seed, seeds


def try_one(data: bytes) -> None:
    """One input; what must hold is asserted."""
    engine.judge(case_of(data))


def mutate(data: bytes, size_limit: int, number: int) -> bytes:
    """The next input: bytes changed as libFuzzer does it, or elements as we do."""
    chance = Random(number)  # noqa: S311 - choices of a test
    if len(data) < HEAD_BYTES or chance.random() < 0.4:
        return atheris.Mutate(data, size_limit)
    case = case_of(data)
    try:
        plain = encoded.inflate(case.data) if case.seed.syntax == encoded.DEFLATED else case.data
        seed = mutated(Seed(case.seed.syntax, plain), chance, seeds())
    except Exception:  # noqa: BLE001 - no dataset that can be taken apart any more
        return atheris.Mutate(data, size_limit)
    return (data[:HEAD_BYTES] + sent(Seed(case.seed.syntax, seed.dataset), chance))[:size_limit]


def main() -> None:
    """Fill the folder with the seeds, and search."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(one for one in seeds() if one.syntax in SYNTAXES):
        data = sent(seed, Random(number))  # noqa: S311 - as above
        case = engine.Case(seed, data, PLANS[number % len(PLANS)], 0)
        (folder / f"seed-{number}").write_bytes(input_of(case))
    atheris.Setup([sys.argv[0], "-max_len=16384", *sys.argv[1:]], try_one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

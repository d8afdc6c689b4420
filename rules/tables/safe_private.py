"""PS3.15 Table E.3.10-1: private attributes that are known to be safe in themselves."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

EDITION = "2026d"
_TABLE = f"ps315_E3.10-1_safe_private_{EDITION}.csv"


@dataclass(frozen=True, slots=True)
class Entry:
    """One private attribute, named as PS3.5 7.8 asks: by creator, not by block.

    `element` is the low byte of the element number. `vr` may be empty, where the table leaves
    it open, or name two (`OW/OB`); `vm` is as the dictionary writes it (`1`, `1-n`).
    """

    group: int
    creator: str
    element: int
    vr: str
    vm: str
    meaning: str

    @property
    def key(self) -> tuple[int, str, int]:
        """The key of `rules.plan.PrivateActions.by_creator`."""
        return self.group, self.creator, self.element


@cache
def entries() -> tuple[Entry, ...]:
    """All rows of the table, in its order."""
    text = files(__package__).joinpath(_TABLE).read_text("utf-8")
    return tuple(_entry(record) for record in csv.DictReader(text.splitlines()))


def _entry(record: dict[str, str]) -> Entry:
    return Entry(
        group=int(record["group"], 16),
        creator=record["private_creator"],
        element=int(record["element_in_block"], 16),
        vr=record["vr"],
        vm=record["vm"],
        meaning=record["meaning"],
    )

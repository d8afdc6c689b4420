"""PS3.15 Table E.1-1: which attribute is protected, and by which action."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NEWEST_EDITION = "2026d"
EDITIONS = (NEWEST_EDITION,)
_PRIVATE_ROW = "(gggg,eeee) where gggg is odd"


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of the table.

    A tag matches when `tag & mask == value`; `mask` is 0xFFFFFFFF but for repeating groups,
    of which only the even ones are meant. `vr` is empty where the table's edition is newer
    than the dictionary it was printed with; `basic` is an action code of Table E.1-1a.
    """

    value: int
    mask: int
    keyword: str
    vr: str
    basic: str


@cache
def rows(edition: str) -> tuple[Row, ...]:
    """The rows of one edition, without the row of the private attributes.

    Raises:
        KeyError: the edition is not one of `EDITIONS`.

    Source: PS3.15 Table E.1-1.
    """
    if edition not in EDITIONS:
        raise KeyError(edition)
    text = files(__package__).joinpath(f"ps315_E1-1_{edition}.csv").read_text("utf-8")
    records = csv.DictReader(text.splitlines())
    return tuple(_row(record) for record in records if record["tag"] != _PRIVATE_ROW)


def _row(record: dict[str, str]) -> Row:
    digits = record["tag_hex"]
    return Row(
        value=int(digits.replace("x", "0"), 16),
        mask=int("".join("0" if digit == "x" else "F" for digit in digits), 16),
        keyword=record["keyword"],
        vr=record["vr"],
        basic=record["basic_prof"],
    )

"""PS3.15 Table E.1-1: which attribute is protected, by which action, and what each option says.

Every edition is read into the same shape: the columns of options are named by the words that
profiles use, and an edition that lacks a column says nothing in it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NEWEST_EDITION = "2026d"
EDITIONS = ("2008", "2017c", "2021b", "2023b", "2024b", NEWEST_EDITION)
COLUMNS = {
    "retain-safe-private": "rtn_safe_priv",
    "retain-uids": "rtn_uids",
    "retain-device-identity": "rtn_dev_id",
    "retain-institution-identity": "rtn_inst_id",
    "retain-patient-characteristics": "rtn_pat_chars",
    "retain-longitudinal-full-dates": "rtn_long_full_dates",
    "retain-longitudinal-modified-dates": "rtn_long_modif_dates",
    "clean-descriptors": "clean_desc",
    "clean-structured-content": "clean_struct_cont",
    "clean-graphics": "clean_graph",
}
"""The column of each option that has one; Clean Pixel Data has none."""
_PRIVATE_ROW = "(gggg,eeee) where gggg is odd"


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute of the table.

    A tag matches when `tag & mask == value`; `mask` is 0xFFFFFFFF but for repeating groups,
    of which only the even ones are meant. `vr` is empty where the table's edition is newer
    than the dictionary it was printed with; `basic` is an action code of Table E.1-1a;
    `columns` holds the codes of options, by the word of the option, where there is one.
    """

    value: int
    mask: int
    keyword: str
    vr: str
    basic: str
    columns: Mapping[str, str]


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
        columns={word: record[column] for word, column in COLUMNS.items() if record[column]},
    )

"""PS3.15 Table E.3.4-1: what happens to a content item, by the concept that names it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EDITION = "2026d"
_TABLE = f"ps315_E3.4-1_clean_structured_content_{EDITION}.csv"
_OPTIONS = {
    "retain-uids": "retain_uids",
    "retain-device-identity": "retain_device_identity",
    "retain-institution-identity": "retain_institution_identity",
    "retain-patient-characteristics": "retain_patient_characteristics",
    "retain-longitudinal-full-dates": "retain_longitudinal_full_dates",
    "retain-longitudinal-modified-dates": "retain_longitudinal_modified_dates",
    "clean-descriptors": "clean_descriptors",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of one concept name.

    `value_types` are those that it is listed with (PS3.3 C.17.3.2.1). `basic` is an action code
    of Table E.1-1a; `columns` holds the codes of options, by the word of the option, where
    there is one.
    """

    code: str
    scheme: str
    meaning: str
    value_types: tuple[str, ...]
    basic: str
    columns: Mapping[str, str]


@cache
def concepts() -> Mapping[tuple[str, str], Row]:
    """By code value and coding scheme designator.

    A concept may be listed once for each of several value types; this is all of them at once,
    with the strictest action: see `concept` for one of them.
    """
    merged: dict[tuple[str, str], Row] = {}
    for row in _rows():
        key = row.code, row.scheme
        merged[key] = _both(merged[key], row) if key in merged else row
    return MappingProxyType(merged)


def concept(code: str, scheme: str, value_type: str) -> Row | None:
    """What is said of a concept in a content item of one value type; None if it is not listed.

    A value type that the concept is not listed with gets what all of them get.
    """
    return _by_value_type().get((code, scheme, value_type)) or concepts().get((code, scheme))


@cache
def _by_value_type() -> Mapping[tuple[str, str, str], Row]:
    return {(row.code, row.scheme, row.value_types[0]): row for row in _rows()}


@cache
def _rows() -> tuple[Row, ...]:
    text = files(__package__).joinpath(_TABLE).read_text("utf-8")
    return tuple(_row(record) for record in csv.DictReader(text.splitlines()))


def _row(record: dict[str, str]) -> Row:
    return Row(
        code=record["code_value"],
        scheme=record["coding_scheme"],
        meaning=record["code_meaning"],
        value_types=(record["value_type"],),
        basic=record["basic_prof"],
        columns={word: record[column] for word, column in _OPTIONS.items() if record[column]},
    )


def _both(one: Row, other: Row) -> Row:
    """Removal is stricter than a dummy, and an option must be granted to both."""
    shared = {word: code for word, code in one.columns.items() if other.columns.get(word) == code}
    basic = min(one.basic, other.basic, key=("X", "X/D", "D").index)
    types = one.value_types + other.value_types
    return Row(one.code, one.scheme, one.meaning, types, basic, shared)

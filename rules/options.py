"""The options of a profile: their words, columns and codes, and which of two wins on a row.

On one row of Table E.1-1 a date option that is selected wins; then cleaning (C) wins over
keeping (K); the basic action holds where no selected option says anything.

Source: PS3.15 E.3 and Table E.1-1a; PS3.16 CID 7050.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from rules.tables.codes import deidentification_methods
from rules.tables.confidentiality import COLUMNS, EDITIONS

if TYPE_CHECKING:
    from collections.abc import Collection

    from rules.tables.confidentiality import Row
    from rules.tables.structured_content import Row as ContentRow

CLEAN_PIXEL_DATA = "clean-pixel-data"
CLEAN_GRAPHICS = "clean-graphics"
CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
CLEAN_DESCRIPTORS = "clean-descriptors"
FULL_DATES = "retain-longitudinal-full-dates"
MODIFIED_DATES = "retain-longitudinal-modified-dates"
PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
DEVICE_IDENTITY = "retain-device-identity"
RETAIN_UIDS = "retain-uids"
SAFE_PRIVATE = "retain-safe-private"
INSTITUTION_IDENTITY = "retain-institution-identity"

_CODES = {
    CLEAN_PIXEL_DATA: "113101",
    CLEAN_GRAPHICS: "113103",
    CLEAN_STRUCTURED_CONTENT: "113104",
    CLEAN_DESCRIPTORS: "113105",
    FULL_DATES: "113106",
    MODIFIED_DATES: "113107",
    PATIENT_CHARACTERISTICS: "113108",
    DEVICE_IDENTITY: "113109",
    RETAIN_UIDS: "113110",
    SAFE_PRIVATE: "113111",
    INSTITUTION_IDENTITY: "113112",
}
OPTIONS = tuple(_CODES)
"""Every word that a profile may say, in the order of the standard."""

REFUSED = MappingProxyType(
    {
        "clean-recognizable-visual-features": "faces and other recognizable features are not "
        "removed here, and what is not done is not claimed: leave this option out",
    }
)
"""Options of the standard that are not offered, each with the sentence that says why."""

BASIC_PROFILE = "113100"
_DATES = (FULL_DATES, MODIFIED_DATES)
_WITHOUT_OPTIONS = EDITIONS[0]
_CLEAN, _KEEP = "C", "K"


@dataclass(frozen=True, slots=True)
class Choice:
    """An action code of Table E.1-1, and the option that it comes from; empty: the profile."""

    code: str
    option: str = ""


def action(row: Row | ContentRow, options: Collection[str]) -> Choice:
    """What a row of Table E.1-1 or E.3.4-1 asks for under some options."""
    said = [
        Choice(row.columns[option], option)
        for option in (*_DATES, *OPTIONS)
        if option in options and row.columns.get(option) in {_CLEAN, _KEEP}
    ]
    if said and said[0].option in _DATES:
        return said[0]
    cleaning = (choice for choice in said if choice.code == _CLEAN)
    return next(cleaning, said[0] if said else Choice(row.basic))


def code(option: str) -> tuple[str, str]:
    """Code value and meaning of an option, of coding scheme DCM."""
    return _CODES[option], deidentification_methods()[_CODES[option]]


def basic_profile() -> tuple[str, str]:
    """Code value and meaning of the profile itself."""
    return BASIC_PROFILE, deidentification_methods()[BASIC_PROFILE]


def conflicts(options: Collection[str], *, edition: str = EDITIONS[-1]) -> str | None:
    """Why some options cannot stand together, as a sentence; None if they can.

    Args:
        options: Words of `OPTIONS`.
        edition: Of Table E.1-1.
    """
    if FULL_DATES in options and MODIFIED_DATES in options:
        return f"{FULL_DATES} keeps the dates that {MODIFIED_DATES} changes: choose one"
    if options and edition == _WITHOUT_OPTIONS:
        return f"the table of {edition} has no options: choose a later edition, or none of them"
    return None


def has_column(option: str) -> bool:
    """Whether the table says anything for this option; Clean Pixel Data is about pixels only."""
    return option in COLUMNS

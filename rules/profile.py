"""The words of a profile, as data: what a document says, checked, before anything is compiled.

Source: PS3.15 E.1, E.3 (profiles and options).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.conditions import Condition, Pattern
    from rules.errors import Mark
    from rules.regions import PixelRule
    from rules.selectors import Selector

EDITION = "2026d"
BASES = ("basic", "none", "nothing")

SHIFT_DAYS = (-3650, -1)
SHIFT_SECONDS = (0, 0)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as the file writes it; empty is the empty value of any VR."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence: for each item its attributes by ascending tag; no items is an empty one."""

    items: tuple[tuple[tuple[int, Value], ...], ...]


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """`{pseudonym: scope}`: the keyed pseudonym of what stands there."""

    scope: str


@dataclass(frozen=True, slots=True)
class Hash:
    """`{hash: n}`: n characters of A-Z and 2-7 that depend on the key and the value."""

    characters: int


@dataclass(frozen=True, slots=True)
class KeyedUID:
    """`{uid: keyed}`: the replacement UID of what stands there."""


@dataclass(frozen=True, slots=True)
class ShiftDate:
    """`{shift: patient}`: moved by the patient's own offset."""


@dataclass(frozen=True, slots=True)
class CoarseDate:
    """`{date: year}` or `{date: month}`: the rest of the date becomes January or the first."""

    unit: str


@dataclass(frozen=True, slots=True)
class CapAge:
    """`{age: cap-89}`: older patients are as old as the cap, in years."""

    years: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """`{lookup: FILE.csv, missing: reject | remove}`: the second column for the first.

    `table` is out of `repr`: it holds values of patients.
    """

    table: Mapping[str, str] = field(repr=False)
    missing: str
    file: str


@dataclass(frozen=True, slots=True)
class Regex:
    """`{regex: PATTERN, with: TEXT}`: every occurrence is replaced, in linear time."""

    pattern: Pattern
    replacement: str


Value: TypeAlias = (
    Literal
    | Items
    | Pseudonym
    | Hash
    | KeyedUID
    | ShiftDate
    | CoarseDate
    | CapAge
    | Lookup
    | Regex
)


@dataclass(frozen=True, slots=True)
class KeepRule:
    """One line of Keep."""

    selector: Selector
    mark: Mark


@dataclass(frozen=True, slots=True)
class RemoveRule:
    """One line of Remove."""

    selector: Selector
    mark: Mark


@dataclass(frozen=True, slots=True)
class ReplaceRule:
    """One line of Replace."""

    selector: Selector
    value: Value
    mark: Mark


@dataclass(frozen=True, slots=True)
class WordLists:
    """`Descriptors:` words that free text may keep whatever they are, and words it loses."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What is done to an instance.

    Attributes:
        name: ASCII letters, digits, dots, dashes and underscores, at most 32.
        mark: Where it is defined.
        base: `basic` (PS3.15 Table E.1-1), `none` (keep all) or `nothing` (keep only Keep).
        edition: Of the table.
        options: Words of PS3.15 E.3, such as `retain-uids`, in the order of the standard.
        consistent: The scope of keyed functions; None means the profile's name.
        private: `remove`, `keep` or `safe`, for private attributes that no rule names.
        characteristics: `ignore` or `trust`: what (0008,0300) of an instance says of its own
            private elements (PS3.3 C.12.1.1.7).
        shift_days: The least and the greatest offset of dates, in days; never zero.
        shift_seconds: Likewise of times, in seconds; (0, 0) leaves times of day as they are.
        descriptors: For Clean Descriptors.
        pixels: Rules of burned-in regions; all that match add up.
        burned_in: What happens to instances that can carry burned-in text and match no rule:
            `refuse` or `keep`, by kind (`Ultrasound`, `SecondaryCapture`, `ScreenSave`,
            `Declared`); see `rules.regions`.
        reject: Conditions on the instance as received; any that matches refuses it.
    """

    name: str
    mark: Mark
    base: str = "basic"
    edition: str = EDITION
    options: tuple[str, ...] = ()
    consistent: str | None = None
    keep: tuple[KeepRule, ...] = ()
    remove: tuple[RemoveRule, ...] = ()
    replace: tuple[ReplaceRule, ...] = ()
    private: str = "remove"
    characteristics: str = "ignore"
    shift_days: tuple[int, int] = SHIFT_DAYS
    shift_seconds: tuple[int, int] = SHIFT_SECONDS
    descriptors: WordLists = WordLists()
    pixels: tuple[PixelRule, ...] = ()
    burned_in: Mapping[str, str] = field(default_factory=dict)
    reject: tuple[Condition, ...] = ()

    @property
    def passes_identity(self) -> bool:
        """Whether whatever it does not name passes as it is: say so loudly."""
        return self.base == "none"

    @property
    def scope(self) -> str:
        """The scope of keyed functions."""
        return self.consistent or self.name

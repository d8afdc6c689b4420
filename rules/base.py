"""What a profile starts from: `basic`, `none` or `nothing`.

- basic: PS3.15 Table E.1-1 at every depth, with what the options of the profile say of its rows.
  Compound actions go by the type of the attribute where that is known. Beyond the table there is
  a safety net: the rest of overlay and curve groups, trailing padding and what the dictionary
  does not know go; UIDs that are no kind of thing are replaced; names, dates and times get what
  listed ones get. What stays must be what the dictionary says it is.
- none: keeps everything.
- nothing: removes everything but what makes an instance readable and referable.

Group lengths, command and file meta elements never belong into a dataset: they always go.

Source: PS3.15 E.1.1, E.2, E.3; PS3.5 7.2; PS3.10 7.5 (trailing padding).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rules.cleaners import DATE_VRS, cleaned, unlisted_date, unlisted_uid
from rules.dummies import dummy
from rules.operators import (
    DESCEND,
    DUMMY_TEXT,
    FOLLOW,
    KEEP,
    KEEP_FITTING,
    REMOVE,
    Dummy,
    Empty,
    Pseudonym,
    RemapUID,
)
from rules.options import CLEAN_GRAPHICS, CLEAN_STRUCTURED_CONTENT, action
from rules.resolution import ANYWHERE, resolved, why
from rules.tables.confidentiality import Row, rows
from rules.tables.dictionary import is_known, keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.cleaners import Settings
    from rules.operators import Operator
    from rules.resolution import Place

PATIENT_ID = 0x00100020
_EXACT = 0xFFFFFFFF
_NEVER_IN_A_DATASET = (0x0000, 0x0002)
_TRAILING_PADDING = 0xFFFCFFFC
_GRAPHICS = (0x50, 0x60)  # the first bytes of curve and overlay groups
_GONE = {_TRAILING_PADDING: "trailing padding may hold anything"}
# UIDs of what an instance is or is encoded in, by parts of the keyword: they name no instance.
_KINDS = (
    *("Class", "TransferSyntax", "CodingScheme", "ContextUID", "ContextGroup"),
    *("MappingResource", "CreatorVersion", "Template"),
)
# A frame of reference is shared with instances that a request does not touch, even where its UID
# happens to be that of a study.
_FRAME = "FrameOfReference"
_READABLE = (0x00080005, 0x00080016)
_REFERABLE = (0x00080018, 0x0020000D, 0x0020000E)
_NEEDED = "every instance needs it"

_UNFORMATTED_TEXT = 0x00700006
CLEANED_ANNOTATIONS = {0x00700008: CLEAN_GRAPHICS, 0x0040B020: CLEAN_STRUCTURED_CONTENT}
"""Sequences of annotations that an option keeps, so that it must clean the text in them:
Text Object Sequence and Waveform Annotation Sequence (PS3.3 C.10.5, C.10.10)."""

Reasoned = tuple["Operator", str]


@dataclass(frozen=True, slots=True)
class Base:
    """A base under some options, for one place of the dataset.

    Attributes:
        name: `basic`, `none` or `nothing`.
        edition: Of the table.
        using: Options and settings of the profile.
        rows: The rows of the table for single tags; none but for `basic`.
        place: Where the attributes stand that it is asked about.
        keeps_unknown: Whether the profile keeps what the dictionary does not know.
    """

    name: str
    edition: str
    using: Settings
    rows: Mapping[int, Row]
    place: Place = ANYWHERE
    keeps_unknown: bool = False

    @property
    def keeps_unnamed(self) -> bool:
        """Whether everything stays that nothing names."""
        return self.name == "none"

    @property
    def named(self) -> tuple[int, ...]:
        """The tags that it has something to say of, ascending."""
        needed = (*_READABLE, *_REFERABLE) if self.name == "nothing" else ()
        return tuple(sorted((*self.rows, *needed)))

    def at(self, place: Place) -> Base:
        """The same base in another place."""
        return replace(self, place=place)

    def action(self, tag: int) -> Reasoned:
        """The operator for a standard attribute, and why."""
        if tag & 0xFFFF == 0 or tag >> 16 in _NEVER_IN_A_DATASET:
            return REMOVE, "never part of a dataset"
        if self.name == "basic":
            return self._basic(tag)
        if self.keeps_unnamed:
            return self._kept(tag)
        return self._bare(tag)

    def protects(self, tag: int) -> bool:
        """Whether the base changes or removes this attribute."""
        return self.action(tag)[0] not in (KEEP, KEEP_FITTING, DESCEND, FOLLOW)

    def _kept(self, tag: int) -> Reasoned:
        if self.using.follows and is_reference(tag) and _FRAME not in keyword_of(tag):
            return FOLLOW, "references follow"
        return kept(tag), "base none"

    def _bare(self, tag: int) -> Reasoned:
        if tag in _READABLE:
            return kept(tag), _NEEDED
        if tag in _REFERABLE:
            return RemapUID(self.using.scope), _NEEDED
        return REMOVE, "base nothing"

    def _basic(self, tag: int) -> Reasoned:
        option = CLEANED_ANNOTATIONS.get(self.place.sequence or 0)
        if tag == _UNFORMATTED_TEXT and option in self.using.options:
            operator = cleaned(tag, "ST", option, Dummy(), self.using)
            return operator or REMOVE, f"{option}, inside {self.place.name}"
        row = self.rows.get(tag)
        return self._listed(row) if row else self._beyond_the_table(tag)

    def _listed(self, row: Row) -> Reasoned:
        """A row of the table, under the options."""
        tag, choice = row.value, action(row, self.using.options)
        basic = self._without_options(row)
        if not choice.option:
            return basic, f"{self._table}, {row.basic}{why(row.basic, tag, self.place)}"
        if choice.code == "K":
            return fitting(tag), f"{choice.option}, K"
        operator = cleaned(tag, _vr(row), choice.option, basic, self.using)
        if operator is None:
            return basic, f"{choice.option}, C without a cleaner for {_vr(row)}: {row.basic}"
        return operator, f"{choice.option}, C"

    @property
    def _table(self) -> str:
        return f"PS3.15 E.1-1 {self.edition}"

    def _without_options(self, row: Row) -> Operator:
        """The basic action of a row in this place."""
        tag, scope = row.value, self.using.scope
        if tag == PATIENT_ID:  # Z/D, and without it nothing can be grouped by patient
            return Pseudonym(scope, when_empty=DUMMY_TEXT)
        match resolved(row.basic, tag, self.place):
            case "X":
                return REMOVE
            case "Z":
                return Empty()
            case "U":
                return RemapUID(scope) if _vr(row) == "UI" else fitting(tag)
        return dummy(tag, _vr(row), row.keyword, scope)

    def _beyond_the_table(self, tag: int) -> Reasoned:
        """The safety net."""
        if tag >> 24 in _GRAPHICS or tag == _TRAILING_PADDING:
            return REMOVE, _GONE.get(tag, "no curve or overlay without its data")
        if not is_known(tag):
            operator = KEEP if self.keeps_unknown else REMOVE
            return operator, "not in the data dictionary: as private elements"
        vr = vr_of(tag)
        if is_reference(tag):
            return unlisted_uid(self.using), "safety net: every reference is protected"
        if vr == "PN":
            return Dummy(), "safety net: PN outside the table"
        if vr in DATE_VRS:
            return unlisted_date(tag, self.using), f"safety net: {vr} outside the table"
        return fitting(tag), "not in the table"

    def beyond(self) -> tuple[tuple[str, Operator, str], ...]:
        """What happens outside the table: of what, what, and why."""
        if self.name != "basic":
            others = KEEP if self.keeps_unnamed else REMOVE
            return (("everything else", others, f"base {self.name}"),)
        unknown = KEEP if self.keeps_unknown else REMOVE
        return (
            ("curves, overlays", REMOVE, "no curve or overlay without its data"),
            ("trailing padding", REMOVE, "trailing padding may hold anything"),
            ("not in the data dictionary", unknown, "as private elements"),
            ("UI outside the table", unlisted_uid(self.using), "safety net, kinds stay"),
            ("PN outside the table", Dummy(), "safety net"),
            ("DA DT TM outside the table", unlisted_date(0, self.using), "safety net"),
            ("everything else", KEEP_FITTING, "not in the table"),
        )


def base_of(name: str, edition: str, using: Settings, *, keeps_unknown: bool = False) -> Base:
    """The base a profile names, one of `basic`, `none` and `nothing`, wherever it is asked."""
    listed = rows(edition) if name == "basic" else ()
    exact = {row.value: row for row in listed if row.mask == _EXACT}
    return Base(name, edition, using, exact, keeps_unknown=keeps_unknown)


def is_reference(tag: int) -> bool:
    """Whether a standard attribute is a UID that names a thing, not a kind of thing."""
    return vr_of(tag) == "UI" and not any(kind in keyword_of(tag) for kind in _KINDS)


def kept(tag: int) -> Operator:
    """Keeping: a sequence is kept with the rules applied inside (PS3.15 E.1.1, action K)."""
    return DESCEND if vr_of(tag) == "SQ" else KEEP


def fitting(tag: int) -> Operator:
    """Keeping what is what the dictionary says it is."""
    return DESCEND if vr_of(tag) == "SQ" else KEEP_FITTING


def _vr(row: Row) -> str:
    """One VR; where the dictionary leaves a choice, the first."""
    return (row.vr or vr_of(row.value) or "UN").split(" or ")[0]

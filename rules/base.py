"""What a profile starts from: `basic`, `none` or `nothing`.

- basic: PS3.15 Table E.1-1 at every depth. Compound actions take the reading that conforms
  whatever the type of the attribute: the rightmost of D, Z and U; X alone removes. Beyond the
  table it removes the rest of overlay and curve groups, trailing padding, and what the
  dictionary does not know, and replaces the UIDs of whatever is not a kind of thing.
- none: keeps everything.
- nothing: removes everything but what makes an instance readable and referable.

Group lengths, command and file meta elements never belong into a dataset: they always go.

Source: PS3.15 E.1.1, E.2; PS3.5 7.2; PS3.10 7.5 (trailing padding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.operators import (
    DESCEND,
    DUMMY_TEXT,
    KEEP,
    REMOVE,
    Dummy,
    Empty,
    Pseudonym,
    RemapUID,
    dummy_items,
)
from rules.tables.confidentiality import Row, rows
from rules.tables.dictionary import is_known, keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.operators import Operator

PATIENT_ID = 0x00100020
_EXACT = 0xFFFFFFFF
_NEVER_IN_A_DATASET = (0x0000, 0x0002)
_TRAILING_PADDING = 0xFFFCFFFC
_CURVES, _OVERLAYS = 0x50, 0x60
# UIDs of what an instance is or is encoded in, by parts of the keyword: they name no instance.
_KINDS = (
    *("Class", "TransferSyntax", "CodingScheme", "ContextUID", "ContextGroup"),
    *("MappingResource", "CreatorVersion", "Template"),
)
_READABLE = (0x00080005, 0x00080016)
_REFERABLE = (0x00080018, 0x0020000D, 0x0020000E)

Reasoned = tuple["Operator", str]


@dataclass(frozen=True, slots=True)
class Base:
    """A base, for one scope of keyed functions.

    `rows` is what it says of single tags, each with its reason; `keeps_unnamed` is whether
    other attributes stay, private ones included.
    """

    name: str
    scope: str
    rows: Mapping[int, Reasoned]
    keeps_unnamed: bool

    def action(self, tag: int) -> Reasoned:
        """The operator for a standard attribute, and why."""
        if tag & 0xFFFF == 0 or tag >> 16 in _NEVER_IN_A_DATASET:
            return REMOVE, "never part of a dataset"
        if tag in self.rows:
            return self.rows[tag]
        if self.keeps_unnamed:
            return kept(tag), f"base {self.name}"
        if self.name == "basic":
            return _beyond_the_table(tag, self.scope)
        return REMOVE, f"base {self.name}"

    def protects(self, tag: int) -> bool:
        """Whether the base changes or removes this attribute."""
        return self.action(tag)[0] not in (KEEP, DESCEND)


def base_of(name: str, edition: str, scope: str) -> Base:
    """The base a profile names, one of `basic`, `none` and `nothing`."""
    if name == "basic":
        return Base(name, scope, _table(edition, scope), keeps_unnamed=False)
    if name == "none":
        return Base(name, scope, {}, keeps_unnamed=True)
    reason = "every instance needs it"
    needed = {tag: (kept(tag), reason) for tag in _READABLE}
    uids = {tag: (RemapUID(scope), reason) for tag in _REFERABLE}
    return Base(name, scope, needed | uids, keeps_unnamed=False)


def kept(tag: int) -> Operator:
    """Keeping: a sequence is kept with the rules applied inside (PS3.15 E.1.1, action K)."""
    return DESCEND if vr_of(tag) == "SQ" else KEEP


def _beyond_the_table(tag: int, scope: str) -> Reasoned:
    if tag >> 24 in (_CURVES, _OVERLAYS):
        return REMOVE, "no curve or overlay without its data"
    if tag == _TRAILING_PADDING:
        return REMOVE, "trailing padding may hold anything"
    if not is_known(tag):
        return REMOVE, "not in the data dictionary"
    if vr_of(tag) == "UI" and not any(kind in keyword_of(tag) for kind in _KINDS):
        return RemapUID(scope), "every reference to an instance is protected"
    return kept(tag), "not in the table"


def _table(edition: str, scope: str) -> dict[int, Reasoned]:
    reason = f"PS3.15 E.1-1 {edition}"
    return {
        row.value: (_operator(row, scope), f"{reason}, {row.basic}")
        for row in rows(edition)
        if row.mask == _EXACT
    }


def _operator(row: Row, scope: str) -> Operator:
    """The always-conformant reading of an action code."""
    if row.value == PATIENT_ID:
        return Pseudonym(scope, when_empty=DUMMY_TEXT)
    match row.basic.rstrip("*")[-1]:
        case "X":
            return REMOVE
        case "Z":
            return Empty()
        case "U":
            return RemapUID(scope) if row.vr == "UI" else kept(row.value)
    if row.vr == "SQ":
        return dummy_items(row.keyword)
    return RemapUID(scope, never_empty=True) if row.vr == "UI" else Dummy()

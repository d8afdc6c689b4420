"""The marks of a de-identified instance, and how much they may claim.

(0012,0064) names the Basic Application Confidentiality Profile only where no rule keeps what
the table protects, and an option only where it is selected. What the marks of an earlier
de-identification say stays. A profile of base `none` makes no claim at all.

Source: PS3.15 E.1.1, E.2, E.3; PS3.3 C.7.1.1, C.12.1; PS3.16 CID 7050.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.operators import AppendCodes, AppendText, constant
from rules.options import FULL_DATES, MODIFIED_DATES, basic_profile, code
from rules.tables.dictionary import vr_of

if TYPE_CHECKING:
    from rules.operators import Operator

PATIENT_IDENTITY_REMOVED = 0x00120062
DEIDENTIFICATION_METHOD = 0x00120063
DEIDENTIFICATION_METHOD_CODES = 0x00120064
LONGITUDINAL_TEMPORAL_INFORMATION = 0x00280303

_LO_CHARACTERS = 64
_TEMPORAL_VRS = ("DA", "DT", "TM")


@dataclass(frozen=True, slots=True)
class Claims:
    """What the marks of a profile are made from.

    Attributes:
        profile: Its name.
        base: `basic`, `none` or `nothing`.
        edition: Of the table.
        options: Words of `rules.options`, in the order of the standard.
        exposed: Tags that the table protects and the profile's own rules keep.
        keeps_private: Whether private elements may stay that no option keeps.
    """

    profile: str
    base: str
    edition: str
    options: tuple[str, ...]
    exposed: tuple[int, ...]
    keeps_private: bool


def marks(claims: Claims) -> dict[int, Operator]:
    """The operators that write the marks, by tag."""
    if claims.base == "none":
        return {}
    marked: dict[int, Operator] = {
        PATIENT_IDENTITY_REMOVED: constant("CS", "YES"),
        DEIDENTIFICATION_METHOD: AppendText(_method(claims)),
    }
    if claims.base == "basic":
        marked[LONGITUDINAL_TEMPORAL_INFORMATION] = constant("CS", _dates(claims))
        codes = _codes(claims)
        if codes:
            marked[DEIDENTIFICATION_METHOD_CODES] = AppendCodes(codes)
    return marked


def _codes(claims: Claims) -> tuple[tuple[str, str], ...]:
    keeps_more = bool(claims.exposed) or claims.keeps_private
    profile = () if keeps_more else (basic_profile(),)
    return (*profile, *(code(option) for option in claims.options))


def _dates(claims: Claims) -> str:
    """The term of (0028,0303); a rule that keeps one date as it is speaks for all of them."""
    is_exposed = any(vr_of(tag) in _TEMPORAL_VRS for tag in claims.exposed)
    if is_exposed or FULL_DATES in claims.options:
        return "UNMODIFIED"
    return "MODIFIED" if MODIFIED_DATES in claims.options else "REMOVED"


def _method(claims: Claims) -> str:
    """One LO value: ASCII, no backslash, at most 64 characters."""
    text = f"Anonode: {claims.profile}, {claims.base} {claims.edition}"
    plain = text.encode("ascii", "replace").decode().replace("\\", "?")
    return plain[:_LO_CHARACTERS].strip()

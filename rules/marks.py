"""The marks of a de-identified instance, and how much they may claim.

(0012,0064) names the Basic Application Confidentiality Profile only where no rule keeps what
the table protects. A profile of base `none` makes no claim at all.

Source: PS3.15 E.1.1, E.2; PS3.3 C.7.1.1, C.12.1; PS3.16 CID 7050.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.operators import AppendCode, AppendText, constant
from rules.tables.dictionary import vr_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.operators import Operator

PATIENT_IDENTITY_REMOVED = 0x00120062
DEIDENTIFICATION_METHOD = 0x00120063
DEIDENTIFICATION_METHOD_CODES = 0x00120064
LONGITUDINAL_TEMPORAL_INFORMATION = 0x00280303

_LO_CHARACTERS = 64
_TEMPORAL_VRS = ("DA", "DT", "TM")


def marks(
    profile: str, base: str, edition: str, exposed: Iterable[int], *, keeps_private: bool
) -> dict[int, Operator]:
    """The operators that write the marks, by tag.

    Args:
        profile: Its name.
        base: `basic`, `none` or `nothing`.
        edition: Of the table.
        exposed: Tags that the table protects and the profile's rules keep.
        keeps_private: Whether any private element may stay.
    """
    if base == "none":
        return {}
    marked: dict[int, Operator] = {
        PATIENT_IDENTITY_REMOVED: constant("CS", "YES"),
        DEIDENTIFICATION_METHOD: AppendText(_method(profile, base, edition)),
    }
    if base == "basic":
        exposed = tuple(exposed)
        dated = any(vr_of(tag) in _TEMPORAL_VRS for tag in exposed)
        marked[LONGITUDINAL_TEMPORAL_INFORMATION] = constant(
            "CS", "UNMODIFIED" if dated else "REMOVED"
        )
        if not exposed and not keeps_private:
            marked[DEIDENTIFICATION_METHOD_CODES] = AppendCode(
                "113100", "Basic Application Confidentiality Profile"
            )
    return marked


def _method(profile: str, base: str, edition: str) -> str:
    """One LO value: ASCII, no backslash, at most 64 characters."""
    text = f"Anonode: {profile}, {base} {edition}"
    plain = text.encode("ascii", "replace").decode().replace("\\", "?")
    return plain[:_LO_CHARACTERS].strip()

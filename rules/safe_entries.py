"""The private elements that Retain Safe Private lets stay, each under a guard.

An entry of Table E.3.10-1 holds for elements of the VR and VM that the table gives; entries
without a VR cannot be guarded and do not count. Bytes that only their maker can read do not stay
by this table: a profile that wants them names them under Keep.

Source: PS3.15 E.3.10 and Table E.3.10-1; PS3.3 C.12.1.1.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.cleaners import private_operator
from rules.descriptors import CleanText
from rules.operators import Empty
from rules.private import Characteristics, Guarded
from rules.tables.safe_private import entries

if TYPE_CHECKING:
    from rules.cleaners import Settings
    from rules.operators import Operator
    from rules.profile import Profile


def safe_entries(using: Settings) -> dict[tuple[int, str, int], Operator]:
    """Entries for `PrivateActions.by_creator`."""
    guarded: dict[tuple[int, str, int], Operator] = {}
    for entry in entries():
        operators = [private_operator(vr, using) for vr in entry.vr.split("/") if vr]
        if operators and operators[0] is not None:
            guarded[entry.key] = Guarded(entry.vr, entry.vm, operators[0])
    return guarded


def characteristics(profile: Profile, using: Settings) -> Characteristics | None:
    """What an instance may say of its own private elements, where the profile trusts it."""
    if profile.characteristics != "trust":
        return None
    return Characteristics(using.scope, CleanText(using.lists, Empty()))

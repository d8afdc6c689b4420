"""What C, a date option and a retained UID mean for an attribute: the operator, if there is one.

Cleaning asks for a cleaner that fits the VR; where there is none the basic action holds, which is
always safe. Private elements that may stay get by VR what the same option gives to others.

Source: PS3.15 E.3.1-E.3.11 and Table E.1-1a; PS3.3 C.12.1 (Timezone Offset From UTC).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rules.dates import Shift, partner_of
from rules.descriptors import CleanText, Lists
from rules.operators import (
    DESCEND,
    KEEP,
    KEEP_FITTING,
    Dummy,
    Empty,
    Pseudonym,
    RemapUID,
    Verdict,
)
from rules.options import DEVICE_IDENTITY, FULL_DATES, MODIFIED_DATES, RETAIN_UIDS, SAFE_PRIVATE
from rules.values import TEXT_VRS

if TYPE_CHECKING:
    from rules.operators import Context, Operator
    from rules.profile import Profile

DATE_VRS = frozenset({"DA", "DT", "TM"})
OPAQUE_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs of bytes that only their maker can read."""
TIMEZONE_OFFSET = 0x00080201
_OFFSET = re.compile(rb"[+-](?:0[0-9]|1[0-4])[0-5][0-9] ?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What cleaners take from a profile.

    Attributes:
        scope: Of keyed functions.
        options: Words of `rules.options`.
        lists: Of Clean Descriptors.
        days: Least and greatest offset of dates.
        seconds: Likewise of times.
        follows: Whether references follow UIDs that get a new name, where a base keeps them.
    """

    scope: str
    options: frozenset[str]
    lists: Lists
    days: tuple[int, int]
    seconds: tuple[int, int]
    follows: bool = False


def settings(profile: Profile) -> Settings:
    """Of a profile."""
    words = profile.descriptors
    lists = Lists(_folded(words.allow), _folded(words.deny))
    safe = {SAFE_PRIVATE} if profile.private == "safe" else set()
    options = frozenset({*profile.options, *safe})
    return Settings(profile.scope, options, lists, profile.shift_days, profile.shift_seconds)


def cleaned(tag: int, vr: str, option: str, basic: Operator, using: Settings) -> Operator | None:
    """C of an attribute under an option; None where no cleaner fits its VR.

    Args:
        tag: Of the attribute.
        vr: Of the dictionary.
        option: That asks for it.
        basic: The action without the option: what cannot be cleaned gets it, or becomes empty.
        using: The profile's settings.
    """
    if vr == "SQ":
        return DESCEND
    if option == MODIFIED_DATES:
        if tag == TIMEZONE_OFFSET:
            return KeepOffset(instead_of(basic))
        return shifted(tag, basic, using) if vr in DATE_VRS else None
    if option == DEVICE_IDENTITY:
        return Pseudonym(using.scope) if vr == "AE" else None
    return CleanText(using.lists, instead_of(basic)) if vr in TEXT_VRS else None


def shifted(tag: int, basic: Operator, using: Settings) -> Operator:
    """A date or time moved by the patient's offset."""
    return Shift(using.scope, using.days, using.seconds, partner_of(tag), instead_of(basic))


def instead_of(basic: Operator) -> Operator:
    """What takes the place of a value that cannot be cleaned; what would go becomes empty."""
    return Empty() if isinstance(basic, Verdict) else basic


def unlisted_date(tag: int, using: Settings) -> Operator:
    """A date or time that no table names."""
    if FULL_DATES in using.options:
        return KEEP_FITTING
    return shifted(tag, Dummy(), using) if MODIFIED_DATES in using.options else Dummy()


def unlisted_uid(using: Settings) -> Operator:
    """A UID that no table names."""
    return KEEP_FITTING if RETAIN_UIDS in using.options else RemapUID(using.scope)


def private_operator(vr: str, using: Settings) -> Operator | None:
    """What a private element that is said to be safe gets by its VR; None: it does not stay.

    Bytes that only their maker can read are not let through by their name alone.
    """
    if vr in OPAQUE_VRS:
        return None
    if vr == "SQ":
        return DESCEND
    if vr == "UI":
        return _unguarded(unlisted_uid(using))
    if vr in DATE_VRS:
        return _unguarded(unlisted_date(0, using))
    return CleanText(using.lists, Empty()) if vr in TEXT_VRS else KEEP


def _unguarded(operator: Operator) -> Operator:
    """No dictionary gives a private element a VR that its value could fit."""
    return KEEP if operator is KEEP_FITTING else operator


def _folded(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words)


@dataclass(frozen=True, slots=True)
class KeepOffset:
    """C of Timezone Offset From UTC: an offset says no more than where on Earth it is noon."""

    otherwise: Operator
    code: str = "C"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "keep, if it is an offset from UTC"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        if _OFFSET.fullmatch(value):
            return value
        return self.otherwise.apply(vr, value, context)

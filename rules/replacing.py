"""The operator of each value that Replace can give.

Source: PS3.5 6.2 (what each VR can hold).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.dates import Coarsen, Shift, partner_of
from rules.fitting import choices_of
from rules.functions import CapAge, HashText, LookUp, Substitute
from rules.operators import Empty, Items, Pseudonym, RemapUID, literal
from rules.private import private_vr
from rules.profile import CapAge as CapAgeValue
from rules.profile import CoarseDate, Hash, KeyedUID, Literal, Lookup, Regex, ShiftDate
from rules.profile import Items as ItemsValue
from rules.profile import Pseudonym as PseudonymValue
from rules.selectors import PrivateTag, TagPattern
from rules.tables.dictionary import vr_of
from rules.values import DATA_PREFIX, check

if TYPE_CHECKING:
    from rules.operators import Operator
    from rules.profile import Profile, Value
    from rules.selectors import Selector

_UNKNOWN_VR = "UN"


def operator_of(vr: str, value: Value, profile: Profile, selector: Selector) -> Operator:
    """The operator of a value.

    Args:
        vr: Of the attribute; UN where only the instance knows it.
        value: As the profile has it.
        profile: Whose value it is.
        selector: Of the attribute.
    """
    match value:
        case Literal(text):
            return literal(vr, text) if vr != "SQ" else Empty()
        case ItemsValue():
            return _items(value, profile, selector)
        case ShiftDate():
            return _shift(profile, selector)
    return _keyed(value, profile.scope) or _plain(value)


def vr_to_write(tag: int) -> str:
    """The VR of the dictionary; where it leaves a choice, the first."""
    return (vr_of(tag) or _UNKNOWN_VR).split(" or ")[0]


def target_vr(selector: Selector, value: Value) -> str:
    """The VR that a value is written with where a selector names it."""
    target = selector.target
    if isinstance(target, PrivateTag):
        return private_vr_to_write(target, value.text if isinstance(value, Literal) else "")
    return vr_to_write(target.value)


def private_vr_to_write(target: PrivateTag, text: str) -> str:
    """The VR of the private dictionary, the first of several; else one that holds the text.

    Bytes are UN, a line of at most 64 characters is LO, and longer text UT.
    """
    known = private_vr(target.group, target.creator, target.element)
    if known:
        return choices_of(known[0])[0]
    if text.startswith(DATA_PREFIX):
        return _UNKNOWN_VR
    try:
        check("LO", text)
    except ValueError:
        return "UT"
    return "LO"


def _keyed(value: Value, scope: str) -> Operator | None:
    """Functions that depend on the key."""
    match value:
        case PseudonymValue(named):
            return Pseudonym(named)
        case Hash(characters):
            return HashText(scope, characters)
        case KeyedUID():
            return RemapUID(scope)
    return None


def _plain(value: Value) -> Operator:
    """Functions of the value alone."""
    match value:
        case CoarseDate(unit):
            return Coarsen(unit, Empty())
        case CapAgeValue(years):
            return CapAge(years)
        case Lookup(table, missing, file):
            return LookUp(table, missing, file)
        case Regex(pattern, replacement):
            return Substitute(pattern, replacement)
    raise TypeError(type(value).__name__)


def _items(value: ItemsValue, profile: Profile, selector: Selector) -> Items:
    items = tuple(
        tuple(
            (tag, vr_to_write(tag), operator_of(vr_to_write(tag), inner, profile, selector))
            for tag, inner in sorted(one, key=_tag)
        )
        for one in value.items
    )
    return Items(items, f"{len(items)} items" if items else "no items")


def _tag(pair: tuple[int, Value]) -> int:
    return pair[0]


def _shift(profile: Profile, selector: Selector) -> Shift:
    """By the patient's offset, a time along with the date it belongs to."""
    target = selector.target
    is_one = isinstance(target, TagPattern) and target.exact
    partner = partner_of(target.value) if is_one and isinstance(target, TagPattern) else 0
    days, seconds = profile.shift_days, profile.shift_seconds
    return Shift(profile.scope, days, seconds, partner, Empty())

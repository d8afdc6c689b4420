"""What stands in a result as it stood in its original, in the same place.

An option of PS3.15 that a result claims may keep an attribute. Without it, what Table E.1-1
names, and any person name and date, should be another value or none.

Source: PS3.15 E.2, E.3 and Table E.1-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scp.proof.judging import Severity
from scp.proof.leaves import LONG_TEXT_VRS
from scp.proof.traces import SAYS_NOBODY, Kind, dates_in, is_specific, kind_of_text, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.proof.judging import Claims
    from scp.proof.leaves import Leaf, Place
    from scp.proof.second_reader import Reading

_DATE_VRS = frozenset(("DA", "DT"))
_TEXTS = LONG_TEXT_VRS | frozenset(("AE", "LO", "PN", "SH", "UC"))


def texts_of(reading: Reading) -> dict[Place, tuple[str, ...]]:
    """The values of each place, in the order of the items that they stand in."""
    found: dict[Place, list[str]] = {}
    for leaf in reading.leaves:
        if leaf.texts:
            found.setdefault(leaf.place, []).extend(leaf.texts)
    return {place: tuple(texts) for place, texts in found.items()}


def in_place(
    original: Reading, result: Reading, claims: Claims
) -> Iterator[tuple[Leaf, Severity]]:
    """Elements of a result that hold what they held and should not."""
    before, after = texts_of(original), texts_of(result)
    for leaf in result.leaves:
        texts = _same(before.get(leaf.place, ()), after.get(leaf.place, ()), leaf.texts)
        severity = _severity(leaf, texts, claims) if texts else None
        if severity:
            yield leaf, severity


def _same(
    before: tuple[str, ...], after: tuple[str, ...], own: tuple[str, ...]
) -> tuple[str, ...]:
    """Those of an element's values that did not change, position by position if they can."""
    if len(before) == len(after):
        unchanged = {old for old, new in zip(before, after, strict=True) if old == new}
    else:
        unchanged = set(before)
    return tuple(text for text in own if text in unchanged)


def _severity(leaf: Leaf, texts: tuple[str, ...], claims: Claims) -> Severity | None:
    if leaf.vr in _DATE_VRS:
        is_said = claims.keeps_dates or claims.retains_date(leaf.tag)
        if is_said or not any(dates_in(text) for text in texts):
            return None
        return Severity.LEAK if claims.strict else Severity.POSSIBLE
    is_listed = leaf.vr == "PN" or row_of(leaf.tag) is not None
    is_protected = is_listed and not claims.retains(leaf.tag)
    if leaf.vr not in _TEXTS or not is_protected or _is_nobodys(texts):
        return None
    folded = [text.casefold() for text in texts]
    is_sure = leaf.vr == "PN" or any(is_specific(Kind.IDENTIFIER, text) for text in folded)
    if not claims.strict:
        return Severity.POSSIBLE if is_sure and kind_of_text(leaf) is Kind.IDENTIFIER else None
    return Severity.LEAK if is_sure else Severity.POSSIBLE


def _is_nobodys(texts: tuple[str, ...]) -> bool:
    return all(text.casefold() in SAYS_NOBODY for text in texts)

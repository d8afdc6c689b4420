"""Whether what refers to an instance of the set still does, though every UID is another.

A reference may go with its element; one that stays has to lead somewhere, unless its target
has no result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scp.proof.pairing import Card


@dataclass(frozen=True, slots=True)
class Resolved:
    """How many references to instances of the set there are, on either side."""

    before: int
    after: int


def resolved(originals: Sequence[Card], results: Sequence[Card]) -> Resolved:
    """Count the references that lead to an instance of their own set."""
    return Resolved(_count(originals), _count(results))


def broken(
    originals: Sequence[Card], results: Sequence[Card], pairs: Mapping[int, int]
) -> Iterator[tuple[Card, str, int]]:
    """Results, tags and numbers of references that led somewhere and lead nowhere now."""
    targets = {one.uid for one in originals if one.uid}
    reached = {originals[number].uid for number in pairs}
    there = {one.uid for one in results if one.uid}
    for number, result_number in pairs.items():
        original, result = originals[number], results[result_number]
        for place, uids in original.referenced.items():
            left = result.referenced.get(place, ())
            if not any(uid in targets for uid in uids) or not left:
                continue
            may_be_lost = sum(uid not in targets or uid not in reached for uid in uids)
            lost = sum(uid not in there for uid in left)
            if lost > may_be_lost:
                yield result, result.tags[place], lost - may_be_lost


def _count(cards: Sequence[Card]) -> int:
    there = {one.uid for one in cards if one.uid}
    return sum(uid in there for one in cards for uids in one.referenced.values() for uid in uids)

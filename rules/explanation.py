"""Why a plan does what it does: the lines that `check` prints.

First the profile's own rules, then the base with its options row by row, then private elements,
then what holds for everything that nobody named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import tag_text
from rules.operators import KEEP, REMOVE
from rules.plan import Line
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.base import Base
    from rules.nodes import Node
    from rules.operators import Operator
    from rules.profile import Profile

_PRIVATE = "(gggg,eeee), gggg odd"


def lines(
    profile: Profile, root: Node, base: Base, entries: Mapping[tuple[int, str, int], Operator]
) -> Iterator[Line]:
    """The explanation of a profile for one place.

    Args:
        profile: Of the file.
        root: Its rules.
        base: In the place.
        entries: Private elements that an option lets stay.
    """
    for rule in root.rules():
        why = f"{rule.verb}, {rule.mark}"
        yield Line(rule.selector.text, rule.keyword, rule.operator, why)
    for tag in base.named:
        if tag not in root.exact:
            yield Line(tag_text(tag), keyword_of(tag), *base.action(tag))
    yield from _private(profile, entries)
    for what, operator, why in base.beyond():
        yield Line("", what, operator, why)


def _private(profile: Profile, entries: Mapping[tuple[int, str, int], Operator]) -> Iterator[Line]:
    for (group, creator, number), operator in sorted(entries.items(), key=_key):
        selector = f"({group:04X},{{{creator}}}{number:02X})"
        yield Line(selector, "", operator, "retain-safe-private, PS3.15 E.3.10-1")
    if profile.characteristics == "trust":
        yield Line(_PRIVATE, "said to be safe", KEEP, "as (0008,0300) of the instance says")
    otherwise = KEEP if profile.private == "keep" else REMOVE
    yield Line(_PRIVATE, "private elements", otherwise, f"PrivateTags: {profile.private}")


def _key(entry: tuple[tuple[int, str, int], Operator]) -> tuple[int, str, int]:
    return entry[0]

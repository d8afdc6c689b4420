"""Private elements that are added to a level: in which block, and with which creator.

- An element goes into a block that its creator has reserved already, the wanted one first.
- Otherwise its creator reserves a block: the wanted one, or the first from 10 that is free.
- A block is free when nothing stands in it, or when everything in it goes, creator included.
- The same elements and the same level give the same places.

Source: PS3.5 7.8.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.elements import padded
from rules.operators import REMOVE, Constant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.operators import Operator
    from rules.plan import PrivateActions
    from rules.private import Addition

_FIRST, _LAST = 0x10, 0xFF
_GROUP = 0xFFFF0000

Insert = tuple[int, str, "Operator"]


def reserved(
    additions: Iterable[Addition], standing: Mapping[int, str], private: PrivateActions
) -> list[Insert]:
    """The elements to be written, creators of new blocks among them.

    Args:
        additions: What is added.
        standing: The private elements of the level by tag: their text, byte for character.
        private: What happens to those.

    Raises:
        ValueError: no block is free in a group.
    """
    blocks = _Blocks(standing, private)
    placed: dict[int, Insert] = {}
    for one in additions:
        block = blocks.of(one.group, one.creator, one.block)
        if block not in blocks.standing_of(one.group, one.creator):
            creator = one.group << 16 | block
            text = Constant(padded("LO", one.creator.encode("ascii")), "its private creator")
            placed[creator] = (creator, "LO", text)
        tag = one.group << 16 | block << 8 | one.number
        placed[tag] = (tag, one.written.vr, one.written.operator)
    return list(placed.values())


class _Blocks:
    """Who has which block of a level."""

    def __init__(self, standing: Mapping[int, str], private: PrivateActions) -> None:
        self._creators = {
            tag: text.strip(" \0")
            for tag, text in standing.items()
            if _FIRST <= tag & 0xFFFF <= _LAST
        }
        self._private = private
        self._taken = {block for tag in standing if (block := self._kept_block(tag))}
        self._new: dict[tuple[int, str], int] = {}

    def standing_of(self, group: int, creator: str) -> list[int]:
        """The blocks that a creator has already, ascending."""
        own = (tag for tag, text in self._creators.items() if text == creator)
        return sorted(tag & 0xFF for tag in own if tag >> 16 == group)

    def of(self, group: int, creator: str, wanted: int) -> int:
        """The block for an element of a creator.

        Raises:
            ValueError: no block is free.
        """
        standing = self.standing_of(group, creator)
        if standing:
            return wanted if wanted in standing else standing[0]
        known = self._new.get((group, creator))
        if known is None:
            choices = (wanted, *range(_FIRST, _LAST + 1))
            free = (block for block in choices if (group, block) not in self._taken)
            known = next(free, None)
            if known is None:
                raise ValueError("no private block is free in the group")
            self._taken.add((group, known))
            self._new[group, creator] = known
        return known

    def _kept_block(self, tag: int) -> tuple[int, int] | None:
        """The group and block of an element; None where it goes, or is in no block."""
        number = tag & 0xFFFF
        if number < _FIRST:
            return None
        block = number if number <= _LAST else number >> 8
        return None if self._goes(tag & _GROUP, block) else (tag >> 16, block)

    def _goes(self, group: int, block: int) -> bool:
        """Whether all of a block goes."""
        private = self._private
        if private.otherwise is not REMOVE or private.characteristics is not None:
            return False
        creator = self._creators.get(group | block)
        if creator is not None and (group >> 16, creator) in private.blocks:
            return False
        first = group | block << 8
        return not any(first <= tag <= first | 0xFF for tag in private.by_tag)

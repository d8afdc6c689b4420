"""The private blocks of one level: whose each element is, and what happens to it.

- An element belongs to the creator that reserves its block, by name; one without a creator is
  an orphan, and stays only where every private element does.
- A creator stays exactly when an element of its block stays; where everything private is kept,
  it goes only if all of its block was removed.
- Two blocks of one creator are two blocks.

Source: PS3.5 7.8.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.elements import ITEM_START, UNDEFINED
from rules.operators import DESCEND, KEEP, REMOVE, Verdict, plain
from rules.private import WHOLE_BLOCK, Guarded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.elements import Data
    from rules.operators import Operator
    from rules.plan import PrivateActions

HOLD = Verdict("X", "a private creator, until an element of its block stays")
MAYBE_ITEMS = Verdict("K", "keep, rules apply inside if it is a sequence")
ITEMS_OR_NOTHING = Verdict("K", "rules apply inside; removed if it is no sequence")

_FIRST_CREATOR, _LAST_CREATOR = 0x10, 0xFF
_UNKNOWN_VRS = frozenset((b"UN", b""))


@dataclass(slots=True)
class _Block:
    """A reserved block.

    Attributes:
        wanted: Operators by element, and that of every other element of the block.
        otherwise: The latter.
        index: Where its creator waits in the output, -1 if nowhere.
        held: The creator.
        loses: Whether an element of it went.
    """

    wanted: Mapping[int, Operator]
    otherwise: Operator
    index: int = -1
    held: bytes = b""
    loses: bool = False


_NO_ENTRIES: dict[int, Operator] = {}


class Blocks:
    """The blocks of the root or of one item."""

    __slots__ = ("_blocks", "_data", "_nobody", "_out", "_private")

    def __init__(self, private: PrivateActions, data: Data, out: list[bytes]) -> None:
        """Begin a level.

        Args:
            private: What happens to private elements.
            data: Where the level stands.
            out: Its output, in which a place is left for each creator.
        """
        self._private = private
        self._data = data
        self._out = out
        self._blocks: dict[int, _Block] = {}
        self._nobody = _Block(_NO_ENTRIES, private.otherwise)

    def action(self, tag: int, vr: bytes, value: int, length: int) -> Operator:
        """What happens to an element of an odd group.

        Returns:
            An operator, a Guarded that admits the element, or one of the verdicts above.
        """
        number, own = tag & 0xFFFF, self._private.by_tag.get(tag)
        if own is None and number <= _LAST_CREATOR:
            if number >= _FIRST_CREATOR:
                return self._reserved(tag, value, length)
            # group lengths, and elements that no block can own
            return REMOVE if number == 0 else self._private.otherwise
        block = self._blocks.get(tag & 0xFFFFFF00, self._nobody)
        action = own or block.wanted.get(number & 0xFF, block.otherwise)
        if action is not REMOVE:
            action = self._admitted(action, vr, value, length)
        if action is REMOVE:
            block.loses = block is not self._nobody
            return action
        if action is not ITEMS_OR_NOTHING:
            self._restore(block)
        if action is KEEP and vr == b"UI":
            return self._private.references
        unknown = action is KEEP and length != UNDEFINED and vr in _UNKNOWN_VRS
        return MAYBE_ITEMS if unknown and self._starts_item(value) else action

    def hold(self, tag: int, pos: int, stop: int) -> None:
        """Leave a place for a creator."""
        block = self._blocks[_reserved_by(tag)]
        block.index, block.held = len(self._out), bytes(self._data[pos:stop])
        self._out.append(b"")

    def stays(self, tag: int) -> None:
        """Say that an element stays of which that was not certain."""
        self._restore(self._blocks.get(tag & 0xFFFFFF00, self._nobody))

    def finish(self) -> int:
        """Put back what lost nothing where all is kept; returns how many creators go."""
        if self._private.otherwise is KEEP:
            for block in self._blocks.values():
                if not block.loses:
                    self._restore(block)
        return sum(block.index >= 0 for block in self._blocks.values())

    def _reserved(self, tag: int, value: int, length: int) -> Operator:
        if length == UNDEFINED:  # a creator is a text: this names nobody
            self._blocks.pop(_reserved_by(tag), None)
            return REMOVE
        creator = plain(bytes(self._data[value : value + length])).strip(" \0")
        wanted = self._private.blocks.get((tag >> 16, creator), _NO_ENTRIES)
        otherwise = wanted.get(WHOLE_BLOCK, self._private.otherwise)
        self._blocks[_reserved_by(tag)] = _Block(wanted, otherwise)
        return HOLD

    def _admitted(self, action: Operator, vr: bytes, value: int, length: int) -> Operator:
        """A guarded entry as what it means for this element."""
        if not isinstance(action, Guarded):
            return _descended(vr, length) if action is DESCEND else action
        is_open = length == UNDEFINED
        content = b"" if is_open else bytes(self._data[value : value + length])
        if not action.admits(vr, content) or (is_open and not action.is_sequence):
            return REMOVE
        operator = action.operator
        if action.is_sequence and (operator is KEEP or operator is DESCEND):
            return _descended(vr, length)
        return operator if operator is KEEP or operator is REMOVE else action

    def _restore(self, block: _Block) -> None:
        if block.index >= 0:
            self._out[block.index] = block.held
            block.index = -1

    def _starts_item(self, pos: int) -> bool:
        return self._data[pos : pos + 4] == ITEM_START


def _descended(vr: bytes, length: int) -> Operator:
    """A sequence is descended; what only might be one must read as one."""
    if vr == b"SQ" or (length == UNDEFINED and vr in _UNKNOWN_VRS):
        return DESCEND
    return ITEMS_OR_NOTHING if vr in _UNKNOWN_VRS else REMOVE


def _reserved_by(creator_tag: int) -> int:
    """The first tag of the block that a creator element reserves."""
    return creator_tag & 0xFFFF0000 | (creator_tag & 0xFFFF) << 8

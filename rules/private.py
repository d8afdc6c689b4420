"""Private elements that may stay, under conditions: the entries of Retain Safe Private.

- An entry holds for an element of the VR and VM that its table gives, and for no other: a
  creator can be claimed by anybody.
- What an instance says of its own private elements is believed block by block; a block that
  is described twice, or cannot be read, says nothing.

Source: PS3.15 E.3.10 and Table E.3.10-1; PS3.5 6.2.2, 6.4, 7.8; PS3.3 C.12.1.1.7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, ClassVar

from pydicom._private_dict import private_dictionaries
from pydicom.datadict import get_private_entry

from rules.elements import Incomplete, Irregular, TooDeep, item_values
from rules.fitting import allows, choices_of, count_of, fits
from rules.operators import KEEP, REMOVE, Dummy, Empty, RemapUID, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.operators import Context, Operator

Key = tuple[int, str, int]

WHOLE_BLOCK = -1
"""In place of an element number: every element of the block that no other entry names."""

_UNKNOWN = frozenset((b"", b"UN"))
_GROUP, _CREATOR, _STATUS = 0x00080301, 0x00080302, 0x00080303
_SAFE_ELEMENTS, _ACTIONS = 0x00080304, 0x00080305
_IDENTIFYING, _ACTION = 0x00080306, 0x00080307
_DEPTH = 8
_NUMBERS = Struct("<H")
_REMEMBERED = 1 << 10


@dataclass(frozen=True, slots=True)
class Guarded:
    """An entry of `PrivateActions.by_creator` that holds only for elements of one VR and VM.

    The walk asks `admits` and then does what `operator` says (KEEP, DESCEND or an operator);
    what is not admitted is removed. `vr` may name several (`OW/OB`, `US or SS`) or be empty
    where a table leaves it open; `vm` likewise.
    """

    vr: str
    vm: str
    operator: Operator
    code: str = "K"
    constant: ClassVar[bool] = False

    @property
    def is_sequence(self) -> bool:
        """Whether the table gives items."""
        return self.vr == "SQ"

    def admits(self, vr: bytes, value: bytes) -> bool:
        """Whether an element is what the table says it is.

        Args:
            vr: As received: empty in implicit VR, UN where a peer did not know it.
            value: Encoded; empty for a sequence of undefined length.
        """
        return not self.vr or self._chosen(vr, value) is not None

    def written_vr(self, vr: bytes, value: bytes) -> str:
        """The VR of the table that an admitted element has."""
        return self._chosen(vr, value) or vr.decode("ascii") or "UN"

    def _chosen(self, vr: bytes, value: bytes) -> str | None:
        received = None if vr in _UNKNOWN else vr.decode("ascii")
        choices = choices_of(self.vr) if self.vr else []
        return next((one for one in choices if self._is(one, received, value)), None)

    def _is(self, choice: str, received: str | None, value: bytes) -> bool:
        if received not in (None, choice) or not fits(choice, value):
            return False
        return choice == "SQ" or not value or allows(self.vm, count_of(choice, value))

    def describe(self) -> str:
        """See Operator."""
        return f"{self.operator.describe()}, if {self.vr}" if self.vr else self.operator.describe()

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """What the operator behind the guard makes of a value that was admitted."""
        return self.operator.apply(vr, value, context)


@dataclass(frozen=True, slots=True)
class Written:
    """An operator that brings its own VR: what stood there says nothing of what is written."""

    vr: str
    operator: Operator
    constant: ClassVar[bool] = False

    @property
    def code(self) -> str:
        """See Operator."""
        return self.operator.code

    def describe(self) -> str:
        """See Operator."""
        return self.operator.describe()

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        return self.operator.apply(vr, value, context)


@dataclass(frozen=True, slots=True)
class Addition:
    """A private element that is written wherever it is absent, with its creator.

    `block` is the high byte of its element number where that is free, or its creator's.
    """

    group: int
    creator: str
    number: int
    block: int
    written: Written


@dataclass(frozen=True, slots=True)
class Characteristics:
    """Makes operators of what an instance says of its own private elements.

    Attributes:
        scope: Of keyed UIDs, for the action U.
        cleaned: What the action C means for a value.
    """

    scope: str = ""
    cleaned: Operator = REMOVE
    _operators: Mapping[str, Operator] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        operators = {
            "D": Dummy(),
            "Z": Empty(),
            "X": REMOVE,
            "K": KEEP,
            "C": self.cleaned,
            "U": RemapUID(self.scope),
        }
        object.__setattr__(self, "_operators", operators)

    def actions(self, items: bytes, *, implicit: bool) -> Mapping[Key, Operator]:
        """Entries for `PrivateActions.by_creator` from Private Data Element Characteristics.

        Args:
            items: The encoded items of (0008,0300), as received.
            implicit: Whether they are in implicit VR.
        """
        try:
            blocks = list(item_values(items, implicit=implicit, depth=_DEPTH))
            said = [(_block(block), self._of(block, implicit=implicit)) for block in blocks]
        except (Irregular, Incomplete, TooDeep):
            return {}
        names = [name for name, _ in said]
        entries: dict[Key, Operator] = {}
        for name, operators in said:
            if name is not None and names.count(name) == 1:
                entries.update(((*name, number), one) for number, one in operators.items())
        return entries

    def _of(self, block: dict[int, bytes], *, implicit: bool) -> dict[int, Operator]:
        """The operators of one block by element; the identifying ones have the last word."""
        name, status = _block(block), plain(block.get(_STATUS, b"")).strip(" \0")
        if name is None or status not in ("SAFE", "MIXED", "UNSAFE"):
            return {}
        group, creator = name
        if status == "SAFE":
            return {**_guards(group, creator, KEEP), WHOLE_BLOCK: KEEP}
        known = _guards(group, creator, KEEP)
        safe = _numbers(block.get(_SAFE_ELEMENTS, b"")) if status == "MIXED" else []
        operators: dict[int, Operator] = {one: known.get(one, KEEP) for one in safe}
        for one in item_values(block.get(_ACTIONS, b""), implicit=implicit, depth=_DEPTH):
            word = plain(one.get(_ACTION, b"")).strip(" \0")
            for number in _numbers(one.get(_IDENTIFYING, b"")):
                operators[number] = self._action(word, known.get(number))
        return operators

    def _action(self, word: str, known: Operator | None) -> Operator:
        """The operator of an action code, under the guard of an element that is known."""
        operator = self._operators.get(word, REMOVE)
        if not isinstance(known, Guarded) or operator is REMOVE:
            return operator
        return Guarded(known.vr, known.vm, operator, operator.code)


def private_vr(group: int, creator: str, number: int) -> tuple[str, str] | None:
    """VR and VM of a private element by its low byte, as far as pydicom's dictionary knows it."""
    if creator not in private_dictionaries:
        return None
    try:
        vr, vm, *_ = get_private_entry((group, 0x1000 | number), creator)
    except KeyError:
        return None
    return (vr, vm) if vr != "UN" else None


@lru_cache(_REMEMBERED)
def _guards(group: int, creator: str, operator: Operator) -> dict[int, Operator]:
    """The elements of a block that the private dictionary knows, each under its guard."""
    if creator not in private_dictionaries:
        return {}
    known = ((number, private_vr(group, creator, number)) for number in range(0x100))
    return {number: Guarded(*of, operator) for number, of in known if of}


def _block(values: dict[int, bytes]) -> tuple[int, str] | None:
    group, creator = values.get(_GROUP, b""), plain(values.get(_CREATOR, b"")).strip(" \0")
    if len(group) != _NUMBERS.size or not creator:
        return None
    return int(_NUMBERS.unpack(group)[0]), creator


def _numbers(value: bytes) -> list[int]:
    """The low bytes of element numbers; a remainder of the value says nothing."""
    whole = value[: len(value) - len(value) % _NUMBERS.size]
    return [number & 0xFF for (number,) in _NUMBERS.iter_unpack(whole)]

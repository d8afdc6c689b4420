"""Private elements that may stay, under conditions: the entries of Retain Safe Private.

Source: PS3.15 E.3.10 and Table E.3.10-1; PS3.5 7.8; PS3.3 C.12.1.1.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.operators import Context, Operator


@dataclass(frozen=True, slots=True)
class Guarded:
    """An entry of `PrivateActions.by_creator` that holds only for elements of one VR and VM.

    The walk asks `admits` and then does what `operator` says (KEEP, DESCEND or an operator);
    what is not admitted is removed.
    """

    vr: str
    vm: str
    operator: Operator
    code: str = "K"
    constant: ClassVar[bool] = False

    def admits(self, vr: bytes, value: bytes) -> bool:
        """Whether an element is what the table says it is.

        Args:
            vr: As received: empty in implicit VR, UN where a peer did not know it.
            value: Encoded; empty for a sequence of undefined length.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """See Operator."""
        return f"{self.operator.describe()}, if {self.vr}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """Nothing to apply: the walk asks `admits` first."""
        raise NotImplementedError


class Characteristics:
    """Makes operators of what an instance says of its own private elements."""

    def actions(self, items: bytes, *, implicit: bool) -> Mapping[tuple[int, str, int], Operator]:
        """Entries for `PrivateActions.by_creator` from Private Data Element Characteristics.

        Args:
            items: The encoded items of (0008,0300), as received.
            implicit: Whether they are in implicit VR.
        """
        raise NotImplementedError

"""Clean Descriptors: free text keeps its clinical words and loses what points at people.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from rules.identity import Identity
    from rules.operators import Context, Operator


@dataclass(frozen=True, slots=True)
class Lists:
    """Words, casefolded: that stay whatever they are, and that always go."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()


def clean(text: str, identity: Identity, lists: Lists) -> str:
    """A text without identifiers; everything else as it was, in its order."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CleanText:
    """C of a text attribute; where nothing is left, `otherwise` takes its place."""

    lists: Lists
    otherwise: Operator
    code: str = "C"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        raise NotImplementedError

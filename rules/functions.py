"""The functions of Replace that are neither pseudonyms nor dates: one operator each.

Source: PS3.5 6.2 (what each VR can hold).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.conditions import Pattern
    from rules.operators import Context


@dataclass(frozen=True, slots=True)
class HashText:
    """`{hash: n}`: `characters` of base 32 that depend on the key, the scope and the value."""

    scope: str
    characters: int
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CapAge:
    """`{age: cap-89}`: an age above `years` becomes it (PS3.5 6.2, AS)."""

    years: int
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class LookUp:
    """`{lookup: FILE.csv}`; `missing` is `reject` or `remove` (here: emptied)."""

    table: Mapping[str, str] = field(repr=False)
    missing: str
    file: str
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator; raises operators.Refusal where nothing is found and that refuses."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Substitute:
    """`{regex: PATTERN, with: TEXT}`: every occurrence, in time linear in the value."""

    pattern: Pattern
    replacement: str
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        raise NotImplementedError

"""Dates and times: shifted by an offset of the patient's own, or made coarse.

Source: PS3.5 6.2 (DA, DT, TM); PS3.15 E.3.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from rules.operators import Context, Operator


@dataclass(frozen=True, slots=True)
class Shift:
    """Move dates by the patient's offset; intervals within a patient stay what they are.

    Attributes:
        scope: Of the keyed offset.
        days: Least and greatest offset, in days, both included; the offset is never zero.
        seconds: Likewise of times; (0, 0) leaves times of day alone.
        partner: The tag of the time of a date, or of the date of a time, in the same level;
            0 if it has none.
        otherwise: Takes the place of what does not parse.
    """

    scope: str
    days: tuple[int, int]
    seconds: tuple[int, int]
    partner: int
    otherwise: Operator
    code: str = "C"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Coarsen:
    """`{date: year}` or `{date: month}`: what is finer becomes its first value."""

    unit: str
    otherwise: Operator
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        raise NotImplementedError

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        raise NotImplementedError


def partner_of(tag: int) -> int:
    """The tag of the time that belongs to a date attribute, and the reverse; 0 if none."""
    raise NotImplementedError

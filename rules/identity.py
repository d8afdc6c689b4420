"""The values of an instance that point at people, gathered once, for the cleaning of text.

Source: PS3.15 E.3.5 (Clean Descriptors).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What free text of the same instance must lose.

    Attributes:
        names: Words of person names, institutions and addresses, casefolded.
        identifiers: Whole values of identifiers, casefolded, without blanks.
        dates: Dates as YYYYMMDD, the birth date among them.
    """

    names: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()


def no_identity() -> Identity:
    """Of an instance of which nothing is known."""
    return Identity()


def collect(data: bytes, *, implicit: bool, charsets: tuple[str, ...]) -> Identity:
    """Gather the values of the elements outside group 7FE0, at every depth.

    Args:
        data: Encoded root elements, little endian, well formed.
        implicit: Whether they are in implicit VR.
        charsets: The values of Specific Character Set.
    """
    raise NotImplementedError

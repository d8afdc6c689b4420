"""Clean Structured Content: what happens to a content item depends on its concept name.

Source: PS3.15 E.3.4 and Table E.3.4-1; PS3.3 C.17.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rules.descriptors import Lists
    from rules.operators import Operator
    from rules.plan import Plan


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What the chooser needs to know of a profile.

    Attributes:
        options: Words of PS3.15 E.3, clean-structured-content among them.
        scope: Of keyed functions.
        lists: For free text.
        dates: The operator of dates that a date option asks for; None means dummies.
    """

    options: tuple[str, ...]
    scope: str
    lists: Lists
    dates: Operator | None


CONTENT_SEQUENCES = (0x0040A730, 0x00400555, 0x00400612)
"""Content Sequence, Acquisition Context Sequence, Specimen Preparation Step Content Item
Sequence: sequences of content items."""


class ContentChooser:
    """Chooses the plan of one content item: a `rules.plan.Chooser`."""

    def __init__(self, rules: ContentRules) -> None:
        """Bind what a profile says."""
        raise NotImplementedError

    def choose(
        self, plan: Plan, data: bytes, start: int, stop: int, *, implicit: bool
    ) -> Plan | None:
        """See Chooser."""
        raise NotImplementedError

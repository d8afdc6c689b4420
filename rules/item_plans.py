"""The plans of items by the sequence they stand in, each made when it is first asked for.

There are never more than the tables have sequences, and those with the same types share one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from rules.base import CLEANED_ANNOTATIONS
from rules.plan import ItemPlans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.plan import Plan
    from rules.resolution import Place


class Maker(Protocol):
    """Makes the plan of items that no path leads to."""

    def __call__(self, place: Place | None, items: PlansOfItems, *, nested: Plan | None) -> Plan:
        """The plan of one place, or of any of which nothing is known."""


class PlansOfItems(dict[int, ItemPlans]):
    """Sequences of which nothing is known have no plan: their items get `otherwise`."""

    def __init__(self, make: Maker, place_of: Callable[[int], Place | None]) -> None:
        """Bind who makes plans, and who knows what a sequence holds."""
        super().__init__()
        self.place_of = place_of
        self._make = make
        self._shared: dict[object, ItemPlans] = {}
        self.otherwise: Plan = make(None, self, nested=None)

    def get(self, sequence: int, default: ItemPlans | None = None) -> ItemPlans | None:  # type: ignore[override]
        """What `Plan.item` asks."""
        plans = super().get(sequence)
        if plans is None:
            place = self.place_of(sequence)
            plans = self._remembered(sequence, place) if place else None
        return plans or default

    def beside(self, named: dict[int, ItemPlans]) -> Mapping[int, ItemPlans]:
        """These plans, but for the sequences that path rules name."""
        return _Named(named, self) if named else self

    def _remembered(self, sequence: int, place: Place) -> ItemPlans:
        types = None if place.types is None else tuple(sorted(place.types.items()))
        key = (types, sequence if sequence in CLEANED_ANNOTATIONS else 0)
        if key not in self._shared:
            plan = self._make(place, self, nested=self.otherwise)
            self._shared[key] = ItemPlans(plan, MappingProxyType({}))
        plans = self[sequence] = self._shared[key]
        return plans


class _Named(dict[int, ItemPlans]):
    """Plans of the sequences that path rules name, and behind them those by sequence."""

    def __init__(self, named: dict[int, ItemPlans], others: PlansOfItems) -> None:
        super().__init__(named)
        self._others = others

    def get(self, sequence: int, default: ItemPlans | None = None) -> ItemPlans | None:  # type: ignore[override]
        """What `Plan.item` asks."""
        return super().get(sequence) or self._others.get(sequence, default)

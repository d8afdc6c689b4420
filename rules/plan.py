"""A profile compiled: flat dictionaries that the walk looks up, and why each entry stands.

Nothing is decided twice. Masks, defaults and precedence are resolved the first time a tag
is seen and remembered; the memory of tags that only the wire knows is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

from rules.operators import KEEP, Verdict
from rules.regions import NO_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.conditions import Condition
    from rules.operators import Operator
    from rules.private import Addition, Characteristics
    from rules.regions import PixelPolicy

_REMEMBERED = 1 << 14


class Actions(dict[int, "Operator"]):
    """Tag of a standard attribute -> operator; a tag not seen before is resolved once."""

    __slots__ = ("_resolve", "encoded", "ruled")

    def __init__(
        self, resolve: Callable[[int], Operator], ruled: Callable[[int], bool] = lambda _: False
    ) -> None:
        super().__init__()
        self._resolve = resolve
        self.ruled = ruled
        """Whether a rule of the profile itself names a tag."""
        self.encoded: dict[tuple[int, bytes, bool], tuple[bytes, bytes]] = {}
        """Elements whose result never differs, and their values; by tag, VR received, VR form."""

    def __missing__(self, tag: int) -> Operator:
        operator = self._resolve(tag)
        if len(self) < _REMEMBERED:
            self[tag] = operator
        return operator


@dataclass(frozen=True, slots=True)
class PrivateActions:
    """What happens to private elements.

    `by_creator` is keyed by group, private creator and the low byte of the element number, and
    may hold `rules.private.Guarded`; `otherwise` is KEEP or REMOVE; `characteristics` is what
    makes operators of (0008,0300) of an instance, None where that is not trusted; `by_tag` goes
    before all of them, whose block it is; `references` is what UIDs get that are kept.
    """

    by_creator: Mapping[tuple[int, str, int], Operator]
    otherwise: Operator
    characteristics: Characteristics | None = None
    by_tag: Mapping[int, Operator] = field(default_factory=dict)
    references: Operator = KEEP
    blocks: Mapping[tuple[int, str], Mapping[int, Operator]] = field(init=False, repr=False)
    """The same by group and creator, then by element: what a block asks for once."""

    def __post_init__(self) -> None:
        blocks: dict[tuple[int, str], dict[int, Operator]] = {}
        for (group, creator, number), operator in self.by_creator.items():
            blocks.setdefault((group, creator), {})[number] = operator
        object.__setattr__(self, "blocks", blocks)

    @property
    def keeps_nothing(self) -> bool:
        """Whether no private element can survive, so that creators need no bookkeeping."""
        named = self.by_creator or self.by_tag or self.characteristics is not None
        return self.otherwise is not KEEP and not named

    def with_entries(self, entries: Mapping[tuple[int, str, int], Operator]) -> PrivateActions:
        """These actions and what an instance says of its own elements; what stands, stands."""
        return replace(self, by_creator={**entries, **self.by_creator})


class Chooser(Protocol):
    """Chooses the plan of each item of a sequence by what the item says."""

    def choose(
        self, plan: Plan, data: bytes, start: int, stop: int, *, implicit: bool
    ) -> Plan | None:
        """The plan of the item whose elements stand between `start` and `stop`.

        Args:
            plan: What the item would get otherwise; the result is derived from it, once.
            data: Where the item stands.
            start: Its first element.
            stop: Behind its last element, before an item delimiter if there is one.
            implicit: Whether its elements are in implicit VR.

        Returns:
            None if the whole item goes.
        """


@dataclass(frozen=True, slots=True)
class ItemPlans:
    """The plans of the items of one sequence: by index (from 0), else `every`, if any."""

    every: Plan | None
    by_index: Mapping[int, Plan]

    def of(self, index: int, default: Plan) -> Plan:
        """The plan of the item at `index`."""
        return self.by_index.get(index) or self.every or default


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the explanation."""

    selector: str
    keyword: str
    operator: Operator
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens at one level of the dataset.

    Attributes:
        name: Of the profile.
        scope: Of the keyed functions.
        actions: For standard attributes.
        private: For private elements.
        inserts: (tag, VR, operator), ascending: added where the tag is absent.
        additions: Private elements, likewise.
        items: Plans of the items of sequences that path rules name.
        nested: The plan of every other item; None when it is this plan itself.
        choosers: By tag of a sequence at this level: what chooses the plan of each item.
        rejects: Conditions on the root; one that matches refuses the instance.
        pixels: What is said of pixels, root plan only.
        digest: SHA-256 of the profile, the edition and the release, in hexadecimal.
        lines: The explanation, root plan only.
        by_class: Root plan of the generic reading only: the plan for one SOP class.
        renaming: UIDs whose new names are settled, of the generic reading; see `Context`.
    """

    name: str
    scope: str
    actions: Actions
    private: PrivateActions
    inserts: tuple[tuple[int, str, Operator], ...] = ()
    additions: tuple[Addition, ...] = ()
    items: Mapping[int, ItemPlans] = field(default_factory=dict)
    nested: Plan | None = None
    choosers: Mapping[int, Chooser] = field(default_factory=dict)
    rejects: tuple[Condition, ...] = ()
    pixels: PixelPolicy = NO_POLICY
    digest: str = ""
    lines: tuple[Line, ...] = ()
    by_class: Callable[[str], Plan] | None = None
    renaming: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of_class(self, sop_class_uid: str) -> Plan:
        """The plan that knows the attribute types of this SOP class; this one if unknown."""
        return self.by_class(sop_class_uid) if self.by_class else self

    def overridden(self, overrides: Mapping[int, tuple[str, Operator]]) -> Plan:
        """This plan with other operators for some root tags, inserted where they are absent.

        Verdicts, which write nothing, are not inserted.
        """
        actions = Actions(self.actions.__getitem__, self.actions.ruled)
        actions.update(self.actions)
        actions.update((tag, operator) for tag, (_, operator) in overrides.items())
        standing = [insert for insert in self.inserts if insert[0] not in overrides]
        new = [
            (tag, vr, operator)
            for tag, (vr, operator) in overrides.items()
            if not isinstance(operator, Verdict)
        ]
        inserts = tuple(sorted(standing + new, key=itemgetter(0)))
        return replace(self, actions=actions, inserts=inserts, nested=self.nested or self)

    def changed(self, overrides: Mapping[int, Operator], choosers: Mapping[int, Chooser]) -> Plan:
        """This plan with other operators where no rule of the profile speaks; inserts nothing.

        Items below have the plans that they have anyway.

        Args:
            overrides: By tag of this level.
            choosers: Of sequences of this level, beside those that stand.
        """
        ruled = self.actions.ruled
        actions = Actions(self.actions.__getitem__, ruled)
        actions.update({tag: one for tag, one in overrides.items() if not ruled(tag)})
        both = {**self.choosers, **choosers}
        return replace(self, actions=actions, choosers=both, nested=self.nested or self)

    def item(self, sequence: int, index: int) -> Plan:
        """The plan of one item of a sequence that stands at this level."""
        default = self.nested or self
        plans = self.items.get(sequence)
        return plans.of(index, default) if plans else default


def explain(plan: Plan) -> tuple[Line, ...]:
    """Every action of the profile that is not mere keeping, and why it stands."""
    return plan.lines

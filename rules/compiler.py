"""A profile of the file -> the plan of the walk.

Layers in a fixed order: the base with its options, then Remove, Replace and Keep of the profile.
An exact tag beats a mask, and a mask with more digits one with fewer. A rule under a path holds
only there and beats a rule without one. Replace and Keep under a path keep the sequences on the
way.

The plan of a SOP class knows the types of its attributes; it is made when the first instance of
that class comes, and so are the plans of items by the sequence they stand in. There are never
more of them than the tables have places.

Source: PS3.15 E.1.1, E.3; PS3.5 7.8 for private elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rules.base import CLEANED_ANNOTATIONS, Base, base_of
from rules.cleaners import settings, shifted
from rules.content import CONTENT_SEQUENCES, ContentChooser, ContentRules
from rules.digest import digest
from rules.errors import DocumentError
from rules.explanation import lines
from rules.item_plans import PlansOfItems
from rules.marks import Claims, marks
from rules.nodes import Node, Rule, tree, unreachable
from rules.operators import DESCEND, FOLLOW, KEEP, KEEP_WHOLE, REMOVE, Dummy
from rules.options import (
    CLEAN_PIXEL_DATA,
    CLEAN_STRUCTURED_CONTENT,
    FULL_DATES,
    MODIFIED_DATES,
    OPTIONS,
    SAFE_PRIVATE,
)
from rules.plan import Actions, ItemPlans, Plan, PrivateActions
from rules.regions import KINDS, PixelPolicy
from rules.replacing import vr_to_write
from rules.resolution import Place, items_of, root_of
from rules.safe_entries import characteristics, safe_entries
from rules.selectors import TagPattern
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.operators import Operator
    from rules.plan import Chooser, Line
    from rules.profile import Profile

_PRIVATE = 0x10000


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rules of a profile are read; those of a file as the module says.

    Attributes:
        tree: The rules by their place.
        everywhere: Those among the rules of the root that hold in every item as well.
        keeps_ways: Whether paths keep the sequences on their way.
        follows: Whether references follow UIDs that get a new name, where a base keeps them.
        renaming: UIDs whose new names are settled; see `Context`.
    """

    tree: Callable[[Profile], Node] = tree
    everywhere: Callable[[Node, Base], Node] = lambda root, _: root.without_paths()
    keeps_ways: bool = True
    follows: bool = False
    renaming: Mapping[str, str] = field(default_factory=dict)


OF_A_FILE = Reading()


def compile_plan(profile: Profile, reading: Reading = OF_A_FILE) -> Plan:
    """Compile a profile.

    Raises:
        DocumentError: rules that can never apply, each at its place.
    """
    return _compiler(profile, reading).whole()


def explain_class(profile: Profile, sop_class_uid: str) -> tuple[Line, ...]:
    """Every action of the profile for the root of one SOP class, and why it stands.

    A class that is not known gets the reading that holds for any.
    """
    compiler = _compiler(profile)
    place = root_of(sop_class_uid)
    base = compiler.base.at(place) if place else compiler.base
    return tuple(lines(profile, compiler.root, base, compiler.entries))


def _compiler(profile: Profile, reading: Reading = OF_A_FILE) -> _Compiler:
    root = reading.tree(profile)
    problems = list(unreachable(root))
    if problems:
        raise DocumentError(problems)
    using = replace(settings(profile), follows=reading.follows)
    base = base_of(profile.base, profile.edition, using, keeps_unknown=profile.private == "keep")
    entries = safe_entries(using) if SAFE_PRIVATE in using.options else {}
    everywhere = reading.everywhere(root, base)
    return _Compiler(profile, reading, root, everywhere, base, entries, _choosers(profile))


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Makes plans of one profile.

    Attributes:
        profile: Of the file.
        reading: Of its rules.
        root: Its rules.
        everywhere: Those that hold at every depth.
        base: Where nothing is known of types.
        entries: Private elements that an option lets stay.
        choosers: Of the sequences of content items.
    """

    profile: Profile
    reading: Reading
    root: Node
    everywhere: Node
    base: Base
    entries: Mapping[tuple[int, str, int], Operator]
    choosers: Mapping[int, Chooser]

    def whole(self) -> Plan:
        """The plan of the generic reading, which makes those of the SOP classes."""
        base, exposed = self.base, self._exposed()
        wanted = marks(
            Claims(
                self.profile.name,
                base.name,
                base.edition,
                self._options(),
                exposed,
                self._keeps_private(),
            )
        )
        generic = self._root_plan(base, PlansOfItems(self.nested_plan, self._annotations), wanted)
        whole = replace(
            generic,
            rejects=self.profile.reject,
            pixels=_pixels(self.profile),
            digest=digest(self.profile),
            lines=tuple(lines(self.profile, self.root, base, self.entries)),
            renaming=self.reading.renaming,
        )
        if base.name != "basic":
            return whole
        return replace(whole, by_class=_Classes(self, whole, wanted).plan_of)

    def of_class(self, place: Place, items: PlansOfItems, wanted: Mapping[int, Operator]) -> Plan:
        """The plan of the root of a SOP class."""
        return self._root_plan(self.base.at(place), items, wanted)

    def known_items(self) -> PlansOfItems:
        """The items of sequences wherever the SOP class is known."""
        return PlansOfItems(self.nested_plan, items_of)

    def plan(self, node: Node, base: Base, items: PlansOfItems, *, nested: Plan | None) -> Plan:
        """The plan of one place; `nested` is that of items whose sequence says nothing."""
        rules = node.over(self.everywhere)
        named = {tag: self._item_plans(node, tag, items, nested) for tag in node.children}
        return Plan(
            name=self.profile.name,
            scope=self.profile.scope,
            actions=self._actions(rules, base),
            private=self._private(rules),
            inserts=node.inserts(),
            additions=node.additions(),
            items=items.beside(named) if named else items,
            nested=nested,
            choosers=self.choosers,
        )

    def nested_plan(
        self, place: Place | None, items: PlansOfItems, *, nested: Plan | None
    ) -> Plan:
        """The plan of items that no path leads to: nothing is inserted into them."""
        base = self.base.at(place) if place else self.base
        return replace(self.plan(Node(), base, items, nested=nested), inserts=(), additions=())

    def _root_plan(self, base: Base, items: PlansOfItems, wanted: Mapping[int, Operator]) -> Plan:
        """The plan of a root with the marks, which a rule of the profile may overrule."""
        plan = self.plan(self.root, base, items, nested=items.otherwise)
        added = {tag: operator for tag, operator in wanted.items() if tag not in self.root.exact}
        plan.actions.update(added)
        written = ((tag, vr_to_write(tag), operator) for tag, operator in added.items())
        return replace(plan, inserts=tuple(sorted((*plan.inserts, *written), key=_tag)))

    def _item_plans(
        self, node: Node, sequence: int, items: PlansOfItems, nested: Plan | None
    ) -> ItemPlans:
        by_index = node.children[sequence]
        every, standing = by_index.get(None), items.get(sequence)
        place = items.place_of(sequence)
        base = self.base.at(place) if place else self.base

        def made(rules: Node) -> Plan:
            return self.plan(rules, base, items, nested=nested)

        return ItemPlans(
            every=made(every) if every else standing.every if standing else None,
            by_index={
                index: made(one.over(every) if every else one)
                for index, one in by_index.items()
                if index is not None
            },
        )

    def _annotations(self, sequence: int) -> Place | None:
        """Sequences that make a difference whatever the SOP class."""
        if CLEANED_ANNOTATIONS.get(sequence) not in self.base.using.options:
            return None
        return Place(keyword_of(sequence), sequence)

    def _actions(self, rules: Node, base: Base) -> Actions:
        actions = Actions(_resolver(rules, base), rules.names)
        actions.update((tag, rule.for_tag(tag)) for tag, rule in rules.exact.items())
        if self.reading.keeps_ways:
            actions.update((tag, DESCEND) for tag in rules.ways())
        return actions

    def _private(self, rules: Node) -> PrivateActions:
        using = self.base.using
        by_rule = {key: rule.operator for key, rule in rules.private.items()}
        return PrivateActions(
            {**self.entries, **by_rule},
            KEEP if self.profile.private == "keep" else REMOVE,
            characteristics(self.profile, using),
            {tag: rule.operator for tag, rule in rules.exact.items() if tag & _PRIVATE},
            references=FOLLOW if using.follows else KEEP,
        )

    def _options(self) -> tuple[str, ...]:
        return tuple(option for option in OPTIONS if option in self.base.using.options)

    def _keeps_private(self) -> bool:
        """Whether private elements stay that no option lets stay."""
        by_tag = (rule for tag, rule in self.root.exact.items() if tag & _PRIVATE)
        rules = (*self.root.private.values(), *by_tag)
        return self.profile.private == "keep" or any(rule.operator is KEEP for rule in rules)

    def _exposed(self) -> tuple[int, ...]:
        """Tags that the base protects and the profile's rules keep."""
        keeping = [rule for rule in self.root.rules() if rule.operator in (KEEP, KEEP_WHOLE)]
        protected = [tag for tag in self.base.named if self.base.protects(tag)]
        kept_rows = {tag for tag in protected for rule in keeping if rule.matches(tag)}
        unlisted = {
            rule.selector.target.value
            for rule in keeping
            if isinstance(rule.selector.target, TagPattern)
            and self.base.protects(rule.selector.target.value)
        }
        ways = set(self.root.ways()) if self.reading.keeps_ways else set()
        return tuple(sorted({*kept_rows, *unlisted, *ways & set(protected)}))


@dataclass(slots=True)
class _Classes:
    """The root plans by SOP class; classes that want the same attributes share one."""

    compiler: _Compiler
    generic: Plan
    wanted: Mapping[int, Operator]
    items: PlansOfItems | None = None
    plans: dict[object, Plan] = field(default_factory=dict)

    def plan_of(self, sop_class_uid: str) -> Plan:
        """The plan of a class; the generic one if its IOD is not known."""
        place = root_of(sop_class_uid)
        if place is None or place.types is None:
            return self.generic
        key = tuple(sorted(place.types.items()))
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = self._made(place)
        return plan

    def _made(self, place: Place) -> Plan:
        self.items = self.items or self.compiler.known_items()
        plan = self.compiler.of_class(place, self.items, self.wanted)
        return replace(
            plan,
            rejects=self.generic.rejects,
            pixels=self.generic.pixels,
            digest=self.generic.digest,
            lines=self.generic.lines,
        )


def _resolver(rules: Node, base: Base) -> Callable[[int], Operator]:
    masks = sorted(rules.masks, key=_digits)
    masks.reverse()  # the most digits first; of equal ones the later layer

    def resolve(tag: int) -> Operator:
        operator, _ = base.action(tag)
        if tag & 0xFFFF == 0:
            return operator
        rule = next((rule for rule in masks if rule.matches(tag)), None)
        return rule.for_tag(tag) if rule else operator

    return resolve


def _choosers(profile: Profile) -> Mapping[int, Chooser]:
    """Under Clean Structured Content: who decides about content items."""
    if CLEAN_STRUCTURED_CONTENT not in profile.options:
        return {}
    using = settings(profile)
    dates: Operator | None = KEEP if FULL_DATES in profile.options else None
    if MODIFIED_DATES in profile.options:
        dates = shifted(0, Dummy(), using)
    chooser = ContentChooser(ContentRules(profile.options, profile.scope, using.lists, dates))
    return dict.fromkeys(CONTENT_SEQUENCES, chooser)


def _pixels(profile: Profile) -> PixelPolicy:
    """What can carry burned-in text is refused, unless the profile keeps all or says so."""
    usual = "keep" if profile.base == "none" else "refuse"
    burned_in = dict.fromkeys(KINDS, usual) | dict(profile.burned_in)
    return PixelPolicy(profile.pixels, burned_in, CLEAN_PIXEL_DATA in profile.options)


def _digits(rule: Rule) -> int:
    return rule.digits


def _tag(insert: tuple[int, str, Operator]) -> int:
    return insert[0]

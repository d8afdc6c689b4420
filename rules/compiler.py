"""A profile of the file -> the plan of the walk.

Layers in a fixed order: the base, then Remove, Replace and Keep of the profile. An exact tag
beats a mask, and a mask with more digits one with fewer. A rule under a path holds only there
and beats a rule without one. Replace and Keep under a path keep the sequences on the way.

Source: PS3.15 E.1.1; PS3.5 7.8 for private elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rules.base import Base, base_of, kept
from rules.errors import DocumentError, Mark, Problem, tag_text
from rules.marks import marks
from rules.operators import DESCEND, KEEP, REMOVE, Empty, Items, Pseudonym, literal
from rules.plan import Actions, ItemPlans, Line, Plan, PrivateActions
from rules.profile import Items as ItemsValue
from rules.profile import Literal as LiteralValue
from rules.selectors import PrivateTag, TagPattern
from rules.tables.dictionary import keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rules.operators import Operator
    from rules.profile import Profile, Value
    from rules.selectors import Selector, Step

_UNKNOWN_VR = "UN"


@dataclass(frozen=True, slots=True)
class _Rule:
    selector: Selector
    operator: Operator
    mark: Mark
    verb: str
    inserts: bool = False

    def for_tag(self, tag: int) -> Operator:
        """Keeping a sequence means descending it."""
        return kept(tag) if self.operator is KEEP else self.operator


@dataclass(slots=True)
class _Node:
    """The rules that hold at one place: everywhere, or in the items that a path names."""

    exact: dict[int, _Rule] = field(default_factory=dict)
    masks: list[_Rule] = field(default_factory=list)
    private: dict[tuple[int, str, int], _Rule] = field(default_factory=dict)
    children: dict[int, dict[int | None, _Node]] = field(default_factory=dict)

    def add(self, rule: _Rule, steps: tuple[Step, ...]) -> None:
        """Put a rule where its path leads; a later layer replaces an earlier one."""
        if steps:
            by_index = self.children.setdefault(steps[0].tag, {})
            by_index.setdefault(steps[0].index, _Node()).add(rule, steps[1:])
            return
        match rule.selector.target:
            case PrivateTag(group, creator, number):
                self.private[(group, creator, number)] = rule
            case TagPattern() as pattern if pattern.exact:
                self.exact[pattern.value] = rule
            case TagPattern():
                self.masks.append(rule)

    def over(self, under: _Node) -> _Node:
        """This node's rules on top of another's."""
        children = {tag: dict(by_index) for tag, by_index in under.children.items()}
        for tag, by_index in self.children.items():
            standing = children.setdefault(tag, {})
            for index, node in by_index.items():
                standing[index] = node.over(standing[index]) if index in standing else node
        return _Node(
            under.exact | self.exact,
            under.masks + self.masks,
            under.private | self.private,
            children,
        )

    def without_paths(self) -> _Node:
        """The rules that hold at every depth."""
        return _Node(self.exact, self.masks, self.private)

    def rules(self) -> Iterator[_Rule]:
        """Every rule, those under paths included."""
        yield from (*self.exact.values(), *self.masks, *self.private.values())
        for by_index in self.children.values():
            for node in by_index.values():
                yield from node.rules()

    def rules_under(self, sequence: int) -> Iterator[_Rule]:
        """The rules in the items of one sequence of this node."""
        for node in self.children[sequence].values():
            yield from node.rules()

    def keeps_way_to(self, sequence: int) -> bool:
        """Whether a path through this sequence wants it to stay."""
        return any(rule.operator is not REMOVE for rule in self.rules_under(sequence))


@dataclass(frozen=True, slots=True)
class _Compiler:
    profile: Profile
    scope: str
    base: Base
    everywhere: _Node

    def plan(self, node: _Node, nested: Plan | None) -> Plan:
        """The plan of one place; `nested` is that of every item no path names."""
        rules = node.over(self.everywhere)
        items = {tag: self._item_plans(node, tag, nested) for tag in node.children}
        return Plan(
            name=self.profile.name,
            scope=self.scope,
            actions=self._actions(rules),
            private=self._private(rules),
            inserts=_inserts(node),
            items=items,
            nested=nested,
        )

    def _item_plans(self, node: _Node, sequence: int, nested: Plan | None) -> ItemPlans:
        by_index = node.children[sequence]
        every = by_index.get(None)
        return ItemPlans(
            every=self.plan(every, nested) if every else None,
            by_index={
                index: self.plan(one.over(every) if every else one, nested)
                for index, one in by_index.items()
                if index is not None
            },
        )

    def _actions(self, rules: _Node) -> Actions:
        actions = Actions(self._resolver(rules))
        actions.update((tag, rule.for_tag(tag)) for tag, rule in rules.exact.items())
        ways = (tag for tag in rules.children if rules.keeps_way_to(tag))
        actions.update((tag, DESCEND) for tag in ways)
        return actions

    def _resolver(self, rules: _Node) -> Callable[[int], Operator]:
        masks = sorted(rules.masks, key=_digits)
        masks.reverse()  # the most digits first; of equal ones the later layer

        def resolve(tag: int) -> Operator:
            operator, _ = self.base.action(tag)
            if tag & 0xFFFF == 0:
                return operator
            matching = (rule for rule in masks if _matches(rule, tag))
            rule = next(matching, None)
            return rule.for_tag(tag) if rule else operator

        return resolve

    def _private(self, rules: _Node) -> PrivateActions:
        by_creator = {key: rule.operator for key, rule in rules.private.items()}
        return PrivateActions(by_creator, KEEP if self._keeps_private() else REMOVE)

    def _keeps_private(self) -> bool:
        return self.profile.private == "keep"

    def lines(self, root: _Node) -> Iterator[Line]:
        """The explanation: the profile's rules, then the base's."""
        for rule in root.rules():
            why = f"{rule.verb}, {rule.mark}"
            yield Line(rule.selector.text, _name(rule.selector), rule.operator, why)
        for tag, (operator, why) in sorted(self.base.rows.items()):
            if tag not in root.exact:
                yield Line(tag_text(tag), keyword_of(tag), operator, why)
        others = KEEP if self.base.keeps_unnamed else REMOVE
        private = KEEP if self._keeps_private() else REMOVE
        yield Line("(gggg,eeee), gggg odd", "private elements", private, "PrivateTags")
        if self.base.name == "basic":
            yield Line("(50xx,xxxx) (60xx,xxxx)", "curves, overlays", REMOVE, "base basic")
            yield Line("", "not in the data dictionary", REMOVE, "base basic")
        else:
            yield Line("", "everything else", others, f"base {self.base.name}")

    def exposed(self, root: _Node) -> tuple[int, ...]:
        """Tags that the base protects and the profile's rules keep."""
        keeping = [rule for rule in root.rules() if rule.operator is KEEP]
        ways = [tag for tag in root.children if root.keeps_way_to(tag)]
        protected = [tag for tag in self.base.rows if self.base.protects(tag)]
        kept_rows = [tag for tag in protected for rule in keeping if _matches(rule, tag)]
        unlisted = [
            rule.selector.target.value
            for rule in keeping
            if isinstance(rule.selector.target, TagPattern)
            and self.base.protects(rule.selector.target.value)
        ]
        return tuple({*kept_rows, *unlisted, *(tag for tag in ways if tag in protected)})


def compile_plan(profile: Profile) -> Plan:
    """Compile a profile.

    Raises:
        DocumentError: rules that can never apply, each at its place.
    """
    scope = profile.consistent or profile.name
    root = _tree(profile)
    problems = list(_unreachable(root))
    if problems:
        raise DocumentError(problems)
    base = base_of(profile.base, profile.edition, scope)
    compiler = _Compiler(profile, scope, base, root.without_paths())
    nested = replace(compiler.plan(_Node(), None), inserts=())
    plan = compiler.plan(root, nested)
    return replace(
        _marked(plan, compiler, root), rejects=profile.reject, lines=tuple(compiler.lines(root))
    )


def _marked(plan: Plan, compiler: _Compiler, root: _Node) -> Plan:
    """The plan of the root with the marks, which a rule of the profile may overrule."""
    profile = compiler.profile
    keeps_private = plan.private.otherwise is KEEP or any(
        operator is not REMOVE for operator in plan.private.by_creator.values()
    )
    wanted = marks(
        profile.name,
        profile.base,
        profile.edition,
        compiler.exposed(root),
        keeps_private=keeps_private,
    )
    added = {tag: operator for tag, operator in wanted.items() if tag not in root.exact}
    plan.actions.update(added)
    inserts = [*plan.inserts, *((tag, _vr(tag), operator) for tag, operator in added.items())]
    return replace(plan, inserts=tuple(sorted(inserts, key=lambda insert: insert[0])))


def _tree(profile: Profile) -> _Node:
    root = _Node()
    for removal in profile.remove:
        rule = _Rule(removal.selector, REMOVE, removal.mark, "Remove")
        root.add(rule, removal.selector.steps)
    for change in profile.replace:
        is_literal = isinstance(change.value, LiteralValue | ItemsValue)
        operator = _operator(_target_vr(change.selector), change.value)
        rule = _Rule(change.selector, operator, change.mark, "Replace", inserts=is_literal)
        root.add(rule, change.selector.steps)
    for keeping in profile.keep:
        rule = _Rule(keeping.selector, KEEP, keeping.mark, "Keep")
        root.add(rule, keeping.selector.steps)
    return root


def _operator(vr: str, value: Value) -> Operator:
    """The operator of a Replace value."""
    if isinstance(value, LiteralValue):
        return literal(vr, value.text) if vr != "SQ" else Empty()
    if isinstance(value, ItemsValue):
        items = tuple(
            tuple((tag, _vr(tag), _operator(_vr(tag), inner)) for tag, inner in sorted(one))
            for one in value.items
        )
        return Items(items, f"{len(items)} items" if items else "no items")
    return Pseudonym(value.scope)


def _unreachable(node: _Node) -> Iterator[Problem]:
    """Rules in a sequence that another rule of the profile replaces or removes."""
    for sequence, by_index in node.children.items():
        over = node.exact.get(sequence)
        if over and over.operator is not KEEP:
            said = f"{over.verb} of {over.selector.text} on line {over.mark.line}"
            for rule in node.rules_under(sequence):
                yield Problem(rule.mark, f"never applies, because of {said}: drop one of them")
        for child in by_index.values():
            yield from _unreachable(child)


def _inserts(node: _Node) -> tuple[tuple[int, str, Operator], ...]:
    """What the rules of a place write where it is absent."""
    wanted = [(tag, rule) for tag, rule in sorted(node.exact.items()) if rule.inserts]
    return tuple((tag, _vr(tag), rule.operator) for tag, rule in wanted)


def _matches(rule: _Rule, tag: int) -> bool:
    target = rule.selector.target
    return isinstance(target, TagPattern) and tag & target.mask == target.value


def _digits(rule: _Rule) -> int:
    target = rule.selector.target
    return target.mask.bit_count() if isinstance(target, TagPattern) else 0


def _vr(tag: int) -> str:
    return (vr_of(tag) or _UNKNOWN_VR).split(" or ")[0]


def _target_vr(selector: Selector) -> str:
    target = selector.target
    return _vr(target.value) if isinstance(target, TagPattern) else _UNKNOWN_VR


def _name(selector: Selector) -> str:
    target = selector.target
    return keyword_of(target.value) if isinstance(target, TagPattern) and target.exact else ""

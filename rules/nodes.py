"""The rules of a profile by the place they hold in: a tree along the paths of their selectors.

A later layer replaces an earlier one at the same place: Remove, then Replace, then Keep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules.base import kept
from rules.errors import Problem
from rules.operators import KEEP, REMOVE
from rules.private import Addition, Written
from rules.profile import Items as ItemsValue
from rules.profile import Literal as LiteralValue
from rules.replacing import operator_of, target_vr, vr_to_write
from rules.selectors import PrivateTag, TagPattern
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.errors import Mark
    from rules.operators import Operator
    from rules.profile import Profile
    from rules.selectors import Selector, Step


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of Remove, Replace or Keep; `inserts` is whether it writes what is absent."""

    selector: Selector
    operator: Operator
    mark: Mark
    verb: str
    inserts: bool = False

    def for_tag(self, tag: int) -> Operator:
        """Keeping a sequence means descending it."""
        return kept(tag) if self.operator is KEEP else self.operator

    def matches(self, tag: int) -> bool:
        """Whether it names a standard attribute."""
        target = self.selector.target
        return isinstance(target, TagPattern) and target.matches(tag)

    @property
    def digits(self) -> int:
        """How much of a tag it fixes, in bits."""
        target = self.selector.target
        return target.mask.bit_count() if isinstance(target, TagPattern) else 0

    @property
    def keyword(self) -> str:
        """Of the one attribute it names; empty if it names several, or private ones."""
        target = self.selector.target
        is_one = isinstance(target, TagPattern) and target.exact
        return keyword_of(target.value) if is_one and isinstance(target, TagPattern) else ""


@dataclass(slots=True)
class Node:
    """The rules that hold at one place: everywhere, or in the items that a path names."""

    exact: dict[int, Rule] = field(default_factory=dict)
    masks: list[Rule] = field(default_factory=list)
    private: dict[tuple[int, str, int], Rule] = field(default_factory=dict)
    children: dict[int, dict[int | None, Node]] = field(default_factory=dict)

    def add(self, rule: Rule, steps: tuple[Step, ...]) -> None:
        """Put a rule where its path leads; a later layer replaces an earlier one."""
        if steps:
            by_index = self.children.setdefault(steps[0].tag, {})
            by_index.setdefault(steps[0].index, Node()).add(rule, steps[1:])
            return
        match rule.selector.target:
            case PrivateTag(group, creator, number):
                self.private[(group, creator, number)] = rule
            case TagPattern() as pattern if pattern.exact:
                self.exact[pattern.value] = rule
            case TagPattern():
                self.masks.append(rule)

    def over(self, under: Node) -> Node:
        """This node's rules on top of another's."""
        children = {tag: dict(by_index) for tag, by_index in under.children.items()}
        for tag, by_index in self.children.items():
            standing = children.setdefault(tag, {})
            for index, node in by_index.items():
                standing[index] = node.over(standing[index]) if index in standing else node
        return Node(
            under.exact | self.exact,
            under.masks + self.masks,
            under.private | self.private,
            children,
        )

    def names(self, tag: int) -> bool:
        """Whether a rule of this place is about a standard attribute, or about its items."""
        named = tag in self.exact or tag in self.children
        return named or any(rule.matches(tag) for rule in self.masks)

    def without_paths(self) -> Node:
        """The rules that hold at every depth."""
        return Node(self.exact, self.masks, self.private)

    def rules(self) -> Iterator[Rule]:
        """Every rule, those under paths included."""
        yield from (*self.exact.values(), *self.masks, *self.private.values())
        for by_index in self.children.values():
            for node in by_index.values():
                yield from node.rules()

    def rules_under(self, sequence: int) -> Iterator[Rule]:
        """The rules in the items of one sequence of this node."""
        for node in self.children[sequence].values():
            yield from node.rules()

    def keeps_way_to(self, sequence: int) -> bool:
        """Whether a path through this sequence wants it to stay."""
        return any(rule.operator is not REMOVE for rule in self.rules_under(sequence))

    def ways(self) -> tuple[int, ...]:
        """The sequences of this place that paths lead through and that must stay."""
        return tuple(tag for tag in self.children if self.keeps_way_to(tag))

    def inserts(self) -> tuple[tuple[int, str, Operator], ...]:
        """What the rules of this place write where it is absent."""
        wanted = [(tag, rule) for tag, rule in sorted(self.exact.items()) if rule.inserts]
        return tuple((tag, vr_to_write(tag), rule.operator) for tag, rule in wanted)

    def additions(self) -> tuple[Addition, ...]:
        """The private elements among them."""
        wanted = (rule for _, rule in sorted(self.private.items()) if rule.inserts)
        return tuple(_addition(rule) for rule in wanted)


def _addition(rule: Rule) -> Addition:
    target, written = rule.selector.target, rule.operator
    if not isinstance(target, PrivateTag) or not isinstance(written, Written):
        raise TypeError(rule.verb)
    return Addition(target.group, target.creator, target.element, target.block, written)


def tree(profile: Profile) -> Node:
    """All rules of a profile."""
    root = Node()
    for rule in _rules(profile):
        root.add(rule, rule.selector.steps)
    return root


def _rules(profile: Profile) -> Iterator[Rule]:
    for removal in profile.remove:
        yield Rule(removal.selector, REMOVE, removal.mark, "Remove")
    for change in profile.replace:
        is_literal = isinstance(change.value, LiteralValue | ItemsValue)
        vr = target_vr(change.selector, change.value)
        operator = operator_of(vr, change.value, profile, change.selector)
        if isinstance(change.selector.target, PrivateTag):
            operator = Written(vr, operator)
        yield Rule(change.selector, operator, change.mark, "Replace", inserts=is_literal)
    for keeping in profile.keep:
        yield Rule(keeping.selector, KEEP, keeping.mark, "Keep")


def unreachable(node: Node) -> Iterator[Problem]:
    """Rules in a sequence that another rule of the profile replaces or removes."""
    for sequence, by_index in node.children.items():
        over = node.exact.get(sequence)
        if over and over.operator is not KEEP:
            said = f"{over.verb} of {over.selector.text} on line {over.mark.line}"
            for rule in node.rules_under(sequence):
                yield Problem(rule.mark, f"never applies, because of {said}: drop one of them")
        for child in by_index.values():
            yield from unreachable(child)

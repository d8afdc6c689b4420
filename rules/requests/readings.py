"""How the rules of a request differ from those of a file.

- A sequence that is kept is kept with all it holds; a path keeps no sequence on its way.
- What anonymize removes or keeps, it removes or keeps in items too; what it replaces, in items
  gets the literal where the base would not leave it as it is. UIDs and a made-up name of the
  patient are for the root: in items the base replaces them, and references follow.
- What modify says without a path is said of the root only.
- A new character set makes the instance UTF-8, text by text.

Source: the Orthanc Book, "Anonymization and modification"; PS3.3 C.12.1.1.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from rules.compiler import Reading
from rules.nodes import Node, Rule, tree
from rules.operators import KEEP, KEEP_WHOLE, RemapUID, Verdict
from rules.requests.edits import CHARACTER_SET, UTF_8
from rules.requests.levels import KEYWORDS, UIDS
from rules.selectors import EXACT, Selector, TagPattern
from rules.tables.dictionary import vr_of
from rules.values import Unencodable, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from rules.base import Base
    from rules.errors import Mark
    from rules.operators import Context, Operator
    from rules.profile import Profile

_PRIVATE = 0x10000
_REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class ToUTF8:
    """A new Specific Character Set: refused until the instance has been widened to it."""

    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"texts in {UTF_8}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        if context.charsets != (UTF_8,):
            raise Unencodable("the instance is in another character set")
        return encode("CS", UTF_8)


def rules_of(profile: Profile) -> Node:
    """The rules of a request by their place."""
    root = tree(profile)
    for node in _nodes(root):
        node.exact.update((tag, _read(tag, rule)) for tag, rule in node.exact.items())
    return root


def anonymizing(made_up: Collection[int], renaming: Mapping[str, str]) -> Reading:
    """The reading of anonymize.

    Args:
        made_up: Tags whose literal is the job's, and for the root only.
        renaming: UIDs whose new names are settled.
    """
    at_the_root = UIDS | set(made_up)

    def everywhere(root: Node, base: Base) -> Node:
        return Node({tag: one for tag, one in root.exact.items() if holds(tag, one, base)})

    def holds(tag: int, rule: Rule, base: Base) -> bool:
        if tag & _PRIVATE:
            return False
        return rule.verb != _REPLACE or (tag not in at_the_root and base.protects(tag))

    return Reading(rules_of, everywhere, keeps_ways=False, renaming=renaming)


def modifying(
    renaming: Mapping[str, str], at_the_root: Mapping[int, Operator], mark: Mark
) -> Reading:
    """The reading of modify, and of whatever moves instances.

    Args:
        renaming: UIDs whose new names are settled.
        at_the_root: What happens to further attributes.
        mark: Of those.
    """

    def rules(profile: Profile) -> Node:
        root = rules_of(profile)
        added = {tag: _rule(tag, one, mark) for tag, one in at_the_root.items()}
        root.exact.update(added)
        return root

    return Reading(rules, lambda *_: Node(), keeps_ways=False, follows=True, renaming=renaming)


def keyed(keywords: Collection[str], scope: str) -> dict[int, Operator]:
    """Identifiers that become keyed UIDs, by tag."""
    return {tag: RemapUID(scope) for tag, keyword in KEYWORDS.items() if keyword in keywords}


def _rule(tag: int, operator: Operator, mark: Mark) -> Rule:
    selector = Selector((), TagPattern(tag, EXACT), "")
    inserts = not isinstance(operator, RemapUID | Verdict)
    return Rule(selector, operator, mark, _REPLACE, inserts=inserts)


def _nodes(root: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield root
    for by_index in root.children.values():
        for node in by_index.values():
            yield from _nodes(node)


def _read(tag: int, rule: Rule) -> Rule:
    if rule.operator is KEEP and vr_of(tag) == "SQ":
        return replace(rule, operator=KEEP_WHOLE)
    if tag == CHARACTER_SET and rule.verb == _REPLACE:
        return replace(rule, operator=ToUTF8())
    return rule

"""Remove, Replace and Keep of a request, each tag with the one thing that happens to it.

- They are read in that order, and of a tag without a path the last mention holds.
- Of a path Replace holds before Remove, and Remove before Keep: paths are applied last.
- A private tag of Replace needs a creator: from `PrivateCreator`, or from a creator element that
  Replace writes as well. It is written with its creator.
- What would leave an instance that nobody can read, or group, is a fault.

Source: the Orthanc Book, "Anonymization and modification"; PS3.5 7.8.1 (private creators).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules.errors import tag_text
from rules.requests.faults import RequestFault, Status
from rules.requests.fields import mapping, text, texts
from rules.requests.held import private_value_of, value_of
from rules.requests.levels import KEYWORDS, UIDS
from rules.requests.tags import CREATORS, PRIVATE, name, parse_path
from rules.selectors import EXACT, PrivateTag, Selector, TagPattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.profile import Value
    from rules.requests.fields import Body

CHARACTER_SET = 0x00080005
UTF_8 = "ISO_IR 192"
_SOP_CLASS = 0x00080016
_PIXEL_GROUP = 0x7FE0
_CREATOR_CHARACTERS = 64

_REMOVE, _REPLACE, _KEEP = "removed", "replaced", "kept"


@dataclass(frozen=True, slots=True)
class Edits:
    """What happens to which attributes; no two of them are about the same one.

    Attributes:
        remove: What goes.
        replace: What is written, with its value.
        keep: What stays.
    """

    remove: tuple[Selector, ...] = ()
    replace: tuple[tuple[Selector, Value], ...] = field(default=(), repr=False)
    keep: tuple[Selector, ...] = ()

    def removed(self) -> set[int]:
        """Tags without a path that go."""
        return _tops(self.remove)

    def kept(self) -> set[int]:
        """Tags without a path that stay."""
        return _tops(self.keep)

    def values(self) -> dict[int, Value]:
        """Values by tag without a path."""
        tops = ((one.target, value) for one, value in self.replace if not one.steps)
        return {target.value: value for target, value in tops if isinstance(target, TagPattern)}


def read_edits(body: Body, *, is_forced: bool) -> Edits:
    """The lists of a body.

    Args:
        body: An object.
        is_forced: Whether the four identifiers may be named.

    Raises:
        RequestFault: one of the lists is no list of tags, or asks for what cannot be.
    """
    verbs: dict[Selector, str] = {}
    plain: dict[Selector, object] = {}
    for verb, key, value in _mentions(body):
        selector = parse_path(key)
        _need_force(selector, verb, is_forced=is_forced)
        if verb == _REPLACE:
            plain[selector] = value
        _settle(verbs, selector, verb)
    written = {one: plain[one] for one, verb in verbs.items() if verb == _REPLACE}
    creator = text(body, "PrivateCreator") or ""
    return _edits(_of(verbs, _REMOVE), written, _of(verbs, _KEEP), creator)


def _mentions(body: Body) -> Iterator[tuple[str, str, object]]:
    """Every tag that a list names, in the order in which lists are read."""
    for key in texts(body, "Remove", Status.BAD_REQUEST) or ():
        yield _REMOVE, key, None
    for key, value in mapping(body, "Replace").items():
        yield _REPLACE, key, value
    for key in texts(body, "Keep", Status.BAD_REQUEST) or ():
        yield _KEEP, key, None


def _of(verbs: Mapping[Selector, str], verb: str) -> tuple[Selector, ...]:
    return tuple(sorted((one for one, said in verbs.items() if said == verb), key=str))


def _need_force(selector: Selector, verb: str, *, is_forced: bool) -> None:
    target = selector.target
    if is_forced or selector.steps or not isinstance(target, TagPattern):
        return
    if target.value in KEYWORDS:
        raise RequestFault(
            Status.BAD_REQUEST,
            f'Marking tag "{KEYWORDS[target.value]}" as to be {verb} requires the "Force" option '
            "to be set to true",
        )


def _settle(wanted: dict[Selector, str], selector: Selector, verb: str) -> None:
    """The last mention holds, but Keep under a path says nothing where another list speaks."""
    if not (selector.steps and verb == _KEEP and selector in wanted):
        wanted[selector] = verb


def _edits(
    lost: tuple[Selector, ...],
    plain: Mapping[Selector, object],
    stays: tuple[Selector, ...],
    creator: str,
) -> Edits:
    """What is asked for, without what cannot show: paths through what goes or stays whole."""
    for selector in lost:
        _refuse_removal(selector)
    gone, settled = _tops(lost), _tops(stays) | _tops(plain)
    reached = {one: value for one, value in plain.items() if not _lies_in(one, gone)}
    remove = tuple(one for one in lost if not _lies_in(one, gone))
    _refuse_paths_into((*remove, *reached), settled)
    return Edits(
        remove=remove,
        replace=tuple(_replacements(reached, creator)),
        keep=tuple(
            one for one in stays if not _lies_in(one, gone | settled) and not _is_creator(one)
        ),
    )


def _refuse_paths_into(selectors: Iterable[Selector], settled: set[int]) -> None:
    for selector in selectors:
        if _lies_in(selector, settled):
            raise RequestFault(
                Status.BAD_REQUEST,
                f"{selector.text} lies in a sequence that is itself kept or replaced: name one "
                "of the two",
            )


def _lies_in(selector: Selector, sequences: set[int]) -> bool:
    return bool(selector.steps) and selector.steps[0].tag in sequences


def _tops(selectors: Iterable[Selector]) -> set[int]:
    targets = (selector.target for selector in selectors if not selector.steps)
    return {target.value for target in targets if isinstance(target, TagPattern)}


# ---- what cannot be removed


def _refuse_removal(selector: Selector) -> None:
    target = selector.target
    if not isinstance(target, TagPattern):
        return
    if target.value in KEYWORDS and not selector.steps:
        raise RequestFault(
            Status.BAD_REQUEST,
            "It is forbidden to remove one of the main Dicom identifiers: "
            f"{KEYWORDS[target.value]}",
        )
    if target.value == CHARACTER_SET or (target.value == _SOP_CLASS and not selector.steps):
        raise RequestFault(
            Status.BAD_REQUEST, f"{name(target.value)} stays: no instance can be read without it"
        )
    if _is_creator(selector):
        raise RequestFault(
            Status.BAD_REQUEST,
            f"{tag_text(target.value)} is a private creator: it goes with the elements of its "
            "block",
        )


def _is_creator(selector: Selector) -> bool:
    target = selector.target
    if not isinstance(target, TagPattern) or not target.value & PRIVATE:
        return False
    return target.value & 0xFFFF in CREATORS


def _is_group_length(selector: Selector) -> bool:
    target = selector.target
    return isinstance(target, TagPattern) and target.value & 0xFFFF == 0


# ---- what is written


def _replacements(
    plain: Mapping[Selector, object], creator: str
) -> Iterator[tuple[Selector, Value]]:
    creators = {one: _creator(plain[one]) for one in plain if _is_creator(one)}
    used: set[Selector] = set()
    for selector, value in plain.items():
        target = selector.target
        if selector in creators or _is_group_length(selector):
            continue
        if isinstance(target, TagPattern) and target.value & PRIVATE:
            reserving = _reserving(selector, target.value)
            used.add(reserving)
            target = _owned(target.value, creators.get(reserving) or _creator(creator))
        if isinstance(target, PrivateTag):
            owned = Selector(selector.steps, target, selector.text)
            yield owned, private_value_of(value, target)
        else:
            yield selector, _standard(selector, target.value, value)
    _refuse_alone(creators.keys() - used)


def _refuse_alone(creators: Iterable[Selector]) -> None:
    for one in creators:
        raise RequestFault(
            Status.BAD_REQUEST,
            f"{one.text} is a private creator: Replace writes it along with an element of its "
            "block",
        )


def _reserving(selector: Selector, tag: int) -> Selector:
    """What names the creator element of the block that an element is in."""
    creator = tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8
    return Selector(selector.steps, TagPattern(creator, EXACT), "")


def _owned(tag: int, creator: str) -> PrivateTag:
    if not creator:
        raise RequestFault(
            Status.BAD_REQUEST,
            f"{tag_text(tag)} is private: say whose it is with PrivateCreator",
        )
    return PrivateTag(tag >> 16, creator, tag & 0xFF, (tag & 0xFFFF) >> 8)


def _creator(plain: object) -> str:
    """A text that can name a private creator; empty stays empty."""
    creator = plain.strip() if isinstance(plain, str) else "\\"
    is_text = creator.isascii() and creator.isprintable() and "\\" not in creator
    if not is_text or len(creator) > _CREATOR_CHARACTERS:
        raise RequestFault(
            Status.BAD_REQUEST,
            "A private creator is at most 64 printable ASCII characters, no backslash",
        )
    return creator


def _standard(selector: Selector, tag: int, plain: object) -> Value:
    if tag >> 16 >= _PIXEL_GROUP:
        raise RequestFault(Status.BAD_REQUEST, f"{name(tag)} cannot be replaced here")
    if tag == CHARACTER_SET and (selector.steps or plain != UTF_8):
        raise RequestFault(
            Status.BAD_REQUEST,
            f"SpecificCharacterSet can become {UTF_8} only: the texts that stay are written anew",
        )
    is_needed = tag in UIDS or tag == _SOP_CLASS
    if is_needed and not selector.steps and plain in (None, ""):
        raise RequestFault(Status.BAD_REQUEST, f"{name(tag)} cannot be empty")
    return value_of(plain, tag)

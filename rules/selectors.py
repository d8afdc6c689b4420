"""What a rule names: an attribute, a range of them, or a private one, perhaps under a path.

    PatientID   0010,0020   (0010,0020)   0010-0020   00100020
    (50xx,xxxx)                                 x stands for any hexadecimal digit
    (0019,{SIEMENS MR HEADER}0C)                private, by its creator
    ReferencedStudySequence[*].StudyDate        in every item; [0] is the first

Private attributes are named by creator only: the block number in (0019,100C) differs from
instance to instance.

Source: PS3.5 7.1 (tags), 7.8 (private elements); PS3.6 by way of pydicom.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, lru_cache

from pydicom.datadict import (  # type: ignore[attr-defined] # documented, not re-exported
    DicomDictionary,
    RepeatersDictionary,
    dictionary_keyword,
    dictionary_VR,
    tag_for_keyword,
)

EXACT = 0xFFFFFFFF
MAX_STEPS = 16

_TAG = re.compile(
    r"\(\s*([0-9A-Fa-fXx]{4})\s*,\s*([0-9A-Fa-fXx]{4})\s*\)"
    r"|([0-9A-Fa-fXx]{4})\s*[,-]?\s*([0-9A-Fa-fXx]{4})"
)
_PRIVATE = re.compile(
    r"\(?\s*(?P<group>[0-9A-Fa-f]{4})\s*,\s*"
    r'(?:\{(?P<braced>[^{}]*)\}|"(?P<quoted>[^"]*)"\s*,)\s*(?P<element>[0-9A-Fa-fXx]+)\s*\)?'
)
_PART = re.compile(r'((?:\{[^}]*\}|"[^"]*"|[^.{"])*)(\.|$)')
_STEP = re.compile(r"(.*?)\s*\[\s*(\*|[0-9]{1,6}|[^\]]*)\s*\]", re.DOTALL)
_HALF_TAG = re.compile(r"\(?\s*[0-9A-Fa-fXx]{4}|[0-9A-Fa-fXx]{4}\s*\)?")
_KEYWORD_CHARACTERS = 128
_CREATOR_CHARACTERS = 64
_FIRST_BLOCK, _LAST_PRIVATE_CREATOR = 0x10, 0xFF
_UNUSABLE_GROUPS = {
    0x0000: "group 0000 belongs to the command, not to the dataset",
    0x0002: "group 0002 is written anew for every file",
    0xFFFE: "group FFFE marks items, not attributes",
}
# PS3.5 7.8: these odd groups are not for private elements.
_NEVER_PRIVATE = frozenset({0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF})


@dataclass(frozen=True, slots=True)
class Step:
    """One sequence of a path; `index` counts items from 0, None means every item."""

    tag: int
    index: int | None


@dataclass(frozen=True, slots=True)
class TagPattern:
    """The tags whose bits under `mask` are those of `value`."""

    value: int
    mask: int

    @property
    def exact(self) -> bool:
        """Whether it is one tag."""
        return self.mask == EXACT

    def matches(self, tag: int) -> bool:
        """Whether a tag is one of them."""
        return tag & self.mask == self.value


@dataclass(frozen=True, slots=True)
class PrivateTag:
    """A private attribute: group, creator, and the low byte of the element number.

    `block` is where its creator would rather reserve one, if it has to.
    """

    group: int
    creator: str
    element: int
    block: int = field(default=0x10, compare=False)


@dataclass(frozen=True, slots=True)
class Selector:
    """What a rule names; two spellings of the same thing are equal.

    `text` is the plainest spelling: it parses to an equal selector.
    """

    steps: tuple[Step, ...]
    target: TagPattern | PrivateTag
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text


def parse_selector(text: str) -> Selector:
    """Read a selector.

    Args:
        text: See the module.

    Raises:
        ValueError: a sentence with the remedy, or the nearest spelling.
    """
    *parents, last = _parts(text)
    if len(parents) > MAX_STEPS:
        raise ValueError(f"a path leads through at most {MAX_STEPS} sequences")
    steps = tuple(_step(parent, text) for parent in parents)
    target = _target(last)
    path = "".join(f"{_step_text(step)}." for step in steps)
    return Selector(steps, target, path + _target_text(target))


def is_half_a_tag(text: str) -> bool:
    """Whether a text is what a comma in a YAML list or map leaves of `(0010,0020)`."""
    return _HALF_TAG.fullmatch(text.strip()) is not None


def nearest(word: str, known: tuple[str, ...]) -> str:
    """`; did you mean X?` for the nearest of the known words, else nothing."""
    close = closest(word, known)
    return f"; did you mean {close}?" if close else ""


def closest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that is nearest to one that may be misspelt, if any is near."""
    by_folded = {one.casefold(): one for one in reversed(known)}
    close = get_close_matches(word[:_KEYWORD_CHARACTERS].casefold(), by_folded, n=1, cutoff=0.7)
    return by_folded[close[0]] if close else None


def _parts(text: str) -> list[str]:
    """The text between dots; a dot inside a private creator is no separator."""
    if not text.strip():
        raise ValueError("an attribute is missing here")
    parts, position = [], 0
    while True:
        found = _PART.match(text, position)
        if not found:
            raise ValueError("a private creator stands in { } or in quotation marks")
        parts.append(found[1].strip())
        position = found.end()
        if not found[2]:
            return parts


def _step(part: str, whole: str) -> Step:
    found = _STEP.fullmatch(part)
    if not found:
        behind = _shown(_after(whole, part))
        raise ValueError(f"a path names items: write {_shown(part)}[*].{behind}")
    name, index = found[1], found[2].strip()
    target = _target(name)
    if isinstance(target, PrivateTag) or not target.exact:
        raise ValueError("a path leads through single sequences of the standard only")
    if _vr(target.value) != "SQ":
        raise ValueError(f"{_target_text(target)} is not a sequence: no path leads through it")
    if index == "*":
        return Step(target.value, None)
    if not index.isascii() or not index.isdigit():
        raise ValueError(f"[{_shown(index)}] is no item: write [*] for all, [0] for the first")
    return Step(target.value, int(index))


def _after(whole: str, part: str) -> str:
    return whole.partition(part)[2].lstrip(". ") or "Tag"


def _target(part: str) -> TagPattern | PrivateTag:
    if not part:
        raise ValueError("an attribute is missing beside a dot or before a bracket")
    if "{" in part or '"' in part:
        return _private(part)
    by_keyword = keyword_pattern(part)
    if by_keyword:
        return by_keyword
    found = _TAG.fullmatch(part)
    if found:
        return _pattern((found[1] or found[3]) + (found[2] or found[4]))
    raise ValueError(_unknown(part))


@lru_cache(4096)
def keyword_pattern(keyword: str) -> TagPattern | None:
    """The tags of a keyword; those of repeating groups have a mask. None if unknown."""
    if not keyword:  # pydicom knows retired attributes without a keyword
        return None
    tag = tag_for_keyword(keyword)
    if tag is not None:
        return _usable(TagPattern(tag, EXACT))
    return _repeating().get(keyword)


@cache
def _repeating() -> dict[str, TagPattern]:
    return {entry[4]: _masked(digits) for digits, entry in RepeatersDictionary.items() if entry[4]}


@cache
def _keywords() -> tuple[str, ...]:
    return tuple(entry[4] for entry in DicomDictionary.values() if entry[4])


def _masked(digits: str) -> TagPattern:
    folded = digits.casefold()
    value = int(folded.replace("x", "0"), 16)
    mask = int("".join("0" if digit == "x" else "f" for digit in folded), 16)
    return TagPattern(value, mask)


def _pattern(digits: str) -> TagPattern:
    pattern = _masked(digits)
    if pattern.mask == 0:
        raise ValueError("this names every attribute: use Base instead")
    return _usable(pattern)


def _usable(pattern: TagPattern) -> TagPattern:
    """The same pattern, if rules may name it."""
    group, element = pattern.value >> 16, pattern.value & 0xFFFF
    if pattern.mask >> 16 == 0xFFFF and group in _UNUSABLE_GROUPS:  # noqa: PLR2004 - all bits
        raise ValueError(_UNUSABLE_GROUPS[group])
    if pattern.mask & 0x00010000 and group & 1:
        raise ValueError(f"private attributes are named by creator: write {_by_creator(pattern)}")
    if pattern.mask & 0xFFFF == 0xFFFF and element == 0:  # noqa: PLR2004 - all bits
        raise ValueError("element 0000 is a group length: it is always dropped")
    return pattern


def _by_creator(pattern: TagPattern) -> str:
    group = _digits(pattern)[:4]
    element = _digits(pattern)[6:]
    return f"({group},{{CREATOR}}{'ee' if 'x' in element else element})"


def _private(part: str) -> PrivateTag:
    found = _PRIVATE.fullmatch(part)
    if not found or part.startswith("(") != part.endswith(")"):
        raise ValueError("a private attribute is written (gggg,{CREATOR}ee), ee two digits")
    group = int(found["group"], 16)
    creator = (found["braced"] or found["quoted"] or "").strip()
    digits = found["element"]
    if not group & 1 or group in _NEVER_PRIVATE:
        raise ValueError(f"group {group:04X} is not private: private groups are odd, from 0009")
    if not creator:
        raise ValueError("the private creator is empty")
    if len(creator) > _CREATOR_CHARACTERS or "\\" in creator or not creator.isprintable():
        raise ValueError("a private creator is at most 64 printable characters, no backslash")
    if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
        raise ValueError(
            f"behind the creator stand two digits, not {_shown(digits)}: the block number "
            "before them differs from instance to instance"
        )
    return PrivateTag(group, creator, int(digits, 16))


def _unknown(part: str) -> str:
    shown = _shown(part)
    if part.endswith("]"):
        return f"a selector ends with an attribute: write {shown}.Tag, or drop the [ ]"
    if is_half_a_tag(part):
        return f'{shown} is half a tag: quote the whole, "(0010,0020)"'
    if part.casefold().startswith("0x") or re.fullmatch(r"[(]?[0-9A-Fa-fXx ]+([,-].*)?", part):
        return f"{shown} is no tag: a tag has eight hexadecimal digits, as in (0010,0020)"
    return f"{shown} is no attribute{nearest_keyword(part)}"


@lru_cache(1024)
def nearest_keyword(word: str) -> str:
    """`; did you mean X?` for the nearest keyword, else nothing."""
    return nearest(word, _keywords())


def _shown(text: str) -> str:
    short = text if len(text) <= _KEYWORD_CHARACTERS else f"{text[:_KEYWORD_CHARACTERS]}..."
    return "".join(c if c.isprintable() else "?" for c in short)


def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


def _keyword(tag: int) -> str:
    try:
        return dictionary_keyword(tag)
    except KeyError:
        return ""


def _digits(pattern: TagPattern) -> str:
    shifts = range(28, -1, -4)
    return "".join(
        f"{pattern.value >> shift & 0xF:X}" if pattern.mask >> shift & 0xF else "x"
        for shift in shifts
    )


def _target_text(target: TagPattern | PrivateTag) -> str:
    if isinstance(target, PrivateTag):
        creator = target.creator
        if "}" in creator or "{" in creator:
            return f'({target.group:04X},"{creator}",{target.element:02X})'
        return f"({target.group:04X},{{{creator}}}{target.element:02X})"
    if target.exact:
        keyword = _keyword(target.value)
        if keyword and tag_for_keyword(keyword) == target.value:
            return keyword
    digits = _digits(target)
    return f"({digits[:4]},{digits[4:]})"


def _step_text(step: Step) -> str:
    index = "*" if step.index is None else str(step.index)
    return f"{_target_text(TagPattern(step.tag, EXACT))}[{index}]"

"""What Replace, Reject, When and Test hold: literals, functions, items, conditions, headers.

Whatever cannot be is a problem at its place, and None.

Source: PS3.5 6.2 (VRs), 7.5 (sequences).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules import values
from rules.conditions import Condition, parse_test
from rules.errors import tag_text
from rules.language.calls import check_held, no_lookups, read_call
from rules.language.shapes import NOT_YET
from rules.profile import Items, Literal, ReplaceRule
from rules.selectors import PrivateTag, TagPattern, keyword_pattern
from rules.tables.dictionary import keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.conditions import Test
    from rules.errors import Mark
    from rules.language.calls import ReadLookup
    from rules.language.document import Path
    from rules.language.document import Value as Plain
    from rules.language.places import Places
    from rules.profile import Value
    from rules.selectors import Selector

CHARACTER_SET_STAYS = (
    "SpecificCharacterSet stays as it is: the texts that are kept are encoded by it"
)
SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_PIXEL_GROUP = 0x7FE0
# What is held as characters, so that a condition can compare it as text.
_COMPARED_VRS = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"),
        *(values.TEXT_VRS | values.NUMBER_VRS | {"US or SS"}),
    }
)


def covers(selector: Selector, tag: int) -> bool:
    """Whether a selector names a tag, wherever it stands."""
    return isinstance(selector.target, TagPattern) and selector.target.matches(tag)


# ---- Replace


def replacement(
    places: Places, selector: Selector, path: Path, mark: Mark, read_lookup: ReadLookup
) -> ReplaceRule | None:
    """One line of Replace.

    Args:
        places: Of the profile.
        selector: What it names.
        path: Of its value.
        mark: Of its key.
        read_lookup: Gives the text of a lookup file.
    """
    plain = places.plain(*path)
    said = _why_not_replaced(selector, plain)
    target = selector.target
    if said or not isinstance(target, TagPattern):
        places.problems.add(mark, said or "")
        return None
    vr = _vr_of(target)
    if vr is None and plain != "":
        places.problems.add(mark, f'{selector.text} is of no one VR: only "" can replace it')
        return None
    value = _value(places, path, target.value, vr, read_lookup)
    return None if value is None else ReplaceRule(selector, value, mark)


def _why_not_replaced(selector: Selector, plain: Plain) -> str | None:
    target = selector.target
    if isinstance(target, PrivateTag):
        return f"to replace a private attribute {NOT_YET}"
    if target.value >> 16 == _PIXEL_GROUP:
        return f"to replace pixel data {NOT_YET}"
    if target.exact and vr_of(target.value) is None:
        return _unknown_vr(selector.text)
    if covers(selector, SPECIFIC_CHARACTER_SET):
        return CHARACTER_SET_STAYS
    return None if selector.steps else _why_not_new_identity(selector, plain)


def _unknown_vr(name: str) -> str:
    return f"{name} is not in the dictionary: its VR is unknown"


def _why_not_new_identity(selector: Selector, plain: Plain) -> str | None:
    if covers(selector, SOP_CLASS_UID):
        return "SOPClassUID says what the instance is: it cannot be replaced"
    if covers(selector, SOP_INSTANCE_UID) and not isinstance(plain, dict):
        return "SOPInstanceUID cannot be the same for every instance"
    for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID):
        if covers(selector, tag) and plain == "":
            return f"{keyword_of(tag)} cannot be empty"
    return None


def _vr_of(target: TagPattern) -> str | None:
    """The VR of all tags of a pattern; None where it differs or is unknown."""
    keyword = keyword_of(target.value)
    if not target.exact and (not keyword or keyword_pattern(keyword) != target):
        return None
    return vr_of(target.value)


def _value(
    places: Places, path: Path, tag: int, vr: str | None, read_lookup: ReadLookup
) -> Value | None:
    """The value that replaces an attribute, or None with a problem noted."""
    plain = places.plain(*path)
    if isinstance(plain, list) and vr == "SQ":
        return _items(places, path, plain)
    try:
        return _single(plain, tag, vr, read_lookup)
    except ValueError as error:
        places.say(f"{keyword_of(tag)} {error}".strip(), *path)
        return None


def _single(plain: Plain, tag: int, vr: str | None, read_lookup: ReadLookup) -> Value:
    if isinstance(plain, str):
        check_held(plain, tag, vr)
        return Literal(plain)
    if isinstance(plain, dict):
        return read_call(plain, tag, vr, read_lookup)
    if plain is None:
        raise ValueError('has no value: write "" for an empty one')
    raise ValueError(f"is of VR {vr}, not a sequence: it takes no list")


def _items(places: Places, path: Path, plain: list[Plain]) -> Items:
    return Items(tuple(_item(places, (*path, index)) for index in range(len(plain))))


def _item(places: Places, path: Path) -> tuple[tuple[int, Value], ...]:
    if not isinstance(places.plain(*path), dict):
        places.say("an item of a sequence is a map of attributes", *path)
        return ()
    held: dict[int, Value] = {}
    for key, mark in places.without_halves(places.keys(*path)):
        tag = places.own_tag(str(key), mark, held)
        value = _held(places, tag, (*path, str(key)), mark) if tag is not None else None
        if tag is not None and value is not None:
            held[tag] = value
    return tuple(sorted(held.items(), key=_tag))


def _tag(pair: tuple[int, Value]) -> int:
    return pair[0]


def _held(places: Places, tag: int, path: Path, mark: Mark) -> Value | None:
    """The value of an attribute of a new item."""
    vr = vr_of(tag)
    if vr is None:
        places.problems.add(mark, _unknown_vr(tag_text(tag)))
    elif tag == SPECIFIC_CHARACTER_SET:
        places.problems.add(mark, CHARACTER_SET_STAYS)
    elif isinstance(places.plain(*path), dict):
        places.say("functions need an original; a new item has none", *path)
    else:
        return _value(places, path, tag, vr, no_lookups)
    return None


# ---- Reject, When and Test


def condition(places: Places, *path: str | int) -> Condition | None:
    """A condition: attributes and what is asked of each."""
    plain = places.plain(*path)
    if not isinstance(plain, dict) or not plain:
        places.say('a condition is a map such as {Modality: "SR"}', *path)
        return None
    tests: dict[int, Test] = {}
    for tag, key in _compared(places, path, tests):
        try:
            tests[tag] = parse_test(plain[key])
        except ValueError as error:
            places.say(str(error), *path, key)
    return Condition(tuple(tests.items()), places.mark(*path)) if tests else None


def header(places: Places, *path: str | int) -> dict[int, str] | None:
    """A made-up header to try a condition on: attributes and their texts; absent means null."""
    plain = places.plain(*path)
    if not isinstance(plain, dict) or not plain:
        places.say("a header is a map such as {Modality: US, Rows: 480}", *path)
        return None
    texts: dict[int, str] = {}
    for tag, key in _compared(places, path, texts):
        text = plain[key]
        try:
            texts[tag] = _header_text(text, tag)
        except ValueError as error:
            places.say(f"{keyword_of(tag)} {error}", *path, key)
    return texts


def _header_text(text: Plain, tag: int) -> str:
    """A text that the attribute can hold, so that a header is one that an instance could have."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise ValueError("takes one text here")  # noqa: TRY004 - every mistake of a rule is a ValueError
    check_held(text, tag, vr_of(tag))
    return text


def _compared(
    places: Places, path: Path, known: Mapping[int, object]
) -> Iterator[tuple[int, str]]:
    """The attributes that a map names, each with its key, so far as they can be compared."""
    for key, mark in places.keys(*path):
        tag = places.own_tag(str(key), mark, known)
        if tag is None:
            continue
        vr = vr_of(tag)
        if vr in _COMPARED_VRS:
            yield tag, str(key)
        else:
            places.problems.add(mark, f"a condition on {_of_vr(vr)} {NOT_YET}")


def _of_vr(vr: str | None) -> str:
    return f"an attribute of VR {vr}" if vr else "an attribute that is not in the dictionary"

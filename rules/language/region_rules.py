"""What a profile says of burned-in text: the rules under Pixels, each with its test, and BurnedIn.

A region rule is a signature of a device and boxes. It is tried when it is read: every header
under `Matches` must satisfy `When`, and none under `Passes` may. A signature that has a
misspelling in it matches nothing, and nobody would see it.

Source: PS3.15 E.3.1; PS3.3 C.8.5.5 (regions of ultrasound).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.language.document import quoted
from rules.language.readings import condition, header
from rules.language.shapes import PascalShape, one_of, shaped, unknown_key
from rules.regions import KINDS, Box, PixelRule
from rules.selectors import nearest
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.conditions import Condition
    from rules.language.document import Path
    from rules.language.places import Places

_BOX = re.compile(r"([0-9]{1,5}) *, *([0-9]{1,5}) +([0-9]{1,5}) *x *([0-9]{1,5})")
_HALF_A_BOX = re.compile(r"[0-9]+")
_MOST_SIDE = 0xFFFF
_REGIONS = "UltrasoundRegions"
_FATES = ("refuse", "keep")
_PROVES = (
    "a region rule proves itself: add Test: {Matches: ..., Passes: ...}, a header that When "
    "must match and one that it must not"
)


class _RuleShape(PascalShape):
    """The keys of one rule."""

    when: dict[str, object] = {}
    blank: list[object] = []
    keep_only: str = ""
    test: dict[str, object] = {}


class _TestShape(PascalShape):
    """The keys of its test; each is a header or a list of them."""

    matches: object
    passes: object


def pixel_rules(places: Places, entries: list[object]) -> Iterator[PixelRule]:
    """The rules under Pixels."""
    for index in range(len(entries)):
        path: Path = ("Pixels", index)
        shape = shaped(_RuleShape, places.document, (*places.top, *path), places.problems)
        rule = _rule(places, path, shape) if shape else None
        if rule:
            yield rule


def _rule(places: Places, path: Path, shape: _RuleShape) -> PixelRule | None:
    boxes = tuple(_boxes(places, (*path, "Blank"), shape.blank))
    keeps_regions = _keeps_regions(places, path, shape)
    if not any(places.has(*path, key) for key in ("Blank", "KeepOnly")):
        places.say("a region rule says what goes: add Blank, or KeepOnly", *path)
    when = _when(places, path, shape)
    tests = _tests(places, path, when)
    if when is None or tests is None:
        return None
    matches, passes = tests
    return PixelRule(when, boxes, keeps_regions, matches, passes, places.mark(*path))


def _when(places: Places, path: Path, shape: _RuleShape) -> Condition | None:
    if shape.when:
        return condition(places, *path, "When")
    said = "empty" if places.has(*path, "When") else "missing"
    places.say(f"When is {said}: the rule would match every image", *path, "When")
    return None


def _keeps_regions(places: Places, path: Path, shape: _RuleShape) -> bool:
    keeps = shape.keep_only == _REGIONS
    if places.has(*path, "KeepOnly") and not keeps:
        near = nearest(shape.keep_only, (_REGIONS,))
        said = f"KeepOnly is {_REGIONS}, not {quoted(shape.keep_only)}{near}"
        places.say(said, *path, "KeepOnly")
    return keeps


# ---- boxes


def _boxes(places: Places, path: Path, entries: list[object]) -> Iterator[Box]:
    waiting = iter(enumerate(entries))
    for index, entry in waiting:
        text = entry if isinstance(entry, str) else ""
        if _HALF_A_BOX.fullmatch(text):
            # [0,0 512x110] without quotation marks is a list of two.
            _, other = next(waiting, (index, "0 512x110"))
            whole = quoted(f"{text},{other}")
            places.say(
                f"a box holds a comma: write {whole} with its quotation marks", *path, index
            )
            continue
        box = places.parsed(parse_box, *path, index)
        if box:
            yield box


def parse_box(text: str) -> Box:
    """`x,y WxH`: the top left corner from 0,0 and the size, in pixels.

    Raises:
        ValueError: it is no box of an image.
    """
    found = _BOX.fullmatch(text.strip())
    x, y, width, height = (int(number) for number in found.groups()) if found else (0, 0, 0, 0)
    if not width or not height or max(x, y, width, height) > _MOST_SIDE:
        raise ValueError('is a list of boxes such as "0,0 512x110": x,y and width x height')
    return Box(x, y, width, height)


# ---- the test of a rule

_Headers = tuple["dict[int, str]", ...]


def _tests(places: Places, path: Path, when: Condition | None) -> tuple[_Headers, _Headers] | None:
    """The headers that must match and those that must not; None if there are not both."""
    at = (*path, "Test")
    if not places.has(*at):
        places.problems.add(places.key_mark(*path), _PROVES)
        return None
    shape = shaped(_TestShape, places.document, (*places.top, *at), places.problems)
    if shape is None or not all(places.has(*at, key) for key in ("Matches", "Passes")):
        return None
    return (
        tuple(_tried(places, (*at, "Matches"), when, must_match=True)),
        tuple(_tried(places, (*at, "Passes"), when, must_match=False)),
    )


def _tried(
    places: Places, path: Path, when: Condition | None, *, must_match: bool
) -> Iterator[dict[int, str]]:
    plain = places.plain(*path)
    many = isinstance(plain, list) and plain
    for one in [(*path, index) for index in range(len(plain))] if plain and many else [path]:
        before = len(places.problems.all())
        values = header(places, *one)
        if values is None or len(places.problems.all()) > before or when is None:
            continue
        if when.matches(values.get) != must_match:
            places.say(_failed(when, values, must_match=must_match), *one)
        yield values


def _failed(when: Condition, values: Mapping[int, str], *, must_match: bool) -> str:
    if not must_match:
        return "When matches this header, and must not: ask for more, or move it to Matches"
    missed = [keyword_of(tag) for tag, test in when.tests if not test.matches(values.get(tag))]
    return f"When does not match this header, and must: compare {', '.join(missed)}"


# ---- BurnedIn


def burned_in(places: Places) -> dict[str, str]:
    """What happens to images that can carry burned-in text and match no rule, by kind."""
    if not places.has("BurnedIn"):
        return {}
    plain = places.plain("BurnedIn")
    if not isinstance(plain, dict):
        word = places.parsed(_fate, "BurnedIn")
        return dict.fromkeys(KINDS, word) if word else {}
    for key, mark in places.keys("BurnedIn"):
        if key not in KINDS:
            places.problems.add(mark, unknown_key(str(key), KINDS))
    fates = {key: places.parsed(_fate, "BurnedIn", key) for key in plain if key in KINDS}
    return {key: word for key, word in fates.items() if word}


def _fate(word: str) -> str:
    return one_of(word, _FATES)

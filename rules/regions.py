"""Which pixels must go: region rules, the policy for what no rule knows, and the decision.

Boxes are in pixels of a frame, `x,y WxH` from the top left corner; a box beyond the frame is
cut at its edge.

Source: PS3.15 E.3.1; PS3.3 C.8.5.5.1 (regions of ultrasound), C.7.6.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rules.errors import DeidentificationError, InstanceRefused, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.conditions import Condition
    from rules.errors import Mark

KINDS = ("Ultrasound", "SecondaryCapture", "ScreenSave", "Declared")
"""What can carry burned-in text: two families of SOP classes, images whose Image Type says
they show a screen, and images whose Burned In Annotation is YES."""

Lookup = Callable[[int], "str | None"]
"""The decoded text of a root attribute by its tag; None when absent."""
ItemsOf = Callable[[int], "list[dict[int, bytes]]"]
"""The items of a root sequence: encoded little-endian values by tag; none when absent."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PixelRule:
    """One entry of Pixels.

    Attributes:
        when: The device's signature.
        blank: Boxes to be blanked in every frame.
        keep_regions: Blank all outside Sequence of Ultrasound Regions (0018,6011).
        matches: Headers, values by tag, that `when` must match.
        passes: Headers that it must not match.
        mark: Where it stands.
    """

    when: Condition
    blank: tuple[Box, ...]
    keep_regions: bool
    matches: tuple[Mapping[int, str], ...]
    passes: tuple[Mapping[int, str], ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class PixelPolicy:
    """Everything a plan says of pixels; the default leaves them alone.

    `burned_in` holds `refuse` or `keep` for each of KINDS (absent means keep); `cleans` is
    whether the option clean-pixel-data is claimed, which keeps of ultrasound only its regions.
    """

    rules: tuple[PixelRule, ...] = ()
    burned_in: Mapping[str, str] = field(default_factory=dict)
    cleans: bool = False

    @property
    def looks(self) -> bool:
        """Whether a decision has to be taken at all."""
        return bool(self.rules or self.cleans or "refuse" in self.burned_in.values())


NO_POLICY = PixelPolicy()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is blanked in every frame.

    Attributes:
        boxes: These.
        keep: All outside these; None keeps all.
        bars_pixels: The image does not say how large it is, so that nobody can look for text
            in it: if pixel data come nevertheless, it is refused.
    """

    boxes: tuple[Box, ...] = ()
    keep: tuple[Box, ...] | None = None
    bars_pixels: bool = False

    @property
    def blanks(self) -> bool:
        """Whether any pixel changes."""
        return bool(self.boxes) or self.keep is not None


class Band(NamedTuple):
    """Rows of a frame in which the same columns are blanked; bounds are half open."""

    top: int
    bottom: int
    intervals: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How pixels lie in memory (PS3.3 C.7.6.3).

    Attributes:
        rows: Of a frame.
        columns: Of a frame.
        frames: 1 unless the image says more.
        samples: For each pixel.
        bits_allocated: For each sample.
        planar: Whether a frame has one plane for each sample.
        photometric: Photometric Interpretation, in capitals.
        bits_stored: Of those allocated; 0 means all.
        signed: Whether samples are two's complement.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    planar: bool
    photometric: str
    bits_stored: int = 0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class PixelJob:
    """Encapsulated pixel data to be blanked: `fragments` are items and sequence delimiter."""

    transfer_syntax_uid: str
    geometry: Geometry
    decision: Decision
    fragments: bytes | memoryview


@dataclass(frozen=True, slots=True)
class PixelResult:
    """What became of it.

    Attributes:
        transfer_syntax_uid: Of the result.
        element: Pixel Data (7FE0,0010), encoded in explicit VR little endian.
        attributes: Root attributes that changed: VR and encoded value by tag.
    """

    transfer_syntax_uid: str
    element: bytes
    attributes: Mapping[int, tuple[str, bytes]]


_SOP_CLASS, _IMAGE_TYPE, _CONVERSION_TYPE = 0x00080016, 0x00080008, 0x00080064
_SAMPLES, _PHOTOMETRIC, _PLANAR = 0x00280002, 0x00280004, 0x00280006
_FRAMES, _ROWS, _COLUMNS = 0x00280008, 0x00280010, 0x00280011
_BITS_ALLOCATED, _BITS_STORED, _SIGNED = 0x00280100, 0x00280101, 0x00280103
_BURNED_IN = 0x00280301
_REGIONS = 0x00186011
_REGION_EDGES = (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)

_STORAGE = "1.2.840.10008.5.1.4.1.1."
# PS3.4 B.5, with the classes that B.5 retired.
_ULTRASOUND = frozenset(_STORAGE + end for end in ("3", "3.1", "6", "6.1", "6.2", "6.3"))
_SECONDARY = frozenset(_STORAGE + end for end in ("7", "7.1", "7.2", "7.3", "7.4"))
# Image Type has no term for it beyond its second value, so vendors spell it as they please.
_SCREEN_WORDS = frozenset(
    ["CAPTURE", "CAPTURED", "SAVE", "SAVED", "SCREEN", "SCREENCAPTURE", "SCREENSAVE", "SCREENSHOT"]
)
# PS3.3 C.8.6.1: drawings, films, videos, scanned paper and workstation screens. DI and SYN are
# written into plain images of modalities too, and say nothing of text.
_SCREEN_CONVERSIONS = frozenset(("DF", "DRW", "DV", "SD", "SI", "WSD"))
_MOST_REGIONS = 64
_EDGE_BYTES = 4

_BIT_DEPTHS = (1, 8, 16, 32, 64)
_MOST_SIDE = 0xFFFF
_MOST_FRAMES = (1 << 31) - 1
_MOST_SAMPLES = 4
_MOST_DIGITS = 12


def decide(policy: PixelPolicy, lookup: Lookup, items_of: ItemsOf) -> Decision:
    """What happens to the pixels of an instance.

    Every rule that matches adds its boxes. Where the source declares that nothing is burned in,
    only the rules of the profile are asked.

    Raises:
        InstanceRefused: it can carry burned-in text, and no rule says where; or its regions
            are to be kept, and it has none that could be.
    """
    if not _text(lookup(_ROWS)):
        return Decision(bars_pixels=policy.looks)
    matching = [rule for rule in policy.rules if rule.when.matches(lookup)]
    boxes = tuple(box for rule in matching for box in rule.blank)
    cleans = policy.cleans and _text(lookup(_SOP_CLASS)) in _ULTRASOUND
    keep = None
    if cleans or any(rule.keep_regions for rule in matching):
        keep = _kept_regions(lookup, items_of)
    if keep is None:
        if any(rule.keep_regions for rule in matching):
            raise InstanceRefused(Reason.BURNED_IN, _REGIONS)
        if not matching:
            _refuse_the_unknown(policy, lookup, cleans=cleans)
    return Decision(boxes, keep)


def _refuse_the_unknown(policy: PixelPolicy, lookup: Lookup, *, cleans: bool) -> None:
    refused = {kind for kind in KINDS if policy.burned_in.get(kind) == "refuse"}
    if cleans:
        refused.add("Ultrasound")
    for kind, tag in _kinds_of(lookup):
        if kind in refused:
            raise InstanceRefused(Reason.BURNED_IN, tag)


def _kinds_of(lookup: Lookup) -> Iterator[tuple[str, int]]:
    """The kinds of an instance, each with the attribute that says so."""
    declared = _text(lookup(_BURNED_IN))
    if declared == "YES":
        yield "Declared", _BURNED_IN
    if declared == "NO":
        return
    sop_class = _text(lookup(_SOP_CLASS))
    if sop_class in _ULTRASOUND:
        yield "Ultrasound", _SOP_CLASS
    if sop_class in _SECONDARY:
        yield "SecondaryCapture", _SOP_CLASS
    words = re.split(r"[^A-Z]+", _text(lookup(_IMAGE_TYPE)))
    if not _SCREEN_WORDS.isdisjoint(words):
        yield "ScreenSave", _IMAGE_TYPE
    if _text(lookup(_CONVERSION_TYPE)) in _SCREEN_CONVERSIONS:
        yield "ScreenSave", _CONVERSION_TYPE


def _text(value: str | None) -> str:
    return (value or "").strip(" \0").upper()


# ---- regions of ultrasound


def _kept_regions(lookup: Lookup, items_of: ItemsOf) -> tuple[Box, ...] | None:
    """The regions of an ultrasound image, if they are all valid and leave something out."""
    rows, columns = _number(lookup(_ROWS), 0), _number(lookup(_COLUMNS), 0)
    items = items_of(_REGIONS)
    if not rows or not columns or not 0 < len(items) <= _MOST_REGIONS:
        return None
    regions = tuple(box for box in map(_region, items) if box and _is_within(box, rows, columns))
    keeps = Decision(keep=regions)
    return regions if len(regions) == len(items) and bands(keeps, rows, columns) else None


def _region(item: dict[int, bytes]) -> Box | None:
    """One region; its edges are the first and the last pixel that belong to it."""
    edges = [item.get(tag, b"") for tag in _REGION_EDGES]
    if any(len(edge) != _EDGE_BYTES for edge in edges):
        return None
    left, top, right, bottom = (int.from_bytes(edge, "little") for edge in edges)
    return Box(left, top, right - left + 1, bottom - top + 1)


def _is_within(box: Box, rows: int, columns: int) -> bool:
    """Whether a region has pixels and lies in the image, an edge one beyond it included."""
    reaches = box.x + box.width <= columns + 1 and box.y + box.height <= rows + 1
    return box.width > 0 and box.height > 0 and reaches


# ---- what is blanked, row by row


def bands(decision: Decision, rows: int, columns: int) -> tuple[Band, ...]:
    """What is blanked of a frame of this size: bands from top to bottom, none empty.

    Within a band the intervals of columns ascend and neither touch nor overlap.
    """
    boxes = [cut for box in decision.boxes if (cut := _cut(box, rows, columns))]
    keep = decision.keep
    kept = [cut for box in keep or () if (cut := _cut(box, rows, columns))]
    edges = {0, rows} | {edge for box in boxes + kept for edge in (box.y, box.y + box.height)}
    found = []
    for top, bottom in pairwise(sorted(edges)):
        blanked = _intervals(boxes, top)
        if keep is not None:
            blanked = _united(blanked + _outside(_intervals(kept, top), columns))
        if blanked:
            found.append(Band(top, bottom, tuple(blanked)))
    return tuple(found)


def _cut(box: Box, rows: int, columns: int) -> Box | None:
    """The part of a box that lies in the image."""
    left, top = max(box.x, 0), max(box.y, 0)
    right, bottom = min(box.x + box.width, columns), min(box.y + box.height, rows)
    if right <= left or bottom <= top:
        return None
    return Box(left, top, right - left, bottom - top)


def _intervals(boxes: list[Box], row: int) -> list[tuple[int, int]]:
    """The columns of a row that boxes cover."""
    crossed = [box for box in boxes if box.y <= row < box.y + box.height]
    return _united([(box.x, box.x + box.width) for box in crossed])


def _united(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, stop in sorted(intervals):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(stop, united[-1][1]))
        else:
            united.append((start, stop))
    return united


def _outside(intervals: list[tuple[int, int]], columns: int) -> list[tuple[int, int]]:
    """What a row has besides these intervals."""
    edges = [0, *(edge for interval in intervals for edge in interval), columns]
    return [
        (start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True) if start < stop
    ]


# ---- geometry


def geometry(lookup: Lookup) -> Geometry:
    """The geometry of an image.

    Raises:
        DeidentificationError: it says no sizes, or impossible ones.
    """
    bits = _within(lookup, _BITS_ALLOCATED, 0, max(_BIT_DEPTHS))
    if bits not in _BIT_DEPTHS:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, _BITS_ALLOCATED)
    return Geometry(
        rows=_within(lookup, _ROWS, 0, _MOST_SIDE),
        columns=_within(lookup, _COLUMNS, 0, _MOST_SIDE),
        frames=_within(lookup, _FRAMES, 1, _MOST_FRAMES),
        samples=_within(lookup, _SAMPLES, 1, _MOST_SAMPLES),
        bits_allocated=bits,
        planar=_number(lookup(_PLANAR), 0) == 1,
        photometric=_text(lookup(_PHOTOMETRIC)),
        bits_stored=min(_number(lookup(_BITS_STORED), bits) or bits, bits),
        signed=_number(lookup(_SIGNED), 0) == 1,
    )


def _within(lookup: Lookup, tag: int, default: int, most: int) -> int:
    number = _number(lookup(tag), default)
    if not 0 < number <= most:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, tag)
    return number


def _number(text: str | None, default: int) -> int:
    """A whole number of ASCII digits; the default where there is none, 0 if it is no number."""
    digits = _text(text).removeprefix("+")
    if not digits:
        return default
    return (
        int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else 0
    )

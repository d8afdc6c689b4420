"""Which pixels must go: region rules, the policy for what no rule knows, and the decision.

Boxes are in pixels of a frame, `x,y WxH` from the top left corner; a box beyond the frame is
cut at its edge.

Source: PS3.15 E.3.1; PS3.3 C.8.5.5.1 (regions of ultrasound), C.7.6.3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    """What is blanked in every frame: `boxes`, and all outside `keep` unless that is None."""

    boxes: tuple[Box, ...] = ()
    keep: tuple[Box, ...] | None = None

    @property
    def blanks(self) -> bool:
        """Whether any pixel changes."""
        return bool(self.boxes) or self.keep is not None


def decide(policy: PixelPolicy, lookup: Lookup, items_of: ItemsOf) -> Decision:
    """What happens to the pixels of an instance.

    Raises:
        InstanceRefused: it can carry burned-in text, and no rule says where.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Geometry:
    """How native pixels lie in memory (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    planar: bool
    photometric: str


def geometry(lookup: Lookup) -> Geometry:
    """The geometry of an image.

    Raises:
        DeidentificationError: it says no sizes, or impossible ones.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PixelJob:
    """Encapsulated pixel data to be blanked: `fragments` are items and sequence delimiter."""

    transfer_syntax_uid: str
    geometry: Geometry
    decision: Decision
    fragments: bytes


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

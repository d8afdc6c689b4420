"""What the header says of pixels that were encoded anew: behind what the plan makes of it.

Where the encoding lost something the image is derived; its ratio and its method stand behind
those of encodings before it.

Source: PS3.3 C.7.6.1.1.2 (Image Type), C.7.6.1.1.5 (Lossy Image Compression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rules.elements import padded
from rules.fitting import fits
from rules.operators import KEEP, KEEP_FITTING, REMOVE, Constant, Verdict
from rules.targets import LOSSY

if TYPE_CHECKING:
    from rules.operators import Context, Operator
    from rules.regions import PixelResult
    from rules.report import Root

Described = dict[int, tuple[str, "Operator"]]

_IMAGE_TYPE = 0x00080008
_BEHIND_OTHERS = frozenset((0x00282112, 0x00282114))  # ratio, method


def described(result: PixelResult, root: Root) -> Described:
    """By root tag: VR and operator, in place of the plan's."""
    actions = root.plan.actions
    found: Described = {}
    for tag, (vr, value) in result.attributes.items():
        found[tag] = (vr, Constant(value, "as the pixels are encoded now", "K"))
        if tag in _BEHIND_OTHERS:
            found[tag] = (vr, Behind(actions[tag], value))
    if result.transfer_syntax_uid in LOSSY and root.has(_IMAGE_TYPE):
        standing = actions[_IMAGE_TYPE]
        if standing is not REMOVE:
            found[_IMAGE_TYPE] = ("CS", Derived(standing))
    return found


@dataclass(frozen=True, slots=True)
class Behind:
    """One more value behind those that the plan leaves."""

    planned: Operator
    value: bytes
    code: str = "K"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "add what the pixels were encoded with"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        left = _left(self.planned, vr, value, context)
        new = self.value.strip(b" ")
        return padded(vr, left + b"\\" + new if left else new)


@dataclass(frozen=True, slots=True)
class Derived:
    """DERIVED in place of the first value that the plan leaves."""

    planned: Operator
    code: str = "K"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "say that the pixels are derived"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        left = _left(self.planned, vr, value, context)
        _, _, others = left.partition(b"\\")
        return padded(vr, b"DERIVED\\" + (others or b"PRIMARY"))


def _left(planned: Operator, vr: str, value: bytes, context: Context) -> bytes:
    """What the plan leaves of a value, without padding."""
    if not isinstance(planned, Verdict):
        value = planned.apply(vr, value, context)
    elif planned is not KEEP and not (planned is KEEP_FITTING and fits(vr, value)):
        value = b""
    return value.strip(b" \0")

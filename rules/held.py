"""Pixel data that were held: found in their group, and handed over to be blanked or encoded.

Source: PS3.5 8.1, A.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from rules.blanking import PIXEL_DATA, PIXEL_TAGS
from rules.elements import UNDEFINED, Incomplete, Irregular, headers, undefined_end
from rules.errors import DeidentificationError, Reason
from rules.regions import PixelJob, PixelResult
from rules.targets import NATIVE

if TYPE_CHECKING:
    from rules.regions import Decision, Geometry

BlankEncapsulated: TypeAlias = Callable[[PixelJob], PixelResult]
"""Decodes, blanks and encodes; raises DeidentificationError where it cannot."""

_ONE_LEVEL = 1


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether Pixel Data are fragments: in every syntax but the four native ones."""
    return transfer_syntax_uid not in NATIVE


def recoded(
    group: bytes | bytearray,
    transfer_syntax_uid: str,
    size: Geometry,
    decision: Decision,
    blank: BlankEncapsulated | None,
) -> PixelResult:
    """What becomes of a held group 7FE0; offset tables beside the pixels are not kept.

    Raises:
        DeidentificationError: there is nothing that could decode it, or it is not encapsulated.
    """
    if blank is None:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)
    return blank(PixelJob(transfer_syntax_uid, size, decision, fragments(group)))


def fragments(group: bytes | bytearray) -> memoryview:
    """The items of Pixel Data with their delimiter, where they lie.

    Raises:
        DeidentificationError: there are none.
    """
    resume = [0]
    try:
        for tag, vr, _, value, length in headers(group, 0, len(group), resume, implicit=False):
            if length == UNDEFINED:
                end = undefined_end(group, value, vr, implicit=False, depth=_ONE_LEVEL)
                if tag == PIXEL_DATA:
                    return memoryview(group)[value:end]
                resume[0] = end
    except (Incomplete, Irregular):
        pass  # said below, as for every group without encapsulated pixel data
    raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)


def native_value(group: bytes | bytearray, *, implicit: bool) -> memoryview:
    """The value of native Pixel Data, where it lies; no other pixels are beside it.

    Raises:
        DeidentificationError: there is none, or samples of floating point.
    """
    found = {}
    try:
        for tag, _, _, value, length in headers(group, 0, len(group), [0], implicit=implicit):
            if length == UNDEFINED:
                break
            found[tag] = memoryview(group)[value : value + length]
    except (Incomplete, Irregular):
        pass  # said below
    if [tag for tag in found if tag in PIXEL_TAGS] != [PIXEL_DATA]:
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, PIXEL_DATA)
    return found[PIXEL_DATA]

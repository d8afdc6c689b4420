"""Encapsulated pixel data that were held: found in their group, and handed over to be blanked.

Source: PS3.5 A.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from rules.elements import UNDEFINED, Incomplete, Irregular, headers, undefined_end
from rules.errors import DeidentificationError, Reason
from rules.regions import PixelJob, PixelResult
from rules.transfer import DEFLATED_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

if TYPE_CHECKING:
    from rules.regions import Decision, Geometry

BlankEncapsulated: TypeAlias = Callable[[PixelJob], PixelResult]
"""Decodes, blanks and encodes; raises DeidentificationError where it cannot."""

_PIXEL_DATA = 0x7FE00010
_ONE_LEVEL = 1
_NATIVE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED_LITTLE, EXPLICIT_BIG))


def is_encapsulated(transfer_syntax_uid: str) -> bool:
    """Whether Pixel Data are fragments: in every syntax but the four native ones."""
    return transfer_syntax_uid not in _NATIVE


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
        raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)
    job = PixelJob(transfer_syntax_uid, size, decision, _fragments(group))
    return blank(job)


def _fragments(group: bytes | bytearray) -> memoryview:
    """The items of Pixel Data with their delimiter, where they lie."""
    resume = [0]
    try:
        for tag, vr, _, value, length in headers(group, 0, len(group), resume, implicit=False):
            if length == UNDEFINED:
                end = undefined_end(group, value, vr, implicit=False, depth=_ONE_LEVEL)
                if tag == _PIXEL_DATA:
                    return memoryview(group)[value:end]
                resume[0] = end
    except (Incomplete, Irregular):
        pass  # said below, as for every group without encapsulated pixel data
    raise DeidentificationError(Reason.PIXELS_UNREADABLE, _PIXEL_DATA)

"""Transfer syntaxes that a result can be asked for, and the job of encoding pixels in them.

Source: PS3.5 10, A.1 to A.4; PS3.6 Table A-1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pydicom.uid import UID

from rules.regions import Decision, PixelResult
from rules.tables.dictionary import is_registered_uid
from rules.transfer import DEFLATED_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

if TYPE_CHECKING:
    from rules.regions import Geometry

NATIVE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED_LITTLE, EXPLICIT_BIG))
"""Syntaxes whose pixel data are not encapsulated."""

_JPEG_FAMILY = "1.2.840.10008.1.2.4."
LOSSY = frozenset(_JPEG_FAMILY + end for end in ("50", "81", "91"))
"""Targets that lose something: JPEG baseline, JPEG-LS near-lossless, JPEG 2000."""

LOSSLESS = frozenset(_JPEG_FAMILY + end for end in ("57", "70", "80", "90"))
LOSSLESS |= {"1.2.840.10008.1.2.5"}
"""Encapsulated targets that lose nothing: JPEG, JPEG-LS, JPEG 2000, RLE."""

TARGETS = NATIVE | LOSSLESS | LOSSY
"""Every transfer syntax that a result can be asked for."""

QUALITIES = range(1, 101)
"""Of a lossy target; 100 is the best."""

_NOTHING = Decision()


@dataclass(frozen=True, slots=True)
class TranscodeJob:
    """Pixel data to be encoded in another way.

    Attributes:
        transfer_syntax_uid: Of what comes; explicit VR little endian for every native value.
        geometry: What the image says.
        value: Items and sequence delimiter, or the native value in little endian.
        target: One of TARGETS; explicit VR little endian for every native one.
        quality: One of QUALITIES.
        decision: What is blanked of encapsulated pixels first; of native ones it has been.
    """

    transfer_syntax_uid: str
    geometry: Geometry
    value: bytes | memoryview
    target: str
    quality: int
    decision: Decision = _NOTHING


Transcode: TypeAlias = Callable[[TranscodeJob], PixelResult]
"""Decodes, blanks and encodes; raises DeidentificationError where it cannot."""


def objection(uid: str) -> str:
    """Why no result can be asked for in this transfer syntax; empty if one can.

    It quotes what it was given: a UID of a request, never one of an instance.
    """
    if uid in TARGETS:
        return ""
    if not is_registered_uid(uid) or not UID(uid).is_transfer_syntax:
        return f"{uid} is no transfer syntax of the standard; give the UID of one"
    return f"nothing here encodes {UID(uid).name} ({uid}); choose another transfer syntax"

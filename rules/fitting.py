"""Whether received bytes are what the data dictionary says of a tag: its VR, or a value of it.

- A value is judged by its form alone; nothing is decoded by a character set.
- Text announced for a tag of numbers never fits, and neither does anything that reads as text
  in such a tag: what is no number is not guessed at.
- A sequence fits nothing but a sequence.

Source: PS3.5 6.2 (VRs), 6.2.2 (UN), 6.4 (VM); PS3.6 for the VR of a tag.
"""

from __future__ import annotations

import re

from rules import values
from rules.elements import ITEM_START
from rules.tables.dictionary import vr_of

_SIZES = dict.fromkeys(("OB", "UN"), 1)
_SIZES |= dict.fromkeys(("OW", "SS", "US"), 2)
_SIZES |= dict.fromkeys(("AT", "FL", "OF", "OL", "SL", "UL"), 4)
_SIZES |= dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8)
_STREAMS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_AS_STREAMS = b" OB OW UN"
# A run that no sensible number has and every name, date or identifier has.
_WORD = re.compile(rb"[A-Za-z0-9^.-]{5}")
_LINE = re.compile(rb"[^\x00-\x1a\x1c-\x1f\x7f]*")
_LINES = re.compile(rb"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]*")
_LINES_VRS = frozenset(("LT", "ST", "UT"))
_URI = re.compile(rb"[!-~]*")
_MOST_BYTES = {"LO": 64, "SH": 16, "ST": 1024, "LT": 10240}
_REMEMBERED = 1 << 15


class _Legal(dict[int, "bytes | tuple[()]"]):
    """By tag: what `vr in legal[tag]` asks; the empty VR of implicit VR is in all but sequences.

    A text of VRs with blanks between them, so that the question costs one search of a few
    bytes; for a sequence, and for what the dictionary does not know, nothing is in it.
    """

    __slots__ = ()

    def __missing__(self, tag: int) -> bytes | tuple[()]:
        choices = choices_of(vr_of(tag) or "SQ")
        legal: bytes | tuple[()] = () if "SQ" in choices else " ".join(choices).encode("ascii")
        if legal and not _STREAMS.isdisjoint(choices):
            legal = bytes(legal) + _AS_STREAMS
        if len(self) < _REMEMBERED:
            self[tag] = legal
        return legal


LEGAL = _Legal()


def choices_of(vr: str) -> list[str]:
    """The VRs of `US or SS` (dictionary) or `OW/OB` (Table E.3.10-1)."""
    return vr.replace("/", " or ").split(" or ")


def fits_tag(tag: int, vr: bytes, value: bytes) -> bool:
    """Whether a value received under another VR is a value of the dictionary's.

    Args:
        tag: Of the element.
        vr: As received, not one that the dictionary gives.
        value: Encoded.
    """
    known = vr_of(tag)
    if known is None or vr == b"SQ":
        return False
    received = vr.decode("ascii")
    return any(_may_be(received, one) and fits(one, value) for one in choices_of(known))


def fits(vr: str, value: bytes) -> bool:
    """Whether encoded bytes are a value of this VR, of any VM; nothing is one of every VR.

    Args:
        vr: A single VR.
        value: Encoded, padding included.
    """
    if not value:
        return True
    if vr == "SQ":
        return value.startswith(ITEM_START)
    if vr in _SIZES:
        is_number = vr not in _STREAMS
        return len(value) % _SIZES[vr] == 0 and not (is_number and _WORD.search(value))
    if vr in values.TEXT_VRS or vr == "UR":
        return _is_text(vr, value)
    return _is_form(vr, value)


def count_of(vr: str, value: bytes) -> int:
    """How many values there are; what is not empty of a VR without VM is one."""
    if not value or vr in _STREAMS or vr in _LINES_VRS or vr in ("UR", "SQ"):
        return 1 if value else 0
    return len(value) // _SIZES[vr] if vr in _SIZES else value.count(b"\\") + 1


def allows(vm: str, count: int) -> bool:
    """Whether a VM of a dictionary (`1`, `1-3`, `2-2n`, `1-n or 1`) allows so many values."""
    return any(_allows_one(one, count) for one in (vm or "1-n").split(" or "))


def _allows_one(vm: str, count: int) -> bool:
    least, _, most = vm.partition("-")
    if not most:
        return count == int(least)
    if most.endswith("n"):
        return count >= int(least) and count % int(most[:-1] or 1) == 0
    return int(least) <= count <= int(most)


def _may_be(received: str, wanted: str) -> bool:
    """Numbers and streams are made of such; text is read as text only."""
    return wanted not in _SIZES or received in _SIZES


def _is_text(vr: str, value: bytes) -> bool:
    text = value.rstrip(b" \0" if vr == "UR" else b" ")
    if vr == "UR":
        return _URI.fullmatch(text) is not None
    pattern = _LINES if vr in _LINES_VRS else _LINE
    parts = [text] if vr in _LINES_VRS else text.split(b"\\")
    most = _MOST_BYTES.get(vr, len(value))
    return all(len(part) <= most and pattern.fullmatch(part) for part in parts)


def _is_form(vr: str, value: bytes) -> bool:
    try:
        parts = value.decode("ascii").split("\\")
        values.check(vr, "\\".join(part.rstrip(" \0") for part in parts))
    except ValueError:
        return False
    return True

"""The Patient and General Study modules of a stored instance, to be written into others.

Texts are read in the character set of their instance and written in that of the other one, which
becomes UTF-8 if its own cannot hold them; everything else is copied byte for byte. Sequences
come with all they hold.

Source: PS3.3 C.7.1.1, C.7.2.1, C.12.1.1.2; PS3.5 7.5.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rules.charsets import decoded
from rules.elements import (
    IMPLICIT,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    headers,
    is_items,
)
from rules.errors import DeidentificationError, Reason
from rules.fitting import choices_of
from rules.operators import Constant, Items, plain
from rules.private import private_vr
from rules.requests.tags import CREATORS, PRIVATE
from rules.tables.dictionary import vr_of
from rules.tables.study_modules import study_module_tags
from rules.transfer import form_of, swapped
from rules.values import TEXT_VRS, transcribed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.operators import Context, Operator

_CHARSET = 0x00080005
_DEPTH = 64
_MOST_BYTES = 64 << 20
_UNKNOWN = (b"", b"UN")

Element = tuple[int, str, "Operator"]


@dataclass(frozen=True, slots=True)
class CopiedText:
    """A text of another instance."""

    text: str = field(repr=False)
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return "as in the study merged into"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        return transcribed(vr, self.text, context.charsets)


@dataclass(frozen=True, slots=True)
class ModuleElements:
    """The elements that an instance has of the two modules: what writes them, by tag."""

    operators: Mapping[int, Operator] = field(repr=False)

    @property
    def absent(self) -> frozenset[int]:
        """Tags of the modules that it lacks."""
        return study_module_tags() - self.operators.keys()


def module_elements(dataset: bytes, transfer_syntax_uid: str) -> ModuleElements:
    """Read the two modules of a stored instance.

    Args:
        dataset: Encoded, without file meta information; whatever stands behind group 0040 may
            be missing unless it is big endian.
        transfer_syntax_uid: Of the dataset.

    Raises:
        DeidentificationError: it cannot be read.
    """
    form = form_of(transfer_syntax_uid)
    if form.deflated:
        dataset = _inflated(dataset)
    if form.big_endian:
        dataset = swapped(dataset, to_big=False, depth_limit=_DEPTH)
    try:
        elements = _Reader(dataset).root(study_module_tags(), implicit=form.implicit)
    except (Irregular, TooDeep):
        raise DeidentificationError(Reason.UNREADABLE) from None
    except Incomplete:
        raise DeidentificationError(Reason.TRUNCATED) from None
    return ModuleElements({tag: operator for tag, _, operator in elements})


def _inflated(dataset: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(dataset, _MOST_BYTES)
    except zlib.error:
        raise DeidentificationError(Reason.UNREADABLE) from None


@dataclass(slots=True)
class _Level:
    """The root or an item, under way.

    Attributes:
        stop: Where it must have ended.
        implicit: Whether its elements are in implicit VR.
        depth: 0 of the root.
        charsets: Of its texts, as it declares them itself or as they are around it.
        creators: Private creators by the first tag of their block.
        found: What was read.
    """

    stop: int
    implicit: bool
    depth: int
    charsets: str
    creators: dict[int, str] = field(default_factory=dict)
    found: list[Element] = field(default_factory=list)

    def inner(self, stop: int, vr: bytes) -> _Level:
        """An item of a sequence of this level; what a UN hides is in implicit VR."""
        if self.depth >= _DEPTH:
            raise TooDeep
        return _Level(stop, self.implicit or vr == b"UN", self.depth + 1, self.charsets)

    def take(self, tag: int, vr: bytes, content: bytes) -> None:
        """One element that is no sequence."""
        if tag == _CHARSET:
            self.charsets = plain(content).strip(" \0")
            return
        if tag & PRIVATE and tag & 0xFFFF in CREATORS:
            self.creators[tag & 0xFFFF0000 | (tag & 0xFF) << 8] = plain(content).strip(" \0")
        if tag & 0xFFFF:
            known = _vr(tag, vr, self.creators)
            self.found.append((tag, known, _copied(known, content, self.charsets)))


class _Reader:
    """Reads elements into what writes them again."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def root(self, wanted: frozenset[int], *, implicit: bool) -> list[Element]:
        """Those among the root elements that are wanted; what is behind them is not looked at."""
        level = _Level(len(self._data), implicit, 0, "")
        self._elements(level, 0, max(wanted))
        return [one for one in level.found if one[0] in wanted]

    def _elements(self, level: _Level, start: int, last: int) -> int:
        """Read elements up to a tag; returns where what follows begins."""
        resume = [start]
        found = headers(self._data, start, level.stop, resume, implicit=level.implicit)
        for tag, vr, pos, value, length in found:
            if tag == ITEM_END:
                return value
            if tag > last:
                return pos
            if _is_sequence(tag, vr, length, implicit=level.implicit):
                resume[0] = self._sequence(level, tag, vr, value, length)
            elif length == UNDEFINED or value + length > level.stop:
                raise Incomplete
            else:
                level.take(tag, vr, self._data[value : value + length])
        return level.stop

    def _sequence(self, level: _Level, tag: int, vr: bytes, value: int, length: int) -> int:
        stop = level.stop if length == UNDEFINED else value + length
        if stop > level.stop:
            raise Incomplete
        items: list[tuple[Element, ...]] = []
        at = value
        while at < stop:
            found, start, size = self._item_header(at, stop)
            if found == SEQUENCE_END and length == UNDEFINED:
                at = start
                break
            inner = level.inner(stop if size == UNDEFINED else start + size, vr)
            if found != ITEM or inner.stop > stop:
                raise Irregular(tag)
            at = self._elements(inner, start, ITEM_END)
            items.append(tuple(inner.found))
        level.found.append((tag, "SQ", Items(tuple(items), f"{len(items)} items")))
        return at

    def _item_header(self, at: int, stop: int) -> tuple[int, int, int]:
        if at + IMPLICIT.size > stop:
            raise Incomplete
        group, number, length = IMPLICIT.unpack_from(self._data, at)
        return group << 16 | number, at + IMPLICIT.size, length


def _is_sequence(tag: int, vr: bytes, length: int, *, implicit: bool) -> bool:
    if length == UNDEFINED:
        return is_items(vr, implicit=implicit)
    return vr == b"SQ" or (vr in _UNKNOWN and vr_of(tag) == "SQ")


def _vr(tag: int, received: bytes, creators: Mapping[int, str]) -> str:
    """The VR to write; UN where nobody knows it."""
    if received not in _UNKNOWN:
        return received.decode("ascii")
    if not tag & PRIVATE:
        return (vr_of(tag) or "UN").split(" or ")[0]
    if tag & 0xFFFF in CREATORS:
        return "LO"
    known = private_vr(tag >> 16, creators.get(tag & ~0xFF, ""), tag & 0xFF)
    return choices_of(known[0])[0] if known else "UN"


def _copied(vr: str, content: bytes, charsets: str) -> Operator:
    if vr not in TEXT_VRS or (content.isascii() and b"\x1b" not in content):
        return Constant(content, "as in the study merged into")
    return CopiedText(decoded(content, charsets))

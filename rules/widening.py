"""An instance in UTF-8: every text at every depth, byte for byte otherwise.

- Texts are read in the character set of the root, or in the one that their item declares; what
  that cannot read is replaced, not refused.
- The VR is the one received; where there is none, or UN, that of the dictionary, or of the
  private dictionary by its creator. Of what neither knows the bytes stay.
- A sequence of defined length is counted anew, one of undefined length stays so. One of
  defined length that cannot be read as items stays as it is: the walk judges it.
- Time and memory are linear in the data, however deep they are nested.

Source: PS3.3 C.12.1.1.2; PS3.5 6.1, 6.2.2, 7.5, 7.8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rules.charsets import decoded
from rules.elements import (
    ITEM,
    ITEM_END,
    ITEM_END_BYTES,
    ITEM_START,
    LENGTH,
    SEQUENCE_END,
    SEQUENCE_END_BYTES,
    UNDEFINED,
    Incomplete,
    Irregular,
    element,
    is_items,
    padded,
    read_header,
    undefined_end,
)
from rules.errors import DeidentificationError, Reason
from rules.operators import plain
from rules.private import private_vr
from rules.tables.dictionary import vr_of
from rules.values import TEXT_VRS

_CHARSET = 0x00080005
_UTF_8 = b"ISO_IR 192"
_DELIMITER_GROUP = 0xFFFE
_END = 0xFFFFFFFF
_PRIVATE = 0x10000
_CREATORS = range(0x10, 0x100)
_UNKNOWN_VRS = (b"", b"UN")
_SIZE_OF_LENGTH = 4
# Behind these bytes the first character set holds again (PS3.5 6.1.2.5.3).
_LINES = set(b"\t\n\f\r")
_RESETS = {
    **dict.fromkeys(("LT", "ST", "UT"), _LINES),
    **dict.fromkeys(("LO", "SH", "UC"), _LINES | set(b"\\")),
    "PN": _LINES | set(b"\\^="),
}


def widened(
    data: bytes, *, implicit: bool, charsets: tuple[str, ...], declare: bool = True
) -> bytes:
    """Root elements with every text in ISO_IR 192.

    Args:
        data: They, encoded, little endian.
        implicit: Whether they are in implicit VR.
        charsets: The values of Specific Character Set of the root, as received.
        declare: Whether (0008,0005) is written where it is absent; not among elements that
            only stand behind those that say so.

    Raises:
        DeidentificationError: a text becomes too long for its VR, or the data end too early.
        Irregular: they cannot be read as elements.
    """
    root = _Level(len(data), len(data), implicit, "\\".join(charsets))
    try:
        return _Widening(data, root, declare=declare).run()
    except Incomplete:
        raise DeidentificationError(Reason.TRUNCATED) from None


@dataclass(slots=True)
class _Level:
    """The root, a sequence or an item, under way.

    Attributes:
        stop: Where it ends; None where a delimiter says so.
        bound: Where it must have ended.
        implicit: Whether its elements are in implicit VR.
        charsets: Of its texts.
        start: Where the header of a sequence begins; None of the root and of items.
        pieces: How many were written before it.
        before: How many bytes were.
        content: How many bytes were before its content.
        creators: Private creators by the first tag of their block.
    """

    stop: int | None
    bound: int
    implicit: bool
    charsets: str
    start: int | None = None
    pieces: int = 0
    before: int = 0
    content: int = 0
    creators: dict[int, str] = field(default_factory=dict)

    def inner(self, stop: int | None, start: int | None = None) -> _Level:
        """A level inside this one."""
        bound = self.bound if stop is None else stop
        return _Level(stop, bound, self.implicit, self.charsets, start)


class _Widening:
    """One pass over the data; a length is filled in once its content is written."""

    def __init__(self, data: bytes, root: _Level, *, declare: bool) -> None:
        self._data = data
        self._at = 0
        self._levels = [root]
        self._declare = declare
        self._out: list[bytes] = []
        self._size = 0

    def run(self) -> bytes:
        """Everything, rewritten."""
        while self._levels:
            try:
                self._step(self._levels[-1])
            except (Irregular, Incomplete):
                if not self._left():
                    raise
        return b"".join(self._out)

    def _step(self, level: _Level) -> None:
        if self._at == level.stop:
            self._close(b"")
        elif level.start is None:
            self._element(level)
        else:
            self._item(level)

    # --- levels

    def _item(self, sequence: _Level) -> None:
        tag, _, value, length = self._header(sequence, implicit=True)
        if tag == SEQUENCE_END and sequence.stop is None:
            self._at = value
            self._close(SEQUENCE_END_BYTES)
        elif tag == ITEM:
            stop = None if length == UNDEFINED else self._within(sequence, tag, value + length)
            self._open(sequence.inner(stop), value)
        else:
            raise Irregular(tag)

    def _open(self, level: _Level, value: int) -> None:
        """Begin a sequence or an item whose header ends at `value`."""
        level.pieces, level.before = len(self._out), self._size
        self._copy(self._at, value - _SIZE_OF_LENGTH)
        self._copy(value - _SIZE_OF_LENGTH, value)
        level.content = self._size
        self._levels.append(level)

    def _close(self, delimiter: bytes) -> None:
        level = self._levels.pop()
        if not self._levels:
            self._declare_before(_END, implicit=level.implicit)
        elif level.stop is not None:
            self._out[level.pieces + 1] = LENGTH.pack(self._size - level.content)
        self._write(delimiter)

    def _left(self) -> bool:
        """Leave the innermost sequence that says where it ends as it is, if there is one."""
        while self._levels:
            level = self._levels.pop()
            if level.start is not None and level.stop is not None:
                del self._out[level.pieces :]
                self._size = level.before
                self._copy(level.start, level.stop)
                return True
        return False

    # --- elements

    def _element(self, level: _Level) -> None:
        tag, received, value, length = self._header(level, implicit=level.implicit)
        if tag == ITEM_END and level.stop is None:
            self._at = value
            self._close(ITEM_END_BYTES)
            return
        if tag >> 16 == _DELIMITER_GROUP:
            raise Irregular(tag)
        if len(self._levels) == 1:
            self._declare_before(tag, implicit=level.implicit)
        if length == UNDEFINED:
            self._undefined(level, tag, received, value)
            return
        stop = self._within(level, tag, value + length)
        vr = _vr(tag, received, level)
        if vr == "SQ" or (not vr and self._data.startswith(ITEM_START, value)):
            self._sequence(level, received, value, stop)
        else:
            self._value(level, _Element(tag, received, vr, self._data[value:stop]), stop)

    def _undefined(self, level: _Level, tag: int, received: bytes, value: int) -> None:
        """A sequence, or fragments, which stay as they are."""
        if is_items(received, implicit=level.implicit):
            self._sequence(level, received, value, None)
        else:
            stop = undefined_end(self._data, value, received, implicit=False, depth=1)
            self._copy(self._at, self._within(level, tag, stop))

    def _sequence(self, level: _Level, received: bytes, value: int, stop: int | None) -> None:
        sequence = level.inner(stop, self._at)
        sequence.implicit = level.implicit or received == b"UN"  # PS3.5 6.2.2
        self._open(sequence, value)

    def _value(self, level: _Level, one: _Element, stop: int) -> None:
        """What is no sequence."""
        if one.tag & _PRIVATE and one.tag & 0xFFFF in _CREATORS:
            level.creators[_first_of_block(one.tag)] = plain(one.value).strip(" \0")
        if one.tag == _CHARSET and len(self._levels) > 1:
            level.charsets = plain(one.value).strip(" \0")
        new = one.widened(level.charsets)
        if new is one.value:
            self._copy(self._at, stop)
            return
        self._write(one.written(new, implicit=level.implicit))
        self._at = stop

    def _declare_before(self, tag: int, *, implicit: bool) -> None:
        """Write (0008,0005) at its place in the root, unless it stands there already."""
        if self._declare and tag > _CHARSET:
            self._write(element(_CHARSET, "CS", _UTF_8, implicit=implicit))
        self._declare = self._declare and tag < _CHARSET

    # --- bytes

    def _header(self, level: _Level, *, implicit: bool) -> tuple[int, bytes, int, int]:
        tag, vr, value, length = read_header(self._data, self._at, implicit=implicit)
        self._within(level, tag, value)
        return tag, vr, value, length

    def _within(self, level: _Level, tag: int, stop: int) -> int:
        """A position that must not lie behind the level."""
        if stop > level.bound:
            raise Irregular(tag) if len(self._levels) > 1 else Incomplete
        return stop

    def _copy(self, start: int, stop: int) -> None:
        self._write(self._data[start:stop])
        self._at = stop

    def _write(self, piece: bytes) -> None:
        self._out.append(piece)
        self._size += len(piece)


@dataclass(frozen=True, slots=True)
class _Element:
    """An element that is no sequence; `received` is its VR on the wire, `vr` what it means."""

    tag: int
    received: bytes
    vr: str
    value: bytes

    def widened(self, charsets: str) -> bytes:
        """The value in UTF-8; the very same object where nothing changes."""
        if self.tag == _CHARSET:
            return _UTF_8
        return _in_utf_8(self.vr, self.value, charsets) if self.vr in TEXT_VRS else self.value

    def written(self, value: bytes, *, implicit: bool) -> bytes:
        """The element with another value.

        Raises:
            DeidentificationError: its VR has no room for it.
        """
        try:
            return element(self.tag, self.received.decode("ascii"), value, implicit=implicit)
        except ValueError:
            raise DeidentificationError(Reason.OPERATOR, self.tag) from None


def _vr(tag: int, received: bytes, level: _Level) -> str:
    """The VR that an element has, whatever is said of it; empty when nobody knows."""
    if received not in _UNKNOWN_VRS:
        return received.decode("ascii")
    if not tag & _PRIVATE:
        return vr_of(tag) or ""
    if tag & 0xFFFF in _CREATORS:
        return "LO"
    known = private_vr(tag >> 16, level.creators.get(tag & ~0xFF, ""), tag & 0xFF)
    return known[0] if known else ""


def _first_of_block(creator_tag: int) -> int:
    """The first tag of the block that a creator element reserves."""
    return creator_tag & 0xFFFF0000 | (creator_tag & 0xFFFF) << 8


def _in_utf_8(vr: str, value: bytes, charsets: str) -> bytes:
    """A text in UTF-8; the very same object where nothing changes.

    Blanks in front stay, for some VRs they count (PS3.5 6.2); padding is made anew.
    """
    if value.isascii() and b"\x1b" not in value:
        return value
    blanks = value[: len(value) - len(value.lstrip(b" "))]
    # An escape that no declared character set explains must not be one in UTF-8 either.
    text = decoded(value, charsets, _RESETS[vr]).replace("\x1b", "\ufffd")
    return padded(vr, blanks + text.encode("utf-8", "replace"))

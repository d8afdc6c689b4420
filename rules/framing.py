"""Finding the end of the header: the root elements in front of the pixel data group.

The header is gathered whole because what keys a rule may come after what it changes. The
search goes on where it stopped; only a sequence of undefined length is looked through anew,
and then not before the data have doubled, so the work stays linear however small the
fragments are.
"""

from __future__ import annotations

from rules.elements import (
    EXPLICIT,
    IMPLICIT,
    LENGTH,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    undefined_end,
)
from rules.errors import DeidentificationError, Reason
from rules.pixeldata import PIXEL_GROUP


class Header:
    """The gathered header.

    Attributes:
        data: All that has come; behind `end` it is no longer header.
        end: Where the search stands.
        index: (start, end) of the value of each root element, by tag; delimiters excluded.
    """

    def __init__(self, *, implicit: bool, size_limit: int, depth_limit: int) -> None:
        self.data = bytearray()
        self.end = 0
        self.index: dict[int, tuple[int, int]] = {}
        self._implicit = implicit
        self._size_limit = size_limit
        self._depth_limit = depth_limit
        self._look_again_at = 0

    def feed(self, fragment: bytes | memoryview) -> bool:
        """Take the next bytes; True once the header is whole.

        Raises:
            DeidentificationError: larger or deeper than the limits.
            Irregular: may be repaired on the slow path.
        """
        self.data += fragment
        if len(self.data) < self._look_again_at:
            return False
        try:
            return self._search()
        except Incomplete:
            self._look_again_at = 2 * len(self.data) - self.end
        except TooDeep:
            raise DeidentificationError(Reason.TOO_DEEP) from None
        if self.end > self._size_limit or len(self.data) > 2 * self._size_limit:
            raise DeidentificationError(Reason.TOO_LARGE)
        return False

    def finish(self) -> None:
        """Say that no more comes.

        Raises:
            DeidentificationError: the data end inside an element.
            Irregular: may be repaired on the slow path.
        """
        self._look_again_at = 0
        if self.feed(b""):
            return
        if self.end != len(self.data):
            raise DeidentificationError(Reason.TRUNCATED)

    def _search(self) -> bool:
        """Step over root elements; False when the data end exactly between two.

        Raises:
            Incomplete: in the middle of an element.
        """
        data, index, implicit = self.data, self.index, self._implicit
        size, pos = len(data), self.end
        try:
            while pos < size:
                if pos + 8 > size:
                    raise Incomplete
                vr = b""
                if implicit:
                    group, number, length = IMPLICIT.unpack_from(data, pos)
                    value = pos + 8
                else:
                    group, number, vr, length = EXPLICIT.unpack_from(data, pos)
                    value = pos + 8
                if group >= PIXEL_GROUP:
                    return True
                if not implicit and vr not in SHORT_VRS:
                    if vr not in LONG_VRS:
                        raise Irregular(group << 16 | number)
                    if pos + 12 > size:
                        raise Incomplete
                    (length,) = LENGTH.unpack_from(data, value)
                    value = pos + 12
                if length == UNDEFINED:
                    stop = undefined_end(
                        data, value, vr, implicit=implicit, depth=self._depth_limit
                    )
                else:
                    stop = value + length
                self._check_size(stop)
                if stop > size:
                    raise Incomplete
                index[group << 16 | number] = (value, stop)
                pos = stop
            return False
        finally:
            self.end = pos

    def _check_size(self, stop: int) -> None:
        if stop > self._size_limit:
            raise DeidentificationError(Reason.TOO_LARGE)

"""Finding the end of the header: the root elements in front of the pixel data group.

The header is gathered whole because what keys a rule may come after what it changes. The
search goes on where it stopped; only a sequence of undefined length is looked through anew,
and then not before the data have doubled, so the work stays linear however small the
fragments are.
"""

from __future__ import annotations

from rules.elements import UNDEFINED, Incomplete, TooDeep, headers, undefined_end
from rules.elements import Header as ElementHeader
from rules.errors import DeidentificationError, Reason
from rules.pixeldata import PIXEL_GROUP

_PIXELS = PIXEL_GROUP << 16
_LONGEST_HEAD_BYTES = 12  # tag, VR and length of what follows the header may have come in part


class Header:
    """The gathered header.

    Attributes:
        data: All that has come; behind `end` it is no longer header. One fragment that holds
            the whole header is not copied.
        end: Where the search stands.
        entries: The headers of the root elements up to there.
        ends: Where those of undefined length end, by tag.
    """

    def __init__(self, *, implicit: bool, size_limit: int, depth_limit: int) -> None:
        self.data: bytes | bytearray | memoryview = b""
        self.end = 0
        self.entries: list[ElementHeader] = []
        self.ends: dict[int, int] = {}
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
        if self.data:
            self.append(fragment)
        else:
            self.data = fragment
        # Beyond the limit there is nothing to wait for: either it is whole, or it is too large.
        is_beyond = len(self.data) > self._size_limit + _LONGEST_HEAD_BYTES
        if (is_beyond or len(self.data) >= self._look_again_at) and self._found():
            return True
        if is_beyond:
            raise DeidentificationError(Reason.TOO_LARGE)
        self.own()
        return False

    def append(self, fragment: bytes | memoryview) -> None:
        """Gather without looking."""
        self.own().extend(fragment)

    def own(self) -> bytearray:
        """Copy what still lies in the caller's fragment."""
        if not isinstance(self.data, bytearray):
            self.data = bytearray(self.data)
        return self.data

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

    def _found(self) -> bool:
        try:
            return self._search()
        except Incomplete:
            self._look_again_at = 2 * len(self.data) - self.end
        except TooDeep:
            raise DeidentificationError(Reason.TOO_DEEP) from None
        return False

    def _search(self) -> bool:
        """Step over root elements; False when the data end exactly between two.

        Raises:
            Incomplete: in the middle of an element.
        """
        data, entries, limit = self.data, self.entries, self._size_limit
        size, end = len(data), self.end
        resume = [end]
        try:
            for entry in headers(data, end, size, resume, implicit=self._implicit):
                tag, vr, _, value, length = entry
                if tag >= _PIXELS:
                    return True
                stop = value + length
                if length == UNDEFINED:
                    resume[0] = stop = self.ends[tag] = self._end_of(vr, value)
                if stop > limit:
                    raise DeidentificationError(Reason.TOO_LARGE)
                if stop > size:
                    raise Incomplete
                entries.append(entry)
                end = stop
        finally:
            self.end = end
        return False

    def _end_of(self, vr: bytes, value: int) -> int:
        return undefined_end(
            self.data, value, vr, implicit=self._implicit, depth=self._depth_limit
        )

"""Group 7FE0 as it comes: passed on, blanked or dropped fragment by fragment, never held.

What must be blanked has the length that the image says, or it is not passed at all: behind
the last pixel nothing can hide, and nothing is blanked in the wrong place.

Source: PS3.5 8 and A.4: native values have a defined length, encapsulated ones are items of
defined length up to a sequence delimiter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.blanking import PIXEL_TAGS
from rules.elements import (
    ITEM,
    LONG_VRS,
    SEQUENCE_END,
    UNDEFINED,
    Incomplete,
    Irregular,
    read_header,
)
from rules.errors import DeidentificationError, Reason
from rules.fitting import LEGAL
from rules.operators import KEEP_FITTING, REMOVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.blanking import Blanker
    from rules.plan import Actions

PIXEL_GROUP = 0x7FE0
_GROUP_LENGTH = PIXEL_GROUP << 16


class PixelData:
    """Reads root elements of group 7FE0 and says where the group ends."""

    def __init__(
        self,
        actions: Actions,
        *,
        implicit: bool,
        blanker: Blanker | None = None,
        bars_pixels: bool = False,
        restate: Callable[[int, str, int], bytes] | None = None,
    ) -> None:
        """Prepare.

        Args:
            actions: Of the root plan.
            implicit: Whether the dataset is in implicit VR.
            blanker: Blanks native pixels; None passes them as they are.
            bars_pixels: Whether pixels, if any come, refuse the instance.
            restate: Writes the header of an element (tag, VR received, length) in the form of
                the result; None leaves it as it came.
        """
        self._actions = actions
        self._blanker = blanker
        self._bars_pixels = bars_pixels
        self._restate = restate
        self._implicit = implicit
        self._head = bytearray()
        self._left = 0
        self._in_fragments = False
        self._dropping = False
        self._blanking = False
        self.last_tag = -1

    def feed(self, data: memoryview, out: list[bytes | memoryview]) -> memoryview | None:
        """Take the next bytes; what passes is appended to `out`.

        Returns:
            The bytes behind the group, with the header that ended it; None while it goes on.

        Raises:
            DeidentificationError: the group cannot be read.
        """
        while data:
            if self._left:
                data = self._content(data, out)
                continue
            data = self._gather(data)
            size = self._header_size()
            if len(self._head) < size:
                continue
            head = bytes(self._head)
            self._head.clear()
            if not self._in_fragments and int.from_bytes(head[:2], "little") != PIXEL_GROUP:
                return memoryview(head + bytes(data))
            self._begin(head)
            if not self._dropping:
                out.append(head if self._restate is None else self._restated(head))
            if not self._in_fragments and not self._left:
                self._dropping = False
        return None

    def finish(self) -> bytes:
        """The bytes that came behind the group, if the data end there.

        Raises:
            DeidentificationError: the data end inside the group.
        """
        starts_group = self._head[:2] == PIXEL_GROUP.to_bytes(2, "little")
        if self._left or self._in_fragments or (self._head and starts_group):
            raise DeidentificationError(Reason.TRUNCATED, self.last_tag)
        return bytes(self._head)

    def _content(self, data: memoryview, out: list[bytes | memoryview]) -> memoryview:
        taken = min(self._left, len(data))
        if self._blanking and self._blanker is not None:
            out += self._blanker.feed(data[:taken])
        elif not self._dropping:
            out.append(data[:taken])
        self._left -= taken
        if not self._left and not self._in_fragments:
            self._dropping = False
        return data[taken:]

    def _gather(self, data: memoryview) -> memoryview:
        """Complete a header that may lie across fragments."""
        while data and len(self._head) < self._header_size():
            missing = self._header_size() - len(self._head)
            self._head += data[:missing]
            data = data[missing:]
        return data

    def _header_size(self) -> int:
        is_long = (
            not self._implicit and not self._in_fragments and bytes(self._head[4:6]) in LONG_VRS
        )
        return 12 if is_long else 8

    def _restated(self, head: bytes) -> bytes:
        """The header of a native element; one with fragments is no part of such a dataset."""
        tag, vr, _, length = read_header(head, 0, implicit=self._implicit)
        if self._in_fragments or self._restate is None:
            raise DeidentificationError(Reason.UNREADABLE, tag)
        return self._restate(tag, vr.decode("ascii"), length)

    def _begin(self, head: bytes) -> None:
        try:
            tag, vr, _, length = read_header(
                head, 0, implicit=self._implicit or self._in_fragments
            )
        except (Incomplete, Irregular):
            raise DeidentificationError(Reason.UNREADABLE, self.last_tag) from None
        if self._in_fragments:
            self._begin_fragment(tag, length)
        else:
            self._begin_element(tag, vr, length)

    def _begin_element(self, tag: int, vr: bytes, length: int) -> None:
        if tag <= self.last_tag:
            raise DeidentificationError(Reason.UNREADABLE, tag)
        self.last_tag = tag
        self._dropping = tag == _GROUP_LENGTH or self._goes(tag, vr)
        self._blanking = tag in PIXEL_TAGS and not self._dropping and self._judged(tag, length)
        if length != UNDEFINED:
            self._left = length
        elif vr in (b"OB", b"OW"):
            self._in_fragments = True
        else:
            raise DeidentificationError(Reason.UNREADABLE, tag)

    def _goes(self, tag: int, vr: bytes) -> bool:
        """Whether an element is removed: by the plan, or for being no value of its tag."""
        action = self._actions[tag]
        return action is REMOVE or (action is KEEP_FITTING and vr not in LEGAL[tag])

    def _judged(self, tag: int, length: int) -> bool:
        """Whether these pixels are to be blanked.

        Raises:
            DeidentificationError: they must not pass, or are not as long as the image says.
        """
        if self._bars_pixels:
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, tag)
        if self._blanker is None:
            return False
        self._blanker.begin(tag)
        if length != self._blanker.value_bytes:
            raise DeidentificationError(Reason.PIXELS_UNREADABLE, tag)
        return True

    def _begin_fragment(self, tag: int, length: int) -> None:
        if tag == SEQUENCE_END and length == 0:
            self._in_fragments = False
        elif tag == ITEM and length != UNDEFINED:
            self._left = length
        else:
            raise DeidentificationError(Reason.UNREADABLE, self.last_tag)

"""A result in another transfer syntax than was received: its elements, and its pixels.

Source: PS3.5 8.2, A.1 to A.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rules.blanking import PIXEL_DATA
from rules.elements import header
from rules.errors import DeidentificationError, Reason
from rules.held import fragments, is_encapsulated, native_value
from rules.operators import plain
from rules.regions import geometry
from rules.restating import Surroundings, restated, stated_vr
from rules.tables.dictionary import vr_of
from rules.targets import NATIVE, QUALITIES, TARGETS, TranscodeJob
from rules.transfer import EXPLICIT_BIG, EXPLICIT_LITTLE, form_of
from rules.values import NUMBER_VRS, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.regions import Decision, PixelResult
    from rules.report import Root
    from rules.targets import Transcode

_BITS_ALLOCATED, _SIGNED = 0x00280100, 0x00280103
_OF_A_WORD = 16
_VALUE_AT = 12
_BOTH_REASONS = {Reason.PIXELS_UNREADABLE: Reason.TRANSCODE}


@dataclass(frozen=True, slots=True)
class Recoding:
    """How the result is encoded.

    Attributes:
        source: Transfer syntax that is received.
        target: Transfer syntax of the result.
        quality: Of pixels in a lossy target.
        transcode: Encodes pixels; None refuses what would need it.
        depth: Limit of nested sequences.
    """

    source: str
    target: str
    quality: int
    transcode: Transcode | None
    depth: int

    @property
    def touches_pixels(self) -> bool:
        """Whether they are encoded in another way, not only their dataset."""
        return is_encapsulated(self.source) or is_encapsulated(self.target)

    @property
    def without_pixels(self) -> str:
        """The transfer syntax of a result that has none: nothing of it can be encapsulated."""
        return self.target if self.target in NATIVE else EXPLICIT_LITTLE

    def elements(self, buffers: list[bytes], root: Root) -> list[bytes]:
        """Rewritten root elements in the form of the target.

        Raises:
            DeidentificationError: they cannot be, or the pixels of an item.
        """
        source, target = form_of(self.source), form_of(self.target)
        if source.implicit == target.implicit and not is_encapsulated(self.source):
            return buffers
        made = restated(
            b"".join(buffers),
            implicit=source.implicit,
            into_implicit=target.implicit,
            surroundings=_surroundings(root),
            depth=self.depth,
            natively=self._native_icon,
        )
        return [made]

    def head(self, root: Root, tag: int, vr: str, length: int) -> bytes:
        """The header of an element of group 7FE0 in the form of the target.

        Args:
            root: The header of the instance.
            tag: Of the element.
            vr: As received; empty in implicit VR.
            length: Of its value.

        Raises:
            DeidentificationError: its samples cannot change their byte order.
        """
        around = _surroundings(root)
        self._judge(tag, around.bits)
        implicit = form_of(self.target).implicit
        return header(tag, vr or stated_vr(tag, around), length, implicit=implicit)

    def pixels(self, group: bytearray, root: Root, decision: Decision) -> PixelResult:
        """What becomes of a held group 7FE0; offset tables beside the pixels are not kept.

        Raises:
            DeidentificationError: there is nothing that could encode it, or it cannot be.
        """
        return self._transcoded(lambda: self._job(group, root, decision))

    def pixel_data(self, element: bytes) -> list[bytes]:
        """Pixel Data that were encoded, in the form of the target."""
        if not form_of(self.target).implicit:
            return [element]
        head = header(PIXEL_DATA, "OW", len(element) - _VALUE_AT, implicit=True)
        return [head, element[_VALUE_AT:]]

    def _transcoded(self, job: Callable[[], TranscodeJob]) -> PixelResult:
        if self.transcode is None:
            raise DeidentificationError(Reason.TRANSCODE, PIXEL_DATA)
        try:
            return self.transcode(job())
        except DeidentificationError as error:
            reason = _BOTH_REASONS.get(error.reason, error.reason)
            raise DeidentificationError(reason, error.tag) from None

    def _native_icon(
        self, said: Mapping[int, bytes], items: bytes
    ) -> tuple[Mapping[int, tuple[str, bytes]], str, bytes]:
        """The pixels of an item, native; see `rules.restating.Natively`."""

        def job() -> TranscodeJob:
            size = geometry(partial(_text_of, said))
            return TranscodeJob(self.source, size, items, EXPLICIT_LITTLE, self.quality)

        result = self._transcoded(job)
        vr = result.element[4:6].decode("ascii")
        return result.attributes, vr, result.element[_VALUE_AT:]

    def _judge(self, tag: int, bits: int) -> None:
        """Samples of two words: some turn them round word by word, as OW is, and some whole."""
        turns = EXPLICIT_BIG in (self.source, self.target)
        if turns and tag == PIXEL_DATA and bits > _OF_A_WORD:
            raise DeidentificationError(Reason.TRANSCODE, tag)

    def _job(self, group: bytearray, root: Root, decision: Decision) -> TranscodeJob:
        size = geometry(root.lookup)
        self._judge(PIXEL_DATA, size.bits_allocated)
        target = self.target if is_encapsulated(self.target) else EXPLICIT_LITTLE
        if is_encapsulated(self.source):
            value = fragments(group)
            return TranscodeJob(self.source, size, value, target, self.quality, decision)
        value = native_value(group, implicit=form_of(self.source).implicit)
        return TranscodeJob(EXPLICIT_LITTLE, size, value, target, self.quality)


def recoding_of(
    source: str, target: str | None, quality: int, transcode: Transcode | None, depth: int
) -> Recoding | None:
    """How a result becomes one of `target`; None where it is that already, or anything may be.

    Raises:
        DeidentificationError: nothing here encodes it, or a dataset that has its pixels
            elsewhere.
        ValueError: there is no such quality.
    """
    if quality not in QUALITIES:
        message = f"a quality is {QUALITIES[0]} to {QUALITIES[-1]}"
        raise ValueError(message)
    if target is None or target == source:
        return None
    refers = form_of(source).deflated and is_encapsulated(source)
    if target not in TARGETS or refers:
        raise DeidentificationError(Reason.TRANSCODE)
    return Recoding(source, target, quality, transcode, depth)


def _text_of(said: Mapping[int, bytes], tag: int) -> str | None:
    """The text of an attribute by its tag; None when absent."""
    if tag not in said:
        return None
    vr = (vr_of(tag) or "").split(" or ")[0]
    return numbers(vr, said[tag]) if vr in NUMBER_VRS else plain(said[tag])


def _surroundings(root: Root) -> Surroundings:
    bits = root.lookup(_BITS_ALLOCATED) or ""
    return Surroundings(
        is_signed=root.lookup(_SIGNED) == "1",
        bits=int(bits) if bits.isascii() and bits.isdigit() else 0,
    )

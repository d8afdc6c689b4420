"""A dataset in little endian as it comes: header, group 7FE0, what stands behind it.

Nothing is returned before the whole header has been read, judged and rewritten. Pixel data
then pass in constant memory, blanked on their way where a rule says so. Encapsulated pixel
data that must be blanked are held, under a limit, and decoded apart; the header follows them,
because it says how they are encoded. So it is with all pixels whose encoding is to change.

Source: PS3.5 7.1, 8.2, A.4; PS3.15 E.3.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rules.blanking import Blanker
from rules.derived import described
from rules.elements import Irregular
from rules.errors import DeidentificationError, Reason
from rules.held import is_encapsulated, recoded
from rules.operators import constant
from rules.pixeldata import PixelData
from rules.regions import geometry
from rules.repair import repaired
from rules.rewriting import Rewriting
from rules.targets import LOSSY

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.derived import Described
    from rules.held import BlankEncapsulated
    from rules.recoding import Recoding
    from rules.regions import PixelResult
    from rules.report import Root
    from rules.rewriting import Terms

Buffer = bytes | memoryview

_JOIN_BELOW_BYTES = 1 << 20
_BURNED_IN_ANNOTATION = 0x00280301
_BLANKED: Described = {_BURNED_IN_ANNOTATION: ("CS", constant("CS", "NO"))}
_AS_PLANNED: Described = {}


class Body:
    """Rewrites one dataset."""

    def __init__(
        self,
        terms: Terms,
        transfer_syntax_uid: str,
        *,
        whole_bytes: int,
        blank: BlankEncapsulated | None,
        recoding: Recoding | None = None,
    ) -> None:
        """Prepare.

        Args:
            terms: Of the rewriting.
            transfer_syntax_uid: Of the dataset; the attribute is that of the result.
            whole_bytes: Limit of what must be held whole: to be repaired, or to be decoded.
            blank: Blanks encapsulated pixel data; None refuses what would need it.
            recoding: How the result is encoded, if not as it came.
        """
        self._terms = terms
        self._source = transfer_syntax_uid
        self.transfer_syntax_uid = recoding.target if recoding else transfer_syntax_uid
        self.is_lossy = False
        self._recoding = recoding
        self._whole_bytes = whole_bytes
        self._blank = blank
        # Not bound: a method would keep its object, and all that is held, until cycles are
        # collected.
        self._stage: Callable[[Body, Buffer], list[Buffer]] = Body._gather_header
        self._header = terms.new_header()
        self._held: bytearray | None = None
        self._tail = bytearray()
        self._rewriting: Rewriting | None = None
        self._pixels: PixelData | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes gathered: in front of group 7FE0, of it, or behind it."""
        return len(self._header.data) + len(self._held or b"") + len(self._tail)

    @property
    def root(self) -> Root | None:
        """The root elements, once the header has been read."""
        return self._rewriting.root if self._rewriting else None

    @property
    def counts(self) -> dict[str, int]:
        """Elements touched so far, by action code."""
        return self._rewriting.counts if self._rewriting else {}

    def feed(self, fragment: Buffer) -> list[Buffer]:
        """See Deidentifier."""
        return self._stage(self, fragment)

    def finish(self) -> list[Buffer]:
        """See Deidentifier."""
        buffers = self._finish_header() if self._rewriting is None else []
        if self._pixels is not None:
            self._gather_tail(self._pixels.finish())
        return buffers + self._released() + self._rewritten_tail()

    # --- stages

    def _gather_header(self, fragment: Buffer) -> list[Buffer]:
        try:
            if not self._header.feed(fragment):
                return []
            return self._pass_header()
        except Irregular:
            self._header.own()
            self._stage = Body._gather_whole
            return self._gather_whole(b"")

    def _gather_whole(self, fragment: Buffer) -> list[Buffer]:
        if len(self._header.data) + len(fragment) > self._whole_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)
        self._header.append(fragment)
        return []

    def _pass_pixels(self, fragment: Buffer) -> list[Buffer]:
        out: list[Buffer] = []
        assert self._pixels is not None  # noqa: S101 - the stage before made it
        behind = self._pixels.feed(memoryview(fragment), out)
        if self._held is not None:
            out = self._hold(out)
        if behind is not None:
            self._stage = Body._gather_tail
            self._gather_tail(behind)
        return out

    def _gather_tail(self, fragment: Buffer) -> list[Buffer]:
        if len(self._tail) + len(fragment) > self._terms.header_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)
        self._tail += fragment
        return []

    # --- steps

    def _pass_header(self) -> list[Buffer]:
        """The rewritten header, and whatever of group 7FE0 has come with it."""
        header = self._header
        data = bytes(memoryview(header.data)[: header.end])
        rest = memoryview(header.data)[header.end :]
        rewriting = Rewriting(self._terms, data, header)
        buffers = self._begun(rewriting)
        self._rewriting = rewriting
        self._header = self._terms.new_header()
        self._stage = Body._pass_pixels
        return buffers + self._pass_pixels(rest)

    def _begun(self, rewriting: Rewriting) -> list[Buffer]:
        """The header, unless it must wait for what becomes of the pixels."""
        decision, recoding = rewriting.decision, self._recoding
        is_native = not is_encapsulated(self._source)
        blanker = None
        if decision.blanks and is_native:
            blanker = Blanker(geometry(rewriting.root.lookup), decision)
        holds = recoding.touches_pixels if recoding else decision.blanks and not is_native
        self._pixels = PixelData(
            rewriting.plan.actions,
            implicit=self._terms.implicit,
            blanker=blanker,
            bars_pixels=decision.bars_pixels,
            restate=partial(recoding.head, rewriting.root) if recoding and not holds else None,
        )
        if holds:
            self._held = bytearray()
            rewriting.header(_AS_PLANNED)  # what cannot be shows before pixels are held
            return []
        return self._written(rewriting, _BLANKED if decision.blanks else _AS_PLANNED)

    def _written(self, rewriting: Rewriting, overrides: Described = _AS_PLANNED) -> list[Buffer]:
        """The header, in the form of the result."""
        buffers = rewriting.header(overrides)
        if self._recoding:
            buffers = self._recoding.elements(buffers, rewriting.root)
        return list(_joined(buffers))

    def _hold(self, buffers: list[Buffer]) -> list[Buffer]:
        assert self._held is not None  # noqa: S101 - as the caller saw
        for buffer in buffers:
            if len(self._held) + len(buffer) > self._whole_bytes:
                raise DeidentificationError(Reason.PIXELS_TOO_LARGE)
            self._held += buffer
        return []

    def _released(self) -> list[Buffer]:
        """The header that waited, and the pixels that were held, as they are now."""
        if self._held is None or self._rewriting is None:
            return []
        rewriting, held = self._rewriting, self._held
        self._held = None
        if not held:
            if self._recoding:
                self.transfer_syntax_uid = self._recoding.without_pixels
            return self._written(rewriting)
        result, element = self._made_of(held, rewriting)
        overrides = described(result, rewriting.root)
        if rewriting.decision.blanks:
            overrides |= _BLANKED
        return [*self._written(rewriting, overrides), *element]

    def _made_of(self, held: bytearray, rewriting: Rewriting) -> tuple[PixelResult, list[bytes]]:
        """What became of the pixels, and their element in the form of the result."""
        root, decision, recoding = rewriting.root, rewriting.decision, self._recoding
        if recoding is None:
            size = geometry(root.lookup)
            result = recoded(held, self._source, size, decision, self._blank)
            self.transfer_syntax_uid = result.transfer_syntax_uid
            return result, [result.element]
        result = recoding.pixels(held, root, decision)
        self.is_lossy = result.transfer_syntax_uid in LOSSY
        return result, recoding.pixel_data(result.element)

    def _finish_header(self) -> list[Buffer]:
        try:
            if self._stage is Body._gather_header:
                self._header.finish()
                return self._pass_header()
        except Irregular:
            pass  # repaired below: the header is still whole, and nothing was returned of it
        return self._repaired()

    def _repaired(self) -> list[Buffer]:
        well_formed = repaired(self._header.data, implicit=self._terms.implicit)
        self._header = self._terms.new_header()
        try:
            if not self._header.feed(well_formed):
                self._header.finish()
            return self._pass_header()
        except Irregular as still:
            raise DeidentificationError(Reason.UNREADABLE, still.tag) from None

    def _rewritten_tail(self) -> list[Buffer]:
        if not self._tail or self._rewriting is None or self._pixels is None:
            return []
        tail = self._rewriting.tail(bytes(self._tail), self._pixels.last_tag)
        if self._recoding:
            tail = self._recoding.elements(tail, self._rewriting.root)
        return list(_joined(tail))


def _joined(buffers: list[bytes]) -> list[bytes]:
    """Small buffers as one, so that they cost one system call; large ones are not copied."""
    if sum(map(len, buffers)) > _JOIN_BELOW_BYTES:
        return buffers
    return [b"".join(buffers)]

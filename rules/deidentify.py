"""The de-identifier: a push parser from a received dataset to a new Part 10 file.

- feed() takes the encoded dataset in fragments of any size and returns buffers ready to be
  written; finish() returns the last ones and the report. The concatenation does not depend
  on how the input was cut.
- Nothing is returned before the whole header (all in front of group 7FE0) has been read,
  judged by the Reject rules and rewritten. Pixel data then pass in constant memory.
- The result is in the transfer syntax received, unless encapsulated pixel data had to be
  blanked; it has a zero preamble and file meta information of our own.
- Whatever raises, raises InstanceRefused or DeidentificationError; what was returned until
  then is to be thrown away.

Source: PS3.10 7.1; PS3.15 E.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.body import Body, Buffer
from rules.errors import DeidentificationError, Reason
from rules.filemeta import file_meta
from rules.report import report
from rules.rewriting import Terms
from rules.transfer import Deflation, form_of, swapped

if TYPE_CHECKING:
    from rules.held import BlankEncapsulated
    from rules.plan import Plan
    from rules.pseudonyms import Pseudonyms
    from rules.report import Report

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may cost.

    Attributes:
        header_bytes: Of all root elements outside group 7FE0, held in memory.
        whole_bytes: Of a dataset that must be held whole: big endian, or to be repaired; and of
            encapsulated pixel data that must be blanked.
        inflated_bytes: Of a deflated dataset, opened.
        depth: Levels of nested sequences.
        elements: Elements over all levels, outside group 7FE0.
    """

    header_bytes: int = 64 << 20
    whole_bytes: int = 256 << 20
    inflated_bytes: int = 4 << 30
    depth: int = 64
    elements: int = 1_000_000


DEFAULT_LIMITS = Limits()


class Deidentifier:
    """De-identifies one instance."""

    def __init__(
        self,
        plan: Plan,
        pseudonyms: Pseudonyms,
        transfer_syntax: str,
        *,
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        blank: BlankEncapsulated | None = None,
    ) -> None:
        """Prepare for one dataset.

        Args:
            plan: The compiled profile.
            pseudonyms: The keyed functions.
            transfer_syntax: UID of the transfer syntax the dataset is encoded in.
            sop_class_uid: What the dataset must say of itself; None does not check.
            sop_instance_uid: Likewise.
            limits: What the instance may cost.
            blank: Blanks encapsulated pixel data; without it, what would need it is refused.
        """
        self._form = form_of(transfer_syntax)
        self._limits = limits
        terms = Terms(
            plan=plan,
            pseudonyms=pseudonyms,
            expected=(sop_class_uid, sop_instance_uid),
            implicit=self._form.implicit,
            header_bytes=limits.header_bytes,
            depth=limits.depth,
            elements=limits.elements,
        )
        self._body = Body(terms, transfer_syntax, whole_bytes=limits.whole_bytes, blank=blank)
        # A deflate stream takes a quarter of a megabyte: only where there is one.
        self._deflation = Deflation(limits.inflated_bytes) if self._form.deflated else None
        self._whole = bytearray()
        self._started = False

    @property
    def held_bytes(self) -> int:
        """Bytes of the dataset that are in memory now."""
        return len(self._whole) + self._body.held_bytes

    def feed(self, fragment: Buffer) -> list[Buffer]:
        """Take the next bytes of the dataset.

        Returns:
            Buffers to be written, in order, before the next call: they may lie in `fragment`.

        Raises:
            InstanceRefused: a rule says so.
            DeidentificationError: it cannot be done.
        """
        if self._form.big_endian:
            self._hold(fragment)
            return []
        if self._deflation:
            return self._with_meta(self._deflation.feed(fragment, self._body.feed))
        return self._with_meta(self._body.feed(fragment))

    def finish(self) -> tuple[list[Buffer], Report]:
        """Say that the dataset is complete.

        Returns:
            The last buffers, and what the result is.

        Raises:
            InstanceRefused: a rule says so.
            DeidentificationError: it cannot be done.
        """
        if self._form.big_endian:
            last = self._turned_round()
        elif self._deflation:
            last = self._deflation.finish(self._body.feed, self._body.finish)
        else:
            last = self._body.finish()
        buffers = self._with_meta(last)
        return buffers, report(self._body.root, self._body.counts, self._body.transfer_syntax_uid)

    def _hold(self, fragment: Buffer) -> None:
        if len(self._whole) + len(fragment) > self._limits.whole_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)
        self._whole += fragment

    def _turned_round(self) -> list[Buffer]:
        depth = self._limits.depth
        little = swapped(self._whole, to_big=False, depth_limit=depth)
        self._whole.clear()
        buffers = self._body.feed(little) + self._body.finish()
        return [swapped(b"".join(buffers), to_big=True, depth_limit=depth)]

    def _with_meta(self, buffers: list[Buffer]) -> list[Buffer]:
        """Put the file meta information in front of the first buffers."""
        if self._started or self._body.root is None or not buffers:
            return buffers
        self._started = True
        root = self._body.root
        uids = (root.text(_SOP_CLASS), root.text(_SOP_INSTANCE))
        return [file_meta(*uids, self._body.transfer_syntax_uid), *buffers]


def deidentify(
    dataset: bytes,
    plan: Plan,
    pseudonyms: Pseudonyms,
    transfer_syntax: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    blank: BlankEncapsulated | None = None,
) -> tuple[bytes, Report]:
    """De-identify a dataset that is in memory.

    Args:
        dataset: Encoded, without preamble and file meta information.
        plan: The compiled profile.
        pseudonyms: The keyed functions.
        transfer_syntax: UID of the dataset's transfer syntax.
        limits: What the instance may cost.
        blank: Blanks encapsulated pixel data.

    Returns:
        A Part 10 file, and the report.

    Raises:
        InstanceRefused: a rule says so.
        DeidentificationError: it cannot be done.
    """
    engine = Deidentifier(plan, pseudonyms, transfer_syntax, limits=limits, blank=blank)
    first = [bytes(buffer) for buffer in engine.feed(dataset)]
    last, result = engine.finish()
    return b"".join([*first, *last]), result

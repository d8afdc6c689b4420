"""The de-identifier: a push parser from a received dataset to a new Part 10 file.

- feed() takes the encoded dataset in fragments of any size and returns buffers ready to be
  written; finish() returns the last ones and the report. The concatenation does not depend
  on how the input was cut.
- Nothing is returned before the whole header (all in front of group 7FE0) has been read,
  judged by the Reject rules and rewritten. Pixel data then pass in constant memory.
- The result is in the transfer syntax received, unless encapsulated pixel data had to be
  blanked or another one is asked for; it has a zero preamble and file meta information of our
  own.
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
from rules.recoding import recoding_of
from rules.report import report
from rules.rewriting import Terms
from rules.transfer import Deflation, Inflation, Turning, TurningBack, form_of

if TYPE_CHECKING:
    from rules.elements import Data
    from rules.held import BlankEncapsulated
    from rules.plan import Plan
    from rules.pseudonyms import Pseudonyms
    from rules.report import Report
    from rules.targets import Transcode
    from rules.transfer import Form, Inward, Outward

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may cost.

    Attributes:
        header_bytes: Of all root elements outside group 7FE0, held in memory.
        whole_bytes: Of a dataset that must be held whole: big endian, or to be repaired; and of
            pixel data that must be decoded or encoded.
        inflated_bytes: Of a deflated dataset, opened.
        inflated_held_bytes: Of that what may be in memory, however little has come.
        inflation: Bytes of it that may be in memory beyond that, for each that has come. Real
            headers stay far below; deflate reaches a thousand.
        depth: Levels of nested sequences.
        elements: Elements over all levels, outside group 7FE0.
    """

    header_bytes: int = 64 << 20
    whole_bytes: int = 256 << 20
    inflated_bytes: int = 4 << 30
    inflated_held_bytes: int = 16 << 20
    inflation: int = 100
    depth: int = 64
    elements: int = 1_000_000


DEFAULT_LIMITS = Limits()


class Deidentifier:
    """De-identifies one instance."""

    def __init__(  # noqa: PLR0913 - all but three are named
        self,
        plan: Plan,
        pseudonyms: Pseudonyms,
        transfer_syntax: str,
        *,
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
        blank: BlankEncapsulated | None = None,
        target: str | None = None,
        lossy_quality: int = 90,
        transcode: Transcode | None = None,
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
            target: UID of the transfer syntax of the result; None keeps the one received. A
                dataset without pixels becomes explicit VR little endian where the target
                encapsulates them. Of a deflated dataset that does not stay so, the buffers of
                one fragment can be a thousand times as large.
            lossy_quality: 1 to 100, of a target that loses something.
            transcode: Encodes pixels; without it, what would need it is refused.

        Raises:
            DeidentificationError: nothing here encodes `target`.
            ValueError: there is no such quality.
        """
        received = form_of(transfer_syntax)
        recoding = recoding_of(transfer_syntax, target, lossy_quality, transcode, limits.depth)
        written = form_of(recoding.target) if recoding else received
        terms = Terms(
            plan=plan,
            pseudonyms=pseudonyms,
            expected=(sop_class_uid, sop_instance_uid),
            implicit=received.implicit,
            header_bytes=limits.header_bytes,
            depth=limits.depth,
            elements=limits.elements,
        )
        self._body = Body(
            terms, transfer_syntax, whole_bytes=limits.whole_bytes, blank=blank, recoding=recoding
        )
        self._inward = _inward(received, limits)
        self._outward = _outward(written, limits)
        self._limits = limits
        self._received_bytes = 0
        self._started = False

    @property
    def held_bytes(self) -> int:
        """Bytes of the dataset that are in memory now."""
        around = (one.held_bytes for one in (self._inward, self._outward) if one)
        return sum(around, self._body.held_bytes)

    def feed(self, fragment: Buffer) -> list[Buffer]:
        """Take the next bytes of the dataset.

        Returns:
            Buffers to be written, in order, before the next call: they may lie in `fragment`.

        Raises:
            InstanceRefused: a rule says so.
            DeidentificationError: it cannot be done.
        """
        if self._inward is None:
            return self._with_meta(self._work(fragment))
        self._received_bytes += len(fragment)
        return self._with_meta(self._inward.feed(fragment, self._work))

    def finish(self) -> tuple[list[Buffer], Report]:
        """Say that the dataset is complete.

        Returns:
            The last buffers, and what the result is.

        Raises:
            InstanceRefused: a rule says so.
            DeidentificationError: it cannot be done.
        """
        last = self._inward.finish(self._work, self._end) if self._inward else self._end()
        body = self._body
        buffers = self._with_meta(last)
        said = report(body.root, body.counts, body.transfer_syntax_uid, is_lossy=body.is_lossy)
        return buffers, said

    def _work(self, data: Data) -> list[Buffer]:
        """What becomes of the next bytes in plain little endian."""
        buffers = self._body.feed(memoryview(data))
        if self._inward is not None:
            self._check_inflation(self._body.held_bytes)
        return self._outward.feed(buffers) if self._outward else buffers

    def _check_inflation(self, held_bytes: int) -> None:
        """Refuse what takes much memory for little that was sent."""
        if held_bytes <= self._limits.inflated_held_bytes:
            return
        if held_bytes > self._limits.inflation * self._received_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)

    def _end(self) -> list[Buffer]:
        buffers = self._body.finish()
        return self._outward.finish(buffers) if self._outward else buffers

    def _with_meta(self, buffers: list[Buffer]) -> list[Buffer]:
        """Put the file meta information in front of the first buffers."""
        if self._started or self._body.root is None or not buffers:
            return buffers
        self._started = True
        root = self._body.root
        uids = (root.text(_SOP_CLASS), root.text(_SOP_INSTANCE))
        return [file_meta(*uids, self._body.transfer_syntax_uid), *buffers]


def _inward(form: Form, limits: Limits) -> Inward | None:
    if form.big_endian:
        return Turning(limits.whole_bytes, limits.depth)
    # A deflate stream takes a quarter of a megabyte: only where there is one.
    return Inflation(limits.inflated_bytes) if form.deflated else None


def _outward(form: Form, limits: Limits) -> Outward | None:
    if form.big_endian:
        return TurningBack(limits.whole_bytes, limits.depth)
    return Deflation() if form.deflated else None


def deidentify(  # noqa: PLR0913 - all but four are named
    dataset: bytes,
    plan: Plan,
    pseudonyms: Pseudonyms,
    transfer_syntax: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    blank: BlankEncapsulated | None = None,
    target: str | None = None,
    lossy_quality: int = 90,
    transcode: Transcode | None = None,
) -> tuple[bytes, Report]:
    """De-identify a dataset that is in memory.

    Args:
        dataset: Encoded, without preamble and file meta information.
        plan: The compiled profile.
        pseudonyms: The keyed functions.
        transfer_syntax: UID of the dataset's transfer syntax.
        limits: What the instance may cost.
        blank: Blanks encapsulated pixel data.
        target: UID of the transfer syntax of the result; None keeps the one received.
        lossy_quality: 1 to 100, of a target that loses something.
        transcode: Encodes pixels.

    Returns:
        A Part 10 file, and the report.

    Raises:
        InstanceRefused: a rule says so.
        DeidentificationError: it cannot be done.
    """
    engine = Deidentifier(
        plan,
        pseudonyms,
        transfer_syntax,
        limits=limits,
        blank=blank,
        target=target,
        lossy_quality=lossy_quality,
        transcode=transcode,
    )
    first = [bytes(buffer) for buffer in engine.feed(dataset)]
    last, result = engine.finish()
    return b"".join([*first, *last]), result

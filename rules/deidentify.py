"""The de-identifier: a push parser from a received dataset to a new Part 10 file.

- feed() takes the encoded dataset in fragments of any size and returns buffers ready to be
  written; finish() returns the last ones and the report. The concatenation does not depend
  on how the input was cut.
- Nothing is returned before the whole header (all in front of group 7FE0) has been read,
  judged by the Reject rules and rewritten. Pixel data then pass in constant memory.
- The result is in the transfer syntax received, with a zero preamble and file meta
  information of our own.
- Whatever raises, raises InstanceRefused or DeidentificationError; what was returned until
  then is to be thrown away.

Source: PS3.10 7.1; PS3.15 E.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.elements import Irregular
from rules.errors import DeidentificationError, InstanceRefused, Reason
from rules.filemeta import file_meta
from rules.framing import Header
from rules.operators import Context
from rules.pixeldata import PixelData
from rules.repair import repaired
from rules.report import Report, Root, report
from rules.transfer import Deflation, form_of, swapped
from rules.walk import Walk

if TYPE_CHECKING:
    from rules.plan import Plan
    from rules.pseudonyms import Pseudonyms

Buffer = bytes | memoryview

_CHARSET, _SOP_CLASS, _SOP_INSTANCE = 0x00080005, 0x00080016, 0x00080018
_JOIN_BELOW_BYTES = 1 << 20
# One UID as PS3.5 9.1 spells it; leading zeros, which it forbids, are seen and do no harm.
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_ONE_VALUE = re.compile(r"[^\\]+")  # a replacement UID can be made of whatever stands there


@dataclass(frozen=True, slots=True)
class _Identity:
    """A UID that every instance must have, and what is wrong when it has not."""

    tag: int
    form: re.Pattern[str]
    missing: Reason
    differs: Reason


_IDENTITY = (
    _Identity(_SOP_CLASS, _UID, Reason.NO_SOP_CLASS, Reason.SOP_CLASS_DIFFERS),
    _Identity(_SOP_INSTANCE, _ONE_VALUE, Reason.NO_SOP_INSTANCE, Reason.SOP_INSTANCE_DIFFERS),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may cost.

    Attributes:
        header_bytes: Of all root elements outside group 7FE0, held in memory.
        whole_bytes: Of a dataset that must be held whole: big endian, or to be repaired.
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
    ) -> None:
        """Prepare for one dataset.

        Args:
            plan: The compiled profile.
            pseudonyms: The keyed functions.
            transfer_syntax: UID of the transfer syntax the dataset is encoded in.
            sop_class_uid: What the dataset must say of itself; None does not check.
            sop_instance_uid: Likewise.
            limits: What the instance may cost.
        """
        self._form = form_of(transfer_syntax)
        self._transfer_syntax = transfer_syntax
        self._limits = limits
        expected = (sop_class_uid, sop_instance_uid)
        self._body = _Body(plan, pseudonyms, expected, limits, implicit=self._form.implicit)
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
        return buffers, report(self._body.root, self._body.counts, self._transfer_syntax)

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
        return [file_meta(*uids, self._transfer_syntax), *buffers]


class _Body:
    """The dataset itself, in little endian: header, group 7FE0, what stands behind it."""

    def __init__(
        self,
        plan: Plan,
        pseudonyms: Pseudonyms,
        expected: tuple[str | None, str | None],
        limits: Limits,
        *,
        implicit: bool,
    ) -> None:
        self._plan = plan
        self._pseudonyms = pseudonyms
        self._expected = expected
        self._limits = limits
        self._implicit = implicit
        self._stage = self._gather_header
        self._header = self._new_header()
        self._pixels = PixelData(plan.actions, implicit=implicit)
        self._tail = bytearray()
        self._walk: Walk | None = None
        self.root: Root | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes gathered, in front of group 7FE0 or behind it."""
        return len(self._header.data) + len(self._tail)

    @property
    def counts(self) -> dict[str, int]:
        """Elements touched so far, by action code."""
        return dict(self._walk.counts) if self._walk else {}

    def feed(self, fragment: Buffer) -> list[Buffer]:
        return self._stage(fragment)

    def finish(self) -> list[Buffer]:
        buffers = self._finish_header() if self._walk is None else []
        self._gather_tail(self._pixels.finish())
        return buffers + self._rewritten_tail()

    # --- stages

    def _gather_header(self, fragment: Buffer) -> list[Buffer]:
        try:
            if not self._header.feed(fragment):
                return []
            return self._pass_header()
        except Irregular:
            self._header.own()
            self._stage = self._gather_whole
            return self._gather_whole(b"")

    def _gather_whole(self, fragment: Buffer) -> list[Buffer]:
        if len(self._header.data) + len(fragment) > self._limits.whole_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)
        self._header.append(fragment)
        return []

    def _pass_pixels(self, fragment: Buffer) -> list[Buffer]:
        out: list[Buffer] = []
        behind = self._pixels.feed(memoryview(fragment), out)
        if behind is not None:
            self._stage = self._gather_tail
            self._gather_tail(behind)
        return out

    def _gather_tail(self, fragment: Buffer) -> list[Buffer]:
        if len(self._tail) + len(fragment) > self._limits.header_bytes:
            raise DeidentificationError(Reason.TOO_LARGE)
        self._tail += fragment
        return []

    # --- steps

    def _new_header(self) -> Header:
        limits = self._limits
        return Header(
            implicit=self._implicit,
            size_limit=limits.header_bytes,
            depth_limit=limits.depth,
        )

    def _pass_header(self) -> list[Buffer]:
        """The rewritten header, and whatever of group 7FE0 has come with it."""
        header = self._header
        data = bytes(memoryview(header.data)[: header.end])
        rest = memoryview(header.data)[header.end :]
        buffers = self._rewritten_header(data, header)
        header.data = b""
        self._stage = self._pass_pixels
        return buffers + self._pass_pixels(rest)

    def _rewritten_header(self, data: bytes, header: Header) -> list[Buffer]:
        root = Root(data, {entry[0]: entry for entry in header.entries}, self._plan)
        self._judge(root)
        charsets = tuple(root.original(_CHARSET).split("\\")) if root.has(_CHARSET) else ()
        context = Context(self._pseudonyms, self._implicit, charsets)
        walk = Walk(context, self._limits.depth, self._limits.elements)
        walk.ends = header.ends
        buffers = walk.root(data, self._plan, insert=True, entries=header.entries)
        walk.ends = {}
        root.captured = walk.captured
        self._walk, self.root = walk, root
        return list(_joined(buffers))

    def _judge(self, root: Root) -> None:
        for judged, expected in zip(_IDENTITY, self._expected, strict=True):
            found = root.original(judged.tag)
            if not judged.form.fullmatch(found):
                raise DeidentificationError(judged.missing, judged.tag)
            if expected is not None and found != expected.strip(" \0"):
                raise DeidentificationError(judged.differs, judged.tag)
        for condition in self._plan.rejects:
            if condition.matches(root.lookup):
                raise InstanceRefused(Reason.REJECTED, condition.tests[0][0])

    def _finish_header(self) -> list[Buffer]:
        try:
            if self._stage == self._gather_header:
                self._header.finish()
                return self._pass_header()
        except Irregular:
            pass  # repaired below: the header is still whole, and nothing was returned of it
        return self._repaired()

    def _repaired(self) -> list[Buffer]:
        well_formed = repaired(self._header.data, implicit=self._implicit)
        self._header = self._new_header()
        try:
            if not self._header.feed(well_formed):
                self._header.finish()
            return self._pass_header()
        except Irregular as still:
            raise DeidentificationError(Reason.UNREADABLE, still.tag) from None

    def _rewritten_tail(self) -> list[Buffer]:
        if not self._tail or self._walk is None:
            return []
        self._walk.last_tag = max(self._walk.last_tag, self._pixels.last_tag)
        try:
            return list(_joined(self._walk.root(bytes(self._tail), self._plan, insert=False)))
        except Irregular as found:
            raise DeidentificationError(Reason.UNREADABLE, found.tag) from None


def _joined(buffers: list[bytes]) -> list[bytes]:
    """Small buffers as one, so that they cost one system call; large ones are not copied."""
    if sum(map(len, buffers)) > _JOIN_BELOW_BYTES:
        return buffers
    return [b"".join(buffers)]


def deidentify(
    dataset: bytes,
    plan: Plan,
    pseudonyms: Pseudonyms,
    transfer_syntax: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[bytes, Report]:
    """De-identify a dataset that is in memory.

    Args:
        dataset: Encoded, without preamble and file meta information.
        plan: The compiled profile.
        pseudonyms: The keyed functions.
        transfer_syntax: UID of the dataset's transfer syntax.
        limits: What the instance may cost.

    Returns:
        A Part 10 file, and the report.

    Raises:
        InstanceRefused: a rule says so.
        DeidentificationError: it cannot be done.
    """
    engine = Deidentifier(plan, pseudonyms, transfer_syntax, limits=limits)
    first = [bytes(buffer) for buffer in engine.feed(dataset)]
    last, result = engine.finish()
    return b"".join([*first, *last]), result

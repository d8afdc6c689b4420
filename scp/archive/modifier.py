"""Stored instances made into new ones: the engine of ingest over the files of the spool.

- What is read is compared with what was acknowledged: damage is an error, never a new instance.
- Bytes pass in pieces; what the engine must hold whole is reserved in the node's budget.
- Whatever fails leaves nothing on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol

from rules import DEFAULT_LIMITS, Deidentifier
from rules.requests import module_elements
from rules.transfer import EXPLICIT_BIG
from scp.admission import Admitted
from scp.instance import NewInstance, StoredFile
from scp.limits import Budget
from scp.part10 import dataset_offset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules import Limits, Plan, Pseudonyms, Report
    from rules.held import BlankEncapsulated
    from rules.requests import ModuleElements
    from rules.targets import Transcode
    from scp.spool import Draft, Spool

_QUALITY: Final = 90
_BUDGET_BYTES: Final = 2 << 30
# Preamble, prefix and the length of the file meta information (PS3.10 7.1).
_HEAD_BYTES: Final = 144


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to each instance of a request.

    Attributes:
        plan: The rules.
        target: UID of the transfer syntax of the results; None keeps the stored one.
        lossy_quality: 1 to 100, of a target that loses something.
        profile: What the journal calls it.
        remote_ip: IP address of who asked for it; may be empty.
    """

    plan: Plan
    target: str | None = None
    lossy_quality: int = _QUALITY
    profile: str = "(modified)"
    remote_ip: str = ""


class Stored(Protocol):
    """Where the bytes of an instance are, and how they are to be read."""

    @property
    def file_name(self) -> str:
        """See `StoredFile`."""

    @property
    def size_bytes(self) -> int:
        """See `StoredFile`."""

    @property
    def digest(self) -> str:
        """See `StoredFile`."""

    @property
    def dataset_offset(self) -> int:
        """Where the dataset starts in the file."""

    @property
    def transfer_syntax_uid(self) -> str:
        """Of the dataset."""


@dataclass(frozen=True, slots=True)
class Written:
    """What an instance has become: written, and not safe yet. `seal` it, or discard the draft.

    Attributes:
        draft: Its bytes.
        report: What they are.
        offset: Where the dataset starts in them.
        treatment: What was done.
    """

    draft: Draft
    report: Report
    offset: int
    treatment: Treatment

    def seal(self) -> NewInstance:
        """Make the bytes durable; whoever holds the draft keeps or discards it.

        Raises:
            OutOfSpace: the disk is full; nothing is left.
            SpoolError: they cannot be synced; nothing is left.
        """
        try:
            return _described(self.report, self.draft.seal(), self.offset, self.treatment)
        except BaseException:
            self.draft.discard()
            raise


class Modifier:
    """Rewrites stored instances; safe for use by many threads."""

    def __init__(
        self,
        spool: Spool,
        pseudonyms: Pseudonyms,
        *,
        blank: BlankEncapsulated | None = None,
        transcode: Transcode | None = None,
        limits: Limits = DEFAULT_LIMITS,
        budget: Budget | None = None,
    ) -> None:
        """Bind what all requests share.

        Args:
            spool: Where the instances are.
            pseudonyms: The keyed functions.
            blank: Blanks encapsulated pixels.
            transcode: Encodes pixels.
            limits: What one instance may cost.
            budget: Of the bytes that all instances in work hold together.
        """
        self.spool = spool
        self._pseudonyms = pseudonyms
        self._blank = blank
        self._transcode = transcode
        self._limits = limits
        self._budget = budget or Budget(_BUDGET_BYTES)

    def rewrite(self, instance: Stored, treatment: Treatment) -> Iterator[bytes]:
        """A Part 10 file of what an instance becomes, which is not stored.

        Most of what can go wrong does so before this returns. What is raised while iterating
        means that the file is to be thrown away.

        Raises:
            InstanceRefused, DeidentificationError: the rules say so.
            SpoolError: the stored file is gone or damaged.
        """
        pieces = self._pieces(instance, treatment)
        first = next(pieces, b"")
        return chain([first], pieces)

    def rewritten(self, dataset: bytes, transfer_syntax_uid: str, treatment: Treatment) -> bytes:
        """A Part 10 file of what an encoded dataset becomes that is in memory.

        Raises:
            InstanceRefused, DeidentificationError: the rules say so.
        """
        engine = self._engine(transfer_syntax_uid, treatment)
        try:
            buffers = engine.feed(memoryview(dataset))
            return b"".join([*buffers, *engine.finish()[0]])
        finally:
            engine.close()

    def draft(self, instance: Stored, treatment: Treatment) -> tuple[Draft, NewInstance]:
        """What an instance becomes, synced; whoever takes the draft keeps or discards it.

        Raises:
            InstanceRefused, DeidentificationError: the rules say so.
            OutOfSpace: the disk is full.
            SpoolError: the stored file is gone or damaged, or the new one cannot be written.
        """
        written = self.write(instance, treatment)
        return written.draft, written.seal()

    def write(self, instance: Stored, treatment: Treatment) -> Written:
        """What an instance becomes, not synced yet; raises what `draft` does."""
        draft = self.spool.draft()
        engine = self._engine(instance.transfer_syntax_uid, treatment)
        try:
            head = b""
            for piece in self._stored(instance):
                buffers = engine.feed(memoryview(piece))
                head = _begun(head, buffers)
                draft.write(buffers)
            buffers, report = engine.finish()
            head = _begun(head, buffers)
            draft.write(buffers)
            return Written(draft, report, dataset_offset(head), treatment)
        except BaseException:
            draft.discard()
            raise
        finally:
            engine.close()

    def modules(self, instance: Stored) -> ModuleElements:
        """The Patient and General Study modules of an instance.

        Raises:
            DeidentificationError: they cannot be read.
            SpoolError: the stored file is gone.
        """
        # No header is larger than this; big endian is turned round as a whole.
        most = None if instance.transfer_syntax_uid == EXPLICIT_BIG else self._limits.header_bytes
        dataset = bytearray()
        for piece in self._stored(instance):
            dataset += piece
            if most is not None and len(dataset) > most:
                break
        return module_elements(bytes(dataset), instance.transfer_syntax_uid)

    def _pieces(self, instance: Stored, treatment: Treatment) -> Iterator[bytes]:
        engine = self._engine(instance.transfer_syntax_uid, treatment)
        try:
            for piece in self._stored(instance):
                for buffer in engine.feed(memoryview(piece)):
                    yield bytes(buffer)
            for buffer in engine.finish()[0]:
                yield bytes(buffer)
        finally:
            engine.close()

    def _stored(self, instance: Stored) -> Iterator[bytes]:
        """The encoded dataset of an instance."""
        file = StoredFile(instance.file_name, instance.size_bytes, instance.digest)
        return self.spool.read_intact(file, instance.dataset_offset)

    def _engine(self, transfer_syntax_uid: str, treatment: Treatment) -> Admitted:
        engine = Deidentifier(
            treatment.plan,
            self._pseudonyms,
            transfer_syntax_uid,
            limits=self._limits,
            blank=self._blank,
            target=treatment.target,
            lossy_quality=treatment.lossy_quality,
            transcode=self._transcode,
        )
        return Admitted(engine, self._budget)


def _begun(head: bytes, buffers: list[bytes | memoryview]) -> bytes:
    """The first bytes of the file, as far as they are needed."""
    for buffer in buffers:
        if len(head) == _HEAD_BYTES:
            break
        head += bytes(buffer[: _HEAD_BYTES - len(head)])
    return head


def _described(report: Report, file: StoredFile, offset: int, treatment: Treatment) -> NewInstance:
    return NewInstance(
        sop_instance_uid=report.sop_instance_uid,
        sop_class_uid=report.sop_class_uid,
        transfer_syntax_uid=report.transfer_syntax_uid,
        study_instance_uid=report.study_instance_uid,
        series_instance_uid=report.series_instance_uid,
        patient_id=report.patient_id,
        modality=report.modality,
        file=file,
        dataset_offset=offset,
        profile=treatment.profile,
        calling_ae="",
        called_ae="",
        destinations=(),
        store=True,
        tags=report.tags,
        actions=report.actions,
        rule_set=report.rule_set,
        origin="RestApi",
        remote_ip=treatment.remote_ip,
    )

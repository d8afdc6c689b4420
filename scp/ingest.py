"""One instance in: de-identified while it arrives, safe before it is acknowledged.

The promise:

1. Success is answered after the de-identified bytes are synced and the journal has committed the
   instance and what each destination is owed. Nothing less is called a success or a warning.
2. Whatever goes wrong, in the rules, on the disk or in this code, the instance is refused with a
   failure status, the rest of it is drained, and nothing of it stays on disk or in memory.
3. What was received is never written: the spool sees what comes out of the de-identifier.
4. Equal bytes under a known UID are a success without a second copy. Other bytes are refused.
5. What was forwarded and comes back is not forwarded to the same destinations again. If nobody
   would have it then, it is refused: its sender, perhaps this node itself, must not let it go.
6. A log line names the result, the sender and the status, never the original.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol, cast

from rules.errors import DeidentificationError, InstanceRefused, tag_text
from scp import logs
from scp.errors import CameBack, OutOfSpace, ScpError
from scp.instance import NewInstance
from scp.journal import Verdict
from scp.part10 import dataset_offset
from scp.status import Answer, answer_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.report import Report
    from scp.instance import Outcome, Peer, StoreRequest
    from scp.journal import Added, Journal
    from scp.logs import Log
    from scp.spool import Draft, Spool

_META_OFFSET: Final = 132
"""Where the file meta information begins: preamble and prefix (PS3.10 7.1)."""
UID_ROOT: Final = "2.25."
"""Every UID that a pseudonym stands for begins with it; most UIDs of scanners do not."""
_LENGTH_ELEMENT_BYTES: Final = 12
"""(0002,0000), File Meta Information Group Length, with its header."""


class Deidentifier(Protocol):
    """A push parser: an encoded dataset in, a Part 10 file out."""

    @property
    def held_bytes(self) -> int:
        """Bytes of the dataset that are in memory now."""

    def feed(self, fragment: memoryview, /) -> list[bytes | memoryview]:
        """Take bytes; give what is to be written before the next are fed."""

    def finish(self) -> tuple[list[bytes | memoryview], Report]:
        """The dataset is complete: the rest of the file, and what it has become."""

    def close(self) -> None:
        """The instance is over, however it ended: let go of what it held."""


class Route(Protocol):
    """What a route says of the instances that take it."""

    @property
    def profile(self) -> str:
        """Name of the profile."""

    @property
    def store(self) -> bool:
        """Whether to keep an instance that nobody is owed any more."""

    @property
    def forward(self) -> tuple[str, ...]:
        """Names of the destinations."""


class MakeDeidentifier(Protocol):
    """Makes the de-identifier of one instance."""

    def __call__(self, route: Route, request: StoreRequest, /) -> Deidentifier:
        """Make one; whatever this raises refuses the instance."""


class Ingest:
    """Opens what receives an instance; safe for use by many threads."""

    def __init__(
        self,
        spool: Spool,
        journal: Journal,
        make_deidentifier: MakeDeidentifier,
        *,
        wake: Callable[[tuple[str, ...]], None] = lambda _: None,
        log: Log | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Bind what all instances share.

        Args:
            spool: Where the bytes go.
            journal: Where the facts go.
            make_deidentifier: Makes the de-identifier of one instance.
            wake: Told which destinations are owed something new; must not raise or block.
            log: Where events go.
            monotonic: The clock of durations, in seconds.
        """
        self.spool = spool
        self.journal = journal
        self.make_deidentifier = make_deidentifier
        self.wake = wake
        self.log = log if log is not None else logs.log()
        self.monotonic = monotonic

    def open_store(self, peer: Peer, route: object, request: StoreRequest) -> Reception:
        """Begin to receive one instance; never raises for what is wrong with it.

        Args:
            peer: Who sends it.
            route: The route that was chosen for the association.
            request: What the sender's command says.
        """
        return Reception(self, peer, cast("Route", route), request)


class Reception:
    """One instance on its way in; used by one thread.

    `feed` any number of times, then `finish` once, or `abandon` at any point.

    Attributes:
        instance: What was offered to the journal, once finished; None if it did not come so far.
        verdict: What the journal said to it; None likewise.
        failure: Why the instance is refused, as far as it is known; None if it is not, or if
            the journal holds other bytes.
    """

    def __init__(self, node: Ingest, peer: Peer, route: Route, request: StoreRequest) -> None:
        self._node = node
        self._peer = peer
        self._route = route
        self._asked_uid = request.sop_instance_uid
        self._begun = node.monotonic()
        self._draft: Draft | None = node.spool.draft()
        self._head = b""
        self.instance: NewInstance | None = None
        self.verdict: Verdict | None = None
        self.failure: Exception | None = None
        self._told: dict[str, str] = {}
        self._deidentifier: Deidentifier | None = None
        try:
            self._deidentifier = node.make_deidentifier(route, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the instance is refused
            self._refuse(error)

    @property
    def held_bytes(self) -> int:
        """Bytes of the instance that are in memory now."""
        return 0 if self._deidentifier is None else self._deidentifier.held_bytes

    def feed(self, fragment: memoryview) -> None:
        """Take the next bytes, which are valid only during the call.

        After a failure they are dropped; `finish` says what it was.
        """
        if self._deidentifier is None:
            return
        try:
            self._write(self._deidentifier.feed(fragment))
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error)

    def finish(self) -> Outcome:
        """Make it durable; the answer for the sender."""
        try:
            answer, instance = self._complete()
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(error)
            answer, instance = answer_to(error), ""
        self._report(answer, instance)
        return answer.outcome

    def abandon(self) -> None:
        """The rest never comes: leave nothing."""
        self._drop()

    def _write(self, buffers: list[bytes | memoryview]) -> None:
        if self._draft is None or not buffers:
            return
        if len(self._head) < _META_OFFSET + _LENGTH_ELEMENT_BYTES:
            self._head = _begin(self._head, buffers)
        self._draft.write(buffers)

    def _complete(self) -> tuple[Answer, str]:
        if self.failure is not None:
            return answer_to(self.failure), ""
        if self._deidentifier is None or self._draft is None:
            raise ScpError("a reception cannot be finished twice")
        buffers, report = self._deidentifier.finish()
        self._write(buffers)
        destinations = self._destinations(report.sop_instance_uid)
        new = self._describe(report, self._draft, destinations)
        added = self._node.journal.add(new)
        self._settle(added)
        self.instance, self.verdict = new, added.verdict
        if added.verdict is Verdict.CONFLICT:
            return Answer.CONFLICT, new.sop_instance_uid
        return Answer.STORED, new.sop_instance_uid

    def _describe(
        self, report: Report, draft: Draft, destinations: tuple[str, ...]
    ) -> NewInstance:
        """Seal the draft, and say what it holds."""
        return NewInstance(
            sop_instance_uid=report.sop_instance_uid,
            sop_class_uid=report.sop_class_uid,
            transfer_syntax_uid=report.transfer_syntax_uid,
            study_instance_uid=report.study_instance_uid,
            series_instance_uid=report.series_instance_uid,
            patient_id=report.patient_id,
            modality=report.modality,
            file=draft.seal(),
            dataset_offset=dataset_offset(self._head),
            profile=self._route.profile,
            calling_ae=self._peer.calling_ae,
            called_ae=self._peer.called_ae,
            destinations=destinations,
            store=self._route.store,
            tags=report.tags,
            actions=report.actions,
            rule_set=report.rule_set,
            origin=self._peer.origin,
            remote_ip=self._peer.address,
        )

    def _destinations(self, sop_instance_uid: str) -> tuple[str, ...]:
        """Who is owed the result.

        An instance that this profile made and that somebody sends in again has gone its way:
        who was owed it then is not owed what is made of it now, or a loop would never end.

        Raises:
            CameBack: It is owed to nobody, and the route does not keep it.
        """
        forward = tuple(dict.fromkeys(self._route.forward))
        if not self._asked_uid.startswith(UID_ROOT) or self._asked_uid == sop_instance_uid:
            return forward
        known = self._node.journal.owed(self._asked_uid, self._route.profile)
        left = tuple(name for name in forward if name not in known)
        if not left and not self._route.store:
            raise CameBack("it was forwarded from here, and nobody else would have it")
        if len(left) < len(forward):
            self._node.log.warning(
                "an instance came back, and is not forwarded again",
                instance=sop_instance_uid,
                calling_ae=self._peer.calling_ae,
            )
        return left

    def _settle(self, added: Added) -> None:
        """The journal has decided: keep or drop the file, and wake who is owed it.

        From here on nothing may raise: what is committed is a success.
        """
        self._let_go()
        draft, self._draft = self._draft, None
        if draft is not None and added.kept:
            draft.keep()
        self._quietly(lambda: draft.discard() if draft is not None else None)
        if added.replaced:
            self._quietly(lambda: self._node.spool.remove(added.replaced))
        if added.owed:
            self._node.wake(added.owed)

    def _refuse(self, error: Exception) -> None:
        """Remember why, and leave nothing."""
        if self.failure is None:
            self.failure, self._told = error, _why(error)
        # The frames that it has come through hold this, and what has been received.
        error.__traceback__ = error.__context__ = error.__cause__ = None
        self._drop()

    def _let_go(self) -> None:
        engine, self._deidentifier = self._deidentifier, None
        if engine is not None:
            engine.close()

    def _drop(self) -> None:
        self._let_go()
        self._head = b""
        draft, self._draft = self._draft, None
        if draft is not None:
            self._quietly(draft.discard)

    def _quietly(self, tidy: Callable[[], None]) -> None:
        """Remove a file; if that fails, the next start does it, and the answer stands."""
        failure: ScpError | None = None
        try:
            tidy()
        except ScpError as error:
            failure = error
        if failure is not None:
            self._node.log.error("a file could not be removed", **logs.of_error(failure))

    def _report(self, answer: Answer, instance: str) -> None:
        fields: dict[str, str | float] = {
            "calling_ae": self._peer.calling_ae,
            "profile": self._route.profile,
            "status": f"{answer.status:#06x}",
            "duration_s": round(self._node.monotonic() - self._begun, 4),
        }
        if instance:
            fields["instance"] = instance
        if answer is Answer.STORED:
            self._node.log.info("instance stored", **fields)
            return
        if self.failure is not None:
            fields |= self._told
        elif answer is Answer.CONFLICT:
            fields["reason"] = Verdict.CONFLICT.value
        # While the disk is full the lines of its refusals would fill it: see `room`.
        if not isinstance(self.failure, OutOfSpace) or self._node.spool.room.turn_away():
            self._node.log.warning("instance refused", **fields)


def _begin(head: bytes, buffers: list[bytes | memoryview]) -> bytes:
    """The first bytes of the file, as far as they are needed."""
    for buffer in buffers:
        head += bytes(buffer[: _META_OFFSET + _LENGTH_ELEMENT_BYTES - len(head)])
    return head


def _why(error: Exception) -> dict[str, str]:
    """What a log may say of a refusal: a fixed sentence and a tag, or a type and a place."""
    if isinstance(error, InstanceRefused | DeidentificationError):
        tag = {} if error.tag is None else {"tag": tag_text(error.tag)}
        return {"reason": str(error.reason), **tag}
    if isinstance(error, ScpError):
        return {"reason": str(error), **logs.of_error(error)}
    return logs.of_error(error)

"""Stored instances to a destination, as a client asks for it: the work of a job, without retry.

One association after the other, because each proposes at most 128 presentation contexts. An
instance is sent in the transfer syntax that it is stored in, and its digest is checked while it
is sent: a damaged one aborts the association before the peer has all of it, and those behind it
go over the next one.

Source: PS3.4 B.2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from scp.archive.reading import stored_file
from scp.errors import ScpError, SpoolError, TransportError
from scp.sender import SenderAssociation
from scp.status import judge_status

if TYPE_CHECKING:
    from scp.archive.catalogue import Catalogue
    from scp.archive.resources import StoredInstance
    from scp.spool import Spool

MOST_CONTEXTS: Final = 128
NOT_TAKEN: Final = "the destination does not take its SOP class in its transfer syntax"

Context: TypeAlias = tuple[str, str]
"""A SOP class and a transfer syntax."""
Associate: TypeAlias = Callable[[Sequence[Context]], SenderAssociation]
"""Prepares an association that proposes these."""


class NotSent(ScpError):
    """The destination does not have an instance; the message says why and quotes nothing of it."""


class Sending:
    """Sends instances; `run` until it says so, then `commit`. One thread calls these.

    What has been sent stays with the destination, whatever becomes of the job: a run after a
    crash sends all of it again, under the same UIDs.
    """

    def __init__(
        self,
        instances: Sequence[StoredInstance],
        associate: Associate,
        spool: Spool,
        catalogue: Catalogue,
        *,
        permissive: bool,
    ) -> None:
        """Bind it.

        Args:
            instances: In any order.
            associate: Makes an association.
            spool: Where they are.
            catalogue: Where the job's success is noted.
            permissive: Whether to go on behind one that failed; else the job fails.
        """
        # Those of one context stay together, so that an association carries as many as it can.
        self._todo = deque(sorted(instances, key=_context))
        self._total = len(instances)
        self._failed = 0
        self._associate = associate
        self._spool = spool
        self._catalogue = catalogue
        self._permissive = permissive

    @property
    def content(self) -> dict[str, object]:
        """What the job's content says at this moment."""
        return {"FailedInstancesCount": self._failed, "InstancesCount": self._total}

    @property
    def progress(self) -> int:
        """Per cent of the instances that are dealt with; the commit is the last one."""
        return 99 * (self._total - len(self._todo)) // self._total if self._total else 99

    def results(self) -> dict[str, object]:
        """What the job's content says once everything is sent."""
        return self.content

    def run(self, go_on: Callable[[], bool]) -> bool:
        """Send what is not sent yet; False if `go_on` ended it before all were dealt with.

        Raises:
            NotSent: one was not taken, unless failures are passed over; those before it were.
            TransportError: the destination cannot be reached, and likewise.
            SpoolError: a file is gone or damaged, and likewise.
        """
        while self._todo and go_on():
            self._run_association(go_on)
        return not self._todo

    def commit(self, also: Callable[[object], object]) -> None:
        """Note the success.

        Args:
            also: Notes it, in a transaction.

        Raises:
            ScpError: it could not be committed.
        """
        self._catalogue.commit((), also=also)

    def discard(self) -> None:
        """Nothing is to be undone here."""

    def _run_association(self, go_on: Callable[[], bool]) -> None:
        contexts = self._contexts()
        carried = sum(1 for _ in takewhile(lambda one: _context(one) in contexts, self._todo))
        behind = len(self._todo) - carried
        try:
            with self._associate(sorted(contexts)) as association:
                while len(self._todo) > behind and go_on():
                    self._settle(self._reason(association, self._todo[0]))
        except SpoolError:
            if not self._permissive:
                raise
            self._leave_out(1)
        except TransportError:
            if not self._permissive:
                raise
            self._leave_out(len(self._todo) - behind)

    def _contexts(self) -> set[Context]:
        """Of as many instances as one association can carry."""
        contexts: set[Context] = set()
        for one in self._todo:
            if len(contexts) == MOST_CONTEXTS and _context(one) not in contexts:
                break
            contexts.add(_context(one))
        return contexts

    def _settle(self, reason: str) -> None:
        if reason and not self._permissive:
            raise NotSent(reason)
        self._todo.popleft()
        self._failed += bool(reason)

    def _leave_out(self, count: int) -> None:
        for _ in range(count):
            self._todo.popleft()
        self._failed += count

    def _reason(self, association: SenderAssociation, instance: StoredInstance) -> str:
        """Why the destination does not have it now; empty if it does."""
        context = _context(instance)
        if not association.accepted(*context):
            return NOT_TAKEN
        data = self._spool.read_intact(stored_file(instance), instance.dataset_offset)
        status = association.store(context[0], instance.sop_instance_uid, context[1], data)
        verdict = judge_status(status)
        return "" if verdict.delivered else f"{verdict.value} (status {status:#06x})"


def _context(instance: StoredInstance) -> Context:
    return instance.sop_class_uid, instance.transfer_syntax_uid

"""The work of one job: every instance made anew, then one commit, or nothing.

The promise:

1. What is made lies on the disk, synced, and nobody sees it before the commit that names all of
   it, removes what it replaces and notes the job's success. A crash before leaves files without
   rows, which the next start deletes.
2. A source goes only if its own result is in the same commit.
3. No dataset stays in memory: an instance that is done is a name and its main attributes.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from scp import logs
from scp.archive.identifiers import identifier
from scp.archive.job import JobRefused, Status
from scp.archive.resources import Produced
from scp.archive.side_by_side import drain
from scp.errors import OutOfSpace, ScpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scp.archive.catalogue import Catalogue
    from scp.archive.modifier import Modifier, Treatment
    from scp.archive.resources import Committed, StoredInstance
    from scp.instance import NewInstance
    from scp.logs import Log
    from scp.spool import Draft


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is to do.

    Attributes:
        instances: Each once, in the order of the results.
        treatment: What is done to each.
        results: What the job's content says of what was made, in the same order.
        link: `AnonymizedFrom` or `ModifiedFrom`.
        permissive: Whether an instance that fails is left out; else the job fails.
        keeps_source: Whether the sources of what was made stay.
        keeps_labels: Whether labels pass to the results.
        metadata: Of each result.
    """

    instances: Sequence[StoredInstance]
    treatment: Treatment
    results: Callable[[Sequence[NewInstance]], dict[str, object]]
    link: str
    permissive: bool = False
    keeps_source: bool = True
    keeps_labels: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Made:
    """An instance that is done."""

    draft: Draft
    new: NewInstance
    source: str

    @property
    def id(self) -> str:
        """Its identifier."""
        return identifier_of(self.new)


class Rewriting:
    """Carries an order out; `run` until it says so, then `commit`, or `discard` at any point.

    One thread calls these; the counts may be read by others meanwhile.
    """

    def __init__(
        self,
        order: Order,
        catalogue: Catalogue,
        modifier: Modifier,
        *,
        threads: int,
        committing: threading.Lock,
        log: Log,
    ) -> None:
        """Bind it.

        Args:
            order: What to do.
            catalogue: Where the results go.
            modifier: Rewrites instances.
            threads: How many do so at once.
            committing: One for all jobs: between a look at the sources and the commit that
                removes them no other job replaces them.
            log: Where events go.
        """
        self._order = order
        self._committing = committing
        self._catalogue = catalogue
        self._modifier = modifier
        self._threads = threads
        self._log = log
        self._todo = deque(range(len(order.instances)))
        self._lock = threading.Lock()
        self._made: dict[int, _Made] = {}
        self._failed = 0

    @property
    def content(self) -> dict[str, object]:
        """What the job's content says at this moment."""
        counts = (self._failed, len(self._order.instances))
        return dict(zip(("FailedInstancesCount", "InstancesCount"), counts, strict=True))

    @property
    def progress(self) -> int:
        """Per cent of the instances that are dealt with; the commit is the last one."""
        total = len(self._order.instances)
        return 99 * (len(self._made) + self._failed) // total if total else 99

    def results(self) -> dict[str, object]:
        """What the job's content says once everything is made."""
        return self.content | self._order.results([made.new for made in self._in_order()])

    def run(self, go_on: Callable[[], bool]) -> bool:
        """Make what is not made yet; False if `go_on` ended it before all were dealt with.

        Raises:
            Exception: what an instance failed of, unless the order is permissive.
        """
        drain(self._todo, self._make, threads=self._threads, go_on=go_on)
        return not self._todo

    def commit(self, also: Callable[[object], object]) -> None:
        """Name the results and remove what they replace, all at once.

        Args:
            also: Runs in the same transaction.

        Raises:
            JobRefused: two results would be one instance.
            ScpError: it could not be committed; nothing was.
        """
        made = self._in_order()
        _refuse_doubles(made)
        removed = self._removed(made)
        produced = [self._produced(one) for one in made]
        with self._committing:
            self._refuse_changed(removed)
            committed = self._catalogue.commit(produced, removed, also=also)
        self._settle(made, committed)

    def discard(self) -> None:
        """Leave nothing of what was made."""
        made, self._made = self._made, {}
        self._todo.clear()
        for one in made.values():
            self._quietly(one.draft.discard)

    def _make(self, number: int) -> None:
        source = self._order.instances[number]
        try:
            draft, new = self._modifier.draft(source, self._order.treatment)
        except OutOfSpace:
            raise  # the next one would fail of it as well
        except Exception as error:
            if not self._order.permissive:
                raise
            self._log.warning("a job left an instance out", **logs.of_error(error))
            with self._lock:
                self._failed += 1
            return
        with self._lock:
            self._made[number] = _Made(draft, new, source.id)

    def _in_order(self) -> list[_Made]:
        return [self._made[number] for number in sorted(self._made)]

    def _produced(self, made: _Made) -> Produced:
        order = self._order
        return Produced(made.new, made.source, order.link, order.metadata, order.keeps_labels)

    def _removed(self, made: Sequence[_Made]) -> list[str]:
        """Sources that go: those not kept, and those whose place the result takes."""
        keeps = self._order.keeps_source
        return [one.source for one in made if not keeps or one.id == one.source]

    def _refuse_changed(self, removed: Sequence[str]) -> None:
        """A source is only removed as the job has read it."""
        now = {one.id: one.digest for one in self._catalogue.instances(removed)} if removed else {}
        read = {one.id: one.digest for one in self._order.instances}
        if any(now.get(id_) != read[id_] for id_ in removed):
            raise JobRefused(Status.REVISION, "A source was changed or removed meanwhile")

    def _settle(self, made: Sequence[_Made], committed: Committed) -> None:
        """What is committed is a success: from here on nothing may raise."""
        known = frozenset(committed.known)
        for one in made:
            if one.id not in known:
                one.draft.keep()
            self._quietly(one.draft.discard)
        for name in committed.replaced:
            self._quietly(partial(self._modifier.spool.remove, name))
        self._made = {}

    def _quietly(self, tidy: Callable[[], None]) -> None:
        """Remove a file; if that fails, the next start does it."""
        try:
            tidy()
        except ScpError as error:
            self._log.error("a file could not be removed", **logs.of_error(error))


def identifier_of(new: NewInstance) -> str:
    """The identifier that an instance has once it is stored."""
    return identifier(
        new.patient_id, new.study_instance_uid, new.series_instance_uid, new.sop_instance_uid
    )


def _refuse_doubles(made: Sequence[_Made]) -> None:
    uids = {one.new.sop_instance_uid for one in made}
    if len(uids) < len(made):
        raise JobRefused(
            Status.DUPLICATE,
            "Several results would have the same SOPInstanceUID: replace it in one instance only",
        )

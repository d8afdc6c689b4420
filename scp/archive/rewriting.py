"""The work of one job: every instance made anew, then one commit, or nothing.

The promise:

1. What is made lies on the disk, synced, and nobody sees it before the commit that names all of
   it, removes what it replaces and notes the job's success. A crash before leaves files without
   rows, which the next start deletes.
2. A source goes only if its own result is in the same commit.
3. Memory does not grow with the job: of an instance that is done a few bytes stay, and what the
   commit will say of it is on the disk.
4. Large jobs are shared with other processes, where there are any; the promise is the same.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from scp import logs
from scp.archive.facts import facts_of, file_of, new_of
from scp.archive.identifiers import identifier
from scp.archive.job import JobRefused, Status
from scp.archive.lanes import Lanes
from scp.archive.ledger import Entry, Ledger
from scp.archive.resources import Produced
from scp.archive.side_by_side import drain
from scp.errors import OutOfSpace, ScpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scp.archive.catalogue import Catalogue
    from scp.archive.modifier import Modifier, Treatment
    from scp.archive.recipe import Recipe
    from scp.archive.resources import Committed, StoredInstance
    from scp.archive.rewriters import Rewriters
    from scp.instance import NewInstance
    from scp.logs import Log


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is to do.

    Attributes:
        instances: Each once, in the order of the results.
        treatment: What is done to each.
        results: What the job's content says of what was made, in the same order; it goes through
            it once.
        link: `AnonymizedFrom` or `ModifiedFrom`.
        permissive: Whether an instance that fails is left out; else the job fails.
        keeps_source: Whether the sources of what was made stay.
        keeps_labels: Whether labels pass to the results.
        metadata: Of each result.
        recipe: The treatment for other processes; None where it cannot be told.
    """

    instances: Sequence[StoredInstance]
    treatment: Treatment
    results: Callable[[Iterable[NewInstance]], dict[str, object]]
    link: str
    permissive: bool = False
    keeps_source: bool = True
    keeps_labels: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    recipe: Recipe | None = None


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
        rewriters: Rewriters | None = None,
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
            rewriters: The processes that help.
        """
        self._order = order
        self._committing = committing
        self._catalogue = catalogue
        self._modifier = modifier
        self._threads = threads
        self._log = log
        self._rewriters = rewriters
        self._todo = deque(range(len(order.instances)))
        self._lock = threading.Lock()
        self._made = Ledger(modifier.spool, len(order.instances))
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
        return self.content | self._order.results(map(self._new, self._made))

    def run(self, go_on: Callable[[], bool]) -> bool:
        """Make what is not made yet; False if `go_on` ended it before all were dealt with.

        Raises:
            Exception: what an instance failed of, unless the order is permissive.
        """
        rewriters, recipe = self._rewriters, self._order.recipe
        many = rewriters is not None and len(self._todo) >= rewriters.sizes.worth_using
        # Pixels are encoded in processes of their own already.
        if rewriters is not None and recipe is not None and many and recipe.is_of_bytes:
            if len(self._todo) >= rewriters.sizes.worth_starting:
                rewriters.prepare()
            lanes = Lanes(self, self._todo, self._order.instances, rewriters, recipe.to_json())
            lanes.run(self._threads, go_on)
        drain(self._todo, self.make, threads=self._threads, go_on=go_on)
        return not self._todo

    def commit(self, also: Callable[[object], object]) -> None:
        """Name the results and remove what they replace, all at once.

        Args:
            also: Runs in the same transaction.

        Raises:
            JobRefused: two results would be one instance.
            ScpError: it could not be committed; nothing was.
        """
        removed = self._looked_through()
        produced = _Results(self._made, self._produced)
        with self._committing:
            self._refuse_changed(removed)
            committed = self._catalogue.commit(produced, list(removed), also=also)
        self._settle(committed)

    def discard(self) -> None:
        """Leave nothing of what was made."""
        self._todo.clear()
        # Once the disk has failed, only the next start knows what the journal names.
        if not self._modifier.spool.fatal.is_set():
            self._quietly(self._remove_all)
        self._quietly(self._made.close)

    def make(self, number: int) -> None:
        """See `Work`."""
        try:
            source = self._order.instances[number]
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
        try:
            self._made.add(number, Entry(source.id, source.digest, facts_of(new)))
        except BaseException:
            draft.discard()
            raise

    def note(self, number: int, source: StoredInstance, facts: bytes) -> None:
        """See `Work`."""
        try:
            self._made.add(number, Entry(source.id, source.digest, facts))
        except BaseException:
            self._quietly(partial(self._modifier.spool.remove, file_of(facts)))
            raise

    def fail_disk(self) -> None:
        """See `Work`."""
        self._modifier.spool.fatal.set()

    def _new(self, entry: Entry) -> NewInstance:
        return new_of(entry.facts, self._order.treatment)

    def _produced(self, entry: Entry) -> Produced:
        order = self._order
        new = self._new(entry)
        return Produced(new, entry.source, order.link, order.metadata, order.keeps_labels)

    def _looked_through(self) -> dict[str, str]:
        """The sources that go, and the digests of what was read of them.

        Those that are not kept go, and those whose place the result takes.

        Raises:
            JobRefused: two results would be one instance.
        """
        removed: dict[str, str] = {}
        uids: set[str] = set()
        for entry in self._made:
            new = self._new(entry)
            uids.add(new.sop_instance_uid)
            if not self._order.keeps_source or identifier_of(new) == entry.source:
                removed[entry.source] = entry.digest
        if len(uids) < len(self._made):
            raise JobRefused(
                Status.DUPLICATE,
                "Several results would have the same SOPInstanceUID: replace it in one instance "
                "only",
            )
        return removed

    def _refuse_changed(self, removed: Mapping[str, str]) -> None:
        """A source is only removed as the job has read it."""
        keys = self._catalogue.keys(list(removed)).numbers if removed else ()
        now = self._catalogue.digests(keys)
        if dict(now) != removed:
            raise JobRefused(Status.REVISION, "A source was changed or removed meanwhile")

    def _settle(self, committed: Committed) -> None:
        """What is committed is a success: from here on nothing may raise."""
        known = frozenset(committed.known)
        if known:
            self._quietly(partial(self._remove_all, known))
        for name in committed.replaced:
            self._quietly(partial(self._modifier.spool.remove, name))
        self._quietly(self._made.close)

    def _remove_all(self, ids: frozenset[str] | None = None) -> None:
        """Remove the files of some results, or of all."""
        for entry in self._made:
            if ids is None or identifier_of(self._new(entry)) in ids:
                self._quietly(partial(self._modifier.spool.remove, file_of(entry.facts)))

    def _quietly(self, tidy: Callable[[], None]) -> None:
        """Remove a file; if that fails, the next start does it."""
        try:
            tidy()
        except ScpError as error:
            self._log.error("a file could not be removed", **logs.of_error(error))


@dataclass(frozen=True, slots=True)
class _Results:
    """What was made, one after the other, as often as it is asked for."""

    made: Ledger
    produced: Callable[[Entry], Produced]

    def __iter__(self) -> Iterator[Produced]:
        return map(self.produced, self.made)


def identifier_of(new: NewInstance) -> str:
    """The identifier that an instance has once it is stored."""
    return identifier(
        new.patient_id, new.study_instance_uid, new.series_instance_uid, new.sop_instance_uid
    )

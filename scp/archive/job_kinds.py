"""The kinds of jobs: a request checked, and turned into work.

- Whatever can be known before a job runs is refused before there is a job.
- The work is a function of the request, the job's identifier and what is stored: another run
  after a crash gives the same UIDs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from rules import requests
from scp.archive.job import JobKind
from scp.archive.job_stock import Stock
from scp.archive.merge_job import MergeJob
from scp.archive.modification_job import ModificationJob
from scp.archive.rewriting import Rewriting
from scp.archive.split_job import SplitJob
from scp.archive.store_job import StoreJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules import Pseudonyms
    from scp.archive.catalogue import Catalogue
    from scp.archive.job import JobRequest
    from scp.archive.modifier import Modifier
    from scp.archive.rewriters import Rewriters
    from scp.archive.rewriting import Order
    from scp.logs import Log
    from scp.room import Room
    from scp.settings import Destination


class Work(Protocol):
    """What a job does: `run` until it says so, then `commit`, or `discard` at any point."""

    @property
    def content(self) -> dict[str, object]:
        """What the job's content says at this moment."""

    @property
    def progress(self) -> int:
        """Per cent of what is dealt with; the commit is the last one."""

    def results(self) -> dict[str, object]:
        """What the job's content says once everything is done."""

    def run(self, go_on: Callable[[], bool]) -> bool:
        """Do what is not done yet; False if `go_on` ended it before.

        Raises:
            Exception: what the job failed of.
        """

    def commit(self, also: Callable[[object], object]) -> None:
        """Make it count, and `also` in the same transaction.

        Raises:
            Exception: nothing was committed.
        """

    def discard(self) -> None:
        """Leave nothing of what was made."""


class Kind(Protocol):
    """What a kind of job has to say."""

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """The request with what it lacks, and the job's content before it runs.

        Raises:
            JobRefused, RequestFault, OutOfSpace: it cannot be done.
        """

    def begin(self, job_id: str, request: JobRequest) -> Work:
        """What is to be done.

        Raises:
            JobRefused, RequestFault: it cannot be done any more.
        """


class Maker(Protocol):
    """What a kind of job that makes instances has to say."""

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """The request with what it lacks, and the job's content before it runs.

        Raises:
            JobRefused, RequestFault: it cannot be done.
        """

    def order(self, job_id: str, request: JobRequest) -> Order:
        """What is to be done.

        Raises:
            JobRefused, RequestFault: it cannot be done any more.
        """


@dataclass(frozen=True, slots=True)
class Making:
    """A kind of job that makes instances: it takes room, and all of it is committed at once."""

    maker: Maker
    room: Room
    carry_out: Callable[[Order], Rewriting]

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """See `Kind`."""
        self.room.begin()
        return self.maker.check(request)

    def begin(self, job_id: str, request: JobRequest) -> Rewriting:
        """See `Kind`."""
        return self.carry_out(self.maker.order(job_id, request))


class Kinds:
    """The kinds of jobs, and what they share."""

    def __init__(
        self,
        catalogue: Catalogue,
        modifier: Modifier,
        pseudonyms: Pseudonyms,
        *,
        threads: int,
        log: Log,
        destinations: Callable[[], Mapping[str, Destination]],
        rewriters: Rewriters | None = None,
    ) -> None:
        """Bind it.

        Args:
            catalogue: What is stored.
            modifier: Rewrites instances.
            pseudonyms: The keyed functions.
            threads: Instances of one job that are rewritten at once.
            log: Where events go.
            destinations: Those of the configuration as it is when asked.
            rewriters: The processes that help.
        """
        carry_out = partial(
            Rewriting,
            catalogue=catalogue,
            modifier=modifier,
            threads=threads,
            committing=Lock(),
            log=log,
            rewriters=rewriters,
        )
        stock, room = Stock(catalogue, pseudonyms), modifier.spool.room
        self._kinds: Mapping[JobKind, Kind] = {
            JobKind.MODIFICATION: Making(ModificationJob(stock), room, carry_out),
            JobKind.SPLIT: Making(SplitJob(stock), room, carry_out),
            JobKind.MERGE: Making(MergeJob(stock, modifier), room, carry_out),
            JobKind.STORE: StoreJob(stock, modifier.spool, destinations),
        }

    def checked(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """As a kind's `check`, with what every body can say of its job.

        Raises:
            JobRefused, RequestFault: it cannot be done.
            OutOfSpace: the disk has no room for what it would make.
        """
        keeps_source = request.kind is JobKind.MODIFICATION
        options = requests.read_job_options(request.body, keep_source_default=keeps_source)
        told = replace(request, priority=options.priority, user_data=options.user_data)
        return self._kinds[request.kind].check(told)

    def begin(self, job_id: str, request: JobRequest) -> Work:
        """The work of a job.

        Raises:
            JobRefused, RequestFault: it cannot be done any more.
        """
        return self._kinds[request.kind].begin(job_id, request)

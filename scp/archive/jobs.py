"""The engine of jobs: some run at once, the others wait by priority, and all survive a restart.

The promise:

1. A job is durable before its identifier is told; its success is durable with its results, in
   one transaction. So a job that a crash cut short runs again from its beginning, under the same
   keyed UIDs, and nothing of its first run is left.
2. Cancelling, pausing and stopping take effect between two instances. A job that has begun to
   commit can only succeed or fail.
3. A paused job gives its thread to others and keeps what it has made.
4. Nobody who waits keeps a job running, and nobody who goes away ends it.
5. Jobs that send have threads of their own: a slow destination delays no others.

Where a job stands is kept in memory and noted in the journal whenever its state changes.
"""

from __future__ import annotations

import heapq
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.archive.job import Job, JobError, JobState
from scp.archive.job_errors import CANCELLED, job_error
from scp.archive.job_kinds import Kinds
from scp.archive.job_store import JobStore, outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules import Pseudonyms
    from scp.archive.catalogue import Catalogue
    from scp.archive.job import JobRequest
    from scp.archive.job_kinds import Work
    from scp.archive.modifier import Modifier
    from scp.archive.rewriters import Rewriters
    from scp.journal import Journal
    from scp.logs import Log
    from scp.settings import Destination

HISTORY: Final = 100
"""Finished jobs that are remembered."""


@dataclass(slots=True)
class _Entry:
    """A job in memory; guarded by the engine's lock, but for `work`, its worker's own.

    Attributes:
        job: As last noted.
        work: What is made so far; None before the first run and after the last.
        wish: FAILURE to cancel or PAUSED, if somebody wants that.
        commits: Whether it is too late for wishes.
        turn: Its place in the queue; what stands there under another number is stale.
        resumed_at: When its present run began, on the clock of durations.
        waiting: Told when it has ended.
    """

    job: Job
    work: Work | None = None
    wish: JobState | None = None
    commits: bool = False
    turn: int = 0
    resumed_at: float = 0.0
    waiting: list[Callable[[Job], None]] = field(default_factory=list)


class Jobs:
    """The jobs of one node; safe for use by many threads."""

    def __init__(  # noqa: PLR0913 - all but four are named
        self,
        catalogue: Catalogue,
        modifier: Modifier,
        journal: Journal,
        pseudonyms: Pseudonyms,
        *,
        log: Log | None = None,
        destinations: Callable[[], Mapping[str, Destination]] = dict,
        workers: int = 2,
        senders: int = 4,
        threads: int = 4,
        history: int = HISTORY,
        rewriters: Rewriters | None = None,
    ) -> None:
        """Bind what all jobs share.

        Args:
            catalogue: What is stored.
            modifier: Rewrites instances.
            journal: Where jobs are noted, and whose clock dates them.
            pseudonyms: The keyed functions.
            log: Where events go.
            destinations: Those of the configuration as it is when asked.
            workers: Jobs that run at once, but for those that send.
            senders: Jobs that send at once.
            threads: Instances of one job that are rewritten at once.
            history: Finished jobs that are remembered.
            rewriters: The processes that help with large jobs; whoever made them closes them.
        """
        self._log = log if log is not None else logs.log()
        self._kinds = Kinds(
            catalogue,
            modifier,
            pseudonyms,
            threads=threads,
            log=self._log,
            destinations=destinations,
            rewriters=rewriters,
        )
        self._store = JobStore(journal)
        self._now = journal.now
        self._history = history
        self._changed = threading.Condition()
        self._entries: dict[str, _Entry] = {}
        self._queues: dict[bool, list[tuple[int, int, str]]] = {False: [], True: []}
        self._turns = 0
        self._stopping = False
        self._workers = [
            threading.Thread(target=self._serve, args=(sends,), name="jobs", daemon=True)
            for sends in (False,) * workers + (True,) * senders
        ]

    # ---- the engine's own life

    def start(self) -> None:
        """Take up what an earlier life left, and begin.

        Raises:
            JournalError: the jobs cannot be read.
        """
        with self._changed:
            for job in self._store.all():
                entry = self._entries[job.id] = _Entry(job)
                self._turns = max(self._turns, job.seq)
                if job.state in (JobState.PENDING, JobState.RUNNING):
                    entry.job = replace(job, state=JobState.PENDING)
                    self._enqueue(entry)
        for worker in self._workers:
            worker.start()

    def stop(self, within_s: float) -> bool:
        """End between two instances; what has not ended runs again after the next start.

        Returns:
            Whether every thread has ended in time.
        """
        with self._changed:
            self._stopping = True
            told = [(entry, self._released(entry)) for entry in self._entries.values()]
            self._changed.notify_all()
        for entry, waiting in told:
            self._tell(waiting, self._snapshot(entry))
        deadline = time.monotonic() + within_s
        for worker in self._workers:
            if worker.ident is not None:
                worker.join(max(0.0, deadline - time.monotonic()))
        if any(worker.is_alive() for worker in self._workers):
            return False
        for entry in self._entries.values():
            self._drop_work(entry)
        return True

    # ---- asking for work

    def submit(self, request: JobRequest) -> str:
        """Note a job, durably; its identifier.

        Raises:
            JobRefused, RequestFault: it cannot be done, and no job is made.
            ScpError: it could not be noted.
        """
        return self._accept(request).job.id

    def run(self, request: JobRequest) -> Job:
        """Submit a job and wait for it; raises what `submit` does."""
        return self._wait(self._accept(request), None)

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job | None:
        """The job, once it has ended; as it stands where time runs out or the node stops.

        Args:
            job_id: Its identifier; None is returned where it is unknown.
            timeout_s: How long to wait; None for as long as it takes.
        """
        entry = self._find(job_id)
        return None if entry is None else self._wait(entry, timeout_s)

    def when_ended(self, job_id: str, tell: Callable[[Job], None]) -> bool:
        """Call `tell` once, from any thread, when a job has ended or the node stops.

        Args:
            job_id: Its identifier; False is returned where it is unknown.
            tell: Must not block.
        """
        with self._changed:
            entry = self._entries.get(job_id)
            if entry is None:
                return False
            if not (entry.job.state.is_final or self._stopping):
                entry.waiting.append(tell)
                return True
        self._tell([tell], self._snapshot(entry))
        return True

    # ---- asking about it

    def job(self, job_id: str) -> Job | None:
        """One job as it stands; None if it is unknown."""
        entry = self._find(job_id)
        return None if entry is None else self._snapshot(entry)

    def listing(self) -> list[Job]:
        """Every job as it stands, in the order they came."""
        with self._changed:
            entries = list(self._entries.values())
        jobs = [self._snapshot(entry) for entry in entries]
        return sorted(jobs, key=lambda job: (job.created_at, job.seq))

    # ---- changing its course

    def cancel(self, job_id: str) -> bool:
        """End a job without results; False if it is unknown, no effect if it has ended."""
        entry = self._find(job_id)
        if entry is None:
            return False
        with self._changed:
            idle = entry.job.state in (JobState.PENDING, JobState.PAUSED)
            if idle:
                entry.job = replace(entry.job, state=JobState.RUNNING)  # nobody else takes it
            elif entry.job.state is JobState.RUNNING and not entry.commits:
                entry.wish = JobState.FAILURE
        if idle:
            self._fail(entry, CANCELLED)
        return True

    def pause(self, job_id: str) -> bool:
        """Hold a job; False if it is unknown, no effect if it has ended."""
        entry = self._find(job_id)
        if entry is None:
            return False
        with self._changed:
            waits = entry.job.state is JobState.PENDING
            if waits:
                entry.job = replace(entry.job, state=JobState.PAUSED)
            elif entry.job.state is JobState.RUNNING and not (entry.commits or entry.wish):
                entry.wish = JobState.PAUSED
        if waits:
            self._store.save(lambda: entry.job)
        return True

    def resume(self, job_id: str) -> bool:
        """Go on with a paused job; False if it is unknown or not paused."""
        return self._again(job_id, JobState.PAUSED)

    def resubmit(self, job_id: str) -> bool:
        """Run a failed job from its beginning, to the same UIDs; False if it has not failed."""
        return self._again(job_id, JobState.FAILURE)

    def delete(self, job_id: str) -> bool:
        """Forget a job that has ended; False if it is unknown or has not."""
        with self._changed:
            entry = self._entries.get(job_id)
            if entry is None or not entry.job.state.is_final:
                return False
            del self._entries[job_id]
        self._store.drop([job_id])
        return True

    # ---- inside: the queue

    def _accept(self, request: JobRequest) -> _Entry:
        checked, content = self._kinds.checked(request)
        with self._changed:
            self._turns += 1
            seq = self._turns
        job = Job(
            id=str(uuid.uuid4()),
            kind=checked.kind,
            state=JobState.PENDING,
            priority=checked.priority,
            content=content,
            created_at=self._now(),
            user_data=checked.user_data,
            seq=seq,
        )
        self._store.add(job, checked)
        entry = _Entry(job)
        with self._changed:
            self._entries[job.id] = entry
            self._enqueue(entry)
        return entry

    def _again(self, job_id: str, state: JobState) -> bool:
        with self._changed:
            entry = self._entries.get(job_id)
            if entry is None or entry.job.state is not state:
                return False
            job = replace(entry.job, state=JobState.PENDING)
            if state is JobState.FAILURE:
                job = replace(job, progress=0, completed_at=None, error=JobError())
            entry.job = job
            self._enqueue(entry)
        self._store.save(lambda: entry.job)
        return True

    def _enqueue(self, entry: _Entry) -> None:
        self._turns += 1
        entry.turn = self._turns
        queue = self._queues[entry.job.kind.sends]
        heapq.heappush(queue, (-entry.job.priority, entry.turn, entry.job.id))
        self._changed.notify_all()

    def _take(self, *, sends: bool) -> _Entry | None:
        """The next job, marked as running; None when the node stops."""
        queue = self._queues[sends]
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._stopping or queue)
                if self._stopping:
                    return None
                _, turn, job_id = heapq.heappop(queue)
                entry = self._entries.get(job_id)
                if entry and entry.turn == turn and entry.job.state is JobState.PENDING:
                    entry.job = replace(entry.job, state=JobState.RUNNING, started_at=self._now())
                    entry.wish, entry.commits = None, False
                    entry.resumed_at = time.monotonic()
                    return entry

    # ---- inside: a run

    def _serve(self, sends: bool) -> None:  # noqa: FBT001 - the argument of a thread
        while (entry := self._take(sends=sends)) is not None:
            try:
                self._run(entry)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs go on
                if job_error(error).status == -1:
                    self._log.error("a job failed", **logs.of_error(error))
                self._fail(entry, job_error(error))

    def _run(self, entry: _Entry) -> None:
        self._note(lambda: entry.job, durable=False)
        work = self._work(entry)
        complete = work.run(lambda: entry.wish is None and not self._stopping)
        with self._changed:
            stopped = self._stopping and not complete and entry.wish is None
            entry.commits = complete and entry.wish is not JobState.FAILURE
        if entry.commits:
            self._succeed(entry, work)
        elif stopped:
            self._drop_work(entry)
        else:
            self._hold(entry)

    def _work(self, entry: _Entry) -> Work:
        if entry.work is None:
            request = self._store.request(entry.job.id)
            if request is None:
                raise LookupError("a job that has not ended has lost its request")
            entry.work = self._kinds.begin(entry.job.id, request)
        return entry.work

    def _succeed(self, entry: _Entry, work: Work) -> None:
        job = self._ended(entry, JobState.SUCCESS, JobError())
        job = replace(job, progress=100, content={**job.content, **work.results()})
        work.commit(outcome(job))
        self._settle(entry, job)

    def _hold(self, entry: _Entry) -> None:
        with self._changed:
            held = entry.wish is JobState.PAUSED
            if held:
                entry.job = replace(self._snapshot(entry), state=JobState.PAUSED)
        if held:
            self._note(lambda: entry.job)
        else:  # cancelled in the meantime
            self._fail(entry, CANCELLED)

    def _fail(self, entry: _Entry, error: JobError) -> None:
        job = self._ended(entry, JobState.FAILURE, error)
        self._drop_work(entry)
        self._note(lambda: job)
        self._settle(entry, job)

    def _ended(self, entry: _Entry, state: JobState, error: JobError) -> Job:
        return replace(self._snapshot(entry), state=state, error=error, completed_at=self._now())

    def _settle(self, entry: _Entry, job: Job) -> None:
        """A job has ended: show it, tell who waits, forget the oldest."""
        entry.work = None
        with self._changed:
            entry.job = job
            waiting = self._released(entry)
            ended = [one.job for one in self._entries.values() if one.job.state.is_final]
            ended.sort(key=lambda one: one.completed_at or 0.0)
            old = [one.id for one in ended[: -self._history]]
            for job_id in old:
                del self._entries[job_id]
            self._changed.notify_all()
        self._tell(waiting, job)
        if old:
            self._store.drop(old)

    def _note(self, current: Callable[[], Job], *, durable: bool = True) -> None:
        """Note where a job without results stands; if that fails, it runs after a restart."""
        try:
            self._store.save(current, durable=durable)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            self._log.error("the state of a job was not noted", **logs.of_error(error))

    def _drop_work(self, entry: _Entry) -> None:
        work, entry.work = entry.work, None
        if work is not None:
            work.discard()

    # ---- inside: looking

    def _find(self, job_id: str) -> _Entry | None:
        with self._changed:
            return self._entries.get(job_id)

    def _wait(self, entry: _Entry, timeout_s: float | None) -> Job:
        with self._changed:
            self._changed.wait_for(lambda: entry.job.state.is_final or self._stopping, timeout_s)
        return self._snapshot(entry)

    def _snapshot(self, entry: _Entry) -> Job:
        """A job as it stands, also in the middle of a run."""
        with self._changed:
            job, work = entry.job, entry.work
            if work is None or job.state.is_final:
                return job
            running = job.state is JobState.RUNNING
            run_s = time.monotonic() - entry.resumed_at if running else 0.0
        return replace(
            job,
            progress=work.progress,
            content={**job.content, **work.content},
            runtime_s=job.runtime_s + run_s,
        )

    def _released(self, entry: _Entry) -> list[Callable[[Job], None]]:
        waiting, entry.waiting = entry.waiting, []
        return waiting

    def _tell(self, waiting: list[Callable[[Job], None]], job: Job) -> None:
        for tell in waiting:
            try:
                tell(job)
            except Exception as error:  # noqa: BLE001 - somebody else's; the jobs go on
                self._log.error("the end of a job was not told", **logs.of_error(error))

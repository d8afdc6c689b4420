"""What is owed is delivered: one worker per destination, so that none delays another.

How a worker delivers is promised in `scp.worker`. A destination never has two workers at work: at
a reload the one that begins waits for the one that ends.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.instance import DeliveryState
from scp.patience import Policy, Surroundings
from scp.worker import Worker, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from scp.journal import Journal
    from scp.logs import Log
    from scp.spool import Spool
    from scp.worker import OpenAssociation

_OWED: Final = frozenset({DeliveryState.DUE, DeliveryState.HELD})


class Forwarder:
    """All workers of the node."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        destinations: Iterable[str],
        open_association: OpenAssociation,
        *,
        policy: Policy | None = None,
        policies: Mapping[str, Policy] | None = None,
        surroundings: Surroundings | None = None,
        log: Log | None = None,
    ) -> None:
        """Prepare a worker for each destination; none runs before `start`.

        Args:
            journal: What is owed.
            spool: The bytes.
            destinations: Names, as in the configuration.
            open_association: Makes an association with one of them.
            policy: How patient to be.
            policies: Where a destination asks for more patience, or less.
            surroundings: Clocks and chance.
            log: Where events go.
        """
        self._journal = journal
        self._spool = spool
        self._log = log if log is not None else logs.log()
        self._open_association = open_association
        self._surroundings = surroundings or Surroundings()
        self._workers: Mapping[str, Worker] = {
            name: self._worker(name, (policies or {}).get(name) or policy or Policy())
            for name in destinations
        }
        # Read by the housekeeping at any moment: replaced as a whole, never changed.
        self._lanes: Mapping[str, _Lane] = {}

    def start(self) -> None:
        """Make due what a crash left as being sent, then start to deliver."""
        self._journal.give_back()
        sweep(self._journal, self._spool, self._log)
        for name, count in self._owed_elsewhere().items():
            self._log.warning(
                "a destination is owed instances and is not in the configuration",
                destination=name,
                count=count,
            )
        self._begin(self._workers)

    def _owed_elsewhere(self) -> Counter[str]:
        """How many instances wait for destinations that nobody serves."""
        count: Counter[str] = Counter()
        for line in self._journal.queue():
            if line.destination not in self._workers and line.state in _OWED:
                count[line.destination] += line.count
        return count

    def follow(
        self,
        policies: Mapping[str, Policy],
        *,
        anew: Container[str] = (),
        adopt: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve these destinations from now on.

        A worker that ends finishes the instance that it is sending; what else its destination is
        owed waits until it is served again.

        Args:
            policies: How patient to be, by destination.
            anew: Those among them whose worker begins anew, because something else has changed.
            adopt: Called when nothing can be refused any more, and before anybody is served
                otherwise than so far; must not raise.

        Raises:
            JournalError: a new worker cannot read how its destination is doing; nothing has
                changed.
        """
        staying = {
            name: worker
            for name, worker in self._workers.items()
            if name in policies and name not in anew
        }
        coming = {
            name: self._worker(name, policy)
            for name, policy in policies.items()
            if name not in staying
        }
        adopt()
        for name in self._workers.keys() - staying.keys():
            self._end(self._workers[name])
            if name not in coming:
                self._log.warning("a destination is served no more", destination=name)
        self._workers = staying | coming
        self._begin(coming)

    def wake(self, destinations: Iterable[str]) -> None:
        """Tell workers that their destinations are owed something new; never blocks."""
        for name in destinations:
            worker = self._workers.get(name)
            if worker is not None:
                worker.wake()

    def overdue_s(self, now: float) -> float:
        """How long a worker has not come back from a wait; infinite for one that has ended.

        One that has not begun yet is in time. May be called while `follow` is at work.

        Args:
            now: Moment of the monotonic clock.

        Returns:
            Of the one that is latest; negative or zero if all are in time.
        """
        workers, lanes = self._workers, self._lanes
        own = [lanes[name] for name, worker in workers.items() if _serves(lanes.get(name), worker)]
        return max((lane.overdue_s(now) for lane in own), default=0.0)

    def stop(self, within_s: float) -> bool:
        """Let every worker finish the instance it is sending, then stop; may be repeated.

        Args:
            within_s: How long to wait for them.

        Returns:
            Whether all have stopped. If not, interrupt their associations and call it again.
        """
        deadline = time.monotonic() + within_s
        for worker in self._workers.values():
            self._end(worker)
        for lane in self._lanes.values():
            # What could not be started is not alive, and cannot be joined.
            if lane.is_alive():
                lane.join(max(0.0, deadline - time.monotonic()))
        return not any(lane.is_alive() for lane in self._lanes.values())

    def _worker(self, name: str, policy: Policy) -> Worker:
        return Worker(
            name,
            self._journal,
            self._spool,
            self._open_association,
            policy,
            self._surroundings,
            self._log,
        )

    def _begin(self, workers: Mapping[str, Worker]) -> None:
        for name, worker in workers.items():
            lane = _Lane(worker, self._lanes.get(name))
            try:
                lane.start()
            finally:
                # One that could not be started counts as one that has ended.
                self._lanes = {**self._lanes, name: lane}

    @staticmethod
    def _end(worker: Worker) -> None:
        worker.stopping.set()
        worker.wake()


class _Lane(threading.Thread):
    """Is a worker, once its predecessor has ended.

    A daemon: what a stuck peer holds on to must not keep the process from ending; what was on its
    way is due at the next start.
    """

    def __init__(self, worker: Worker, before: _Lane | None) -> None:
        super().__init__(name=f"forward-{worker.name}", daemon=True)
        self.worker = worker
        self._before = before

    def run(self) -> None:
        before, self._before = self._before, None
        if before is not None and before.is_alive():
            before.join()
        self.worker.run()

    def overdue_s(self, now: float) -> float:
        """As the forwarder says it, of one."""
        return now - self.worker.back_by if self.is_alive() else math.inf


def _serves(lane: _Lane | None, worker: Worker) -> bool:
    """Whether it is this worker's, and not that of its predecessor."""
    return lane is not None and lane.worker is worker

"""A destination that does what it is told, and a node's durable half in simulated time."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from scp import logs
from scp.journal import FILE_NAME, Journal
from scp.patience import Policy, Surroundings
from scp.spool import Spool
from scp.worker import Worker
from tests.scp.disks import FaultyDisk
from tests.scp.storing import stored, uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

Context = tuple[str, str]
POLICY = Policy()


class Time:
    """Both clocks, moved by the test."""

    def __init__(self) -> None:
        """Begin some day."""
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class Pacs:
    """A destination that does what it is told, and remembers what it was sent.

    Attributes:
        connecting: Raised by every attempt to open an association.
        answers: Status or error by SOP Instance UID; 0x0000 for the others.
        answer: Instead of 0x0000.
        refuses: Contexts that it does not accept.
    """

    connecting: Exception | None = None
    answers: dict[str, int | Exception] = field(default_factory=dict)
    answer: int | Exception = 0x0000
    refuses: set[Context] = field(default_factory=set)
    received: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    datasets: dict[str, bytes] = field(default_factory=dict)
    associations: list[tuple[Context, ...]] = field(default_factory=list)
    during: Callable[[str], object] = lambda _: None

    def open(self, _: str, contexts: Sequence[Context]) -> Association:
        """Prepare an association."""
        return Association(self, tuple(contexts))


class Association:
    """One association with a `Pacs`."""

    def __init__(self, pacs: Pacs, contexts: tuple[Context, ...]) -> None:
        """Prepare."""
        self.pacs = pacs
        self.contexts = contexts

    def __enter__(self) -> Self:
        """Connect."""
        self.pacs.associations.append(self.contexts)
        if self.pacs.connecting is not None:
            raise self.pacs.connecting
        return self

    def __exit__(self, *_: object) -> None:
        """Release."""

    def accepted(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether the context was proposed and is accepted."""
        context = (sop_class_uid, transfer_syntax_uid)
        return context in self.contexts and context not in self.pacs.refuses

    def store(
        self, sop_class_uid: str, instance: str, transfer_syntax_uid: str, chunks: Iterable[bytes]
    ) -> int:
        """Take an instance, or do what was ordered."""
        assert self.accepted(sop_class_uid, transfer_syntax_uid)
        self.pacs.offered.append(instance)
        self.pacs.during(instance)
        dataset = b"".join(chunks)
        answer = self.pacs.answers.get(instance, self.pacs.answer)
        if isinstance(answer, Exception):
            raise answer
        if answer == 0 or answer >> 12 == 0xB:
            self.pacs.received.append(instance)
            self.pacs.datasets[instance] = dataset
        return answer


@dataclass
class Site:
    """A node's durable half, one destination, and the time."""

    journal: Journal
    spool: Spool
    disk: FaultyDisk
    pacs: Pacs
    time: Time
    lines: io.StringIO
    data: Path

    def worker(self, policy: Policy = POLICY) -> Worker:
        """The worker of the destination; chance is always in the middle."""
        around = Surroundings(self.time, self.time, lambda: 0.5)
        return Worker("pacs", self.journal, self.spool, self.pacs.open, policy, around, logs.log())

    def owe(self, *numbers: int, **changes: object) -> None:
        """Store instances that the destination is owed."""
        for number in numbers:
            self.journal.add(stored(self.spool, number, "pacs", **changes))

    def states(self) -> dict[int, str]:
        """The state of every delivery by the number of its instance."""
        return {
            int(record.sop_instance_uid[5:]): delivery.state.value
            for listed in self.journal.instances()
            if (record := self.journal.instance(listed.id))
            for delivery in record.deliveries
        }

    def outcome(self, number: int) -> str:
        """The last outcome of a delivery."""
        record = self.journal.instance(uid(number))
        assert record is not None
        return record.deliveries[0].last_outcome

    def run(self, worker: Worker, for_s: float) -> None:
        """Let the worker live so long, in no time."""
        end = self.time.now + for_s
        for _ in range(100_000):
            wait_s = worker.turn()
            if self.time.now + wait_s >= end:
                break
            self.time.now += wait_s
        self.time.now = end

    def logged(self, event: str) -> list[dict[str, object]]:
        """The lines of the log with this event."""
        lines = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@contextmanager
def site_in(folder: Path) -> Iterator[Site]:
    """Nothing is stored and nothing is owed."""
    disk, time, lines = FaultyDisk(), Time(), io.StringIO()
    logs.configure(lines, strict=True)
    spool = Spool(folder, files=disk, reserve_bytes=0)
    journal = Journal(spool.private_file(FILE_NAME), wall=time, holds=spool.holds)
    yield Site(journal, spool, disk, Pacs(), time, lines, folder)
    journal.close()

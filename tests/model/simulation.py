"""A node in a world that a seed decides: receptions, deliveries, faults, deaths, losses of power.

The spool, the journal with SQLite below it, its recovery, the ingest and the workers are the
product's own. The disk, the clocks, chance, the senders and the destinations are not. Everything
happens in one thread, one step after the other; several receptions are open at a time, and what a
worker does is interrupted by receptions in the middle of an instance. Equal seeds give equal runs.

What holds after every start, and at the end (`judge`):

1. What was acknowledged is stored where its route says so, and delivered, owed, or failed for a
   reason that its destination gave (P1, P4).
2. A destination that a delivery names as delivered has it; one object per UID everywhere (P3).
3. No file without a row, no row without its file, no other bytes than were acknowledged (P1).
4. A file goes only after every delivery of it (P4).
5. Nothing is acknowledged on a full disk, nor after a failed sync until the next start; receiving
   resumes by itself (P6, P7).
6. Attempts at a destination that is down are no more than the backoff allows (P8), and once all
   are up again everything arrives within three of the longest waits, whatever is poison (P5).
"""

from __future__ import annotations

import copy
import random
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import sqlalchemy as sa

from scp import journal_schema as sql
from scp.errors import ScpError
from scp.instance import Peer, StoreRequest
from tests.model.destinations import Destination, Manner, Mood
from tests.model.judge import Judge, Violated, demand
from tests.model.life import POLICY, Life, Parts, Place, World
from tests.model.losing_disk import LosingDisk, Loss
from tests.model.sending import ROUTES, Engine, Sent
from tests.model.sqlite_disk import SqliteDisk
from tests.scp.disks import Died
from tests.scp.storing import EXPLICIT, uid

if TYPE_CHECKING:
    from collections.abc import Callable

    from scp.ingest import Reception
    from tests.scp.disks import Node as DiskNode

PEER = Peer("CT1", "ANONODE", "127.0.0.1")
STEPS = 36
FRESH_EVERY = 8
"""Every so manieth seed begins with the first start ever."""
CHECKED_EVERY = 5
"""In every so manieth each start checks the journal as a whole, which takes time."""
DANGER = 0.08
"""How often a death follows the removal of a file, where an order is easily got wrong."""
NUMBERS = 10
MOST_OPEN = 4
DEEPEST = 3
"""Starts in a row that may die before they are done."""
OUTAGE_S = 2700.0


@dataclass
class Tally:
    """What happened in one run."""

    acknowledged: int = 0
    refused: int = 0
    deaths: int = 0
    losses: int = 0
    faults: int = 0
    operations: int = 0

    def add(self, other: Tally) -> None:
        """Count another run."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Simulation:
    """One run; see the top of the module."""

    def __init__(
        self,
        seed: int,
        sqlite: SqliteDisk,
        parts: Parts | None = None,
        used: DiskNode | None = None,
    ) -> None:
        """Prepare a world without a node.

        Args:
            seed: Decides everything.
            sqlite: What lies below the journal.
            parts: What the node is made of.
            used: The disk that most seeds begin with; the others, and without it all, begin
                with an empty one.
        """
        self.chance = random.Random(seed)  # noqa: S311 - a seed is the point
        self.seed = seed
        self.parts = parts or Parts()
        self.tally = Tally()
        self.story: list[str] = []
        self.now = 1_700_000_000.0
        self._sqlite = sqlite
        self._sending: Sent | None = None
        self._is_nested = False
        self._unanswered: list[Sent] = []
        self.destinations = {
            name: Destination(name, self.chance, self._clock, during=self._meanwhile)
            for name in ("pacs", "archive")
        }
        self.judge = Judge(self.destinations)
        self._world = World(
            sqlite,
            clock=self._clock,
            # Never so small that attempts could not be counted.
            random=lambda: 0.5 + self.chance.random() / 2,
            names=self._names,
            engine=lambda _route, _request: Engine(self._sending),
            destinations=self.destinations,
            wake=self._wake,
            is_checked=not seed % CHECKED_EVERY,
        )
        self.disk = self._new_disk(used)
        self.life = Life(self.disk)

    def run(self) -> Tally:
        """Let everything happen; raises Violated."""
        with self.mounted():
            try:
                self._live()
            except Exception as error:
                kind = "" if isinstance(error, Violated) else f"{type(error).__name__}: "
                raise Violated(f"seed {self.seed}: {kind}{error}") from error
            finally:
                self.life.end()
        self.tally.operations += self.disk.operations
        return self.tally

    def mounted(self) -> object:
        """A block in which SQLite uses the disk of this simulation."""
        Place.sqlite = self._sqlite
        return self._sqlite.mounted(self.chance.randbytes)

    def tell(self, event: str) -> None:
        """Something happens; who replays a seed looks at the story."""
        self.story.append(f"operation {self.disk.operations}: {event}")

    # ---- what the node takes from outside

    def _clock(self) -> float:
        return self.now

    def _names(self, size: int) -> bytes:
        """Names by chance, in few folders."""
        return bytes([self.chance.randrange(3)]) if size == 1 else self.chance.randbytes(size)

    def _wake(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.life.due_at[name] = 0.0

    def _new_disk(self, used: DiskNode | None) -> LosingDisk:
        """The folder that the node is given: empty for some, as a stop has left it for others."""
        disk = LosingDisk(self.chance, self.parts.forgets)
        if used is not None and self.seed % FRESH_EVERY:
            disk.root = copy.deepcopy(used)
            return disk
        for path in (PurePosixPath("/srv"), PurePosixPath("/srv/anonode")):
            disk.make_folder(path)
            disk.root.durable = dict(disk.root.entries or {})
        disk.sync_node(disk.find(PurePosixPath("/srv")), "world")
        return disk

    # ---- the course of things

    def _live(self) -> None:
        self.start()
        for _ in range(STEPS):
            self._survive(self.chance.choices(ACTIONS, WEIGHTS)[0])
        self._survive(Simulation._calm)
        if self.seed % 4 == 0:
            self._survive(Simulation._outage)
        self.disk.dies_at, self.disk.danger = None, 0.0
        self._drain()
        self._judge()
        self.crash(loss=self.chance.choice([None, *Loss]))

    def _survive(self, act: Callable[[Simulation], None]) -> None:
        """Do something; a death in it is followed by a start."""
        self.tell(act.__name__.strip("_").replace("_", " "))
        try:
            act(self)
            if self.life.must_stop:
                self._fault_is_over()
                self.crash(loss=None)
        except Died:
            self.crash(loss=self._how_it_ends())
        self._is_nested = False

    def _how_it_ends(self) -> Loss | None:
        return self.chance.choice([None, Loss.EVERYTHING, Loss.ANYTHING])

    def _judge(self) -> None:
        self.judge.judge(self.life, self.disk, self.now)

    # ---- lives and deaths

    def start(self) -> None:
        """Start a node; it may die in it, or fail, and is then started again."""
        for depth in range(DEEPEST + 1):
            if depth < DEEPEST and self.chance.random() < 0.25:
                self._doom(self.chance.randint(1, 40))
            self.life = Life(self.disk)
            try:
                self.life.begin(self.parts, self._world)
                break
            except Died:
                self._end(self._how_it_ends())
            except ScpError as error:
                demand(depth < DEEPEST, f"it does not start: {error}")
                self._fault_is_over()
                self._end(None)
        self._judge()
        self.disk.danger = DANGER

    def crash(self, loss: Loss | None) -> None:
        """Death, with or without a loss of power; then the next start."""
        self._end(loss)
        self.start()

    def _end(self, loss: Loss | None) -> None:
        self.tell(f"death, loss {loss}")
        indexes = self._sqlite.indexes_left(self.disk)
        self.life.end()
        self.tally.deaths += 1
        self.tally.losses += loss is not None
        self.tally.operations += self.disk.operations
        self.disk = self.disk.after_death() if loss is None else self.disk.after_power(loss)
        if loss is None or self.chance.random() < 0.5:
            self.disk.indexes = indexes

    def _doom(self, operations: int) -> None:
        self.disk.dies_at = self.disk.operations + operations

    def _fault_is_over(self) -> None:
        self.disk.is_full = False
        self.disk.fails_sync_in = None

    # ---- steps

    def _receive(self) -> None:
        """Some sender goes on."""
        receptions = self.life.receptions
        if not receptions or (len(receptions) < MOST_OPEN and self.chance.random() < 0.4):
            self._open_reception(self._something())
            return
        entry = self.chance.choice(receptions)
        if entry[2]:
            entry[1].feed(memoryview(entry[2].pop(0)))
        elif self.chance.random() < 0.05:
            receptions.remove(entry)
            entry[1].abandon()
        else:
            receptions.remove(entry)
            self._finish(entry[0], entry[1])

    def _receive_whole(self) -> None:
        """A quick sender."""
        self._store(self._something())

    def _something(self) -> Sent:
        """What somebody sends: often what nobody has acknowledged to him."""
        if self._unanswered and self.chance.random() < 0.4:
            return self._unanswered.pop(self.chance.randrange(len(self._unanswered)))
        number = self.chance.randint(1, NUMBERS)
        other = self.chance.random() < 0.05
        size = (number * 977) % 5000 + 40
        content = bytes([number, 1 if other else 0]) * (size // 2)
        return Sent(number, content, self.chance.choice(ROUTES))

    def _open_reception(self, sent: Sent) -> None:
        self._sending = sent
        request = StoreRequest(1, sent.sop_class, "1.2.3.4", EXPLICIT)
        reception = self.life.ingest.open_store(PEER, sent.route, request)
        cut = self.chance.randint(0, len(sent.content))
        pieces = [piece for piece in (sent.content[:cut], sent.content[cut:]) if piece]
        self.life.receptions.append((sent, reception, pieces))

    def _store(self, sent: Sent) -> int:
        self._open_reception(sent)
        _, reception, pieces = self.life.receptions.pop()
        for piece in pieces:
            reception.feed(memoryview(piece))
        return self._finish(sent, reception)

    def _finish(self, sent: Sent, reception: Reception) -> int:
        self._unanswered.append(sent)
        status = reception.finish().status
        self.tell(f"instance {sent.number} {sent.route}: {status:#06x}")
        if self.disk.is_dead:
            raise Died
        if status != 0:
            self.tally.refused += 1
            return status
        demand(not self.disk.is_full, "something is acknowledged on a full disk")
        demand(not self.disk.has_failed, "something is acknowledged after a failed sync")
        self.tally.acknowledged += 1
        self._unanswered.remove(sent)
        self.judge.acknowledged(sent)
        return status

    def _deliver(self) -> None:
        """A worker has its turn, if it is its time."""
        name = self.chance.choice(list(self.life.workers))
        if self.life.due_at.get(name, 0.0) <= self.now:
            self._turn(name)

    def _deliver_doomed(self) -> None:
        """The same, by a node that dies soon."""
        self._doom(self.chance.randint(1, 25))
        self._deliver()

    def _turn(self, name: str) -> float:
        try:
            wait_s = self.life.workers[name].turn()
        except ScpError:
            # What `Worker.run` does: the worker survives and waits.
            wait_s = POLICY.base_s
        if self.disk.is_dead:
            raise Died
        self.life.due_at[name] = self.now + wait_s
        return wait_s

    def _meanwhile(self) -> None:
        """What happens while a destination is busy with an instance."""
        if self._is_nested or self.chance.random() > 0.3:
            return
        self._is_nested = True
        self.now += self.chance.random() * 3
        self._receive()
        self._is_nested = False

    def _checkpoint(self) -> None:
        with suppress(ScpError):  # the node tries again a second later
            self.life.journal.checkpoint()

    def _wait(self) -> None:
        self.now += self.chance.choice([0.1, 4.0, 60.0, 1000.0, 20_000.0]) * self.chance.random()

    def _change_mood(self) -> None:
        self.chance.choice(list(self.destinations.values())).mood = self.chance.choice(list(Mood))

    def _poison(self) -> None:
        """A destination will never take one of the instances."""
        manner = self.chance.choice([Manner.REFUSE, Manner.ABORT, Manner.NO_ROOM])
        there = self.chance.choice(list(self.destinations.values()))
        if len(there.poison) < 2:
            there.poison[uid(self.chance.randint(1, NUMBERS))] = manner

    def _fill(self) -> None:
        self.tally.faults += 1
        self.disk.is_full = not self.disk.is_full

    def _break(self) -> None:
        self.tally.faults += 1
        self.disk.fails_sync_in = self.chance.randint(0, 8)

    def _be_doomed(self) -> None:
        self._doom(self.chance.randint(1, 60))

    def _die(self) -> None:
        raise Died

    def _stop(self) -> None:
        """A stop in good order, and a start."""
        self.life.stop()
        self.disk = self.disk.after_death()
        self.start()

    # ---- the end

    def _calm(self) -> None:
        """Faults are over; what is open is finished."""
        self._fault_is_over()
        for sent, reception, pieces in self.life.receptions:
            for piece in pieces:
                reception.feed(memoryview(piece))
            self._finish(sent, reception)
        self.life.receptions.clear()

    def _outage(self) -> None:
        """A destination is down for long: attempts are counted."""
        there = self.destinations["pacs"]
        there.mood = Mood.DOWN
        begun, before = self.now, len(there.opened_at)
        while self.now < begun + OUTAGE_S:
            self.now += max(0.01, min(self._turn(there.name), POLICY.cap_s))
        attempts = len(there.opened_at) - before
        demand(attempts <= most_attempts(OUTAGE_S), f"{attempts} attempts in an outage")

    def _drain(self) -> None:
        """All destinations are well: what can arrive arrives, within a time."""
        for destination in self.destinations.values():
            destination.mood = Mood.WELL
        self._calm()
        self._is_nested = True  # nobody sends any more
        fresh = Sent(NUMBERS + 1, b"fresh", ROUTES[2])
        demand(self._store(fresh) == 0, "receiving does not resume")
        limit = self.now + 3 * POLICY.cap_s
        while self._is_owed():
            demand(self.now < limit, "what is owed does not arrive in time")
            waits = [self._turn(name) for name in self.life.workers]
            self.now += min(max(0.01, min(waits)), POLICY.cap_s)

    def _is_owed(self) -> bool:
        """Whether an instance is open that its destination would take."""
        owed = sql.deliveries.c
        statement = (
            sa.select(owed.destination, sql.instances.c.sop_instance_uid)
            .join(sql.instances, sql.instances.c.id == owed.instance_id)
            .where(owed.state.in_(sql.OPEN))
        )
        rows = self.life.journal.rows(statement)
        return any(row[1] not in self.destinations[row[0]].poison for row in rows)


class Worlds:
    """Runs seeds, in worlds where most nodes are not started for the first time."""

    def __init__(self) -> None:
        """Make a folder as a node leaves it that was started and stopped."""
        self._sqlite = SqliteDisk()
        first = Simulation(0, self._sqlite)
        with first.mounted():
            first.life.begin(first.parts, first._world)
            first.life.stop()
        self._used = first.disk.after_power(Loss.NOTHING).root

    def run(self, seed: int, parts: Parts | None = None) -> Tally:
        """Run one; raises Violated."""
        return self.simulation(seed, parts).run()

    def simulation(self, seed: int, parts: Parts | None = None) -> Simulation:
        """One that is to be run."""
        return Simulation(seed, self._sqlite, parts, self._used)


def most_attempts(duration_s: float) -> int:
    """How often a destination can be asked, if every wait is half of its bound at least."""
    attempts, waited_s = 1, 0.0
    while waited_s <= duration_s:
        waited_s += 0.5 * min(POLICY.cap_s, POLICY.base_s * 2 ** (attempts - 1))
        attempts += 1
    return attempts


ACTIONS: tuple[Callable[[Simulation], None], ...] = (
    Simulation._receive,
    Simulation._receive_whole,
    Simulation._deliver,
    Simulation._checkpoint,
    Simulation._wait,
    Simulation._change_mood,
    Simulation._poison,
    Simulation._fill,
    Simulation._break,
    Simulation._be_doomed,
    Simulation._deliver_doomed,
    Simulation._die,
    Simulation._stop,
)
WEIGHTS = (20, 14, 18, 3, 8, 5, 1, 1, 1, 4, 2, 1, 1)

"""A node in a world that a seed decides: receptions, deliveries, faults, deaths, losses of power.

The spool, the journal with SQLite below it, the ingest and the workers are the product's own.
The disk, the clocks, chance, the senders and the destinations are not. Everything happens in one
thread, one step after the other; several receptions are open at a time, and what a worker does
is interrupted by receptions in the middle of an instance. Equal seeds give equal runs.

What holds after every start, and at the end (`Judge`):

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
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import sqlalchemy as sa

from rules.report import Report
from scp import journal_schema as sql
from scp.errors import JournalError, ScpError
from scp.forwarder import Policy, Surroundings, Worker, sweep
from scp.ingest import Ingest
from scp.instance import DeliveryState, Peer, StoredFile, StoreRequest
from scp.journal import FILE_NAME, Journal, Writer
from scp.spool import Spool
from tests.model.destinations import Destination, Manner, Mood
from tests.model.losing_disk import LosingDisk, Loss
from tests.model.sqlite_disk import SqliteDisk
from tests.scp.disks import Died
from tests.scp.storing import CT, EXPLICIT, META, MR, uid

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from scp.ingest import Reception
    from tests.scp.disks import Node as DiskNode

DATA = "/srv/anonode/data"
PEER = Peer("CT1", "ANONODE", "127.0.0.1")
DANGER = 0.08
"""How often a death follows the removal of a file, where an order is easily got wrong."""
POLICY = Policy(base_s=5.0, cap_s=900.0)
STEPS = 36
FRESH_EVERY = 8
"""Every so manieth seed begins with the first start ever."""
NUMBERS = 10
DEEPEST = 3
"""Starts in a row that may die before they are done."""
OUTAGE_S = 2700.0
TURNED = bytes(byte ^ 0xFF for byte in range(256))
FLAWS = ("missing", "gone", "cannot be read", "changed")
"""In an outcome: that the node has lost what it was to deliver."""


class Violated(AssertionError):
    """A promise does not hold; the message says which, and the seed."""


class Place(PurePosixPath):
    """A path on the disk of the simulation; what the product asks of the real one is done."""

    def touch(self, mode: int = 0o600) -> None:
        """It was made by the spool already."""


class Silence:
    """A log that nobody reads."""

    def info(self, event: str, /, **fields: str | float) -> None:
        """Say nothing."""

    warning = error = info


@dataclass(frozen=True)
class Route:
    """A route as the configuration has it."""

    store: bool
    forward: tuple[str, ...]
    profile: str = "basic"


ROUTES = (
    Route(store=True, forward=("pacs",)),
    Route(store=False, forward=("pacs",)),
    Route(store=False, forward=("pacs", "archive")),
    Route(store=True, forward=("archive",)),
    Route(store=True, forward=()),
)


@dataclass(frozen=True)
class Sent:
    """What somebody sends: its number makes its UIDs."""

    number: int
    content: bytes
    route: Route

    @property
    def sop_class(self) -> str:
        return MR if self.number % 3 == 0 else CT

    @property
    def dataset(self) -> bytes:
        """What becomes of it."""
        return self.content.translate(TURNED) + b"end"


class Engine:
    """Stands in for the rules: turns every byte, and is slow to begin or quick."""

    def __init__(self, sent: Sent) -> None:
        """Prepare for one instance."""
        self._sent = sent
        self._begun = False

    def feed(self, fragment: memoryview) -> list[bytes | memoryview]:
        """Give what a fragment has become."""
        head = [] if self._begun else [META]
        self._begun = True
        return [*head, bytes(fragment).translate(TURNED)]

    def finish(self) -> tuple[list[bytes | memoryview], Report]:
        """Give the rest."""
        sent = self._sent
        report = Report(
            sent.sop_class,
            uid(sent.number),
            "2.25.7",
            "2.25.8",
            "P",
            "CT",
            EXPLICIT,
            {"X": 3},
            {},
            "digest",
        )
        return [*([] if self._begun else [META]), b"end"], report

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Promise:
    """What was acknowledged of one instance."""

    dataset: bytes
    stored: bool
    owed: set[str]


@dataclass
class Tally:
    """What happened in one run."""

    acknowledged: int = 0
    refused: int = 0
    deaths: int = 0
    losses: int = 0
    faults: int = 0
    delivered: int = 0
    operations: int = 0

    def add(self, other: Tally) -> None:
        """Count another run."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True)
class Parts:
    """What a node is made of; a mutant of the product is made of others.

    Attributes:
        forgets: Kinds of syncs that do nothing: `losing_disk.kind`.
    """

    spool: type[Spool] = Spool
    journal: type[Journal] = Journal
    forgets: frozenset[str] = frozenset()


def mortal(parts: Parts) -> type[Journal]:
    """The journal of a process that may die: SQLite cannot pass on a death, so this does."""

    class Mortal(parts.journal):
        """Dies where the disk did."""

        disk: LosingDisk

        def rows(self, *arguments: object, **named: object) -> object:
            return self._or_die(super().rows, *arguments, **named)

        def write(self, *arguments: object, **named: object) -> object:
            return self._or_die(super().write, *arguments, **named)

        def checkpoint(self) -> None:
            self._or_die(super().checkpoint)

        def _or_die(
            self, act: Callable[..., object], *arguments: object, **named: object
        ) -> object:
            try:
                return act(*arguments, **named)
            finally:
                if self.disk.is_dead:
                    raise Died

    return Mortal


@dataclass
class Node:
    """One life of the node: from a start to a death."""

    spool: Spool
    journal: Journal
    ingest: Ingest
    workers: dict[str, Worker]
    receptions: list[tuple[Sent, Reception, list[bytes]]] = field(default_factory=list)
    due_at: dict[str, float] = field(default_factory=dict)

    @property
    def must_stop(self) -> bool:
        """Whether a sync has failed."""
        return self.spool.fatal.is_set() or self.journal.fatal.is_set()


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
        self._used = used
        self.chance = random.Random(seed)  # noqa: S311 - a seed is the point
        self.seed = seed
        self.parts = parts or Parts()
        self.tally = Tally()
        self.promises: dict[int, Promise] = {}
        self.expected: dict[str, set[bytes]] = {}
        self.now = 1_700_000_000.0
        self._sqlite = sqlite
        self._journal = mortal(self.parts)
        self._sending: Sent | None = None
        self._is_nested = False
        self.story: list[str] = []
        self._unanswered: list[Sent] = []
        self._opened: list[Journal | _Halved] = []
        self._swap = self._draws()
        self.destinations = {
            name: Destination(name, self.chance, self.clock, during=self._meanwhile)
            for name in ("pacs", "archive")
        }
        self.disk = LosingDisk(self.chance, self.parts.forgets)
        self._make_world()

    # ---- what the node takes from outside

    def clock(self) -> float:
        """Both clocks."""
        return self.now

    def _draws(self) -> Callable[[], float]:
        """Chance for the backoff, never so small that attempts could not be counted."""
        return lambda: 0.5 + self.chance.random() / 2

    def _engine(self, _route: object, _request: object) -> Engine:
        assert self._sending is not None
        return Engine(self._sending)

    # ---- running

    def run(self) -> Tally:
        """Let everything happen; raises Violated."""
        with self._sqlite.mounted(self.chance.randbytes):
            try:
                self._live()
            except Violated:
                raise
            except Exception as error:
                raise Violated(f"seed {self.seed}: {type(error).__name__}: {error}") from error
            finally:
                self._close()
        self.tally.operations += self.disk.operations
        return self.tally

    def _live(self) -> None:
        self.start()
        for _ in range(STEPS):
            self._survive(self.chance.choices(ACTIONS, WEIGHTS)[0])
        self._survive(Simulation._calm)
        if self.seed % 4 == 0:
            self._survive(Simulation._outage)
        self.disk.dies_at, self.disk.danger = None, 0.0
        self._drain()
        self.judge_all()
        self.crash(loss=self.chance.choice([None, *Loss]))
        self.judge_all()

    def _survive(self, act: Callable[[Simulation], None]) -> None:
        """Do something; a death in it is followed by a start."""
        self.tell(act.__name__.strip("_").replace("_", " "))
        try:
            act(self)
            if self.node.must_stop:
                self._fault_is_over()
                self.crash(loss=None)
        except Died:
            self.crash(loss=self._how_it_ends())
        self._is_nested = False

    def _how_it_ends(self) -> Loss | None:
        return self.chance.choice([None, Loss.EVERYTHING, Loss.ANYTHING])

    # ---- lives and deaths

    def _make_world(self) -> None:
        """The folder that the node is given: empty for some, as a stop has left it for others."""
        if self._used is not None and self.seed % FRESH_EVERY:
            self.disk.root = copy.deepcopy(self._used)
            return
        for path in (PurePosixPath("/srv"), PurePosixPath("/srv/anonode")):
            self.disk.make_folder(path)
            self.disk.root.durable = dict(self.disk.root.entries or {})
        self.disk.sync_node(self.disk.find(PurePosixPath("/srv")), "world")

    def start(self) -> None:
        """What the node does at its start, in its order; it may die in it."""
        for depth in range(DEEPEST + 1):
            if depth < DEEPEST and self.chance.random() < 0.25:
                self._doom(self.chance.randint(1, 40))
            try:
                self.node = self._begin()
            except Died:
                self._end(self._how_it_ends())
                continue
            except ScpError:
                # A fault in the start: the node exits, and is started again.
                self._fault_is_over()
                self._end(None)
                continue
            break
        else:
            self.disk.dies_at = None
            self.node = self._begin()
        self.judge_all()
        self.disk.danger = DANGER

    def _begin(self) -> Node:
        self._sqlite.disk = self.disk
        spool = self.parts.spool(Place(DATA), files=self.disk, random_bytes=self._names)
        path = spool.private_file(FILE_NAME)
        journal = self._open_journal(path, spool.fatal)
        self._opened.append(journal)
        recovery = spool.recover(_by_prefix(journal))
        self._demand(recovery.missing == (), "a row has no file")
        journal.give_back()
        sweep(journal, spool, Silence())
        ingest = Ingest(
            spool, journal, self._engine, wake=self._wake, log=Silence(), monotonic=self.clock
        )
        around = Surroundings(wall=self.clock, monotonic=self.clock, random=self._swap)
        workers = {
            name: Worker(name, journal, spool, destination.open, POLICY, around, Silence())
            for name, destination in self.destinations.items()
        }
        return Node(spool, journal, ingest, workers)

    def _open_journal(self, path: Place, fatal: threading.Event) -> Journal:
        self._journal.disk = self.disk
        journal = self._journal.__new__(self._journal)
        try:
            journal.__init__(path, wall=self.clock, fatal=fatal)
        except (JournalError, Died):
            if getattr(journal, "_writer", None) is not None:
                self._opened.append(_Halved(journal._writer))
            if self.disk.is_dead:
                raise Died from None
            raise
        return journal

    def _names(self, size: int) -> bytes:
        """Names by chance, in few folders."""
        return bytes([self.chance.randrange(3)]) if size == 1 else self.chance.randbytes(size)

    def crash(self, loss: Loss | None) -> None:
        """Death, with or without a loss of power; then the next start."""
        self._end(loss)
        self.start()

    def _end(self, loss: Loss | None) -> None:
        self.tell(f"death, loss {loss}")
        self._close()
        self.tally.deaths += 1
        self.tally.losses += loss is not None
        self.tally.operations += self.disk.operations
        self.disk = self.disk.after_death() if loss is None else self.disk.after_power(loss)

    def _close(self) -> None:
        """Let go of connections without a further word to the disk."""
        self.disk.dies_at = 0
        for journal in self._opened:
            journal.close()
        self._opened.clear()

    def _doom(self, operations: int) -> None:
        self.disk.dies_at = self.disk.operations + operations

    def _fault_is_over(self) -> None:
        self.disk.is_full = False
        self.disk.fails_sync_in = None

    # ---- steps

    def _receive(self) -> None:
        """Some sender goes on."""
        receptions = self.node.receptions
        if not receptions or (len(receptions) < 4 and self.chance.random() < 0.4):
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
        reception = self.node.ingest.open_store(PEER, sent.route, request)
        cut = self.chance.randint(0, len(sent.content))
        pieces = [piece for piece in (sent.content[:cut], sent.content[cut:]) if piece]
        self.node.receptions.append((sent, reception, pieces))

    def _store(self, sent: Sent) -> int:
        self._open_reception(sent)
        _, reception, pieces = self.node.receptions.pop()
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
        self._demand(not self.disk.is_full, "something is acknowledged on a full disk")
        self._demand(not self.disk.has_failed, "something is acknowledged after a failed sync")
        self.tally.acknowledged += 1
        self._unanswered.remove(sent)
        self._note(sent)
        return status

    def _note(self, sent: Sent) -> None:
        known = self.promises.setdefault(
            sent.number, Promise(sent.dataset, sent.route.store, set())
        )
        self._demand(known.dataset == sent.dataset, "other content is acknowledged under a UID")
        known.stored |= sent.route.store
        known.owed |= set(sent.route.forward)

    def _deliver(self) -> None:
        """A worker has its turn, if it is its time."""
        name = self.chance.choice(list(self.node.workers))
        if self.node.due_at.get(name, 0.0) <= self.now:
            self._turn(name)

    def _deliver_doomed(self) -> None:
        """The same, by a node that dies soon."""
        self._doom(self.chance.randint(1, 25))
        self._deliver()

    def _turn(self, name: str) -> float:
        try:
            wait_s = self.node.workers[name].turn()
        except ScpError:
            # What `Worker.run` does: the worker survives and waits.
            wait_s = POLICY.base_s
        if self.disk.is_dead:
            raise Died
        self.node.due_at[name] = self.now + wait_s
        return wait_s

    def _wake(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.node.due_at[name] = 0.0

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
            self.node.journal.checkpoint()

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

    def _stop_and_start(self) -> None:
        self.stop()
        self.disk = self.disk.after_death()
        self.start()

    def stop(self) -> None:
        """A stop, as the node does it."""
        for _, reception, _ in self.node.receptions:
            reception.abandon()
        self.node.receptions.clear()
        with suppress(ScpError):
            self.node.journal.empty_log()
        self.node.journal.close()
        self._opened.remove(self.node.journal)
        with suppress(ScpError):
            self.node.spool.close()
        if self.disk.is_dead:
            raise Died

    # ---- the end

    def _calm(self) -> None:
        """Faults are over; what is open is finished."""
        self._fault_is_over()
        for sent, reception, pieces in self.node.receptions:
            for piece in pieces:
                reception.feed(memoryview(piece))
            self._finish(sent, reception)
        self.node.receptions.clear()

    def _outage(self) -> None:
        """A destination is down for long: attempts are counted."""
        there = self.destinations["pacs"]
        there.mood = Mood.DOWN
        begun, before = self.now, len(there.opened_at)
        while self.now < begun + OUTAGE_S:
            self.now += max(0.01, min(self._turn(there.name), POLICY.cap_s))
        attempts = len(there.opened_at) - before
        self._demand(attempts <= most_attempts(OUTAGE_S), f"{attempts} attempts in an outage")

    def _drain(self) -> None:
        """All destinations are well: what can arrive arrives, within a time."""
        for destination in self.destinations.values():
            destination.mood = Mood.WELL
        self._calm()
        self._is_nested = True  # nobody sends any more
        fresh = Sent(NUMBERS + 1, b"fresh", ROUTES[2])
        self._demand(self._store(fresh) == 0, "receiving does not resume")
        limit = self.now + 3 * POLICY.cap_s
        while self._is_owed():
            self._demand(self.now < limit, "what is owed does not arrive in time")
            waits = [self._turn(name) for name in self.node.workers]
            self.now += min(max(0.01, min(waits)), POLICY.cap_s)

    def _is_owed(self) -> bool:
        """Whether an instance is open that its destination would take."""
        owed = sql.deliveries.c
        statement = (
            sa.select(owed.destination, sql.instances.c.sop_instance_uid)
            .join(sql.instances, sql.instances.c.id == owed.instance_id)
            .where(owed.state.in_(sql.OPEN))
        )
        rows = self.node.journal.rows(statement)
        return any(row[1] not in self.destinations[row[0]].poison for row in rows)

    # ---- judging

    def tell(self, event: str) -> None:
        """Something happens; who replays a seed looks at the story."""
        self.story.append(f"operation {self.disk.operations}: {event}")

    def _demand(self, holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not holds:
            raise Violated(f"seed {self.seed}: {sentence}")

    def judge_all(self) -> None:
        """Everything that holds after a start, whatever came before."""
        doom, self.disk.dies_at = self.disk.dies_at, None
        rows = self.node.journal.rows(sa.select(sql.instances))
        by_uid = {row.sop_instance_uid: row for row in rows}
        self._judge_files(rows)
        owed: dict[int, dict[str, sa.Row]] = {}
        for row in self.node.journal.rows(sa.select(sql.deliveries)):
            owed.setdefault(row.instance_id, {})[row.destination] = row
        for row in rows:
            self._judge_deliveries(row, owed.get(row.id, {}))
        for number, promise in self.promises.items():
            row = by_uid.get(uid(number))
            self._demand(row is not None, "an acknowledged instance is lost")
            self._judge_promise(row, owed.get(row.id, {}), promise)
        self._judge_destinations()
        self.disk.dies_at = doom

    def _judge_files(self, rows: Sequence[sa.Row]) -> None:
        """Files and rows are the same, and the bytes are whole."""
        named = {row.file_name for row in rows if row.file_name}
        top = PurePosixPath(DATA) / "instances"
        blank = {name for _, name in self.node.spool._root._blank}
        found = {
            f"{shard}/{name}"
            for shard in self.disk.names(top)
            for name in self.disk.names(top / shard)
        }
        self._demand(found - blank == named, "files and rows are not the same")
        for row in rows:
            if row.file_name:
                file = StoredFile(row.file_name, row.size_bytes, row.digest)
                self._demand(self.node.spool.intact(file), "a stored instance has other bytes")

    def _judge_deliveries(self, row: sa.Row, owed: dict[str, sa.Row]) -> None:
        states = {delivery.state for delivery in owed.values()}
        gone = not row.file_name
        self._demand(not (gone and row.store), "a stored instance is gone")
        self._demand(not gone or states <= {sql.DELIVERED}, "a file went before it was delivered")
        self._demand(DeliveryState.SENDING not in states, "something is on its way for ever")
        for delivery in owed.values():
            there = self.destinations[delivery.destination]
            has = row.sop_instance_uid in there.received
            if delivery.state == sql.DELIVERED:
                self._demand(has, "a delivery is noted that was never made")
            if delivery.state == sql.FAILED:
                self._judge_failure(row, delivery, there)

    def _judge_failure(self, row: sa.Row, delivery: sa.Row, there: Destination) -> None:
        self._demand(bool(delivery.last_outcome), "a delivery has failed without a reason")
        lost = any(flaw in delivery.last_outcome for flaw in FLAWS)
        self._demand(not lost, f"a delivery has failed: {delivery.last_outcome}")
        context = (row.sop_class_uid, row.transfer_syntax_uid)
        given = there.strikes(row.sop_instance_uid, context) >= POLICY.strikes
        expired = self.now - delivery.due_since > POLICY.lifetime_s
        self._demand(given or expired, "a delivery was given up without need")

    def _judge_promise(self, row: sa.Row, owed: dict[str, sa.Row], promise: Promise) -> None:
        self._demand(not promise.stored or bool(row.file_name), "a stored instance has no file")
        self._demand(promise.owed <= owed.keys(), "what is owed is forgotten")
        if row.file_name:
            file = StoredFile(row.file_name, row.size_bytes, row.digest)
            content = b"".join(self.node.spool.read(file, row.dataset_offset))
            self._demand(content == promise.dataset, "other content than was acknowledged")
        for name in promise.owed:
            if owed[name].state == sql.DELIVERED:
                received = self.destinations[name].received[row.sop_instance_uid]
                self._demand(promise.dataset in received, "other content was delivered")

    def _judge_destinations(self) -> None:
        for there in self.destinations.values():
            several = [uid for uid, versions in there.received.items() if len(versions) > 1]
            self._demand(not several, "two objects were sent under one UID")
            self.tally.delivered = max(self.tally.delivered, len(there.received))


class Worlds:
    """Runs seeds, in worlds where most nodes are not started for the first time."""

    def __init__(self) -> None:
        """Make a folder as a node leaves it that was started and stopped."""
        self._sqlite = SqliteDisk()
        first = Simulation(0, self._sqlite)
        with self._sqlite.mounted(first.chance.randbytes):
            first.node = first._begin()
            first.stop()
        self._used = first.disk.after_power(Loss.NOTHING).root

    def run(self, seed: int, parts: Parts | None = None) -> Tally:
        """Run one; raises Violated."""
        return self.simulation(seed, parts).run()

    def simulation(self, seed: int, parts: Parts | None = None) -> Simulation:
        """One that is to be run."""
        return Simulation(seed, self._sqlite, parts, self._used)


class _Halved:
    """A journal that could not be opened: half of it is to be closed."""

    def __init__(self, writer: Writer) -> None:
        self.close = writer.close


def most_attempts(duration_s: float) -> int:
    """How often a destination can be asked, if every wait is half of its bound at least."""
    attempts, waited_s = 1, 0.0
    while waited_s <= duration_s:
        waited_s += 0.5 * min(POLICY.cap_s, POLICY.base_s * 2 ** (attempts - 1))
        attempts += 1
    return attempts


def _by_prefix(journal: Journal) -> Callable[[str], frozenset[str]]:
    """What the journal says to each prefix, asked once for all: there are 256 of them."""
    by_shard: dict[str, set[str]] = {}
    for [name] in journal.rows(sql.FILES, {"first": "", "behind": "g"}):
        by_shard.setdefault(name[:3], set()).add(name)
    return lambda prefix: frozenset(by_shard.get(prefix, ()))


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
    Simulation._stop_and_start,
)
WEIGHTS = (20, 14, 18, 3, 8, 5, 1, 1, 1, 4, 2, 1, 1)

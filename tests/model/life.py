"""One life of the node in the simulation: the product's own parts, started in its own order."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar

from scp import journal_schema as sql
from scp import recovery as recoveries
from scp.errors import ScpError
from scp.forwarder import Policy, Surroundings, Worker, sweep
from scp.ingest import Ingest
from scp.journal import Journal
from scp.recovery import Recovery, end_well
from scp.spool import Spool
from tests.scp.disks import Died

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scp.ingest import MakeDeidentifier, Reception
    from tests.model.destinations import Destination
    from tests.model.losing_disk import LosingDisk
    from tests.model.sending import Sent
    from tests.model.sqlite_disk import SqliteDisk

DATA = "/srv/anonode/data"
POLICY = Policy(base_s=5.0, cap_s=900.0)


class Place(PurePosixPath):
    """A path on the disk of the simulation, with what the product asks of a real one."""

    sqlite: ClassVar[SqliteDisk]

    def touch(self, mode: int = 0o600) -> None:
        """It was made by the spool already."""

    def exists(self) -> bool:
        """Whether it is there."""
        return self.sqlite.content(self) is not None

    def read_bytes(self) -> bytes:
        """All of it."""
        content = self.sqlite.content(self)
        if content is None:
            raise FileNotFoundError
        return content

    def stat(self) -> SimpleNamespace:
        """Its size."""
        return SimpleNamespace(st_size=len(self.read_bytes()))

    def unlink(self) -> None:
        """Only SQLite's index, which lives in memory, is removed so."""
        self.sqlite.disk.indexes.pop(str(self), None)


class Silence:
    """A log that nobody reads; the errors in it are remembered."""

    def __init__(self) -> None:
        """Begin."""
        self.errors: list[str] = []

    def info(self, event: str, /, **fields: str | float) -> None:
        """Say nothing."""

    warning = info

    def error(self, event: str, /, **fields: str | float) -> None:
        """Something is wrong."""
        del fields
        self.errors.append(event)


@dataclass(frozen=True)
class Parts:
    """What a node is made of; a mutant of the product is made of others.

    Attributes:
        forgets: Kinds of syncs that do nothing: `losing_disk.kind`.
    """

    spool: type[Spool] = Spool
    journal: type[Journal] = Journal
    forgets: frozenset[str] = frozenset()


@dataclass
class World:
    """What a node takes from outside.

    Attributes:
        is_checked: Whether the journal as a whole is checked at every start, as one is that is
            not large; the judge reads all of it in any case.
    """

    sqlite: SqliteDisk
    clock: Callable[[], float]
    random: Callable[[], float]
    names: Callable[[int], bytes]
    engine: MakeDeidentifier
    destinations: Mapping[str, Destination]
    wake: Callable[[tuple[str, ...]], None]
    is_checked: bool


class Mortal:
    """What a journal has in a process that may die: SQLite cannot pass on a death, so this does.

    Mixed in before a journal, which thereby dies where its disk did.
    """

    disk: ClassVar[LosingDisk]
    opened: ClassVar[list[Mortal]]

    def __init__(self, *arguments: object, **named: object) -> None:
        """Open it, and see to it that it is closed one day, also if it cannot be opened."""
        self.by_shard: dict[str, frozenset[str]] | None = None
        self.opened.append(self)
        self._or_die(super().__init__, *arguments, **named)

    def close(self) -> None:
        """Close what was opened."""
        for part, end in (("_writer", "close"), ("_reader", "dispose")):
            if getattr(self, part, None) is not None:
                getattr(getattr(self, part), end)()

    def rows(self, *arguments: object, **named: object) -> object:
        return self._or_die(super().rows, *arguments, **named)

    def write(self, *arguments: object, **named: object) -> object:
        return self._or_die(super().write, *arguments, **named)

    def checkpoint(self) -> None:
        self._or_die(super().checkpoint)

    def empty_log(self) -> None:
        self._or_die(super().empty_log)

    def files(self, prefix: str) -> frozenset[str]:
        """Asked once for all: a start asks for 256 prefixes."""
        if self.by_shard is None:
            self.by_shard = {}
            for [name] in self.rows(sql.FILES, {"first": "", "behind": "g"}):
                known = self.by_shard.get(name[:3], frozenset())
                self.by_shard[name[:3]] = known | {name}
        return self.by_shard.get(prefix, frozenset())

    def _or_die(self, act: Callable[..., object], *arguments: object, **named: object) -> object:
        try:
            return act(*arguments, **named)
        finally:
            if self.disk.is_dead:
                raise Died


@dataclass
class Life:
    """From a start to a death."""

    disk: LosingDisk
    log: Silence = field(default_factory=Silence)
    receptions: list[tuple[Sent, Reception, list[bytes]]] = field(default_factory=list)
    due_at: dict[str, float] = field(default_factory=dict)
    _opened: list[Mortal] = field(default_factory=list)

    def begin(self, parts: Parts, world: World) -> None:
        """Start as the node does: put the folder in order, then be ready for everything."""
        world.sqlite.disk = self.disk
        self.spool = parts.spool(Place(DATA), files=self.disk, random_bytes=world.names)
        recovery = Recovery(self.spool, log=self.log)
        with self._replaced(parts, world):
            self.journal = recovery.journal(world.clock)
        recovery.put_in_order(self.journal)
        self.journal.by_shard = None
        self.journal.give_back()
        sweep(self.journal, self.spool, self.log)
        self.ingest = Ingest(
            self.spool,
            self.journal,
            world.engine,
            wake=world.wake,
            log=self.log,
            monotonic=world.clock,
        )
        around = Surroundings(wall=world.clock, monotonic=world.clock, random=world.random)
        self.workers = {
            name: Worker(name, self.journal, self.spool, there.open, POLICY, around, self.log)
            for name, there in world.destinations.items()
        }

    def stop(self) -> None:
        """Stop as the node does."""
        for _, reception, _ in self.receptions:
            reception.abandon()
        self.receptions.clear()
        with suppress(ScpError):
            end_well(self.journal)
        self.journal.close()
        self._opened.remove(self.journal)
        with suppress(ScpError):
            self.spool.close()
        if self.disk.is_dead:
            raise Died

    def end(self) -> None:
        """Let go of connections without a further word to the disk."""
        self.disk.dies_at = 0
        while self._opened:
            self._opened.pop().close()

    @property
    def must_stop(self) -> bool:
        """Whether a sync has failed."""
        return self.spool.fatal.is_set() or self.journal.fatal.is_set()

    @contextmanager
    def _replaced(self, parts: Parts, world: World) -> Iterator[None]:
        mixed = {"disk": self.disk, "opened": self._opened}
        recoveries.Journal = type("MortalJournal", (Mortal, parts.journal), mixed)
        usual = recoveries.MOST_CHECKED_BYTES
        recoveries.MOST_CHECKED_BYTES = usual if world.is_checked else 0
        try:
            yield
        finally:
            recoveries.Journal = Journal
            recoveries.MOST_CHECKED_BYTES = usual

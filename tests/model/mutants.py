"""The product with one of its safeguards taken away: each must make the simulation fail.

A mutant that no seed finds would mean that a test of durability could not fail, or that the
safeguard is not needed.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from scp import journal as journals
from scp import journal_schema as sql
from scp import patience
from scp.forwarder import Worker
from scp.instance import StoredFile
from scp.journal import Added, Journal, Writer, add_instance
from scp.spool import Draft, Recovery, Spool
from tests.model.life import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scp.instance import DueDelivery, NewInstance
    from scp.logs import Log


@dataclass(frozen=True)
class Mutant:
    """The product without one safeguard.

    Attributes:
        lacks: What it does not do, in words.
        parts: What is replaced by a class or left out below.
        patches: What is replaced in place: owner, name, replacement.
    """

    lacks: str
    parts: Parts = field(default_factory=Parts)
    patches: tuple[tuple[object, str, object], ...] = ()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the product be this mutant inside the block."""
        before = [(owner, name, vars(owner)[name]) for owner, name, _ in self.patches]
        for owner, name, replacement in self.patches:
            setattr(owner, name, replacement)
        try:
            yield
        finally:
            for owner, name, original in before:
                setattr(owner, name, original)


def forgetting(*kinds: str) -> Parts:
    """No syncs of these kinds."""
    return Parts(forgets=frozenset(kinds))


def always(mode: str) -> Callable[..., None]:
    """A `Writer._synchronous` that never asks SQLite for more than this."""

    def synchronous(self: Writer, *, durable: bool) -> None:
        del durable
        self.raw.execute(f"PRAGMA synchronous={mode}")

    return synchronous


# ---------------------------------------------------------------------------- receiving


def seal_unsynced(self: Draft) -> StoredFile:
    """Describe the file, and sync it when it is kept: after the journal has named it."""
    return StoredFile(self._name, self._size, self._digest.hexdigest())


def keep_and_sync(self: Draft) -> None:
    """The sync that comes too late."""
    if self._descriptor is not None:
        self._root.files.sync(self._descriptor)
        self._root.files.close(self._descriptor)
        self._descriptor = None
    self._name = ""


def discard_nothing(self: Draft) -> None:
    """Leave the file of a refused instance."""
    if self._descriptor is not None:
        self._root.files.close(self._descriptor)
    self._descriptor, self._name = None, ""


class Hasty(Journal):
    """Answers what it will commit, and commits it with the next write."""

    _late: NewInstance | None = None

    def add(self, new: NewInstance) -> Added:
        """Say what would become of it."""
        self._catch_up()
        self._late = new

        def rehearse(writer: Writer) -> Added:
            writer.raw.execute("SAVEPOINT rehearsal")
            added = add_instance(writer, new, self.now())
            writer.raw.execute("ROLLBACK TO rehearsal")
            return added

        return super().write(rehearse, durable=True)

    def write(self, work: Callable[[Writer], Any], *, durable: bool) -> object:
        """Commit what is late first."""
        self._catch_up()
        return super().write(work, durable=durable)

    def rows(self, *arguments: Any, **named: Any) -> Any:
        """Likewise."""
        self._catch_up()
        return super().rows(*arguments, **named)

    def _catch_up(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            super().write(lambda writer: add_instance(writer, late, self.now()), durable=True)


class Lazy(Journal):
    """Adds instances without asking for a sync."""

    def add(self, new: NewInstance) -> Added:
        """Add one."""
        return self.write(lambda writer: add_instance(writer, new, self.now()), durable=False)


# ---------------------------------------------------------------------------- delivering


class Confident(Journal):
    """Notes a delivery as made when it begins."""

    def mark_sending(self, deliveries: Sequence[DueDelivery]) -> None:
        """Mark them as if they had been answered."""
        super().mark_sending(deliveries)
        ids = [delivery.id for delivery in deliveries]
        statement = (
            sa.update(sql.deliveries)
            .where(sql.deliveries.c.id.in_(ids))
            .values(state=sql.DELIVERED)
        )
        self.write(lambda writer: writer.core.execute(statement), durable=False)


class Forgiving(Journal):
    """Lets go of files without asking for a sync, so that they are removed before."""

    def sweep(self) -> tuple[str, ...]:
        """Let go of some."""
        return self.write(journals._sweep, durable=False)


def remove_before_mark(journal: Journal, spool: Spool, log: Log) -> None:
    """Remove the files first, and note it then."""
    del log
    while names := [row.file_name for row in journal.rows(sql.UNOWED)]:
        for name in names:
            spool.remove(name)
        journal.sweep()


class Stubborn(Journal):
    """Leaves what was on its way at a death as it is."""

    def give_back(self, destination: str | None = None) -> int:
        """Give back for one destination, never for all."""
        return 0 if destination is None else super().give_back(destination)


# ---------------------------------------------------------------------------- starting, failing


class Untidy(Spool):
    """Deletes no file at its start."""

    def recover(self, named: Callable[[str], frozenset[str]], **options: Any) -> Recovery:
        """Find everything named."""
        root = self._root

        def all_there(prefix: str) -> frozenset[str]:
            shard = prefix[:-1]
            if shard not in root.files.names(root.path):
                return named(prefix)
            there = root.files.names(root.path / shard)
            return named(prefix) | {f"{shard}/{name}" for name in there}

        return super().recover(all_there, **options)


class Deaf(threading.Event):
    """Is never set."""

    def set(self) -> None:
        """Nobody hears it."""


class Blithe(Spool):
    """Goes on after a sync has failed, and lets the journal do so."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Be a spool."""
        super().__init__(*arguments, **named)
        self._root.fatal = Deaf()


SYNCS = (
    Mutant("no sync of a file", forgetting("file")),
    Mutant("no sync of the folder of new files", forgetting("shard")),
    Mutant("no sync of the parent of a new folder", forgetting("instances")),
    # SQLite syncs the data folder too when it makes its log; so both must be taken away.
    Mutant("no sync of the data folder", forgetting("data", "SQLite's data")),
    Mutant("no sync of the folders above", forgetting("above")),
    Mutant("no sync of the journal's log", forgetting("log")),
    Mutant("no sync of the journal's database", forgetting("database")),
    Mutant("journal with synchronous=OFF", patches=((Writer, "_synchronous", always("OFF")),)),
    Mutant(
        "journal with synchronous=NORMAL", patches=((Writer, "_synchronous", always("NORMAL")),)
    ),
    Mutant("no sync for a new instance's row", Parts(journal=Lazy)),
    Mutant("no sync of the mark before the unlink", Parts(journal=Forgiving)),
    Mutant(
        "no sync of what an earlier life left in the log",
        patches=((Spool, "renew_private", lambda *_: None),),
    ),
)
"""Each sync of the product."""

ORDERS = (
    Mutant(
        "file synced after the journal names it",
        patches=((Draft, "seal", seal_unsynced), (Draft, "keep", keep_and_sync)),
    ),
    Mutant("answer before the commit", Parts(journal=Hasty)),
    Mutant(
        "unlink before the mark",
        patches=((sys.modules[Worker.__module__], "sweep", remove_before_mark),),
    ),
    Mutant("delivered before the answer", Parts(journal=Confident)),
    Mutant("nothing given back at the start", Parts(journal=Stubborn)),
    Mutant("nothing deleted at the start", Parts(spool=Untidy)),
    Mutant("nothing deleted after a refusal", patches=((Draft, "discard", discard_nothing),)),
    Mutant("goes on after a failed sync", Parts(spool=Blithe)),
    Mutant(
        "asks again at once",
        patches=((patience, "next_attempt", lambda *_: 30.0),),
    ),
)
"""Each order that is promised, and what a start or a failure puts right."""

"""What is where and what is owed: the durable facts, and the only user of SQLAlchemy.

The promise:

1. `add` returns when the instance and a delivery per destination are durable: one transaction,
   SQLite in WAL mode with synchronous=FULL. Threads that commit at the same moment share one
   transaction and one sync; a thread that is alone waits for nobody.
2. One row per SOP Instance UID, whoever comes first; the database decides, not a look before.
3. Notes about deliveries are committed without a sync of their own. They become durable with the
   next instance; a crash that loses one costs a second delivery of equal bytes, never an
   instance. What must not be lost before a file goes is committed durably (`sweep`).
4. Only values of de-identified instances are written, and no message quotes one.
5. Any number of processes may read while the node runs, and one may write between its commits.

Statements are SQLAlchemy Core and stand together below. Those of the receiving path are compiled
once and run on the driver's own cursor: three times as fast, and it is the path that counts.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from scp.errors import JournalError, OutOfSpace, ScpError
from scp.instance import (
    DeliveryRecord,
    DeliveryState,
    DueDelivery,
    InstanceRecord,
    QueueLine,
    StoredFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from scp.instance import NewInstance

SCHEMA_VERSION: Final = 1
"""PRAGMA user_version of a journal that this code writes."""
APPLICATION_ID: Final = 0x414E4F44
"""PRAGMA application_id: `ANOD`."""
CHECKPOINT_PAGES: Final = 8192
"""WAL pages (4 KiB) after which a commit has to checkpoint by itself, if `checkpoint` is not
called: about a thousand instances."""
BUSY_S: Final = 10.0
"""How long to wait for another process that is writing."""
SWEEP_FILES: Final = 256
"""Files let go in one transaction."""

# ---------------------------------------------------------------------------- schema

_metadata: Final = sa.MetaData()

_instances: Final = sa.Table(
    "instances",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sop_instance_uid", sa.Text, nullable=False, unique=True),
    sa.Column("sop_class_uid", sa.Text, nullable=False),
    sa.Column("transfer_syntax_uid", sa.Text, nullable=False),
    sa.Column("study_instance_uid", sa.Text, nullable=False),
    sa.Column("series_instance_uid", sa.Text, nullable=False),
    sa.Column("patient_id", sa.Text, nullable=False),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("dataset_offset", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("calling_ae", sa.Text, nullable=False),
    sa.Column("called_ae", sa.Text, nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("store", sa.Boolean, nullable=False),
)
# A swept instance keeps its row without a file name, so that a late resend is recognised.
sa.Index(
    "instances_file", _instances.c.file_name, unique=True, sqlite_where=_instances.c.file_name > ""
)
sa.Index(
    "instances_transient",
    _instances.c.id,
    sqlite_where=sa.and_(_instances.c.store.is_(False), _instances.c.file_name > ""),
)
sa.Index("instances_study", _instances.c.study_instance_uid)

_deliveries: Final = sa.Table(
    "deliveries",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("instance_id", sa.ForeignKey("instances.id"), nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("refusals", sa.Integer, nullable=False),
    sa.Column("due_since", sa.Float, nullable=False),
    sa.Column("next_attempt_at", sa.Float, nullable=False),
    sa.Column("last_status", sa.Integer),
    sa.Column("last_outcome", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.UniqueConstraint("instance_id", "destination"),
)
# In the order in which a destination is served: what was never tried before what failed.
sa.Index(
    "deliveries_turn",
    _deliveries.c.destination,
    _deliveries.c.state,
    _deliveries.c.attempts,
    _deliveries.c.id,
)

_destinations: Final = sa.Table(
    "destinations",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Float, nullable=False),
    sa.Column("last_outcome", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
)

# ---------------------------------------------------------------------------- statements

_DUE = DeliveryState.DUE.value
_SENDING = DeliveryState.SENDING.value
_DELIVERED = DeliveryState.DELIVERED.value
_FAILED = DeliveryState.FAILED.value
_HELD = DeliveryState.HELD.value
_OPEN = (_DUE, _SENDING, _HELD)
_AFRESH = {
    "state": _DUE,
    "attempts": 0,
    "refusals": 0,
    "next_attempt_at": 0.0,
}
"""A delivery that has everything before it."""


class _Hot:
    """A statement of the receiving path: compiled once, run on the driver's cursor."""

    def __init__(self, statement: sa.ClauseElement, columns: Iterable[str] | None = None) -> None:
        compiled = statement.compile(
            dialect=sqlite.dialect(paramstyle="qmark"),
            column_keys=None if columns is None else list(columns),
        )
        order = cast("sa.engine.interfaces.Any", compiled).positiontup
        self._sql = str(compiled)
        self._single = order[0] if len(order) == 1 else None
        self._pick = itemgetter(*order)

    def run(self, connection: sqlite3.Connection, values: dict[str, Any]) -> sqlite3.Cursor:
        picked = self._pick(values)
        return connection.execute(self._sql, (picked,) if self._single else picked)


_INSTANCE_COLUMNS = tuple(column.name for column in _instances.c if column.name != "id")
_DELIVERY_COLUMNS = tuple(column.name for column in _deliveries.c if column.name != "id")

_ADD_INSTANCE = _Hot(
    sqlite.insert(_instances)
    .on_conflict_do_nothing(index_elements=["sop_instance_uid"])
    .returning(_instances.c.id),
    _INSTANCE_COLUMNS,
)
_ADD_DELIVERY = _Hot(sa.insert(_deliveries), _DELIVERY_COLUMNS)
_SETTLE = _Hot(
    sa.update(_deliveries)
    .where(_deliveries.c.id == sa.bindparam("delivery"))
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in (
                "state",
                "attempts",
                "refusals",
                "next_attempt_at",
                "last_status",
                "last_outcome",
                "changed_at",
            )
        }
    )
)
_KNOWN = sa.select(
    _instances.c.id, _instances.c.digest, _instances.c.file_name, _instances.c.store
).where(_instances.c.sop_instance_uid == sa.bindparam("uid"))
_OWED = sa.select(_deliveries.c.destination, _deliveries.c.state).where(
    _deliveries.c.instance_id == sa.bindparam("instance")
)
_FILES = (
    sa.select(_instances.c.file_name)
    .where(_instances.c.file_name > "")
    .where(_instances.c.file_name >= sa.bindparam("first"))
    .where(_instances.c.file_name < sa.bindparam("behind"))
)
_TURN = (
    sa.select(
        _deliveries.c.id,
        _instances.c.sop_instance_uid,
        _instances.c.sop_class_uid,
        _instances.c.transfer_syntax_uid,
        _instances.c.file_name,
        _instances.c.size_bytes,
        _instances.c.digest,
        _instances.c.dataset_offset,
        _deliveries.c.attempts,
        _deliveries.c.refusals,
        _deliveries.c.due_since,
    )
    .join(_instances, _instances.c.id == _deliveries.c.instance_id)
    .where(_deliveries.c.destination == sa.bindparam("destination"))
    .where(_deliveries.c.state.in_((_DUE, _HELD)))
    # A moment beyond the longest wait there is comes from a clock that was set back since.
    .where(
        sa.or_(
            _deliveries.c.next_attempt_at <= sa.bindparam("now"),
            _deliveries.c.next_attempt_at > sa.bindparam("horizon"),
        )
    )
    .order_by(_deliveries.c.attempts, _deliveries.c.id)
    .limit(sa.bindparam("limit"))
)
_NEXT_TURN = (
    sa.select(sa.func.min(_deliveries.c.next_attempt_at))
    .where(_deliveries.c.destination == sa.bindparam("destination"))
    .where(_deliveries.c.state.in_((_DUE, _HELD)))
)
_MARK_SENDING = (
    sa.update(_deliveries)
    .where(_deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(state=_SENDING, changed_at=sa.bindparam("now"))
)
_GIVE_BACK = (
    sa.update(_deliveries)
    .where(_deliveries.c.state == _SENDING)
    .values(state=_DUE, changed_at=sa.bindparam("now"))
)
_HOLD = (
    sa.update(_deliveries)
    .where(_deliveries.c.destination == sa.bindparam("name"))
    .where(_deliveries.c.state == _DUE)
    .values(state=_HELD, last_outcome=sa.bindparam("outcome"), changed_at=sa.bindparam("now"))
)
_RELEASE = (
    sa.update(_deliveries)
    .where(_deliveries.c.destination == sa.bindparam("name"))
    .where(_deliveries.c.state == _HELD)
    .values(state=_DUE, changed_at=sa.bindparam("now"))
)
_EXPIRE = (
    sa.update(_deliveries)
    .where(_deliveries.c.destination == sa.bindparam("name"))
    .where(_deliveries.c.state == _DUE)
    .where(_deliveries.c.due_since < sa.bindparam("before"))
    .values(state=_FAILED, last_outcome=sa.bindparam("outcome"), changed_at=sa.bindparam("now"))
)
_insert_destination = sqlite.insert(_destinations)
_NOTE_DESTINATION = _insert_destination.on_conflict_do_update(
    index_elements=["name"],
    set_={
        name: _insert_destination.excluded[name]
        for name in ("failures", "next_attempt_at", "last_outcome", "changed_at")
    },
)
_UNOWED = (
    sa.select(_instances.c.id, _instances.c.file_name)
    .where(_instances.c.store.is_(False))
    .where(_instances.c.file_name > "")
    .where(
        ~sa.exists()
        .where(_deliveries.c.instance_id == _instances.c.id)
        .where(_deliveries.c.state != _DELIVERED)
    )
    .limit(SWEEP_FILES)
)
_FORGET_FILES = (
    sa.update(_instances)
    .where(_instances.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(file_name="")
)
_COUNTS = (
    sa.select(
        _deliveries.c.destination,
        _deliveries.c.state,
        sa.func.count(),
        sa.func.min(_deliveries.c.due_since),
        sa.func.min(_deliveries.c.next_attempt_at),
    )
    .group_by(_deliveries.c.destination, _deliveries.c.state)
    .order_by(_deliveries.c.destination, _deliveries.c.state)
)
_LAST_OUTCOME = (
    sa.select(_deliveries.c.last_outcome)
    .where(_deliveries.c.destination == sa.bindparam("destination"))
    .where(_deliveries.c.state == sa.bindparam("state"))
    .where(_deliveries.c.last_outcome > "")
    .order_by(_deliveries.c.changed_at.desc())
    .limit(1)
)

# ---------------------------------------------------------------------------- facts


class Verdict(Enum):
    """What the journal says to a new instance; each value is a sentence."""

    STORED = "new: it is stored and owed"
    KNOWN = "the same bytes are stored already"
    CONFLICT = "other bytes are stored under this SOP Instance UID"


@dataclass(frozen=True, slots=True)
class Added:
    """What became of `Journal.add`.

    Attributes:
        instance_id: The row, of the first copy where it was known.
        owed: The destinations that are owed it since now; wake them.
        kept: Whether the journal names the file that was offered; if not, discard it.
        replaced: A file that it named before and that must go; empty if none.
    """

    verdict: Verdict
    instance_id: int
    owed: tuple[str, ...] = ()
    kept: bool = False
    replaced: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt changes in a delivery; `next_attempt_at` is seconds since 1970, UTC."""

    delivery_id: int
    state: DeliveryState
    attempts: int
    refusals: int
    next_attempt_at: float
    last_status: int | None
    last_outcome: str


@dataclass(frozen=True, slots=True)
class DestinationNote:
    """How a destination as a whole is doing.

    Attributes:
        failures: Failed attempts since it last worked.
        next_attempt_at: Not before this moment (seconds since 1970, UTC); 0.0: at once.
        last_outcome: Why; empty when it works.
    """

    failures: int = 0
    next_attempt_at: float = 0.0
    last_outcome: str = ""


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Which instances to list; None means whatever it is."""

    study_instance_uid: str | None = None
    patient_id: str | None = None
    modality: str | None = None
    calling_ae: str | None = None
    destination: str | None = None
    state: DeliveryState | None = None


# ---------------------------------------------------------------------------- group commit

T = TypeVar("T")


class _Ticket(Generic[T]):
    """A piece of work that waits for a transaction."""

    __slots__ = ("done", "durable", "error", "result", "turn", "work")

    def __init__(self, work: Callable[[_Writer], T], *, durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.turn: threading.Event | None = None
        self.done = False
        self.error: BaseException | None = None
        self.result: T | None = None


class _CommitQueue:
    """Runs work in transactions; the first who comes commits for all who come meanwhile.

    The leader commits one batch, then hands the lead to the first of those who came during that
    commit. So nobody waits for more than the commit in progress and his own.
    """

    def __init__(self, commit: Callable[[list[_Ticket[Any]]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[_Ticket[Any]] = []
        self._busy = False

    def run(self, ticket: _Ticket[T]) -> T:
        """Return what the work returned, committed; raises what it or the commit raised."""
        with self._lock:
            self._waiting.append(ticket)
            if self._busy:
                ticket.turn = threading.Event()
            self._busy = True
        if ticket.turn is not None:
            ticket.turn.wait()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return cast("T", ticket.result)

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._commit(batch)
        finally:
            with self._lock:
                heir = self._waiting[0] if self._waiting else None
                self._busy = heir is not None
            for ticket in batch:
                ticket.done = True
                if ticket.turn is not None:
                    ticket.turn.set()
            if heir is not None and heir.turn is not None:
                heir.turn.set()


class _Writer:
    """The one connection that writes; used only by the leader of the commit queue."""

    def __init__(self, engine: sa.Engine) -> None:
        # Transactions are begun and ended here, by hand: the driver's own would not be IMMEDIATE.
        self.core = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.raw = cast("sqlite3.Connection", self.core.connection.driver_connection)
        self._durable: bool | None = None

    def transaction(self, tickets: list[_Ticket[Any]]) -> None:
        """Run all of `tickets` in one transaction, synced if one of them asks for it."""
        self._synchronous(durable=any(ticket.durable for ticket in tickets))
        self.raw.execute("BEGIN IMMEDIATE")
        try:
            for ticket in tickets:
                ticket.result = ticket.work(self)
            self.raw.execute("COMMIT")
        except BaseException:
            if self.raw.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self.raw.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self.core.close()

    def _synchronous(self, *, durable: bool) -> None:
        if durable is not self._durable:
            self.raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable


# ---------------------------------------------------------------------------- journal


class Journal:
    """The journal of one node, safe for use by many threads.

    Args of the constructor:
        path: The database; its folder exists. It is made if absent and not `read_only`.
        wall: The clock of the timestamps, seconds since 1970.
        read_only: Only look, as the command line does; the node may be running.
    """

    def __init__(
        self, path: Path, *, wall: Callable[[], float] = time.time, read_only: bool = False
    ) -> None:
        """Open the journal and bring its schema into being.

        Raises:
            JournalError: It cannot be opened, is no journal, or is of a newer version.
        """
        self.fatal = threading.Event()
        """Set when a sync of the database has failed: stop the node and start it again."""
        self._wall = wall
        self._writer: _Writer | None = None
        if not read_only:
            self._writer = self._open_writer(path)
        elif not path.exists():
            raise JournalError("there is no journal yet: nothing was received")
        self._reader = _engine(path, "ro", sa.pool.QueuePool)
        with self._translated():
            self._check_version()
        self._queue = _CommitQueue(self._commit)

    def close(self) -> None:
        """Close every connection; the journal cannot be used any more."""
        if self._writer is not None:
            self._writer.close()
            self._writer.core.engine.dispose()
        self._reader.dispose()

    def checkpoint(self) -> None:
        """Move what is committed into the database proper; call it every few seconds.

        Commits go on meanwhile. Keeps this work away from the threads that receive.

        Raises:
            JournalError: It cannot be done.
        """
        with self._translated(), self._writer_engine().connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    # ---- receiving

    def add(self, new: NewInstance) -> Added:
        """Name a durable file and owe it to its destinations; durable on return.

        If the same bytes are known, only what is missing is added: destinations that are not
        owed it yet, and those where it had failed, since a resend is how people ask for another
        attempt.

        Raises:
            OutOfSpace: The disk is full.
            JournalError: It could not be committed.
        """
        now = self._wall()
        return self._write(lambda writer: _add(writer, new, now), durable=True)

    # ---- delivering

    def due(
        self,
        destination: str,
        limit: int,
        *,
        horizon_s: float,
        without: frozenset[tuple[str, str]] = frozenset(),
    ) -> list[DueDelivery]:
        """What a destination can be sent now, in the order to send it.

        Args:
            destination: Its name.
            limit: At most so many.
            horizon_s: The longest wait that there is; a moment beyond it counts as now.
            without: Presentation contexts to leave out.
        """
        statement = _TURN
        if without:
            pair = sa.tuple_(_instances.c.sop_class_uid, _instances.c.transfer_syntax_uid)
            statement = statement.where(pair.not_in(sorted(without)))
        now = self._wall()
        values = {
            "destination": destination,
            "now": now,
            "horizon": now + horizon_s,
            "limit": limit,
        }
        return [_due(row) for row in self._rows(statement, values)]

    def next_turn_in_s(self, destination: str) -> float | None:
        """Seconds until something is due, 0.0 if it is; None if nothing is owed."""
        [(moment,)] = self._rows(_NEXT_TURN, {"destination": destination})
        return None if moment is None else max(0.0, moment - self._wall())

    def mark_sending(self, deliveries: Sequence[DueDelivery]) -> None:
        """Note that these are part of the association that is open now."""
        values = {"ids": [delivery.id for delivery in deliveries], "now": self._wall()}
        self._write(lambda writer: writer.core.execute(_MARK_SENDING, values), durable=False)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Note what became of some deliveries."""
        now = self._wall()

        def work(writer: _Writer) -> None:
            for settlement in settlements:
                _SETTLE.run(writer.raw, _settled(settlement, now))

        self._write(work, durable=False)

    def give_back(self, destination: str | None = None) -> int:
        """Make due what is marked as sending: at start for all, later for one destination."""
        statement = _GIVE_BACK
        if destination is not None:
            statement = statement.where(_deliveries.c.destination == destination)
        values = {"now": self._wall()}
        return self._write(lambda writer: _count(writer, statement, values), durable=False)

    def note_destination(self, name: str, note: DestinationNote, *, hold: bool = False) -> None:
        """Note how a destination is doing, and hold or release what it is owed."""
        now = self._wall()
        values = {
            "name": name,
            "failures": note.failures,
            "next_attempt_at": note.next_attempt_at,
            "last_outcome": note.last_outcome,
            "changed_at": now,
        }

        def work(writer: _Writer) -> None:
            writer.core.execute(_NOTE_DESTINATION, values)
            statement = _HOLD if hold else _RELEASE
            bound = {"name": name, "now": now, "outcome": note.last_outcome}
            writer.core.execute(statement, {key: bound[key] for key in _names(statement)})

        self._write(work, durable=False)

    def destination(self, name: str) -> DestinationNote:
        """How a destination is doing, as last noted."""
        statement = sa.select(
            _destinations.c.failures,
            _destinations.c.next_attempt_at,
            _destinations.c.last_outcome,
        ).where(_destinations.c.name == name)
        rows = self._rows(statement)
        return DestinationNote(*rows[0]) if rows else DestinationNote()

    def expire(self, destination: str, *, lifetime_s: float, outcome: str) -> int:
        """Give up what has been due for longer than its lifetime; how many there were."""
        now = self._wall()
        values = {
            "name": destination,
            "before": now - lifetime_s,
            "outcome": outcome,
            "now": now,
        }
        return self._write(lambda writer: _count(writer, _EXPIRE, values), durable=False)

    def sweep(self) -> tuple[str, ...]:
        """Let go of files that are not to be stored and that nobody is owed any more.

        Durable on return, so that the files may be removed; a bounded number at a time.
        """
        if not self._rows(_UNOWED.limit(1)):
            return ()
        return self._write(_sweep, durable=True)

    # ---- starting

    def files(self, prefix: str) -> frozenset[str]:
        """The names of all files that begin with `prefix`, which ends in a slash."""
        values = {"first": prefix, "behind": prefix[:-1] + chr(ord("/") + 1)}
        return frozenset(row[0] for row in self._rows(_FILES, values))

    def lose(self, names: Sequence[str], *, outcome: str) -> None:
        """Note that files are gone: what is owed of them has failed, a resend brings them back."""
        now = self._wall()

        def work(writer: _Writer) -> None:
            for name in names:
                _lose(writer, name, outcome, now)

        self._write(work, durable=True)

    # ---- asking

    def instances(
        self, which: InstanceFilter | None = None, *, limit: int = 100
    ) -> list[InstanceRecord]:
        """The newest instances first, without their deliveries."""
        statement = sa.select(_instances).order_by(_instances.c.id.desc()).limit(limit)
        for condition in _conditions(which or InstanceFilter()):
            statement = statement.where(condition)
        return [_instance(row) for row in self._rows(statement)]

    def instance(self, key: int | str) -> InstanceRecord | None:
        """One instance with its deliveries, by its number or its (new) SOP Instance UID."""
        column = _instances.c.id if isinstance(key, int) else _instances.c.sop_instance_uid
        rows = self._rows(sa.select(_instances).where(column == key))
        if not rows:
            return None
        found = _instance(rows[0])
        statement = sa.select(_deliveries).where(_deliveries.c.instance_id == found.id)
        return replace(
            found, deliveries=tuple(_delivery(row) for row in self._rows(statement))
        )

    def queue(self) -> list[QueueLine]:
        """What each destination is owed, had, or failed to get: one line per state."""
        return [self._queue_line(*row) for row in self._rows(_COUNTS)]

    def retry(self, *, destination: str | None = None, instance_id: int | None = None) -> int:
        """Make failed and held deliveries due at once; how many there were.

        Args:
            destination: Only those of one destination.
            instance_id: Only those of one instance.

        Raises:
            JournalError: It could not be committed.
        """
        now = self._wall()
        return self._write(
            lambda writer: _retry(writer, destination, instance_id, now), durable=True
        )

    # ---- inside

    def _queue_line(
        self, destination: str, state: str, count: int, oldest_at: float, turn_at: float
    ) -> QueueLine:
        note = self.destination(destination)
        waits = state in (_DUE, _HELD)
        outcome = note.last_outcome if waits else ""
        if not outcome and state != _DELIVERED:
            rows = self._rows(_LAST_OUTCOME, {"destination": destination, "state": state})
            outcome = rows[0][0] if rows else ""
        return QueueLine(
            destination=destination,
            state=DeliveryState(state),
            count=count,
            oldest_at=oldest_at,
            next_attempt_at=max(turn_at, note.next_attempt_at) if waits else 0.0,
            last_outcome=outcome,
        )

    def _open_writer(self, path: Path) -> _Writer:
        with self._translated():
            writer = _Writer(_engine(path, "rwc", sa.pool.QueuePool))
            try:
                _prepare(writer)
            except BaseException:
                writer.close()
                raise
            return writer

    def _check_version(self) -> None:
        with self._reader.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if found != SCHEMA_VERSION:
            raise JournalError(_version_sentence(found))

    def _writer_engine(self) -> sa.Engine:
        if self._writer is None:
            raise JournalError("the journal is open for reading only")
        return self._writer.core.engine

    def _rows(
        self, statement: sa.Select[Any], values: dict[str, Any] | None = None
    ) -> Sequence[sa.Row[Any]]:
        with self._translated(), self._reader.connect() as connection:
            return connection.execute(statement, values or {}).all()

    def _write(self, work: Callable[[_Writer], T], *, durable: bool) -> T:
        if self._writer is None:
            raise JournalError("the journal is open for reading only")
        return self._queue.run(_Ticket(work, durable=durable))

    def _commit(self, batch: list[_Ticket[Any]]) -> None:
        """Commit a batch; if it fails, each alone, so that one cannot spoil the others."""
        try:
            with self._translated():
                self._transaction(batch)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that it belongs to
            if len(batch) > 1 and isinstance(error, Exception):
                for ticket in batch:
                    self._commit([ticket])
                return
            for ticket in batch:
                ticket.error = error

    def _transaction(self, batch: list[_Ticket[Any]]) -> None:
        if self._writer is None or self.fatal.is_set():
            raise JournalError("the disk has failed: nothing is written until the node restarts")
        self._writer.transaction(batch)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of the database into ours; their texts may hold values and stay here."""
        try:
            yield
        except (sqlite3.Error, sa.exc.SQLAlchemyError) as error:
            raise self._translate(error) from None

    def _translate(self, error: Exception) -> ScpError:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        name = getattr(cause, "sqlite_errorname", None) or type(cause).__name__
        if name == "SQLITE_FULL":
            return OutOfSpace("the journal has no room on the disk")
        if name in {"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"}:
            # A second sync might succeed without having written: see promise 7 of the spool.
            self.fatal.set()
        return JournalError(f"the journal cannot be used ({name})")

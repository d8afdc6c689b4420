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
6. A row that decides which bytes are sent as what is checked when it is read: one that has
   changed by itself names no bytes that could be sent. `is_consistent` looks at the rest.
7. On a full disk what is no instance is written by means of a reserve: see `Ballast`.

The tables and statements are in `journal_schema`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sqlite3
import threading
import time
import zlib
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from scp import journal_schema as sql
from scp.archive import catalogue_tables
from scp.errors import JournalError, OutOfSpace, ScpError
from scp.group_commit import CommitQueue, Ticket
from scp.instance import (
    DeliveryRecord,
    DeliveryState,
    DueDelivery,
    InstanceRecord,
    QueueLine,
    RuleSet,
    StoredFile,
    StudyDelivery,
    StudyShare,
)
from scp.journal_log import LogIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scp.instance import NewInstance

FILE_NAME: Final = "journal.sqlite3"
"""The journal's name in the data folder."""
APPLICATION_ID: Final = 0x414E4F44
"""PRAGMA application_id: `ANOD`."""
LOG_BYTES: Final = 16 << 20
"""Of the write-ahead log from the start: some seconds of receiving between two checkpoints."""
CHECKPOINT_PAGES: Final = 8192
"""WAL pages (4 KiB) after which a commit has to checkpoint by itself, if `checkpoint` is not
called: about a thousand instances."""
FULL: Final = "SQLITE_FULL"
CORRUPT: Final = "SQLITE_CORRUPT"
NONSENSE: Final = "(SQLITE_ERROR)"
"""A statement that does not fit the tables: the tables have changed, the statements cannot."""
REMEDY: Final = (
    "restore it from a copy, and remove its -wal and -shm; without a copy, salvage what can be"
    " read of it into a new one by .recover of SQLite's command line, or by .dump where that lacks"
    " it"
)
"""What to do about a damaged journal."""
BUSY_S: Final = 10.0
"""How long to wait for another process that is writing."""
T = TypeVar("T")


def log_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def index_of(path: Path) -> Path:
    """The index of that log."""
    return path.with_name(f"{path.name}-shm")


def frames_found(path: Path) -> int | None:
    """How many frames of its log SQLite takes for committed; None if it does not get so far.

    Changes nothing but the log's index.
    """
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
            index = LogIndex(index_of(path).read_bytes())
    except (sqlite3.Error, OSError, UnicodeDecodeError):
        return None
    return index.frames if index.salts else None


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


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An instance whose bytes the spool holds; `id` is its row."""

    id: int
    sop_instance_uid: str
    file: StoredFile


class Writer:
    """The one connection that writes; used only by the leader of the commit queue.

    Attributes:
        core: For statements of SQLAlchemy.
        raw: The driver's own connection, the same one.
        holds: Whether there is a file of that name and size.
    """

    def __init__(
        self, engine: sa.Engine, holds: Callable[[str, int], bool] = lambda *_: True
    ) -> None:
        # Transactions are begun and ended here, by hand: the driver's own would not be IMMEDIATE.
        self.core = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self.raw = cast("sqlite3.Connection", self.core.connection.driver_connection)
        self.holds = holds
        self._durable: bool | None = None

    def transaction(self, tickets: list[Ticket[Writer, Any]]) -> None:
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
        """Close the connection."""
        self.core.close()
        self.core.engine.dispose()

    def _synchronous(self, *, durable: bool) -> None:
        if durable is not self._durable:
            self.raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable


# ---------------------------------------------------------------------------- journal


class Journal:
    """The journal of one node, safe for use by many threads."""

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        existing: bool = False,
        fatal: threading.Event | None = None,
        make_room: Callable[[], bool] = lambda: False,
        holds: Callable[[str, int], bool] = lambda *_: True,
    ) -> None:
        """Open the journal and bring its schema into being.

        Args:
            path: The database, in a folder that exists; made if absent.
            wall: The clock of the timestamps, seconds since 1970.
            existing: Only look, until something is to be written; the node may be running.
            fatal: Shared with the spool: neither goes on when the other has failed.
            make_room: Asked to free some of a full disk; says whether it did.
            holds: Whether the spool has a file of a name and size: asked before a second copy
                is thrown away.

        Raises:
            JournalError: It cannot be opened, is no journal, or is of another version.
        """
        self.fatal = fatal or threading.Event()
        """Set when a sync of the database has failed: stop the node and start it again."""
        self.commits = 0
        """Durable ones since it was opened."""
        self._committing_since: float | None = None
        self._holds = holds
        self._path = path
        self._wall = wall
        self._make_room = make_room
        self._to_checkpoint = True
        self._opening = threading.Lock()
        self._writer: Writer | None = None
        self._queue = CommitQueue(self._commit)
        if not existing:
            self._writer = self._open_writer()
        elif not path.exists():
            raise JournalError("there is no journal yet: the node has not been started here")
        self._reader = _engine(path, "ro")
        with self._translated():
            self._check_version()

    @classmethod
    def existing(cls, data: Path) -> Self:
        """The journal of the node whose data folder this is, running or not.

        Raises:
            JournalError: There is none, or it cannot be opened.
        """
        return cls(data / FILE_NAME, existing=True)

    def close(self) -> None:
        """Close every connection; the journal cannot be used any more."""
        if self._writer is not None:
            self._writer.close()
        self._reader.dispose()

    @property
    def committing_s(self) -> float:
        """How long the transaction that is being committed has taken so far; 0.0 if none is."""
        since = self._committing_since
        return 0.0 if since is None else time.monotonic() - since

    def checkpoint(self) -> None:
        """Move what is committed into the database proper; call it every second or so.

        Commits go on meanwhile. Keeps this work away from the threads that receive, and costs
        nothing where nothing was committed.

        Raises:
            JournalError: It cannot be done.
        """
        if not self._to_checkpoint:
            return
        self._to_checkpoint = False  # before, so that a commit during it counts
        with self._translated(), self._for_writing().core.engine.connect() as connection:
            pragma = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
            [(busy, in_log, moved)] = pragma.fetchall()
            if in_log > LOG_BYTES // 4096:
                # Under load there is no moment at which all is moved and nobody reads, so that
                # the log would grow for ever. What is left to move is little: wait for both.
                pragma = connection.exec_driver_sql("PRAGMA wal_checkpoint(RESTART)")
                [(busy, in_log, moved)] = pragma.fetchall()
        if busy or moved < in_log:
            self._to_checkpoint = True

    def widen(self) -> None:
        """Write the log to its working size, unless it has it.

        A commit then overwrites the log instead of making it grow, and a disk syncs that several
        times faster: the file system has nothing of its own to write down. It also means that
        commits need no room on a full disk. The database gets as many empty pages.

        Raises:
            OutOfSpace: There is no room for it.
            JournalError: It cannot be done.
        """
        log = log_of(self._path)
        if log.exists() and log.stat().st_size >= LOG_BYTES:
            return
        with self._translated(), self._for_writing().core.engine.connect() as connection:
            raw = cast("sqlite3.Connection", connection.connection.driver_connection)
            raw.execute("CREATE TABLE IF NOT EXISTS filler (bytes BLOB)")
            raw.execute("INSERT INTO filler VALUES (zeroblob(?))", (LOG_BYTES,))
            raw.commit()
            raw.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            raw.execute("DROP TABLE filler")
            raw.commit()
            raw.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def empty_log(self) -> None:
        """Move all that is committed into the database proper and leave an empty log.

        For a stop: what lies in the log while nobody looks could be damaged there, and with it
        everything behind it.

        Raises:
            JournalError: It cannot be done.
        """
        with self._translated():
            self._for_writing().raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # ---- receiving

    def add(self, new: NewInstance) -> Added:
        """Name a durable file and owe it to its destinations; durable on return.

        If the same bytes are known, only what is missing is added: destinations that are not
        owed it yet, and those where it had failed, since a resend is how people ask for another
        attempt. Where the first file is not there any more, or was lost, the new one takes its
        place; after a loss even if its bytes are others, since there is nothing left to keep.

        Raises:
            OutOfSpace: The disk is full.
            SpoolError: Nobody can say whether the first file is there.
            JournalError: It could not be committed.
        """
        now = self._wall()
        return self.write(lambda writer: add_instance(writer, new, now), durable=True)

    def owed(self, sop_instance_uid: str, profile: str) -> frozenset[str]:
        """The destinations that were ever owed an instance of ours that this profile made."""
        values = {"uid": sop_instance_uid, "profile": profile}
        return frozenset(row[0] for row in self.rows(sql.OWED_OF, values))

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
        statement = sql.TURN
        if without:
            pair = sa.tuple_(sql.instances.c.sop_class_uid, sql.instances.c.transfer_syntax_uid)
            statement = statement.where(pair.not_in(sorted(without)))
        now = self._wall()
        values = {
            "destination": destination,
            "now": now,
            "horizon": now + horizon_s,
            "limit": limit,
        }
        return [_due(row) for row in self.rows(statement, values)]

    def next_turn_in_s(self, destination: str) -> float | None:
        """Seconds until something is due, 0.0 if it is; None if nothing is owed."""
        [(moment,)] = self.rows(sql.NEXT_TURN, {"destination": destination})
        return None if moment is None else max(0.0, moment - self._wall())

    def mark_sending(self, deliveries: Sequence[DueDelivery]) -> None:
        """Note that these are part of the association that is open now."""
        values = {"ids": [delivery.id for delivery in deliveries], "now": self._wall()}
        self.write(lambda writer: writer.core.execute(sql.MARK_SENDING, values), durable=False)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Note what became of some deliveries."""
        now = self._wall()

        def work(writer: Writer) -> None:
            for settlement in settlements:
                sql.SETTLE.run(writer.raw, _settled(settlement, now))

        self.write(work, durable=False)

    def give_back(self, destination: str | None = None) -> int:
        """Make due what is marked as sending: at start for all, later for one destination."""
        statement = sql.GIVE_BACK
        if destination is not None:
            statement = statement.where(sql.deliveries.c.destination == destination)
        values = {"now": self._wall()}
        return self.write(lambda writer: _count(writer, statement, values), durable=False)

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

        def work(writer: Writer) -> None:
            writer.core.execute(sql.NOTE_DESTINATION, values)
            if hold:
                bound = {"name": name, "outcome": note.last_outcome, "now": now}
                writer.core.execute(sql.HOLD, bound)
            else:
                writer.core.execute(sql.RELEASE, {"name": name, "now": now})

        self.write(work, durable=False)

    def destination(self, name: str) -> DestinationNote:
        """How a destination is doing, as last noted."""
        statement = sa.select(
            sql.destinations.c.failures,
            sql.destinations.c.next_attempt_at,
            sql.destinations.c.last_outcome,
        ).where(sql.destinations.c.name == name)
        rows = self.rows(statement)
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
        return self.write(lambda writer: _count(writer, sql.EXPIRE, values), durable=False)

    def sweep(self) -> tuple[str, ...]:
        """Let go of files that are not to be stored and that nobody is owed any more.

        Durable on return, so that the files may be removed; a bounded number at a time.
        """
        if not self.rows(sql.UNOWED.limit(1)):
            return ()
        return self.write(_sweep, durable=True)

    # ---- starting

    def files(self, prefix: str) -> frozenset[str]:
        """The names of all files that begin with `prefix`, which ends in a slash."""
        values = {"first": prefix, "behind": prefix[:-1] + chr(ord("/") + 1)}
        return frozenset(row[0] for row in self.rows(sql.FILES, values))

    def lose(self, names: Sequence[str], *, outcome: str) -> None:
        """Note that files are gone: what is owed of them has failed, a resend brings them back."""
        now = self._wall()

        def work(writer: Writer) -> None:
            for name in names:
                _lose(writer, name, outcome, now)

        self.write(work, durable=True)

    def is_consistent(self) -> bool:
        """Whether the database holds together; reads all of it, some 200 MiB in a second.

        Raises:
            JournalError: It cannot be read, for another reason than damage.
        """
        try:
            for table in catalogue_tables.metadata.sorted_tables:
                self.rows(sa.select(table).limit(0))  # its columns have their names
            if any(self.rows(statement) for statement in sql.ODD_VALUES):
                return False
            return [row[0] for row in self.rows(sql.INTEGRITY)] == ["ok"]
        except JournalError as error:
            if any(name in str(error) for name in (CORRUPT, NONSENSE)):
                return False
            raise

    def mend(self) -> None:
        """Let every index follow its table, and every value have the type of its column.

        Where index and table disagree nobody can say which has changed; what the table got wrong
        is found by the checks of its rows and files.

        Raises:
            JournalError: It cannot be done, as where a table itself is damaged.
        """
        self.write(_mend, durable=True)

    def kept_after(self, instance_id: int, limit: int) -> list[KeptFile]:
        """The next instances with a file behind one, oldest first."""
        rows = self.rows(sql.KEPT, {"after": instance_id, "limit": limit})
        return [KeptFile(row.id, row.sop_instance_uid, _stored_file(row)) for row in rows]

    def names(self, file_name: str) -> bool:
        """Whether a row names this file."""
        return bool(self.rows(sql.NAMED, {"name": file_name}))

    def newest(self) -> int:
        """The number of the instance that was added last; 0 if there is none."""
        [(number,)] = self.rows(sql.NEWEST_INSTANCE)
        return number or 0

    def fact(self, name: str) -> str:
        """What was noted under a name; empty if nothing was."""
        rows = self.rows(sql.FACT, {"name": name})
        return rows[0].value if rows else ""

    def note_fact(self, name: str, value: str, *, durable: bool = True) -> None:
        """Note something under a name, in the place of what was.

        Raises:
            OutOfSpace: The disk is full.
            JournalError: It could not be committed.
        """
        values = {"name": name, "value": value}
        self.write(lambda writer: writer.core.execute(sql.NOTE_FACT, values), durable=durable)

    # ---- asking

    def instances(
        self, which: InstanceFilter | None = None, *, limit: int = 100
    ) -> list[InstanceRecord]:
        """The newest instances first, without their deliveries."""
        statement = sa.select(sql.instances).order_by(sql.instances.c.id.desc()).limit(limit)
        for condition in _conditions(which or InstanceFilter()):
            statement = statement.where(condition)
        return [_instance(row) for row in self.rows(statement)]

    def instance(self, key: int | str) -> InstanceRecord | None:
        """One instance with its deliveries, by its number or its (new) SOP Instance UID."""
        column = sql.instances.c.id if isinstance(key, int) else sql.instances.c.sop_instance_uid
        rows = self.rows(sa.select(sql.instances).where(column == key))
        if not rows:
            return None
        found = _instance(rows[0])
        owed = sql.deliveries.c
        statement = sa.select(sql.deliveries).where(owed.instance_id == found.id).order_by(owed.id)
        return replace(found, deliveries=tuple(_delivery(row) for row in self.rows(statement)))

    def queue(self) -> list[QueueLine]:
        """What each destination is owed, had, or failed to get: one line per state."""
        return [self._queue_line(row) for row in self.rows(sql.COUNTS)]

    def studies(self, study_instance_uid: str | None = None) -> list[StudyShare]:
        """What was done to each study, or to one: one row for what is equal; oldest first."""
        return [_study_share(row) for row in self.rows(_of_study(sql.STUDIES, study_instance_uid))]

    def study_deliveries(self, study_instance_uid: str | None = None) -> list[StudyDelivery]:
        """How the deliveries of each study stand, or of one."""
        return [
            StudyDelivery(
                row.study_instance_uid, row.destination, DeliveryState(row.state), row.instances
            )
            for row in self.rows(_of_study(sql.OUTCOMES, study_instance_uid))
        ]

    def rule_sets(self) -> dict[str, RuleSet]:
        """What the digests stand for that were ever noted."""
        return {row.digest: _rule_set(row) for row in self.rows(sa.select(sql.rule_sets))}

    def note_rule_sets(self, rule_sets: Iterable[RuleSet]) -> None:
        """Note what digests stand for; what is known already is not written again.

        Raises:
            OutOfSpace: The disk is full.
            JournalError: It could not be committed.
        """
        known = self.rule_sets()
        new = [rule_set for rule_set in rule_sets if rule_set.digest not in known]
        if not new:
            return
        values = [_rule_set_values(rule_set, self._wall()) for rule_set in new]
        self.write(lambda writer: writer.core.execute(sql.NOTE_RULE_SET, values), durable=True)

    def retry(self, *, destination: str | None = None, instance_id: int | None = None) -> int:
        """Make failed and held deliveries due at once; how many there were.

        Args:
            destination: Only those of one destination.
            instance_id: Only those of one instance.

        Raises:
            JournalError: It could not be committed.
        """
        now = self._wall()
        return self.write(
            lambda writer: _retry(writer, destination, instance_id, now), durable=True
        )

    # ---- what shares the database

    def now(self) -> float:
        """The moment that a row written now would bear: seconds since 1970, UTC."""
        return self._wall()

    def rows(
        self, statement: sa.Select[Any] | sa.TextualSelect, values: dict[str, Any] | None = None
    ) -> Sequence[sa.Row[Any]]:
        """What a statement finds among everything that is committed.

        Raises:
            JournalError: It cannot be read.
        """
        with self._translated(), self._reader.connect() as connection:
            return connection.execute(statement, values or {}).all()

    def write(self, work: Callable[[Writer], T], *, durable: bool) -> T:
        """Do some work in one transaction; it all stands on return, or nothing of it.

        Args:
            work: Changes nothing but the database: it is done again, from the state of before,
                if the work of another thread has spoilt the transaction that they shared. What
                it raises is raised here.
            durable: Whether it must be on the disk on return.

        Raises:
            OutOfSpace: The disk is full.
            JournalError: It could not be committed.
        """
        return self._queue.run(Ticket(work, durable=durable))

    # ---- inside

    def _queue_line(self, row: sa.Row[Any]) -> QueueLine:
        note = self.destination(row.destination)
        waits = row.state in (sql.DUE, sql.HELD)
        outcome = note.last_outcome if waits else ""
        if not outcome and row.state != sql.DELIVERED:
            bound = {"destination": row.destination, "state": row.state}
            rows = self.rows(sql.LAST_OUTCOME, bound)
            outcome = rows[0].last_outcome if rows else ""
        return QueueLine(
            destination=row.destination,
            state=DeliveryState(row.state),
            count=row.deliveries,
            oldest_at=row.oldest_at,
            next_attempt_at=max(row.turn_at, note.next_attempt_at) if waits else 0.0,
            last_outcome=outcome,
        )

    def _for_writing(self) -> Writer:
        with self._opening:
            if self._writer is None:
                self._writer = self._open_writer()
            return self._writer

    def _open_writer(self) -> Writer:
        with self._translated():
            writer = Writer(_engine(self._path, "rwc"), self._holds)
            try:
                _prepare(writer)
            except BaseException:
                writer.close()
                raise
            return writer

    def _check_version(self) -> None:
        with self._reader.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if found != sql.SCHEMA_VERSION:
            raise JournalError(_version_sentence(found))

    def _commit(self, batch: list[Ticket[Writer, Any]]) -> None:
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

    def _transaction(self, batch: list[Ticket[Writer, Any]]) -> None:
        if self.fatal.is_set():
            raise JournalError("the disk has failed: nothing is written until the node restarts")
        self._committing_since = time.monotonic()
        try:
            self._make_transaction(self._for_writing(), batch)
        finally:
            self._committing_since = None
        self.commits += any(ticket.durable for ticket in batch)
        self._to_checkpoint = True

    def _make_transaction(self, writer: Writer, batch: list[Ticket[Writer, Any]]) -> None:
        try:
            writer.transaction(batch)
        except (sqlite3.Error, sa.exc.SQLAlchemyError) as error:
            if _name_of(error) != FULL or not self._make_room():
                raise
            writer.transaction(batch)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of the database into ours; their texts may hold values and stay here."""
        try:
            yield
        # The driver cannot decode even its own message where that quotes a damaged text.
        except (sqlite3.Error, sa.exc.SQLAlchemyError, UnicodeDecodeError) as error:
            raise self._translate(error) from None

    def _translate(self, error: Exception) -> ScpError:
        name = _name_of(error)
        if name == FULL:
            return OutOfSpace("the journal has no room on the disk")
        if name in {"SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"}:
            # A second sync might succeed without having written: see promise 7 of the spool.
            self.fatal.set()
        if name.startswith(CORRUPT) or isinstance(error, UnicodeDecodeError):
            return JournalError(f"the journal is damaged ({CORRUPT}): {REMEDY}")
        return JournalError(f"the journal cannot be used ({name})")


def _name_of(error: Exception) -> str:
    """SQLite's name of an error, or the type of one that is not SQLite's."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return getattr(cause, "sqlite_errorname", None) or type(cause).__name__


# ---------------------------------------------------------------------------- work of a writer


def add_instance(writer: Writer, new: NewInstance, now: float) -> Added:
    """What `Journal.add` does, inside somebody's transaction."""
    row = sql.ADD_INSTANCE.run(writer.raw, _instance_values(new, now)).fetchone()
    if row is None:
        return _add_again(writer, new, now)
    for destination in new.destinations:
        sql.ADD_DELIVERY.run(writer.raw, _delivery_values(row[0], destination, now))
    return Added(Verdict.STORED, row[0], new.destinations, kept=True)


def _add_again(writer: Writer, new: NewInstance, now: float) -> Added:
    """Add what is missing to an instance that is known."""
    known = writer.core.execute(sql.KNOWN, {"uid": new.sop_instance_uid}).one()
    owed = writer.core.execute(sql.OWED, {"instance": known.id})
    states: dict[str, str] = {row.destination: row.state for row in owed}
    # A sweep lets go only of what is not to be stored and delivered everywhere.
    unfinished = any(state != sql.DELIVERED for state in states.values())
    lost = not known.file_name and (known.store or unfinished)
    if known.digest != new.file.digest and not lost:
        return Added(Verdict.CONFLICT, known.id)
    again, had_failed = _owe_again(writer, known.id, new, states, now)
    if new.store and not known.store:
        writer.core.execute(sql.STORE, {"instance": known.id})
        writer.core.execute(sql.NOTE_PENDING, {"row": known.id})
    swept = not known.file_name and bool(again or new.store)
    # The first copy may be what made a delivery fail: then the new one takes its place, unless
    # somebody is about to read the first.
    renewed = had_failed and not any(state in sql.OPEN for state in states.values())
    gone = known.file_name and not writer.holds(known.file_name, known.size_bytes)
    if lost:
        _take_over(writer, known.id, replace(new, store=new.store or known.store), now)
    elif swept or renewed or gone:
        writer.core.execute(sql.ADOPT, {"instance": known.id, "name": new.file.name})
    else:
        return Added(Verdict.KNOWN, known.id, again)
    if (lost or swept) and known.store:
        writer.core.execute(sql.NOTE_PENDING, {"row": known.id})
    verdict = Verdict.KNOWN if known.digest == new.file.digest else Verdict.STORED
    return Added(verdict, known.id, again, kept=True, replaced=known.file_name)


def _owe_again(
    writer: Writer, instance_id: int, new: NewInstance, states: Mapping[str, str], now: float
) -> tuple[tuple[str, ...], bool]:
    """Owe it where it is not owed yet, or had failed: to whom, and whether it had failed."""
    missing = tuple(name for name in new.destinations if name not in states)
    failed = tuple(name for name in new.destinations if states.get(name) == sql.FAILED)
    for destination in missing:
        sql.ADD_DELIVERY.run(writer.raw, _delivery_values(instance_id, destination, now))
    if failed:
        bound = {"instance": instance_id, "names": failed, "now": now}
        writer.core.execute(sql.FAILED_FOR, bound)
    return missing + failed, bool(failed)


def _take_over(writer: Writer, instance_id: int, new: NewInstance, now: float) -> None:
    """Let a row that has lost its file say all that is true of the new one."""
    statement = sa.update(sql.instances).where(sql.instances.c.id == instance_id)
    writer.core.execute(statement.values(_instance_values(new, now)))


def _sweep(writer: Writer) -> tuple[str, ...]:
    rows = writer.core.execute(sql.UNOWED).all()
    writer.core.execute(sql.FORGET_FILES, {"ids": [row.id for row in rows]})
    return tuple(row.file_name for row in rows)


def _lose(writer: Writer, name: str, outcome: str, now: float) -> None:
    writer.core.execute(sql.LOSE_DELIVERIES, {"name": name, "outcome": outcome, "now": now})
    writer.core.execute(sql.NOTE_LOST, {"name": name})
    writer.core.execute(sql.LOSE_FILE, {"name": name})


def _mend(writer: Writer) -> None:
    writer.raw.execute("REINDEX")
    for statement in sql.MEND_VALUES:
        writer.core.execute(statement)
    writer.raw.execute("REINDEX")


def _retry(writer: Writer, destination: str | None, instance_id: int | None, now: float) -> int:
    statement = (
        sa.update(sql.deliveries)
        .where(sql.deliveries.c.state.in_((sql.FAILED, sql.HELD, sql.DUE)))
        .values(**sql.AFRESH, due_since=now, changed_at=now)
    )
    # A destination that backs off reads this note and begins anew.
    reset = sa.update(sql.destinations).values(failures=0, next_attempt_at=0.0, changed_at=now)
    if destination is not None:
        statement = statement.where(sql.deliveries.c.destination == destination)
        reset = reset.where(sql.destinations.c.name == destination)
    if instance_id is not None:
        statement = statement.where(sql.deliveries.c.instance_id == instance_id)
        names = sa.select(sql.deliveries.c.destination).where(
            sql.deliveries.c.instance_id == instance_id
        )
        reset = reset.where(sql.destinations.c.name.in_(names))
    count = _count(writer, statement, {})
    writer.core.execute(reset)
    return count


def _count(writer: Writer, statement: sa.Update, values: dict[str, Any]) -> int:
    return cast("sa.CursorResult[Any]", writer.core.execute(statement, values)).rowcount


# ---------------------------------------------------------------------------- opening


def _engine(path: Path, mode: str) -> sa.Engine:
    """An engine whose connections are set up for this journal; `mode` is SQLite's, ro or rwc."""
    uri = f"file:{quote(str(path))}?mode={mode}"
    settings = ("PRAGMA query_only=ON",) if mode == "ro" else _SETTINGS

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=BUSY_S)
        connection.text_factory = _text
        for setting in settings:
            connection.execute(setting)
        return connection

    if mode != "ro":
        # SQLite gives its companion files the mode of the database: make that 0600 first.
        _make_private(path)
    return sa.create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True
    )


_SETTINGS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit={2 * CHECKPOINT_PAGES * 4096}",
    "PRAGMA foreign_keys=ON",
)


def _text(data: bytes) -> str:
    """A text as it was written; one that is damaged must not hide the rows beside it."""
    return data.decode("utf-8", "replace")


def _make_private(path: Path) -> None:
    try:
        path.touch(mode=0o600)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "unknown error")
        raise JournalError(f"the journal cannot be made or opened for writing ({code})") from None


def _prepare(writer: Writer) -> None:
    """Bring the schema into being or up to date; refuse a database that is not ours to write."""
    raw = writer.raw
    found = _version(raw)
    if found == sql.SCHEMA_VERSION:
        return
    tables = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if found in sql.UPGRADES:
        _upgrade(raw)
        return
    if found or tables:
        raise JournalError(_version_sentence(found))
    raw.execute("BEGIN IMMEDIATE")
    catalogue_tables.metadata.create_all(writer.core)
    raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
    raw.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION}")
    raw.execute("COMMIT")


def _upgrade(raw: sqlite3.Connection) -> None:
    """Run every upgrade there is in one transaction: after a crash the old schema stands."""
    raw.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have done it while this one waited for its turn.
        for version in range(_version(raw), sql.SCHEMA_VERSION):
            for statement in sql.UPGRADES[version]:
                raw.execute(statement)
        raw.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION}")
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


def _version(raw: sqlite3.Connection) -> int:
    return int(raw.execute("PRAGMA user_version").fetchone()[0])


def _version_sentence(found: int) -> str:
    if found in sql.UPGRADES:
        return (
            f"the journal was written by an earlier version of the node (schema {found}): "
            "start the node once, which brings it up to date"
        )
    if found > sql.SCHEMA_VERSION:
        return (
            f"the journal was written by a newer version of the node "
            f"(schema {found}, this one knows {sql.SCHEMA_VERSION}): start that version"
        )
    return "the file is no journal of this node"


# ---------------------------------------------------------------------------- rows and records


def _instance_values(new: NewInstance, now: float) -> dict[str, Any]:
    return {
        "sop_instance_uid": new.sop_instance_uid,
        "sop_class_uid": new.sop_class_uid,
        "transfer_syntax_uid": new.transfer_syntax_uid,
        "study_instance_uid": new.study_instance_uid,
        "series_instance_uid": new.series_instance_uid,
        "patient_id": new.patient_id,
        "modality": new.modality,
        "tags": json.dumps(dict(new.tags), ensure_ascii=False, separators=(",", ":")),
        "file_name": new.file.name,
        "size_bytes": new.file.size_bytes,
        "dataset_offset": new.dataset_offset,
        "digest": new.file.digest,
        "profile": new.profile,
        "calling_ae": new.calling_ae,
        "called_ae": new.called_ae,
        "received_at": now,
        "store": int(new.store),
        "actions": json.dumps(dict(new.actions), sort_keys=True, separators=(",", ":")),
        "rule_set": new.rule_set,
        "origin": new.origin,
        "remote_ip": new.remote_ip,
        "row_check": _row_check(
            new.sop_instance_uid,
            new.sop_class_uid,
            new.transfer_syntax_uid,
            new.file,
            new.dataset_offset,
        ),
    }


def _row_check(
    sop_instance_uid: str,
    sop_class_uid: str,
    transfer_syntax_uid: str,
    file: StoredFile,
    dataset_offset: int,
) -> int:
    """A check of what decides which bytes are sent as what; never 0."""
    said = (sop_instance_uid, sop_class_uid, transfer_syntax_uid, file.digest)
    # A damaged value may be of any type.
    text = " ".join(map(str, (*said, file.size_bytes, dataset_offset)))
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) or 1


def _stored_file(row: sa.Row[Any]) -> StoredFile:
    """The file of a row; without a digest, which no bytes have, if the row has changed."""
    file = StoredFile(row.file_name, row.size_bytes, row.digest)
    uids = (row.sop_instance_uid, row.sop_class_uid, row.transfer_syntax_uid)
    if row.row_check and row.row_check != _row_check(*uids, file, row.dataset_offset):
        return replace(file, digest="")
    return file


def _delivery_values(instance_id: int, destination: str, now: float) -> dict[str, Any]:
    return {
        **sql.AFRESH,
        "instance_id": instance_id,
        "destination": destination,
        "due_since": now,
        "last_status": None,
        "last_outcome": "",
        "changed_at": now,
    }


def _settled(settlement: Settlement, now: float) -> dict[str, Any]:
    return {
        "delivery": settlement.delivery_id,
        "new_state": settlement.state.value,
        "new_attempts": settlement.attempts,
        "new_refusals": settlement.refusals,
        "new_next_attempt_at": settlement.next_attempt_at,
        "new_last_status": settlement.last_status,
        "new_last_outcome": settlement.last_outcome,
        "new_changed_at": now,
    }


def _due(row: sa.Row[Any]) -> DueDelivery:
    return DueDelivery(
        id=row.id,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        file=_stored_file(row),
        dataset_offset=row.dataset_offset,
        attempts=row.attempts,
        refusals=row.refusals,
        due_since=row.due_since,
    )


def _instance(row: sa.Row[Any]) -> InstanceRecord:
    values = dict(row._mapping)  # noqa: SLF001 - the public name of it in SQLAlchemy
    values["tags"] = _mapping(values["tags"])
    values["actions"] = _mapping(values["actions"])
    del values["row_check"]
    return InstanceRecord(**values)


def _mapping(text: str) -> dict[str, Any]:
    """What was written as JSON; nothing where that is damaged."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _delivery(row: sa.Row[Any]) -> DeliveryRecord:
    values = dict(row._mapping)  # noqa: SLF001 - as above
    values["state"] = DeliveryState(values["state"])
    return DeliveryRecord(**values)


def _of_study(statement: sa.Select[Any], uid: str | None) -> sa.Select[Any]:
    """The statement for one study, or for all."""
    return statement if uid is None else statement.where(sql.instances.c.study_instance_uid == uid)


def _study_share(row: sa.Row[Any]) -> StudyShare:
    values = dict(row._mapping)  # noqa: SLF001 - as above
    values["actions"] = _mapping(values["actions"])
    return StudyShare(**values)


def _rule_set(row: sa.Row[Any]) -> RuleSet:
    options = tuple(json.loads(row.options))
    return RuleSet(row.digest, row.profile, row.base, row.edition, options, row.release)


def _rule_set_values(rule_set: RuleSet, now: float) -> Mapping[str, Any]:
    values = {name: getattr(rule_set, name) for name in ("digest", "profile", "base", "edition")}
    options = json.dumps(rule_set.options)
    return {**values, "options": options, "release": rule_set.release, "noted_at": now}


def _conditions(which: InstanceFilter) -> list[sa.ColumnElement[bool]]:
    conditions = [
        sql.instances.c[name] == value
        for name in ("study_instance_uid", "patient_id", "modality", "calling_ae")
        if (value := getattr(which, name)) is not None
    ]
    if which.destination is None and which.state is None:
        return conditions
    owed = sa.select(sql.deliveries.c.instance_id)
    if which.destination is not None:
        owed = owed.where(sql.deliveries.c.destination == which.destination)
    if which.state is not None:
        owed = owed.where(sql.deliveries.c.state == which.state.value)
    return [*conditions, sql.instances.c.id.in_(owed)]

"""The journal's tables and every statement that is run on them, in one place.

Core statements, not text, so that another database than SQLite needs another `Hot` and little
else. `Hot` compiles those of the receiving path once and runs them on the driver's own cursor:
measured, an instance costs a third of the time that Core's own execution takes.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from scp.archive.catalogue_tables import metadata, pending
from scp.instance import DeliveryState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

SCHEMA_VERSION: Final = 4
"""PRAGMA user_version of a journal that this code writes."""
SWEEP_FILES: Final = 256
"""Files let go in one transaction."""

# ---------------------------------------------------------------------------- schema

instances: Final = sa.Table(
    "instances",
    metadata,
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
    # Since schema 2. Their defaults are for rows of before, and for a node of before that still
    # writes while this one has brought the schema up to date.
    sa.Column("actions", sa.Text, nullable=False, server_default="{}"),
    sa.Column("rule_set", sa.Text, nullable=False, server_default=""),
    # Since schema 3, likewise.
    sa.Column("origin", sa.Text, nullable=False, server_default="DicomProtocol"),
    sa.Column("remote_ip", sa.Text, nullable=False, server_default=""),
    # Since schema 4, likewise. A check of what decides which bytes are sent as what; 0 for none.
    sa.Column("row_check", sa.Integer, nullable=False, server_default=sa.text("0")),
)
# A swept instance keeps its row without a file name, so that a late resend is recognised.
sa.Index(
    "instances_file", instances.c.file_name, unique=True, sqlite_where=instances.c.file_name > ""
)
sa.Index(
    "instances_transient",
    instances.c.id,
    sqlite_where=sa.and_(instances.c.store.is_(False), instances.c.file_name > ""),
)
sa.Index("instances_study", instances.c.study_instance_uid)

deliveries: Final = sa.Table(
    "deliveries",
    metadata,
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
    deliveries.c.destination,
    deliveries.c.state,
    deliveries.c.attempts,
    deliveries.c.id,
)

destinations: Final = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Float, nullable=False),
    sa.Column("last_outcome", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
)

# What a digest stands for, so that an instance can say years later what was done to it.
rule_sets: Final = sa.Table(
    "rule_sets",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("base", sa.Text, nullable=False),
    sa.Column("edition", sa.Text, nullable=False),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("noted_at", sa.Float, nullable=False),
)

# What the node knows of itself and of its folder, by name.
facts: Final = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

UPGRADES: Final = {
    1: (
        "ALTER TABLE instances ADD COLUMN actions TEXT DEFAULT '{}' NOT NULL",
        "ALTER TABLE instances ADD COLUMN rule_set TEXT DEFAULT '' NOT NULL",
        "CREATE TABLE rule_sets (digest TEXT NOT NULL PRIMARY KEY, profile TEXT NOT NULL, "
        "base TEXT NOT NULL, edition TEXT NOT NULL, options TEXT NOT NULL, "
        "release TEXT NOT NULL, noted_at FLOAT NOT NULL)",
    ),
    2: (
        "ALTER TABLE instances ADD COLUMN origin TEXT DEFAULT 'DicomProtocol' NOT NULL",
        "ALTER TABLE instances ADD COLUMN remote_ip TEXT DEFAULT '' NOT NULL",
        "CREATE TABLE resources (id INTEGER NOT NULL, public_id TEXT NOT NULL, level "
        'INTEGER NOT NULL, parent INTEGER, uid TEXT COLLATE "NOCASE" NOT NULL, '
        'accession_number TEXT COLLATE "NOCASE" NOT NULL, tags TEXT NOT NULL, "row" '
        "INTEGER, created_at FLOAT NOT NULL, changed_at FLOAT NOT NULL, settled BOOLEAN NOT"
        " NULL, PRIMARY KEY (id), UNIQUE (public_id, level))",
        "CREATE INDEX resources_accession ON resources (accession_number) WHERE "
        "accession_number > ''",
        "CREATE INDEX resources_level ON resources (level, id)",
        "CREATE INDEX resources_parent ON resources (parent)",
        'CREATE UNIQUE INDEX resources_row ON resources ("row") WHERE "row" IS NOT NULL',
        "CREATE INDEX resources_uid ON resources (uid)",
        "CREATE INDEX resources_unsettled ON resources (changed_at) WHERE settled IS 0",
        "CREATE TABLE metadata (resource INTEGER NOT NULL, name TEXT NOT NULL, value TEXT "
        "NOT NULL, PRIMARY KEY (resource, name))",
        "CREATE TABLE labels (resource INTEGER NOT NULL, label TEXT NOT NULL, PRIMARY KEY "
        "(resource, label))",
        "CREATE INDEX labels_label ON labels (label)",
        "CREATE TABLE changes (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, kind TEXT "
        "NOT NULL, level INTEGER NOT NULL, public_id TEXT NOT NULL, at FLOAT NOT NULL)",
        "CREATE TABLE counters (name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (name))",
        'CREATE TABLE pending ("row" INTEGER NOT NULL, PRIMARY KEY ("row"))',
        "CREATE TABLE jobs (id TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, "
        "priority INTEGER NOT NULL, request TEXT NOT NULL, content TEXT NOT NULL, progress "
        "INTEGER NOT NULL, created_at FLOAT NOT NULL, started_at FLOAT, completed_at FLOAT,"
        " runtime_s FLOAT NOT NULL, error_code INTEGER NOT NULL, error_message TEXT NOT "
        "NULL, error_details TEXT NOT NULL, user_data TEXT, seq INTEGER NOT NULL, PRIMARY "
        "KEY (id))",
    ),
    3: (
        "ALTER TABLE instances ADD COLUMN row_check INTEGER DEFAULT 0 NOT NULL",
        "CREATE TABLE facts (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    ),
}
"""What brings a journal of one version to the next; written once, never changed after."""

# ---------------------------------------------------------------------------- statements

DUE = DeliveryState.DUE.value
SENDING = DeliveryState.SENDING.value
DELIVERED = DeliveryState.DELIVERED.value
FAILED = DeliveryState.FAILED.value
HELD = DeliveryState.HELD.value
OPEN = (DUE, SENDING, HELD)
AFRESH = {"state": DUE, "attempts": 0, "refusals": 0, "next_attempt_at": 0.0}
"""A delivery that has everything before it."""


class Hot:
    """A statement of the receiving path: compiled once, run on the driver's cursor."""

    def __init__(self, statement: sa.ClauseElement, columns: Iterable[str] | None = None) -> None:
        compiled = statement.compile(
            dialect=sqlite.dialect(paramstyle="qmark"),
            column_keys=None if columns is None else list(columns),
        )
        order: Sequence[str] = cast("Any", compiled).positiontup
        self._sql = str(compiled)
        self._pick = itemgetter(*order)

    def run(self, connection: sqlite3.Connection, values: dict[str, Any]) -> sqlite3.Cursor:
        """Run it with values by column or bind name; more than are needed do no harm."""
        return connection.execute(self._sql, self._pick(values))


INSTANCE_COLUMNS = tuple(column.name for column in instances.c if column.name != "id")
DELIVERY_COLUMNS = tuple(column.name for column in deliveries.c if column.name != "id")

ADD_INSTANCE = Hot(
    sqlite.insert(instances)
    .on_conflict_do_nothing(index_elements=["sop_instance_uid"])
    .returning(instances.c.id),
    INSTANCE_COLUMNS,
)
ADD_DELIVERY = Hot(sa.insert(deliveries), DELIVERY_COLUMNS)
SETTLE = Hot(
    sa.update(deliveries)
    .where(deliveries.c.id == sa.bindparam("delivery"))
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
KNOWN = sa.select(
    instances.c.id,
    instances.c.digest,
    instances.c.file_name,
    instances.c.size_bytes,
    instances.c.store,
).where(instances.c.sop_instance_uid == sa.bindparam("uid"))
OWED = sa.select(deliveries.c.destination, deliveries.c.state).where(
    deliveries.c.instance_id == sa.bindparam("instance")
)
OWED_OF = (
    sa.select(deliveries.c.destination)
    .join(instances, instances.c.id == deliveries.c.instance_id)
    .where(instances.c.sop_instance_uid == sa.bindparam("uid"))
    .where(instances.c.profile == sa.bindparam("profile"))
)
FAILED_FOR = (
    sa.update(deliveries)
    .where(deliveries.c.instance_id == sa.bindparam("instance"))
    .where(deliveries.c.destination.in_(sa.bindparam("names", expanding=True)))
    .values(**AFRESH, due_since=sa.bindparam("now"), changed_at=sa.bindparam("now"))
)
ADOPT = (
    sa.update(instances)
    .where(instances.c.id == sa.bindparam("instance"))
    .values(file_name=sa.bindparam("name"))
)
NOTE_PENDING = sqlite.insert(pending).on_conflict_do_nothing()
NOTE_LOST = (
    sa.insert(pending)
    .prefix_with("OR IGNORE")
    .from_select(
        ["row"],
        sa.select(instances.c.id)
        .where(instances.c.file_name == sa.bindparam("name"))
        .where(instances.c.store.is_(True)),
    )
)
STORE = sa.update(instances).where(instances.c.id == sa.bindparam("instance")).values(store=True)
LOSE_DELIVERIES = (
    sa.update(deliveries)
    .where(
        deliveries.c.instance_id.in_(
            sa.select(instances.c.id).where(instances.c.file_name == sa.bindparam("name"))
        )
    )
    .where(deliveries.c.state.in_(OPEN))
    .values(state=FAILED, last_outcome=sa.bindparam("outcome"), changed_at=sa.bindparam("now"))
)
LOSE_FILE = (
    sa.update(instances).where(instances.c.file_name == sa.bindparam("name")).values(file_name="")
)
FILES = (
    sa.select(instances.c.file_name)
    .where(instances.c.file_name > "")
    .where(instances.c.file_name >= sa.bindparam("first"))
    .where(instances.c.file_name < sa.bindparam("behind"))
)
TURN = (
    sa.select(
        deliveries.c.id,
        instances.c.sop_instance_uid,
        instances.c.sop_class_uid,
        instances.c.transfer_syntax_uid,
        instances.c.file_name,
        instances.c.size_bytes,
        instances.c.digest,
        instances.c.dataset_offset,
        instances.c.row_check,
        deliveries.c.attempts,
        deliveries.c.refusals,
        deliveries.c.due_since,
    )
    .join(instances, instances.c.id == deliveries.c.instance_id)
    .where(deliveries.c.destination == sa.bindparam("destination"))
    .where(deliveries.c.state.in_((DUE, HELD)))
    # A moment beyond the longest wait there is comes from a clock that was set back since.
    .where(
        sa.or_(
            deliveries.c.next_attempt_at <= sa.bindparam("now"),
            deliveries.c.next_attempt_at > sa.bindparam("horizon"),
        )
    )
    .order_by(deliveries.c.attempts, deliveries.c.id)
    .limit(sa.bindparam("limit"))
)
NEXT_TURN = (
    sa.select(sa.func.min(deliveries.c.next_attempt_at))
    .where(deliveries.c.destination == sa.bindparam("destination"))
    .where(deliveries.c.state.in_((DUE, HELD)))
)
MARK_SENDING = (
    sa.update(deliveries)
    .where(deliveries.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(state=SENDING, changed_at=sa.bindparam("now"))
)
GIVE_BACK = (
    sa.update(deliveries)
    .where(deliveries.c.state == SENDING)
    .values(state=DUE, changed_at=sa.bindparam("now"))
)
HOLD = (
    sa.update(deliveries)
    .where(deliveries.c.destination == sa.bindparam("name"))
    .where(deliveries.c.state == DUE)
    .values(state=HELD, last_outcome=sa.bindparam("outcome"), changed_at=sa.bindparam("now"))
)
RELEASE = (
    sa.update(deliveries)
    .where(deliveries.c.destination == sa.bindparam("name"))
    .where(deliveries.c.state == HELD)
    .values(state=DUE, changed_at=sa.bindparam("now"))
)
EXPIRE = (
    sa.update(deliveries)
    .where(deliveries.c.destination == sa.bindparam("name"))
    .where(deliveries.c.state == DUE)
    .where(deliveries.c.due_since < sa.bindparam("before"))
    .values(state=FAILED, last_outcome=sa.bindparam("outcome"), changed_at=sa.bindparam("now"))
)
insert_destination = sqlite.insert(destinations)
NOTE_DESTINATION = insert_destination.on_conflict_do_update(
    index_elements=["name"],
    set_={
        name: insert_destination.excluded[name]
        for name in ("failures", "next_attempt_at", "last_outcome", "changed_at")
    },
)
UNOWED = (
    sa.select(instances.c.id, instances.c.file_name)
    .where(instances.c.store.is_(False))
    .where(instances.c.file_name > "")
    .where(
        ~sa.exists()
        .where(deliveries.c.instance_id == instances.c.id)
        .where(deliveries.c.state != DELIVERED)
    )
    .limit(SWEEP_FILES)
)
FORGET_FILES = (
    sa.update(instances)
    .where(instances.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(file_name="")
)
COUNTS = (
    sa.select(
        deliveries.c.destination,
        deliveries.c.state,
        sa.func.count().label("deliveries"),
        sa.func.min(deliveries.c.due_since).label("oldest_at"),
        sa.func.min(deliveries.c.next_attempt_at).label("turn_at"),
    )
    .group_by(deliveries.c.destination, deliveries.c.state)
    .order_by(deliveries.c.destination, deliveries.c.state)
)
LAST_OUTCOME = (
    sa.select(deliveries.c.last_outcome)
    .where(deliveries.c.destination == sa.bindparam("destination"))
    .where(deliveries.c.state == sa.bindparam("state"))
    .where(deliveries.c.last_outcome > "")
    .order_by(deliveries.c.changed_at.desc())
    .limit(1)
)
STUDIES = (
    sa.select(
        instances.c.study_instance_uid,
        instances.c.profile,
        instances.c.rule_set,
        instances.c.calling_ae,
        instances.c.actions,
        sa.func.count().label("instances"),
        sa.func.min(instances.c.received_at).label("first_at"),
        sa.func.max(instances.c.received_at).label("last_at"),
    )
    .group_by(
        instances.c.study_instance_uid,
        instances.c.profile,
        instances.c.rule_set,
        instances.c.calling_ae,
        instances.c.actions,
    )
    .order_by(sa.func.min(instances.c.id))
)
OUTCOMES = (
    sa.select(
        instances.c.study_instance_uid,
        deliveries.c.destination,
        deliveries.c.state,
        sa.func.count().label("instances"),
    )
    .join(instances, instances.c.id == deliveries.c.instance_id)
    .group_by(instances.c.study_instance_uid, deliveries.c.destination, deliveries.c.state)
    .order_by(deliveries.c.destination, deliveries.c.state)
)
KEPT = (
    sa.select(
        instances.c.id,
        instances.c.sop_instance_uid,
        instances.c.sop_class_uid,
        instances.c.transfer_syntax_uid,
        instances.c.file_name,
        instances.c.size_bytes,
        instances.c.digest,
        instances.c.dataset_offset,
        instances.c.row_check,
    )
    .where(instances.c.id > sa.bindparam("after"))
    .where(instances.c.file_name > "")
    .order_by(instances.c.id)
    .limit(sa.bindparam("limit"))
)
NAMED = sa.select(instances.c.id).where(instances.c.file_name == sa.bindparam("name"))
NEWEST_INSTANCE = sa.select(sa.func.max(instances.c.id))
_STORAGE: Final = (
    (sa.Text, ("text",), ""),
    (sa.Float, ("real", "integer"), 0.0),
    ((sa.Integer, sa.Boolean), ("integer",), 0),
)
"""Type of a column, how SQLite keeps its values, and what stands for one that is none."""


_OBJECTS: Final = frozenset(
    {("instances", "tags"), ("instances", "actions"), ("resources", "tags"), ("jobs", "content")}
)
"""Columns whose texts are objects of JSON."""


def _mending(column: sa.Column[Any]) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[Any]]:
    """Which values of a column are of another type than its own, and what they are to be."""
    storage, substitute = next(
        (kept, value) for kind, kept, value in _STORAGE if isinstance(column.type, kind)
    )
    wanted = sa.Text() if substitute == "" else column.type
    allowed = (*storage, "null") if column.nullable else storage
    is_odd = sa.func.typeof(column).not_in(allowed)
    if (column.table.name, column.name) in _OBJECTS:
        return sa.or_(is_odd, sa.func.json_valid(column) == 0), sa.literal("{}", sa.Text())
    return is_odd, sa.func.coalesce(sa.cast(column, wanted), sa.literal(substitute, wanted))


ODD_VALUES = tuple(
    sa.select(sa.literal(1)).where(sa.or_(*(_mending(one)[0] for one in table.c))).limit(1)
    for table in metadata.sorted_tables
)
"""Whether there is a value of another type than its column's: SQLite keeps any in any."""
MEND_VALUES = tuple(
    sa.update(table).where(is_odd).values({column.name: meant})
    for table in metadata.sorted_tables
    for column in table.c
    for is_odd, meant in [_mending(column)]
    if not column.primary_key
)
INTEGRITY = sa.text("PRAGMA integrity_check(1)").columns(said=sa.Text)
FACT = sa.select(facts.c.value).where(facts.c.name == sa.bindparam("name"))
insert_fact = sqlite.insert(facts)
NOTE_FACT = insert_fact.on_conflict_do_update(
    index_elements=["name"], set_={"value": insert_fact.excluded.value}
)
NOTE_RULE_SET = sqlite.insert(rule_sets).on_conflict_do_nothing(index_elements=["digest"])

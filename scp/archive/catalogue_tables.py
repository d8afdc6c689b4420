"""The tables of the archive: part of the journal's database and of its schema version.

They stand below the journal, which makes them and brings them up to date with its own; the
statements that use them are in `catalogue_schema`, `job_store` and, for `pending`, in
`journal_schema`.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData()
"""Of the whole database: the journal's own tables join it."""

resources: Final = sa.Table(
    "resources",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("public_id", sa.Text, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("parent", sa.Integer),
    # Compared as lookups compare: ASCII letters of either case are the same.
    sa.Column("uid", sa.Text(collation="NOCASE"), nullable=False),
    sa.Column("accession_number", sa.Text(collation="NOCASE"), nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("row", sa.Integer),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    # Whether its Stable... is logged; instances have none.
    sa.Column("settled", sa.Boolean, nullable=False),
    sa.UniqueConstraint("public_id", "level"),
)
sa.Index("resources_parent", resources.c.parent)
sa.Index("resources_level", resources.c.level, resources.c.id)
sa.Index("resources_uid", resources.c.uid)
sa.Index(
    "resources_accession",
    resources.c.accession_number,
    sqlite_where=resources.c.accession_number > "",
)
sa.Index("resources_row", resources.c.row, unique=True, sqlite_where=resources.c.row.is_not(None))
sa.Index(
    "resources_unsettled", resources.c.changed_at, sqlite_where=resources.c.settled.is_(False)
)

# What a user or a job has written; what follows from the journal is not written again.
resource_metadata: Final = sa.Table(
    "metadata",
    metadata,
    sa.Column("resource", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
labels: Final = sa.Table(
    "labels",
    metadata,
    sa.Column("resource", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("label", sa.Text, primary_key=True),
)
sa.Index("labels_label", labels.c.label)

changes: Final = sa.Table(
    "changes",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("public_id", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sqlite_autoincrement=True,  # numbers go on after the changes were cleared
)
counters: Final = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)
# Rows of `instances` up to the watermark, a counter, that the catalogue has to look at again.
pending: Final = sa.Table(
    "pending",
    metadata,
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
)

# For the statements of `job_store`.
jobs: Final = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("completed_at", sa.Float),
    sa.Column("runtime_s", sa.Float, nullable=False),
    sa.Column("error_code", sa.Integer, nullable=False),
    sa.Column("error_message", sa.Text, nullable=False),
    sa.Column("error_details", sa.Text, nullable=False),
    sa.Column("user_data", sa.Text),
    sa.Column("seq", sa.Integer, nullable=False),
)

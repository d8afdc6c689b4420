"""Every statement of the catalogue, in one place; the tables are in `catalogue_tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from scp.archive.catalogue_tables import (
    changes,
    counters,
    labels,
    pending,
    resource_metadata,
    resources,
)
from scp.archive.identifiers import Level
from scp.journal_schema import OPEN, deliveries, instances

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH: Final = 1000
"""Rows of the journal taken in within one transaction: some hundredths of a second."""
CHUNK: Final = 5000
"""Values named in one statement; SQLite takes 32,766."""
WATERMARK: Final = ".watermark"
"""Counter: rows of the journal up to this one are in the catalogue, or are pending."""

# ---------------------------------------------------------------------------- taking in

_watermark = sa.select(counters.c.value).where(counters.c.name == WATERMARK).scalar_subquery()
NEWEST = sa.select(sa.func.coalesce(sa.func.max(instances.c.id), 0))
BEHIND = sa.select(
    sa.or_(
        NEWEST.scalar_subquery() > sa.func.coalesce(_watermark, 0),
        sa.exists(sa.select(pending.c.row)),
    )
)
WATERMARK_IS = sa.select(sa.func.coalesce(_watermark, 0))
_row_columns = (
    instances.c.id,
    instances.c.sop_instance_uid,
    instances.c.study_instance_uid,
    instances.c.series_instance_uid,
    instances.c.patient_id,
    instances.c.tags,
    instances.c.received_at,
    sa.and_(instances.c.store.is_(True), instances.c.file_name > "").label("is_stored"),
)
NEW_ROWS = (
    sa.select(*_row_columns)
    .where(instances.c.id > sa.bindparam("watermark"))
    .order_by(instances.c.id)
    .limit(BATCH)
)
PENDING_ROWS = (
    sa.select(*_row_columns)
    .join(pending, pending.c.row == instances.c.id)
    .order_by(instances.c.id)
    .limit(BATCH)
)
FORGET_PENDING = sa.delete(pending).where(pending.c.row.in_(sa.bindparam("rows", expanding=True)))
_insert_counter = sqlite.insert(counters)
SET_WATERMARK = _insert_counter.values(
    name=WATERMARK, value=sa.bindparam("to")
).on_conflict_do_update(index_elements=["name"], set_={"value": _insert_counter.excluded.value})
# The numbers of the last rows are given again when those are deleted.
LOWER_WATERMARK = (
    sa.update(counters)
    .where(counters.c.name == WATERMARK)
    .values(value=sa.func.min(counters.c.value, NEWEST.scalar_subquery()))
)
COUNT_UP = (
    _insert_counter.values(name=sa.bindparam("counter"), value=1)
    .on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + 1})
    .returning(counters.c.value)
)
KNOWN_ROWS = sa.select(resources.c.row).where(
    resources.c.row.in_(sa.bindparam("rows", expanding=True))
)
KNOWN_RESOURCES = sa.select(resources.c.id, resources.c.level, resources.c.public_id).where(
    resources.c.public_id.in_(sa.bindparam("ids", expanding=True))
)
ADD_RESOURCE = sa.insert(resources)
TOUCH = (
    sa.update(resources)
    .where(resources.c.id == sa.bindparam("resource"))
    .values(changed_at=sa.func.max(resources.c.changed_at, sa.bindparam("at")), settled=False)
)
RESTATE = (
    sa.update(resources)
    .where(resources.c.public_id == sa.bindparam("resource"))
    .where(resources.c.level == sa.bindparam("of_level"))
    .values(tags=sa.bindparam("shown"), accession_number=sa.bindparam("accession"))
)
ADD_CHANGE = sa.insert(changes)
RIPE = (
    sa.select(resources.c.id, resources.c.level, resources.c.public_id)
    .where(resources.c.settled.is_(False))
    .where(resources.c.changed_at <= sa.bindparam("before"))
    .order_by(resources.c.level.desc(), resources.c.id)
    .limit(BATCH)
)
SETTLE = (
    sa.update(resources)
    .where(resources.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(settled=True)
)

# ---------------------------------------------------------------------------- removing

_target_columns = (
    resources.c.id,
    resources.c.level,
    resources.c.public_id,
    resources.c.parent,
    resources.c.row,
)
TARGETS: sa.Select[Any] = sa.select(*_target_columns)
TARGETS_BY_ID: sa.Select[Any] = (
    TARGETS.where(resources.c.level == Level.INSTANCE)
    .where(resources.c.public_id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(resources.c.id)
)
TARGETS_BY_ROW = TARGETS.where(resources.c.row.in_(sa.bindparam("rows", expanding=True)))
_children = resources.alias("children")
EMPTY: sa.Select[Any] = (
    TARGETS.where(resources.c.id.in_(sa.bindparam("ids", expanding=True)))
    .where(resources.c.level < Level.INSTANCE)
    .where(~sa.exists().where(_children.c.parent == resources.c.id))
    .order_by(resources.c.id)
)
OWED = (
    sa.select(deliveries.c.instance_id)
    .where(deliveries.c.instance_id.in_(sa.bindparam("rows", expanding=True)))
    .where(deliveries.c.state.in_(OPEN))
)
LET_GO = (
    sa.update(instances)
    .where(instances.c.id.in_(sa.bindparam("rows", expanding=True)))
    .values(store=False)
)
FILES = (
    sa.select(instances.c.file_name)
    .where(instances.c.id.in_(sa.bindparam("rows", expanding=True)))
    .where(instances.c.file_name > "")
    .order_by(instances.c.id)
)
DELETE_DELIVERIES = sa.delete(deliveries).where(
    deliveries.c.instance_id.in_(sa.bindparam("rows", expanding=True))
)
DELETE_ROWS = sa.delete(instances).where(instances.c.id.in_(sa.bindparam("rows", expanding=True)))
DROPS = (
    sa.delete(resources).where(resources.c.id.in_(sa.bindparam("ids", expanding=True))),
    sa.delete(resource_metadata).where(
        resource_metadata.c.resource.in_(sa.bindparam("ids", expanding=True))
    ),
    sa.delete(labels).where(labels.c.resource.in_(sa.bindparam("ids", expanding=True))),
)

# ---------------------------------------------------------------------------- the tree

_parents = resources.alias("parents")
RESOURCES = sa.select(resources, _parents.c.public_id.label("parent_id")).join_from(
    resources, _parents, _parents.c.id == resources.c.parent, isouter=True
)
NAMED = RESOURCES.where(resources.c.public_id == sa.bindparam("id")).order_by(resources.c.level)
LISTING = (
    RESOURCES.where(resources.c.level == sa.bindparam("level"))
    .order_by(resources.c.id)
    .limit(sa.bindparam("limit"))
    .offset(sa.bindparam("since"))
)
LOOKUP = (
    sa.select(resources.c.level, resources.c.public_id)
    .where(
        sa.or_(
            resources.c.uid == sa.bindparam("value"),
            sa.and_(
                resources.c.accession_number > "",
                resources.c.accession_number == sa.bindparam("value"),
            ),
        )
    )
    .order_by(resources.c.level, resources.c.id)
)
ANCESTRY = sa.select(resources.c.id, resources.c.public_id, resources.c.parent, resources.c.tags)


def below(roots: Sequence[int], steps: int) -> sa.ColumnElement[bool]:
    """Which resources are so many levels below some others.

    Args:
        roots: Their keys.
        steps: 0 for themselves.
    """
    if steps == 0:
        return resources.c.id.in_(roots)
    parents: Any = roots
    for _ in range(steps - 1):
        between = resources.alias()
        parents = sa.select(between.c.id).where(between.c.parent.in_(parents))
    return resources.c.parent.in_(parents)


# ---------------------------------------------------------------------------- instances

_series = resources.alias("series")
_studies = resources.alias("studies")
_patients = resources.alias("patients")
_chain = (
    resources.join(_series, _series.c.id == resources.c.parent)
    .join(_studies, _studies.c.id == _series.c.parent)
    .join(_patients, _patients.c.id == _studies.c.parent)
)
LINE: Final = tuple(
    (table.c.id, table.c.public_id) for table in (_patients, _studies, _series, resources)
)
CHAINS = sa.select(
    resources.c.row,
    *(
        column.label(f"{column.name}_{level}")
        for level, pair in enumerate(LINE)
        for column in pair
    ),
).select_from(_chain)
CHAINS_BY_ID = CHAINS.where(resources.c.level == Level.INSTANCE).where(
    resources.c.public_id.in_(sa.bindparam("ids", expanding=True))
)
CHAINS_BY_ROW = CHAINS.where(resources.c.row.in_(sa.bindparam("rows", expanding=True)))
_with_row = _chain.join(instances, instances.c.id == resources.c.row)
_place_columns = (
    resources.c.id.label("resource"),
    resources.c.public_id.label("id"),
    _patients.c.public_id.label("patient"),
    _studies.c.public_id.label("study"),
    _series.c.public_id.label("series"),
    instances.c.sop_instance_uid,
    instances.c.sop_class_uid,
    instances.c.study_instance_uid,
    instances.c.series_instance_uid,
    instances.c.patient_id,
    instances.c.transfer_syntax_uid,
    instances.c.id.label("row"),
    instances.c.file_name,
    instances.c.size_bytes,
    instances.c.digest,
    instances.c.dataset_offset,
)
KEYS = sa.select(resources.c.id, resources.c.public_id)
STORED = sa.select(*_place_columns, instances.c.tags).select_from(_with_row)
PLACES = (
    sa.select(*_place_columns)
    .select_from(_with_row)
    .where(resources.c.id.in_(sa.bindparam("keys", expanding=True)))
)
DIGESTS = (
    sa.select(resources.c.public_id, instances.c.digest)
    .select_from(resources.join(instances, instances.c.id == resources.c.row))
    .where(resources.c.id.in_(sa.bindparam("keys", expanding=True)))
)
UIDS = (
    sa.select(
        _studies.c.public_id,
        instances.c.study_instance_uid,
        instances.c.series_instance_uid,
        instances.c.sop_instance_uid,
    )
    .select_from(_with_row)
    .where(resources.c.id.in_(sa.bindparam("keys", expanding=True)))
)
STATISTICS = sa.select(
    sa.func.count(_patients.c.id.distinct()),
    sa.func.count(_studies.c.id.distinct()),
    sa.func.count(_series.c.id.distinct()),
    sa.func.count(),
    sa.func.coalesce(sa.func.sum(instances.c.size_bytes), 0),
).select_from(_with_row)
COUNTS = sa.select(resources.c.level, sa.func.count().label("resources")).group_by(
    resources.c.level
)
SIZE = sa.select(sa.func.coalesce(sa.func.sum(instances.c.size_bytes), 0)).select_from(
    resources.join(instances, instances.c.id == resources.c.row)
)
ORIGIN = (
    sa.select(
        instances.c.calling_ae,
        instances.c.called_ae,
        instances.c.remote_ip,
        instances.c.origin,
        instances.c.transfer_syntax_uid,
        instances.c.sop_class_uid,
        instances.c.tags,
    )
    .select_from(resources.join(instances, instances.c.id == resources.c.row))
    .order_by(resources.c.id)
    .limit(1)
)

# ---------------------------------------------------------------------------- what is said more

METADATA = (
    sa.select(resource_metadata.c.name, resource_metadata.c.value)
    .where(resource_metadata.c.resource == sa.bindparam("resource"))
    .order_by(resource_metadata.c.name)
)
_insert_metadata = sqlite.insert(resource_metadata)
SET_METADATA = _insert_metadata.on_conflict_do_update(
    index_elements=["resource", "name"], set_={"value": _insert_metadata.excluded.value}
)
DROP_METADATA = (
    sa.delete(resource_metadata)
    .where(resource_metadata.c.resource == sa.bindparam("resource"))
    .where(resource_metadata.c.name == sa.bindparam("name"))
)
LABELS = (
    sa.select(labels.c.label)
    .where(labels.c.resource == sa.bindparam("resource"))
    .order_by(labels.c.label)
)
LABELS_OF = sa.select(labels).where(labels.c.resource.in_(sa.bindparam("ids", expanding=True)))
ALL_LABELS = sa.select(labels.c.label).distinct().order_by(labels.c.label)
SET_LABEL = sqlite.insert(labels).on_conflict_do_nothing()
DROP_LABEL = (
    sa.delete(labels)
    .where(labels.c.resource == sa.bindparam("resource"))
    .where(labels.c.label == sa.bindparam("label"))
)
CHANGES = (
    sa.select(changes)
    .where(changes.c.seq > sa.bindparam("since"))
    .order_by(changes.c.seq)
    .limit(sa.bindparam("limit"))
)
LAST_CHANGE = sa.select(changes).order_by(changes.c.seq.desc()).limit(1)
CLEAR_CHANGES = sa.delete(changes)

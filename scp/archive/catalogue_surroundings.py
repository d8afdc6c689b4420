"""What is said of resources beside their own attributes: a few statements for hundreds of them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from scp.archive import catalogue_schema as sql
from scp.archive.catalogue_tables import labels, resource_metadata, resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scp.archive.identifiers import Level
    from scp.journal import Journal

_parents = resources.alias("parents")
_ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
LABELS = sa.select(labels).where(labels.c.resource.in_(_ids)).order_by(labels.c.label)
WRITTEN = sa.select(resource_metadata).where(resource_metadata.c.resource.in_(_ids))
CHILDREN = (
    sa.select(resources.c.parent, resources.c.public_id)
    .where(resources.c.parent.in_(_ids))
    .order_by(resources.c.id)
)
ABOVE = (
    sa.select(resources.c.id, _parents.c.tags)
    .join_from(resources, _parents, _parents.c.id == resources.c.parent)
    .where(resources.c.id.in_(_ids))
)


@dataclass(slots=True)
class Surroundings:
    """Of one resource.

    Attributes:
        labels: Sorted.
        written: Metadata by name, but for those that follow from the journal.
        children: Identifiers of the resources right below it, in the order they came.
        above: Main attributes of the resource right above it; empty if there is none any more.
    """

    labels: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    above: dict[str, str] = field(default_factory=dict)


def surroundings(
    journal: Journal, level: Level, ids: Sequence[str]
) -> defaultdict[str, Surroundings]:
    """By identifier; of what is not there any more, empty.

    Args:
        journal: Whose database it is.
        level: Of all of them.
        ids: Not more than a statement can name.
    """
    known = journal.rows(sql.KNOWN_RESOURCES, {"ids": list(ids)})
    names = {row.id: row.public_id for row in known if row.level == level}
    bound: dict[str, Any] = {"ids": list(names)}
    found: defaultdict[str, Surroundings] = defaultdict(Surroundings)
    for row in journal.rows(LABELS, bound):
        found[names[row.resource]].labels.append(row.label)
    for row in journal.rows(WRITTEN, bound):
        found[names[row.resource]].written[row.name] = row.value
    for row in journal.rows(CHILDREN, bound):
        found[names[row.parent]].children.append(row.public_id)
    for row in journal.rows(ABOVE, bound):
        found[names[row.id]].above = json.loads(row.tags)
    return found

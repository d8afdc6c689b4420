"""What changes the catalogue, each inside somebody's transaction.

- `take_in` follows the journal: new rows, and rows that were looked at before and have changed.
- `remove` takes instances out of the catalogue and, unless they are owed, out of the journal.
- `commit` puts both together, all or nothing.
"""

from __future__ import annotations

import json
from collections import ChainMap
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scp.archive import catalogue_schema as sql
from scp.archive.catalogue_tables import resources
from scp.archive.identifiers import Level, identifier
from scp.archive.main_tags import of_level
from scp.archive.resources import Committed, Deleted
from scp.errors import Conflict
from scp.journal import Verdict, add_instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

    import sqlalchemy as sa

    from scp.archive.resources import Produced
    from scp.journal import Writer

_CONFLICT: Final = "other bytes are stored under a SOP Instance UID of the result"
T = TypeVar("T")
_AT_ONCE: Final = 200
"""Results that are in memory together: each is some kilobytes."""
_ABOVE: Final = (Level.PATIENT, Level.STUDY, Level.SERIES)


def chunks(values: Iterable[T], size: int = sql.CHUNK) -> Iterator[list[T]]:
    """The values in lists that fit into a statement."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


# ---------------------------------------------------------------------------- taking in


def take_in(writer: Writer, now: float) -> bool:
    """Take in a batch of what the journal has got; whether there may be more."""
    waiting = writer.core.execute(sql.PENDING_ROWS).all()
    watermark = writer.core.execute(sql.WATERMARK_IS).scalar_one()
    new = writer.core.execute(sql.NEW_ROWS, {"watermark": watermark}).all()
    _take_in_rows(writer, [*waiting, *new], now)
    writer.core.execute(sql.FORGET_PENDING, {"rows": [row.id for row in waiting]})
    if new:
        writer.core.execute(sql.SET_WATERMARK, {"to": new[-1].id})
    return sql.BATCH in (len(waiting), len(new))


def take_in_all(writer: Writer, now: float) -> None:
    """Take in everything; short where somebody did so just before."""
    while take_in(writer, now):
        pass


def _take_in_rows(writer: Writer, rows: Sequence[sa.Row[Any]], now: float) -> None:
    arrived = {row.id: row for row in rows if row.is_stored}
    known = writer.core.execute(sql.KNOWN_ROWS, {"rows": list(arrived)}).scalars()
    for row in list(known):
        del arrived[row]
    _Arrivals(writer).enter(list(arrived.values()))
    lost = [row.id for row in rows if not row.is_stored]
    targets = writer.core.execute(sql.TARGETS_BY_ROW, {"rows": lost}).all() if lost else []
    if targets:
        _drop(writer, targets, now)
        _prune(writer, targets, now)


@dataclass(slots=True)
class _Arrivals:
    """Rows of the journal on their way into the tree."""

    writer: Writer
    known: dict[tuple[int, str], int] = field(default_factory=dict)
    instances: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    touched: dict[int, float] = field(default_factory=dict)

    def enter(self, rows: Sequence[sa.Row[Any]]) -> None:
        """Add the instances and whatever is missing above them."""
        if not rows:
            return
        lines = _lines(rows)
        self._recall({id_ for line in lines for id_ in line})
        for row, line in zip(rows, lines, strict=True):
            if (Level.INSTANCE, line[Level.INSTANCE]) not in self.known:
                self._enter_one(row, line)
        core = self.writer.core
        if self.instances:
            core.execute(sql.ADD_RESOURCE, self.instances)
            core.execute(sql.ADD_CHANGE, self.changes)
            core.execute(sql.TOUCH, [{"resource": i, "at": at} for i, at in self.touched.items()])

    def _recall(self, ids: set[str]) -> None:
        for part in chunks(ids):
            for row in self.writer.core.execute(sql.KNOWN_RESOURCES, {"ids": part}):
                self.known[row.level, row.public_id] = row.id

    def _enter_one(self, row: sa.Row[Any], line: Sequence[str]) -> None:
        tags = json.loads(row.tags)
        new = [Level.INSTANCE]
        parent: int | None = None
        for level in _ABOVE:
            found = self.known.get((level, line[level]))
            if found is None:
                found = self._add(_resource(row, line, level, tags, parent))
                new.insert(1, level)
            self.touched[found] = max(self.touched.get(found, 0.0), row.received_at)
            parent = found
        self.instances.append(_resource(row, line, Level.INSTANCE, tags, parent))
        self.known[Level.INSTANCE, line[Level.INSTANCE]] = 0
        self.changes += [
            _change(f"New{level.word}", level, line[level], row.received_at) for level in new
        ]

    def _add(self, values: dict[str, Any]) -> int:
        [key] = self.writer.core.execute(sql.ADD_RESOURCE, values).inserted_primary_key or (0,)
        self.known[values["level"], values["public_id"]] = key
        return int(key)


def _uids(row: sa.Row[Any]) -> tuple[str, str, str, str]:
    return (
        row.patient_id,
        row.study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
    )


def _lines(rows: Sequence[sa.Row[Any]]) -> list[tuple[str, ...]]:
    """The identifiers of each instance and of all above it, by level."""
    above: dict[tuple[str, ...], tuple[str, ...]] = {}
    lines = []
    for uids in map(_uids, rows):
        series = uids[: Level.INSTANCE]
        if series not in above:
            above[series] = tuple(identifier(*uids[: level + 1]) for level in _ABOVE)
        lines.append((*above[series], identifier(*uids)))
    return lines


def _resource(
    row: sa.Row[Any],
    line: Sequence[str],
    level: Level,
    tags: Mapping[str, str],
    parent: int | None,
) -> dict[str, Any]:
    uid = _uids(row)[level]
    own = of_level(tags, level, uid)
    return {
        "public_id": line[level],
        "level": int(level),
        "parent": parent,
        "uid": uid.strip(" \0"),
        "accession_number": own.get("AccessionNumber", "").strip(" \0"),
        "tags": json.dumps(own, ensure_ascii=False, separators=(",", ":")),
        "row": row.id if level is Level.INSTANCE else None,
        "created_at": row.received_at,
        "changed_at": row.received_at,
        "settled": level is Level.INSTANCE,
    }


def _change(kind: str, level: int, public_id: str, at: float) -> dict[str, Any]:
    return {"kind": kind, "level": int(level), "public_id": public_id, "at": at}


def settle(writer: Writer, before: float, now: float) -> None:
    """Log that some resources are stable now: nothing has come since a moment."""
    ripe = writer.core.execute(sql.RIPE, {"before": before}).all()
    if not ripe:
        return
    changes = [
        _change(f"Stable{Level(row.level).word}", row.level, row.public_id, now) for row in ripe
    ]
    writer.core.execute(sql.ADD_CHANGE, changes)
    writer.core.execute(sql.SETTLE, {"ids": [row.id for row in ripe]})


# ---------------------------------------------------------------------------- removing


def delete(writer: Writer, root: sa.Row[Any], now: float) -> Deleted:
    """Remove a resource and all below it."""
    steps = Level.INSTANCE - root.level
    statement = sql.TARGETS.where(sql.below([root.id], steps)).order_by(resources.c.id)
    targets = writer.core.execute(statement).all()
    above = _above(writer, root.parent)
    files = remove(writer, targets, now)
    pruned = _prune(writer, targets, now)
    gone = {row.id for row in pruned}
    left = [(row.public_id, Level(row.level)) for row in above if row.id not in gone]
    ids = tuple(row.public_id for row in [*targets, *pruned])
    return Deleted(ids, left[0] if left else None, files)


def _above(writer: Writer, parent: int | None) -> list[sa.Row[Any]]:
    found: list[sa.Row[Any]] = []
    while parent is not None:
        statement = sql.TARGETS.where(resources.c.id == parent)
        found.append(writer.core.execute(statement).one())
        parent = found[-1].parent
    return found


def remove(writer: Writer, targets: Sequence[sa.Row[Any]], now: float) -> tuple[str, ...]:
    """Take instances out of the catalogue; the files that may go now.

    Their rows go too, but for those that a destination is still owed: these are swept once they
    are delivered. Nothing is pending: everything was taken in just before.
    """
    files: list[str] = []
    for part in chunks(targets):
        rows = [target.row for target in part]
        owed = set(writer.core.execute(sql.OWED, {"rows": rows}).scalars())
        if owed:
            writer.core.execute(sql.LET_GO, {"rows": list(owed)})
        files += _delete_rows(writer, [row for row in rows if row not in owed])
        _drop(writer, part, now)
    if targets:
        writer.core.execute(sql.LOWER_WATERMARK)
    return tuple(files)


def _delete_rows(writer: Writer, rows: Sequence[int]) -> list[str]:
    bound = {"rows": rows}
    files = list(writer.core.execute(sql.FILES, bound).scalars())
    writer.core.execute(sql.DELETE_DELIVERIES, bound)
    writer.core.execute(sql.DELETE_ROWS, bound)
    return files


def _drop(writer: Writer, targets: Sequence[sa.Row[Any]], now: float) -> None:
    """Forget resources and what was said of them."""
    for part in chunks(targets):
        for statement in sql.DROPS:
            writer.core.execute(statement, {"ids": [row.id for row in part]})
        changes = [_change("Deleted", row.level, row.public_id, now) for row in part]
        writer.core.execute(sql.ADD_CHANGE, changes)


def _prune(writer: Writer, targets: Sequence[sa.Row[Any]], now: float) -> list[sa.Row[Any]]:
    """Remove what is empty above instances that are gone, from below."""
    pruned: list[sa.Row[Any]] = []
    parents = {row.parent for row in targets}
    while parents:
        empty = [
            row
            for part in chunks(parents)
            for row in writer.core.execute(sql.EMPTY, {"ids": part})
        ]
        _drop(writer, empty, now)
        pruned += empty
        parents = {row.parent for row in empty if row.parent is not None}
    return pruned


# ---------------------------------------------------------------------------- committing


def commit(
    writer: Writer, produced: Iterable[Produced], removed: Sequence[str], now: float
) -> Committed:
    """Remove some instances, add others, and write what links them.

    However many are produced, only some of them are in memory together.

    Raises:
        Conflict: other bytes are stored under one of the UIDs.
    """
    take_in_all(writer, now)
    going = _Sources.read(writer, removed)
    targets = [
        row
        for part in chunks(removed)
        for row in writer.core.execute(sql.TARGETS_BY_ID, {"ids": part})
    ]
    adding = _Adding(writer, now, going, replaced=list(remove(writer, targets, now)))
    for part in chunks(produced, _AT_ONCE):
        adding.add(part)
    adding.restate()
    _prune(writer, targets, now)
    return Committed(tuple(adding.added), tuple(adding.known), tuple(adding.replaced))


@dataclass(slots=True)
class _Adding:
    """What was produced on its way into the journal and the tree.

    Attributes:
        going: Sources that are removed already.
        above: By the UIDs down to a level: what its resource is to show.
    """

    writer: Writer
    now: float
    going: _Sources
    replaced: list[str]
    added: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    above: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def add(self, produced: Sequence[Produced]) -> None:
        """Add some, and write what links them."""
        sources = self.going.and_of(self.writer, produced)
        rows = [self._add_one(one) for one in produced]
        take_in_all(self.writer, self.now)
        _link(self.writer, produced, rows, sources)

    def _add_one(self, one: Produced) -> int:
        added = add_instance(self.writer, one.new, self.now)
        if added.verdict is Verdict.CONFLICT:
            raise Conflict(_CONFLICT)
        uids = _uids_of(one)
        id_ = identifier(*uids)
        self.added.append(id_)
        if added.replaced:
            self.replaced.append(added.replaced)
        if not added.kept:
            self.known.append(id_)
        for level in _ABOVE:
            if uids[: level + 1] not in self.above:
                own = of_level(one.new.tags, level, uids[level])
                self.above[uids[: level + 1]] = dict(own)
        return added.instance_id

    def restate(self) -> None:
        """What lies above shows what the results say: a study may have been given a new name."""
        values = [
            {
                "of_level": len(uids) - 1,
                "resource": identifier(*uids),
                "shown": json.dumps(own, ensure_ascii=False, separators=(",", ":")),
                "accession": own.get("AccessionNumber", "").strip(" \0"),
            }
            for uids, own in self.above.items()
        ]
        if values:
            self.writer.core.execute(sql.RESTATE, values)


def _uids_of(produced: Produced) -> tuple[str, str, str, str]:
    new = produced.new
    return (
        new.patient_id,
        new.study_instance_uid,
        new.series_instance_uid,
        new.sop_instance_uid,
    )


@dataclass(frozen=True, slots=True)
class _Sources:
    """What results were made from.

    Attributes:
        lines: Key and identifier by level, of each source.
        labels: Of each resource.
    """

    lines: MutableMapping[str, list[tuple[int, str]]]
    labels: MutableMapping[int, list[str]]

    @classmethod
    def read(cls, writer: Writer, ids: Iterable[str], *, labels: bool = True) -> _Sources:
        """Those of some instances, as they are stored now.

        Args:
            writer: The transaction.
            ids: Identifiers.
            labels: Whether labels matter.
        """
        lines = {
            line[Level.INSTANCE][1]: line
            for part in chunks(ids)
            for line in map(_line_of, writer.core.execute(sql.CHAINS_BY_ID, {"ids": part}))
        }
        found: dict[int, list[str]] = {}
        keys = {key for line in lines.values() for key, _ in line} if labels else ()
        for keyed in chunks(keys):
            for row in writer.core.execute(sql.LABELS_OF, {"ids": keyed}):
                found.setdefault(row.resource, []).append(row.label)
        return cls(lines, found)

    def and_of(self, writer: Writer, produced: Sequence[Produced]) -> _Sources:
        """These, and what some results were made from that is still there."""
        labels = any(one.keeps_labels for one in produced)
        ids = {one.source for one in produced if one.source} - self.lines.keys()
        more = _Sources.read(writer, ids, labels=labels)
        return _Sources(ChainMap(more.lines, self.lines), ChainMap(more.labels, self.labels))


def _line_of(row: sa.Row[Any]) -> list[tuple[int, str]]:
    values = list(row)[1:]
    return list(zip(values[::2], values[1::2], strict=True))


def _link(
    writer: Writer, produced: Sequence[Produced], rows: Sequence[int], sources: _Sources
) -> None:
    """Write the metadata and labels of what was added."""
    lines = {
        row.row: _line_of(row)
        for part in chunks(set(rows))
        for row in writer.core.execute(sql.CHAINS_BY_ROW, {"rows": part})
    }
    metadata: dict[tuple[int, str], str] = {}
    labels: set[tuple[int, str]] = set()
    for one, row in zip(produced, rows, strict=True):
        line, source = lines.get(row, []), sources.lines.get(one.source, [])
        if not line:
            continue
        key, _ = line[Level.INSTANCE]
        metadata.update({(key, name): value for name, value in one.metadata.items()})
        metadata.update(_links(one, line, source))
        if one.keeps_labels:
            labels |= _passed(line, source, sources.labels)
    if metadata:
        writer.core.execute(
            sql.SET_METADATA,
            [{"resource": key, "name": n, "value": v} for (key, n), v in metadata.items()],
        )
    if labels:
        values = [{"resource": key, "label": label} for key, label in sorted(labels)]
        writer.core.execute(sql.SET_LABEL, values)


def _links(
    one: Produced, line: list[tuple[int, str]], source: list[tuple[int, str]]
) -> dict[tuple[int, str], str]:
    """Where the resources of a result come from; of the instance even if its source is gone."""
    if not one.link or not one.source:
        return {}
    links = {
        (key, one.link): old
        for (key, new), (_, old) in zip(line, source, strict=False)
        if new != old
    }
    key, _ = line[Level.INSTANCE]
    return {**links, (key, one.link): one.source}


def _passed(
    line: list[tuple[int, str]],
    source: list[tuple[int, str]],
    labels: Mapping[int, Sequence[str]],
) -> set[tuple[int, str]]:
    return {
        (key, label)
        for (key, _), (old, _) in zip(line, source, strict=False)
        for label in labels.get(old, ())
    }

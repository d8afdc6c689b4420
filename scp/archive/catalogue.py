"""The catalogue: what is stored, by patient, study, series and instance.

- It follows the journal: an instance with `store` is taken in at the next `refresh`, which costs
  next to nothing when nothing has come, so that receiving pays nothing for it.
- What it says more than the journal (metadata, labels, changes, jobs) is durable in the same
  database, and changes in the same transaction as the instances it is about.
- A commit of a job is one transaction: all of its results and deletions, or nothing.

What it writes is in `catalogue_writing`, its statements in `catalogue_schema`.
"""

from __future__ import annotations

import json
import re
import time
from array import array
from typing import TYPE_CHECKING, Any, Final

from scp.archive import catalogue_schema as sql
from scp.archive import catalogue_writing as writing
from scp.archive.catalogue_surroundings import Surroundings, surroundings
from scp.archive.catalogue_tables import resources
from scp.archive.identifiers import Level
from scp.archive.resources import Change, Keys, Resource, Statistics, StoredInstance
from scp.errors import BadName, UnknownResource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from scp.archive.resources import Committed, Deleted, Produced
    from scp.journal import Journal, Writer

DERIVED: Final = frozenset(
    (
        *("ReceptionDate", "RemoteAET", "CalledAET", "RemoteIP", "Origin", "TransferSyntax"),
        *("SopClassUid", "IndexInSeries", "LastUpdate", "AnonymizedFrom", "ModifiedFrom"),
    )
)
"""Names of metadata that only the node writes."""
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ALL: Final = -1  # SQLite: no limit
_AT_ONCE: Final = 500
"""Rows that are in memory together where there may be any number."""


class Catalogue:
    """The catalogue of one node; safe for use by many threads.

    Every method raises JournalError if the database cannot be used, and those that write
    OutOfSpace if the disk is full.
    """

    def __init__(self, journal: Journal, *, stable_age_s: float = 60.0) -> None:
        """Bind the journal whose database it lives in.

        Args:
            journal: An open one.
            stable_age_s: After so long without a new instance a resource counts as stable.
        """
        self._journal = journal
        self._stable_age_s = stable_age_s
        self._newest = -1

    # ---- following the journal

    def refresh(self) -> None:
        """Take in what the journal has got since; every reading method does it first."""
        [(is_behind,)] = self._journal.rows(sql.BEHIND)
        now = self._journal.now()
        # In several transactions, so that whoever receives does not wait for all of it.
        while is_behind:
            is_behind = self._journal.write(lambda w: writing.take_in(w, now), durable=False)

    def settle(self) -> None:
        """Log what has become stable; to be called every second or so by one thread.

        It also takes in what has come, once nothing more comes: while instances arrive, only
        those who ask for the catalogue make it follow.
        """
        [(newest,)] = self._journal.rows(sql.NEWEST)
        if newest == self._newest:
            self.refresh()
        self._newest = newest
        now = self._journal.now()
        before = now - self._stable_age_s
        if self._journal.rows(sql.RIPE.limit(1), {"before": before}):
            self._journal.write(lambda w: writing.settle(w, before, now), durable=False)

    # ---- resources

    def find(self, id_: str, level: Level | None = None) -> Resource | None:
        """A resource by its identifier; None if there is none, or not of that level."""
        self.refresh()
        row = self._row(id_, level)
        return None if row is None else self._resource(row)

    def listing(self, level: Level, *, since: int = 0, limit: int = 0) -> list[Resource]:
        """The resources of a level in the order they came.

        Args:
            level: Which.
            since: So many are left out at the beginning.
            limit: At most so many; 0 is all.
        """
        self.refresh()
        bound = {"level": int(level), "since": since, "limit": limit or _ALL}
        return [self._resource(row) for row in self._journal.rows(sql.LISTING, bound)]

    def children(self, id_: str) -> list[Resource]:
        """The resources right below one, in the order they came."""
        self.refresh()
        row = self._row(id_)
        return [] if row is None else self._below(row, 1)

    def below(self, id_: str, level: Level) -> list[Resource]:
        """The resources of a level at or below one, in the order they came."""
        self.refresh()
        row = self._row(id_)
        if row is None or level < row.level:
            return []
        return self._below(row, level - row.level)

    def surroundings(self, level: Level, ids: Sequence[str]) -> dict[str, Surroundings]:
        """What is said of resources of a level beside their own attributes, by identifier."""
        self.refresh()
        found: dict[str, Surroundings] = {}
        for part in writing.chunks(ids):
            of_part = surroundings(self._journal, level, part)
            found |= {id_: of_part[id_] for id_ in part}
        return found

    def above(self, id_: str) -> list[Resource]:
        """The resources above one, the nearest first."""
        self.refresh()
        found: list[Resource] = []
        row = self._row(id_)
        while row is not None and row.parent is not None:
            rows = self._journal.rows(sql.RESOURCES.where(resources.c.id == row.parent))
            row = next(iter(rows), None)
            if row is not None:
                found.append(self._resource(row))
        return found

    def instances(self, ids: Sequence[str]) -> list[StoredInstance]:
        """The instances at or below some resources, each once, in the order they came."""
        self.refresh()
        found: dict[int, StoredInstance] = {}
        for level, keys in self._keys(ids).items():
            for part in writing.chunks(keys):
                statement = sql.STORED.where(sql.below(part, Level.INSTANCE - level))
                found.update(map(_stored, self._journal.rows(statement)))
        return [found[key] for key in sorted(found)]

    def keys(self, ids: Sequence[str]) -> Keys:
        """What stands for each of these instances in `places` and `uids`, in order of arrival."""
        self.refresh()
        found: dict[int, int] = {}
        for level, keys in self._keys(ids).items():
            for part in writing.chunks(keys):
                condition = sql.below(part, Level.INSTANCE - level)
                rows = self._journal.rows(sql.KEYS.where(condition))
                found.update((row.id, hash(row.public_id)) for row in rows)
        numbers = array("q", sorted(found))
        return Keys(numbers, array("q", map(found.__getitem__, numbers)))

    def places(self, keys: Sequence[int]) -> dict[int, StoredInstance]:
        """Some instances by key, without their tags; what is gone is left out."""
        rows = self._journal.rows(sql.PLACES, {"keys": list(keys)})
        return dict(map(_stored, rows))

    def digests(self, keys: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Of each instance: its identifier, and the digest of its file."""
        for part in writing.chunks(keys, _AT_ONCE):
            yield from map(_two, self._journal.rows(sql.DIGESTS, {"keys": part}))

    def uids(self, keys: Sequence[int]) -> Iterator[tuple[str, str, str, str]]:
        """Of each instance: the identifier of its study, and the UIDs of study, series, itself."""
        for part in writing.chunks(keys, _AT_ONCE):
            yield from map(_four, self._journal.rows(sql.UIDS, {"keys": part}))

    def lookup(self, value: str) -> list[tuple[Level, str]]:
        """Resources whose PatientID, UID or AccessionNumber is this, whatever its case."""
        self.refresh()
        bound = {"value": value.strip(" \0")}
        rows = self._journal.rows(sql.LOOKUP, bound)
        return [(Level(row.level), row.public_id) for row in rows]

    def main_tags(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Main attributes of resources with those of all above them, by identifier."""
        self.refresh()
        rows: dict[int, sa.Row[Any]] = {}
        wanted = [key for keys in self._keys(ids).values() for key in keys]
        missing = set(wanted)
        while missing:
            for part in writing.chunks(missing):
                statement = sql.ANCESTRY.where(resources.c.id.in_(part))
                rows.update((row.id, row) for row in self._journal.rows(statement))
            parents = {rows[key].parent for key in missing if key in rows}
            missing = {key for key in parents if key is not None and key not in rows}
        return {rows[key].public_id: _inherited(rows, key) for key in wanted if key in rows}

    def statistics(self, id_: str | None = None) -> Statistics:
        """Of everything, or of what is below a resource, itself and those above included."""
        self.refresh()
        if id_ is None:
            counts = {row.level: row.resources for row in self._journal.rows(sql.COUNTS)}
            [(size,)] = self._journal.rows(sql.SIZE)
            patients, studies, series, instances = (counts.get(level, 0) for level in Level)
            return Statistics(patients, studies, series, instances, size)
        row = self._row(id_)
        if row is None:
            return Statistics(0, 0, 0, 0, 0)
        condition = sql.below([row.id], Level.INSTANCE - row.level)
        [found] = self._journal.rows(sql.STATISTICS.where(condition))
        return Statistics(*tuple(found))

    # ---- metadata and labels

    def metadata(self, id_: str) -> dict[str, str]:
        """Metadata of a resource by name, those that follow from the journal included.

        None for a resource that is not there.
        """
        self.refresh()
        row = self._row(id_)
        if row is None:
            return {}
        written = self._journal.rows(sql.METADATA, {"resource": row.id})
        return self._derived(row) | {one.name: one.value for one in written}

    def set_metadata(self, id_: str, name: str, value: str) -> None:
        """Write a metadata of the user's own.

        Raises:
            BadName: The node alone writes this one, or it is no name.
            UnknownResource: There is none.
        """
        _check(name, _NAME)
        self._write_about(id_, sql.SET_METADATA, {"name": name, "value": value})

    def drop_metadata(self, id_: str, name: str) -> None:
        """Remove one of the user's own; it may be absent.

        Raises:
            BadName, UnknownResource: As above.
        """
        _check(name, _NAME)
        self._write_about(id_, sql.DROP_METADATA, {"name": name})

    def labels(self, id_: str) -> list[str]:
        """Labels of a resource, sorted."""
        self.refresh()
        row = self._row(id_)
        if row is None:
            return []
        return [one.label for one in self._journal.rows(sql.LABELS, {"resource": row.id})]

    def set_label(self, id_: str, label: str) -> None:
        """Add a label.

        Raises:
            BadName: Something else than letters of ASCII, digits, `_` and `-`.
            UnknownResource: There is none.
        """
        _check(label, _LABEL)
        self._write_about(id_, sql.SET_LABEL, {"label": label})

    def drop_label(self, id_: str, label: str) -> None:
        """Remove a label; it may be absent.

        Raises:
            UnknownResource: There is none.
        """
        self._write_about(id_, sql.DROP_LABEL, {"label": label})

    def all_labels(self) -> list[str]:
        """Every label in use, sorted."""
        return [row.label for row in self._journal.rows(sql.ALL_LABELS)]

    # ---- changes

    def changes(self, *, since: int = 0, limit: int = 100) -> tuple[list[Change], bool]:
        """Changes behind a number, in order, and whether these are the last.

        Args:
            since: The number of a change; 0 is from the beginning.
            limit: At most so many; 0 is all.
        """
        self.refresh()
        bound = {"since": since, "limit": limit + 1 if limit else _ALL}
        found = [_of_row(row) for row in self._journal.rows(sql.CHANGES, bound)]
        wanted = limit or len(found)
        return found[:wanted], len(found) <= wanted

    def last_change(self) -> Change | None:
        """The newest one."""
        self.refresh()
        rows = self._journal.rows(sql.LAST_CHANGE)
        return _of_row(rows[0]) if rows else None

    def clear_changes(self) -> None:
        """Forget the changes; their numbers go on."""
        self.refresh()
        self._journal.write(lambda w: w.core.execute(sql.CLEAR_CHANGES), durable=True)

    def next_number(self, name: str) -> int:
        """1, 2, 3, ...: a durable counter, such as that of `Anonymized1`."""

        def count_up(writer: Writer) -> int:
            return int(writer.core.execute(sql.COUNT_UP, {"counter": name}).scalar_one())

        return self._journal.write(count_up, durable=True)

    # ---- changing what is stored

    def commit(
        self,
        produced: Iterable[Produced],
        removed: Sequence[str] = (),
        *,
        also: Callable[[sa.Connection], object] | None = None,
    ) -> Committed:
        """Add what a job has made and remove what it replaces, in one durable transaction.

        What is removed goes first, so that a result may take the place of its source under the
        same UID, unless that one is still owed to a destination.

        Args:
            produced: Synced drafts; whoever made them keeps the files afterwards, but for those
                of `known`, which he discards. It is gone through once per attempt.
            removed: Identifiers of instances that go; those that are gone already do no harm.
            also: Runs in the same transaction, with its connection: the job's own outcome. It
                changes nothing but the database, since it may run again: see `Journal.write`.

        Raises:
            Conflict: Other bytes are stored under one of the UIDs; nothing was committed.
            OutOfSpace, JournalError: Nothing was committed.
        """
        self.refresh()
        now = self._journal.now()

        def work(writer: Writer) -> Committed:
            committed = writing.commit(writer, produced, removed, now)
            if also is not None:
                also(writer.core)
            return committed

        return self._journal.write(work, durable=True)

    def delete(self, id_: str) -> Deleted | None:
        """Remove a resource and all below it, durably; None if there is none.

        What it leaves empty above goes too. Instances that a destination is still owed leave the
        catalogue at once, and the disk once they are delivered.
        """
        self.refresh()
        now = self._journal.now()

        def work(writer: Writer) -> Deleted | None:
            writing.take_in_all(writer, now)
            row = writer.core.execute(sql.NAMED, {"id": id_}).first()
            return None if row is None else writing.delete(writer, row, now)

        return self._journal.write(work, durable=True)

    # ---- inside

    def _row(self, id_: str, level: Level | None = None) -> sa.Row[Any] | None:
        rows = self._journal.rows(sql.NAMED, {"id": id_})
        return next((row for row in rows if level is None or row.level == level), None)

    def _below(self, row: sa.Row[Any], steps: int) -> list[Resource]:
        statement = sql.RESOURCES.where(sql.below([row.id], steps)).order_by(resources.c.id)
        return [self._resource(one) for one in self._journal.rows(statement)]

    def _keys(self, ids: Sequence[str]) -> dict[Level, list[int]]:
        """Keys by level; what is not there is left out, as is an identifier named again."""
        found: dict[str, sa.Row[Any]] = {}
        for part in writing.chunks(set(ids)):
            for row in self._journal.rows(sql.KNOWN_RESOURCES, {"ids": part}):
                if row.public_id not in found or row.level < found[row.public_id].level:
                    found[row.public_id] = row
        keys: dict[Level, list[int]] = {}
        for row in found.values():
            keys.setdefault(Level(row.level), []).append(row.id)
        return keys

    def _resource(self, row: sa.Row[Any]) -> Resource:
        return Resource(
            id=row.public_id,
            level=Level(row.level),
            uid=row.uid,
            parent=row.parent_id or "",
            tags=json.loads(row.tags),
            created_at=row.created_at,
            changed_at=row.changed_at,
            is_stable=row.changed_at <= self._journal.now() - self._stable_age_s,
        )

    def _derived(self, row: sa.Row[Any]) -> dict[str, str]:
        if row.level < Level.SERIES:
            return {"LastUpdate": _moment(row.changed_at)}
        condition = sql.below([row.id], Level.INSTANCE - row.level)
        origin = next(iter(self._journal.rows(sql.ORIGIN.where(condition))), None)
        if row.level == Level.SERIES:
            sender = {} if origin is None else {"RemoteAET": origin.calling_ae}
            return {"LastUpdate": _moment(row.changed_at), **sender}
        return {} if origin is None else _of_instance(row, origin)

    def _write_about(self, id_: str, statement: sa.Executable, bound: dict[str, Any]) -> None:
        self.refresh()

        def work(writer: Writer) -> None:
            row = writer.core.execute(sql.NAMED, {"id": id_}).first()
            if row is None:
                raise UnknownResource("there is no such resource")
            writer.core.execute(statement, {"resource": row.id, **bound})

        self._journal.write(work, durable=True)


def index_in_series(tags: Mapping[str, str]) -> str:
    """The number of an instance in its series, of its main attributes; empty if it has none."""
    return tags.get("InstanceNumber") or tags.get("ImageIndex", "")


def _check(name: str, pattern: re.Pattern[str]) -> None:
    if name in DERIVED:
        raise BadName("the node alone writes the metadata of this name")
    if not pattern.fullmatch(name):
        raise BadName("the name of a metadata or a label has letters, digits, '_' and '-'")


def _moment(at: float) -> str:
    """As Orthanc writes a moment, in UTC."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(at))


def _of_instance(row: sa.Row[Any], origin: sa.Row[Any]) -> dict[str, str]:
    tags = json.loads(origin.tags)
    known = {
        "ReceptionDate": _moment(row.created_at),
        "CalledAET": origin.called_ae,
        "RemoteIP": origin.remote_ip,
        "Origin": origin.origin,
        "TransferSyntax": origin.transfer_syntax_uid,
        "SopClassUid": origin.sop_class_uid,
        "IndexInSeries": index_in_series(tags),
    }
    present = {name: value for name, value in known.items() if value}
    return {**present, "RemoteAET": origin.calling_ae}


def _stored(row: sa.Row[Any]) -> tuple[int, StoredInstance]:
    values = dict(row._mapping)  # noqa: SLF001 - the public name of it in SQLAlchemy
    key = values.pop("resource")
    values["tags"] = json.loads(values.get("tags", "{}"))
    return key, StoredInstance(**values)


def _two(row: sa.Row[Any]) -> tuple[str, str]:
    id_, digest = map(str, row)
    return id_, digest


def _four(row: sa.Row[Any]) -> tuple[str, str, str, str]:
    study, study_uid, series_uid, uid = map(str, row)
    return study, study_uid, series_uid, uid


def _of_row(row: sa.Row[Any]) -> Change:
    return Change(row.seq, row.kind, Level(row.level), row.public_id, row.at)


def _inherited(rows: Mapping[int, sa.Row[Any]], key: int) -> dict[str, str]:
    """The main attributes of a resource, over those of all above it."""
    row: sa.Row[Any] | None = rows[key]
    tags: dict[str, str] = {}
    while row is not None:
        tags = json.loads(row.tags) | tags
        row = rows.get(row.parent)
    return tags

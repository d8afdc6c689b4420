"""What holds of a node after every start, whatever came before; see the top of `simulation`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import sqlalchemy as sa

from scp import journal_schema as sql
from scp.instance import DeliveryState, StoredFile
from tests.model.life import DATA, POLICY
from tests.scp.storing import uid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.model.destinations import Destination
    from tests.model.life import Life
    from tests.model.losing_disk import LosingDisk
    from tests.model.sending import Sent

FLAWS = ("missing", "gone", "cannot be read", "changed")
"""In an outcome: that the node has lost what it was to deliver."""


class Violated(AssertionError):
    """A promise does not hold; the message says which."""


def demand(holds: object, sentence: str) -> None:
    """Raise Violated unless it holds."""
    if not holds:
        raise Violated(sentence)


@dataclass
class Promise:
    """What was acknowledged of one instance."""

    dataset: bytes
    stored: bool
    owed: set[str]

    def renew(self, sent: Sent) -> None:
        """It was acknowledged once more, perhaps on another route."""
        demand(self.dataset == sent.dataset, "other content is acknowledged under a UID")
        self.stored |= sent.route.store
        self.owed |= set(sent.route.forward)


class Judge:
    """Knows what was promised, and compares."""

    def __init__(self, destinations: Mapping[str, Destination]) -> None:
        """Begin without promises."""
        self.promises: dict[int, Promise] = {}
        self._destinations = destinations

    def acknowledged(self, sent: Sent) -> None:
        """The node has answered 0x0000."""
        fresh = Promise(sent.dataset, sent.route.store, set())
        self.promises.setdefault(sent.number, fresh).renew(sent)

    def judge(self, life: Life, disk: LosingDisk, now: float) -> None:
        """Look at everything; no operation of this can be the one at which the node dies."""
        doom, disk.dies_at = disk.dies_at, None
        rows = life.journal.rows(sa.select(sql.instances))
        owed: dict[int, dict[str, sa.Row]] = {}
        for row in life.journal.rows(sa.select(sql.deliveries)):
            owed.setdefault(row.instance_id, {})[row.destination] = row
        self._judge_files(life, disk, rows)
        for row in rows:
            self._judge_deliveries(row, owed.get(row.id, {}), now)
        by_uid = {row.sop_instance_uid: row for row in rows}
        for number, promise in self.promises.items():
            row = by_uid.get(uid(number))
            demand(row is not None, "an acknowledged instance is lost")
            self._judge_promise(life, row, owed.get(row.id, {}), promise)
        self._judge_destinations()
        disk.dies_at = doom

    def _judge_files(self, life: Life, disk: LosingDisk, rows: Sequence[sa.Row]) -> None:
        """Files and rows are the same, and the bytes are whole."""
        named = {row.file_name for row in rows if row.file_name}
        top = PurePosixPath(DATA) / "instances"
        blank = {name for _, name in life.spool._root._blank}
        found = {
            f"{shard}/{name}" for shard in disk.names(top) for name in disk.names(top / shard)
        }
        demand(found - blank == named, "files and rows are not the same")
        for row in rows:
            if row.file_name:
                demand(life.spool.intact(_file(row)), "a stored instance has other bytes")

    def _judge_deliveries(self, row: sa.Row, owed: dict[str, sa.Row], now: float) -> None:
        states = {delivery.state for delivery in owed.values()}
        gone = not row.file_name
        demand(not (gone and row.store), "a stored instance is gone")
        demand(not gone or states <= {sql.DELIVERED}, "a file went before it was delivered")
        demand(DeliveryState.SENDING not in states, "something is on its way for ever")
        for delivery in owed.values():
            there = self._destinations[delivery.destination]
            if delivery.state == sql.DELIVERED:
                has = row.sop_instance_uid in there.received
                demand(has, "a delivery is noted that was never made")
            if delivery.state == sql.FAILED:
                self._judge_failure(row, delivery, there, now)

    def _judge_failure(
        self, row: sa.Row, delivery: sa.Row, there: Destination, now: float
    ) -> None:
        outcome = delivery.last_outcome
        demand(outcome, "a delivery has failed without a reason")
        demand(not any(flaw in outcome for flaw in FLAWS), f"a delivery has failed: {outcome}")
        context = (row.sop_class_uid, row.transfer_syntax_uid)
        given = there.strikes(row.sop_instance_uid, context) >= POLICY.strikes
        expired = now - delivery.due_since > POLICY.lifetime_s
        demand(given or expired, "a delivery was given up without need")

    def _judge_promise(
        self, life: Life, row: sa.Row, owed: dict[str, sa.Row], promise: Promise
    ) -> None:
        demand(not promise.stored or row.file_name, "a stored instance has no file")
        demand(promise.owed <= owed.keys(), "what is owed is forgotten")
        if row.file_name:
            content = b"".join(life.spool.read(_file(row), row.dataset_offset))
            demand(content == promise.dataset, "other content than was acknowledged")
        for name in promise.owed:
            if owed[name].state == sql.DELIVERED:
                received = self._destinations[name].received[row.sop_instance_uid]
                demand(promise.dataset in received, "other content was delivered")

    def _judge_destinations(self) -> None:
        for there in self._destinations.values():
            demand(
                all(len(versions) == 1 for versions in there.received.values()),
                "two objects were sent under one UID",
            )


def _file(row: sa.Row) -> StoredFile:
    return StoredFile(row.file_name, row.size_bytes, row.digest)

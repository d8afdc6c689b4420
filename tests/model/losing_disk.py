"""A disk that loses, sector by sector, what was not synced, and fails where it is told to.

Three things it does that `ForgetfulDisk` does not:

* What a loss of power leaves of a file that was being written is a mixture of old and new
  sectors, or a shorter file: a file system writes in any order.
* A failed sync marks what was dirty as clean, as Linux does: a later sync succeeds, and has not
  written it. Reading gives the bytes until power is lost.
* It can be told to forget syncs of one kind, which is how a product that lacks them behaves.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import TYPE_CHECKING

from tests.scp.disks import ForgetfulDisk, Node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath
    from random import Random

SECTOR_BYTES = 512
PAGE_BYTES = 4096


class Loss(Enum):
    """What becomes of that which was not synced."""

    EVERYTHING = "nothing of it is there"
    NOTHING = "all of it is there"
    ANYTHING = "each entry and sector by chance"


class LosingDisk(ForgetfulDisk):
    """See the top of the module.

    Attributes:
        chance: Decides what a loss of power takes, and how much a write takes.
        is_full: Whether a file that is to grow fails with ENOSPC, and a new one too.
        forgets: Kinds of syncs that do nothing: see `kind`.
        fails_sync_in: How many syncs succeed before one fails with EIO; None for no such fault.
        has_failed: Whether a sync has failed since the node was started.
        danger: How often the process dies right after it has removed a file.
        shared: What the connections to each database share.
        indexes: What an earlier life left of the index of each log.
    """

    def __init__(self, chance: Random, forgets: frozenset[str] = frozenset()) -> None:
        """Begin with nothing but the root."""
        super().__init__()
        self.chance = chance
        self.forgets = forgets
        self.is_full = False
        self.fails_sync_in: int | None = None
        self.has_failed = False
        self.danger = 0.0
        self.shared: dict[str, object] = {}
        self.indexes: dict[str, bytes] = {}
        self._kinds: dict[int, str] = {}

    @property
    def is_dead(self) -> bool:
        """Whether the process is gone."""
        return self.dies_at is not None and self.operations >= self.dies_at

    # ---- what the spool asks for

    def create(self, path: PurePath) -> int:
        self._need_room()
        return self._of_kind(super().create(path), "file")

    def open_to_write(self, path: PurePath) -> int:
        return self._of_kind(super().open_to_write(path), "file")

    def open_folder(self, path: PurePath) -> int:
        return self._of_kind(super().open_folder(path), kind(path))

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
        content = b"".join(buffers)
        taken = content[: self.chance.randint(1, len(content))]
        self.write_at(self._open[descriptor], taken, self._at[descriptor])
        self._at[descriptor] += len(taken)
        return len(taken)

    def sync(self, descriptor: int) -> None:
        self.sync_node(self._open[descriptor], self._kinds.get(descriptor, "file"))

    def unlink(self, path: PurePath) -> None:
        super().unlink(path)
        if self.danger and self.chance.random() < self.danger:
            self.dies_at = self.operations + self.chance.randint(1, 4)

    def free_bytes(self, path: PurePath) -> int:
        return 0 if self.is_full else super().free_bytes(path)

    # ---- what SQLite asks for

    def exists(self, path: PurePath) -> bool:
        """Whether there is such an entry."""
        try:
            self.find(path)
        except FileNotFoundError:
            return False
        return True

    def find(self, path: PurePath) -> Node:
        """The file or folder at a path."""
        return self._find(path)

    def make_file(self, path: PurePath) -> Node:
        """Create a file as `create` does."""
        self.close(self.create(path))
        return self.find(path)

    def write_at(self, node: Node, content: bytes, offset: int) -> None:
        """Write at a place; what is between the end and that place is zeros."""
        self._operate()
        if offset + len(content) > len(node.data):
            self._need_room()
            node.data.extend(bytes(offset + len(content) - len(node.data)))
        node.data[offset : offset + len(content)] = content
        first, last = offset // PAGE_BYTES, (offset + len(content) - 1) // PAGE_BYTES
        node.dirty.update(range(first, last + 1))

    def truncate(self, node: Node, size: int) -> None:
        """Make a file shorter."""
        self._operate()
        del node.data[size:]

    def sync_entries(self, path: PurePath) -> None:
        """Sync a folder."""
        self.sync_node(self.find(path), f"SQLite's {kind(path)}")

    def sync_node(self, node: Node, what: str) -> None:
        """Sync a file or folder, unless syncs of this kind are forgotten."""
        self._operate()
        if what in self.forgets:
            return
        self._fail_if_told(node)
        self.syncs += 1
        if node.entries is not None:
            node.durable = dict(node.entries)
        else:
            node.synced = _written(node)
            node.dirty.clear()

    # ---- what becomes of it

    def after_power(self, loss: Loss) -> LosingDisk:
        """The disk that a start finds after power was lost."""
        found = LosingDisk(self.chance, self.forgets)
        found.root = self._left(self.root, loss)
        return found

    def after_death(self) -> LosingDisk:
        """The disk that a start finds if only the process has died: all that was written."""
        found = LosingDisk(self.chance, self.forgets)
        found.root = self.root
        return found

    def _left(self, node: Node, loss: Loss) -> Node:
        if node.entries is None:
            data = self._left_bytes(node, loss)
            return Node(data=bytearray(data), synced=bytearray(data))
        entries = {}
        for name in sorted(node.entries.keys() | node.durable.keys()):
            now, then = node.entries.get(name), node.durable.get(name)
            kept = now if now is then or self._survives(loss) else then
            if kept is not None:
                entries[name] = self._left(kept, loss)
        return Node(entries=entries, durable=dict(entries))

    def _survives(self, loss: Loss) -> bool:
        return loss is Loss.NOTHING or (loss is Loss.ANYTHING and self.chance.random() < 0.5)

    def _left_bytes(self, node: Node, loss: Loss) -> bytes:
        old = bytes(node.synced)
        if loss is Loss.EVERYTHING:
            return old
        new = bytes(_written(node))
        return new if loss is Loss.NOTHING or new == old else _mixed(old, new, self.chance)

    # ---- faults

    def _of_kind(self, descriptor: int, what: str) -> int:
        self._kinds[descriptor] = what
        return descriptor

    def _need_room(self) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "ordered by the test")

    def _fail_if_told(self, node: Node) -> None:
        if self.fails_sync_in is None:
            return
        self.fails_sync_in -= 1
        if self.fails_sync_in >= 0:
            return
        self.fails_sync_in = None
        self.has_failed = True
        node.dirty.clear()
        raise OSError(errno.EIO, "ordered by the test")


def kind(path: PurePath) -> str:
    """What a folder is to the node: `data`, `instances`, `shard`, or `above` them."""
    names = path.parts
    if "instances" in names:
        return "instances" if names[-1] == "instances" else "shard"
    return "data" if names[-1] == "data" else "above"


def _written(node: Node) -> bytearray:
    """What is on the disk once the dirty pages are written, and none but those."""
    disk = node.synced if isinstance(node.synced, bytearray) else bytearray(node.synced)
    del disk[len(node.data) :]
    disk.extend(bytes(len(node.data) - len(disk)))
    for page in node.dirty:
        place = slice(page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
        disk[place] = node.data[place]
    return disk


def _mixed(old: bytes, new: bytes, chance: Random) -> bytes:
    """Some sectors of each; the length of one of them, or something between."""
    size = chance.choice([len(old), len(new), chance.randint(*sorted((len(old), len(new))))])
    mixed = bytearray(size)
    for at in range(0, size, SECTOR_BYTES):
        place = slice(at, min(at + SECTOR_BYTES, size))
        first, second = old[place], new[place]
        taken = first if first == second or chance.random() < 0.5 else second
        mixed[place] = taken.ljust(place.stop - at, b"\0")[: place.stop - at]
    return bytes(mixed)

"""Disks that tests put under the spool: one that forgets, one that fails to order."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scp.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Died(BaseException):
    """The process is gone: nothing of the product may catch this."""


@dataclass
class Node:
    """A file or folder: as it is, and as it is known to be after a loss of power.

    `dirty` are the pages of a file that were written since; only some disks keep count of them.
    """

    data: bytearray = field(default_factory=bytearray)
    synced: bytes | bytearray = b""
    dirty: set[int] = field(default_factory=set)
    entries: dict[str, Node] | None = None
    durable: dict[str, Node] = field(default_factory=dict)


def folder() -> Node:
    """An empty folder."""
    return Node(entries={})


class ForgetfulDisk:
    """A disk in memory that keeps, after a loss of power, only what was synced.

    What was not synced is kept or lost entry by entry, as `keeps` decides: a file system may
    write things early, in any order.
    """

    def __init__(self) -> None:
        """Begin with nothing but the root."""
        self.root = folder()
        self.operations = 0
        self.dies_at: int | None = None
        self.syncs = 0
        self._open: dict[int, Node] = {}
        self._at: dict[int, int] = {}

    def _operate(self) -> None:
        self.operations += 1
        if self.dies_at is not None and self.operations >= self.dies_at:
            raise Died

    def _find(self, path: Path) -> Node:
        node = self.root
        for part in path.parts[1:]:
            if node.entries is None or part not in node.entries:
                raise FileNotFoundError(errno.ENOENT, "no such entry")
            node = node.entries[part]
        return node

    def _entries(self, path: Path) -> dict[str, Node]:
        entries = self._find(path).entries
        assert entries is not None
        return entries

    def _descriptor(self, node: Node) -> int:
        number = len(self._at) + 3
        self._open[number] = node
        self._at[number] = 0
        return number

    def make_folder(self, path: Path) -> bool:
        self._operate()
        if path == Path("/") or path.name in self._entries(path.parent):
            return False
        self._entries(path.parent)[path.name] = folder()
        return True

    def create(self, path: Path) -> int:
        self._operate()
        entries = self._entries(path.parent)
        if path.name in entries:
            raise FileExistsError(errno.EEXIST, "it exists")
        entries[path.name] = Node()
        return self._descriptor(entries[path.name])

    def open_to_write(self, path: Path) -> int:
        self._operate()
        return self._descriptor(self._find(path))

    def open(self, path: Path) -> int:
        return self._descriptor(self._find(path))

    def open_folder(self, path: Path) -> int:
        return self._descriptor(self._find(path))

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
        self._operate()
        content = b"".join(buffers)
        start = self._at[descriptor]
        self._open[descriptor].data[start : start + len(content)] = content
        self._at[descriptor] += len(content)
        return len(content)

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        start = self._at[descriptor]
        piece = bytes(self._open[descriptor].data[start : start + size_bytes])
        self._at[descriptor] += len(piece)
        return piece

    def seek(self, descriptor: int, offset: int) -> None:
        self._at[descriptor] = offset

    def sync(self, descriptor: int) -> None:
        self._operate()
        self.syncs += 1
        node = self._open[descriptor]
        node.synced = bytes(node.data)
        if node.entries is not None:
            node.durable = dict(node.entries)

    def close(self, descriptor: int) -> None:
        self._operate()
        del self._open[descriptor]

    def unlink(self, path: Path) -> None:
        self._operate()
        entries = self._entries(path.parent)
        if path.name not in entries:
            raise FileNotFoundError(errno.ENOENT, "no such entry")
        del entries[path.name]

    def names(self, path: Path) -> list[str]:
        return sorted(self._entries(path))

    def free_bytes(self, path: Path) -> int:
        del path
        return 1 << 40

    def free_inodes(self, path: Path) -> int:
        del path
        return 1 << 40

    def move(self, path: Path, to: Path) -> None:
        self._operate()
        if path.name not in self._entries(path.parent):
            raise FileNotFoundError(errno.ENOENT, "no such entry")
        self._entries(to.parent)[to.name] = self._entries(path.parent).pop(path.name)

    def allocate(self, descriptor: int, size_bytes: int) -> None:
        self._operate()
        node = self._open[descriptor]
        node.data.extend(bytes(max(0, size_bytes - len(node.data))))

    def forget(self, descriptor: int) -> None:
        """Nothing is remembered beside what is written."""

    def lock(self, path: Path) -> int:
        del path
        return self._descriptor(Node())

    @property
    def descriptors(self) -> int:
        """How many are open."""
        return len(self._open)

    def after_power_loss(self, keeps: Callable[[], bool]) -> ForgetfulDisk:
        """The disk that the next start finds."""
        found = ForgetfulDisk()
        found.root = _remembered(self.root, keeps)
        return found

    def after_death(self) -> ForgetfulDisk:
        """The disk that the next start finds if only the process died: all that was written."""
        found = ForgetfulDisk()
        found.root = self.root
        return found


def _remembered(node: Node, keeps: Callable[[], bool]) -> Node:
    if node.entries is None:
        data = node.data if keeps() else node.synced
        return Node(data=bytearray(data), synced=bytes(data))
    names = sorted(node.entries.keys() | node.durable.keys())
    entries = {}
    for name in names:
        now, then = node.entries.get(name), node.durable.get(name)
        kept = now if now is then or keeps() else then
        if kept is not None:
            entries[name] = _remembered(kept, keeps)
    return Node(entries=entries, durable=dict(entries))


class FaultyDisk(Disk):
    """The real disk, on which the operations named in `faults` fail with that error number."""

    def __init__(self) -> None:
        """Begin without faults."""
        self.faults: dict[str, int] = {}
        self.most_bytes = 0

    def _fail(self, operation: str) -> None:
        if operation in self.faults:
            raise OSError(self.faults[operation], "ordered by the test")

    def create(self, path: Path) -> int:
        self._fail("create")
        return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[bytes | memoryview]) -> int:
        self._fail("write")
        if not self.most_bytes:
            return super().write(descriptor, buffers)
        return super().write(descriptor, [memoryview(buffers[0])[: self.most_bytes]])

    def read(self, descriptor: int, size_bytes: int) -> bytes:
        self._fail("read")
        return super().read(descriptor, size_bytes)

    def sync(self, descriptor: int) -> None:
        self._fail("sync")
        super().sync(descriptor)

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._fail("close")

    def unlink(self, path: Path) -> None:
        self._fail("unlink")
        super().unlink(path)

"""SQLite itself, over a disk that a test keeps in memory.

The product's journal runs unchanged: this module registers a virtual file system with the very
library that Python's `sqlite3` calls, and makes it the default while a test is `mounted`. So what
a loss of power leaves of the database is decided by the same disk as for the files of instances,
and SQLite's own promise need not be taken for granted.

It does what SQLite's own layer for Unix does: a log that it has made is synced into its folder
with its first sync, a page that is written spoils no other. Locks and shared memory are those of
one process.

Source: the SQLite documentation, "The OS Interface or VFS", and `sqlite3.h`.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import errno
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from tests.scp.disks import Died

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Dialect, Engine

    from tests.model.losing_disk import LosingDisk
    from tests.scp.disks import Node

OK = 0
BUSY = 5
IOERR = 10
NOTFOUND = 12
FULL = 13
CANTOPEN = 14
SHORT_READ = IOERR | 2 << 8
WRITE_FAILED = IOERR | 3 << 8
SYNC_FAILED = IOERR | 4 << 8
NO_SUCH_FILE = IOERR | 23 << 8

OPEN_READ_ONLY = 0x1
OPEN_CREATE = 0x4
OPEN_WAL = 0x80000
INDEX = "-shm"
SECTOR_BYTES = 4096
POWERSAFE_OVERWRITE = 0x1000
SHM_UNLOCK, SHM_SHARED, SHM_EXCLUSIVE = 1, 4, 8
SHARED, RESERVED, PENDING, EXCLUSIVE = 1, 2, 3, 4
_NUMBER_AT = ctypes.sizeof(c_void_p)


class Methods(Structure):
    """`sqlite3_io_methods`, version 2."""

    _fields_ = [
        ("version", c_int),
        ("close", CFUNCTYPE(c_int, c_void_p)),
        ("read", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)),
        ("write", CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)),
        ("truncate", CFUNCTYPE(c_int, c_void_p, c_int64)),
        ("sync", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("file_size", CFUNCTYPE(c_int, c_void_p, POINTER(c_int64))),
        ("lock", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("unlock", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("check_reserved_lock", CFUNCTYPE(c_int, c_void_p, POINTER(c_int))),
        ("file_control", CFUNCTYPE(c_int, c_void_p, c_int, c_void_p)),
        ("sector_size", CFUNCTYPE(c_int, c_void_p)),
        ("device_characteristics", CFUNCTYPE(c_int, c_void_p)),
        ("shm_map", CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, POINTER(c_void_p))),
        ("shm_lock", CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int)),
        ("shm_barrier", CFUNCTYPE(None, c_void_p)),
        ("shm_unmap", CFUNCTYPE(c_int, c_void_p, c_int)),
    ]


class File(Structure):
    """`sqlite3_file`, followed by what is ours: a number."""

    _fields_ = [("methods", POINTER(Methods)), ("number", c_int64)]


class Vfs(Structure):
    """`sqlite3_vfs`, version 1."""

    _fields_ = [
        ("version", c_int),
        ("file_bytes", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", CFUNCTYPE(c_int, c_void_p, c_char_p, POINTER(File), c_int, POINTER(c_int))),
        ("delete", CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)),
        ("access", CFUNCTYPE(c_int, c_void_p, c_char_p, c_int, POINTER(c_int))),
        ("full_path", CFUNCTYPE(c_int, c_void_p, c_char_p, c_int, c_void_p)),
        ("dl", c_void_p * 4),
        ("randomness", CFUNCTYPE(c_int, c_void_p, c_int, c_void_p)),
        ("sleep", CFUNCTYPE(c_int, c_void_p, c_int)),
        ("current_time", CFUNCTYPE(c_int, c_void_p, POINTER(c_double))),
        ("last_error", CFUNCTYPE(c_int, c_void_p, c_int, c_void_p)),
    ]


@dataclass
class Shared:
    """What the connections to one database share: locks, and the index of the log."""

    levels: dict[int, int] = field(default_factory=dict)
    regions: list[ctypes.Array[ctypes.c_char]] = field(default_factory=list)
    mapped: set[int] = field(default_factory=set)
    slots: dict[int, dict[int, int]] = field(default_factory=dict)


@dataclass
class Opened:
    """One file that SQLite has open."""

    disk: LosingDisk
    path: PurePosixPath
    node: Node
    shared: Shared
    is_writable: bool
    is_unsynced_log: bool


_IMMORTAL: Final[list[SqliteDisk]] = []
"""A connection that died may be collected, and calls what it was given, at any later moment."""


class SqliteDisk:
    """The file system that SQLite is given.

    Attributes:
        disk: Where files are opened from now on; those that are open stay on theirs.
        randomness: What SQLite is told when it asks for chance.
    """

    def __init__(self) -> None:
        """Find the library and describe the file system to it; does not register it yet."""
        self.disk: LosingDisk | None = None
        self.randomness: Callable[[int], bytes] = bytes
        self._files: dict[int, Opened] = {}
        self._last = 0
        self._dialect: Dialect | None = None
        self._compiled: dict[object, object] = {}
        self._make_engine = sa.create_engine
        # Raises AttributeError where Python was built with an SQLite that nobody else can call.
        self._library = ctypes.CDLL(_sqlite3.__file__)
        self._library.sqlite3_vfs_find.restype = c_void_p
        self._library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
        self._library.sqlite3_randomness.argtypes = [c_int, c_void_p]
        self._methods = self._describe_methods()
        self._vfs = self._describe_vfs()
        _IMMORTAL.append(self)

    def make_engine(self, *arguments: object, **named: object) -> Engine:
        """SQLAlchemy's own, which compiles a statement once for all nodes that there ever are.

        For speed only: a seed starts half a dozen nodes, and each would compile all it says.
        """
        make = self._make_engine
        if self._dialect is None:
            engine = make(*arguments, **named)
            engine.connect().close()
            self._dialect = engine.dialect
            return engine
        engine = make(*arguments, **named, _initialize=False)
        engine.dialect = self._dialect
        engine.update_execution_options(compiled_cache=self._compiled)
        return engine

    @contextmanager
    def mounted(self, randomness: Callable[[int], bytes]) -> Iterator[None]:
        """Be what SQLite uses by default, until the block is left."""
        usual = self._library.sqlite3_vfs_find(None)
        self.randomness = randomness
        self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)
        # Its generator is one for the whole process: begin it anew.
        self._library.sqlite3_randomness(0, None)
        sa.create_engine = self.make_engine
        try:
            yield
        finally:
            sa.create_engine = self._make_engine
            self._library.sqlite3_vfs_register(usual, 1)
            self._library.sqlite3_randomness(0, None)
            self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))
            self.disk = None

    def content(self, path: PurePosixPath) -> bytes | None:
        """What is in a file, or in the index of a log, which is in memory; None without it."""
        name = str(path)
        if name.endswith(INDEX):
            shared = self.disk.shared.get(name.removesuffix(INDEX))
            return _joined(shared) or self.disk.indexes.get(name)
        return bytes(self.disk.find(path).data) if self.disk.exists(path) else None

    def indexes_left(self, disk: LosingDisk) -> dict[str, bytes]:
        """What a process that ends now leaves of the indexes."""
        found = {f"{name}{INDEX}": _joined(shared) for name, shared in disk.shared.items()}
        return {name: content for name, content in found.items() if content}

    # ---- describing

    def _describe_methods(self) -> Methods:
        made = Methods(version=2)
        for name, kind in Methods._fields_[1:]:
            setattr(made, name, kind(_careful(getattr(self, f"_{name}"))))
        return made

    def _describe_vfs(self) -> Vfs:
        made = Vfs(version=1, file_bytes=ctypes.sizeof(File), longest_path=512, name=b"losing")
        for name, kind in Vfs._fields_[6:]:
            if name != "dl":
                setattr(made, name, kind(_careful(getattr(self, f"_{name}"))))
        return made

    def _file(self, pointer: int) -> Opened:
        return self._files[c_int64.from_address(pointer + _NUMBER_AT).value]

    @staticmethod
    def _key(pointer: int) -> int:
        return c_int64.from_address(pointer + _NUMBER_AT).value

    # ---- the file system

    def _open(self, _vfs: int, name: bytes, file: object, flags: int, out: object) -> int:
        file.contents.methods = None
        if self.disk is None or name is None:
            return CANTOPEN
        path = PurePosixPath(name.decode())
        is_new = not self.disk.exists(path)
        if is_new and not flags & OPEN_CREATE:
            return CANTOPEN
        node = self.disk.make_file(path) if is_new else self.disk.find(path)
        database = str(path).removesuffix("-wal")
        shared = self.disk.shared.setdefault(database, Shared())
        self._last += 1
        self._files[self._last] = Opened(
            self.disk,
            path,
            node,
            shared,
            is_writable=not flags & OPEN_READ_ONLY,
            is_unsynced_log=bool(flags & OPEN_CREATE and flags & OPEN_WAL),
        )
        file.contents.number = self._last
        file.contents.methods = ctypes.pointer(self._methods)
        if out:
            out[0] = flags
        return OK

    def _delete(self, _vfs: int, name: bytes, sync_folder: int) -> int:
        path = PurePosixPath(name.decode())
        if str(path).endswith(INDEX):
            self.disk.indexes.pop(str(path), None)
            return OK
        if self.disk is None or not self.disk.exists(path):
            return NO_SUCH_FILE
        self.disk.unlink(path)
        if sync_folder:
            self.disk.sync_entries(path.parent)
        return OK

    def _access(self, _vfs: int, name: bytes, _flags: int, out: object) -> int:
        out[0] = self.disk.exists(PurePosixPath(name.decode()))
        return OK

    def _full_path(self, _vfs: int, name: bytes, size: int, out: int) -> int:
        ctypes.memmove(out, name + b"\0", min(size, len(name) + 1))
        return OK

    def _randomness(self, _vfs: int, size: int, out: int) -> int:
        ctypes.memmove(out, self.randomness(size), size)
        return size

    def _sleep(self, _vfs: int, microseconds: int) -> int:
        return microseconds

    def _current_time(self, _vfs: int, out: object) -> int:
        out[0] = 2_460_000.5
        return OK

    def _last_error(self, _vfs: int, _size: int, _out: int) -> int:
        return OK

    # ---- files

    def _close(self, file: int) -> int:
        key = self._key(file)
        opened = self._files.pop(key)
        opened.shared.levels.pop(key, None)
        self._leave(opened.shared, key)
        return OK

    def _read(self, file: int, out: int, size: int, offset: int) -> int:
        piece = bytes(self._file(file).node.data[offset : offset + size])
        ctypes.memmove(out, piece, len(piece))
        if len(piece) == size:
            return OK
        ctypes.memset(out + len(piece), 0, size - len(piece))
        return SHORT_READ

    def _write(self, file: int, source: int, size: int, offset: int) -> int:
        opened = self._file(file)
        if not opened.is_writable:
            return WRITE_FAILED
        try:
            opened.disk.write_at(opened.node, ctypes.string_at(source, size), offset)
        except OSError as error:
            return FULL if error.errno == errno.ENOSPC else WRITE_FAILED
        return OK

    def _truncate(self, file: int, size: int) -> int:
        opened = self._file(file)
        if not opened.is_writable:
            return IOERR
        opened.disk.truncate(opened.node, size)
        return OK

    def _sync(self, file: int, _flags: int) -> int:
        opened = self._file(file)
        try:
            opened.disk.sync_node(opened.node, "log" if "-wal" in opened.path.name else "database")
            if opened.is_unsynced_log:
                opened.disk.sync_entries(opened.path.parent)
                opened.is_unsynced_log = False
        except OSError:
            return SYNC_FAILED
        return OK

    def _file_size(self, file: int, out: object) -> int:
        out[0] = len(self._file(file).node.data)
        return OK

    def _file_control(self, _file: int, _operation: int, _argument: int) -> int:
        return NOTFOUND

    def _sector_size(self, _file: int) -> int:
        return SECTOR_BYTES

    def _device_characteristics(self, _file: int) -> int:
        return POWERSAFE_OVERWRITE

    # ---- locks

    def _lock(self, file: int, level: int) -> int:
        key, levels = self._key(file), self._file(file).shared.levels
        others = max((held for who, held in levels.items() if who != key), default=0)
        most = {SHARED: RESERVED, RESERVED: SHARED, PENDING: SHARED, EXCLUSIVE: 0}[level]
        if others > most:
            return BUSY
        levels[key] = max(level, levels.get(key, 0))
        return OK

    def _unlock(self, file: int, level: int) -> int:
        self._file(file).shared.levels[self._key(file)] = level
        return OK

    def _check_reserved_lock(self, file: int, out: object) -> int:
        out[0] = any(level >= RESERVED for level in self._file(file).shared.levels.values())
        return OK

    # ---- the index of the log, in memory that the connections share

    def _shm_map(self, file: int, index: int, size: int, extend: int, out: object) -> int:
        shared = self._file(file).shared
        shared.mapped.add(self._key(file))
        if index >= len(shared.regions) and not extend:
            out[0] = None
            return OK
        while index >= len(shared.regions):
            shared.regions.append(ctypes.create_string_buffer(size))
        out[0] = ctypes.addressof(shared.regions[index])
        return OK

    def _shm_lock(self, file: int, first: int, count: int, flags: int) -> int:
        key, slots = self._key(file), self._file(file).shared.slots
        wanted = [slots.setdefault(number, {}) for number in range(first, first + count)]
        if flags & SHM_UNLOCK:
            for slot in wanted:
                slot.pop(key, None)
            return OK
        for slot in wanted:
            others = [held for who, held in slot.items() if who != key]
            if any(held == SHM_EXCLUSIVE or flags & SHM_EXCLUSIVE for held in others):
                return BUSY
        for slot in wanted:
            slot[key] = flags & (SHM_SHARED | SHM_EXCLUSIVE)
        return OK

    def _shm_barrier(self, _file: int) -> None:
        return None

    def _shm_unmap(self, file: int, _delete: int) -> int:
        self._leave(self._file(file).shared, self._key(file))
        return OK

    @staticmethod
    def _leave(shared: Shared, key: int) -> None:
        for slot in shared.slots.values():
            slot.pop(key, None)
        shared.mapped.discard(key)
        if not shared.mapped:
            shared.regions.clear()


def _joined(shared: Shared | None) -> bytes:
    return b"" if shared is None else b"".join(region.raw for region in shared.regions)


def _careful(method: Callable[..., int]) -> Callable[..., int]:
    """A callback that raises nothing: C could not pass it on."""

    def call(*arguments: object) -> int:
        try:
            return method(*arguments)
        except (Died, OSError):
            return IOERR

    return call

"""Instances as files: what is promised at the top of the spool."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_128

from scp.errors import OutOfSpace, SpoolError
from scp.instance import StoredFile
from scp.spool import Spool
from scp.spool_folder import BATCH_FILES
from tests.scp.disks import Died, FaultyDisk, ForgetfulDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BYTES = b"DICM" * 1000


@pytest.fixture
def faulty() -> FaultyDisk:
    """The real disk, which fails when told to."""
    return FaultyDisk()


@pytest.fixture
def spool(tmp_path: Path, faulty: FaultyDisk) -> Iterator[Spool]:
    """A spool in a folder that does not exist yet."""
    spool = Spool(tmp_path / "data", files=faulty, reserve_bytes=0)
    yield spool
    faulty.faults = {}
    spool.close()


def store(spool: Spool, *pieces: bytes) -> StoredFile:
    """Write and seal one file."""
    draft = spool.draft()
    for piece in pieces or (BYTES,):
        draft.write([piece])
    file = draft.seal()
    draft.keep()
    return file


def files(data: Path) -> set[str]:
    """Every file that holds something, by its name in the spool."""
    root = data / "instances"
    found = (path for path in root.rglob("*") if path.is_file() and path.stat().st_size)
    return {str(path.relative_to(root)) for path in found}


def nothing(_: str) -> frozenset[str]:
    """A journal without rows."""
    return frozenset()


def test_a_sealed_file_holds_what_was_written(spool: Spool, tmp_path: Path) -> None:
    """Buffers are written one after the other, with the digest of the whole."""
    draft = spool.draft()
    draft.write([b"ab", memoryview(b"cd"), b""])
    draft.write([])
    draft.write([bytearray(b"ef")])
    file = draft.seal()

    assert (tmp_path / "data/instances" / file.name).read_bytes() == b"abcdef"
    assert file.size_bytes == 6
    assert file.digest == xxh3_128(b"abcdef").hexdigest()
    assert b"".join(spool.read(file)) == b"abcdef"
    assert b"".join(spool.read(file, 4)) == b"ef"


def test_buffers_may_change_after_they_are_written(spool: Spool) -> None:
    """Fragments live only during the call."""
    buffer = bytearray(b"first")
    draft = spool.draft()
    draft.write([memoryview(buffer)])
    buffer[:] = b"other"

    assert b"".join(spool.read(draft.seal())) == b"first"


def test_a_draft_touches_no_disk_before_its_first_bytes(tmp_path: Path) -> None:
    """A refused instance leaves no trace, not even an empty file."""
    spool = Spool(tmp_path, reserve_bytes=0)
    draft = spool.draft()
    draft.write([])
    draft.discard()

    assert list((tmp_path / "instances").iterdir()) == []


def test_a_draft_without_bytes_cannot_be_sealed(spool: Spool) -> None:
    """There is no instance without bytes."""
    with pytest.raises(SpoolError, match="without bytes"):
        spool.draft().seal()


def test_a_discarded_draft_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    """Open or sealed, a draft that is discarded is gone, and discarding twice is harmless."""
    opened, sealed = spool.draft(), spool.draft()
    opened.write([BYTES])
    sealed.write([BYTES])
    sealed.seal()
    for draft in (opened, sealed, opened, sealed):
        draft.discard()

    assert files(tmp_path / "data") == set()


def test_a_kept_file_survives_discarding(spool: Spool, tmp_path: Path) -> None:
    """What the journal names is no draft any more."""
    draft = spool.draft()
    draft.write([BYTES])
    file = draft.seal()
    draft.keep()
    draft.discard()

    assert files(tmp_path / "data") == {file.name}


def test_folders_and_files_are_private(spool: Spool, tmp_path: Path) -> None:
    """Nobody but the node's user reads what it keeps, whatever the umask is."""
    file = store(spool)
    journal = spool.private_file("journal.sqlite3")
    paths = [journal, tmp_path / "data", tmp_path / "data/instances" / file.name]

    modes = [stat.S_IMODE(path.stat().st_mode) for path in paths]
    assert modes == [0o600, 0o700, 0o600]


def test_a_private_file_is_made_once(spool: Spool) -> None:
    """At the next start it is found as it was left."""
    spool.private_file("key").write_bytes(b"kept")

    assert spool.private_file("key").read_bytes() == b"kept"


def test_a_private_file_whose_sync_failed_is_written_again() -> None:
    """What is read of it is written over it and synced, so that no power takes it back."""
    disk = ForgetfulDisk()
    data = Path("/data")
    spool = Spool(data, files=disk)
    descriptor = disk.create(spool.private_file("other").with_name("log"))
    disk.write(descriptor, [BYTES * 100])
    syncs = disk.syncs
    spool.renew_private("log")

    assert disk.syncs == syncs + 1
    assert disk.read(disk.open(data / "log"), 1 << 20) == BYTES * 100
    [log] = [node for name, node in disk.root.entries["data"].entries.items() if name == "log"]
    assert log.synced == BYTES * 100


def test_short_writes_are_continued(spool: Spool, faulty: FaultyDisk) -> None:
    """The kernel may take less than it is given."""
    faulty.most_bytes = 7
    file = store(spool, b"0123456789", b"abcdefghijklmnop")

    assert b"".join(spool.read(file)) == b"0123456789abcdefghijklmnop"


def test_more_buffers_than_the_kernel_takes_are_written(spool: Spool) -> None:
    """An instance in thousands of small pieces is one file."""
    draft = spool.draft()
    draft.write([b"%05d" % number for number in range(3000)])

    assert draft.seal().size_bytes == 15000


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_a_full_disk_is_out_of_space(
    spool: Spool, faulty: FaultyDisk, tmp_path: Path, operation: str, code: int
) -> None:
    """The instance is refused, nothing of it stays, and receiving goes on when space is back."""
    faulty.faults = {operation: code}
    draft = spool.draft()
    with pytest.raises(OutOfSpace):
        store_in(draft)
    draft.discard()
    faulty.faults = {}

    assert files(tmp_path / "data") == set()
    assert not spool.fatal.is_set()
    assert store(spool).size_bytes == len(BYTES)


def store_in(draft: object) -> None:
    """Write and seal."""
    draft.write([BYTES])  # type: ignore[attr-defined]
    draft.seal()  # type: ignore[attr-defined]


def test_the_reserve_is_not_used_for_instances(tmp_path: Path) -> None:
    """The last space belongs to the journal, which notes the deliveries that make room."""
    spool = Spool(tmp_path, reserve_bytes=1 << 62)
    with pytest.raises(OutOfSpace):
        spool.draft().write([BYTES])

    assert files(tmp_path) == set()


@pytest.mark.parametrize("operation", ["sync", "close"])
def test_a_failed_sync_is_final(
    spool: Spool, faulty: FaultyDisk, tmp_path: Path, operation: str
) -> None:
    """After an I/O error nothing is accepted any more, even if the disk seems to work again."""
    store(spool)
    before = files(tmp_path / "data")
    draft = spool.draft()
    draft.write([BYTES])
    faulty.faults = {operation: errno.EIO}
    with pytest.raises(SpoolError):
        draft.seal()
    faulty.faults = {}
    draft.discard()

    assert spool.fatal.is_set()
    assert files(tmp_path / "data") == before
    with pytest.raises(SpoolError, match="restarts"):
        store(spool)


def test_an_error_names_no_path(spool: Spool, faulty: FaultyDisk, tmp_path: Path) -> None:
    """Messages reach logs; they hold a sentence and the name of the error."""
    faulty.faults = {"write": errno.EIO}
    with pytest.raises(SpoolError) as caught:
        store(spool)

    assert str(caught.value) == "a file cannot be written (EIO)"
    assert str(tmp_path) not in str(caught.value)


def test_recovery_deletes_what_no_row_names(tmp_path: Path) -> None:
    """A file that was never acknowledged is gone at the next start; the others stay."""
    first = Spool(tmp_path, reserve_bytes=0)
    kept, orphan = store(first), store(first)
    second = Spool(tmp_path, reserve_bytes=0)
    recovery = second.recover(lambda prefix: frozenset({kept.name} & {prefix + kept.name[3:]}))
    second.close()

    assert orphan.name not in files(tmp_path)
    assert files(tmp_path) == {kept.name}
    assert recovery.deleted >= 1
    assert recovery.missing == ()


def test_recovery_can_set_aside_what_no_row_names(tmp_path: Path) -> None:
    """Where the journal may have lost the row: the bytes stay; files that never had any go."""
    first = Spool(tmp_path, reserve_bytes=0)
    kept, orphan = store(first), store(first)
    second = Spool(tmp_path, reserve_bytes=0)
    rows = frozenset({kept.name})
    recovery = second.recover(
        lambda prefix: frozenset(name for name in rows if name.startswith(prefix)),
        setting_aside=True,
    )
    second.close()
    aside = [path.read_bytes() for path in (tmp_path / "set-aside").iterdir()]

    assert (recovery.aside, aside) == (1, [BYTES])
    assert not (tmp_path / "instances" / orphan.name).exists()
    assert files(tmp_path) == {kept.name}


def test_a_file_is_there_if_it_has_its_size(spool: Spool, tmp_path: Path) -> None:
    """One that is gone, shorter or longer is not what was acknowledged."""
    file = store(spool)
    path = tmp_path / "data" / "instances" / file.name
    found = [spool.holds(file.name, file.size_bytes)]
    for content in (BYTES[:-1], BYTES + b"x", b""):
        path.write_bytes(content)
        found.append(spool.holds(file.name, file.size_bytes))
    path.unlink()

    assert found == [True, False, False, False]
    assert not spool.holds(file.name, file.size_bytes)


def test_a_file_is_set_aside_durably() -> None:
    """After a loss of power it is in one of the two places."""
    disk = ForgetfulDisk()
    spool = Spool(Path("/data"), files=disk)
    file = store(spool)
    spool.set_aside(file.name)
    after = disk.after_power_loss(lambda: False)

    assert after.names(Path("/data/set-aside")) == [file.name.replace("/", "-")]


def test_a_sealed_file_outlives_a_commit_that_failed_with_the_disk(
    spool: Spool, tmp_path: Path
) -> None:
    """The commit may stand on the disk all the same: the next start knows, and it needs it."""
    sealed, unsealed = spool.draft(), spool.draft()
    for draft in (sealed, unsealed):
        draft.write([BYTES])
    file = sealed.seal()
    spool.fatal.set()
    for draft in (sealed, unsealed):
        draft.discard()

    assert files(tmp_path / "data") == {file.name}


def test_recovery_reports_files_that_are_missing(tmp_path: Path) -> None:
    """A row without its file is never passed over in silence."""
    spool = Spool(tmp_path, reserve_bytes=0)
    recovery = spool.recover(lambda prefix: frozenset({"ab/c.dcm"} if prefix == "ab/" else ()))
    spool.close()

    assert recovery.missing == ("ab/c.dcm",)


def test_two_nodes_cannot_use_one_folder(tmp_path: Path) -> None:
    """The second node would delete what the first is writing."""
    first, second = Spool(tmp_path), Spool(tmp_path)
    first.recover(nothing)
    with pytest.raises(SpoolError, match="another node"):
        second.recover(nothing)
    first.close()

    second.recover(nothing)
    second.close()


def test_empty_files_are_tidied_up(tmp_path: Path) -> None:
    """Names that were made ahead and not used do not outlive the node."""
    spool = Spool(tmp_path, reserve_bytes=0)
    stored = {store(spool).name for _ in range(5)}
    spool.close()

    root = tmp_path / "instances"
    assert {str(path.relative_to(root)) for path in root.rglob("*.dcm")} == stored


def test_changed_bytes_are_noticed(spool: Spool, tmp_path: Path) -> None:
    """One bit, a byte more, or a file that is gone: it is not what was acknowledged."""
    file = store(spool)
    path = tmp_path / "data/instances" / file.name
    assert spool.intact(file)

    path.write_bytes(b"E" + BYTES[1:])
    assert not spool.intact(file)
    path.write_bytes(BYTES + b"x")
    assert not spool.intact(file)
    path.unlink()
    assert not spool.intact(file)
    assert not spool.intact(StoredFile("", 0, file.digest))


def test_a_file_that_cannot_be_read_is_an_error(spool: Spool, faulty: FaultyDisk) -> None:
    """Whether the bytes are good is then unknown."""
    file = store(spool)
    faulty.faults = {"read": errno.EIO}
    with pytest.raises(SpoolError):
        spool.intact(file)


def test_a_link_in_place_of_a_file_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    """Nothing outside the folder is ever sent."""
    file = store(spool)
    path = tmp_path / "data/instances" / file.name
    (tmp_path / "outside").write_bytes(BYTES)
    path.unlink()
    path.symlink_to(tmp_path / "outside")

    with pytest.raises(SpoolError):
        list(spool.read(file))


def test_removing_twice_is_harmless(spool: Spool, tmp_path: Path) -> None:
    """A sweep that was cut short is done again."""
    file = store(spool)
    spool.remove(file.name)
    spool.remove(file.name)

    assert files(tmp_path / "data") == set()


def test_threads_get_different_files(spool: Spool) -> None:
    """Associations write side by side."""
    stored: list[StoredFile] = []
    threads = [
        threading.Thread(target=lambda: stored.extend(store(spool) for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({file.name for file in stored}) == 200
    assert all(spool.intact(file) for file in stored)


def test_the_folder_is_synced_once_for_many_files() -> None:
    """A sync of the folder costs as much as one of a file: it is shared."""
    disk = ForgetfulDisk()
    spool = Spool(Path("/data"), files=disk)
    for _ in range(200):
        store(spool)
    before = disk.syncs
    for _ in range(10 * BATCH_FILES):
        store(spool)

    assert disk.syncs - before <= 10 * (BATCH_FILES + 2) + 2


def test_no_descriptor_is_leaked() -> None:
    """Whatever becomes of a draft, its descriptor is given back."""
    disk = ForgetfulDisk()
    spool = Spool(Path("/data"), files=disk)
    store(spool)
    dropped = spool.draft()
    dropped.write([BYTES])
    dropped.discard()
    file = store(spool)
    assert spool.intact(file)
    next(spool.read(file))
    spool.close()

    assert disk.descriptors == 0


@given(
    dies_at=st.integers(1, 60),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    keeps=st.randoms(use_true_random=False),
)
def test_what_was_sealed_survives_a_loss_of_power(
    dies_at: int, sizes: list[int], keeps: object
) -> None:
    """Die before any operation, lose whatever was not synced: sealed files are whole."""
    disk = ForgetfulDisk()
    sealed: list[StoredFile] = []
    disk.dies_at = dies_at
    try:
        spool = Spool(Path("/var/lib/data"), files=disk, random_bytes=names())
        sealed.extend(store(spool, *[BYTES] * size) for size in sizes)
    except Died:
        pass
    after = disk.after_power_loss(lambda: keeps.random() < 0.5)  # type: ignore[attr-defined]
    spool = Spool(Path("/var/lib/data"), files=after, random_bytes=names(1000))
    rows = frozenset(file.name for file in sealed)
    recovery = spool.recover(
        lambda prefix: frozenset(name for name in rows if name.startswith(prefix))
    )

    assert recovery.missing == ()
    assert all(spool.intact(file) for file in sealed)
    root = Path("/var/lib/data/instances")
    left = {f"{shard}/{name}" for shard in after.names(root) for name in after.names(root / shard)}
    assert left == rows


@given(dies_at=st.integers(1, 25))
def test_a_start_that_was_cut_short_leaves_nothing_undurable(dies_at: int) -> None:
    """The first process died between making a folder and syncing it; the second stores."""
    disk = ForgetfulDisk()
    disk.dies_at = dies_at
    with contextlib.suppress(Died):
        store(Spool(Path("/var/lib/data"), files=disk, random_bytes=names()))
    second = disk.after_death()
    file = store(Spool(Path("/var/lib/data"), files=second, random_bytes=names(1024)))
    after = Spool(Path("/var/lib/data"), files=second.after_power_loss(lambda: False))

    assert after.intact(file)


class Full(ForgetfulDisk):
    """A disk that has no room for one sync: the n-th from when `full_at` is set."""

    full_at = 0

    def sync(self, descriptor: int) -> None:
        """Fail once."""
        self.full_at -= 1
        if self.full_at == 0:
            raise OSError(errno.ENOSPC, "full")
        super().sync(descriptor)


@pytest.mark.parametrize("full_at", [1, 2, 3], ids=["root", "folder", "file"])
def test_a_folder_that_could_not_be_synced_is_synced_later(full_at: int) -> None:
    """It exists after the failure, yet nothing in it would survive a loss of power."""
    disk = Full()
    spool = Spool(Path("/data"), files=disk, random_bytes=lambda size: next_name(size, disk))
    disk.full_at = full_at
    with pytest.raises(OutOfSpace):
        store(spool)
    file = store(spool)
    after = Spool(Path("/data"), files=disk.after_power_loss(lambda: False))

    assert after.intact(file)


def next_name(size: int, disk: ForgetfulDisk) -> bytes:
    """Every file in the same folder, under a name of its own."""
    return b"a" if size == 1 else disk.operations.to_bytes(size, "big")


def names(start: int = 0) -> Callable[[int], bytes]:
    """Names that count, so that a failing example is the same again."""
    counter = iter(range(start, start + 100_000))
    return lambda size: (next(counter) % 256 ** min(size, 4)).to_bytes(size, "big")


KILLED = """
import sys
from pathlib import Path
from scp.spool import Spool

spool = Spool(Path(sys.argv[1]), reserve_bytes=0)
while True:
    draft = spool.draft()
    draft.write([b"x" * 100_000])
    file = draft.seal()
    print(file.name, file.size_bytes, file.digest, flush=True)
"""


def test_a_killed_writer_leaves_whole_files(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing: what was reported as sealed is there."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(20)]
        process.kill()
        lines += process.stdout.readlines()
    reported = [line.split() for line in lines if line.endswith("\n")]
    sealed = [StoredFile(name, int(size), digest) for name, size, digest in reported]
    spool = Spool(tmp_path, reserve_bytes=0)

    assert len(sealed) >= 20
    assert all(spool.intact(file) for file in sealed)
    known = frozenset(file.name for file in sealed)
    recovery = spool.recover(lambda prefix: frozenset(n for n in known if n.startswith(prefix)))
    spool.close()
    assert recovery.missing == ()
    assert files(tmp_path) == known


ROOT = os.fspath(Path(__file__).parents[2])

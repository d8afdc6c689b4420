"""One instance in: what is promised before a sender is told that it is safe."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rules.errors import DeidentificationError, InstanceRefused, Reason
from rules.report import Report
from scp import logs
from scp.errors import JournalError
from scp.ingest import Ingest, dataset_offset
from scp.instance import DeliveryState, Peer, StoreRequest
from scp.journal import FILE_NAME, Journal
from scp.spool import Spool
from tests.scp.disks import Died, FaultyDisk, ForgetfulDisk
from tests.scp.storing import CT, EXPLICIT, JPEG, META, OFFSET, uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scp.ingest import Reception

PEER = Peer("CT1", "ANONODE", "127.0.0.1")
REQUEST = StoreRequest(1, CT, "1.2.3.4", EXPLICIT)
ORIGINAL = b"SMITH^JOHN"
HEAD = [META[:100], META[100:140], META[140:]]


@dataclass(frozen=True)
class Route:
    """A route as the configuration has it."""

    profile: str = "basic"
    store: bool = True
    forward: tuple[str, ...] = ("pacs",)


@dataclass
class Upper:
    """Stands in for the engine: de-identifies by turning every byte, fails where told.

    One that `holds` gives everything at the end, as where pixels are decoded first.
    """

    number: int = 1
    feed_error: Exception | None = None
    finish_error: Exception | None = None
    holds: bool = False
    fed: int = 0
    begun: bool = False

    def close(self) -> None:
        self.begun = False

    def feed(self, fragment: bytes | memoryview) -> list[bytes | memoryview]:
        self.fed += 1
        if self.feed_error is not None and self.fed > 1:
            raise self.feed_error
        if self.holds:
            return []
        head = [] if self.begun else HEAD
        self.begun = True
        return [*head, bytes(byte ^ 0xFF for byte in fragment)]

    def finish(self) -> tuple[list[bytes | memoryview], Report]:
        if self.finish_error is not None:
            raise self.finish_error
        syntax = JPEG if self.holds else EXPLICIT
        report = Report(
            CT, uid(self.number), "2.25.7", "2.25.8", "P", "CT", syntax, {"X": 3}, {}, "digest"
        )
        return [*(HEAD if self.holds else []), b"end"], report


@dataclass
class Node:
    """What a test has around one ingest."""

    ingest: Ingest
    journal: Journal
    spool: Spool
    data: Path
    disk: FaultyDisk
    woken: list[tuple[str, ...]]
    lines: io.StringIO
    engine: Upper = field(default_factory=Upper)

    def open(self, route: Route | None = None) -> Reception:
        """Begin an instance."""
        return self.ingest.open_store(PEER, route or Route(), REQUEST)

    def send(self, *fragments: bytes, route: Route | None = None, number: int = 1) -> int:
        """Send a whole instance; the status."""
        self.engine = Upper(number)
        reception = self.open(route)
        for fragment in fragments or (ORIGINAL,):
            reception.feed(memoryview(fragment))
        return reception.finish().status

    def files(self) -> list[Path]:
        """Every file of an instance."""
        return [path for path in (self.data / "instances").rglob("*.dcm") if path.stat().st_size]

    def logged(self) -> list[dict[str, object]]:
        """The lines of the log."""
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A spool, a journal and an ingest over a real disk."""
    disk = FaultyDisk()
    spool = Spool(tmp_path, files=disk, reserve_bytes=0)
    journal = Journal(spool.private_file(FILE_NAME))
    woken: list[tuple[str, ...]] = []
    lines = io.StringIO()
    logs.configure(lines, strict=True)
    ingest = Ingest(spool, journal, lambda *_: node.engine, wake=woken.append)
    node = Node(ingest, journal, spool, tmp_path, disk, woken, lines)
    yield node
    journal.close()


def test_success_means_stored_and_owed(node: Node) -> None:
    """The bytes are on disk, the journal names them, and the destination is woken."""
    status = node.send(b"ab", b"cd")
    record = node.journal.instance(uid(1))
    assert record is not None
    [path] = node.files()

    assert status == 0x0000
    assert path.read_bytes() == META + bytes([0x9E, 0x9D, 0x9C, 0x9B]) + b"end"
    assert str(path).endswith(record.file_name)
    assert record.dataset_offset == OFFSET
    assert (record.profile, record.calling_ae, record.called_ae) == ("basic", "CT1", "ANONODE")
    assert (record.origin, record.remote_ip) == ("DicomProtocol", "127.0.0.1")
    assert [delivery.state for delivery in record.deliveries] == [DeliveryState.DUE]
    assert node.woken == [("pacs",)]


def test_a_destination_named_twice_is_owed_once(node: Node) -> None:
    """A route that repeats itself is no second delivery."""
    node.send(route=Route(forward=("pacs", "pacs", "archive")))
    record = node.journal.instance(1)
    assert record is not None

    assert [delivery.destination for delivery in record.deliveries] == ["pacs", "archive"]


def test_what_was_done_to_an_instance_is_kept_with_it(node: Node) -> None:
    """How many elements by action code, and the digest of the rules that did it."""
    node.send()
    record = node.journal.instance(uid(1))
    assert record is not None

    assert (record.actions, record.rule_set) == ({"X": 3}, "digest")


def test_an_instance_may_come_whole_at_the_end_and_in_another_syntax(node: Node) -> None:
    """Nothing is written while it is fed; the journal has the syntax of the result."""
    node.engine = Upper(holds=True)
    reception = node.open()
    reception.feed(memoryview(ORIGINAL))
    assert node.files() == []

    assert reception.finish().status == 0x0000
    record = node.journal.instance(uid(1))
    assert record is not None
    [path] = node.files()
    assert path.read_bytes() == META + b"end"
    assert (record.dataset_offset, record.transfer_syntax_uid) == (OFFSET, JPEG)
    assert REQUEST.transfer_syntax_uid == EXPLICIT


@pytest.mark.parametrize("error_type", [InstanceRefused, DeidentificationError])
@pytest.mark.parametrize("where", ["make", "feed", "finish"])
def test_a_refused_instance_leaves_nothing(
    node: Node, where: str, error_type: Callable[..., Exception]
) -> None:
    """Wherever the rules refuse, the sender gets the reason's status and the disk nothing."""
    error = error_type(Reason.REJECTED, 0x00280301)
    assert refused(node, where, error) == 0xC101
    assert node.files() == []
    assert node.journal.instances() == []
    assert node.woken == []


def refused(node: Node, where: str, error: Exception) -> int:
    """Send an instance that fails there; the status."""
    if where == "make":
        node.ingest.make_deidentifier = raising(error)
    node.engine = Upper(
        feed_error=error if where == "feed" else None,
        finish_error=error if where == "finish" else None,
    )
    reception = node.open()
    for _ in range(3):
        reception.feed(memoryview(ORIGINAL))
    return reception.finish().status


def raising(error: Exception) -> Callable[..., Upper]:
    """A factory that fails."""

    def make(*_: object) -> Upper:
        raise error

    return make


def test_a_full_disk_refuses_many_and_says_so_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0xA700 for each; a line for each would take the room that is left for the log."""
    monkeypatch.setattr(node.disk, "free_bytes", lambda _: -1)
    statuses = {node.send(number=number) for number in range(1, 20)}
    monkeypatch.undo()

    assert statuses == {0xA700}
    assert node.send() == 0x0000
    begun, ended, stored = node.logged()
    assert (begun["level"], ended["count"], stored["event"]) == ("error", 19, "instance stored")


@pytest.mark.parametrize("where", ["make", "feed", "finish"])
def test_a_bug_refuses_the_instance_and_tells_nobody_a_value(node: Node, where: str) -> None:
    """An exception that quotes a value reaches neither the sender nor the log."""
    assert refused(node, where, ValueError("cannot read SMITH^JOHN")) == 0x0110
    [line] = node.logged()

    assert node.files() == []
    assert line["error"] == "ValueError"
    assert str(line["place"]).startswith("test_ingest.py:")
    assert "SMITH" not in node.lines.getvalue()


def test_after_a_refusal_the_rest_is_drained(node: Node) -> None:
    """The rules are not asked again, and what is fed is dropped."""
    node.engine = Upper(feed_error=InstanceRefused(Reason.TOO_DEEP))
    reception = node.open()
    for _ in range(10):
        reception.feed(memoryview(ORIGINAL))

    assert node.engine.fed == 2
    assert reception.finish().status == 0xC104


@pytest.mark.parametrize("fragments", [0, 1, 3])
def test_an_abandoned_instance_leaves_nothing(node: Node, fragments: int) -> None:
    """The association died in the middle; twice is harmless."""
    reception = node.open()
    for _ in range(fragments):
        reception.feed(memoryview(ORIGINAL))
    reception.abandon()
    reception.abandon()

    assert node.files() == []
    assert node.journal.instances() == []


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("create", errno.ENOSPC, 0xA700),
        ("write", errno.ENOSPC, 0xA700),
        ("sync", errno.ENOSPC, 0xA700),
        ("write", errno.EIO, 0xA700),
        ("sync", errno.EIO, 0xA700),
        ("close", errno.EIO, 0xA700),
    ],
)
def test_a_disk_that_fails_is_out_of_resources(
    node: Node, operation: str, code: int, status: int
) -> None:
    """The sender keeps its instance and may try again."""
    node.disk.faults = {operation: code}
    assert node.send() == status
    node.disk.faults = {}

    assert node.files() == []
    assert node.journal.instances() == []


def test_a_file_that_cannot_be_removed_changes_no_answer(node: Node) -> None:
    """It has no row, so the next start removes it."""
    node.disk.faults = {"write": errno.ENOSPC, "unlink": errno.EIO}
    assert node.send() == 0xA700
    events = [line["event"] for line in node.logged()]

    assert events == ["a file could not be removed", "instance refused"]


def test_a_journal_that_fails_leaves_no_file(node: Node) -> None:
    """Bytes that no row names are of no use to anybody."""

    class Broken:
        def add(self, _: object) -> object:
            raise JournalError("the journal cannot be used")

    node.ingest.journal = Broken()  # type: ignore[assignment]
    assert node.send() == 0xA700
    assert node.files() == []


def test_an_instance_sent_again_is_a_success_without_a_copy(node: Node) -> None:
    """The same bytes: one file, one row, one delivery."""
    assert [node.send() for _ in range(3)] == [0, 0, 0]
    assert len(node.files()) == 1
    assert len(node.journal.due("pacs", 10, horizon_s=900)) == 1
    assert node.woken == [("pacs",)]


def test_other_content_under_a_known_uid_is_refused(node: Node) -> None:
    """The first is kept, each time."""
    node.send(b"first")
    [path] = node.files()
    before = path.read_bytes()

    assert [node.send(b"other"), node.send(b"other"), node.send(b"first")] == [0xC105, 0xC105, 0]
    assert node.files() == [path]
    assert path.read_bytes() == before


def test_a_failed_delivery_is_renewed_by_a_resend(node: Node) -> None:
    """Sent again after its file was damaged, it is delivered from good bytes."""
    node.send()
    [path] = node.files()
    path.write_bytes(b"damaged")
    node.journal.expire("pacs", lifetime_s=-1, outcome="failed")
    assert node.send() == 0
    [delivery] = node.journal.due("pacs", 10, horizon_s=900)

    assert len(node.files()) == 1
    assert node.spool.intact(delivery.file)


def test_the_same_instance_on_four_associations_is_stored_once(node: Node) -> None:
    """T-DUP: all are told success, one copy is kept."""
    start = threading.Barrier(4)
    statuses: list[int] = []
    node.ingest.make_deidentifier = lambda *_: Upper()

    def send() -> None:
        for _ in range(10):
            reception = node.open()
            reception.feed(memoryview(ORIGINAL))
            start.wait()
            statuses.append(reception.finish().status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [0] * 40
    assert len(node.files()) == 1
    assert len(node.journal.due("pacs", 10, horizon_s=900)) == 1


def test_a_log_line_names_the_result(node: Node) -> None:
    """The new UID, the sender, the status: never the original UID."""
    node.send()
    [line] = node.logged()

    assert (line["event"], line["level"]) == ("instance stored", "info")
    assert (line["instance"], line["calling_ae"], line["status"]) == (uid(1), "CT1", "0x0000")
    assert REQUEST.sop_instance_uid not in node.lines.getvalue()


def test_a_refusal_is_logged_with_its_reason(node: Node) -> None:
    """An operator sees what the sender is not told: the tag."""
    refused(node, "finish", InstanceRefused(Reason.REJECTED, 0x00280301))
    [line] = node.logged()

    assert (line["event"], line["level"]) == ("instance refused", "warning")
    assert (line["reason"], line["tag"]) == (str(Reason.REJECTED), "(0028,0301)")
    assert line["status"] == "0xc101"


@pytest.mark.parametrize("size", [0, 128, 140, 143])
def test_a_beginning_that_is_none_has_no_offset(size: int) -> None:
    """A file that the engine did not begin properly is never stored."""
    with pytest.raises(ValueError, match="file meta"):
        dataset_offset(META[:size])


def test_a_finished_reception_cannot_be_finished_again(node: Node) -> None:
    """It is a failure, not a second success."""
    reception = node.open()
    reception.feed(memoryview(ORIGINAL))

    assert [reception.finish().status, reception.finish().status] == [0, 0x0110]
    assert len(node.files()) == 1


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, ".")
from scp import logs
from scp.ingest import Ingest
from scp.journal import FILE_NAME, Journal
from scp.spool import Spool
from tests.scp.test_ingest import PEER, REQUEST, Route, Upper

logs.configure(level="error")
spool = Spool(Path(sys.argv[1]), reserve_bytes=0)
journal = Journal(spool.private_file(FILE_NAME))
first = int(sys.argv[2])
counter = iter(range(first, first + 10**6))
ingest = Ingest(spool, journal, lambda *_: Upper(next(counter)))
for number in range(first, first + 10**6):
    reception = ingest.open_store(PEER, Route(), REQUEST)
    for _ in range(4):
        reception.feed(memoryview(bytes(1000)))
    if reception.finish().status == 0:
        print(number, flush=True)
"""


def test_a_killed_node_has_every_instance_it_acknowledged(tmp_path: Path) -> None:
    """SIGKILL, several times over the same folder: nothing is lost and nothing is left over."""
    acknowledged: list[int] = []
    for turn in range(3):
        acknowledged += killed_after(tmp_path, turn * 10**6, 15 + turn)
        spool = Spool(tmp_path, reserve_bytes=0)
        journal = Journal(spool.private_file(FILE_NAME))
        recovery = spool.recover(journal.files)
        spool.close()
        assert recovery.missing == ()
        assert_whole(spool, journal, acknowledged)
        journal.close()


def killed_after(data: Path, first: int, count: int) -> list[int]:
    """Run a node, kill it after so many acknowledgements; all that were made."""
    command = [sys.executable, "-c", KILLED, str(data), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.kill()
        lines += process.stdout.readlines()
    return [int(line) for line in lines if line.endswith("\n")]


def assert_whole(spool: Spool, journal: Journal, acknowledged: list[int]) -> None:
    """What was acknowledged is stored and owed, and every row has its bytes."""
    owed = journal.due("pacs", 100_000, horizon_s=900)
    assert {uid(number) for number in acknowledged} <= {one.sop_instance_uid for one in owed}
    assert all(spool.intact(delivery.file) for delivery in owed)


ROOT = os.fspath(Path(__file__).parents[2])


class Crashes(RuleBasedStateMachine):
    """A node that dies anywhere and loses what it did not sync: what it promised holds.

    The journal is a real one: SQLite's own promise is taken for granted.
    """

    @initialize(random=st.randoms(use_true_random=False))
    def begin(self, random: object) -> None:
        """An empty disk."""
        self.random = random
        self.folder = TemporaryFolder()
        self.path = Path("/srv/data")
        self.acknowledged: dict[int, bytes] = {}
        self.sent: dict[int, bytes] = {}
        self.disk = ForgetfulDisk()
        self.counter = 0
        self.start()

    def start(self) -> None:
        """A new process over the same disk."""
        self.journal = Journal(self.folder.path / FILE_NAME)
        self.spool = Spool(self.path, files=self.disk, random_bytes=self.names)
        recovery = self.spool.recover(self.journal.files)
        assert recovery.missing == ()
        logs.configure(io.StringIO(), level="error")

    def names(self, size: int) -> bytes:
        """Names that do not repeat, in few folders."""
        self.counter += 1
        return (self.counter % 3 if size == 1 else self.counter).to_bytes(size, "big")

    @rule(number=st.integers(1, 5), content=st.sampled_from([b"one", b"two"]))
    def store(self, number: int, content: bytes) -> None:
        """Send an instance; the node may die in the middle."""
        ingest = Ingest(self.spool, self.journal, lambda *_: Upper(number))
        try:
            reception = ingest.open_store(PEER, Route(), REQUEST)
            reception.feed(memoryview(content))
            status = reception.finish().status
        except Died:
            self.restart(power=bool(self.random.getrandbits(1)))  # type: ignore[attr-defined]
            return
        if status == 0:
            assert self.acknowledged.setdefault(number, content) == content
        else:
            assert status == 0xC105

    @rule(operations=st.integers(1, 12))
    def be_doomed(self, operations: int) -> None:
        """The process will die before one of the next operations."""
        self.disk.dies_at = self.disk.operations + operations

    @rule(power=st.booleans())
    def restart(self, power: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """Death, or a loss of power; then the next start."""
        self.journal.close()
        keeps = lambda: self.random.random() < 0.5  # type: ignore[attr-defined]  # noqa: E731
        after = self.disk.after_power_loss(keeps) if power else self.disk.after_death()
        self.disk = after
        self.start()

    @invariant()
    def every_acknowledged_instance_is_whole(self) -> None:
        """Its row, its delivery and its bytes."""
        if not hasattr(self, "disk"):
            return
        doom, self.disk.dies_at = self.disk.dies_at, None
        for number, content in self.acknowledged.items():
            record = self.journal.instance(uid(number))
            assert record is not None
            assert record.deliveries[0].state is DeliveryState.DUE
            [due] = [
                delivery
                for delivery in self.journal.due("pacs", 100, horizon_s=900)
                if delivery.sop_instance_uid == uid(number)
            ]
            assert self.spool.intact(due.file)
            stored = b"".join(self.spool.read(due.file, due.dataset_offset))
            assert stored == bytes(byte ^ 0xFF for byte in content) + b"end"
        self.disk.dies_at = doom

    def teardown(self) -> None:
        """Close what is open."""
        if hasattr(self, "journal"):
            self.journal.close()
            self.folder.close()


class TemporaryFolder:
    """A folder for the database of one run."""

    def __init__(self) -> None:
        """Make it."""
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)

    def close(self) -> None:
        """Remove it."""
        self._folder.cleanup()


TestCrashes = Crashes.TestCase
# A step starts a node or reads everything back: a third of the usual number is enough for a run.
TestCrashes.settings = settings(
    max_examples=max(20, settings.default.max_examples // 3), stateful_step_count=20
)


@pytest.fixture
def uncollected():
    """Nothing is freed but what nobody knows any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("step", ["feed", "finish"])
@pytest.mark.usefixtures("uncollected")
def test_a_refused_instance_is_let_go_of_at_once(node, step):
    """What was received must not wait in memory until cycles are collected."""
    failure = DeidentificationError(Reason.TRUNCATED)
    node.engine = Upper(**{f"{step}_error": failure})
    reception = node.open()
    for _ in range(3):
        reception.feed(memoryview(ORIGINAL))
    reception.finish()

    left = weakref.ref(reception)
    del reception
    assert left() is None


def returned(node: Node, *, number: int, route: Route) -> int:
    """Send an instance that asks for the UID of the first one of ours."""
    node.engine = Upper(number)
    request = StoreRequest(1, CT, uid(1), EXPLICIT)
    reception = node.ingest.open_store(PEER, route, request)
    reception.feed(memoryview(b"%d" % number))
    return reception.finish().status


def owed(node: Node, number: int) -> set[str]:
    """Who is owed an instance."""
    record = node.journal.instance(uid(number))
    assert record is not None
    return {one.destination for one in record.deliveries}


def test_what_was_forwarded_and_comes_back_is_not_forwarded_there_again(node: Node) -> None:
    """T74: it is taken in, and only those get it that never had it."""
    node.send()
    both = Route(forward=("pacs", "archive"))
    assert returned(node, number=2, route=both) == 0

    assert owed(node, 2) == {"archive"}
    assert "came back" in node.lines.getvalue()


def test_what_comes_back_and_would_be_kept_by_nobody_is_refused(node: Node) -> None:
    """Its sender, perhaps the node itself, would let go of the only copy."""
    node.send(route=Route(store=False))
    kept = node.files()
    assert returned(node, number=2, route=Route(store=False)) == 0xC10A

    assert node.journal.instance(uid(2)) is None
    assert node.files() == kept
    assert (
        node.logged()[-1]["reason"] == "it was forwarded from here, and nobody else would have it"
    )


def test_what_comes_back_and_somebody_else_is_owed_is_taken(node: Node) -> None:
    """Also by a route that keeps nothing."""
    node.send(route=Route(store=False))
    route = Route(store=False, forward=("pacs", "archive"))
    assert returned(node, number=2, route=route) == 0

    assert owed(node, 2) == {"archive"}


def test_what_another_profile_made_is_forwarded(node: Node) -> None:
    """To be de-identified further is no loop."""
    node.send(route=Route(profile="first"))
    returned(node, number=2, route=Route(profile="second"))

    assert owed(node, 2) == {"pacs"}


def test_the_same_instance_again_is_no_loop(node: Node) -> None:
    """Where the profile keeps the UID a resend asks for what has failed."""
    node.send(b"1")
    returned(node, number=1, route=Route(forward=("pacs", "archive")))

    assert owed(node, 1) == {"pacs", "archive"}

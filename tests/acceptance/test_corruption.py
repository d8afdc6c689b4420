"""One bit that has changed while the node was down: found, told, and nothing else concerned."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from rules import Pseudonyms
from scp.journal import FILE_NAME, Journal, log_of
from scp.journal_log import read_log
from scp.spool import ASIDE
from tests import instances
from tests.acceptance.peers import Archive
from tests.acceptance.running import ANONODE, RunningNode
from tests.acceptance.test_io_errors import Sending
from tests.encoded import split_part10
from tests.sizes import size

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:{port}"}}
profiles:
  research: {{Base: basic}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}, retry_base_s: 1, retry_cap_s: 1}}
routes:
  - {{from: CT1, to: ANONODE, profile: research, forward: [archive]}}
"""
OWED = 8
EX_CONFIG = 78
ROUNDS = size(ci=1, nightly=25)
"""Of each kind of damage."""


@dataclass
class Stopped:
    """A node that is down, owes a few instances, and is about to be damaged.

    Attributes:
        right: What the archive must get, by the new SOP Instance UID.
        wal: The folder as a killed node left it; `data` of `node` is a copy of one of both.
        well: The folder as a node left it that was stopped.
    """

    node: RunningNode
    archive: Archive
    wal: Path
    well: Path
    right: dict[str, bytes] = field(default_factory=dict)

    def put(self, folder: Path) -> None:
        """Begin anew from a copy."""
        shutil.rmtree(self.node.data, ignore_errors=True)
        shutil.copytree(folder, self.node.data)
        self.node.output.unlink(missing_ok=True)
        self.archive.received.clear()

    def deliver(self, enough: int, limit_s: float) -> None:
        """Wait until so many are delivered and nothing more is owed, or for so long."""
        deadline = time.monotonic() + limit_s
        while len(set(self.archive.uids())) < enough and time.monotonic() < deadline:
            self.archive.wait_for(len(self.archive.received) + 1, 1.0)
        while self._owes() and time.monotonic() < deadline:
            self.archive.wait_for(len(self.archive.received) + 1, 0.1)

    def _owes(self) -> bool:
        with closing(Journal.existing(self.node.data)) as journal:
            return journal.next_turn_in_s("archive") is not None

    def wrong(self) -> list[str]:
        """What the archive got and must not have."""
        received = [(uid, split_part10(file)[1]) for uid, file in self.archive.received]
        return [uid for uid, dataset in received if self.right.get(uid) != dataset]

    def missing(self) -> set[str]:
        """What it did not get."""
        return self.right.keys() - set(self.archive.uids())

    def events(self) -> set[str]:
        """What the log says of errors."""
        lines = [json.loads(line) for line in self.node.output.read_text().splitlines()]
        return {line["event"] for line in lines if line["level"] == "error"}

    def aside(self) -> list[Path]:
        """What was set aside."""
        folder = self.node.data / ASIDE
        return sorted(folder.iterdir()) if folder.exists() else []


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Eight instances that are owed to an archive that was not there."""
    top = tmp_path_factory.mktemp("corruption")
    archive = Archive()
    archive.start()
    archive.stop()
    node = RunningNode(top / "node", CONFIG.format(port=0, archive=archive.port))
    node.start()
    sending = Sending()
    sending.offer(node, OWED)
    assert len(sending.acknowledged) == OWED
    node.kill()
    shutil.copytree(node.data, top / "wal")
    node.start()
    node.terminate()
    shutil.copytree(node.data, top / "well")
    files = (node.data / "instances").rglob("*.dcm")
    datasets = [split_part10(path.read_bytes())[1] for path in files if path.stat().st_size]
    with closing(sqlite3.connect(node.data / FILE_NAME)) as database:
        rows = database.execute("SELECT sop_instance_uid, file_name FROM instances").fetchall()
    right = {
        uid: split_part10((node.data / "instances" / name).read_bytes())[1] for uid, name in rows
    }
    assert len(right) == len(datasets) == OWED
    archive.start()
    made = Stopped(node, archive, top / "wal", top / "well", right)
    made.node.config = CONFIG.format(port=0, archive=archive.port)
    yield made
    archive.stop()


def flip(path: Path, place: int, bit: int) -> None:
    """Change one bit."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.fixture
def chance():
    """Places; the seed is printed, so that a failure can be had again."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    return random.Random(seed)  # noqa: S311 - places, no secret


@pytest.mark.slow
def test_a_damaged_instance_fails_alone_and_can_be_sent_again(
    stopped, chance, deadline_s, figures
):
    """T-CORRUPT: the others are delivered, its failure says why, a resend takes its place."""
    for _ in range(ROUNDS):
        stopped.put(chance.choice((stopped.well, stopped.wal)))
        files = sorted((stopped.node.data / "instances").rglob("*.dcm"))
        path = chance.choice([path for path in files if path.stat().st_size])
        uid = _uid_of(stopped.node, path)
        flip(path, chance.randrange(path.stat().st_size), chance.randrange(8))
        stopped.node.start()
        try:
            stopped.deliver(OWED - 1, deadline_s(20))
            assert stopped.wrong() == []
            assert stopped.missing() == {uid}
            with closing(Journal.existing(stopped.node.data)) as journal:
                record = journal.instance(uid)
            assert record is not None
            assert record.deliveries[0].state.value == "failed"
            assert "changed" in record.deliveries[0].last_outcome
            assert stopped.events() & {"delivery failed", "a stored instance is damaged"}
            again = Sending(_number=_number_of(stopped.node, uid))
            again.offer(stopped.node, 1)
            assert len(again.acknowledged) == 1
            assert stopped.archive.wait_for(OWED, deadline_s(10))
            assert (stopped.missing(), stopped.wrong()) == (set(), [])
        finally:
            stopped.node.terminate()
    figures("T-CORRUPT-OBJECT", flipped=ROUNDS, quarantined=ROUNDS, others_lost=0)


def _uid_of(node: RunningNode, path: Path) -> str:
    with closing(Journal.existing(node.data)) as journal:
        return next(
            kept.sop_instance_uid
            for kept in journal.kept_after(0, 100)
            if kept.file.name.endswith(path.name)
        )


def _number_of(node: RunningNode, uid: str) -> int:
    """Which instance it was made of."""
    pseudonyms = Pseudonyms(bytes.fromhex((node.data / "key").read_text()))
    return next(
        number
        for number in range(OWED)
        if pseudonyms.uid("research", f"{instances.ROOT}.1.1.{1000 + number}") == uid
    )


@pytest.mark.slow
def test_a_damaged_log_is_told_and_the_files_of_lost_rows_are_kept(
    stopped, chance, deadline_s, figures
):
    """T-CORRUPT: what SQLite drops in silence is found; nothing that was acknowledged is gone."""
    for _ in range(ROUNDS):
        stopped.put(stopped.wal)
        path = stopped.node.data / FILE_NAME
        index = path.with_name(f"{path.name}-shm")
        frames = read_log(log_of(path), index).valid
        flip(log_of(path), chance.randrange(32 + frames * 4120), chance.randrange(8))
        stopped.node.start()
        stopped.deliver(OWED, deadline_s(3))
        stopped.node.terminate()
        kept = {split_part10(path.read_bytes())[1] for path in stopped.aside() if _is_file(path)}
        assert stopped.wrong() == []
        assert all(stopped.right[uid] in kept for uid in stopped.missing())
        assert any("log is damaged" in event for event in stopped.events())
    figures("T-CORRUPT-LOG", flipped=ROUNDS, told=ROUNDS, lost=0)


def _is_file(path: Path) -> bool:
    return path.suffix == ".dcm"


@pytest.mark.slow
def test_a_damaged_database_is_mended_or_refused_with_the_remedy(
    stopped, chance, deadline_s, figures
):
    """T-CORRUPT: nothing goes out as what it is not; a start that is refused says what to do."""
    refused = 0
    for _ in range(ROUNDS):
        stopped.put(stopped.well)
        path = stopped.node.data / FILE_NAME
        written = [place for place, byte in enumerate(path.read_bytes()) if byte]
        flip(path, chance.choice(written), chance.randrange(8))
        before = sorted((stopped.node.data / "instances").rglob("*.dcm"))
        done = _start(stopped.node)
        if done is not None:
            refused += 1
            assert "journal" in done
            assert "Traceback" not in done
            assert sorted((stopped.node.data / "instances").rglob("*.dcm")) == before
            continue
        stopped.deliver(OWED, deadline_s(3))
        stopped.node.terminate()
        assert stopped.wrong() == []
        if stopped.missing():
            assert stopped.events()
    figures("T-CORRUPT-DATABASE", flipped=ROUNDS, refused=refused, sent_wrong=0)


def _start(node: RunningNode) -> str | None:
    """What a node says that does not start; None if it does."""
    try:
        node.start()
    except (AssertionError, TimeoutError):
        node.process.wait(20)
        return node.output.read_text()
    return None


@pytest.mark.slow
def test_a_changed_key_is_refused(stopped, chance, figures):
    """T-CORRUPT: the same patient would get a second pseudonym; the remedy is named."""
    for _ in range(ROUNDS):
        stopped.put(stopped.well)
        key = stopped.node.data / "key"
        text = bytearray(key.read_bytes())
        place = chance.randrange(64)
        text[place] = ord(chance.choice(sorted(set("0123456789abcdef") - {chr(text[place])})))
        key.write_bytes(text)
        done = subprocess.run(
            [ANONODE, "run", "--config", stopped.node.folder / "config.yaml"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == EX_CONFIG
        assert "restore that one" in done.stderr
        assert text.decode().strip() not in done.stderr
    figures("T-CORRUPT-KEY", flipped=ROUNDS, refused=ROUNDS)

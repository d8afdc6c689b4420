"""Large jobs shared with other processes: the same promise, whatever becomes of a process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scp.archive import rewriters
from scp.archive.identifiers import Level
from scp.archive.rewriters import Rewriters, Sizes
from scp.errors import OutOfSpace, SpoolError
from scp.limits import Budget
from scp.room import Marks
from tests import instances
from tests.scp.archive.archives import KEY, Silent, archive
from tests.scp.archive.rewriting_apart import (
    Counted,
    processes,
    recipe,
    setup_of,
    until,
    work,
)

pytestmark = pytest.mark.slow  # to start a process takes a second
COUNT = 60
NO_ROOM = Marks(1 << 60, 1 << 60, 0, 0)


@pytest.fixture
def stored(tmp_path):
    """An archive with one series of sixty."""
    with archive(tmp_path / "data", dies=True) as made:
        for number in range(1, COUNT + 1):
            made.store(instances.small_ct(instance=number))
        yield made


def go_on() -> bool:
    """Nobody asks for a stop."""
    return True


def noted(_: object) -> None:
    """The job's outcome, which these tests do not look at."""


def damage(stored, number: int) -> None:
    """Change a byte of a stored file."""
    path = stored.data / "instances" / stored.instances()[number].file_name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def blanks(stored) -> list[Path]:
    """The empty files that somebody has made in advance."""
    return [path for path in stored.data.rglob("*.dcm") if not path.stat().st_size]


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def committed(stored, rewriting) -> list[tuple[str, str]]:
    """Run and commit; what was made, in order."""
    assert rewriting.run(go_on)
    made = [(new.tags["InstanceNumber"], new.file.digest) for new in rewriting.results()["Made"]]
    rewriting.commit(noted)
    assert len(stored.files()) == len(stored.ids(Level.INSTANCE))
    return made


def test_processes_make_what_the_node_would_make(stored) -> None:
    """Byte for byte, in the same order; the node itself rewrites nothing."""
    alone = work(stored, None, recipe())
    assert alone.run(go_on)
    expected = [(new.tags["InstanceNumber"], new.file.digest) for new in alone.results()["Made"]]
    alone.discard()
    counted = Counted(stored)

    with processes(stored) as made:
        found = committed(stored, work(stored, made, recipe()))

    assert found == expected
    assert [int(number) for number, _ in found] == list(range(1, COUNT + 1))
    assert counted.count <= 2  # while the processes were told what to do


def test_what_a_killed_process_left_undone_is_done_by_the_node(stored) -> None:
    """It was in the middle of it: the job has all of its results, and its file has no row."""
    counted = Counted(stored)
    with processes(stored, 1) as made:
        rewriting = work(stored, made, recipe())
        [pid] = made.pids

        def kill_once() -> bool:
            if rewriting.progress > 20 and made.pids:
                os.kill(pid, signal.SIGKILL)
            return True

        assert rewriting.run(kill_once)
        rewriting.commit(noted)
        assert not made.pids

    assert counted.count > 2
    assert len(stored.ids(Level.INSTANCE)) == 2 * COUNT
    assert until(lambda: not alive(pid))


def test_what_a_killed_process_wrote_is_gone_after_the_next_start(stored) -> None:
    """No row names what it did not answer."""
    with processes(stored, 1) as made:
        rewriting = work(stored, made, recipe())
        [pid] = made.pids

        def kill_once() -> bool:
            if rewriting.progress > 20 and made.pids:
                os.kill(pid, signal.SIGKILL)
            return True

        rewriting.run(kill_once)
        rewriting.discard()
    stored.close()

    with archive(stored.data, dies=True) as again:
        named = {one.file_name for one in again.instances()}
        assert again.files() == named
        assert len(named) == COUNT
    stored.__init__(stored.data, dies=True)  # for the fixture to close


def test_a_stop_takes_effect_between_two_chunks_and_work_can_go_on(stored) -> None:
    """Nothing is made twice, and nothing is left out."""
    counted = Counted(stored)
    with processes(stored) as made:
        rewriting = work(stored, made, recipe())

        complete = rewriting.run(lambda: rewriting.progress < 10)
        progress = rewriting.progress
        assert rewriting.run(go_on)
        rewriting.commit(noted)

    assert not complete
    assert 10 <= progress < 99
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 2 * COUNT
    assert counted.count <= 4


def test_what_is_cancelled_leaves_nothing(stored) -> None:
    """Also of what processes were about to do."""
    before = stored.files()
    with processes(stored) as made:
        rewriting = work(stored, made, recipe())
        rewriting.run(lambda: rewriting.progress < 10)
        rewriting.discard()

        assert stored.files() == before


def test_a_damaged_source_fails_the_job(stored) -> None:
    """With the error that the node itself finds, and nothing is left of the others."""
    damage(stored, 30)
    before = stored.files()
    with processes(stored) as made:
        rewriting = work(stored, made, recipe())
        with pytest.raises(SpoolError, match="damaged"):
            rewriting.run(go_on)
        rewriting.discard()

        assert stored.files() == before


def test_a_permissive_job_counts_what_fails(stored) -> None:
    """And keeps its source, where those of the others go."""
    damage(stored, 30)
    damage(stored, 59)
    with processes(stored) as made:
        rewriting = work(stored, made, recipe(), permissive=True, keeps_source=False)
        assert rewriting.run(go_on)
        rewriting.commit(noted)

    assert rewriting.content == {"FailedInstancesCount": 2, "InstancesCount": COUNT}
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == COUNT


def test_a_sync_that_fails_in_a_process_is_final_for_the_node(stored, monkeypatch) -> None:
    """It stops, as if its own had failed."""
    monkeypatch.setattr(rewriters, "MODULE", "tests.scp.archive.failing_rewriter")
    with processes(stored, 1) as made:
        rewriting = work(stored, made, recipe())
        with pytest.raises(SpoolError):
            rewriting.run(go_on)
        rewriting.discard()

    assert stored.spool.fatal.is_set()


def test_a_process_without_room_leaves_it_to_the_node(stored) -> None:
    """Which has some, or says that the disk is full."""
    counted = Counted(stored)
    with processes(stored, 1, marks=NO_ROOM) as made:
        assert len(committed(stored, work(stored, made, recipe()))) == COUNT
        assert counted.count == COUNT
        stored.spool.room._marks = NO_ROOM
        rewriting = work(stored, made, recipe(), permissive=True)
        with pytest.raises(OutOfSpace):
            rewriting.run(go_on)
        rewriting.discard()


def test_the_key_is_seen_nowhere(stored) -> None:
    """Neither in the arguments nor in the environment of a process."""
    with processes(stored, 1) as made:
        [pid] = made.pids
        shown = Path(f"/proc/{pid}/cmdline").read_bytes()
        shown += Path(f"/proc/{pid}/environ").read_bytes()

    assert b"rewriter" in shown
    assert KEY.hex().encode() not in shown
    assert KEY not in shown


def test_an_idle_process_ends_by_itself_and_leaves_nothing(stored) -> None:
    """The next large job starts another."""
    with processes(stored, 1, idle_s=0.5) as made:
        [pid] = made.pids
        work(stored, made, recipe()).run(go_on)
        stored.spool.close()
        assert until(lambda: made.keep() or not made.pids)
        assert not alive(pid)
        assert blanks(stored) == []
        assert made.take() is None

        made.prepare()
        assert until(lambda: made.ready == 1)


def test_closing_ends_every_process_and_leaves_nothing(stored) -> None:
    """No process, and none of the empty files that it made in advance."""
    with processes(stored) as made:
        pids = made.pids
        rewriting = work(stored, made, recipe())
        rewriting.run(go_on)
        rewriting.commit(noted)
    stored.spool.close()

    assert not any(map(alive, pids))
    assert blanks(stored) == []
    assert made.take() is None


def test_a_process_that_cannot_start_costs_the_job_nothing(stored, monkeypatch) -> None:
    """The node does all of it."""
    monkeypatch.setattr(rewriters, "MODULE", "tests.scp.archive.no_such_module")
    made = Rewriters(
        setup_of(stored), Budget(1 << 30), processes=1, sizes=Sizes(1, 1), log=Silent()
    )

    assert len(committed(stored, work(stored, made, recipe()))) == COUNT
    made.close()


def test_a_process_works_only_within_the_budget_of_the_node(stored) -> None:
    """Where it is spent, none is to be had."""
    with processes(stored, 1) as made:
        budget = made._budget
        assert budget.reserve((1 << 30) - 1, 0.0)
        assert made.take() is None
        budget.release((1 << 30) - 1)

        taken = made.take()
        assert taken is not None
        assert budget.held_bytes == 1 << 20
        made.give_back(taken)
        assert budget.held_bytes == 0

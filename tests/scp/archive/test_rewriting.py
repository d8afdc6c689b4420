"""The work of a job: all of its results at once, or nothing, and no source lost."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from rules import compile_plan, parse_profile, ready_made
from rules.errors import InstanceRefused
from rules.operators import literal
from scp.archive.identifiers import Level
from scp.archive.job import JobRefused, Status
from scp.archive.modifier import Treatment
from scp.archive.rewriting import Order, Rewriting
from scp.errors import JournalError
from tests.scp.archive.archives import Silent, series

BASIC = Treatment(compile_plan(ready_made("basic")))
NOT_THE_SECOND = Treatment(
    compile_plan(
        parse_profile('Reject: [{InstanceNumber: "2"}]', name="p", file="f"),
    )
)
COUNT = 5


@pytest.fixture
def stored(tmp_path):
    """An archive with one series of five."""
    with series(tmp_path / "data", COUNT) as made:
        yield made


def work(stored, treatment=BASIC, **changes) -> Rewriting:
    """The work of a job that takes all that is stored."""
    order = Order(
        stored.instances(), treatment, lambda news: {"Made": len(list(news))}, "ModifiedFrom"
    )
    return Rewriting(
        replace(order, **changes),
        stored.catalogue,
        stored.modifier,
        threads=2,
        committing=threading.Lock(),
        log=Silent(),
    )


def go_on() -> bool:
    """Nobody asks for a stop."""
    return True


def noted(_: object) -> None:
    """The job's outcome, which these tests do not look at."""


def test_nobody_sees_a_result_before_the_commit(stored) -> None:
    """Until then there are files, and no row that names them."""
    before = stored.ids(Level.INSTANCE)
    rewriting = work(stored)

    complete = rewriting.run(go_on)
    during = stored.ids(Level.INSTANCE)
    rewriting.commit(noted)

    assert complete
    assert during == before
    assert len(stored.ids(Level.INSTANCE)) == 2 * COUNT
    assert len(stored.files()) == 2 * COUNT


def test_the_results_come_in_the_order_of_their_sources(stored) -> None:
    """Whatever thread made them: the first result is that of the first instance."""
    order = Order(stored.instances(), BASIC, lambda news: {"Made": list(news)}, "AnonymizedFrom")
    rewriting = work(stored, results=order.results)

    rewriting.run(go_on)

    numbers = [new.tags["InstanceNumber"] for new in rewriting.results()["Made"]]
    assert numbers == ["1", "2", "3", "4", "5"]


def test_a_source_that_is_not_kept_goes_with_the_commit(stored) -> None:
    """Its file as well; what links the result to it stays."""
    sources = stored.ids(Level.INSTANCE)
    rewriting = work(stored, keeps_source=False)

    rewriting.run(go_on)
    rewriting.commit(noted)

    left = stored.ids(Level.INSTANCE)
    assert set(left).isdisjoint(sources)
    assert len(left) == len(stored.files()) == COUNT
    assert {stored.catalogue.metadata(id_)["ModifiedFrom"] for id_ in left} == set(sources)


def test_one_that_fails_fails_all(stored) -> None:
    """Nothing of the others is left once the work is discarded."""
    before = stored.files()
    rewriting = work(stored, NOT_THE_SECOND)

    with pytest.raises(InstanceRefused):
        rewriting.run(go_on)
    rewriting.discard()

    assert stored.files() == before
    assert len(stored.ids(Level.INSTANCE)) == COUNT


def test_a_permissive_job_leaves_out_what_fails_and_never_removes_its_source(stored) -> None:
    """The other sources go; that one stays with its file."""
    second = stored.instances()[1]
    rename = compile_plan(
        parse_profile(
            'Base: basic\nReject: [{InstanceNumber: "2"}]',
            name="p",
            file="f",
        )
    )
    rewriting = work(stored, Treatment(rename), permissive=True, keeps_source=False)

    rewriting.run(go_on)
    rewriting.commit(noted)

    assert rewriting.content == {"FailedInstancesCount": 1, "InstancesCount": COUNT}
    left = stored.instances()
    assert second in left
    assert len(left) == len(stored.files()) == COUNT


def test_what_is_interrupted_can_go_on(stored) -> None:
    """Nothing is made twice, and nothing is left out."""
    rewriting = work(stored)
    asked = iter([True, True, False])

    complete = rewriting.run(lambda: next(asked, False))
    progress = rewriting.progress
    rewriting.run(go_on)
    rewriting.commit(noted)

    assert not complete
    assert progress == 39
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 2 * COUNT


def test_a_commit_whose_outcome_cannot_be_noted_commits_nothing(stored) -> None:
    """The success of a job and its results are one transaction."""

    def fail(_: object) -> None:
        raise JournalError("no room")

    before = stored.instances()
    rewriting = work(stored, keeps_source=False)
    rewriting.run(go_on)

    with pytest.raises(JournalError):
        rewriting.commit(fail)
    rewriting.discard()

    assert stored.instances() == before
    assert len(stored.files()) == COUNT


def test_two_results_under_one_uid_are_refused(stored) -> None:
    """None would be lost silently by overwriting the other."""
    plan = replace(BASIC.plan, by_class=None)
    same = plan.overridden({0x00080018: ("UI", literal("UI", "1.2.3"))})
    rewriting = work(stored, Treatment(same), keeps_source=False)
    rewriting.run(go_on)

    with pytest.raises(JobRefused) as raised:
        rewriting.commit(noted)
    rewriting.discard()

    assert raised.value.status is Status.DUPLICATE
    assert len(stored.files()) == COUNT


def test_a_source_that_changed_meanwhile_is_not_removed(stored) -> None:
    """Two jobs that move the same study: the second has nothing any more to move."""
    first, second = (work(stored, keeps_source=False) for _ in range(2))
    first.run(go_on)
    second.run(go_on)
    first.commit(noted)

    with pytest.raises(JobRefused) as raised:
        second.commit(noted)
    second.discard()

    assert raised.value.status is Status.REVISION
    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == COUNT


def test_the_same_results_again_are_known(stored) -> None:
    """Equal bytes under a known UID are stored once."""
    sources = stored.instances()
    for _ in range(2):
        rewriting = work(stored, instances=sources)
        rewriting.run(go_on)
        rewriting.commit(noted)

    assert len(stored.ids(Level.INSTANCE)) == len(stored.files()) == 2 * COUNT


def test_a_job_of_nothing_succeeds(stored) -> None:
    """There may be nothing to do."""
    rewriting = work(stored, instances=[])

    assert rewriting.run(go_on)
    rewriting.commit(noted)

    assert rewriting.results() == {"FailedInstancesCount": 0, "InstancesCount": 0, "Made": 0}

"""What the tests of the processes that rewrite share: an archive, a recipe, processes for it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rules import DEFAULT_LIMITS
from scp.archive.job import JobKind, JobRequest
from scp.archive.recipe import Recipe
from scp.archive.rewriter_talk import Setup
from scp.archive.rewriters import Rewriters, Sizes
from scp.archive.rewriting import Order, Rewriting
from scp.limits import Budget
from scp.room import Marks
from tests.scp.archive.archives import KEY, Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.scp.archive.archives import Archive

PATIENCE_S = 60.0
SCOPE = "job:1"
ANY_ROOM = Marks(0, 0, 0, 0)


def recipe(**body: object) -> Recipe:
    """To anonymize, with names of patients that the job makes up."""
    request = JobRequest(
        JobKind.MODIFICATION, body, (), is_anonymization=True, patient_name="Anonymized1"
    )
    return Recipe(request, SCOPE, {})


def until(condition: Callable[[], object], limit_s: float = PATIENCE_S) -> bool:
    """Whether something has come true in time."""
    deadline = time.monotonic() + limit_s
    while not (done := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(done)


def setup_of(stored: Archive, **changes: object) -> Setup:
    """What processes are told of an archive."""
    usual = {"marks": ANY_ROOM, "limits": DEFAULT_LIMITS, "budget_bytes": 1 << 20, "idle_s": 60.0}
    return Setup(data=stored.data, key=KEY, **{**usual, **changes})


@contextmanager
def processes(stored: Archive, count: int = 2, **changes: object) -> Iterator[Rewriters]:
    """Processes that are ready, and ended in the end."""
    made = Rewriters(
        setup_of(stored, **changes),
        Budget(1 << 30),
        processes=count,
        sizes=Sizes(worth_using=1, worth_starting=1),
        log=Silent(),
    )
    try:
        made.prepare()
        assert until(lambda: made.ready == count)
        yield made
    finally:
        made.close()


def work(
    stored: Archive, rewriters: Rewriters | None, what: Recipe, **changes: object
) -> Rewriting:
    """The work of a job that takes all that is stored; its content has all results as `Made`."""
    order = Order(
        stored.instances(),
        what.treatment(),
        lambda news: {"Made": list(news)},
        "AnonymizedFrom",
        recipe=what,
        **changes,
    )
    return Rewriting(
        order,
        stored.catalogue,
        stored.modifier,
        threads=2,
        committing=threading.Lock(),
        log=Silent(),
        rewriters=rewriters,
    )


class Counted:
    """How many instances the node itself has rewritten."""

    def __init__(self, stored: Archive) -> None:
        self.count = 0
        self._draft = stored.modifier.draft
        stored.modifier.draft = self

    def __call__(self, *arguments: object) -> object:
        self.count += 1
        return self._draft(*arguments)

"""Whatever happens in whatever order, the catalogue agrees with a plain model of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from scp.archive.identifiers import Level, identifier
from scp.errors import Conflict
from tests.scp.archive.cataloguing import Archive, id_of, instance, produced, uids
from tests.scp.storing import uid

if TYPE_CHECKING:
    from scp.archive.resources import Produced
    from scp.instance import NewInstance

PLACES = ("A/1/1", "A/1/2", "A/2/1", "B/3/1")
numbers = st.integers(0, 5)
# A SOP Instance UID has its place; other bytes of it are another attempt.
Step = tuple[str, tuple[object, ...]]
steps = st.one_of(
    st.tuples(st.just("add"), st.tuples(numbers, st.booleans(), st.integers(0, 1))),
    st.tuples(st.just("delete"), st.tuples(numbers, st.integers(0, 3))),
    st.tuples(st.just("refresh"), st.just(())),
    st.tuples(st.just("lose"), st.tuples(numbers)),
    st.tuples(
        st.just("commit"),
        st.tuples(
            st.lists(st.tuples(numbers, st.integers(0, 1)), max_size=3),
            st.lists(numbers, max_size=2),
        ),
    ),
)


def place_of(number: int) -> str:
    """Where an instance lies: two in each of the first series, one in the others."""
    return PLACES[number % len(PLACES)]


@dataclass
class Model:
    """What should be there, in plain Python.

    Attributes:
        stored: Which bytes the journal has a row for, by number.
        lost: Those whose file is gone.
        hidden: Those that were deleted and have a row as long as they are owed.
        owing: Those that a destination is owed.
    """

    stored: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)
    owing: set[int] = field(default_factory=set)

    def visible(self) -> list[int]:
        """What the catalogue shows."""
        return sorted(set(self.stored) - self.lost - self.hidden)

    def add(self, number: int, *, owed: bool, data: int) -> bool:
        """Receive one; whether its bytes do not contradict what is there."""
        if self.stored.setdefault(number, data) != data:
            return False
        self.lost.discard(number)
        self.hidden.discard(number)
        if owed:
            self.owing.add(number)
        return True

    def remove(self, wanted: list[int]) -> None:
        """Delete some of what is visible."""
        for number in set(wanted) & set(self.visible()):
            if number in self.owing:
                self.hidden.add(number)
            else:
                del self.stored[number]

    def tree(self) -> set[tuple[int, str]]:
        """Level and identifier of all that should be listed."""
        found: set[tuple[int, str]] = set()
        for number in self.visible():
            names = (*uids(place_of(number)), uid(number))
            found |= {(level, identifier(*names[: level + 1])) for level in Level}
        return found


def new(number: int, data: int, *destinations: str) -> NewInstance:
    """An instance in its place."""
    return instance(number, place_of(number), *destinations, data=data)


def run(archive: Archive, model: Model, step: Step) -> None:
    """Do one step to both."""
    name, given_ = step
    actions = {"add": add, "delete": delete, "lose": lose, "commit": commit}
    if name == "refresh":
        archive.catalogue.refresh()
    else:
        actions[name](archive, model, *given_)


def add(archive: Archive, model: Model, number: int, owed: bool, data: int) -> None:  # noqa: FBT001 - drawn
    """Receive an instance."""
    archive.journal.add(new(number, data, *(["pacs"] if owed else [])))
    model.add(number, owed=owed, data=data)


def delete(archive: Archive, model: Model, number: int, level: int) -> None:
    """Delete the resource of a level that an instance is below."""
    names = (*uids(place_of(number)), uid(number))[: level + 1]
    below = [
        one for one in model.visible() if (*uids(place_of(one)), uid(one))[: level + 1] == names
    ]
    deleted = archive.catalogue.delete(identifier(*names))
    assert (deleted is not None) == bool(below)
    model.remove(below)


def lose(archive: Archive, model: Model, number: int) -> None:
    """Its file is missing at a start: what was owed of it has failed."""
    if number in model.stored:
        archive.journal.lose([new(number, model.stored[number]).file.name], outcome="missing")
        model.hidden.discard(number)
        model.lost.add(number)
        model.owing.discard(number)


def commit(
    archive: Archive, model: Model, made: list[tuple[int, int]], removed: list[int]
) -> None:
    """Results in place of some instances, or nothing at all."""
    draft = Model(dict(model.stored), set(model.lost), set(model.hidden), set(model.owing))
    draft.remove(removed)
    fits = all(draft.add(number, owed=False, data=data) for number, data in made)
    results: list[Produced] = [
        produced(number, place_of(number), data=data) for number, data in made
    ]
    try:
        archive.catalogue.commit(results, [id_of(new(one, 0)) for one in removed])
    except Conflict:
        assert not fits
    else:
        assert fits
        vars(model).update(vars(draft))


def shown(archive: Archive) -> set[tuple[int, str]]:
    """Level and identifier of everything that is listed."""
    return {(one.level, one.id) for level in Level for one in archive.catalogue.listing(level)}


@given(st.lists(steps, max_size=12))
@settings(max_examples=max(20, settings.default.max_examples // 2))
def test_the_catalogue_agrees_with_a_model(sequence: list[Step]) -> None:
    """Receiving, deleting, losing files, jobs: what is listed is what should be."""
    with TemporaryDirectory() as folder:
        archive, model = Archive(Path(folder)), Model()
        for step in sequence:
            run(archive, model, step)
        listed, below = shown(archive), archive.catalogue.statistics()
        lines = [archive.catalogue.above(id_) for level, id_ in listed if level == Level.INSTANCE]
        archive.journal.close()

    assert listed == model.tree()
    assert below.instances == len(model.visible())
    assert all(len(line) == 3 for line in lines)

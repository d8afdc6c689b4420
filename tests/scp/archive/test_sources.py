"""Sources: looked up when their turn comes, the same as if they were all in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scp.archive import sources
from scp.archive.identifiers import Level
from scp.archive.sources import Sources
from scp.errors import SpoolError
from tests import instances
from tests.scp.archive.archives import archive

COUNT = 7


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """An archive with one series, over several pages."""
    monkeypatch.setattr(sources, "PAGE", 2)
    with archive(tmp_path / "data") as made:
        for number in range(1, COUNT + 1):
            made.store(instances.small_ct(instance=number))
        yield made


def found_in(stored) -> Sources:
    """All of them."""
    return Sources(stored.catalogue, stored.catalogue.keys(stored.ids(Level.PATIENT)))


def test_sources_are_what_is_stored_in_order_but_for_tags(stored) -> None:
    """From either end, one by one, and as a slice."""
    found = found_in(stored)
    expected = [replace(one, tags={}) for one in stored.instances()]

    assert len(found) == COUNT
    assert list(found) == expected
    assert list(reversed(found)) == expected[::-1]
    assert found[-1] == expected[-1]
    assert found[2:5] == expected[2:5]


def test_an_instance_is_named_once(stored) -> None:
    """Also where a study and one of its series are asked for."""
    ids = [*stored.ids(Level.STUDY), *stored.ids(Level.SERIES), *stored.ids(Level.INSTANCE)]

    assert stored.catalogue.keys(ids) == found_in(stored).keys


def test_what_has_the_key_of_one_that_is_gone_is_not_taken_for_it(stored) -> None:
    """SQLite numbers anew from the highest that is left."""
    found = found_in(stored)
    stored.catalogue.delete(stored.ids(Level.PATIENT)[0])
    stored.store(instances.small_ct([instances.text(0x00100020, "LO", "SOMEBODY")]))

    reused = set(found.keys.numbers) & set(found_in(stored).keys.numbers)
    assert reused
    for number, key in enumerate(found.keys.numbers):
        if key in reused:
            with pytest.raises(SpoolError):
                found[number]


def test_what_is_gone_is_an_error(stored) -> None:
    """A source that somebody removed meanwhile: the others are still there."""
    found = found_in(stored)
    stored.catalogue.delete(stored.ids(Level.INSTANCE)[3])

    with pytest.raises(SpoolError):
        found[3]
    assert found[2].id == stored.ids(Level.INSTANCE)[2]


def test_nothing_beyond_the_last_is_there(stored) -> None:
    """As of any sequence."""
    with pytest.raises(IndexError):
        found_in(stored)[COUNT]

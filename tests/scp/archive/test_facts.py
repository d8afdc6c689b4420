"""Facts travel as a line: nothing of a result is lost on the way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from scp.archive.facts import facts_of, file_of, new_of
from tests import instances
from tests.scp.archive.archives import archive
from tests.scp.archive.rewriting_apart import recipe


@pytest.fixture
def made(tmp_path):
    """A result, as the engine describes it."""
    with archive(tmp_path / "data") as stored:
        stored.store(instances.small_ct())
        draft, new = stored.modifier.draft(stored.instances()[0], recipe().treatment())
        draft.discard()
        yield new


def test_what_was_said_of_a_result_comes_back(made) -> None:
    """All of it, also what the results of a job have in common."""
    facts = facts_of(made)

    assert new_of(facts, recipe().treatment()) == made
    assert file_of(facts) == made.file.name


def test_facts_are_one_line_of_ascii(made) -> None:
    """Whatever a value holds: lines are what other processes and ledgers are read by."""
    odd = replace(made, tags={"PatientName": "Ü\n\t\r\u2028=x"})
    facts = facts_of(odd)

    assert facts.isascii()
    assert not set(facts) & set(b"\n\t\r")
    assert new_of(facts, recipe().treatment()).tags == odd.tags


@pytest.mark.parametrize("line", [b"", b"[]", b'["a"]', b"{}", json.dumps([1] * 20).encode()])
def test_what_is_no_such_line_is_refused(line) -> None:
    """Too little, too much, or something else."""
    with pytest.raises(ValueError):  # noqa: PT011 - of several sorts
        new_of(line, recipe().treatment())

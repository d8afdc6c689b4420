"""Places: where a word of a profile stands, and the attribute that it names."""

from __future__ import annotations

import pytest

from rules.errors import Mark
from rules.language.document import parse
from rules.language.places import Places
from rules.language.shapes import Problems

TEXT = "profiles:\n  a:\n    Keep:\n      - PatientSex\n      - Foo1\n    Base: basic\n"


def places(text: str = TEXT, *top: str) -> Places:
    """Those of a document."""
    return Places(parse(text, "f"), top or ("profiles", "a"), Problems())


def said_of(one: Places) -> list[str]:
    """What was said of it."""
    return [str(problem) for problem in one.problems.all()]


def test_a_path_starts_at_the_map():
    """The reader of a profile does not know where in the file it stands."""
    one = places()

    assert one.plain("Base") == "basic"
    assert one.has("Keep", 1)
    assert not one.has("Keep", 2)
    assert one.mark("Keep", 0) == Mark("f", 4, 9)
    assert one.key_mark("Base") == Mark("f", 6, 5)


def test_a_word_that_is_no_attribute_is_a_problem_at_its_place():
    """And nothing else."""
    one = places()

    assert one.selector("PatientSex", one.mark("Keep", 0))
    assert one.selector("Foo1", one.mark("Keep", 1)) is None
    assert said_of(one) == ["f:5:9: Foo1 is no attribute"]


@pytest.mark.parametrize("text", ["50xx,0010", "ContentSequence[0].TextValue", "(0019,{A}01)"])
def test_an_item_or_a_condition_holds_single_attributes(text):
    """Neither ranges, nor paths, nor private ones."""
    one = places()

    assert one.own_tag(text, Mark("f", 1, 1), ()) is None
    assert said_of(one) == ["f:1:1: here stands one attribute of the standard, without a path"]


def test_an_attribute_stands_once():
    """However it is spelled."""
    one = places()

    assert one.own_tag("0010,0040", Mark("f", 1, 1), ()) == 0x00100040
    assert one.own_tag("0010,0040", Mark("f", 1, 1), {0x00100040}) is None
    assert said_of(one) == ["f:1:1: PatientSex stands here already"]


def test_a_parser_speaks_for_the_key_of_its_text():
    """The sentence goes on behind the key."""
    one = places()

    def refuse(_: str) -> int:
        raise ValueError("is wrong")

    assert one.parsed(int, "Base") is None
    assert one.parsed(len, "Keep", 0) == 10
    assert places().parsed(refuse, "Keep", 0) is None
    assert said_of(one)[0].startswith("f:6:11: Base invalid")


def test_halves_of_tags_are_told_and_left_out():
    """YAML split them at their comma."""
    one = places()
    mark = Mark("f", 1, 1)
    entries = [("0008", mark), ("0050", mark), ("PatientSex", mark)]

    assert list(one.without_halves(entries)) == [("PatientSex", mark)]
    assert said_of(one) == ['f:1:1: "0008" is half a tag, split at its comma: write "0008,0050"']


def test_only_a_map_has_keys():
    """A list or a text has none, whatever it looks like."""
    one = places("{a: {b: c}, d: [e]}", "a")

    assert one.keys() == [("b", Mark("f", 1, 6))]
    assert places("{a: {b: c}, d: [e]}", "d").keys() == []

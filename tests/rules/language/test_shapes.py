"""Shapes: what a map may hold, and one sentence for each place where it does not."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from rules.errors import DocumentError, Mark
from rules.language.document import parse
from rules.language.shapes import (
    PascalShape,
    Problems,
    Shape,
    name_problem,
    one_of,
    parse_switch,
    shaped,
)


class Plain(Shape):
    """A text that must be there, one that need not, and a list."""

    elsewhere = MappingProxyType({"Resources": "Resources belong to a job: drop them"})

    host: str
    port: str = "104"
    names: list[object] = []


class Pascal(PascalShape):
    """Spelled as Orthanc spells."""

    keep_only: str = ""


def read(text: str, model: type[Shape] = Plain) -> tuple[Shape | None, list[str]]:
    """The model of a document, and what was said of it."""
    problems = Problems()
    shape = shaped(model, parse(text, "f"), (), problems)
    return shape, [str(problem) for problem in problems.all()]


def test_what_fits_is_a_model():
    """With defaults for what is not said."""
    assert read("{host: a, names: [b]}") == (Plain(host="a", names=["b"]), [])


def test_keys_may_be_spelled_in_pascal_case():
    """And then in no other."""
    assert read("KeepOnly: a", Pascal) == (Pascal(KeepOnly="a"), [])
    assert read("keep_only: a", Pascal)[1] == [
        'f:1:1: "keep_only" is no key here; did you mean KeepOnly?'
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "f:1:1: host is missing"),
        ("{host: a, prt: b}", 'f:1:11: "prt" is no key here; did you mean port?'),
        ("{host: a, zzz: b}", 'f:1:11: "zzz" is no key here; known are host, port, names'),
        ("{hst: a}", 'f:1:2: "hst" is no key here; did you mean host?'),
        ("{host: a, Resources: b}", "f:1:11: Resources belong to a job: drop them"),
        ("{host: [a]}", "f:1:8: host is a text"),
        ("{host: }", "f:1:7: host is empty; it is a text"),
        ("{host: a, names: b}", "f:1:18: names is a list: "),
        ("[a]", "f:1:1: the file is a map: "),
    ],
)
def test_what_does_not_fit_is_one_sentence(text, said):
    """At the key or at the value, whichever is wrong."""
    (found,) = read(text)[1]

    assert found.startswith(said)


def test_what_does_not_fit_has_its_default():
    """So that the rest of the file is checked in the same pass."""
    shape, said = read("{host: [a], port: '5', more: x}")

    assert shape == Plain(host="", port="5")
    assert len(said) == 2


def test_the_first_problem_of_a_place_is_the_cause():
    """What follows from it is not told."""
    problems = Problems()
    problems.add(Mark("f", 1, 1), "cause")
    problems.add(Mark("f", 1, 1), "consequence")
    problems.add(Mark("f", 1, 2), "another")

    with pytest.raises(DocumentError) as refused:
        problems.raise_any()
    assert [problem.message for problem in refused.value.problems] == ["cause", "another"]


def test_no_problem_is_not_raised():
    """A file without mistakes goes on."""
    Problems().raise_any()


@pytest.mark.parametrize(
    ("word", "meant"), [("true", "true"), ("FALSE", "false"), ("True", "true")]
)
def test_a_switch_is_true_or_false(word, meant):
    """In any case, as YAML and JSON write it."""
    assert parse_switch(word) == meant


@pytest.mark.parametrize(("word", "hint"), [("on", "true"), ("0", "false"), ("Yes", "true")])
def test_what_others_write_for_a_switch_is_told_apart(word, hint):
    """The remedy, rather than a guess."""
    with pytest.raises(ValueError, match=f"write {hint}"):
        parse_switch(word)


def test_a_word_is_one_of_those_known():
    """Else the nearest is named."""
    assert one_of("keep", ("refuse", "keep")) == "keep"
    with pytest.raises(ValueError, match='is refuse or keep, not "kep"; did you mean keep'):
        one_of("kep", ("refuse", "keep"))


@pytest.mark.parametrize("name", ["a", "project-a", "A.1_b", "0" * 32])
def test_a_name_is_short_and_plain(name):
    """It stands in logs, marks and file names."""
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", "-a", "a b", "\u00e9", "a" * 33, "a/b", "a\n"])
def test_any_other_name_is_told(name):
    """With what it may be."""
    assert "at most 32" in str(name_problem(name))

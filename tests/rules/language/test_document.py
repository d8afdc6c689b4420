"""Documents: what is read, where it stood, and what is refused."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import DocumentError, Mark
from rules.language.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, compose, parse

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON_VALUES = st.recursive(
    st.none() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
PIECES = [
    *("a", "b: ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "'", '"', "&x ", "*x", "!", "?"),
    *("|", ">", "%", "#", ": ", "<<", "~", "\t", "\\", "\\u", "\\U", "d83d", "---", "0x1"),
]
YAML_PIECES = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def problems_of(text: str) -> list[str]:
    """What reading it says."""
    with pytest.raises(DocumentError) as refused:
        parse(text, "f")
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    "written", ["00100010", "NO", "yes", "12:30:00", "1.10", "2001-02-03", "0x1F", "1e3", "="]
)
def test_a_plain_scalar_stays_what_was_written(written):
    """YAML's typing is what turns a tag into an octal number and a CS value into false."""
    assert parse(f"key: {written}", "f").root == {"key": written}


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_none_unless_it_is_quoted(written):
    """An absent value and an empty text are different things in a rule."""
    assert parse(f"key: {written}", "f").root == {"key": None}
    assert parse(f"key: '{written}'", "f").root == {"key": written}


def test_every_value_and_key_has_its_place():
    """Lines and columns count from 1, keys apart from their values."""
    document = parse("a: 1\nb:\n  - x\n  - c: y\n", "conf.yaml")

    assert document.key_mark(("b",)) == Mark("conf.yaml", 2, 1)
    assert document.mark(("b", 0)) == Mark("conf.yaml", 3, 5)
    assert document.key_mark(("b", 1, "c")) == Mark("conf.yaml", 4, 5)
    assert document.mark(("b", 1, "c")) == Mark("conf.yaml", 4, 8)
    assert document.get(("b", 1, "c")) == "y"


def test_a_path_that_is_not_there_has_the_place_above_it():
    """What is missing is missing in something, and that has a place."""
    document = parse("a:\n  b: x\n", "f")

    assert document.mark(("a", "nothing", 3)) == document.mark(("a",)) == Mark("f", 2, 3)
    assert not document.has(("a", "nothing"))
    with pytest.raises(KeyError):
        document.get(("a", "nothing"))


def test_a_byte_order_mark_moves_no_column():
    """Editors on Windows write one."""
    assert parse("\ufeffa: b", "f").mark(("a",)) == Mark("f", 1, 4)


def test_an_alias_repeats_what_its_anchor_names():
    """Lists may be shared between profiles."""
    document = parse("a: &keep [x, y]\nb: *keep\n", "f")

    assert document.root == {"a": ["x", "y"], "b": ["x", "y"]}
    assert document.mark(("b", 1)) == Mark("f", 1, 14)


def test_a_pair_of_json_escapes_is_one_character():
    """JSON writes characters beyond the first plane as two escapes."""
    assert parse(r'{"a": "\ud83d\ude00"}', "f").root == {"a": "\U0001f600"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'f:3:1: "a" stands on line 1 already'),
        ("a: !!python/object:os.system x", "f:1:4: YAML tags are not read"),
        ("a: !x", "f:1:4: YAML tags are not read"),
        ("? [a]\n: b", "f:1:3: a key is text"),
        ("a: &x b\n? *x\n: c", "f:2:3: a key is text"),
        ("? ~\n: b", "f:1:3: a key is missing"),
        ("~: b", "f:1:1: a key is missing"),
        ("<<: {a: b}", "f:1:1: merge keys are not read"),
        (r'a: "\ud83d"', "f:1:4: an escape in this text is only one half"),
        ("a: *b", "f:1:4: *b names nothing above"),
        ("a: &x [*x]", "f:1:8: *x stands inside what it names"),
        ("a: b\n---\nc: d", "f:2:1: a second document begins here"),
        ("a: b\n\tc: d", "f:2:1: a tab"),
        ("a: b: c", "f:1:5: a second colon"),
        ("key without colon\nb: 1", "f:2:2: a second colon on this line, or none on the line"),
        ("a: 'x\nb: c\n", "f:1:4: the quotation mark of line 1 is never closed"),
        ("a: @x", "f:1:4: a text that begins with @ needs quotes"),
        ("a: *", "f:1:4: a text that begins with * needs quotes"),
        ("a: [b\nc: d", "f:2:2: the [ of line 1 is not closed"),
        ("a: {b", "f:1:4: the { of line 1 is not closed"),
        ("k: [(0019,{SIEMENS}0C)]", "f:1:20: the [ of line 1 is not closed"),
        ('a: "b" c', "f:1:8: does not fit the lines above"),
        (" a: b\nc: d", "f:2:1: indented less than the first line"),
        ('a: "\\q"', "f:1:6: in double quotes \\ begins an escape"),
        ('a: "\\Uffffffff"', "f:1:7: an escape or directive here"),
        ("a: |x", "f:1:5: a text that begins with | or > needs quotes"),
        ("a: - b", "f:1:4: a list begins on a line of its own"),
        ("a\n\x01", "f:2:1: the character U+0001"),
    ],
)
def test_a_mistake_has_one_line_with_its_place_and_remedy(text, said):
    """What PyYAML would say is of no use to a person who writes rules."""
    found = problems_of(text)

    assert len(found) == 1
    assert found[0].startswith(said)


def test_problems_of_single_values_do_not_hide_the_rest():
    """All of a file is checked in one pass, equal keys or not."""
    document, problems = compose("a: 1\na: 2\nb: !x y\nc: z\n", "f")

    assert document.root == {"a": "1", "b": "y", "c": "z"}
    assert [problem.mark.line for problem in problems] == [2, 3]


def test_an_alias_bomb_is_refused_at_once():
    """Nine levels of nine aliases would be 387 million values."""
    names = "abcdefghij"
    lines = [f"a: &a [{','.join('x' * 9)}]"]
    lines += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip(names, names[1:])]  # noqa: B905, RUF007 - one is longer
    begun = time.perf_counter()

    found = problems_of("\n".join(lines))

    assert found == [f"f:5:23: more than {MAX_VALUES} values, aliases expanded"]
    assert time.perf_counter() - begun < 1


def test_depth_is_counted_through_aliases():
    """What is deep only after aliases are expanded is as deep as what is written so."""
    half = MAX_DEPTH // 2
    text = f"a: &a {'[' * half}{']' * half}\nb: {'[' * half}*a{']' * half}\n"

    assert "nested deeper" in problems_of(text)[0]
    assert "nested deeper" in problems_of("[" * 100_000)[0]


def test_a_large_file_is_refused_before_it_is_read():
    """A file of rules is never that large; a mistaken path may be."""
    assert problems_of("#" * (MAX_BYTES + 1)) == ["f:1:1: the file is larger than 1 MiB"]


def test_messages_quote_no_long_text():
    """A message is read on one line."""
    (found,) = problems_of(f"{'k' * 100}: 1\n{'k' * 100}: 2\n")

    assert len(found) < 100


@given(JSON_VALUES)
def test_json_is_read_as_json(value):
    """A body for Orthanc is a document as it is."""
    assert parse(json.dumps(value), "f").root == value


@given(TEXTS | YAML_PIECES)
def test_any_text_is_a_document_or_a_document_error(text):
    """Nothing a person may type ends in a traceback."""
    try:
        marks = [parse(text, "f").mark(())]
    except DocumentError as refused:
        marks = [problem.mark for problem in refused.problems]

    assert marks
    assert all(mark.line >= 1 and mark.column >= 1 for mark in marks)

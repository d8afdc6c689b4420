"""Conditions: what matches, and that no sender can make a pattern slow."""

from __future__ import annotations

import contextlib
import random
import re
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import Deidentifier, InstanceRefused, Pseudonyms, compile_plan
from rules.conditions import (
    MAX_SUBJECT_CHARACTERS,
    Absent,
    AnyOf,
    Condition,
    Equals,
    Pattern,
    parse_test,
)
from rules.errors import Mark
from rules.language.schema import parse_profile

MARK = Mark("f", 1, 1)
MODALITY, DESCRIPTION = 0x00080060, 0x0008103E


@pytest.mark.parametrize(
    ("asked", "value", "expected"),
    [
        ("YES", "YES", True),
        ("YES", " YES \0", True),
        ("YES", "yes", False),
        ("YES", "NO", False),
        ("YES", None, False),
        ("PRIMARY", "ORIGINAL\\PRIMARY \\AXIAL", True),
        ("ORIGINAL\\PRIMARY", "ORIGINAL\\PRIMARY", True),
        (["SR", "PR"], "PR", True),
        (["SR", "PR"], "CT", False),
        (["SR", None], None, True),
        (["SR", "/^P/"], "PR", True),
        (None, None, True),
        (None, "", True),
        (None, "  \0", True),
        (None, "x", False),
        ("/dose report/i", "Chest DOSE Report 1", True),
        ("/dose report/", "Chest DOSE Report 1", False),
        ("/^$/", "", False),
        ("/a.b/", "a/b", True),
        ("/a/b/", "a/b", True),
    ],
)
def test_a_value_is_compared_as_text(asked, value, expected):
    """Padding does not count, case does; each of several values counts."""
    assert parse_test(asked).matches(value) is expected


def test_what_is_asked_is_read_as_what_it_is():
    """Literals, patterns, lists of them, and null."""
    assert parse_test(None) == Absent()
    assert parse_test("/x/i") == Pattern("x", ignore_case=True)
    assert parse_test(["a", None]) == AnyOf((Equals("a"), Absent()))


def test_every_key_of_a_condition_must_match():
    """Several conditions are alternatives, the keys of one are not."""
    condition = Condition(((MODALITY, Equals("SR")), (DESCRIPTION, Pattern("dose"))), MARK)

    assert condition.matches({MODALITY: "SR", DESCRIPTION: "dose report"}.get)
    assert not condition.matches({MODALITY: "SR", DESCRIPTION: "other"}.get)
    assert not condition.matches({DESCRIPTION: "dose report"}.get)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "write null"),
        ("  ", "write null"),
        ([], "the list is empty"),
        ({"a": "b"}, "a text, a /pattern/, null"),
        ([["a"]], "a text, a /pattern/, null"),
        ("/abc", "ends with a slash"),
        ("/abc/x", "nothing or i"),
        ("//", "would match everything"),
        ("/(a/", "a ( that is never closed"),
        ("/a)/", "a ) that nothing opens, at character 2"),
        ("/*a/", "write \\ before a special character"),
        ("/a**/", "a repetition of a repetition"),
        ("/a{2}{2}/", "a repetition of a repetition"),
        ("/a{3,2}/", "from fewer to more"),
        ("/a{101}/", "at most 100"),
        ("/(a{100}){100}/", "too large"),
        ("/((a{50}){30}){2}/", "too large"),
        ("/(?=a)/", "only plain groups"),
        ("/(?P<x>a)/", "only plain groups"),
        ("/(a)\\1/", "write \\ before a special character"),
        ("/[b-a]/", "bad character range"),
        ("/[[a]/", "inside [ ]"),
        ("/[a/", "write \\ before a special character"),
        ("/" + "a" * 257 + "/", "at most 256 characters"),
    ],
)
def test_what_cannot_be_asked_is_refused_when_it_is_read(asked, said):
    """With the remedy, and for patterns with the character where they fail."""
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_test(asked)


ATOMS = st.sampled_from(
    ["a", "b", ".", "\\.", "[ab]", "[^a]", "\\d", "\\W", "^", "$", "\\b", "\\B", " ", "é", "K"]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("({0[0]}|{0[1]})".format)
        | st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,3}", "{0,}"])).map(
            "(?:{0[0]}){0[1]}".format
        )
    ),
    max_leaves=8,
)


@given(PATTERNS, st.booleans(), st.text("abAB. 1éÉ\nkK\u212a", min_size=1, max_size=10))
def test_a_pattern_finds_what_a_regular_expression_finds(source, ignore_case, text):
    """The automaton is ours; the language is that of `re`."""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    expected = re.search(source.replace("$", r"\Z"), text, flags) is not None

    assert Pattern(source, ignore_case=ignore_case).search(text) is expected


SLOW_WITH_RE = [
    *("(a+)+$", "(a|a)*$", "(a|aa)+$", "a*a*a*a*a*c", "(.*a){20}$", "(a?){50}a{50}c", "a.{99}c"),
    *("(a|b)*a(a|b){70}c", "(a.{90}|b.{90}|[ab].{90}|.{91})c"),
]


@pytest.mark.parametrize("source", SLOW_WITH_RE)
@pytest.mark.parametrize("letters", ["a", "ab"])
def test_no_text_makes_a_pattern_slow(source, letters, deadline_s):
    """With `re` the first of these would outlive the hospital."""
    pattern = Pattern(source)
    mixed = random.Random(1).choices(letters, k=MAX_SUBJECT_CHARACTERS - 1)  # noqa: S311 - no secret
    text = "".join(mixed) + "!"
    begun = time.perf_counter()

    pattern.search(text)

    assert time.perf_counter() - begun < deadline_s(1.5)


def test_a_text_too_long_to_search_matches():
    """A condition that refuses must not be evaded by length."""
    assert Pattern("b").matches("a" * (MAX_SUBJECT_CHARACTERS + 1))
    assert not Pattern("b").matches("a" * MAX_SUBJECT_CHARACTERS)


def test_what_a_pattern_remembers_is_bounded():
    """A sender cannot fill memory with ever new characters."""
    pattern = Pattern("x.*y")
    for start in range(0, 60_000, 1000):
        pattern.search("x" + "".join(map(chr, range(start + 0x100, start + 0x4F0))))

    assert len(pattern._automaton._steps) <= 4096
    assert len(pattern._automaton._accepted) <= 4096


@given(st.text(max_size=30) | st.text("ab()[]{}|*+?.^$\\/,123-i", max_size=20).map("/{}/".format))
def test_any_text_is_a_test_or_a_value_error(text):
    """Nothing a person may type ends in a traceback."""
    with contextlib.suppress(ValueError):
        assert parse_test(text).matches("ab12") in (True, False)


def test_a_condition_on_a_number_reads_the_encoded_number():
    """Rows is two bytes, and asked for as 512."""
    profile = parse_profile("Reject: [{Rows: 512}]", name="p", file="f")
    engine = Deidentifier(compile_plan(profile), Pseudonyms(bytes(32)), "1.2.840.10008.1.2.1")
    identity = b"".join(
        struct.pack("<HH2sH", 0x0008, element, b"UI", len(uid)) + uid
        for element, uid in ((0x16, b"1.2.3\0"), (0x18, b"1.2.4\0"))
    )
    rows = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 512)

    engine.feed(identity + rows)
    with pytest.raises(InstanceRefused):
        engine.finish()


def described(source, flags, text, start, stop):
    """Whether `re` sees the pattern describe exactly this part of the text."""
    rest = f"(?=[\\s\\S]{{{len(text) - stop}}}\\Z)"
    whole = f"(?:{source.replace('$', chr(92) + 'Z')}){rest}"
    return re.compile(whole, flags).match(text, start) is not None


def leftmost_longest(source, flags, text):
    """What `Pattern.spans` promises, tried out part by part."""
    start = 0
    while start < len(text):
        stops = range(len(text), start, -1)
        stop = next((at for at in stops if described(source, flags, text, start, at)), None)
        if stop is not None:
            yield start, stop
        start = stop or start + 1


@given(PATTERNS, st.booleans(), st.text("abAB. 1éÉ\nkK\u212a", max_size=10))
def test_the_parts_that_a_pattern_describes_are_found_leftmost_and_longest(
    source, ignore_case, text
):
    """Each as long as it can be, none empty, none overlapping."""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)

    spans = list(Pattern(source, ignore_case=ignore_case).spans(text))

    assert spans == list(leftmost_longest(source, flags, text))


@pytest.mark.parametrize("source", [*SLOW_WITH_RE, "a|a.*b", "(a|b)*c|a"])
@pytest.mark.parametrize("letters", ["a", "ab", "abc", "a" * 50 + "c"])
@pytest.mark.slow
def test_no_text_makes_the_search_for_all_parts_slow(source, letters, deadline_s):
    """It is read once backwards and once forwards, however its parts could overlap."""
    pattern = Pattern(source)
    mixed = random.Random(1).choices(letters, k=MAX_SUBJECT_CHARACTERS)  # noqa: S311 - no secret
    text = "".join(mixed)
    begun = time.perf_counter()

    list(pattern.spans(text))

    assert time.perf_counter() - begun < deadline_s(3)


def test_a_text_too_long_has_no_parts_to_be_found():
    """It is an error, because nothing may pass unsearched."""
    with pytest.raises(ValueError, match="more than 16384"):
        Pattern("b").spans("a" * (MAX_SUBJECT_CHARACTERS + 1))

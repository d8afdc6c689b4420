"""The reference of the rules: every example loads, and nothing that can be said is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rules import READY_MADE, compile_plan, parse_profile
from rules.language.calls import FUNCTIONS
from rules.language.schema import PROFILE_KEYS
from rules.options import OPTIONS, REFUSED, code
from rules.regions import KINDS
from rules.tables.confidentiality import EDITIONS

PAGE = (Path(__file__).parents[1] / "docs" / "rules.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
NOT_OFFERED = {"Transcode"}


def test_the_examples_are_found():
    """A page without examples would pass whatever it said."""
    assert len(EXAMPLES) > 15


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.partition(":")[0].strip('{"'))
def test_an_example_of_the_page_compiles(text):
    """Whatever is copied from it works."""
    profile = parse_profile(
        text, name="example", file="rules.md", read_lookup=lambda _: "A-1,001\n"
    )

    assert compile_plan(profile).name == "example"


@pytest.mark.parametrize("key", sorted(set(PROFILE_KEYS) - NOT_OFFERED))
def test_every_key_of_a_profile_is_on_the_page(key):
    """In a heading, or in code beside one."""
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    named = {name for heading in headings for name in heading.split(", ")}

    assert key in named or f"`{key}: true`" in PAGE


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_stands_in_the_table_with_its_code(option):
    """The code is that of CID 7050."""
    assert f"| `{option}` | {code(option)[0]} |" in PAGE


@pytest.mark.parametrize("word", [*REFUSED, *EDITIONS, *KINDS, *READY_MADE])
def test_every_word_is_on_the_page(word):
    """Those that are refused too."""
    assert word in PAGE


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_stands_in_the_table(name):
    """With what it is for."""
    assert re.search(rf"^\| `{{{name}: ", PAGE, re.MULTILINE)

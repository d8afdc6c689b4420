"""The ready-made profiles: documented, valid, and what others count on."""

from __future__ import annotations

from pathlib import Path

import pytest

import rules.profiles
from rules import compile_plan
from rules.digest import digest
from rules.errors import Mark
from rules.language.schema import READY_MADE, parse_profile, ready_made
from rules.options import DEVICE_IDENTITY, MODIFIED_DATES, SAFE_PRIVATE
from rules.profile import BASES, CapAge, Profile
from rules.profiles import NAMES, text_of
from tests.driving import OPTIONS_OF

FOLDER = Path(rules.profiles.__file__).parent


def comments_of(name: str) -> list[str]:
    """The lines before the first key."""
    lines = text_of(name).splitlines()
    return [line for line in lines[: lines.index("")] if line.startswith("#")]


def test_every_file_has_a_name_that_a_route_may_say():
    """No file is left out, and no name without its file."""
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES)
    assert READY_MADE == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_made_profile_compiles(name):
    """A route may name it without defining it."""
    assert compile_plan(ready_made(name)).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_made_profile_says_what_it_is_for_what_stays_and_what_goes(name):
    """About ten lines that a person reads before naming it."""
    comments = comments_of(name)

    assert comments[0].startswith(f"# {name}: ")
    assert 5 <= len(comments) <= 12
    for word in ("# For: ", "# Stays: ", "# Goes: "):
        assert any(line.startswith(word) for line in comments)
    assert max(map(len, comments)) <= 110


@pytest.mark.parametrize("name", BASES)
def test_the_name_of_a_base_is_that_base_and_nothing_else(name):
    """Three of them have been there from the start."""
    made = ready_made(name)
    plain = Profile(
        name, Mark("f", 1, 1), base=name, private="keep" if name == "none" else "remove"
    )

    assert digest(made) == digest(plain)
    assert made.passes_identity == (name == "none")


@pytest.mark.parametrize("name", OPTIONS_OF)
def test_the_options_are_those_that_are_judged_over_real_files(name):
    """What is proved of a profile is proved of the one that ships."""
    made = ready_made(name)

    assert set(made.options) == set(OPTIONS_OF[name])
    assert made.private == ("safe" if SAFE_PRIVATE in made.options else "remove")


def test_only_two_profiles_pass_identities():
    """Both say so in their first line."""
    passing = [name for name in NAMES if ready_made(name).passes_identity]

    assert passing == ["keep-all", "none"]
    assert all("othing is de-identified" in comments_of(name)[0] for name in passing)


def test_a_teaching_case_has_no_dates_and_no_oldest_patient():
    """Nobody is followed over time."""
    made = ready_made("teaching")

    assert MODIFIED_DATES not in made.options
    assert DEVICE_IDENTITY not in made.options
    assert [(rule.selector.text, rule.value) for rule in made.replace] == [
        ("PatientAge", CapAge(89))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_made_profile_can_be_copied_into_a_file(name):
    """It is what a user could have written, and then change."""
    copied = parse_profile(text_of(name), name=name, file="config.yaml")

    assert digest(copied) == digest(ready_made(name))


def test_no_other_name_is_ready_made():
    """A name never becomes a path."""
    for name in ("reserch", "../schema", ""):
        with pytest.raises(KeyError):
            ready_made(name)

"""Rules in force: compiled whole, carried along by what was accepted under them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules import DocumentError
from scp.config import parse_config
from scp.rulebook import PinnedRoute, Rulebook

FOLDER = Path("/somewhere")
CONFIG = """
version: 1
rest: {listen: 127.0.0.1:0, profile: mine}
profiles:
  mine: {Base: basic, Replace: {PatientName: ONE}}
  unused: {Base: none}
  passing: {Base: none}
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 104}
routes:
  - {from: CT1, profile: mine, store: false, forward: [pacs]}
  - {from: CT2, profile: passing}
"""


def rules(text: str = CONFIG, before: Rulebook | None = None) -> Rulebook:
    """The rules of a file."""
    return Rulebook.compiled(parse_config(text, "config.yaml", FOLDER), before)


def test_a_route_carries_its_plan() -> None:
    """And what else is done with its instances."""
    found = rules()

    route = found.pinned(found.config.routes[0])

    assert route == PinnedRoute("mine", store=False, forward=("pacs",), plan=found.plans["mine"])


def test_a_route_can_be_had_without_a_destination() -> None:
    """For an association of which nothing shall go back to where it comes from."""
    found = rules()

    assert found.pinned(found.config.routes[0], without={"pacs"}).forward == ()


def test_an_upload_is_kept_and_goes_nowhere() -> None:
    """By the profile of the REST API."""
    found = rules()

    assert found.upload_route() == PinnedRoute(
        "mine", store=True, forward=(), plan=found.plans["mine"]
    )


def test_only_what_is_used_is_noted_and_warned_of() -> None:
    """A profile that no route names passes nothing."""
    found = rules()

    assert [one.profile for one in found.rule_sets()] == ["mine", "passing"]
    assert [one.digest for one in found.rule_sets()] == [
        one.digest for one in found.plans.values()
    ]
    assert found.passing() == ["passing"]


def test_a_plan_stays_where_nothing_of_it_has_changed() -> None:
    """With all that it has worked out for the SOP classes it has seen."""
    before = rules()

    after = rules(CONFIG.replace("ONE", "TWO"), before)

    assert after.plans["passing"] is before.plans["passing"]
    assert after.plans["mine"].digest != before.plans["mine"].digest


def test_a_lookup_is_part_of_the_rules(tmp_path) -> None:
    """The same file of rules with other values in its list is another version."""
    text = CONFIG.replace("PatientName: ONE", "PatientID: {lookup: ids.csv}")
    digests = []
    for name in ("one", "two"):
        (tmp_path / "ids.csv").write_text(f"original,replacement\nA,{name}\n")
        found = Rulebook.compiled(parse_config(text, "config.yaml", tmp_path))
        digests.append(found.plans["mine"].digest)

    assert digests[0] != digests[1]


def test_rules_that_cannot_be_compiled_are_none() -> None:
    """The file is refused as a whole, with the place."""
    with pytest.raises(DocumentError, match=r"config.yaml:5:"):
        rules(CONFIG.replace("PatientName: ONE", "'PatientName.PatientID': X"))

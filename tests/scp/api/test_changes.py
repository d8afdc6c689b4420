"""/changes: what has happened, in order and in pages."""

from __future__ import annotations

import pytest

from scp.archive.identifiers import identifier
from tests.scp.api.noding import api


@pytest.fixture
def node(tmp_path):
    """A node with an instance."""
    with api(tmp_path) as running:
        running.upload()
        yield running


def test_what_comes_is_told_at_every_level(node):
    """One line for each resource, each with its address."""
    page = node.get("/changes")

    assert {line["ChangeType"] for line in page["Changes"]} == {
        *("NewPatient", "NewStudy", "NewSeries", "NewInstance"),
    }
    assert page["Done"] is True
    assert page["Last"] == page["Changes"][-1]["Seq"]
    (patient,) = [one for one in page["Changes"] if one["ResourceType"] == "Patient"]
    assert patient["ID"] == identifier("P")
    assert patient["Path"] == f"/patients/{patient['ID']}"
    assert len(patient["Date"]) == 15


def test_pages_follow_each_other(node):
    """From the last number of each, until it is done."""
    whole = node.get("/changes")["Changes"]
    first = node.get("/changes?limit=3")
    second = node.get(f"/changes?limit=3&since={first['Last']}")

    assert first["Done"] is False
    assert first["Changes"] + second["Changes"] == whole
    assert second["Done"] is True
    assert node.get("/changes?last")["Changes"] == whole[-1:]
    end = whole[-1]["Seq"]
    assert node.get(f"/changes?since={end}") == {"Changes": [], "Done": True, "Last": end}


def test_a_deletion_is_told(node):
    """To those who keep a copy."""
    node.ask("DELETE", f"/patients/{identifier('P')}")

    kinds = [line["ChangeType"] for line in node.get("/changes")["Changes"]]
    assert kinds.count("Deleted") == 4


def test_changes_that_are_cleared_do_not_come_back(node):
    """And the numbers go on."""
    last = node.get("/changes")["Last"]
    assert node.ask("DELETE", "/changes").status == 200
    assert node.get("/changes")["Changes"] == []

    node.upload(study=2)

    assert node.get("/changes")["Changes"][0]["Seq"] > last

"""The pages that say what there is, and that every address is behind the gate."""

from __future__ import annotations

import pytest

from tests.scp.api.noding import api


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node that holds nothing."""
    with api(tmp_path_factory.mktemp("node")) as running:
        yield running


def test_every_operation_is_described(node):
    """A sentence for each, and a body for those that take one."""
    paths = node.get("/openapi.json")["paths"]

    assert {"/system", "/studies/{id_}/anonymize", "/tools/find", "/jobs/{id_}"} <= paths.keys()
    assert all(one["description"] for operations in paths.values() for one in operations.values())
    assert "requestBody" in paths["/studies/{id_}/modify"]["post"]


def test_the_page_for_people_loads_nothing_from_elsewhere(node):
    """Not a script, not a font: a node may have no way out."""
    page = node.ask("GET", "/docs").body.decode()

    assert "/studies/{id_}/anonymize" in page
    assert "http" not in page.lower().replace("answering http", "")
    assert "<script" not in page
    assert node.ask("GET", "/").headers["location"] == "docs"


def test_every_address_is_behind_the_gate(node):
    """Unknown ones, the description and the pages included."""
    paths = ["/", "/docs", "/openapi.json", "/system", "/nothing", "/studies"]

    assert {node.ask("GET", path, Host="evil.example").status for path in paths} == {403}

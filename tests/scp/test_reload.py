"""What counts at once when the file has changed, and what is named as waiting for a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from scp.config import parse_config
from scp.reload import following

FOLDER = Path("/somewhere")
CONFIG = """
version: 1
node:
  ae_title: ANONODE
  listen: 127.0.0.1:11112
  max_associations: 10
  drain_s: 30
  message_limit_bytes: 1048576
rest: {listen: 127.0.0.1:8042, profile: basic, max_connections: 10}
destinations:
  pacs: {ae_title: PACS, host: 127.0.0.1, port: 104}
routes: [{from: CT1, profile: basic, forward: [pacs]}]
"""
REST = "rest: {listen: 127.0.0.1:8042, profile: basic, max_connections: 10}\n"
BEFORE = parse_config(CONFIG, "config.yaml", FOLDER)


def read(old: str, new: str):
    """The configuration with one change."""
    assert CONFIG.count(old) == 1
    return parse_config(CONFIG.replace(old, new), "config.yaml", FOLDER)


def test_a_file_that_has_not_changed_waits_for_nothing() -> None:
    """And counts as it is."""
    after = parse_config(CONFIG, "config.yaml", FOLDER)

    assert following(BEFORE, after) == (after, ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("from: CT1", "from: CT2", id="route"),
        pytest.param("port: 104", "port: 105", id="destination"),
        pytest.param("profile: basic, max", "profile: research, max", id="profile of uploads"),
        pytest.param("drain_s: 30", "drain_s: 40", id="grace"),
        pytest.param("ae_title: ANONODE", "ae_title: OTHER", id="own AE title"),
    ],
)
def test_what_is_looked_up_when_it_is_needed_counts_at_once(old: str, new: str) -> None:
    """Nothing of it is named."""
    after = read(old, new)

    assert following(BEFORE, after) == (after, ())


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        pytest.param("127.0.0.1:11112", "127.0.0.1:11113", "node.listen", id="port"),
        pytest.param("127.0.0.1:11112", "127.0.0.2:11113", "node.listen", id="host and port"),
        pytest.param("node:", "node:\n  data: other", "node.data", id="data folder"),
        pytest.param(
            "max_associations: 10", "max_associations: 9", "node.max_associations", id="limit"
        ),
        pytest.param("1048576", "2097152", "node.message_limit_bytes", id="another name"),
        pytest.param("127.0.0.1:8042", "127.0.0.1:80", "rest.listen", id="port of HTTP"),
        pytest.param("connections: 10", "connections: 9", "rest.max_connections", id="of HTTP"),
        pytest.param(REST, "", "rest", id="no HTTP any more"),
    ],
)
def test_what_the_parts_were_built_with_stays_and_is_named(old: str, new: str, key: str) -> None:
    """By its key in the file, once."""
    after = read(old, new)
    config, waiting = following(BEFORE, after)

    assert waiting == (key,)
    assert (config.node, config.rest) == (BEFORE.node, BEFORE.rest)


def test_an_api_that_was_off_stays_off() -> None:
    """It begins with the next start."""
    before = read(REST, "")

    config, waiting = following(before, BEFORE)

    assert (config.rest, waiting) == (None, ("rest",))


def test_one_change_that_waits_does_not_hold_up_the_others() -> None:
    """The rest of the file counts."""
    text = CONFIG.replace("127.0.0.1:11112", "127.0.0.1:11113").replace("from: CT1", "from: CT2")
    config, waiting = following(BEFORE, parse_config(text, "config.yaml", FOLDER))

    assert waiting == ("node.listen",)
    assert config.routes[0].calling == ("CT2",)
    assert config.node.port == 11112

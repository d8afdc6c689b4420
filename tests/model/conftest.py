"""What the tests of the simulation share."""

from __future__ import annotations

import io
import os

import pytest

from scp import logs
from tests.model.simulation import Worlds


@pytest.fixture
def worlds() -> Worlds:
    """Runs seeds; skipped by name where Python's SQLite cannot be given a file system."""
    logs.configure(io.StringIO())
    try:
        return Worlds()
    except AttributeError:
        sentence = "the SQLite of this Python takes no file system from outside"
        if os.environ.get("ANONODE_REQUIRE_PEERS") == "1":
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)

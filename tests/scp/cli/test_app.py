"""Whatever a command meets, it says its own sentences: never the text of an exception."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DIES = """
import sys
from scp.cli import app, store

class Journal:
    def existing(_):
        raise ValueError("DOE^JANE")

store.Journal = Journal
sys.argv = ["anonode", "queue"]
app.main()
"""
FAILS = """
import sys
from scp.cli import app, store

def fail(_):
    raise OSError("DOE^JANE")

store.configuration = fail
sys.argv = ["anonode", "queue"]
app.main()
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, prepared by some code."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_what_nobody_has_foreseen_is_a_type_and_a_place_of_ours() -> None:
    """Its text may quote a value; where a library raised it helps nobody."""
    done = run(DIES)
    [line] = map(json.loads, done.stderr.splitlines())

    assert (done.returncode, done.stdout) == (1, "")
    assert line["event"] == "the process ends because of an error"
    assert line["error"] == "ValueError"
    assert line["place"].startswith("store.py:")
    assert "DOE" not in done.stderr


def test_an_error_of_the_system_without_its_sentence_is_its_type() -> None:
    """A text that a library has put there may quote a value, too."""
    done = run(FAILS)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the system: OSError\n"

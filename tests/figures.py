"""What the tests of the promises have measured: lines of JSON that the README's table is made of.

ANONODE_FIGURES names the file; without it nothing is written. A promise that is measured again
replaces its line, so that the file holds the latest figures of each.
"""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from tests.sizes import NIGHTLY


def note(promise: str, test: str, **values: float | str) -> None:
    """Write down what was seen of a promise, by the name that the tests give it: `T-DISK`."""
    path = os.environ.get("ANONODE_FIGURES")
    if not path:
        return
    line = {
        "promise": promise,
        "test": test,
        "day": datetime.now(UTC).date().isoformat(),
        "nightly": NIGHTLY,
        "figures": values,
    }
    # Tests run side by side in several processes.
    with Path(path).open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = {entry["promise"]: entry for entry in map(json.loads, file)}
        known[promise] = line
        file.seek(0)
        file.truncate()
        file.writelines(json.dumps(known[name]) + "\n" for name in sorted(known))

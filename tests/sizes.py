"""How large a test of faults is: small enough for every change, or as large as a night allows."""

from __future__ import annotations

import os

NIGHTLY = os.environ.get("ANONODE_NIGHTLY") == "1"


def size(*, ci: int, nightly: int) -> int:
    """The number that this run is to use."""
    return nightly if NIGHTLY else ci

"""The attributes of the Patient and General Study modules: what a split or a merge may change.

Source: PS3.3 C.7.1.1, C.7.2.1, as of 2011.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

_TABLE = "ps33_C7.1.1_C7.2.1_2011.csv"


@cache
def study_module_tags() -> frozenset[int]:
    """Their tags, sequences among them."""
    text = files(__package__).joinpath(_TABLE).read_text("utf-8")
    return frozenset(int(row["tag"], 16) for row in csv.DictReader(text.splitlines()))

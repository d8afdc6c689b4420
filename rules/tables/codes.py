"""PS3.16 CID 7050: the codes that say how an instance was de-identified."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EDITION = "2026d"
SCHEME = "DCM"
_TABLE = f"ps316_CID7050_{EDITION}.csv"


@cache
def deidentification_methods() -> Mapping[str, str]:
    """Code meanings by code value; the coding scheme of all of them is `SCHEME`."""
    text = files(__package__).joinpath(_TABLE).read_text("utf-8")
    records = csv.DictReader(text.splitlines())
    return MappingProxyType({row["code_value"]: row["code_meaning"] for row in records})

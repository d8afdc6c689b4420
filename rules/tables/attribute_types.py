"""How much the IODs want an attribute: its type, by SOP class and by parent sequence.

Only what the choice between X, Z and D depends on is here: the attributes of Table E.1-1 that
some IOD wants with type 1 or 2. A type is the strictest of any module of the IOD, and 1C and 2C
count as 1 and 2, because whether their condition holds is not ours to judge.

Source: PS3.3 (2026b), Annex A and the modules of Annex C; PS3.5 7.4 for the types.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EDITION = "2026b"


@cache
def sop_class_names() -> Mapping[str, str]:
    """The SOP classes whose IOD is known, by UID."""
    records = _records(f"ps33_sop_classes_{EDITION}.csv")
    return MappingProxyType({row["sop_class_uid"]: row["name"] for row in records})


def root_types(sop_class_uid: str) -> Mapping[int, int] | None:
    """Types of the root attributes of a SOP class, 1 or 2 by tag; None if it is not known.

    An attribute that is absent has type 3, or is no part of the IOD.
    """
    iod = _iods().get(sop_class_uid)
    return _by_iod()[iod] if iod is not None else None


@cache
def nested_types() -> Mapping[int, Mapping[int, int]]:
    """Types in the items of each sequence of PS3.3 that holds attributes of Table E.1-1."""
    records = _records(f"ps33_nested_types_{EDITION}.csv")
    return MappingProxyType({int(row["tag"], 16): _types(row) for row in records})


@cache
def _iods() -> dict[str, str]:
    records = _records(f"ps33_sop_classes_{EDITION}.csv")
    return {row["sop_class_uid"]: row["iod"] for row in records}


@cache
def _by_iod() -> dict[str, Mapping[int, int]]:
    records = _records(f"ps33_root_types_{EDITION}.csv")
    return {row["iod"]: _types(row) for row in records}


def _types(row: dict[str, str]) -> Mapping[int, int]:
    wanted = {int(tag, 16): 2 for tag in row["type_2"].split()}
    return MappingProxyType(wanted | {int(tag, 16): 1 for tag in row["type_1"].split()})


def _records(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))

"""The one border to the data dictionary: is a tag known, and of which VR is it.

pydicom's dictionary, and behind it the attributes of Table E.1-1 that are newer than that.

Source: PS3.6, as pydicom ships it; PS3.6 2026d for the supplement.
"""

from __future__ import annotations

import csv
from functools import cache, lru_cache
from importlib.resources import files

from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VR,
    repeater_has_tag,
)
from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]  # not re-exported by name

# Callers ask with tags of the wire, so the answers that are remembered are bounded.
_REMEMBERED = 1 << 15
_DELIMITER_GROUP = 0xFFFE
_SUPPLEMENT = "ps36_supplement_2026d.csv"


@lru_cache(_REMEMBERED)
def vr_of(tag: int) -> str | None:
    """The VR of a standard attribute, `US or SS` where it depends; None when unknown.

    Item and delimiter tags of group FFFE have none.
    """
    if tag >> 16 == _DELIMITER_GROUP:
        return None
    if _has(tag):
        return dictionary_VR(tag)
    return _supplement().get(tag, ("", None))[1]


@lru_cache(_REMEMBERED)
def is_known(tag: int) -> bool:
    """Whether the dictionary has this tag, repeating groups included."""
    return _has(tag) or tag in _supplement()


@lru_cache(_REMEMBERED)
def keyword_of(tag: int) -> str:
    """The keyword of a standard attribute, empty when unknown."""
    return dictionary_keyword(tag) if _has(tag) else _supplement().get(tag, ("", None))[0]


def is_registered_uid(uid: str) -> bool:
    """Whether the standard itself registers this UID (PS3.6 Annex A)."""
    return uid in UID_dictionary


def _has(tag: int) -> bool:
    # pydicom's repeating groups cover private ones between them, which it then does not know.
    return dictionary_has_tag(tag) or (not tag & 0x10000 and repeater_has_tag(tag))


@cache
def _supplement() -> dict[int, tuple[str, str | None]]:
    """Keyword and VR of attributes that pydicom's dictionary lacks."""
    text = files(__package__).joinpath(_SUPPLEMENT).read_text("utf-8")
    return {
        int(row["tag"], 16): (row["keyword"], row["vr"])
        for row in csv.DictReader(text.splitlines())
    }

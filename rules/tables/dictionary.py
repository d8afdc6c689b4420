"""The one border to pydicom's data dictionary: is a tag known, and of which VR is it.

Source: PS3.6, as pydicom ships it.
"""

from __future__ import annotations

from functools import lru_cache

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


@lru_cache(_REMEMBERED)
def vr_of(tag: int) -> str | None:
    """The VR of a standard attribute, `US or SS` where it depends; None when unknown.

    Item and delimiter tags of group FFFE have none.
    """
    if not is_known(tag) or tag >> 16 == _DELIMITER_GROUP:
        return None
    return dictionary_VR(tag)


@lru_cache(_REMEMBERED)
def is_known(tag: int) -> bool:
    """Whether the dictionary has this tag, repeating groups included."""
    return dictionary_has_tag(tag) or repeater_has_tag(tag)


@lru_cache(_REMEMBERED)
def keyword_of(tag: int) -> str:
    """The keyword of a standard attribute, empty when unknown."""
    return dictionary_keyword(tag) if is_known(tag) else ""


def is_registered_uid(uid: str) -> bool:
    """Whether the standard itself registers this UID (PS3.6 Annex A)."""
    return uid in UID_dictionary

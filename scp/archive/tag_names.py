"""Names of attributes as clients of the REST API write them.

    PatientName   0010,0010   0010-0010   00100010   (0010,0010)

Source: PS3.6; PS3.5 7.1.
"""

from __future__ import annotations

import re
from typing import Final

from pydicom.datadict import keyword_for_tag

from rules.selectors import keyword_pattern, parse_selector

_HEX: Final = re.compile(r"\(?([0-9A-Fa-f]{4})[,-]?([0-9A-Fa-f]{4})\)?")


def tag_of(name: str) -> int:
    """The tag that a name means.

    Raises:
        ValueError: it means none; a sentence with the nearest keyword.
    """
    found = _HEX.fullmatch(name.strip())
    if found:
        return int(found[1] + found[2], 16)
    pattern = keyword_pattern(name.strip())
    if pattern is None:
        parse_selector(name)  # says what is wrong with it
    if pattern is None or not pattern.exact:
        raise ValueError("an attribute is named by its keyword, or as gggg,eeee")
    return pattern.value


def name_of(tag: int) -> str:
    """The keyword of a tag; `gggg,eeee` for one without."""
    return keyword_for_tag(tag) or f"{tag >> 16:04x},{tag & 0xFFFF:04x}"

"""How far the options of a profile go: by how much dates move, which words text may keep.

Source: PS3.15 E.3.5 (Clean Descriptors), E.3.6 (dates).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.language.document import quoted
from rules.language.shapes import PascalShape, shaped
from rules.options import (
    CLEAN_DESCRIPTORS,
    CLEAN_GRAPHICS,
    CLEAN_STRUCTURED_CONTENT,
    PATIENT_CHARACTERISTICS,
    SAFE_PRIVATE,
)
from rules.profile import SHIFT_DAYS, SHIFT_SECONDS, WordLists

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.language.places import Places

_MOST_DAYS = 36_500
_MOST_SECONDS = 86_399
_WORD_CHARACTERS = 64
_WHOLE = re.compile(r"[+-]?[0-9]{1,6}")
# Options under which free text is cleaned word by word.
_CLEANING = frozenset(
    {
        *(CLEAN_DESCRIPTORS, CLEAN_GRAPHICS, CLEAN_STRUCTURED_CONTENT),
        *(PATIENT_CHARACTERISTICS, SAFE_PRIVATE),
    }
)


def shift_days(places: Places) -> tuple[int, int]:
    """The least and the greatest offset of dates, in days, not both zero."""
    found = _range(places, "ShiftDays", _MOST_DAYS, "[-3650, -1]")
    if found == (0, 0):
        places.say("ShiftDays is zero: dates would stay what they are", "ShiftDays")
    return found or SHIFT_DAYS


def shift_seconds(places: Places) -> tuple[int, int]:
    """The least and the greatest offset of times, in seconds; zeros leave times of day alone."""
    return _range(places, "ShiftSeconds", _MOST_SECONDS, "[-3600, 3600]") or SHIFT_SECONDS


def _range(places: Places, key: str, most: int, example: str) -> tuple[int, int] | None:
    """Two whole numbers; None where nothing is written or with a problem noted."""
    if not places.has(key):
        return None
    plain = places.plain(key)
    texts = plain if isinstance(plain, list) else []
    if len(texts) != 2 or not all(_WHOLE.fullmatch(str(text)) for text in texts):  # noqa: PLR2004
        said = f"{key} is two whole numbers, the least and the greatest, such as {example}"
        places.say(said, key)
        return None
    least, greatest = (int(str(text)) for text in texts)
    if not -most <= least <= greatest <= most:
        places.say(f"{key} goes from the least to the greatest, within {-most} and {most}", key)
        return None
    return least, greatest


class _DescriptorsShape(PascalShape):
    """The keys of Descriptors."""

    allow: list[object] = []
    deny: list[object] = []


def word_lists(places: Places, options: tuple[str, ...], private: str) -> WordLists:
    """Descriptors: words that free text keeps whatever they are, and words that it loses.

    Args:
        places: Of the profile.
        options: Of the profile: without one that cleans text the lists are a mistake.
        private: What happens to private elements; `safe` cleans the text in them.
    """
    if not places.has("Descriptors"):
        return WordLists()
    if _CLEANING.isdisjoint(options) and private != "safe":
        said = "Descriptors changes nothing without an option that cleans text: add "
        places.problems.add(places.key_mark("Descriptors"), f"{said}{CLEAN_DESCRIPTORS}")
    path = (*places.top, "Descriptors")
    shape = shaped(_DescriptorsShape, places.document, path, places.problems)
    if shape is None:
        return WordLists()
    allow = tuple(_words(places, "Allow", shape.allow, frozenset()))
    allowed = frozenset(word.casefold() for word in allow)
    return WordLists(allow, tuple(_words(places, "Deny", shape.deny, allowed)))


def _words(
    places: Places, key: str, entries: list[object], taken: frozenset[str]
) -> Iterator[str]:
    for index, entry in enumerate(entries):
        word = entry if isinstance(entry, str) else ""
        said = _why_no_word(word)
        if word.casefold() in taken:
            said = f"{quoted(word)} stands in Allow already"
        if said:
            places.say(said, "Descriptors", key, index)
        else:
            yield word


def _why_no_word(word: str) -> str | None:
    if not word.strip():
        return "a word is missing here"
    if len(word) > _WORD_CHARACTERS or not word.isprintable():
        return f"a word has at most {_WORD_CHARACTERS} printable characters"
    return "these are several words: write each on its own" if len(word.split()) > 1 else None

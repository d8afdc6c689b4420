"""Words that medicine and its departments share: they point at nobody by themselves.

Anatomy, technique, findings, and what institutions are called by; English, German, French,
Spanish and Italian, casefolded and without diacritics.

Source: PS3.16 (words of code meanings), and words in common use.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_TABLE = "clinical_words.csv"


@cache
def clinical_words() -> frozenset[str]:
    """Each at least two letters long."""
    text = files(__package__).joinpath(_TABLE).read_text("utf-8")
    return frozenset(text.split()[1:])

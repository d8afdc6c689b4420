"""The words of a text: where they stand, and the form in which two words are compared.

A word is a run of letters, digits and the marks on them. Words compare without case,
diacritics, width and marks that are not seen: MÜLLER, Müller and Mu\u0308ller are `muller`.

Source: PS3.5 6.1 (whatever a character set can hold).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rules.tables.clinical import clinical_words

Word = tuple[int, int, str]
"""Start, end, and the folded form."""
Span = tuple[int, int]
"""Start and end in a text."""


def word_set(listed: str) -> frozenset[str]:
    """Folded words, listed with blanks between them."""
    return frozenset(listed.split())


TITLES = word_set(
    "dr dres drs prof professor professeur doctor doktor docteur mr mrs ms miss mister herr "
    "hr fr frau mme mlle madame monsieur sr sra srta senor senora signor signora sig dott dra "
    "dipl ing med habil phil rer nat jr md phd frcr facr facs mbbs mbchb dds rn ii iii iv "
    "sir lady rev nurse schwester pfleger sister"
)
"""What stands in front of a name or behind it, and names nobody."""
PARTICLES = word_set(
    "af al av bin da de del della den der di do dos du e el ibn la las le los st ten ter van "
    "von y zu zum zur"
)
"""Small words within names, that texts use for themselves."""

LONGEST_WORD = 64
"""What is longer, in a script that sets blanks, is none."""

_MARK_CATEGORIES = ("Mn", "Mc", "Me", "Cf")
_MARKS = "".join(
    character
    for character in map(chr, range(0x80, 0x10000))
    if unicodedata.category(character) in _MARK_CATEGORIES
)
_ASCII_WORD = re.compile(r"[0-9A-Za-z]+")
_WORD = re.compile(rf"(?:[^\W_]++[{_MARKS}\U000e0000-\U000e01ef]*+)++")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "\u0131": "i"}
)
_ENDINGS = tuple(
    word_set(
        "aemia ectomie ectomy ektomie emia genic grafia grafie gram gramm gramme graphie graphy "
        "itis logia logie logy lysis metrie metry osis pathie pathy plastie plastik plasty "
        "scopie scopy skopie therapie therapy tomie tomy vascular"
    )
)
_STEM = 2
_REMEMBERED = 1 << 13


def words(text: str) -> list[Word]:
    """The words of a text, in their order."""
    if text.isascii():
        lower = text.lower()
        spans = (found.span() for found in _ASCII_WORD.finditer(text))
        return [(start, end, lower[start:end]) for start, end in spans]
    spans = (found.span() for found in _WORD.finditer(text))
    return [(start, end, fold(text[start:end])) for start, end in spans]


def folded_words(text: str) -> tuple[str, ...]:
    """The folded forms alone."""
    return tuple(word for _, _, word in words(text))


def fold(text: str) -> str:
    """The form in which texts are compared; made character by character."""
    return text.lower() if text.isascii() else "".join(map(_folded, text))


def condensed(text: str) -> str:
    """The letters and digits of a text, folded: an identifier however it is broken up."""
    return "".join(folded_words(text))


def is_unspaced(word: str) -> bool:
    """Whether a folded word is of a script that sets no blanks between words."""
    return not word.isascii() and _UNSPACED.search(word) is not None


def is_clinical(word: str) -> bool:
    """Whether a folded word is one of medicine's, or ends as only those do."""
    if word in clinical_words():
        return True
    return word.endswith(_ENDINGS) and any(
        word.endswith(ending) and len(word) >= len(ending) + _STEM for ending in _ENDINGS
    )


@lru_cache(_REMEMBERED)
def _folded(character: str) -> str:
    apart = unicodedata.normalize("NFKD", character.casefold())
    seen = (one for one in apart if unicodedata.category(one) not in _MARK_CATEGORIES)
    return "".join(seen).casefold().translate(_LETTERS)

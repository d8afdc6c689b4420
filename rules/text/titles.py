"""Names that a title, a degree or a label gives away, whoever bears them.

The word behind a title that is spelled as one ("Dr. Hand", "Frau Schmidt") goes whatever it
means. Where the title may be a modality or an abbreviation (MR, DR, MS, SR in capitals), and
for every further word, clinical words stay.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.text.wording import PARTICLES, TITLES, is_clinical, word_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.text.wording import Span, Word

_SURE = word_set(
    "dr dres drs prof professor mr mrs ms herr frau mme mlle sra srta dott dra senor senora"
)
_TITLES = _SURE | word_set(
    "doctor doktor docteur professeur miss mister hr madame monsieur sr signor signora sir lady "
    "schwester pfleger nurse sister rev"
)
_DEGREES = word_set("md phd frcr facr facs mbbs mbchb dds rn")
_LABELS = word_set(
    "name nom nombre cognome patient patientin paciente paziente pat pt radiologist radiologe "
    "physician tech technologist technician operator mta mtra mtr arzt arztin zuweiser referrer "
    "ref referring attending resident surgeon reader author medecin medico nurse"
)
_BY = "by"
_GAP = re.compile(r"[ .,'\u2019^_\t-]{0,3}")
_LABEL_GAP = re.compile(r" ?[:=] ?")
_DEGREE_GAP = re.compile(r"[ .,]{1,3}")
_LONGEST_CHAIN = 10
_MOST_NAMES, _MOST_NAMES_OF_CAPITALS = 3, 2


@dataclass(frozen=True, slots=True)
class _Start:
    """How sure it is that a name follows.

    Attributes:
        sure: The first word is a name, whatever it means.
        cased: A name begins with a capital.
    """

    sure: bool = False
    cased: bool = True


def titled(text: str, seen: list[Word]) -> Iterator[Span]:
    """Where titles with their names stand, word by word.

    Args:
        text: To be searched.
        seen: Its words.
    """
    for index, (_, end, word) in enumerate(seen):
        if word in _TITLES:
            names = _names(text, seen, index, _start(text, seen, index))
            yield from _with(seen[index], names)
        if (word in _LABELS and _LABEL_GAP.match(text, end)) or word == _BY:
            yield from _names(text, seen, index, _Start())
        if word in _DEGREES:
            yield from _before(text, seen, index, 1)
        elif word == "m" and text[end : end + 2].upper() == ".D":
            yield from _before(text, seen, index, 2)


def _start(text: str, seen: list[Word], index: int) -> _Start | None:
    """What a title promises; None if it is none here."""
    start, end, word = seen[index]
    spelled = text[start:end]
    dotted = text[end : end + 1] == "."
    if spelled.isupper() and not dotted:
        return None if word == "mr" and index == 0 else _Start()
    if spelled.islower():
        return _Start(cased=False)
    return _Start(sure=word in _SURE)


def _with(title: Word, names: list[Span]) -> Iterator[Span]:
    if names:
        yield title[:2]
        yield from names


def _names(text: str, seen: list[Word], index: int, start: _Start | None) -> list[Span]:
    """The words of the name behind `index`: titles and particles in between, then names."""
    if start is None:
        return []
    chain: list[Span] = []
    whole, count = 0, 0
    most = _MOST_NAMES_OF_CAPITALS if text.isupper() else _MOST_NAMES
    at = seen[index][1]
    for begin, end, word in seen[index + 1 : index + 1 + _LONGEST_CHAIN]:
        gap = text[at:begin]
        if not (_GAP.fullmatch(gap) or (not chain and _LABEL_GAP.fullmatch(gap))):
            break
        at = end
        chain.append((begin, end))
        if word in TITLES or word in PARTICLES or len(word) == 1:
            continue
        spelled = text[begin:end]
        sure = start.sure and not count and not spelled[0].islower()
        if count == most or not (sure or _may_be_name(spelled, word, cased=start.cased)):
            break
        whole, count = len(chain), count + 1
    return chain[:whole]


def _may_be_name(spelled: str, word: str, *, cased: bool) -> bool:
    if not word.isalpha() or is_clinical(word):
        return False
    return not (cased and spelled[0].islower())


def _before(text: str, seen: list[Word], index: int, count: int) -> Iterator[Span]:
    """A degree of `count` words, and the names in front of it."""
    at, taken = seen[index][0], 0
    for begin, end, word in reversed(seen[max(0, index - _LONGEST_CHAIN) : index]):
        gap = text[end:at]
        if not (_DEGREE_GAP if not taken else _GAP).fullmatch(gap) or taken == _MOST_NAMES:
            return
        if not (len(word) == 1 or word in _DEGREES):
            if not _may_be_name(text[begin:end], word, cased=True):
                return
            taken += 1
        elif not taken:
            return
        at = begin
        yield begin, end
        if taken == 1:
            yield from (word[:2] for word in seen[index : index + count])

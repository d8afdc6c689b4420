"""The values of an instance that point at people, gathered once, for the cleaning of text.

- Words of person names always count, even if they are clinical words: "Dr. Hand" is a name.
  Titles do not, nor do particles such as `de` beside another word.
- Words of institutions and addresses count unless they are clinical or generic words
  (Hospital, Heart, Street); a whole name, or a whole line of an address, counts as a phrase.
- Identifiers count from a length on that tells them from numbers of the trade.
- UIDs are not gathered: whatever looks like one goes from text anyway.

What cannot be read says nothing here; the walk judges the instance.

Source: PS3.15 E.3.5 (Clean Descriptors); PS3.5 6.2 (PN), 6.2.2 (UN), 7.5.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING

from rules.charsets import decoded
from rules.elements import (
    ITEM,
    ITEM_START,
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    headers,
    undefined_end,
)
from rules.tables.dictionary import vr_of
from rules.text.wording import (
    PARTICLES,
    TITLES,
    condensed,
    fold,
    folded_words,
    is_clinical,
    is_unspaced,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rules.elements import Header


@dataclass(frozen=True, slots=True)
class Identity:
    """What free text of the same instance must lose.

    Attributes:
        names: Words of person names, institutions and addresses, folded (`rules.text.wording`).
        identifiers: Whole values of identifiers, folded, letters and digits only; without
            leading zeros if they are numbers.
        dates: Dates as YYYYMMDD, the birth date among them.
        phrases: Names of institutions and lines of addresses, as folded words in their order.
    """

    names: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    phrases: frozenset[tuple[str, ...]] = frozenset()


class _Kind(Enum):
    """What an element says of people."""

    PERSON = auto()
    PLACE = auto()  # an institution or an address
    DEPARTMENT = auto()  # a place whose whole name is often a clinical phrase
    OWN = auto()  # an identifier of the patient or the visit
    WEAK = auto()  # an identifier that may be a plain number or word
    DATE = auto()
    CHARSET = auto()
    INSIDE = auto()  # items
    PERSON_CODES = auto()  # items whose code meaning names a person
    PLACE_CODES = auto()
    UNSAID = auto()  # items, or bytes that only their maker can read


_TAGS = {
    _Kind.PERSON: (0x0016004D, 0x00880910),
    _Kind.PLACE: (
        *(0x00080080, 0x00080081, 0x00080092, 0x00101040, 0x00102150, 0x00102152, 0x00102299),
        *(0x00120010, 0x00120031, 0x00120060, 0x00120081, 0x00321020, 0x00380300, 0x00380400),
        *(0x0038001E, 0x00400011, 0x00400243, 0x00401005, 0x00401102, 0x00402009, 0x00404036),
        *(0x0040A027, 0x0040A353, 0x40080118, 0x4008011A),
    ),
    _Kind.DEPARTMENT: (0x00081040, 0x00321033),
    _Kind.OWN: (
        *(0x00080050, 0x00080094, 0x00100020, 0x00100033, 0x00101000, 0x00101050, 0x00101090),
        *(0x00102154, 0x00102155, 0x00120040, 0x00120042, 0x00380010, 0x00380060, 0x00400512),
        *(0x00400551, 0x0040050A, 0x00401103, 0x00401104, 0x00402010, 0x00402011, 0x0040A354),
    ),
    _Kind.WEAK: (
        *(0x00081010, 0x00100021, 0x00181000, 0x00181002, 0x00181004, 0x00181005, 0x00181007),
        *(0x00181008, 0x00181009, 0x00181010, 0x0018700A, 0x00200010, 0x00380011, 0x00380061),
        *(0x00400009, 0x00400010, 0x00400242, 0x00400253, 0x00401001, 0x00402006, 0x00402007),
        *(0x00402016, 0x00402017, 0x40080040, 0x40080200, 0x40080202),
    ),
    _Kind.CHARSET: (0x00080005,),
    _Kind.PERSON_CODES: (0x00401101,),
    _Kind.PLACE_CODES: (0x00080082,),
}
_OF_TAG = {ITEM: _Kind.INSIDE} | {tag: kind for kind, tags in _TAGS.items() for tag in tags}
_CODES = {
    _Kind.PERSON_CODES: _OF_TAG | {0x00080100: _Kind.WEAK, 0x00080104: _Kind.PERSON},
    _Kind.PLACE_CODES: _OF_TAG | {0x00080100: _Kind.WEAK, 0x00080104: _Kind.PLACE},
}
_OF_VR: dict[str | bytes | None, _Kind] = {
    None: _Kind.UNSAID,
    **dict.fromkeys(("UN", b"UN"), _Kind.UNSAID),
    **dict.fromkeys(("SQ", b"SQ"), _Kind.INSIDE),
    **dict.fromkeys(("PN", b"PN"), _Kind.PERSON),
    **dict.fromkeys(("DA", b"DA", "DT", b"DT"), _Kind.DATE),
    **dict.fromkeys(("AE", b"AE"), _Kind.WEAK),
}
_FRAGMENTS = frozenset((b"OB", b"OW"))
_DEPTH = 128
_INSTANCES_REMEMBERED = 16  # in memory, so that a series is not judged anew with each instance
_MOST_BYTES = 1 << 16

_Values = defaultdict[_Kind, set[bytes]]
_Region = tuple[int, int, bool, "Mapping[int, _Kind]"]
"""Start, end, whether in implicit VR, and what its tags are."""


def no_identity() -> Identity:
    """Of an instance of which nothing is known."""
    return Identity()


def collect(
    data: bytes,
    *,
    implicit: bool,
    charsets: tuple[str, ...],
    entries: Sequence[Header] | None = None,
) -> Identity:
    """Gather the values of the elements outside group 7FE0, at every depth.

    Args:
        data: Encoded root elements, little endian, well formed.
        implicit: Whether they are in implicit VR.
        charsets: The values of Specific Character Set.
        entries: The headers of the root, if they were read before.
    """
    values = _read(data, entries, implicit=implicit)
    nested = sorted(decoded(value, "") for value in values.pop(_Kind.CHARSET, ()))
    declared = tuple(dict.fromkeys(("\\".join(charsets), *nested)))
    said = frozenset((kind, value) for kind, encoded in values.items() for value in encoded)
    return _identity(said, declared)


@lru_cache(_INSTANCES_REMEMBERED)
def _identity(said: frozenset[tuple[_Kind, bytes]], charsets: tuple[str, ...]) -> Identity:
    """Of values; the instances of a series share most of them, if not all."""
    gathered = _Gathered()
    for kind, value in said:
        for text in _texts(value, charsets):
            gathered.take(kind, text)
    return gathered.identity()


def _texts(value: bytes, charsets: tuple[str, ...]) -> Iterator[str]:
    """The values of an element, in each of several character sets where that matters."""
    plain = value.isascii() and b"\x1b" not in value
    for charset in charsets[:1] if plain else charsets:
        yield from decoded(value, charset).split("\\")


# ---- the elements


def _read(data: bytes, entries: Sequence[Header] | None, *, implicit: bool) -> _Values:
    """The encoded values by kind, each once."""
    values: _Values = defaultdict(set)
    root = (0, len(data), implicit, _OF_TAG)
    regions: list[_Region] = [root] if entries is None else []
    if entries is not None:
        with suppress(Incomplete, Irregular, TooDeep):
            _scan(data, root, regions, values, entries)
    while regions:
        with suppress(Incomplete, Irregular, TooDeep):
            _scan(data, regions.pop(), regions, values)
    return values


def _scan(
    data: bytes,
    region: _Region,
    regions: list[_Region],
    values: _Values,
    entries: Sequence[Header] | None = None,
) -> None:
    """One run of elements; items of undefined length are read as part of it, if they can be."""
    start, stop, implicit, kinds = region
    resume = [start]
    of_tag, of_vr = kinds.get, _OF_VR.get
    reads_on = entries is None
    for tag, vr, _, value, length in (
        headers(data, start, stop, resume, implicit=implicit) if entries is None else entries
    ):
        kind = of_tag(tag) or of_vr(vr or vr_of(tag))
        if kind is None and length != UNDEFINED:
            continue
        if kind is _Kind.UNSAID:
            kind = _OF_VR.get(vr_of(tag)) or kind
        inner = _inner(kind, kinds)
        if length == UNDEFINED:
            hidden = vr == b"UN" and not implicit
            if reads_on and inner is kinds and not hidden and vr not in _FRAGMENTS:
                resume[0] = value
                continue
            resume[0] = undefined_end(data, value, vr, implicit=implicit, depth=_DEPTH)
            regions.append((value, resume[0], implicit or hidden, inner))
        elif kind is _Kind.UNSAID:
            if data[value : value + 4] == ITEM_START:
                regions.append((value, min(value + length, stop), True, kinds))
        elif kind is _Kind.INSIDE or inner is not kinds:
            regions.append((value, min(value + length, stop), implicit or vr == b"UN", inner))
        elif kind is not None:
            values[kind].add(bytes(data[value : value + min(length, _MOST_BYTES)]))


def _inner(kind: _Kind | None, kinds: Mapping[int, _Kind]) -> Mapping[int, _Kind]:
    return kinds if kind is None else _CODES.get(kind, kinds)


# ---- what they say

_PLACE_PARTS = re.compile(r"[,;\r\n^\\]+")
_PN_WORDS = re.compile(r"[\s^,=]+")
_DATE = re.compile(r"(?:1[89]|2[01])\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "\u0308": "e"}  # as ASCII spells them
)
_DIGRAPHS = re.compile("([aou])e")
_LEAST_NAME, _LEAST_PLACE, _LEAST_SPELLING = 2, 3, 4
_LEAST_OWN, _LEAST_WEAK, _LEAST_WEAK_NUMBER, _LEAST_CODE = 3, 4, 5, 4
_PHRASE = range(2, 17)
_PREFIX = 3  # family, given and middle name stand in front of it (PS3.5 6.2)


class _Gathered:
    """The sets of an identity, growing."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.identifiers: set[str] = set()
        self.dates: set[str] = set()
        self.phrases: set[tuple[str, ...]] = set()

    def identity(self) -> Identity:
        """As it stands."""
        return Identity(
            names=frozenset(self.names),
            identifiers=frozenset(self.identifiers),
            dates=frozenset(self.dates),
            phrases=frozenset(self.phrases),
        )

    def take(self, kind: _Kind, text: str) -> None:
        """One value of a kind that has values."""
        if not text.strip():
            return
        if kind is _Kind.PERSON:
            self._person(text)
        elif kind is _Kind.DATE:
            self.dates.update(_DATE.findall(text.replace(".", "")))
        elif kind is _Kind.OWN:
            self._identifier(text, _LEAST_OWN, _LEAST_OWN)
        elif kind is _Kind.WEAK and not is_clinical(condensed(text)):
            self._identifier(text, _LEAST_WEAK, _LEAST_WEAK_NUMBER)
        elif kind in (_Kind.PLACE, _Kind.DEPARTMENT):
            self._place(text, phrases=kind is _Kind.PLACE)

    def _person(self, text: str) -> None:
        for group in text.casefold().split("="):
            components = group.split("^")
            for component in components[:_PREFIX]:
                self._component(component, unsaid=frozenset())
            for component in components[_PREFIX:]:
                self._component(component, unsaid=TITLES)
            self._run_together(components)

    def _component(self, component: str, unsaid: frozenset[str]) -> None:
        """One component; one that is a title alone is a name unless it is where titles stand."""
        parts = [word for word in folded_words(component) if word not in unsaid]
        said = [word for word in parts if word not in TITLES] or parts
        of_its_own = [word for word in said if word not in PARTICLES] or said
        for word in of_its_own:
            self._name(word)
        for part in _PN_WORDS.split(component):
            spelled = folded_words(part)
            if len(spelled) > 1:  # O'Brien is also OBrien
                self._name("".join(spelled))
            self.names.update(_other_spellings(part))

    def _name(self, word: str) -> None:
        if word.isdigit():
            self._identifier(word, _LEAST_OWN, _LEAST_OWN)
        elif len(word) >= _LEAST_NAME or is_unspaced(word):
            self.names.add(word)

    def _run_together(self, components: list[str]) -> None:
        """Family and given name of scripts that set no blank between them."""
        family, given = map(condensed, (*components, "", "")[:2])
        if family and given and is_unspaced(family):
            self.names.update((family + given, given + family))

    def _identifier(self, text: str, least: int, least_number: int) -> None:
        found = condensed(text)
        if found.isdigit():
            found, least = found.lstrip("0"), least_number
        if len(found) >= least:
            self.identifiers.add(found)

    def _place(self, text: str, *, phrases: bool) -> None:
        for part in (text, *_PLACE_PARTS.split(text)):
            said = folded_words(part)
            if phrases and len(said) in _PHRASE:
                self.phrases.add(said)
            self._place_words(said)

    def _place_words(self, said: Iterable[str]) -> None:
        for word in said:
            if word.isalpha() or is_unspaced(word):
                if _says_where(word):
                    self.names.add(word)
            else:
                self._identifier(word, _LEAST_CODE, _LEAST_CODE)


def _says_where(word: str) -> bool:
    long = len(word) >= _LEAST_PLACE or is_unspaced(word)
    return long and not (word in PARTICLES or is_clinical(word))


def _other_spellings(part: str) -> Iterator[str]:
    """Müller is also Mueller, and the reverse; `part` is casefolded."""
    if not part.isascii():
        yield from folded_words(part.translate(_UMLAUTS))
    for word in folded_words(part):
        shorter = _DIGRAPHS.sub(r"\1", word)
        if shorter != word and len(shorter) >= _LEAST_SPELLING:
            yield fold(shorter)

"""What of the originals must not stand anywhere in the results, and how it may be spelled.

- UIDs: all but those that the standard registers, and those that name a class and no instance.
- Words of person names of three letters or more, of two where they are no letters of an
  alphabet.
- Values of the attributes of Table E.1-1 that are texts: at least four characters with a
  digit, or six without one.
- Dates, of DA and DT, in the common spellings.
- Other texts that were removed: at least six characters with a digit.

A value that the result of the same original keeps in its place was not removed; whether it may
stay there is not asked here.

Source: PS3.15 Table E.1-1; PS3.5 6.2 (PN, UI, DA, DT).
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from rules.tables.confidentiality import NEWEST_EDITION, rows
from rules.tables.dictionary import is_registered_uid, keyword_of
from scp.proof.leaves import LONG_TEXT_VRS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.tables.confidentiality import Row
    from scp.proof.leaves import Leaf, Place
    from scp.proof.second_reader import Reading

_TEXTS = LONG_TEXT_VRS | frozenset(("AE", "LO", "SH", "UC"))
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_OF_CLASSES = re.compile(
    "Class|TransferSyntax|CodingScheme|Context|MappingResource|Implementation|CreatorVersion"
)
_DATE = re.compile(r"([0-9]{4})\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12][0-9]|3[01])")
_BETWEEN_WORDS = re.compile(r"[\s^=,;.()\[\]/_\-]+")
_IN_BYTES = re.compile(rb"[\\^=, ]+|\x1b[$(),\-./]*[0-9A-Z@]")
_ALL_DATES_ARE_LATER_THAN = 1900
_PLACEHOLDERS = frozenset(("19700101", "20000101"))
_LONGEST_BYTES = 96
_TAGS_REMEMBERED = 32

SAYS_NOBODY = frozenset(
    (
        *("anon", "anonym", "anonymised", "anonymized", "anonymous", "anonymize", "anonymise"),
        *("deidentified", "dummy", "none", "noname", "null", "patient", "phantom", "removed"),
        *("test", "unknown", "unspecified", "withheld", "doctor", "prof", "name"),
    )
)
"""Words in the place of a name or identifier that are nobody's."""


class Kind(StrEnum):
    """What a trace is of."""

    UID = "uid"
    NAME = "name"
    IDENTIFIER = "identifier"
    DATE = "date"
    TEXT = "text"


@dataclass(slots=True)
class Trace:
    """Something of an original; `tags` are some of the attributes that it was found in."""

    kind: Kind
    text: str = field(repr=False)
    tags: set[int]


class Traces:
    """The traces of all originals."""

    def __init__(self) -> None:
        self._traces: dict[tuple[Kind, str], Trace] = {}
        self._classes: set[str] = set()

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, original: Reading, kept: Mapping[Place, tuple[str, ...]]) -> None:
        """Take those of one original.

        Args:
            original: As received.
            kept: The texts of its result by place; empty if its result is not known.
        """
        for leaf in original.everything:
            gone = [text for text in leaf.texts if text not in kept.get(leaf.place, ())]
            for kind, text in _traces_of(leaf, gone):
                self._add(kind, text, leaf.tag)
            if leaf.vr == "UI" and not names_an_instance(leaf):
                self._classes.update(leaf.texts)

    def _add(self, kind: Kind, text: str, tag: int) -> None:
        trace = self._traces.setdefault((kind, text), Trace(kind, text, set()))
        if len(trace.tags) < _TAGS_REMEMBERED:
            trace.tags.add(tag)

    def spellings(self) -> dict[bytes, list[Trace]]:
        """The traces by each of their spellings, in lower case."""
        spelled: dict[bytes, list[Trace]] = {}
        for trace in self._traces.values():
            if trace.kind is Kind.UID and trace.text in self._classes:
                continue
            for spelling in set(_spellings(trace)):
                spelled.setdefault(spelling, []).append(trace)
        return spelled


def names_an_instance(leaf: Leaf) -> bool:
    """Whether a UID in this attribute is of one thing, and not of a class of things."""
    return not (leaf.tag >> 16 & 1 == 0 and _OF_CLASSES.search(keyword_of(leaf.tag)))


def row_of(tag: int) -> Row | None:
    """The row of Table E.1-1 for a tag."""
    exact, masked = _rows()
    found = exact.get(tag)
    if found is not None or tag >> 16 & 1:
        return found
    return next((row for row in masked if tag & row.mask == row.value), None)


def dates_in(text: str) -> str:
    """The date that a DA or DT starts with, as YYYYMMDD; empty for none and for a stand-in."""
    found = _DATE.match(text)
    if not found or int(found[1]) <= _ALL_DATES_ARE_LATER_THAN:
        return ""
    date = "".join(found.groups())
    return "" if date in _PLACEHOLDERS else date


@cache
def _rows() -> tuple[dict[int, Row], tuple[Row, ...]]:
    every = rows(NEWEST_EDITION)
    whole = 0xFFFFFFFF
    exact = {row.value: row for row in every if row.mask == whole}
    return exact, tuple(row for row in every if row.mask != whole)


def _traces_of(leaf: Leaf, gone: list[str]) -> Iterator[tuple[Kind, str]]:
    if leaf.vr == "UI" and names_an_instance(leaf):
        uids = (text for text in leaf.texts if _UID.fullmatch(text))
        yield from ((Kind.UID, uid) for uid in uids if not is_registered_uid(uid))
    elif leaf.vr == "PN":
        for word in _words(leaf, gone):
            kind = Kind.IDENTIFIER if word.isdecimal() else Kind.NAME
            if kind is Kind.NAME or is_specific(kind, word):
                yield kind, word
    elif leaf.vr in ("DA", "DT"):
        yield from ((Kind.DATE, date) for text in gone if (date := dates_in(text)))
    elif leaf.vr in _TEXTS:
        kind = kind_of_text(leaf)
        folded = (text.casefold() for text in gone)
        yield from ((kind, text) for text in folded if is_specific(kind, text))


def kind_of_text(leaf: Leaf) -> Kind:
    """Whether a text identifies by itself: the table names it, and not as a description."""
    row = row_of(leaf.tag)
    is_described = row is not None and "clean-descriptors" in row.columns
    is_listed = leaf.vr == "PN" or (row is not None and not is_described)
    return Kind.IDENTIFIER if is_listed else Kind.TEXT


def is_specific(kind: Kind, text: str) -> bool:
    """Whether a text is long enough to be looked for."""
    if text in SAYS_NOBODY or len(set(text)) == 1:
        return False
    least_with_digit, least = (4, 6) if kind is Kind.IDENTIFIER else (6, 1 << 16)
    has_digit = any(character.isdigit() for character in text)
    return len(text) >= (least_with_digit if has_digit else least)


def _words(leaf: Leaf, gone: Iterable[str]) -> Iterator[str]:
    """The words of names, and the bytes of those that are in no alphabet."""
    for text in gone:
        for word in _BETWEEN_WORDS.split(text.casefold()):
            least = 3 if word.isascii() else 2
            if len(word) >= least and len(set(word)) > 1 and word not in SAYS_NOBODY:
                yield word
    if gone and (b"\x1b" in leaf.raw or not leaf.raw.isascii()):
        pieces = (piece.strip() for piece in _IN_BYTES.split(leaf.raw))
        escaped = b"\x1b$" in leaf.raw
        for piece in pieces:
            if len(piece) >= 4 and (escaped or not piece.isascii()):  # noqa: PLR2004 - two signs
                yield piece.decode("latin-1")


def _spellings(trace: Trace) -> Iterator[bytes]:
    if trace.kind is Kind.DATE:
        year, month, day = trace.text[:4], trace.text[4:6], trace.text[6:]
        texts = [trace.text, *(sep.join((year, month, day)) for sep in "-./")]
        texts += [sep.join((day, month, year)) for sep in "-./"]
        texts += [sep.join((month, day, year)) for sep in "-/"]
    else:
        texts = [trace.text]
    for text in texts:
        yield from _encoded(text)


def _encoded(text: str) -> Iterator[bytes]:
    """In lower case as ASCII has it, which is how it is looked for."""
    for spelled in {text} if text.isascii() else {text, text.upper(), text.title()}:
        codecs = ["utf-8"] if spelled.isascii() else ["utf-8", "utf-16-be", "latin-1"]
        for codec in codecs:
            with suppress(UnicodeEncodeError):
                yield spelled.encode(codec).lower()[:_LONGEST_BYTES]
        # Without its last byte it is found in either byte order.
        wide = spelled.encode("utf-16-le", "surrogatepass").lower()
        yield wide[:_LONGEST_BYTES][:-1]

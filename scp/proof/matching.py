"""Finds many words in bytes at once: every occurrence of any of them, at any offset.

An expression made of the first bytes of all words finds the candidates; what follows is looked
up. The time does not grow with the number of words as long as few of them begin alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PRINTABLE = re.compile(rb"[ -~]{8,}")
LEAST_AMONG_PIXELS = 8
"""Bytes of a word that cannot stand among pixels by chance."""
_LEAST = 3
_VARIETY = 4


@dataclass(frozen=True, slots=True)
class Hit:
    """A word where it was found, in bytes from the start of the searched."""

    word: bytes
    offset: int


class Matcher:
    """Words, in lower case, to be found in any case."""

    def __init__(self, words: Iterable[bytes]) -> None:
        self._words = frozenset(word for word in words if len(word) >= _LEAST)
        self._text = _Index(self._words, _LEAST)
        self._pixels = _Index(frozenset(filter(_stands_out, self._words)), 4)

    def in_text(self, data: bytes) -> Iterator[Hit]:
        """Every occurrence of any word."""
        return self._text.hits(data.lower(), 0)

    def in_pixels(self, data: bytes) -> Iterator[Hit]:
        """Every occurrence of a long word among printable characters."""
        for run in _PRINTABLE.finditer(data):
            yield from self._pixels.hits(run.group().lower(), run.start())


def _stands_out(word: bytes) -> bool:
    """Whether it cannot be among pixels by chance, which grow gradually and repeat."""
    return len(word) >= LEAST_AMONG_PIXELS and len(set(word)) >= _VARIETY


class _Index:
    """Words by their first bytes."""

    def __init__(self, words: frozenset[bytes], first: int) -> None:
        self._words = words
        self._first = first
        lengths: dict[bytes, set[int]] = {}
        for word in words:
            lengths.setdefault(word[:first], set()).add(len(word))
        self._lengths = lengths
        self._candidates = re.compile(_any_of(set(lengths), first)) if lengths else None

    def hits(self, data: bytes, offset: int) -> Iterator[Hit]:
        """Every occurrence, its offset moved by `offset`."""
        if self._candidates is None:
            return
        search, at = self._candidates.search, 0
        while found := search(data, at):
            start = found.start()
            at = start + 1
            for length in self._lengths[found.group()]:
                word = data[start : start + length]
                if word in self._words:
                    yield Hit(word, offset + start)


def _any_of(words: set[bytes], length: int) -> bytes:
    """An expression for words of one length that looks at each byte once."""
    if length == 1:
        return b"[" + b"".join(re.escape(word) for word in sorted(words)) + b"]"
    by_first: dict[bytes, set[bytes]] = {}
    for word in words:
        by_first.setdefault(word[:1], set()).add(word[1:])
    parts = [
        re.escape(first) + _any_of(rest, length - 1) for first, rest in sorted(by_first.items())
    ]
    return b"(?:" + b"|".join(parts) + b")"

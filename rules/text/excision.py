"""Cutting pieces out of a text so that what is left reads on.

What stays is as it was, in its order; only the blanks, joining signs and brackets right around
a cut are tidied, and never across a line.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rules.text.wording import Span

_BLANKS = " \t"
_LINE_ENDS = "\r\n\f"
_STOPS = ",;:."
_JOINERS = frozenset(f"{_BLANKS}{_STOPS}-_^=/\\&|~+*#'`’‐‑‒–—―")  # noqa: RUF001 - such are meant
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">", '"': '"'}
_CLOSING = frozenset(_BRACKETS.values())
_SIGNS = re.compile(r"(?:[^\w\r\n\f]|_)*+")


def without(text: str, spans: Iterable[Span]) -> str:
    """A text without some spans of it; empty where no letter or digit is left."""
    pieces: list[str] = []
    at = 0
    for start, stop in _merged(text, sorted(spans)):
        left, right = _around(text, at, start, stop)
        pieces += (text[at:left], _separator(text, (left, right), text[left:start], stop))
        at = right
    pieces.append(text[at:])
    result = "".join(pieces)
    return result if any(map(str.isalnum, result)) else ""


def _merged(text: str, spans: list[Span]) -> Iterator[Span]:
    """Spans with nothing between them but signs and blanks of one line are one."""
    begun, ended = -1, -1
    for start, stop in spans:
        if begun >= 0 and (start <= ended or _SIGNS.fullmatch(text, ended, start)):
            ended = max(stop, ended)
            continue
        if begun >= 0:
            yield _with_brackets(text, begun, ended)
        begun, ended = start, stop
    if begun >= 0:
        yield _with_brackets(text, begun, ended)


def _with_brackets(text: str, start: int, stop: int) -> Span:
    """A span with the brackets that nothing else is in."""
    while True:
        left, right = _around(text, 0, start, stop)
        if not left or right == len(text) or _BRACKETS.get(text[left - 1]) != text[right]:
            return start, stop
        start, stop = left - 1, right + 1


def _around(text: str, least: int, start: int, stop: int) -> Span:
    """From where to where joiners surround a span."""
    while start > least and text[start - 1] in _JOINERS:
        start -= 1
    while stop < len(text) and text[stop] in _JOINERS:
        stop += 1
    return start, stop


def _separator(text: str, around: Span, left: str, stop: int) -> str:
    """What stands in place of a cut and the joiners around it: one of them, or a blank."""
    begin, end = around
    right = text[stop:end]
    before, after = text[max(0, begin - 1) : begin], text[end : end + 1]
    if not before or not after or before in _LINE_ENDS or after in _LINE_ENDS:
        return ""
    if before in _BRACKETS or after in _CLOSING:
        return ""
    signs = [side for side in (left, right) if side.strip(_BLANKS)]
    if len(signs) == 1:
        return _of_one_side(signs[0])
    if signs:
        return signs[0]
    return " " if left or right or (before + after).isascii() else ""


def _of_one_side(joiner: str) -> str:
    """A sign that joined the word before or behind to what is gone joins nothing now."""
    if joiner[:1] in _BLANKS and joiner[-1:] in _BLANKS:
        return joiner
    stop = joiner.strip(_BLANKS)[:1]
    return f"{stop} " if stop in _STOPS else " "

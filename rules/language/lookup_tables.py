"""A lookup file: the second column takes the place of the first.

CSV with two columns and no header; blank lines are left out and blanks around a value do not
count. Originals are held in Unicode's composed form (NFC), in which values are looked up.
Whatever is wrong is told by the line of the file, never by a value.

Source: RFC 4180 (CSV).
"""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COLUMNS = 2


def read_table(text: str, check: Callable[[str], None]) -> dict[str, str]:
    """The replacements of a lookup file by their originals.

    Args:
        text: Of the file.
        check: Raises a ValueError unless the attribute can hold a replacement.

    Raises:
        ValueError: the first line that cannot be used, and why; no value of it.
    """
    table: dict[str, str] = {}
    for line, row in _rows(text):
        original, replacement = _pair(line, row)
        if table.setdefault(original, replacement) != replacement:
            raise ValueError(f"line {line} gives another value for what stands above it already")
        try:
            check(replacement)
        except ValueError as error:
            raise ValueError(f"line {line} does not fit: {error}") from None
    if not table:
        raise ValueError("there is nothing in it")
    return table


def _pair(line: int, row: list[str]) -> tuple[str, str]:
    if len(row) != _COLUMNS:
        said = "1 column" if len(row) == 1 else f"{len(row)} columns"
        raise ValueError(f"line {line} has {said}, not 2 with a comma between them")
    original, replacement = normalize("NFC", row[0]).strip(), row[1].strip()
    if not original:
        raise ValueError(f"line {line} has no value to look for")
    return original, replacement


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows, each with the line that it ends on."""
    reader = csv.reader(StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            said = f"line {reader.line_num} is not CSV: look at its quotation marks"
            raise ValueError(said) from None
        if row is None:
            return
        if row:
            yield reader.line_num, row

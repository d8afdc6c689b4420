"""Who was this: pseudonyms of candidates, compared with those that are asked about.

There is no way back from a pseudonym, and no table of them. Who has the key and a list of
those who may be meant computes each one's pseudonym and compares; nothing is stored.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING
from unicodedata import normalize

from scp.errors import ScpError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from rules import Pseudonyms

UID_ROOT = "2.25."
_PADDING = " \0"


class CandidatesError(ScpError):
    """A list cannot be read; the message names file and row, never what stands there."""

    def __init__(self, path: Path, row: int, message: str) -> None:
        place = f"{path}, row {row}" if row else str(path)
        super().__init__(f"{place}: {message}")


@dataclass(frozen=True, slots=True)
class Match:
    """A pseudonym, and the candidates who have it: hardly ever more than one."""

    pseudonym: str
    candidates: tuple[str, ...] = field(repr=False)


def identifier_of(pseudonyms: Pseudonyms, scope: str, original: str) -> str:
    """The pseudonym that the engine writes for a value in this scope.

    Padding does not count, nor how a character with marks is composed.
    """
    return pseudonyms.identifier(scope, normalize("NFC", original.strip(_PADDING)))


def uid_of(pseudonyms: Pseudonyms, scope: str, original: str) -> str:
    """The UID that the engine writes for a UID in this scope."""
    return pseudonyms.uid(scope, original.strip(_PADDING))


def read_candidates(path: Path, column: str | None = None) -> Iterator[str]:
    """The values of one column of a CSV file in UTF-8; empty ones are left out.

    Args:
        path: Of the file.
        column: As the first row names it; None for the first column of a file without such
            a row.

    Raises:
        CandidatesError: it is no such file, or has no such column.
        OSError: it cannot be read.
    """
    reader = csv.reader(StringIO(_decoded(path), newline=""), strict=True)
    try:
        index = _index(path, next(reader, []), column) if column is not None else 0
        for row in reader:
            if row and index >= len(row):
                raise CandidatesError(path, reader.line_num, "it has too few columns")
            if row and row[index].strip():
                yield row[index].strip()
    except csv.Error:
        said = "it is not CSV: quotes do not match, or a value is too long"
        raise CandidatesError(path, reader.line_num, said) from None


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
    raise CandidatesError(path, row, "it is not in UTF-8: save the file as such")


def _index(path: Path, header: list[str], column: str) -> int:
    names = [name.strip() for name in header]
    if column not in names:
        said = f"no column is named {column}: the first row gives the names of columns"
        raise CandidatesError(path, 1, said)
    return names.index(column)


def match(
    pseudonyms: Pseudonyms, scope: str, candidates: Iterable[str], wanted: Collection[str]
) -> list[Match]:
    """The candidates behind pseudonyms, in the order in which these were asked for.

    Args:
        pseudonyms: Of the node's key.
        scope: That the pseudonyms were made in.
        candidates: Original identifiers or UIDs.
        wanted: Pseudonyms of identifiers, and UIDs under 2.25.
    """
    identifiers = {one.upper() for one in wanted if not one.startswith(UID_ROOT)}
    uids = {one for one in wanted if one.startswith(UID_ROOT)}
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for candidate in candidates:
        # Only what is asked for is computed.
        made = (
            {identifier_of(pseudonyms, scope, candidate)} & identifiers if identifiers else set()
        )
        made |= {uid_of(pseudonyms, scope, candidate)} & uids if uids else set()
        for pseudonym in made:
            found[pseudonym][candidate] = None
    return [Match(one, tuple(found.get(_spelled(one), ()))) for one in dict.fromkeys(wanted)]


def _spelled(pseudonym: str) -> str:
    return pseudonym if pseudonym.startswith(UID_ROOT) else pseudonym.upper()

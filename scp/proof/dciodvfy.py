"""dciodvfy of dicom3tools, where it is installed: kinds of errors, never what it quotes.

It prints values of the file; a kind is what is left of a line without anything that could be
one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PROGRAM = "dciodvfy"
_TIMEOUT_S = 30.0
_KIND_CHARACTERS = 160
_VALUE = re.compile(
    r"(?<!Element=)(?<!Module=)(?<!attribute )<.*?>"  # but what attribute is meant stays
    r"|= '.*|= \d+|\b\d+(?:\.\d+)+\b|(?<=ID )\d+$|\b\d+ dec|Number of \d+",
    re.DOTALL,
)
_UNPRINTABLE = re.compile(r"[^ -~]")


def installed() -> str | None:
    """Its path; None where it is not on the PATH."""
    return shutil.which(PROGRAM)


def new_kinds(
    program: str, pairs: Sequence[tuple[Sequence[Path], Path]]
) -> Iterator[tuple[Path, frozenset[str]]]:
    """For every result with its originals (copies share one): errors that only it has."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda pair: _new(program, *pair), pairs)


def _new(program: str, originals: Sequence[Path], result: Path) -> tuple[Path, frozenset[str]]:
    new = kinds(program, result)
    for original in originals:
        if not new:
            break
        new -= kinds(program, original)
    return result, new


def kinds(program: str, path: Path) -> frozenset[str]:
    """The errors of a file; none where it cannot be told in time."""
    try:
        said = subprocess.run(  # noqa: S603 - no shell; the path is an argument
            [program, os.fspath(path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        ).stderr
    except subprocess.TimeoutExpired:
        return frozenset()
    lines = said.decode("latin-1").splitlines()
    return frozenset(_kind(line) for line in lines if line.startswith("Error"))


def _kind(line: str) -> str:
    return _UNPRINTABLE.sub("", _VALUE.sub("", line))[:_KIND_CHARACTERS].strip()

"""An instance that was valid stays valid: dciodvfy finds no new kind of error in the results.

Every well-formed file of pydicom's package and of the corpus is judged before and after, under
each profile. A kind of error is a message without the values in it: which attribute of which
module is wrong, and how.
"""

# ruff: noqa: T201 - what is printed is the list that `pytest -s` shows

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from rules.errors import DeidentificationError, InstanceRefused
from tests import driving, encoded

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

UNCHANGED_SHARE = 0.98
VALUE = re.compile(
    r"(?<!Element=)(?<!Module=)(?<!attribute )<.*?>"  # but what attribute is meant stays
    r"|= '.*|= \d+|\b\d+(?:\.\d+)+\b|(?<=ID )\d+$|\b\d+ dec|Number of \d+",
    re.DOTALL,
)


def kinds(dciodvfy: Path, file: Path) -> frozenset[str]:
    """The errors that dciodvfy reports, values left out."""
    # What it says holds values of the file, in the file's own character set.
    said = subprocess.run([dciodvfy, file], capture_output=True, check=False).stderr
    lines = said.decode("latin-1").splitlines()
    return frozenset(VALUE.sub("", line) for line in lines if line.startswith("Error"))


def _written(folder: Path, path: Path, name: str) -> tuple[Path, Path] | None:
    """Original and result as files; None for what is refused."""
    file = path.read_bytes()
    _, dataset = encoded.split_part10(file)
    syntax = driving.transfer_syntax_of(file)
    try:
        result = driving.engine(dataset, syntax, plan=driving.named_plan(name))
    except (InstanceRefused, DeidentificationError):
        return None
    number = len(list(folder.iterdir()))
    before, after = folder / f"{number}.before", folder / f"{number}.after"
    before.write_bytes(file if file[128:132] == b"DICM" else encoded.part10(dataset, syntax))
    after.write_bytes(result.file)
    return before, after


@pytest.mark.parametrize("name", driving.OPTIONS_OF)
def test_no_new_kind_of_error(name, peer, tmp_path, record_property):
    """In at least 98 of 100 files; the others are listed with what is new."""
    dciodvfy = peer("dciodvfy")
    paths = driving.instance_files()
    written = {path: _written(tmp_path, path, name) for path in paths}
    judged = {path: pair for path, pair in written.items() if pair}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        before = pool.map(lambda pair: kinds(dciodvfy, pair[0]), judged.values())
        after = pool.map(lambda pair: kinds(dciodvfy, pair[1]), judged.values())
        found = [new - old for old, new in zip(before, after, strict=True)]
    worse = {path.name: sorted(new) for path, new in zip(judged, found, strict=True) if new}
    record_property("files", len(judged))
    record_property("exceptions", worse)
    print(f"\n{name}: {len(judged)} files, {len(worse)} with new kinds of errors")
    for kind, count in Counter(kind for new in worse.values() for kind in new).most_common():
        print(f"{count:4} {kind}")
    for file, new in worse.items():
        print(f"     {file}: {'; '.join(new)}")

    assert len(judged) >= len(paths) - 5
    assert len(worse) <= (1 - UNCHANGED_SHARE) * len(judged), worse

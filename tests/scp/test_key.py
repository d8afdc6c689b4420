"""The key of the pseudonyms: another than that of the stored instances is refused."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from scp.errors import KeyFileError
from scp.journal import FILE_NAME, Journal
from scp.key import confirm_key, load_key, note_key

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))


def test_one_changed_bit_of_the_key_is_refused(tmp_path: Path) -> None:
    """Otherwise the same patient would get a second pseudonym, and nobody would see it."""
    with closing(Journal(tmp_path / FILE_NAME)) as journal:
        note_key(journal, KEY)
        confirm_key(journal, KEY, tmp_path)
        for bit in range(8 * len(KEY)):
            other = (int.from_bytes(KEY, "big") ^ 1 << bit).to_bytes(32, "big")
            with pytest.raises(KeyFileError, match="restore that one"):
                confirm_key(journal, other, tmp_path)


def test_the_first_key_is_the_one_that_counts(tmp_path: Path) -> None:
    """A journal of before takes the key it is first used with; no second note replaces it."""
    with closing(Journal(tmp_path / FILE_NAME)) as journal:
        confirm_key(journal, KEY, tmp_path)
        note_key(journal, KEY)
        note_key(journal, bytes(32))
        confirm_key(journal, KEY, tmp_path)


def test_the_journal_does_not_hold_the_key(tmp_path: Path) -> None:
    """Only something that follows from it."""
    with closing(Journal(tmp_path / FILE_NAME)) as journal:
        note_key(journal, KEY)
        journal.empty_log()
    data = (tmp_path / FILE_NAME).read_bytes()

    assert KEY not in data
    assert KEY.hex().encode() not in data


@pytest.mark.parametrize("bit", range(8))
def test_one_changed_bit_of_the_key_file_is_never_passed_over(tmp_path: Path, bit: int) -> None:
    """It is no hexadecimal digit any more, or another key, or the same one."""
    (tmp_path / "key").touch(0o600)
    text = bytearray(KEY.hex().encode() + b"\n")
    with closing(Journal(tmp_path / FILE_NAME)) as journal:
        note_key(journal, KEY)
        for place in range(len(text)):
            changed = bytearray(text)
            changed[place] ^= 1 << bit
            (tmp_path / "key").write_bytes(changed)
            try:
                key = load_key(tmp_path)
                assert key is not None
                confirm_key(journal, key, tmp_path)
            except KeyFileError:
                continue
            assert key == KEY

"""The key of all pseudonyms: where it comes from, and when the node refuses to go on.

- systemd's credential `key`, where the unit loads one;
- else the file `key` in the data folder, readable by its owner alone;
- else, where nothing was ever received under another key, a new one is made and synced.

A node whose journal holds instances never makes a key, and never takes another than theirs: the
same patient would get a second pseudonym. So the journal keeps a check of the key, from which it
does not follow. The key is 64 hexadecimal digits or more; it is never logged or printed.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rules.pseudonyms import KEY_BYTES
from scp.errors import KeyFileError

if TYPE_CHECKING:
    from scp.disk import FileSystem
    from scp.journal import Journal

NAME = "key"
_FACT = "key_check"
_CHECKED = b"the key of the instances beside this journal"


def credential() -> Path | None:
    """The key file that systemd hands over, if there is one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / NAME if folder else None
    return path if path and path.exists() else None


def load_key(data: Path) -> bytes | None:
    """The key of a data folder; None when there is none yet.

    Raises:
        KeyFileError: it is readable by others, too short, or not hexadecimal.
    """
    handed_over = credential()
    if handed_over:
        return _parsed(handed_over)
    path = data / NAME
    if not path.exists() or not path.stat().st_size:
        return None  # an empty one was being made when the node died: nothing was keyed by it
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise KeyFileError(path, f"others may read it: chmod 600 {path}")
    return _parsed(path)


def make_key(path: Path, files: FileSystem) -> bytes:
    """Make a key and write it, durably, into the empty file that `path` names.

    Raises:
        OSError: it cannot be written or synced.
    """
    key = secrets.token_bytes(KEY_BYTES)
    descriptor = files.open_to_write(path)
    try:
        files.write(descriptor, [key.hex().encode() + b"\n"])
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    return key


def confirm_key(journal: Journal, key: bytes, data: Path) -> None:
    """Refuse a key that is not the one of the instances in a data folder.

    Args:
        journal: Of that folder.
        key: As it was loaded.
        data: The folder, to name the file.

    Raises:
        KeyFileError: it is another.
    """
    noted = journal.fact(_FACT)
    if noted and not hmac.compare_digest(noted, _check(key)):
        said = "it is not the key that the instances here were received under: restore that one"
        raise KeyFileError(credential() or data / NAME, said)


def note_key(journal: Journal, key: bytes) -> None:
    """Note which key the instances of a journal are received under, unless it is noted.

    Raises:
        OutOfSpace: the disk is full.
        JournalError: it could not be noted.
    """
    if not journal.fact(_FACT):
        journal.note_fact(_FACT, _check(key))


def _check(key: bytes) -> str:
    return hmac.digest(key, _CHECKED, "sha256").hex()


def _parsed(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError):
        raise KeyFileError(path, "it is not a line of hexadecimal digits") from None
    if len(key) < KEY_BYTES:
        raise KeyFileError(path, f"it is shorter than {2 * KEY_BYTES} hexadecimal digits")
    return key

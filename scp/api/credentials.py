"""Who may use the REST API: names with hashes of their passwords, and whether a pair fits.

- A line of the file is `name:scrypt$N$r$p$salt$hash`, salt and hash in base64; `#` begins a
  comment. Others must not be able to read the file.
- A wrong password costs as much as a right one, and an unknown name as much as a known one; a
  pair that has fitted is known again at once by a keyed digest.
- No password or hash appears in a message, a log or a repr.

Source: RFC 7617 (Basic), RFC 7914 (scrypt).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scp.errors import KeyFileError

NAME: Final = "rest-users"
"""Of systemd's credential."""

_COST: Final = 1 << 14
_BLOCK: Final = 8
_LANES: Final = 5
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_MOST_BYTES: Final = 256 << 20
_FIELDS: Final = 6
_USER: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_LONGEST_PASSWORD: Final = 1024
_NOT_A_LINE: Final = "is not name:hash as `anonode hash-password` prints it"


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What is kept of a password."""

    cost: int
    block: int
    lanes: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def fits(self, password: str) -> bool:
        """Whether it is the password's; the time does not tell how nearly."""
        return hmac.compare_digest(self.digest, self._derive(password))

    @classmethod
    def of(cls, password: str) -> PasswordHash:
        """Of a new password, under a salt of its own."""
        empty = cls(_COST, _BLOCK, _LANES, secrets.token_bytes(_SALT_BYTES), bytes(_HASH_BYTES))
        digest = empty._derive(password)
        return cls(_COST, _BLOCK, _LANES, empty.salt, digest)

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """As `__str__` writes it.

        Raises:
            ValueError: it is not one, or asks for more memory than the node would give.
        """
        parts = text.split("$")
        if len(parts) != _FIELDS or parts[0] != "scrypt":
            raise ValueError("not a hash")
        cost, block, lanes = (int(part) for part in parts[1:4])
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
        if 128 * cost * block > _MOST_BYTES or not salt or len(digest) < _SALT_BYTES:
            raise ValueError("not a hash")
        parsed = cls(cost, block, lanes, salt, digest)
        parsed._derive("")  # numbers that cannot be are found here, not at the first request
        return parsed

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.cost}${self.block}${self.lanes}${salt}${digest}"

    def _derive(self, password: str) -> bytes:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"),
            salt=self.salt,
            n=self.cost,
            r=self.block,
            p=self.lanes,
            maxmem=2 * _MOST_BYTES,
            dklen=len(self.digest),
        )


class Users:
    """The names that may enter; safe for use by many threads."""

    def __init__(self, hashes: dict[str, PasswordHash]) -> None:
        self._hashes = hashes
        self._nobody = PasswordHash.of(secrets.token_hex())
        self._secret = secrets.token_bytes(_HASH_BYTES)
        self._known: set[bytes] = set()

    def recall(self, name: str, password: str) -> bool:
        """Whether the pair has fitted before; at once."""
        return self._mark(name, password) in self._known

    def admit(self, name: str, password: str) -> bool:
        """Whether the pair fits; a tenth of a second or two, and 16 MiB of memory."""
        if len(password) > _LONGEST_PASSWORD:
            return False
        fits = self._hashes.get(name, self._nobody).fits(password)
        if fits:
            self._known.add(self._mark(name, password))
        return fits

    def _mark(self, name: str, password: str) -> bytes:
        pair = f"{name}:{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, pair, "sha256")


def is_user_name(text: str) -> bool:
    """Whether a user can be called so."""
    return _USER.fullmatch(text) is not None


def basic(header: str) -> tuple[str, str] | None:
    """Name and password of an Authorization header; None if it is of another kind."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = (
            base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (name, password) if colon else None


def handed_over() -> Path | None:
    """The file that systemd hands over, if there is one."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / NAME if folder else None
    return path if path and path.exists() else None


def load_users(path: Path) -> Users:
    """Read a file of users.

    Raises:
        KeyFileError: it cannot be read, others may read it, or a line is not what it should be.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyFileError(path, f"others may read it: chmod 600 {path}")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise KeyFileError(path, "the users of the REST API cannot be read from it") from None
    hashes: dict[str, PasswordHash] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, found = _entry(path, number, line.strip())
            hashes[name] = found
    if not hashes:
        raise KeyFileError(path, "it names no user: `anonode hash-password NAME` makes a line")
    return Users(hashes)


def _entry(path: Path, number: int, line: str) -> tuple[str, PasswordHash]:
    name, _, text = line.partition(":")
    try:
        found = PasswordHash.parse(text) if is_user_name(name) else None
    except (ValueError, OverflowError, MemoryError):
        found = None
    if found is None:
        raise KeyFileError(path, f"line {number} {_NOT_A_LINE}")
    return name, found

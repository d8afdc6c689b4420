"""Keyed functions of an original value: the same in, the same out, and no way back.

Every result is HMAC-SHA-256 under the node's key, over the purpose, the scope and the
original, each with its length, so that no two of them can be confused. Nothing is stored:
the same patient gets the same pseudonym next month, after a restart and on another node
with the same key. Two scopes never agree.
"""

from __future__ import annotations

import hmac
from base64 import b32encode

KEY_BYTES = 32
_IDENTIFIER_BYTES = 10  # 16 characters of base 32: they fit an SH, the narrowest identifier
_MOST_CHARACTERS = 102  # of two digests
_REMEMBERED = 1024


class Pseudonyms:
    """The functions under one key."""

    __slots__ = ("_key", "_prefixes")

    def __init__(self, key: bytes) -> None:
        """Take the secret.

        Raises:
            ValueError: the key is shorter than 32 bytes.
        """
        if len(key) < KEY_BYTES:
            message = f"the key has {len(key)} bytes; at least {KEY_BYTES} are needed"
            raise ValueError(message)
        self._key = key
        self._prefixes: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return "Pseudonyms(<key>)"

    @property
    def key(self) -> bytes:
        """The secret: for another process of the node's own, and never to be shown."""
        return self._key

    def identifier(self, scope: str, original: str) -> str:
        """A pseudonym of 16 capitals and digits, fit for SH, LO and PN.

        Args:
            scope: Who shares it; other scopes get other pseudonyms.
            original: One value, without surrounding padding.
        """
        return b32encode(self._digest("identifier", scope, original)[:_IDENTIFIER_BYTES]).decode()

    def uid(self, scope: str, original: str) -> str:
        """A replacement UID under 2.25, at most 44 characters.

        The number is a UUID of version 8 (RFC 9562), made of 122 bits of the digest.

        Source: PS3.5 B.2.
        """
        number = int.from_bytes(self._digest("uid", scope, original)[:16])
        number = number & ~(0xF << 76) | 8 << 76
        number = number & ~(0x3 << 62) | 2 << 62
        return f"2.25.{number}"

    def characters(self, scope: str, original: str, count: int) -> str:
        """`count` characters of A-Z and 2-7, at most 102; fewer are the beginning of more.

        Args:
            scope: Who shares it.
            original: One value, without surrounding padding.
            count: How many characters; each holds five bits.
        """
        digest = self._digest("hash", scope, original) + self._digest("hash 2", scope, original)
        return b32encode(digest).decode()[: min(count, _MOST_CHARACTERS)]

    def offset(self, unit: str, scope: str, original: str, least: int, greatest: int) -> int:
        """A whole number from `least` to `greatest`, both included, each as likely; never zero.

        Args:
            unit: What is counted; offsets in two units say nothing of each other.
            scope: Who shares it.
            original: Whose offset it is.
            least: The least one.
            greatest: The greatest one.

        Raises:
            ValueError: only zero, or nothing, lies between the two.
        """
        has_zero = least <= 0 <= greatest
        choices = greatest - least + 1 - has_zero
        if choices < 1:
            raise ValueError("an offset needs a number other than zero to be")
        # 256 bits over a few thousand choices: no choice is likelier by more than 2 ** -200.
        digest = self._digest(f"offset in {unit}", scope, original)
        number = least + int.from_bytes(digest) % choices
        return number + 1 if has_zero and number >= 0 else number

    def _digest(self, purpose: str, scope: str, original: str) -> bytes:
        prefix = self._prefixes.get((purpose, scope))
        if prefix is None:
            if len(self._prefixes) >= _REMEMBERED:  # every job has a scope of its own
                self._prefixes.clear()
            prefix = self._prefixes[purpose, scope] = _framed(purpose) + _framed(scope)
        return hmac.digest(self._key, prefix + _framed(original), "sha256")


def _framed(text: str) -> bytes:
    """A text that says how long it is."""
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8) + encoded

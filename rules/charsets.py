"""Bytes of an element as text, in the character sets that the instance declares.

Nothing here fails: an undefined term is passed over, a byte that fits nowhere is replaced. It
is for looking at a value (conditions, keys, reports), never for writing one.

Source: PS3.3 C.12.1.1.2; PS3.5 6.1.
"""

from __future__ import annotations

import logging
import warnings

from pydicom.charset import decode_bytes, python_encoding

_DELIMITERS = {0x5C, 0x5E, 0x3D}  # in a PN and between values, ISO 2022 starts anew
_PADDING = " \0"

# pydicom quotes what instances hold in its log records; whoever uses it must keep it silent.
logging.getLogger("pydicom").disabled = True


def decoded(value: bytes, charsets: str, delimiters: set[int] = _DELIMITERS) -> str:
    """The text of a value without padding.

    Args:
        value: Encoded, of a VR that Specific Character Set applies to.
        charsets: The value of Specific Character Set, its terms separated by a backslash;
            empty for the default repertoire.
        delimiters: The bytes behind which the first character set holds again.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(_PADDING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decode_bytes(value, _encodings(charsets), delimiters).strip(_PADDING)


def _encodings(charsets: str) -> list[str]:
    """Codecs of the defined terms; pydicom would log an undefined one."""
    terms = [term.strip() for term in charsets.split("\\")]
    known = [python_encoding[term] for term in terms if term in python_encoding]
    return known or [python_encoding[""]]

"""An instance in UTF-8: every text at every depth, byte for byte otherwise.

Source: PS3.3 C.12.1.1.2; PS3.5 6.1.
"""

from __future__ import annotations


def widened(data: bytes, *, implicit: bool, charsets: tuple[str, ...]) -> bytes:
    """Root elements with every text in ISO_IR 192."""
    raise NotImplementedError

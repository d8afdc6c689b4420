"""Whether a result is what a de-identified Part 10 file has to be.

Source: PS3.10 7.1; PS3.15 E.1.1; PS3.3 C.7.1.1, C.12.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scp.proof.leaves import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.proof.second_reader import Reading

_IDENTITY_REMOVED, _METHOD, _METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
_TEMPORAL = 0x00280303
_PREAMBLE_BYTES = 128
_SAME = ((0x00020002, 0x00080016), (0x00020003, 0x00080018))
_FOREIGN = (
    *(0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020027, 0x00020028),
    *(0x00020100, 0x00020102),
)


def faults(result: Reading) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a result: tag, kind and a sentence."""
    yield from _of_marks(result)
    if any(result.preamble) or len(result.preamble) != _PREAMBLE_BYTES:
        yield "preamble", "preamble", "is not all zero"
    for meta, own in _SAME:
        if result.text(meta) != result.text(own):
            yield shown((meta,)), "meta", f"is not what {shown((own,))} is"
    for leaf in result.meta:
        if leaf.tag in _FOREIGN:
            yield leaf.shown, "meta", "says where the instance comes from"


def _of_marks(result: Reading) -> Iterator[tuple[str, str, str]]:
    at_root = {leaf.tags[0] for leaf in result.leaves}
    if result.text(_IDENTITY_REMOVED) != "YES":
        yield shown((_IDENTITY_REMOVED,)), "mark", "is not YES"
    if not at_root & {_METHOD, _METHOD_CODES}:
        yield shown((_METHOD,)), "mark", "is missing, and so are codes of the method"
    if not result.text(_TEMPORAL):
        yield shown((_TEMPORAL,)), "mark", "is missing"

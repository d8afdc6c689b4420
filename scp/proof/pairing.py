"""Which result was made of which original, though every UID is another.

The key of the node tells it for certain. Without the key, what de-identification leaves tells
it where only one file on either side has it: first the pixels with class and number, then
class, numbers and geometry. Copies of one instance share its result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from scp.proof.traces import names_an_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from scp.proof.leaves import Place
    from scp.proof.second_reader import Reading

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_NUMBERS = (
    *(0x00080060, 0x00200012, 0x00200013, 0x00200032, 0x00200037, 0x00201041),
    *(0x00280002, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100),
    *(0x00180050, 0x00180080, 0x00180081, 0x00180060, 0x00181150, 0x00200011),
)
_OWN = frozenset((_SOP_INSTANCE, 0x00020003))
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Card:
    """What is remembered of a file.

    Attributes:
        uid: Its SOP Instance UID.
        signatures: What a result has in common with its original, the surest first.
        referenced: UIDs that it refers to, by place.
    """

    path: Path
    uid: str = field(repr=False)
    signatures: tuple[bytes, ...] = field(repr=False)
    referenced: Mapping[Place, tuple[str, ...]] = field(repr=False)
    tags: Mapping[Place, str] = field(repr=False)


def card(reading: Reading) -> Card:
    """What is remembered of a file that was read."""
    referenced: dict[Place, list[str]] = {}
    tags: dict[Place, str] = {}
    for leaf in reading.leaves:
        if leaf.vr == "UI" and leaf.tag not in _OWN and names_an_instance(leaf):
            referenced.setdefault(leaf.place, []).extend(leaf.texts)
            tags[leaf.place] = leaf.shown
    held = {place: tuple(uids) for place, uids in referenced.items()}
    uid = reading.text(_SOP_INSTANCE)
    return Card(reading.path, uid, _signatures(reading), held, tags)


def paired(
    originals: Sequence[Card], results: Sequence[Card], renamed: Callable[[str], Iterable[str]]
) -> dict[int, int]:
    """The number of the result for the number of an original, where it is known.

    Args:
        originals: As received.
        results: What they have become.
        renamed: The UIDs that a UID may have become; none where the key is not known.
    """
    by_uid = {one.uid: number for number, one in enumerate(results) if one.uid}
    pairs: dict[int, int] = {}
    for number, one in enumerate(originals):
        candidates = (by_uid.get(uid) for uid in (*renamed(one.uid), one.uid) if one.uid)
        found = next((each for each in candidates if each is not None), None)
        if found is not None:
            pairs[number] = found
    for level in range(len(originals[0].signatures) if originals else 0):
        _pair_alike(originals, results, pairs, level)
    return pairs


def _pair_alike(
    originals: Sequence[Card], results: Sequence[Card], pairs: dict[int, int], level: int
) -> None:
    """Pair what only one original (or copies of it) and only one result have."""
    taken = set(pairs.values())
    open_results = [number for number in range(len(results)) if number not in taken]
    counts = Counter(results[number].signatures[level] for number in open_results)
    alone = {results[number].signatures[level]: number for number in open_results}
    rest = [number for number in range(len(originals)) if number not in pairs]
    uids: dict[bytes, set[str]] = {}
    for number in rest:
        uids.setdefault(originals[number].signatures[level], set()).add(originals[number].uid)
    for number in rest:
        signature = originals[number].signatures[level]
        if counts[signature] == 1 and len(uids[signature]) == 1:
            pairs[number] = alone[signature]


def _signatures(reading: Reading) -> tuple[bytes, ...]:
    kept = [reading.text(_SOP_CLASS)]
    numbers = {leaf.tag: leaf for leaf in reading.leaves if leaf.tags in _AT_ROOT}
    loose = [*kept, *(_plain(numbers[tag].raw) if tag in numbers else "" for tag in _NUMBERS)]
    pixels = _digest_of_pixels(reading)
    exact = [*kept, reading.text(0x00200013), pixels.hex()]
    return _digest(exact), _digest(loose)


_AT_ROOT = frozenset((tag,) for tag in _NUMBERS)


def _plain(raw: bytes) -> str:
    return raw.strip(b" \0").hex()


def _digest(texts: Iterable[str]) -> bytes:
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _digest_of_pixels(reading: Reading) -> bytes:
    start, end = reading.pixels
    digest = blake2b(digest_size=16)
    if reading.deflated:
        return digest.digest()
    with reading.path.open("rb") as file:
        file.seek(start)
        while start < end and (chunk := file.read(min(_CHUNK_BYTES, end - start))):
            digest.update(chunk)
            start += len(chunk)
    return digest.digest()

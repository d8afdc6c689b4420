"""JPEG lossless, process 14: samples to one codestream that any reader of it gives back.

- First-order prediction (selection value 1): from the left, in the first column from above.
- One Huffman table, made of the frame's own differences; no code is longer than 16 bits.
- Three samples of a pixel are one interleaved scan, in the order in which they lie.
- No marker segment but those that a decoder needs.

Source: ITU-T T.81 H (lossless), C.2 and K.2 (codes), F.1.2.3 (byte stuffing), B.2; PS3.5 A.4.1.
"""

from __future__ import annotations

from functools import cache
from heapq import heapify, heappop, heappush
from struct import pack
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.unsignedinteger]
    Differences = NDArray[np.uint16]

BITS = range(2, 17)
"""Of a sample."""

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAME_HEADER, _TABLES, _SCAN_HEADER = 0xFFC3, 0xFFC4, 0xFFDA
_LEFT = 1
_ONE_BY_ONE = 0x11

_VALUES = 1 << 16
_MOST_BITS_OF_CODE = 16
_CATEGORIES = 17
_WITHOUT_BITS = 16  # the category of 32768 only, which needs no bits to be told apart
_RESERVED = _CATEGORIES  # no code is all ones: this symbol, which never occurs, has that one
_STUFFED = 0xFF

_STEP = 1 << 18  # samples at once, so that what is between lies in the processor's cache
_WORD_BITS = 32
_LOW_WORD = np.uint64(0xFFFFFFFF)


def encode(frame: Samples, bits: int, components: bytes) -> bytes:
    """One frame as a codestream.

    Args:
        frame: Rows by columns, or rows by columns by samples.
        bits: Of a sample, one of BITS; every sample fits.
        components: Identifiers, one for each sample of a pixel.

    Raises:
        ValueError: precision or size cannot be written.
    """
    rows, columns = frame.shape[:2]
    if bits not in BITS or not 0 < rows < _VALUES or not 0 < columns < _VALUES:
        message = "JPEG lossless has 2 to 16 bits, and up to 65535 rows and columns"
        raise ValueError(message)
    differences = _differences(frame.reshape(rows, columns, len(components)), bits)
    counts = np.bincount(differences, minlength=_VALUES)
    lengths = _code_lengths(_by_category(counts))
    return b"".join(
        (
            _START,
            _frame_header(bits, rows, columns, components),
            _table(lengths),
            _scan_header(components),
            _scan(differences, _codes(lengths)),
            _END,
        )
    )


# ---- prediction


def _differences(samples: Samples, bits: int) -> Differences:
    """What each sample is more than its neighbour, modulo 65536, in the order of the scan."""
    plain = samples.astype(np.uint16)
    found = plain.copy()
    found[:, 1:] -= plain[:, :-1]
    found[1:, 0] -= plain[:-1, 0]
    found[0, 0] -= np.uint16(1 << (bits - 1))
    return found.reshape(-1)


@cache
def _categories() -> NDArray[np.uint8]:
    """By difference: how many bits its magnitude has."""
    signed = np.arange(_VALUES).astype(np.uint16).view(np.int16).astype(np.int32)
    return np.frexp(np.abs(signed))[1].astype(np.uint8)


@cache
def _more_bits() -> NDArray[np.uint64]:
    """By difference: the bits behind its code; negative ones are one less (T.81 F.1.2.1)."""
    signed = np.arange(_VALUES).astype(np.uint16).view(np.int16).astype(np.int64)
    masks = (1 << _bits_behind().astype(np.int64)) - 1
    return ((signed - (signed < 0)) & masks).astype(np.uint64)


@cache
def _bits_behind() -> NDArray[np.uint8]:
    """By difference: how many bits are behind its code."""
    categories = _categories()
    return np.where(categories == _WITHOUT_BITS, 0, categories).astype(np.uint8)


# ---- codes


def _by_category(counts: NDArray[np.int64]) -> dict[int, int]:
    """How often each category occurs; those that do not are left out."""
    found = np.bincount(_categories(), weights=counts, minlength=_CATEGORIES)
    return {category: int(count) for category, count in enumerate(found) if count}


def _code_lengths(counts: dict[int, int]) -> dict[int, int]:
    """The bits of each symbol's code: the shortest in sum of which none is too long."""
    while True:
        lengths = _huffman(counts)
        if max(lengths.values()) <= _MOST_BITS_OF_CODE:
            del lengths[_RESERVED]
            return lengths
        counts = {symbol: count // 2 + 1 for symbol, count in counts.items()}


def _huffman(counts: dict[int, int]) -> dict[int, int]:
    """Huffman's lengths; the reserved symbol is rarest and has one of the longest."""
    heap = [(count, symbol, [symbol]) for symbol, count in counts.items()]
    heap.append((0, _RESERVED, [_RESERVED]))
    heapify(heap)
    lengths = dict.fromkeys([*counts, _RESERVED], 0)
    while len(heap) > 1:
        (rare, first, some), (other, second, more) = heappop(heap), heappop(heap)
        both = some + more
        for symbol in both:
            lengths[symbol] += 1
        heappush(heap, (rare + other, min(first, second), both))
    return lengths


def _in_order(lengths: dict[int, int]) -> list[tuple[int, int]]:
    """Length and symbol, in the order in which codes are given out."""
    return sorted((length, symbol) for symbol, length in lengths.items())


def _codes(lengths: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Code and length by symbol (T.81 C.2)."""
    codes: dict[int, tuple[int, int]] = {}
    code, before = 0, 0
    for length, symbol in _in_order(lengths):
        code <<= length - before
        codes[symbol] = (code, length)
        code, before = code + 1, length
    return codes


# ---- segments


def _segment(marker: int, content: bytes) -> bytes:
    return pack(">HH", marker, len(content) + 2) + content


def _frame_header(bits: int, rows: int, columns: int, components: bytes) -> bytes:
    head = pack(">BHHB", bits, rows, columns, len(components))
    return _segment(_FRAME_HEADER, head + b"".join(bytes((c, _ONE_BY_ONE, 0)) for c in components))


def _table(lengths: dict[int, int]) -> bytes:
    ordered = _in_order(lengths)
    counts = bytearray(_MOST_BITS_OF_CODE)
    for length, _ in ordered:
        counts[length - 1] += 1
    return _segment(_TABLES, bytes(1) + counts + bytes(symbol for _, symbol in ordered))


def _scan_header(components: bytes) -> bytes:
    chosen = b"".join(bytes((component, 0)) for component in components)
    return _segment(_SCAN_HEADER, bytes((len(components),)) + chosen + bytes((_LEFT, 0, 0)))


# ---- the scan


def _scan(differences: Differences, codes: dict[int, tuple[int, int]]) -> bytes:
    """The entropy-coded segment, filled up with ones and stuffed."""
    values, lengths = _by_difference(codes)
    pieces: list[bytes] = []
    word, used = 0, 0
    for at in range(0, len(differences), _STEP):
        step = differences[at : at + _STEP]
        words, used = _packed(values[step], lengths[step], used)
        words[0] |= word
        word = int(words[-1])
        pieces.append(words[:-1].astype(">u4").tobytes())
    size = -(-used // 8)
    word |= (1 << (_WORD_BITS - used)) - 1
    pieces.append(word.to_bytes(_WORD_BITS // 8, "big")[:size])
    return _stuffed(b"".join(pieces))


def _by_difference(
    codes: dict[int, tuple[int, int]],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """By difference: what is written for it, and how many bits that is."""
    code_of = np.zeros(_CATEGORIES, np.uint64)
    length_of = np.zeros(_CATEGORIES, np.int64)
    for category, (code, length) in codes.items():
        code_of[category], length_of[category] = code, length
    categories, behind = _categories(), _bits_behind()
    values = (code_of[categories] << behind.astype(np.uint64)) | _more_bits()
    return values, length_of[categories] + behind


def _packed(
    values: NDArray[np.uint64], lengths: NDArray[np.int64], used: int
) -> tuple[NDArray[np.uint32], int]:
    """Values one behind the other in words; the first `used` bits stay free.

    Returns:
        The words, of which the last is not full, and how many bits of that are used.
    """
    ends = np.cumsum(lengths) + used
    starts = ends - lengths
    places = starts >> 5
    total = int(ends[-1])
    # A value, of at most 32 bits, lies in one word or in two.
    shifts = (2 * _WORD_BITS - lengths - (starts & (_WORD_BITS - 1))).astype(np.uint64)
    shifted = values << shifts
    size = total // _WORD_BITS + 1
    # Nothing overlaps, so sums are unions; below 2 to the 32 they are exact in floating point.
    high = np.bincount(places, (shifted >> np.uint64(_WORD_BITS)).astype(np.float64), size + 1)
    low = np.bincount(places + 1, (shifted & _LOW_WORD).astype(np.float64), size + 1)
    return (high + low)[:size].astype(np.uint32), total % _WORD_BITS


def _stuffed(data: bytes) -> bytes:
    """A zero behind every byte that could be taken for a marker."""
    return data.replace(bytes((_STUFFED,)), bytes((_STUFFED, 0)))

"""Every place where traces of originals stand in one result, and how bad each is.

What is found in the bytes is looked up in the elements, so that its VR and its neighbours in
the same value decide; bytes of a header next to a value say nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from scp.proof.judging import Spot, claims_of, judged, spots
from scp.proof.leaves import shown
from scp.proof.second_reader import read_again
from scp.proof.traces import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scp.proof.judging import Claims, Severity
    from scp.proof.leaves import Leaf, Place
    from scp.proof.matching import Hit, Matcher
    from scp.proof.pairing import Card
    from scp.proof.second_reader import Piece, Reading
    from scp.proof.traces import Trace

_AROUND_BYTES = 8
_PREFIX_END = 132


class Search:
    """Looks through one result."""

    def __init__(
        self, result: Reading, spelled: Mapping[bytes, list[Trace]], sources: Sequence[Card]
    ) -> None:
        self._result = result
        self._claims: Claims = claims_of(result)
        self._spelled = spelled
        self._sources = sources
        self._kept: set[tuple[Place, bytes]] | None = None
        self._leaves: dict[tuple[int, int], list[Leaf]] = {}
        for leaf in result.everything:
            self._leaves.setdefault(leaf.span, []).append(leaf)
        self._spans = sorted(self._leaves)

    def found(self, matcher: Matcher) -> Iterator[tuple[str, Trace, Severity]]:
        """What stands where, and how bad it is."""
        seen: set[tuple[bytes, tuple[int, int] | None]] = set()
        for piece in self._result.pieces():
            hits = matcher.in_pixels if piece.is_pixels else matcher.in_text
            for hit in hits(piece.data):
                span = self._span(piece.offset + hit.offset)
                traces = [one for one in self._spelled[hit.word] if not self._is_allowed(one)]
                if traces and (hit.word, span) not in seen:
                    seen.add((hit.word, span))
                    yield from self._judged(traces, hit, span, piece)

    def _is_allowed(self, trace: Trace) -> bool:
        if trace.kind is Kind.UID:
            return self._claims.keeps_uids
        return trace.kind is Kind.DATE and self._claims.keeps_dates

    def _judged(
        self, traces: list[Trace], hit: Hit, span: tuple[int, int] | None, piece: Piece
    ) -> Iterator[tuple[str, Trace, Severity]]:
        for place, spot in self._spots(hit, span, piece):
            for trace in traces:
                severity = judged(trace, spot, self._claims)
                if severity is not None:
                    yield place, trace, severity

    def _span(self, offset: int) -> tuple[int, int] | None:
        """The value at the root in which an offset lies."""
        index = bisect_right(self._spans, (offset, 1 << 62)) - 1
        span = self._spans[index] if index >= 0 else (0, 0)
        return span if span[0] <= offset < span[1] else None

    def _spots(
        self, hit: Hit, span: tuple[int, int] | None, piece: Piece
    ) -> Iterator[tuple[str, Spot]]:
        leaves = self._leaves[span] if span else []
        is_anywhere = False
        for leaf in leaves:
            if hit.word in leaf.raw.lower():
                is_anywhere = True
                is_kept = self._is_kept(leaf)
                yield from ((leaf.shown, spot) for spot in spots(hit.word, leaf, kept=is_kept))
        if not is_anywhere:
            yield self._outside(hit, leaves, piece)

    def _outside(self, hit: Hit, leaves: list[Leaf], piece: Piece) -> tuple[str, Spot]:
        """In a bulk value, in the preamble, or where no element is."""
        start = max(hit.offset - _AROUND_BYTES, 0)
        around = piece.data[start : hit.offset + len(hit.word) + _AROUND_BYTES].lower()
        at = hit.offset - start
        tag = leaves[0].tags[0] if leaves else 0
        spot = Spot(around, at, at + len(hit.word), "UN", tag, kept=False)
        if leaves:
            return shown((tag,)), spot
        is_preamble = piece.offset + hit.offset < _PREFIX_END
        return "preamble" if is_preamble else "between elements", spot

    def _is_kept(self, leaf: Leaf) -> bool:
        """Whether an original of this result has the same value in the same place."""
        if self._kept is None:
            originals = (read_again(one.path) for one in self._sources)
            self._kept = {
                (one.place, one.raw.strip(b" \0"))
                for original in originals
                for one in original.leaves
            }
        return (leaf.place, leaf.raw.strip(b" \0")) in self._kept

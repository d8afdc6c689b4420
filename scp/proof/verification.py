"""Looks at originals and results with other eyes, and says what should not be there.

Nothing of the engine takes part: another reader, the bytes as they lie on the disk, and what
the results say of themselves. What of any original must be gone is looked for in the bytes of
every result: preamble, file meta information, private elements and pixel data included. A
finding names file, tag and kind, never a value.

Source: PS3.15 E.1.1, E.2, E.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scp.errors import NotPart10
from scp.proof import dciodvfy
from scp.proof.conformity import faults
from scp.proof.judging import Severity, claims_of
from scp.proof.matching import Matcher
from scp.proof.pairing import card, paired
from scp.proof.references import Resolved, broken, resolved
from scp.proof.search import Search
from scp.proof.second_reader import read_again
from scp.proof.traces import Traces
from scp.proof.unchanged import in_place, texts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scp.proof.leaves import Place
    from scp.proof.pairing import Card
    from scp.proof.second_reader import Reading

_ORDER = (Severity.LEAK, Severity.FAULT, Severity.POSSIBLE)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be; `tag` is empty where no element is meant."""

    file: Path
    tag: str
    kind: str
    severity: Severity
    detail: str


@dataclass(slots=True)
class Verdict:
    """What was looked at, and what was found.

    Attributes:
        originals: Files that were read.
        results: Likewise.
        pairs: Originals whose result is known.
        traces: Values, words, dates and UIDs that were looked for.
        references: To instances of the set, before and after.
        validated: Results that dciodvfy compared; None where it is not installed.
    """

    originals: int = 0
    results: int = 0
    pairs: int = 0
    traces: int = 0
    references: Resolved = field(default_factory=lambda: Resolved(0, 0))
    validated: int | None = None
    _findings: dict[tuple[Path, str, str], Finding] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        """The findings, the worst first."""
        found = self._findings.values()
        return sorted(found, key=lambda one: (_ORDER.index(one.severity), one.file, one.tag))

    def add(self, finding: Finding) -> None:
        """Note a finding; of two about the same the worse stays."""
        key = (finding.file, finding.tag, finding.kind)
        standing = self._findings.get(key)
        if standing is None or finding.severity is Severity.LEAK:
            self._findings[key] = finding


def verify(
    originals: Sequence[Path],
    results: Sequence[Path],
    renamed: Callable[[str], Iterable[str]],
    advance: Callable[[], None],
) -> Verdict:
    """Compare two sets of files.

    Args:
        originals: As received.
        results: What was made of them.
        renamed: The UIDs that a UID may have become; none where the key is not known.
        advance: Called after each of `steps` steps.
    """
    return _Verification(originals, results, advance).verdict(renamed)


def steps(originals: int, results: int) -> int:
    """How many steps a comparison of so many files has."""
    return 2 * originals + (3 if dciodvfy.installed() else 2) * results


class _Verification:
    def __init__(
        self, originals: Sequence[Path], results: Sequence[Path], advance: Callable[[], None]
    ) -> None:
        self._verdict = Verdict()
        self._advance = advance
        self._result_cards = [card(one) for one in self._readings(results, Severity.FAULT)]
        self._cards = [card(one) for one in self._readings(originals, Severity.POSSIBLE)]
        self._pairs: dict[int, int] = {}
        self._traces = Traces()

    def verdict(self, renamed: Callable[[str], Iterable[str]]) -> Verdict:
        verdict = self._verdict
        verdict.originals, verdict.results = len(self._cards), len(self._result_cards)
        self._pairs = paired(self._cards, self._result_cards, renamed)
        verdict.pairs = len(self._pairs)
        self._say_missing()
        self._compare()
        verdict.traces = len(self._traces)
        self._scan()
        verdict.references = resolved(self._cards, self._result_cards)
        for result, tag, count in broken(self._cards, self._result_cards, self._pairs):
            self._say(result.path, tag, "reference", Severity.FAULT, f"{count} lead nowhere now")
        self._validate()
        return verdict

    def _say(self, file: Path, tag: str, kind: str, severity: Severity, detail: str = "") -> None:
        self._verdict.add(Finding(file, tag, kind, severity, detail))

    # -- reading

    def _readings(self, paths: Sequence[Path], severity: Severity) -> Iterator[Reading]:
        for path in paths:
            self._advance()
            try:
                yield read_again(path)
            except NotPart10:
                said = "cannot be read as a Part 10 file: nothing is known of it"
                self._say(path, "", "unreadable", severity, said)

    def _say_missing(self) -> None:
        used = set(self._pairs.values())
        rest = len(self._result_cards) - len(used)
        severity = Severity.POSSIBLE if rest else Severity.FAULT
        for number, one in enumerate(self._cards):
            if number not in self._pairs:
                self._say(one.path, "", "missing", severity, "no result is known to be its own")

    # -- what is gone

    def _compare(self) -> None:
        for number, one in enumerate(self._cards):
            self._advance()
            original = read_again(one.path)
            kept: Mapping[Place, tuple[str, ...]] = {}
            if number in self._pairs:
                result = read_again(self._result_cards[self._pairs[number]].path)
                kept = texts_of(result)
                for leaf, severity in in_place(original, result, claims_of(result)):
                    self._say(result.path, leaf.shown, "kept", severity, "is what it was")
            self._traces.add(original, kept)

    def _sources(self) -> dict[int, list[Card]]:
        """The originals of a result by its number: one, or copies of one."""
        sources: dict[int, list[Card]] = {}
        for number, result_number in self._pairs.items():
            sources.setdefault(result_number, []).append(self._cards[number])
        return sources

    # -- where it still is

    def _scan(self) -> None:
        spelled = self._traces.spellings()
        matcher = Matcher(spelled)
        sources = self._sources()
        for number, one in enumerate(self._result_cards):
            self._advance()
            result = read_again(one.path)
            for tag, kind, detail in faults(result):
                self._say(one.path, tag, kind, Severity.FAULT, detail)
            search = Search(result, spelled, sources.get(number, []))
            for shown, trace, severity in search.found(matcher):
                detail = "of an original stands here"
                self._say(one.path, shown, trace.kind.value, severity, detail)

    # -- what another program says

    def _validate(self) -> None:
        program = dciodvfy.installed()
        if program is None:
            return
        sources = self._sources()
        pairs = [
            ([one.path for one in originals], self._result_cards[number].path)
            for number, originals in sources.items()
        ]
        self._verdict.validated = len(pairs)
        for path, new in dciodvfy.new_kinds(program, pairs):
            self._advance()
            for index, kind in enumerate(sorted(new)):
                self._say(path, "", f"dciodvfy {index + 1}", Severity.FAULT, kind)

"""What is sent to the node of the simulation, and what stands in for the rules."""

from __future__ import annotations

from dataclasses import dataclass

from rules.report import Report
from tests.scp.storing import CT, EXPLICIT, META, MR, uid

TURNED = bytes(byte ^ 0xFF for byte in range(256))


@dataclass(frozen=True)
class Route:
    """A route as the configuration has it."""

    store: bool
    forward: tuple[str, ...]
    profile: str = "basic"


ROUTES = (
    Route(store=True, forward=("pacs",)),
    Route(store=False, forward=("pacs",)),
    Route(store=False, forward=("pacs", "archive")),
    Route(store=True, forward=("archive",)),
    Route(store=True, forward=()),
)


@dataclass(frozen=True)
class Sent:
    """What somebody sends: its number makes its UIDs."""

    number: int
    content: bytes
    route: Route

    @property
    def sop_class(self) -> str:
        return MR if self.number % 3 == 0 else CT

    @property
    def dataset(self) -> bytes:
        """What becomes of it."""
        return self.content.translate(TURNED) + b"end"


class Engine:
    """Stands in for the rules: turns every byte."""

    def __init__(self, sent: Sent) -> None:
        """Prepare for one instance."""
        self._sent = sent
        self._begun = False

    def feed(self, fragment: memoryview) -> list[bytes | memoryview]:
        """Give what a fragment has become."""
        head = [] if self._begun else [META]
        self._begun = True
        return [*head, bytes(fragment).translate(TURNED)]

    def finish(self) -> tuple[list[bytes | memoryview], Report]:
        """Give the rest."""
        sent = self._sent
        report = Report(
            sent.sop_class,
            uid(sent.number),
            "2.25.7",
            "2.25.8",
            "P",
            "CT",
            EXPLICIT,
            {"X": 3},
            {},
            "digest",
        )
        return [*([] if self._begun else [META]), b"end"], report

    def close(self) -> None:
        """Nothing is held."""

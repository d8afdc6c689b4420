"""Bytes in flight, bounded over all associations.

A de-identifier holds the header of its instance, all of one that must be repaired or turned
round, and encapsulated pixel data that must be blanked. What it holds is reserved here first.
While the budget is spent nothing is read from the sender's socket, which TCP turns into back
pressure; a sender that has waited long enough is told that there is no room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scp.errors import OutOfSpace

if TYPE_CHECKING:
    from rules import Deidentifier, Report
    from scp.limits import Budget

UNCOUNTED_BYTES: Final = 1 << 20
"""What every instance may hold unasked: most headers are far smaller."""
WAIT_S: Final = 20.0
"""Shorter than the patience of senders, so that they hear why."""


class Admitted:
    """A de-identifier within the budget of the node; `close` it once."""

    def __init__(self, engine: Deidentifier, budget: Budget) -> None:
        self._engine = engine
        self._budget = budget
        self._reserved_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of the instance that are in memory now."""
        return self._engine.held_bytes

    def feed(self, fragment: memoryview) -> list[bytes | memoryview]:
        """As the de-identifier's own.

        Raises:
            OutOfSpace: the budget stayed spent for too long.
            InstanceRefused, DeidentificationError: as there.
        """
        buffers = self._engine.feed(fragment)
        self._reserve(self._engine.held_bytes - UNCOUNTED_BYTES)
        return buffers

    def finish(self) -> tuple[list[bytes | memoryview], Report]:
        """As the de-identifier's own."""
        return self._engine.finish()

    def close(self) -> None:
        """Give back what is reserved; again is harmless."""
        self._reserve(0)

    def _reserve(self, wanted_bytes: int) -> None:
        wanted_bytes = max(0, wanted_bytes)
        more_bytes = wanted_bytes - self._reserved_bytes
        if more_bytes > 0 and not self._budget.reserve(more_bytes, WAIT_S):
            raise OutOfSpace("the bytes in flight are at their limit")
        if more_bytes < 0:
            self._budget.release(-more_bytes)
        self._reserved_bytes = wanted_bytes

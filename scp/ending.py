"""Several things to end at the same time, in a time that is theirs together.

What one of them waits for does not take the time of another. What has not ended in time goes on
in a thread that does not keep the process alive.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Endings:
    """Calls that end something, each in a thread of its own from the moment it is added.

    Every call returns whether what it ends has ended.
    """

    def __init__(self, calls: Iterable[Callable[[], bool]] = ()) -> None:
        """Begin with some calls."""
        self._begun: list[_Ending] = []
        for call in calls:
            self.add(call)

    def add(self, call: Callable[[], bool]) -> None:
        """Call, in a thread."""
        self._begun.append(_Ending(call))

    def join(self, until: float) -> bool:
        """Wait for all of them; may be repeated.

        Args:
            until: Moment of the monotonic clock.

        Returns:
            Whether all have returned, and everything has ended.
        """
        for ending in self._begun:
            ending.thread.join(max(0.0, until - time.monotonic()))
        return all(ending.has_ended for ending in self._begun)


class _Ending:
    def __init__(self, call: Callable[[], bool]) -> None:
        self.has_ended = False
        self._call = call
        self.thread = threading.Thread(target=self._run, name="ending", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.has_ended = self._call()

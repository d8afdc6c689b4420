"""What signals, and the node itself, ask of the main thread.

- SIGTERM and SIGINT stop the node, SIGHUP reloads. A stop comes before all that was asked with it.
- No signal is missed, and none comes at a wrong moment: its byte waits in a pipe until the main
  thread reads it. The interpreter itself runs a handler when the main thread next gets to it,
  which for one that is just about to wait is never.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_MOST: Final = 1 << 16


class Order(Enum):
    """What somebody asks for."""

    RELOAD = auto()
    STOP = auto()


class Orders:
    """Orders in a pipe; the main thread makes it and reads them."""

    def __init__(self) -> None:
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        # A full pipe holds more orders than anybody needs.
        signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)

    def on(self, *numbers: signal.Signals) -> None:
        """Take signals for orders from now on: SIGHUP to reload, any other to stop."""
        for number in numbers:
            signal.signal(number, _is_written)

    def stop(self) -> None:
        """Ask for a stop, from any thread."""
        with suppress(BlockingIOError):
            os.write(self._mouth, bytes([signal.SIGTERM]))

    def next(self) -> Order:
        """Wait for the next; what was asked meanwhile is one with it."""
        asked = os.read(self._ear, _MOST)
        return Order.RELOAD if set(asked) == {signal.SIGHUP} else Order.STOP

    def close(self) -> None:
        """Hear nothing any more."""
        signal.set_wakeup_fd(-1)
        os.close(self._ear)
        os.close(self._mouth)


def _is_written(_number: int, _frame: FrameType | None) -> None:
    """The byte of the signal is in the pipe."""

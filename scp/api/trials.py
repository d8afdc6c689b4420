"""Passwords are tried one at a time, and few may wait: strangers take none of the node's time.

- A pair that has fitted before enters at once and waits for nobody.
- A pair that comes again while it is tried is tried once.
- Whoever would wait behind too many others is told to ask again.
- A trial takes a thread of its own, none of those that answer requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter, Event, to_thread

from scp.api.errors import Code, Fault

if TYPE_CHECKING:
    from scp.api.credentials import Users

MOST_TRIALS: Final = 8
"""Pairs that are tried or wait for it: the last of them waits a second or two."""
_BUSY_STATUS: Final = 503


@dataclass(slots=True)
class _Trial:
    """One pair on trial."""

    ended: Event = field(default_factory=Event)
    fits: bool = False


class Trials:
    """Who may enter; made and used in the loop that serves."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._one = CapacityLimiter(1)
        self._trials: dict[tuple[str, str], _Trial] = {}

    async def admit(self, name: str, password: str) -> bool:
        """Whether a pair fits.

        Raises:
            Fault: 503, too many others are on trial.
        """
        if self._users.recall(name, password):
            return True
        under_way = self._trials.get((name, password))
        if under_way is None:
            return await self._tried(name, password)
        await under_way.ended.wait()
        return under_way.fits

    async def _tried(self, name: str, password: str) -> bool:
        if len(self._trials) >= MOST_TRIALS:
            said = "Too many passwords are being tried: ask again in a second"
            raise Fault(Code.TIMEOUT, said, http_status=_BUSY_STATUS)
        trial = self._trials[name, password] = _Trial()
        try:
            trial.fits = await to_thread.run_sync(
                self._users.admit, name, password, limiter=self._one
            )
        finally:
            del self._trials[name, password]
            trial.ended.set()
        return trial.fits

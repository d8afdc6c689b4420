"""The housekeeping of a running node: one thread, a turn a second, which waits for no peer.

In this order, turn by turn: a failed sync stops the node; the watchdog is fed, or not; the journal
is checkpointed off the receiving threads, and told from its copies (see `continuity`); the disk is
looked at; what could not be noted is. A step that fails is logged and tried again in the next
turn; it holds up no other.
Before the first turn comes what only makes the node faster, so that nobody waits for it to start.
"""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.continuity import Mark
from scp.errors import ScpError
from scp.journal import LOG_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scp.instance import RuleSet
    from scp.journal import Journal
    from scp.spool import Spool
    from scp.watchdog import Watchdog

_EVERY_S: Final = 1.0
_COLLECT_AFTER: Final = 50_000


class Keeper:
    """Keeps one node; start it once, stop it once.

    Attributes:
        failed: Whether a sync has failed, so that the node has to stop.
    """

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        watchdog: Watchdog,
        *,
        also: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            journal: To checkpoint.
            spool: Whose disk to look at.
            watchdog: To have look.
            also: What else there is to do at every turn.
            on_failure: Called once, from the keeper's thread, when `failed` is set.
        """
        self.failed = False
        self._journal = journal
        self._spool = spool
        self._mark = Mark(journal, spool)
        self._watchdog = watchdog
        self._also = also
        self._on_failure = on_failure
        self._log = logs.log()
        self._noting = threading.Lock()
        self._unnoted: list[RuleSet] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """End after the turn that is under way; whether it has, within so many seconds."""
        self._stopping.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def note(self, rule_sets: Sequence[RuleSet] = ()) -> None:
        """Note what digests in the journal stand for; on a full disk as soon as there is room."""
        with self._noting:
            self._unnoted += rule_sets
            try:
                self._journal.note_rule_sets(self._unnoted)
            except ScpError as error:
                self._log.warning("the rule sets were not noted yet", **logs.of_error(error))
            else:
                self._unnoted = []

    def _run(self) -> None:
        self._take(self._widen_log, self._keep_room, _calm_collector)
        while not self._stopping.wait(_EVERY_S):
            if self._spool.fatal.is_set() or self._journal.fatal.is_set():
                self._log.error("a sync has failed: the node stops and must be started again")
                self.failed = True
                self._on_failure()
                return
            self._take(
                self._watchdog.look,
                self._checkpoint,
                self.keep_mark,
                self._keep_room,
                self._also,
                self._note_the_rest,
            )

    def _take(self, *steps: Callable[[], None]) -> None:
        """Take steps one by one: whatever one raises, a keeper that ends guards nothing."""
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the next turn tries it again
                self._log.error("a step of the housekeeping failed", **logs.of_error(error))

    def _note_the_rest(self) -> None:
        if self._unnoted:
            self.note()

    def _widen_log(self) -> None:
        """Speed only: a node on a full disk must start, because delivering is what frees it."""
        try:
            self._spool.room.go_on(2 * LOG_BYTES)
            self._journal.widen()
        except ScpError as error:
            self._log.warning("the journal's log was not widened", **logs.of_error(error))

    def _checkpoint(self) -> None:
        try:
            self._journal.checkpoint()
        except Exception as error:  # noqa: BLE001 - a later one will do; the commits stand
            self._log.warning("the journal was not checkpointed", **logs.of_error(error))

    def keep_mark(self) -> None:
        """Tell the journal from copies that were made so far; also for a stop.

        On a full disk the mark stays as it is until there is room.
        """
        try:
            self._mark.keep()
        except ScpError as error:
            if self._spool.room.turn_away():
                self._log.warning("the journal was not marked", **logs.of_error(error))

    def _keep_room(self) -> None:
        """Look whether the disk is full, also while nobody sends, and hold the journal's room."""
        try:
            if not self._spool.room.is_full():
                self._spool.ballast.hold()
        except ScpError as error:
            if self._spool.room.turn_away():
                self._log.warning("nothing is reserved on the disk", **logs.of_error(error))


def _calm_collector() -> None:
    """Look for cycles less often, and never again among what the start has made.

    An instance makes hundreds of small tuples and no cycle; by default each would start a
    collection over some of them, a fifth of the time of the whole.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)

"""Destinations that are as unreliable as real ones, by chance, and remember the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Self

from scp.errors import ConnectionLost, PeerAborted, PeerRejected, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    Context = tuple[str, str]

WARNING = 0xB007
NO_ROOM = 0xA700
NOT_AUTHORISED = 0x0124
CANNOT_UNDERSTAND = 0xC000


class Mood(Enum):
    """How a destination treats whoever asks."""

    WELL = "takes everything"
    DOWN = "cannot be reached"
    BUSY = "rejects associations for now"
    STERN = "rejects associations for good"
    PICKY = "accepts some presentation contexts only"
    MOODY = "now and then refuses, aborts, answers late or loses the answer"


class Manner(Enum):
    """What a moody destination does with one instance."""

    TAKE = "takes it"
    WARN = "takes it, with a warning"
    NO_ROOM = "has no room"
    REFUSE = "refuses the instance"
    FORBID = "refuses the node"
    ABORT = "aborts before it has it"
    LATE = "takes it, and answers too late"
    LOST = "takes it, and the connection is lost before the answer"


COMMON = (*[Manner.TAKE] * 6, *Manner)


@dataclass
class Destination:
    """One destination.

    Attributes:
        poison: SOP Instance UIDs that it never takes, and how it says so.
        received: What it has, every version of each.
        bad: How often an instance was not taken, or its answer was lost.
        opened_at: When each association was asked for.
        during: Called in the middle of every instance, for what happens at the same time.
    """

    name: str
    chance: Random
    clock: Callable[[], float]
    mood: Mood = Mood.WELL
    poison: dict[str, Manner] = field(default_factory=dict)
    received: dict[str, set[bytes]] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)
    refused_contexts: dict[Context, int] = field(default_factory=dict)
    opened_at: list[float] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def open(self, _name: str, contexts: Sequence[Context]) -> Association:
        """Prepare an association."""
        return Association(self, tuple(contexts))

    def strikes(self, uid: str, context: Context) -> int:
        """How often it gave a reason to give an instance up."""
        return self.bad.get(uid, 0) + self.refused_contexts.get(context, 0)

    def take(self, uid: str, chunks: Iterable[bytes]) -> int:
        """Do with an instance what the mood says."""
        manner = self._manner(uid)
        self.during()
        if manner not in (Manner.TAKE, Manner.WARN):
            self.bad[uid] = self.bad.get(uid, 0) + 1
        if manner is Manner.ABORT:
            raise PeerAborted(2, 0)
        dataset = b"".join(chunks)
        if manner in (Manner.TAKE, Manner.WARN, Manner.LATE, Manner.LOST):
            self.received.setdefault(uid, set()).add(dataset)
        return self._answer(manner)

    def _manner(self, uid: str) -> Manner:
        if uid in self.poison:
            return self.poison[uid]
        return self.chance.choice(COMMON) if self.mood is Mood.MOODY else Manner.TAKE

    def _answer(self, manner: Manner) -> int:
        if manner is Manner.LATE:
            raise Timeout("ordered by the test")
        if manner is Manner.LOST:
            raise ConnectionLost("ordered by the test")
        return {
            Manner.TAKE: 0x0000,
            Manner.WARN: WARNING,
            Manner.NO_ROOM: NO_ROOM,
            Manner.REFUSE: CANNOT_UNDERSTAND,
            Manner.FORBID: NOT_AUTHORISED,
        }[manner]


class Association:
    """One association with a destination."""

    last_comment = ""

    def __init__(self, destination: Destination, contexts: tuple[Context, ...]) -> None:
        """Prepare."""
        self._destination = destination
        self._contexts = contexts

    def __enter__(self) -> Self:
        """Connect."""
        there = self._destination
        there.opened_at.append(there.clock())
        if there.mood is Mood.DOWN:
            raise ConnectionLost("ordered by the test")
        if there.mood in (Mood.BUSY, Mood.STERN):
            raise PeerRejected(2 if there.mood is Mood.BUSY else 1, 1, 1)
        if there.mood is Mood.PICKY:
            refused = there.refused_contexts
            for context in self._contexts:
                if self._is_refused(context):
                    refused[context] = refused.get(context, 0) + 1
        return self

    def __exit__(self, *_: object) -> None:
        """Release."""

    def accepted(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether the context was proposed and is accepted."""
        context = (sop_class_uid, transfer_syntax_uid)
        picky = self._destination.mood is Mood.PICKY
        return context in self._contexts and not (picky and self._is_refused(context))

    def store(
        self, sop_class_uid: str, instance: str, transfer_syntax_uid: str, chunks: Iterable[bytes]
    ) -> int:
        """Offer an instance."""
        assert self.accepted(sop_class_uid, transfer_syntax_uid)
        return self._destination.take(instance, chunks)

    @staticmethod
    def _is_refused(context: Context) -> bool:
        return context[0].endswith("1.4")

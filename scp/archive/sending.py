"""Stored instances to a destination at once, as a client asks for it: no queue, no retry.

One association after the other, because each proposes at most 128 presentation contexts. An
instance is sent in the transfer syntax that it is stored in, and its digest is checked while it
is sent: a damaged one aborts the association before the peer has all of it.

Source: PS3.4 B.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from scp.archive.reading import stored_file
from scp.errors import ScpError, SpoolError, TransportError
from scp.sender import SenderAssociation
from scp.status import judge_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scp.archive.resources import StoredInstance
    from scp.spool import Spool

MOST_CONTEXTS: Final = 128
NOT_TAKEN: Final = "the destination does not take its SOP class in its transfer syntax"

Context: TypeAlias = tuple[str, str]
"""A SOP class and a transfer syntax."""
Associate: TypeAlias = Callable[[Sequence[Context]], SenderAssociation]
"""Prepares an association that proposes these."""


class NotSent(ScpError):
    """The destination does not have an instance; the message says why and quotes nothing of it."""


def send(
    spool: Spool,
    instances: Sequence[StoredInstance],
    associate: Associate,
    *,
    permissive: bool = False,
) -> int:
    """Send instances; returns how many the destination does not have.

    Args:
        spool: Where they are.
        instances: In any order.
        associate: Makes an association.
        permissive: Whether to go on behind one that failed.

    Raises:
        NotSent: one was not taken, and `permissive` is False; those before it were.
        TransportError: the destination cannot be reached, and likewise.
        SpoolError: a file is gone or damaged, and likewise.
    """
    failed = 0
    for batch in _batches(instances):
        sent = 0
        try:
            with associate(sorted({_context(one) for one in batch})) as association:
                for instance in batch:
                    failed += not _sent(spool, association, instance, permissive=permissive)
                    sent += 1
        except (TransportError, SpoolError):
            if not permissive:
                raise
            failed += len(batch) - sent
    return failed


def _sent(
    spool: Spool,
    association: SenderAssociation,
    instance: StoredInstance,
    *,
    permissive: bool,
) -> bool:
    reason = _reason(spool, association, instance)
    if reason and not permissive:
        raise NotSent(reason)
    return not reason


def _reason(spool: Spool, association: SenderAssociation, instance: StoredInstance) -> str:
    """Why the destination does not have it now; empty if it does."""
    context = _context(instance)
    if not association.accepted(*context):
        return NOT_TAKEN
    data = spool.read_intact(stored_file(instance), instance.dataset_offset)
    status = association.store(context[0], instance.sop_instance_uid, context[1], data)
    verdict = judge_status(status)
    return "" if verdict.delivered else f"{verdict.value} (status {status:#06x})"


def _batches(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    """What one association can carry; instances of one context stay together."""
    batch: list[StoredInstance] = []
    contexts: set[Context] = set()
    for instance in sorted(instances, key=_context):
        context = _context(instance)
        if context not in contexts and len(contexts) == MOST_CONTEXTS:
            yield batch
            batch, contexts = [], set()
        contexts.add(context)
        batch.append(instance)
    if batch:
        yield batch


def _context(instance: StoredInstance) -> Context:
    return instance.sop_class_uid, instance.transfer_syntax_uid

"""The first frame of a stored instance as a PNG, one at a time.

- Only that frame is read; what it takes to show it is reserved in the node's budget.
- Compressed pixels are decoded where the node decodes all pixels, in a process of its own: what a
  codec does with a hostile stream harms nobody else. Native ones are only copied.
- Whoever waits for another's picture takes no thread.

Source: PS3.5 A.4.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from anyio import Lock
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from rules.compiler import compile_plan
from rules.errors import DeidentificationError, InstanceRefused
from rules.language.schema import ready_made
from rules.targets import NATIVE
from rules.transfer import EXPLICIT_LITTLE
from scp.admission import WAIT_S
from scp.api.errors import Code, Fault
from scp.api.stored import stored_instance
from scp.archive.first_frame import encoded_frame, find_first_frame, read_first_frame
from scp.archive.modifier import Treatment
from scp.errors import OutOfSpace
from scp.images import NoPicture, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request
    from pydicom.dataset import Dataset

    from rules import Plan
    from scp.api.services import Services
    from scp.archive.resources import StoredInstance
    from scp.limits import Budget

_MOST_BYTES: Final = 64 << 20
"""Of a frame: with its copies within what a node reserves by default."""
_COPIES: Final = 6
"""Of a frame in memory at once, at most: read, encoded, decoded, as grey values and as a PNG."""
_UNSUPPORTED: Final = 415


class Previews:
    """Makes pictures for the requests of one application."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turn = Lock()

    async def of(self, id_: str, request: Request) -> bytes:
        """A PNG of the instance of an identifier.

        Raises:
            Missing: there is none.
            Fault: 415, with the reason: no pixels, no codec, too large.
            OutOfSpace: the budget stayed spent for too long.
            SpoolError: the instance is gone or damaged.
            ClientDisconnect: nobody waits any more.
        """
        instance = await run_in_threadpool(stored_instance, self._services, id_)
        async with self._turn:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await run_in_threadpool(_preview, self._services, instance)


def _preview(services: Services, instance: StoredInstance) -> bytes:
    try:
        return _picture(services, instance)
    except NoPicture as error:
        raise _no_picture(str(error)) from None
    except (InstanceRefused, DeidentificationError):
        raise _no_picture("the pixels cannot be decoded") from None


def _picture(services: Services, instance: StoredInstance) -> bytes:
    frame = find_first_frame(services.spool, instance)
    if frame.size_bytes > _MOST_BYTES:
        raise NoPicture("the pixels are too large for a preview")
    with _reserved(services.budget, _COPIES * frame.size_bytes):
        found = read_first_frame(services.spool, instance, frame)
        is_native = instance.transfer_syntax_uid in NATIVE
        return png(found if is_native else _decoded(services, found))


@contextmanager
def _reserved(budget: Budget, count_bytes: int) -> Iterator[None]:
    if not budget.reserve(count_bytes, WAIT_S):
        raise OutOfSpace("the bytes in flight are at their limit")
    try:
        yield
    finally:
        budget.release(count_bytes)


def _decoded(services: Services, frame: Dataset) -> bytes:
    syntax = str(frame.file_meta.TransferSyntaxUID)
    treatment = Treatment(_keep_all(), EXPLICIT_LITTLE)
    return services.modifier.rewritten(encoded_frame(frame), syntax, treatment)


@cache
def _keep_all() -> Plan:
    return compile_plan(ready_made("keep-all"))


def _no_picture(reason: str) -> Fault:
    said = f"There is no preview: {reason}"
    return Fault(Code.NOT_IMPLEMENTED, said, http_status=_UNSUPPORTED)

"""The answer to a client that waits for a job: it comes when the job ends, and takes no thread.

A client that goes away is waited for no longer; its job goes on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from fastapi import Response

from scp.api.answers import answer
from scp.api.errors import Code, Fault, code_of, unknown_resource

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from scp.archive.job import Job
    from scp.archive.jobs import Jobs


class Waiting(Response):
    """What a job has made, or why it has failed; raises `Fault` where it is sent."""

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        super().__init__()
        self._jobs = jobs
        self._job_id = job_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, and answer whoever is still there."""
        ended = self._told()
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if ended.done():
            await _outcome(ended.result())(scope, receive, send)

    def _told(self) -> asyncio.Future[Job]:
        """The job, as soon as its end is told."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Job] = loop.create_future()

        def tell(job: Job) -> None:
            with suppress(RuntimeError):  # the server has ended, and with it whoever waited
                loop.call_soon_threadsafe(ended.set_result, job)

        if not self._jobs.when_ended(self._job_id, tell):
            raise unknown_resource("The job has ended and is forgotten")
        return ended


async def _gone(receive: Receive) -> None:
    """Return when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _outcome(job: Job) -> Response:
    if not job.state.is_final:
        said = "The node stops; the job goes on after its next start"
        raise Fault(Code.TIMEOUT, said, http_status=503)
    if job.error.status:
        raise Fault(code_of(job.error.status), job.error.details)
    return answer(dict(job.content))

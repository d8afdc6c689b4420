"""/jobs: what is being done, how far it is, and what became of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from scp.api.answers import answer, exact_moment, nothing, plain
from scp.api.errors import Code, Fault, Missing
from scp.api.parameters import Flag, is_set
from scp.api.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from scp.api.services import Services
    from scp.archive.job import Job, JobRequest


def routes(services: Services) -> APIRouter:
    """The routes of jobs."""
    router = APIRouter(tags=["jobs"])

    @router.get("/jobs")
    def listing(expand: Flag = None) -> Response:
        """Identifiers in the order they came, or `?expand`: all that is said of each."""
        found = services.jobs.listing()
        if is_set(expand):
            return answer([described(job) for job in found])
        return answer([job.id for job in found])

    @router.get("/jobs/{id_}")
    def single(id_: str) -> Response:
        """All that is said of one; `Progress` is what is done, in per cent."""
        job = services.jobs.job(id_)
        if job is None:
            raise Missing
        return answer(described(job))

    @router.delete("/jobs/{id_}")
    def delete(id_: str) -> Response:
        """Forget one that has ended."""
        if not services.jobs.delete(id_):
            raise Fault(Code.NO_SUCH_ITEM, "No job found with this id")
        return plain("")

    jobs = services.jobs
    _add_action(router, "cancel", jobs.cancel, "End one; nothing of what it made stays.")
    _add_action(router, "pause", jobs.pause, "Hold one.")
    _add_action(router, "resume", jobs.resume, "Go on with one that was held.")
    _add_action(router, "resubmit", jobs.resubmit, "Begin a failed one anew, with the same UIDs.")
    return router


def _add_action(
    router: APIRouter, name: str, act: Callable[[str], bool], description: str
) -> None:
    def action(id_: str) -> Response:
        return answer({}) if act(id_) else nothing(400)

    router.post(f"/jobs/{{id_}}/{name}", name=name, description=description)(action)


def described(job: Job) -> dict[str, object]:
    """A job as Orthanc describes it in JSON."""
    found: dict[str, object] = {
        "Content": dict(job.content),
        "CreationTime": exact_moment(job.created_at),
        "EffectiveRuntime": round(job.runtime_s, 3),
        "ErrorCode": job.error.status,
        "ErrorDescription": job.error.message,
        "ErrorDetails": job.error.details,
        "ID": job.id,
        "Priority": job.priority,
        "Progress": job.progress,
        "State": job.state.value,
        "Timestamp": exact_moment(time.time()),
        "Type": job.kind.value,
    }
    if job.completed_at is not None:
        found["CompletionTime"] = exact_moment(job.completed_at)
    if job.user_data is not None:
        found["UserData"] = job.user_data
    return found


def origin(request: Request) -> dict[str, str]:
    """Metadata of what a request makes: where it came from."""
    user = request.scope.get("state", {}).get("user")
    found = {"Origin": "RestApi", "RemoteIP": request.client.host if request.client else ""}
    return found | ({"HttpUsername": str(user)} if user else {})


def run(services: Services, asked: JobRequest, *, synchronous: bool) -> Response:
    """Have something done: the answer is what it made, or the job that makes it.

    Where it is to be waited for, the answer waits: see `waiting`.

    Raises:
        JobRefused, RequestFault: it cannot be done.
    """
    id_ = services.jobs.submit(asked)
    if synchronous:
        return Waiting(services.jobs, id_)
    return answer({"ID": id_, "Path": f"/jobs/{id_}"})

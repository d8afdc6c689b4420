"""Jobs in the journal's database: what survives a restart.

A job and what it was asked for are one row. The request goes once the job has succeeded, because
nothing can ask for it any more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from scp.archive.catalogue_tables import jobs
from scp.archive.job import Job, JobError, JobKind, JobRequest, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scp.journal import Journal

ADD: Final = sa.insert(jobs)
SAVE: Final = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"))
    .values(
        {
            name: sa.bindparam(f"new_{name}")
            for name in (
                "state",
                "content",
                "progress",
                "started_at",
                "completed_at",
                "runtime_s",
                "error_code",
                "error_message",
                "error_details",
                "seq",
            )
        }
    )
)
FORGET_REQUEST: Final = sa.update(jobs).where(jobs.c.id == sa.bindparam("job")).values(request="")
ALL: Final = sa.select(*(column for column in jobs.c if column.name != "request")).order_by(
    jobs.c.seq
)
REQUEST: Final = sa.select(jobs.c.request).where(jobs.c.id == sa.bindparam("job"))
DROP: Final = sa.delete(jobs).where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))


class JobStore:
    """The jobs of one node; safe for use by many threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, job: Job, request: JobRequest) -> None:
        """Note a new job, durably.

        Raises:
            OutOfSpace: The disk is full.
            JournalError: It could not be committed.
        """
        values = {
            **_values(job),
            "id": job.id,
            "kind": job.kind.value,
            "priority": job.priority,
            "created_at": job.created_at,
            "request": request.to_json(),
            "user_data": None if job.user_data is None else _text(job.user_data),
        }
        self._journal.write(lambda writer: writer.core.execute(ADD, values), durable=True)

    def save(self, current: Callable[[], Job], *, durable: bool = True) -> None:
        """Note where a job stands.

        Args:
            current: Gives the job, asked inside the transaction: of two threads that note the
                same job, the later one notes the later state.
            durable: Whether it must be on the disk on return.

        Raises:
            OutOfSpace: The disk is full.
            JournalError: It could not be committed.
        """
        self._journal.write(lambda writer: _save(writer.core, current()), durable=durable)

    def drop(self, ids: Sequence[str]) -> None:
        """Forget some jobs.

        Raises:
            JournalError: It could not be committed.
        """
        values = {"ids": list(ids)}
        self._journal.write(lambda writer: writer.core.execute(DROP, values), durable=False)

    def request(self, job_id: str) -> JobRequest | None:
        """What a job was asked for; None if it is unknown or has succeeded.

        Raises:
            JournalError: It cannot be read.
        """
        rows = self._journal.rows(REQUEST, {"job": job_id})
        return JobRequest.from_json(rows[0].request) if rows and rows[0].request else None

    def all(self) -> list[Job]:
        """Every job, in the order they came.

        Raises:
            JournalError: They cannot be read.
        """
        return [_job(row) for row in self._journal.rows(ALL)]


def outcome(job: Job) -> Callable[[Any], None]:
    """Notes where a job stands, through the connection of somebody's transaction."""
    return lambda connection: _save(connection, job)


def _save(connection: sa.Connection, job: Job) -> None:
    values = {f"new_{name}": value for name, value in _values(job).items()}
    connection.execute(SAVE, {**values, "job": job.id})
    if job.state is JobState.SUCCESS:
        connection.execute(FORGET_REQUEST, {"job": job.id})


def _values(job: Job) -> dict[str, Any]:
    """The columns that change."""
    return {
        "state": job.state.value,
        "content": _text(job.content),
        "progress": job.progress,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "runtime_s": job.runtime_s,
        "error_code": job.error.status,
        "error_message": job.error.message,
        "error_details": job.error.details,
        "seq": job.seq,
    }


def _job(row: sa.Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=JobKind(row.kind),
        state=JobState(row.state),
        priority=row.priority,
        content=json.loads(row.content),
        created_at=row.created_at,
        progress=row.progress,
        started_at=row.started_at,
        completed_at=row.completed_at,
        runtime_s=row.runtime_s,
        error=JobError(row.error_code, row.error_message, row.error_details),
        user_data=None if row.user_data is None else json.loads(row.user_data),
        seq=row.seq,
    )


def _text(value: Mapping[str, object] | object) -> str:
    return json.dumps(value, separators=(",", ":"))

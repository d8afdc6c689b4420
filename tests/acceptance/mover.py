"""A process that moves studies for ever: `python -m tests.acceptance.mover FOLDER [PROCESSES]`.

Each job gives a study new UIDs and removes the old one, so that at every moment as many instances
are stored as in the beginning. It says a line when it has begun, with the ids of the processes
that help it, and one for each job that ends.
"""

# ruff: noqa: T201 - the lines are what the parent waits for

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRefused, JobRequest
from scp.archive.jobs import Jobs
from scp.archive.rewriters import Rewriters, Sizes
from scp.limits import Budget
from tests.scp.archive.archives import Archive, Silent
from tests.scp.archive.rewriting_apart import setup_of, until

AT_ONCE = 2


def main(data: Path, processes: int = 0) -> None:
    """Move every study there is, again and again."""
    archive = Archive(data, dies=True)
    rewriters = helping(archive, processes) if processes else None
    jobs = Jobs(
        archive.catalogue,
        archive.modifier,
        archive.journal,
        archive.pseudonyms,
        log=Silent(),
        rewriters=rewriters,
    )
    jobs.start()
    print("moving", *(rewriters.pids if rewriters else ()), flush=True)
    for number in count():
        studies = archive.ids(Level.STUDY)
        ids = [id_ for study in studies[:AT_ONCE] if (id_ := submitted(jobs, study, number))]
        for id_ in ids:
            jobs.wait(id_)
            print("moved", flush=True)


def helping(archive: Archive, processes: int) -> Rewriters:
    """Processes that help with jobs of any size, and are ready."""
    made = Rewriters(
        setup_of(archive), Budget(1 << 30), processes=processes, sizes=Sizes(1, 1), log=Silent()
    )
    made.prepare()
    assert until(lambda: made.ready == processes)
    return made


def submitted(jobs: Jobs, study: str, number: int) -> str:
    """The job that moves a study; empty if an earlier one has just moved it."""
    body = {"KeepSource": False, "Replace": {"StudyDescription": f"move {number}"}}
    try:
        return jobs.submit(JobRequest(JobKind.MODIFICATION, body, (study,), level=Level.STUDY))
    except JobRefused:
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

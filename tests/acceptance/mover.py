"""A process that moves studies for ever: `python -m tests.acceptance.mover FOLDER`.

Each job gives a study new UIDs and removes the old one, so that at every moment as many instances
are stored as in the beginning. It says a line when it has begun, and one for each job that ends.
"""

# ruff: noqa: T201 - the lines are what the parent waits for

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRefused, JobRequest
from scp.archive.jobs import Jobs
from tests.scp.archive.archives import Archive, Silent

AT_ONCE = 2


def main(data: Path) -> None:
    """Move every study there is, again and again."""
    archive = Archive(data, dies=True)
    jobs = Jobs(
        archive.catalogue, archive.modifier, archive.journal, archive.pseudonyms, log=Silent()
    )
    jobs.start()
    print("moving", flush=True)
    for number in count():
        studies = archive.ids(Level.STUDY)
        ids = [id_ for study in studies[:AT_ONCE] if (id_ := submitted(jobs, study, number))]
        for id_ in ids:
            jobs.wait(id_)
            print("moved", flush=True)


def submitted(jobs: Jobs, study: str, number: int) -> str:
    """The job that moves a study; empty if an earlier one has just moved it."""
    body = {"KeepSource": False, "Replace": {"StudyDescription": f"move {number}"}}
    try:
        return jobs.submit(JobRequest(JobKind.MODIFICATION, body, (study,), level=Level.STUDY))
    except JobRefused:
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))

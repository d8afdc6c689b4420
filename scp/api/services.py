"""What the routers work with: the parts of the node, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules import Pseudonyms
    from scp.archive.catalogue import Catalogue
    from scp.archive.jobs import Jobs
    from scp.archive.modifier import Modifier
    from scp.ingest import Ingest, Route
    from scp.journal import Journal
    from scp.limits import Budget
    from scp.settings import Config
    from scp.spool import Spool


@dataclass(slots=True)
class Services:
    """The parts of the node that requests are answered with.

    Attributes:
        config: What the file says; `config.rest` is not None. A reload puts another one here:
            look it up for every request, once.
        upload_route: What the instances of one upload are received by.
        dicom_port: Where the node receives.
        http_port: Where it answers.
        budget: Of the bytes that all work of the node holds in memory.
    """

    config: Config
    catalogue: Catalogue
    jobs: Jobs
    modifier: Modifier
    ingest: Ingest
    journal: Journal
    spool: Spool
    pseudonyms: Pseudonyms
    upload_route: Callable[[], Route]
    dicom_port: int
    http_port: int
    budget: Budget

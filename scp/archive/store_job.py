"""Sending what is stored to a destination of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rules import requests
from scp.archive.job import JobRefused, Status
from scp.archive.job_stock import DESCRIPTION
from scp.archive.sending import Sending
from scp.sender import called

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scp.archive.job import JobRequest
    from scp.archive.job_stock import Stock
    from scp.settings import Destination
    from scp.spool import Spool


@dataclass(frozen=True, slots=True)
class StoreJob:
    """DicomModalityStore.

    Attributes:
        destinations: Those of the configuration as it is when asked.
    """

    stock: Stock
    spool: Spool
    destinations: Callable[[], Mapping[str, Destination]]

    def check(self, request: JobRequest) -> tuple[JobRequest, dict[str, object]]:
        """Refuse what is not stored, and whom the configuration does not name."""
        destination = self._destination(request)
        self._refuse_unknown(request)
        content: dict[str, object] = {
            **DESCRIPTION,
            "LocalAet": destination.calling_ae_title,
            "RemoteAet": destination.ae_title,
        }
        return request, content | ({"ParentResources": list(request.ids)} if request.ids else {})

    def begin(self, _job_id: str, request: JobRequest) -> Sending:
        """The work.

        Raises:
            JobRefused: what was to be sent, or to receive it, is not there any more.
        """
        destination = self._destination(request)
        self._refuse_unknown(request)
        options = requests.read_job_options(request.body, keep_source_default=True)
        return Sending(
            self.stock.catalogue.instances(request.ids),
            partial(called, destination),
            self.spool,
            self.stock.catalogue,
            permissive=options.permissive,
        )

    def _destination(self, request: JobRequest) -> Destination:
        found = self.destinations().get(request.destination)
        if found is None:
            said = f"No modality with symbolic name: {request.destination}"
            raise JobRefused(Status.NO_SUCH_ITEM, said)
        return found

    def _refuse_unknown(self, request: JobRequest) -> None:
        for id_ in request.ids:
            self.stock.resource(id_, None, "Resources: there is no such resource")

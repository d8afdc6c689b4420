"""The REST side of a node: its catalogue, its jobs and its server, in order up and down.

Up: users and certificate read -> address bound -> jobs of an earlier life taken up -> server.
Down: nothing new is let in -> jobs end between two instances, and whoever waits for one is told ->
the server ends. A job that has not ended goes on after the next start.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scp import logs
from scp.api.app import build_app
from scp.api.credentials import NAME, handed_over, load_users
from scp.api.guard import Guard
from scp.api.server import ApiServer
from scp.api.services import Services
from scp.archive.catalogue import Catalogue
from scp.archive.jobs import Jobs
from scp.archive.modifier import Modifier
from scp.archive.rewriter_talk import Setup
from scp.archive.rewriters import IDLE_S, SHARE_BYTES, Rewriters
from scp.binding import bound_for
from scp.errors import KeyFileError
from scp.settings import SYSTEMD

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules import Limits, Pseudonyms
    from scp.api.credentials import Users
    from scp.ingest import Ingest, Route
    from scp.journal import Journal
    from scp.limits import Budget
    from scp.pixel_worker import PixelWorker
    from scp.settings import Config, RestConfig
    from scp.spool import Spool

_CUT_S: Final = 2.5
_NOT_HANDED_OVER: Final = (
    f"systemd hands over no credential of this name: LoadCredential={NAME}:/etc/anonode/{NAME}"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the node has already, and the REST side shares."""

    config: Config
    journal: Journal
    spool: Spool
    ingest: Ingest
    pseudonyms: Pseudonyms
    pixels: PixelWorker
    budget: Budget
    limits: Limits
    upload_route: Callable[[], Route]


class Rest:
    """The REST side of one node; start it once, stop it once."""

    def __init__(self, config: RestConfig, parts: Parts) -> None:
        """Read users, bind the address.

        Raises:
            KeyFileError: users, certificate or key cannot be used.
            OSError: the address cannot be bound; its file name is what was to be bound.
        """
        self._config = config
        self._parts = parts
        self._users = _users(config)
        self._log = logs.log()
        self._catalogue = Catalogue(parts.journal)
        self._modifier = Modifier(
            parts.spool,
            parts.pseudonyms,
            blank=parts.pixels,
            transcode=parts.pixels,
            limits=parts.limits,
            budget=parts.budget,
        )
        self._rewriters = Rewriters(_setup(parts), parts.budget)
        self._jobs = Jobs(
            self._catalogue,
            self._modifier,
            parts.journal,
            parts.pseudonyms,
            destinations=lambda: self._present.destinations,
            rewriters=self._rewriters,
        )
        address = (config.host, config.port)
        with bound_for("rest.listen", address):
            self._server = ApiServer(address, connections=config.connections, tls=_tls(config))
        self._present = parts.config
        self._services: Services | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it answers."""
        return self._server.address

    def start(self, dicom_port: int) -> None:
        """Take up what an earlier life left, and begin to answer.

        Raises:
            JournalError: the jobs cannot be read.
        """
        config = self._config
        self._services = services = self._made_services(dicom_port)
        app = build_app(services, self._guard(), threads=config.connections)
        self._server.prepare(app)
        self._jobs.start()
        self._server.start()
        self._log.info("answering", port=self.address[1])

    def keep(self) -> None:
        """Note what has become stable; to be called every second or so."""
        self._rewriters.keep()
        try:
            self._catalogue.settle()
        except Exception as error:  # noqa: BLE001 - the thread that calls this keeps the node up
            self._log.warning("the catalogue was not settled", **logs.of_error(error))

    def reload_certificate(self) -> None:
        """Read certificate and key again.

        Raises:
            KeyFileError: they cannot be used; those read before still count.
        """
        self._server.reload_certificate()

    def follow(self, config: Config) -> None:
        """Answer by another configuration from now on."""
        self._present = config
        if self._services is not None:
            self._services.config = config

    def stop(self, grace_s: float) -> bool:
        """Let nobody in any more, let what is under way end, then end everything.

        Args:
            grace_s: How long requests and jobs under way may take; some seconds later all ends.

        Returns:
            Whether every thread has ended.
        """
        by = time.monotonic() + grace_s + _CUT_S
        self._server.begin_stop(grace_s)
        idle = self._jobs.stop(grace_s + _CUT_S)
        self._rewriters.close()
        return self._server.join(max(0.0, by - time.monotonic())) and idle

    def _made_services(self, dicom_port: int) -> Services:
        parts = self._parts
        return Services(
            config=self._present,
            catalogue=self._catalogue,
            jobs=self._jobs,
            modifier=self._modifier,
            ingest=parts.ingest,
            journal=parts.journal,
            spool=parts.spool,
            pseudonyms=parts.pseudonyms,
            upload_route=parts.upload_route,
            dicom_port=dicom_port,
            http_port=self.address[1],
            budget=parts.budget,
        )

    def _guard(self) -> Guard:
        return Guard(
            hosts=self._config.hosts | {"localhost", self._config.host.lower()},
            users=self._users,
            body_limit_bytes=self._config.body_limit_bytes,
            upload_limit_bytes=self._config.upload_limit_bytes,
        )


def _setup(parts: Parts) -> Setup:
    """What the processes that rewrite must know."""
    return Setup(
        data=parts.config.node.data,
        key=parts.pseudonyms.key,
        marks=parts.spool.room.marks,
        limits=parts.limits,
        budget_bytes=SHARE_BYTES,
        idle_s=IDLE_S,
    )


def _tls(config: RestConfig) -> tuple[Path, Path] | None:
    if config.tls_certificate is None or config.tls_key is None:
        return None
    return config.tls_certificate, config.tls_key


def _users(config: RestConfig) -> Users | None:
    """Who may enter; None for everybody.

    Raises:
        KeyFileError: who may enter cannot be read.
    """
    named = config.credentials
    if isinstance(named, Path):
        return load_users(named)
    found = handed_over()
    if found is None and named == SYSTEMD:
        raise KeyFileError(Path(NAME), _NOT_HANDED_OVER)
    return None if found is None else load_users(found)

"""The node: builds everything, starts it in order, stops it in order.

Start: profiles compiled -> spool and journal recovered -> addresses bound -> rule sets noted ->
forwarder -> listener -> jobs and REST API. Nothing listens before what an earlier life left
behind is in order.
Stop: listener drained -> jobs and REST API ended -> pixel processes ended -> forwarder finishes
the instance it is sending -> journal closed. What was acknowledged is on disk at every moment of
this, so stopping late or not at all loses nothing.
"""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING, Final

from rules import Deidentifier, Pseudonyms, compile_plan
from rules import Limits as DatasetLimits
from scp import __version__, logs
from scp.admission import Admitted
from scp.errors import ScpError
from scp.forwarder import Forwarder, Policy
from scp.ingest import Ingest
from scp.instance import RuleSet
from scp.journal import FILE_NAME, Journal
from scp.limits import Budget, Limits
from scp.listener import Listener
from scp.pixel_worker import PixelWorker
from scp.routes import RouteMiss
from scp.sender import SenderAssociation, Timeouts
from scp.spool import Spool
from scp.transport import BAD_CALLED_AE, BAD_CALLING_AE, Accepted, AssociationRequest, Rejected
from scp.wire import Signal

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from rules import Plan
    from rules.profile import Profile
    from scp.api.rest import Rest
    from scp.ingest import Route
    from scp.instance import StoreRequest
    from scp.settings import Config, Destination

_CHECKPOINT_EVERY_S: Final = 1.0
_COLLECT_AFTER: Final = 50_000
_FORWARDER_STOP_S: Final = 5.0
_DAY_S: Final = 86400.0
# Each may take a gigabyte and a half; four of them blank more than a gigabit a second brings.
_MOST_PIXEL_PROCESSES: Final = 4
_REJECTIONS: Final = {
    "calling": BAD_CALLING_AE,
    "called": BAD_CALLED_AE,
    # PS3.8 has no reason for an address; the calling AE title is not one of that address.
    "address": BAD_CALLING_AE,
}


class Node:
    """One node; start it once, stop it once.

    Attributes:
        stopping: Set when the node is to stop; by a signal, or by itself after a failed sync.
        failed: Whether it is to stop because a sync has failed.
    """

    def __init__(
        self, config: Config, key: bytes, *, sockets: Sequence[socket.socket] = ()
    ) -> None:
        """Compile the profiles, recover what the disk holds, bind the address.

        Args:
            config: What the file says.
            key: Of the pseudonyms.
            sockets: Listening sockets to adopt instead of binding the configured address.

        Raises:
            DocumentError: a profile cannot be compiled.
            SpoolError, JournalError: the data folder cannot be used.
            OSError: the address cannot be bound.
        """
        self.stopping = threading.Event()
        self.failed = False
        self._config = config
        self._log = logs.log()
        self._pseudonyms = Pseudonyms(key)
        used = {route.profile for route in config.routes}
        used |= {config.rest.profile} if config.rest else set()
        self._plans = {name: compile_plan(config.profiles[name]) for name in sorted(used)}
        self._unnoted = [
            _rule_set(plan, config.profiles[name]) for name, plan in self._plans.items()
        ]
        self._pixels = PixelWorker(min(len(os.sched_getaffinity(0)), _MOST_PIXEL_PROCESSES))
        self._spool = Spool(config.node.data)
        self._journal = Journal(self._spool.private_file(FILE_NAME))
        self._recover()
        self._cut = Signal()
        self._budget = Budget(config.node.in_flight_bytes)
        self._forwarder = self._make_forwarder()
        self._ingest = Ingest(
            self._spool, self._journal, self._deidentifier, wake=self._forwarder.wake
        )
        self._rest = self._make_rest()
        addresses: Sequence[tuple[str, int] | socket.socket] = sockets or [self._own_address]
        self._listeners = [self._listener(address) for address in addresses]
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port of the first listener."""
        return self._listeners[0].address[1]

    @property
    def addresses(self) -> str:
        """Where it listens, for people."""
        return ", ".join(f"{host}:{port}" for host, port in self._addresses())

    @property
    def rest_address(self) -> tuple[str, int] | None:
        """Where it answers HTTP; None if it does not."""
        return self._rest.address if self._rest else None

    def start(self) -> None:
        """Begin to forward, to receive and to answer."""
        self._warn_of_what_passes()
        self._note_rule_sets()
        self._keeper.start()
        self._forwarder.start()
        for listener in self._listeners:
            listener.start()
        for _, port in self._addresses():
            self._log.info("receiving", port=port, version=__version__)
        if self._rest:
            self._rest.start(self.port)

    def stop(self) -> bool:
        """Drain, and end everything in bounded time.

        Returns:
            Whether every thread has ended; if not, only the end of the process ends it.
        """
        self.stopping.set()
        if self._rest:
            self._rest.begin_stop()
        stuck = sum(listener.stop(self._config.node.drain_s) for listener in self._listeners)
        rested = self._rest is None or self._rest.stop()
        self._pixels.close()
        if stuck:  # those that waited for pixels do not any more
            stuck = sum(one.stop(0.0) for one in self._listeners if one.associations)
        ended = self._forwarder.stop(_FORWARDER_STOP_S)
        if not ended:
            self._cut.set()
            ended = self._forwarder.stop(_FORWARDER_STOP_S)
        self._keeper.join(_FORWARDER_STOP_S)
        clean = ended and rested and not stuck and not self._keeper.is_alive()
        if clean:
            self._journal.close()
            self._spool.close()
        self._log.info("stopped", count=stuck)
        return clean

    # --- parts

    def _recover(self) -> None:
        found = self._spool.recover(self._journal.files)
        if found.deleted:
            self._log.info("unacknowledged files deleted", count=found.deleted)
        if found.missing:
            self._log.error("stored files are missing", count=len(found.missing))
            self._journal.lose(found.missing, outcome="the stored file is missing")

    def _make_rest(self) -> Rest | None:
        config = self._config.rest
        if config is None:
            return None
        # Who has no REST API waits neither for its libraries nor for its tables.
        from scp.api.rest import Parts, Rest  # noqa: PLC0415

        parts = Parts(
            config=self._config,
            journal=self._journal,
            spool=self._spool,
            ingest=self._ingest,
            pseudonyms=self._pseudonyms,
            pixels=self._pixels,
            budget=self._budget,
            limits=DatasetLimits(header_bytes=self._config.node.header_bytes),
        )
        return Rest(config, parts)

    def _make_forwarder(self) -> Forwarder:
        destinations = self._config.destinations
        policies = {name: _policy(destination) for name, destination in destinations.items()}
        return Forwarder(
            self._journal, self._spool, destinations, self._association, policies=policies
        )

    def _association(self, name: str, contexts: Sequence[tuple[str, str]]) -> SenderAssociation:
        destination = self._config.destinations[name]
        return SenderAssociation(
            (destination.host, destination.port),
            destination.calling_ae_title,
            destination.ae_title,
            contexts,
            Timeouts(response_s=destination.response_s),
            stop=self._cut,
        )

    def _deidentifier(self, route: Route, request: StoreRequest) -> Admitted:
        engine = Deidentifier(
            self._plans[route.profile],
            self._pseudonyms,
            request.transfer_syntax_uid,
            # An upload says neither; of a C-STORE both are checked to be UIDs before.
            sop_class_uid=request.sop_class_uid or None,
            sop_instance_uid=request.sop_instance_uid or None,
            limits=DatasetLimits(header_bytes=self._config.node.header_bytes),
            blank=self._pixels,
        )
        return Admitted(engine, self._budget)

    @property
    def _own_address(self) -> tuple[str, int]:
        return self._config.node.host, self._config.node.port

    def _listener(self, address: tuple[str, int] | socket.socket) -> Listener:
        node = self._config.node
        limits = Limits(
            connections=node.associations,
            connections_per_address=node.associations_per_address,
            idle_s=node.idle_s,
            message_bytes=node.message_bytes,
        )
        return Listener(
            address,
            self._accept,
            self._ingest.open_store,
            limits=limits,
            extra_classes=node.sop_classes,
            events=self._log.info,
        )

    def _addresses(self) -> list[tuple[str, int]]:
        return [listener.address for listener in self._listeners]

    def _accept(self, request: AssociationRequest) -> Accepted | Rejected:
        found = self._config.route_for(request.calling_ae, request.called_ae, request.address)
        if isinstance(found, RouteMiss):
            return _REJECTIONS[found.what]
        return Accepted(found)

    def _warn_of_what_passes(self) -> None:
        for name in self._plans:
            if self._config.profiles[name].passes_identity:
                self._log.warning("this profile lets identities pass", profile=name)

    def _widen_log(self) -> None:
        """Speed only: a node on a full disk must start, because delivering is what frees it."""
        try:
            self._journal.widen()
        except ScpError as error:
            self._log.warning("the journal's log was not widened", **logs.of_error(error))

    def _note_rule_sets(self) -> None:
        """What the digests in the journal stand for; on a full disk as soon as there is room."""
        try:
            self._journal.note_rule_sets(self._unnoted)
        except ScpError as error:
            self._log.warning("the rule sets were not noted yet", **logs.of_error(error))
        else:
            self._unnoted = []

    def _keep(self) -> None:
        """Checkpoint the journal off the receiving threads, and watch for a failed sync.

        First comes what only makes the node faster, so that nobody waits for it to start.
        """
        self._widen_log()
        _calm_collector()
        while not self.stopping.wait(_CHECKPOINT_EVERY_S):
            if self._spool.fatal.is_set() or self._journal.fatal.is_set():
                self._log.error("a sync has failed: the node stops and must be started again")
                self.failed = True
                self.stopping.set()
                return
            self._checkpoint()
            if self._rest:
                self._rest.keep()
            if self._unnoted:
                self._note_rule_sets()

    def _checkpoint(self) -> None:
        try:
            self._journal.checkpoint()
        except Exception as error:  # noqa: BLE001 - a later one will do; the commits stand
            self._log.warning("the journal was not checkpointed", **logs.of_error(error))


def _calm_collector() -> None:
    """Look for cycles less often, and never again among what the start has made.

    An instance makes hundreds of small tuples and no cycle; by default each would start a
    collection over some of them, a fifth of the time of the whole.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _rule_set(plan: Plan, profile: Profile) -> RuleSet:
    """What the digest of a plan stands for."""
    return RuleSet(
        plan.digest, profile.name, profile.base, profile.edition, profile.options, __version__
    )


def _policy(destination: Destination) -> Policy:
    return Policy(
        base_s=destination.retry_base_s,
        cap_s=destination.retry_cap_s,
        lifetime_s=destination.lifetime_days * _DAY_S,
    )

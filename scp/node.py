"""The node: builds everything, starts it in order, stops it in order.

Start: profiles compiled -> spool and journal recovered -> addresses bound -> rule sets noted ->
forwarder -> listener -> jobs and REST API. Nothing listens before what an earlier life left
behind is in order.
Stop: listeners, forwarder, jobs and REST API finish what is under way, side by side -> after the
grace pixel processes and associations are ended -> journal closed. What was acknowledged is on
disk at every moment of this, so stopping late or not at all loses nothing.
Reload: rules compiled and noted -> destinations served -> rules in force, in one step. Whatever
goes wrong before that step leaves everything as it was.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from rules import Deidentifier, Pseudonyms
from rules import Limits as DatasetLimits
from rules.errors import DocumentError, Mark, Problem
from scp import __version__, logs, watchdog
from scp.admission import Admitted
from scp.binding import bound_for
from scp.ending import Endings
from scp.errors import ScpError
from scp.forwarder import Forwarder
from scp.ingest import Ingest
from scp.keeper import Keeper
from scp.key import confirm_key, note_key
from scp.limits import Budget
from scp.listener import Listener
from scp.loops import own_of, sent_by
from scp.notify import ServiceManager
from scp.parts import limits_of, marks_of, policies_of
from scp.patience import Surroundings
from scp.pixel_worker import PixelWorker
from scp.places import Places
from scp.recovery import Recovery, end_well
from scp.reload import following
from scp.routes import RouteMiss
from scp.rulebook import PinnedRoute, Rulebook
from scp.scrub import Scrub
from scp.sender import SenderAssociation, called
from scp.spool import Spool
from scp.tls import Acceptor, requestor
from scp.transport import (
    BAD_CALLED_AE,
    BAD_CALLING_AE,
    CONGESTED,
    Accepted,
    AssociationRequest,
    Rejected,
)
from scp.watchdog import Part, Watchdog
from scp.wire import Signal

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from scp.api.rest import Rest
    from scp.ingest import Route
    from scp.instance import StoreRequest
    from scp.limits import Limits
    from scp.settings import Config

_CUT_S: Final = 4.5
"""Behind the grace of a stop: for aborts to get out, and for the threads to end."""
# Each may take a gigabyte and a half; four of them blank more than a gigabit a second brings.
_MOST_PIXEL_PROCESSES: Final = 4
_REJECTIONS: Final = {
    "calling": BAD_CALLING_AE,
    "called": BAD_CALLED_AE,
    # PS3.8 has no reason for an address; the calling AE title is not one of that address.
    "address": BAD_CALLING_AE,
    "certificate": BAD_CALLING_AE,
}


class Node:
    """One node; start it once, stop it once."""

    def __init__(
        self,
        config: Config,
        key: bytes,
        *,
        sockets: Sequence[socket.socket] = (),
        manager: ServiceManager | None = None,
        on_failure: Callable[[], None] = lambda: None,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Compile the profiles, recover what the disk holds, bind the address.

        Args:
            config: What the file says.
            key: Of the pseudonyms.
            sockets: Listening sockets to adopt instead of binding the configured address.
            manager: Who wants to hear, now and then, that the node is alive.
            on_failure: Called once, from a thread, if a sync has failed and the node must stop.
            surroundings: Clocks and chance.

        Raises:
            DocumentError: a profile cannot be compiled, or a destination is the node itself.
            SpoolError, JournalError: the data folder cannot be used.
            KeyFileError: a certificate, its key or the authorities cannot be used, or the key of
                the pseudonyms is not the one of the instances in the data folder.
            OSError: an address cannot be bound; its file name is what was to be bound.
        """
        self._around = surroundings or Surroundings()
        self._log = logs.log()
        self._pseudonyms = Pseudonyms(key)
        self._rulebook = Rulebook.compiled(config)
        self._destinations = dict(config.destinations)
        self._pixels = PixelWorker(min(len(os.sched_getaffinity(0)), _MOST_PIXEL_PROCESSES))
        self._spool = Spool(config.node.data, marks=marks_of(config.node))
        recovery = Recovery(self._spool)
        self._journal = recovery.journal(self._around.wall)
        confirm_key(self._journal, key, config.node.data)
        self._note_key(key)
        recovery.put_in_order(self._journal)
        self._scrub = Scrub(
            self._journal, self._spool, is_journal_checked=recovery.journal_is_checked
        )
        self._cut = Signal()
        self._budget = Budget(config.node.in_flight_bytes)
        self._forwarder = self._make_forwarder()
        self._ingest = Ingest(
            self._spool, self._journal, self._deidentifier, wake=self._forwarder.wake
        )
        self._rest = self._make_rest()
        addresses: Sequence[tuple[str, int] | socket.socket] = sockets or [self._own_address]
        limits = limits_of(config.node)
        places = Places(limits)
        self._tls = Acceptor(config.node.tls) if config.node.tls else None
        for destination in config.destinations.values():
            requestor(destination, check=True)
        self._listeners = [self._listener(address, limits, places) for address in addresses]
        if config.node.tls_listen:
            address = config.node.tls_listen
            self._listeners.append(self._listener(address, limits, places, self._tls))
        self._check_elsewhere(config)
        self._keeper = Keeper(
            self._journal,
            self._spool,
            self._make_watchdog(manager or ServiceManager()),
            also=self._keep_rest,
            on_failure=on_failure,
        )

    @property
    def _config(self) -> Config:
        return self._rulebook.config

    @property
    def has_failed(self) -> bool:
        """Whether it has to stop because a sync has failed."""
        return self._keeper.failed

    @property
    def grace_s(self) -> float:
        """How long a stop waits for what is under way."""
        return self._config.node.drain_s

    @property
    def port(self) -> int:
        """The TCP port of the first listener."""
        return self._listeners[0].address[1]

    @property
    def addresses(self) -> str:
        """Where it listens, for people."""
        return ", ".join(map(_described, self._listeners))

    @property
    def rest_address(self) -> tuple[str, int] | None:
        """Where it answers HTTP; None if it does not."""
        return self._rest.address if self._rest else None

    def start(self) -> None:
        """Begin to forward, to receive and to answer."""
        self._warn_of_what_passes()
        self._keeper.note(self._rulebook.rule_sets())
        self._keeper.start()
        self._scrub.start()
        self._forwarder.start()
        for listener in self._listeners:
            listener.start()
        for _, port in self._addresses():
            self._log.info("receiving", port=port, version=__version__)
        if self._rest:
            self._rest.start(self.port)

    def reload(self, read: Config) -> tuple[str, ...]:
        """Take over what the configuration says now, as far as a running node can.

        Associations and uploads that are under way go on by the rules they began under.

        Args:
            read: What the file says now.

        Returns:
            Keys of the file whose change takes a restart; for them the old values count.

        Raises:
            DocumentError: a profile cannot be compiled, or a destination is the node itself
                where it listens until it is started again. No rule has changed.
            KeyFileError: a certificate cannot be used. No rule has changed.
            JournalError: a new destination cannot be served. No rule has changed.
        """
        config, waiting = following(self._config, read)
        self._check_elsewhere(config)
        rules = Rulebook.compiled(config, self._rulebook)
        for destination in config.destinations.values():
            requestor(destination, check=True)
        self.reload_certificates()
        self._keeper.note(rules.rule_sets())
        known = self._destinations
        anew = {name for name, one in config.destinations.items() if known.get(name) != one}
        adopt = partial(self._adopt_destinations, config)
        self._forwarder.follow(policies_of(config), anew=anew, adopt=adopt)
        self._rulebook = rules
        if self._rest:
            self._rest.follow(config)
        self._warn_of_what_passes()
        return waiting

    def reload_certificates(self) -> None:
        """Read certificates, keys and authorities again; open connections go on as they are.

        Destinations need none of this: their files are read for every association.

        Raises:
            KeyFileError: some cannot be used; those that could not be read stay as they were.
        """
        if self._tls:
            self._tls.reload()
        if self._rest:
            self._rest.reload_certificate()

    def stop(self) -> bool:
        """Drain, and end everything in bounded time: the grace and a few seconds.

        Returns:
            Whether every thread has ended; if not, only the end of the process ends it.
        """
        grace_s = self.grace_s
        grace_ends = time.monotonic() + grace_s
        endings = Endings(self._endings(grace_s))
        if not endings.join(grace_ends):
            # Who still waits for pixels, or for a destination, does not any more.
            self._cut.set()
            endings.add(self._end_pixels)
        clean = endings.join(max(time.monotonic(), grace_ends) + _CUT_S) and self._end_pixels()
        # After a failed sync nothing more is written: the next start looks at what there is.
        if clean and not self._spool.fatal.is_set():
            self._keeper.keep_mark()
            self._end_well()
            self._journal.close()
            self._spool.close()
        self._log.info("stopped", count=sum(one.associations for one in self._listeners))
        return clean

    def _endings(self, grace_s: float) -> list[Callable[[], bool]]:
        """What to do to end each part; each takes its grace and then ends by force."""
        most_s = grace_s + _CUT_S
        calls: list[Callable[[], bool]] = [
            partial(self._forwarder.stop, most_s),
            partial(self._keeper.stop, most_s),
            partial(self._scrub.stop, most_s),
        ]
        calls += [partial(_stopped, listener, grace_s) for listener in self._listeners]
        if self._rest:
            calls.append(partial(self._rest.stop, grace_s))
        return calls

    def _end_pixels(self) -> bool:
        self._pixels.close()
        return True

    def _keep_rest(self) -> None:
        if self._rest:
            self._rest.keep()

    # --- parts

    def _note_key(self, key: bytes) -> None:
        """Which key it is; on a full disk at the next start."""
        try:
            note_key(self._journal, key)
        except ScpError as error:
            self._log.warning("the check of the key was not noted", **logs.of_error(error))

    def _end_well(self) -> None:
        """Nobody writes any more: say so, unless what is stored still waits for a look."""
        if not self._scrub.is_through:
            return
        try:
            end_well(self._journal)
        except ScpError as error:
            self._log.warning("the stop was not noted", **logs.of_error(error))

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
            upload_route=self._upload_route,
        )
        return Rest(config, parts)

    def _make_forwarder(self) -> Forwarder:
        return Forwarder(
            self._journal,
            self._spool,
            self._config.destinations,
            self._association,
            policies=policies_of(self._config),
            surroundings=self._around,
        )

    def _make_watchdog(self, manager: ServiceManager) -> Watchdog:
        def listeners(now: float) -> float:
            return max(now - listener.turned_at for listener in self._listeners)

        parts = [
            Part("an accepting thread has stopped", listeners, watchdog.LISTENER_S),
            Part("a commit does not end", lambda _: self._journal.committing_s, watchdog.DISK_S),
            Part("a sync does not end", lambda _: self._spool.syncing_s, watchdog.DISK_S),
            Part("a forwarder has stopped", self._forwarder.overdue_s, watchdog.WORKER_S),
        ]
        return Watchdog(parts, manager.alive, patience_s=manager.watchdog_s)

    def _association(self, name: str, contexts: Sequence[tuple[str, str]]) -> SenderAssociation:
        return called(self._destinations[name], contexts, self._cut)

    def _deidentifier(self, route: Route, request: StoreRequest) -> Admitted:
        engine = Deidentifier(
            cast("PinnedRoute", route).plan,
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

    def _listener(
        self,
        address: tuple[str, int] | socket.socket,
        limits: Limits,
        places: Places,
        tls: Acceptor | None = None,
    ) -> Listener:
        with bound_for("node.tls_listen" if tls else "node.listen", address):
            return Listener(
                address,
                self._accept,
                self._ingest.open_store,
                limits=limits,
                places=places,
                tls=tls,
                extra_classes=self._config.node.sop_classes,
                events=self._event,
            )

    def _event(self, event: str, /, **fields: str | float) -> None:
        """Log what a listener says, but for every single one that a full disk turns away."""
        congested = event == "association rejected" and _is_congestion(fields)
        if not congested or self._spool.room.turn_away():
            self._log.info(event, **fields)

    def _upload_route(self) -> PinnedRoute:
        return self._rulebook.upload_route()

    def _addresses(self) -> list[tuple[str, int]]:
        return [listener.address for listener in self._listeners]

    def _accept(self, request: AssociationRequest) -> Accepted | Rejected:
        rules = self._rulebook
        found = rules.config.route_for(
            request.calling_ae, request.called_ae, request.address, request.certificate
        )
        if isinstance(found, RouteMiss):
            return _REJECTIONS[found.what]
        if self._spool.fatal.is_set() or self._spool.room.is_full():
            return CONGESTED
        back = self._sent_by(found, request)
        if back and not found.store and back.issuperset(found.forward):
            return BAD_CALLING_AE  # nobody would have what it sends
        return Accepted(rules.pinned(found, without=back))

    def _sent_by(self, route: Route, request: AssociationRequest) -> set[str]:
        """Those destinations of a route that the peer is: nothing is forwarded back to them."""
        destinations = [self._destinations[name] for name in route.forward]
        back = {one.name for one in sent_by(destinations, request.calling_ae, request.address)}
        for name in back:
            self._log.warning(
                "a destination sends, and nothing of it is forwarded back", destination=name
            )
        return back

    def _check_elsewhere(self, config: Config) -> None:
        """As the file was checked, but against where the node does listen.

        Raises:
            DocumentError: A destination is the node itself.
        """
        own = own_of(config.destinations.values(), self._addresses())
        if own:
            said = (
                f"host and port of the destination {own[0]} are where this node listens: what it"
                " forwards would come back; if listen has changed, restart the node first"
            )
            raise DocumentError([Problem(Mark(config.file, 1, 1), said)])

    def _adopt_destinations(self, config: Config) -> None:
        # One that goes may be in use until its worker has ended.
        self._destinations = self._destinations | dict(config.destinations)

    def _warn_of_what_passes(self) -> None:
        for name in self._rulebook.passing():
            self._log.warning("this profile lets identities pass", profile=name)


def _stopped(listener: Listener, grace_s: float) -> bool:
    """Stop a listener; whether all of its associations have ended."""
    return listener.stop(grace_s) == 0


def _described(listener: Listener) -> str:
    host, port = listener.address
    return f"{host}:{port}" + " (TLS)" * listener.speaks_tls


def _is_congestion(fields: Mapping[str, str | float]) -> bool:
    """Whether an association was rejected for that (PS3.8 Table 9-21)."""
    return fields.get("source") == CONGESTED.source and fields.get("reason") == CONGESTED.reason

"""config.yaml -> Config, or every problem of it with line and column.

The file says what the node is, which profiles there are, where instances go and who may send
them. A file with a problem in it starts nothing. Whatever no route takes is rejected.

Source: PS3.5 6.2 (VRs AE and UI); PS3.8 9.3.2 (AE titles of an association).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING, TypeVar

from rules.compiler import compile_plan
from rules.errors import DocumentError, Mark, Problem
from rules.language.document import compose, quoted
from rules.language.schema import READY_MADE, read_profile, ready_made
from rules.language.shapes import Problems, Shape, name_problem, parse_switch, shaped
from rules.profile import BASES
from rules.selectors import nearest
from scp import config_values as single
from scp.config_shapes import DestinationShape, FileShape, NodeShape, RestShape, RouteShape
from scp.lookups import LookupFiles
from scp.loops import is_every, own_of
from scp.routes import Route, covering
from scp.settings import EMBEDDED as NO_FILE
from scp.settings import (
    SYSTEMD,
    ClientTls,
    Config,
    Destination,
    NodeConfig,
    RestConfig,
    ServerTls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from rules.language.document import Document
    from rules.language.document import Path as Place
    from rules.plan import Plan
    from rules.profile import Profile

T = TypeVar("T")
S = TypeVar("S")

_MIB = 1 << 20
_DAY_S = 86_400

EMBEDDED = """\
version: 1
routes:
  - {from: "*", peer: [127.0.0.0/8, "::1"], profile: basic}
"""
"""What a node without a file does: the basic profile for whoever calls on this machine."""


def load_config(path: Path) -> Config:
    """Read a configuration file; its folder is where relative paths start.

    Raises:
        DocumentError: every problem of it; also when it cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise _unreadable(path, f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "the file is not in UTF-8: save it as such") from None
    return parse_config(text, str(path), path.parent)


def embedded_default(data: Path) -> Config:
    """The configuration of a node without a file, which keeps everything in `data`."""
    return parse_config(EMBEDDED, NO_FILE, data.parent, data=data.name)


def parse_config(text: str, file: str, folder: Path, *, data: str = "./data") -> Config:
    """Read the text of a configuration.

    Args:
        text: YAML.
        file: The name to show in messages.
        folder: Where relative paths start.
        data: The data folder, unless the text names one.

    Raises:
        DocumentError: every problem of it.
    """
    document, found = compose(text, file)
    problems = Problems(found)
    reading = _Reading(document, problems, folder, data)
    config = reading.config(sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
    problems.raise_any()
    return config


def _unreadable(path: Path, message: str) -> DocumentError:
    return DocumentError([Problem(Mark(str(path), 1, 1), message)])


@dataclass(frozen=True, slots=True)
class _Placed:
    """A route and where it stands."""

    index: int
    route: Route


class _Reading:
    """Reads one file: every problem is noted, and what can be read is read on.

    With a problem noted the result is only good for further checks.
    """

    def __init__(self, document: Document, problems: Problems, folder: Path, data: str) -> None:
        self._document = document
        self._problems = problems
        self._folder = folder
        self._data = data
        self._lookups = LookupFiles(folder)
        self._plans: dict[str, Plan] = {}

    def config(self, digest: str) -> Config:
        shape = shaped(FileShape, self._document, (), self._problems) or FileShape(version="1")
        if shape.version != "1":
            self._say(("version",), f"version is 1, not {quoted(shape.version)}")
        if not shape.routes:
            said = "empty" if self._document.has(("routes",)) else "missing"
            at = ("routes",) if said == "empty" else ()
            self._say(at, f"routes is {said}: nobody could send anything")
        node = self._node()
        profiles = {name: self._profile(name) for name in shape.profiles}
        profiles |= {name: ready_made(name) for name in READY_MADE if name not in profiles}
        destinations = {name: self._destination(name, node) for name in shape.destinations}
        self._check_elsewhere(node, destinations.values())
        routes = [self._route(n, profiles, destinations) for n in range(len(shape.routes))]
        self._check_reached([placed for placed in routes if placed])
        rest = self._rest(profiles) if self._document.has(("rest",)) else None
        self._check_apart(node, rest)
        return Config(
            file=self._document.file,
            digest=digest,
            node=node,
            profiles=profiles,
            destinations=destinations,
            routes=tuple(placed.route for placed in routes if placed),
            rest=rest,
            plans=self._plans,
        )

    # -- parts

    def _node(self) -> NodeConfig:
        root = self._document.root
        written = isinstance(root, dict) and isinstance(root.get("node"), dict)
        shape = shaped(NodeShape, self._document, ("node",), self._problems) if written else None
        shape = shape or NodeShape()
        place: Place = ("node",)
        host, port = self._at((*place, "listen"), shape.listen, single.listen, ("127.0.0.1", 0))
        node = NodeConfig(
            ae_title=self._at((*place, "ae_title"), shape.ae_title, single.ae_title, ""),
            host=host,
            port=port,
            data=self._folder
            / self._at((*place, "data"), shape.data, single.folder_name, self._data),
            sop_classes=frozenset(self._sop_classes(shape.sop_classes)),
            associations=self._whole(place, shape, "max_associations", 1, 10_000),
            associations_per_address=self._whole(
                place, shape, "max_associations_per_address", 1, 10_000
            ),
            idle_s=self._number(place, shape, "idle_s", 1, _DAY_S),
            drain_s=self._number(place, shape, "drain_s", 0, 3600),
            message_bytes=self._whole(place, shape, "message_limit_bytes", _MIB, 1 << 40),
            header_bytes=self._whole(place, shape, "header_limit_bytes", _MIB, 1 << 32),
            in_flight_bytes=self._whole(place, shape, "in_flight_limit_bytes", _MIB, 1 << 40),
            disk_low_bytes=self._whole(place, shape, "disk_low_bytes", _MIB, 1 << 50),
            disk_high_bytes=self._whole(place, shape, "disk_high_bytes", _MIB, 1 << 50),
            disk_low_inodes=self._whole(place, shape, "disk_low_inodes", 0, 1 << 40),
            disk_high_inodes=self._whole(place, shape, "disk_high_inodes", 0, 1 << 40),
            connections_per_s=self._number(
                place, shape, "max_connections_per_s_per_address", 1, 1_000_000
            ),
            tls_listen=self._tls_listen(shape, host),
            tls=self._server_tls(shape),
        )
        self._check_marks(node)
        self._check_room(node)
        return node

    def _check_marks(self, node: NodeConfig) -> None:
        """The low mark of the disk is not above the high one."""
        for what in ("bytes", "inodes"):
            low, high = f"disk_low_{what}", f"disk_high_{what}"
            if getattr(node, low) > getattr(node, high):
                at = low if self._document.has(("node", low)) else high
                self._say(("node", at), f"{low} is more than {high}")

    def _check_room(self, node: NodeConfig) -> None:
        """What one dataset may need is not more than all of them may."""
        if node.in_flight_bytes < node.header_bytes:
            all_, one = ("node", "in_flight_limit_bytes"), ("node", "header_limit_bytes")
            said = (
                "in_flight_limit_bytes is less than header_limit_bytes: some datasets would never"
                " have room; raise the one or lower the other"
            )
            self._say(all_ if self._document.has(all_) else one, said)

    def _check_apart(self, node: NodeConfig, rest: RestConfig | None) -> None:
        """Nothing is listened on twice."""
        places: list[tuple[Place, tuple[str, int]]] = [
            (("node", "listen"), (node.host, node.port))
        ]
        if node.tls_listen:
            places.append((("node", "tls_listen"), node.tls_listen))
        if rest:
            places.append((("rest", "listen"), (rest.host, rest.port)))
        for number, (later, address) in enumerate(places):
            for earlier, other in places[:number]:
                if _overlap(address, other):
                    at = later if self._document.has(later) else earlier
                    said = (
                        f"{'.'.join(map(str, later))} and {'.'.join(map(str, earlier))} are the"
                        " same address: give each a port of its own"
                    )
                    self._say(at, said)

    def _tls_listen(self, shape: NodeShape, host: str) -> tuple[str, int] | None:
        """Where TLS is spoken; without a word about it, beside the plain port."""
        if not self._document.has(("node", "tls_certificate")):
            return None
        text = shape.tls_listen or host
        return self._at(("node", "tls_listen"), text, single.tls_listen, (host, 0))

    def _server_tls(self, shape: NodeShape) -> ServerTls | None:
        keys = ("tls_listen", "tls_key", "tls_client_ca", "tls_certificate")
        written = [key for key in keys if self._document.has(("node", key))]
        certificate = self._file(("node", "tls_certificate"), shape.tls_certificate)
        key = self._file(("node", "tls_key"), shape.tls_key)
        if certificate is None or key is None:
            if written:
                self._say(("node", written[0]), "TLS takes tls_certificate and tls_key")
            return None
        return ServerTls(
            certificate, key, self._file(("node", "tls_client_ca"), shape.tls_client_ca)
        )

    def _sop_classes(self, entries: list[object]) -> Iterable[str]:
        for index, entry in enumerate(entries):
            place = ("node", "sop_classes", index)
            yield self._at(place, entry if isinstance(entry, str) else "", single.uid, "")

    def _profile(self, name: str) -> Profile:
        place: Place = ("profiles", name)
        if name in BASES:
            said = f"the profile {name} is ready-made: choose another name"
            self._problems.add(self._document.key_mark(place), said)
        found = Problems()
        profile = read_profile(self._document, place, name, found, self._lookups.read)
        self._adopt(found.all() or self._problems_of_plan(name, profile))
        return profile

    def _problems_of_plan(self, name: str, profile: Profile) -> tuple[Problem, ...]:
        """A profile that reads well may still hold rules that can never apply."""
        try:
            self._plans[name] = compile_plan(profile)
        except DocumentError as error:
            return error.problems
        return ()

    def _destination(self, name: str, node: NodeConfig) -> Destination:
        place: Place = ("destinations", name)
        said = name_problem(name)
        if said:
            self._problems.add(self._document.key_mark(place), said)
        shape = shaped(DestinationShape, self._document, place, self._problems)
        shape = shape or DestinationShape(ae_title="", host="", port="")
        at = (*place, "calling_ae_title")
        calling = self._at(at, shape.calling_ae_title, single.ae_title, node.ae_title)
        base_s = self._number(place, shape, "retry_base_s", 1, 3600)
        cap_s = self._number(place, shape, "retry_cap_s", 1, _DAY_S)
        if base_s > cap_s:
            cap = (*place, "retry_cap_s")
            at = cap if self._document.has(cap) else (*place, "retry_base_s")
            self._say(at, "retry_base_s is longer than retry_cap_s")
        return Destination(
            name=name,
            ae_title=self._at((*place, "ae_title"), shape.ae_title, single.ae_title, ""),
            host=self._at((*place, "host"), shape.host, single.host, ""),
            port=self._at((*place, "port"), shape.port, single.peer_port, 1),
            calling_ae_title=calling,
            response_s=self._number(place, shape, "response_s", 1, 3600),
            retry_base_s=base_s,
            retry_cap_s=cap_s,
            lifetime_days=self._number(place, shape, "retry_lifetime_days", 0.01, 3650),
            tls=self._client_tls(place, shape),
        )

    def _client_tls(self, place: Place, shape: DestinationShape) -> ClientTls | None:
        keys = ("tls_ca", "tls_certificate", "tls_key", "tls_server_name")
        written = [key for key in keys if self._document.has((*place, key))]
        if self._at((*place, "tls"), shape.tls, parse_switch, "false") == "false":
            if written:
                self._say((*place, written[0]), f"{written[0]} takes tls: true beside it")
            return None
        tls = ClientTls(
            ca=self._file((*place, "tls_ca"), shape.tls_ca),
            certificate=self._file((*place, "tls_certificate"), shape.tls_certificate),
            key=self._file((*place, "tls_key"), shape.tls_key),
            server_name=self._at(
                (*place, "tls_server_name"), shape.tls_server_name, single.host, ""
            ),
        )
        if (tls.certificate is None) != (tls.key is None):
            given = "tls_key" if tls.certificate is None else "tls_certificate"
            self._say((*place, given), "tls_certificate and tls_key belong together")
        return tls

    def _check_elsewhere(self, node: NodeConfig, destinations: Iterable[Destination]) -> None:
        """What the node forwards to itself would come in again and again."""
        own = [(node.host, node.port), *([node.tls_listen] if node.tls_listen else [])]
        for name in own_of(destinations, own):
            said = "host and port are this node's own: what it forwards would come back"
            self._say(("destinations", name, "port"), said)

    # -- the REST API

    def _rest(self, profiles: Mapping[str, object]) -> RestConfig | None:
        """The REST API; None where it is off."""
        place: Place = ("rest",)
        written = isinstance(self._document.get(place), dict)
        shape = shaped(RestShape, self._document, place, self._problems) if written else None
        shape = shape or RestShape()
        if shape.listen == "off":
            return None
        host, port = self._at((*place, "listen"), shape.listen, single.listen, ("127.0.0.1", 0))
        self._known((*place, "profile"), shape.profile, profiles, "profile")
        rest = RestConfig(
            host=host,
            port=port,
            profile=shape.profile,
            hosts=frozenset(self._hosts(shape.hosts)),
            credentials=self._credentials(shape.credentials),
            tls_certificate=self._file((*place, "tls_certificate"), shape.tls_certificate),
            tls_key=self._file((*place, "tls_key"), shape.tls_key),
            upload_limit_bytes=self._whole(place, shape, "upload_limit_bytes", _MIB, 1 << 40),
            body_limit_bytes=self._whole(place, shape, "body_limit_bytes", 1 << 10, 1 << 32),
            connections=self._whole(place, shape, "max_connections", 1, 1000),
        )
        self._check_guarded(rest)
        return rest

    def _check_guarded(self, rest: RestConfig) -> None:
        if (rest.tls_certificate is None) != (rest.tls_key is None):
            given = "tls_key" if rest.tls_certificate is None else "tls_certificate"
            self._say(("rest", given), "tls_certificate and tls_key belong together")
        elif not _is_loopback(rest.host) and not (rest.credentials and rest.tls_certificate):
            said = (
                "listen is open to other machines: that takes credentials, tls_certificate and"
                " tls_key; 127.0.0.1:8042 takes none of them"
            )
            self._say(("rest", "listen"), said)

    def _hosts(self, entries: list[object]) -> Iterable[str]:
        for index, entry in enumerate(entries):
            place = ("rest", "hosts", index)
            yield self._at(place, entry if isinstance(entry, str) else "", single.host, "").lower()

    def _credentials(self, text: str) -> Path | str | None:
        return SYSTEMD if text == SYSTEMD else self._file(("rest", "credentials"), text)

    def _file(self, place: Place, text: str) -> Path | None:
        """A file by its path; None where none is named."""
        if not self._document.has(place):
            return None
        return self._folder / self._at(place, text, single.file_name, "")

    # -- routes

    def _route(
        self, index: int, profiles: Mapping[str, object], destinations: Mapping[str, object]
    ) -> _Placed | None:
        """A route; None if it cannot be compared with others."""
        place: Place = ("routes", index)
        before = len(self._problems.all())
        shape = shaped(RouteShape, self._document, place, self._problems)
        if shape is None:
            return None
        self._known((*place, "profile"), shape.profile, profiles, "profile")
        forward = self._texts(place, "forward", shape.forward)
        self._check_forward(forward, destinations)
        store = self._at((*place, "store"), shape.store, parse_switch, "true") == "true"
        if not store and not self._document.has((*place, "forward")):
            self._say((*place, "store"), "store is false without forward: nothing would stay")
        route = Route(
            calling=tuple(
                self._at(at, text, single.title_glob, "")
                for at, text in self._texts(place, "from", shape.from_)
            ),
            called=self._at((*place, "to"), shape.to, single.called_title, None),
            peers=tuple(
                self._at(at, text, single.network, _NOWHERE)
                for at, text in self._texts(place, "peer", shape.peer)
            ),
            profile=shape.profile,
            store=store,
            forward=tuple(text for _, text in forward),
            certificates=self._certificates(place, shape),
        )
        return _Placed(index, route) if len(self._problems.all()) == before else None

    def _certificates(self, place: Place, shape: RouteShape) -> tuple[str, ...]:
        if self._document.has((*place, "certificate")) and not self._document.has(
            ("node", "tls_client_ca")
        ):
            said = "certificate takes tls_client_ca under node: nobody is asked for one"
            self._say((*place, "certificate"), said)
        return tuple(
            self._at(at, text, single.certificate, "")
            for at, text in self._texts(place, "certificate", shape.certificate)
        )

    def _texts(self, place: Place, key: str, plain: object) -> list[tuple[Place, str]]:
        """A text, or a list of at least one: each with its place."""
        at = (*place, key)
        if isinstance(plain, str):
            return [(at, plain)]
        if isinstance(plain, list) and plain:
            entries = [((*at, index), entry) for index, entry in enumerate(plain)]
            for where, entry in entries:
                if not isinstance(entry, str):
                    self._say(where, f"{key} is a list of texts")
            return [(where, entry) for where, entry in entries if isinstance(entry, str)]
        self._say(at, f"{key} is a text or a list of texts, and not empty")
        return []

    def _check_forward(
        self, forward: list[tuple[Place, str]], destinations: Mapping[str, object]
    ) -> None:
        seen: set[str] = set()
        for at, name in forward:
            self._known(at, name, destinations, "destination")
            if name in seen:
                self._say(at, f"{quoted(name)} stands in forward twice")
            seen.add(name)

    def _known(self, at: Place, name: str, known: Mapping[str, object], what: str) -> None:
        if name not in known:
            there = f"; there are {', '.join(known)}" if known else "; none is defined"
            said = f"there is no {what} {quoted(name)}{nearest(name, tuple(known)) or there}"
            self._say(at, said)

    def _check_reached(self, routes: list[_Placed]) -> None:
        """A route behind those that take all it would take is a mistake, not a fallback."""
        for number, later in enumerate(routes):
            before = routes[:number]
            found = covering([one.route for one in before], later.route)
            lines = [self._document.mark(("routes", before[one].index)).line for one in found]
            if lines:
                self._say(("routes", later.index), f"never reached: {_taken_on(lines)}")

    # -- values

    def _say(self, place: Place, message: str) -> None:
        """Note a problem of something that was written; what was not has been told already."""
        if self._document.has(place):
            self._problems.add(self._document.mark(place), message)

    def _adopt(self, found: Iterable[Problem]) -> None:
        for problem in found:
            self._problems.add(problem.mark, problem.message)

    def _at(self, place: Place, text: str, parse: Callable[[str], T], otherwise: S) -> T | S:
        """A value parsed; else a stand-in, and a problem if it was written."""
        try:
            return parse(text)
        except ValueError as error:
            name = next(str(step) for step in reversed(place) if isinstance(step, str))
            self._say(place, f"{name} {error}")
            return otherwise

    def _whole(self, place: Place, shape: Shape, key: str, least: int, most: int) -> int:
        text = str(getattr(shape, key))
        return self._at(
            (*place, key), text, lambda one: single.whole_number(one, least, most), least
        )

    def _number(self, place: Place, shape: Shape, key: str, least: float, most: float) -> float:
        text = str(getattr(shape, key))
        return self._at((*place, key), text, lambda one: single.decimal(one, least, most), least)


_NOWHERE = IPv4Network("0.0.0.0/32")


def _taken_on(lines: list[int]) -> str:
    if len(lines) == 1:
        return f"the route on line {lines[0]} takes all it would take"
    listed = f"{', '.join(map(str, lines[:-1]))} and {lines[-1]}"
    return f"the routes on lines {listed} take all it would take; move it before them"


def _overlap(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two addresses surely cannot be listened on at once; port 0 is any free one."""
    (host, port), (other_host, other_port) = one, other
    if port != other_port or not port:
        return False
    if host.lower() == other_host.lower() or "::" in (host, other_host):
        return True
    return (is_every(host) and ":" not in other_host) or (is_every(other_host) and ":" not in host)


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"

"""config.yaml -> Config, or every problem of it with line and column.

The file says what the node is, which profiles there are, where instances go and who may send
them. A file with a problem in it starts nothing. Whatever no route takes is rejected; what a
route cannot decide (an address that is none) is not taken.

Source: PS3.5 6.2 (VRs AE and UI); PS3.8 9.3.2 (AE titles of an association).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import Field

from rules import values
from rules.compiler import compile_plan
from rules.errors import DocumentError, Mark, Problem
from rules.language.document import compose, quoted
from rules.language.schema import READY_MADE, read_profile, ready_made
from rules.language.shapes import Problems, Shape, name_problem, parse_switch, shaped
from rules.profile import BASES
from rules.selectors import nearest
from scp.lookups import LookupFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from ipaddress import IPv4Address
    from pathlib import Path

    from rules.language.document import Document
    from rules.language.document import Path as Place
    from rules.profile import Profile

Network = IPv4Network | IPv6Network
T = TypeVar("T")
S = TypeVar("S")

_AE_CHARACTERS = 16
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST_CHARACTERS = 253
_PORTS = range(65536)
_MIB = 1 << 20
_DAY_S = 86_400

SYSTEMD: Final = "systemd"
"""`credentials:` of a REST API whose users systemd hands over."""
EMBEDDED = """\
version: 1
routes:
  - {from: "*", peer: [127.0.0.0/8, "::1"], profile: basic}
"""
"""What a node without a file does: the basic profile for whoever calls on this machine."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The node itself.

    Attributes:
        ae_title: Its own AE title, as calling AE title of what it sends.
        host: The address or host name it listens on; 0.0.0.0 or :: is every interface.
        port: 0 for any free one.
        data: The folder of instances, journal and key.
        sop_classes: SOP Class UIDs it accepts beyond the standard's storage classes.
        associations: Open at once, all peers together.
        associations_per_address: Open at once from one address.
        idle_s: The longest silence between two messages.
        drain_s: How long messages under way may take at the stop.
        message_bytes: The longest dataset.
        header_bytes: The longest part of a dataset outside its pixel data.
        in_flight_bytes: Held in memory for all associations together, outside pixel data.
    """

    ae_title: str
    host: str
    port: int
    data: Path
    sop_classes: frozenset[str]
    associations: int
    associations_per_address: int
    idle_s: float
    drain_s: float
    message_bytes: int
    header_bytes: int
    in_flight_bytes: int


@dataclass(frozen=True, slots=True)
class RestConfig:
    """The REST API.

    Attributes:
        host: The address or host name it listens on.
        port: 0 for any free one.
        profile: Name of the profile that uploads go through.
        hosts: Names by which it may be asked for, in lower case, beside its address.
        credentials: The file of users; `SYSTEMD` for the one that systemd hands over; None where
            whoever reaches the address may ask, unless systemd hands one over all the same.
        tls_certificate: PEM file of the certificate and its chain; None for plain HTTP.
        tls_key: PEM file of its key; None likewise.
        upload_limit_bytes: The longest upload of instances.
        body_limit_bytes: The longest body of any other request.
        connections: Open at once.
    """

    host: str
    port: int
    profile: str
    hosts: frozenset[str]
    credentials: Path | str | None
    tls_certificate: Path | None
    tls_key: Path | None
    upload_limit_bytes: int
    body_limit_bytes: int
    connections: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where instances are forwarded to.

    Attributes:
        calling_ae_title: What the node calls itself there; its own AE title unless said.
        response_s: How long it may take to answer one instance.
        retry_base_s: The longest wait before the first attempt after a failure; it doubles.
        retry_cap_s: The longest wait between two attempts.
        lifetime_days: After so long an instance that could not be delivered has failed.
    """

    name: str
    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    response_s: float
    retry_base_s: float
    retry_cap_s: float
    lifetime_days: float


@dataclass(frozen=True, slots=True)
class Route:
    """Who may send, what is done to it, and where it goes.

    Attributes:
        calling: Calling AE titles, in which `*` and `?` stand for characters.
        called: The called AE title it wants; None for any.
        peers: Addresses that may use it; empty for any.
        profile: Name of the profile.
        store: Whether an instance stays once every destination has it.
        forward: Names of destinations.
    """

    calling: tuple[str, ...]
    called: str | None
    peers: tuple[Network, ...]
    profile: str
    store: bool
    forward: tuple[str, ...]

    def takes(self, calling_ae: str) -> bool:
        """Whether a calling AE title is one of its own; case counts, padding does not."""
        title = calling_ae.strip(" ")
        return any(fnmatchcase(title, pattern) for pattern in self.calling)

    def answers_to(self, called_ae: str) -> bool:
        """Whether a called AE title is the one it wants, if it wants any."""
        return self.called is None or self.called == called_ae.strip(" ")

    def admits(self, address: str) -> bool:
        """Whether an address may use it; what is no address may not, where it matters."""
        if not self.peers:
            return True
        try:
            parsed = _parsed_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.peers)


@dataclass(frozen=True, slots=True)
class RouteMiss:
    """Why no route is for an association: `calling`, `called` or `address`."""

    what: str


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says.

    Attributes:
        file: Its name, as messages show it.
        digest: SHA-256 of its text, in hexadecimal.
        profiles: Those of the file, then the ready-made ones whose names it leaves free.
        routes: In the order of the file; the first that fits is taken.
        rest: The REST API; None for none.
    """

    file: str
    digest: str
    node: NodeConfig
    profiles: Mapping[str, Profile]
    destinations: Mapping[str, Destination]
    routes: tuple[Route, ...]
    rest: RestConfig | None = None

    def route_for(self, calling_ae: str, called_ae: str, address: str) -> Route | RouteMiss:
        """The first route that is for an association, or what about it fits none.

        Args:
            calling_ae: Calling AE title; surrounding blanks do not count.
            called_ae: Called AE title; likewise.
            address: IP address of the peer, without a port.
        """
        calling = [route for route in self.routes if route.takes(calling_ae)]
        called = [route for route in calling if route.answers_to(called_ae)]
        admitted = next((route for route in called if route.admits(address)), None)
        if admitted:
            return admitted
        if called:
            return RouteMiss("address")
        return RouteMiss("called" if calling else "calling")


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
    return parse_config(EMBEDDED, "(embedded default)", data.parent, data=data.name)


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


def _parsed_address(text: str) -> IPv4Address | IPv6Address:
    """An address of a socket: without a zone, and IPv4 where IPv6 carries it."""
    parsed = ip_address(text.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


# ---- the shapes of the file


class _FileShape(Shape):
    version: str
    node: dict[str, object] = Field(default_factory=dict)
    profiles: dict[str, object] = Field(default_factory=dict)
    destinations: dict[str, object] = Field(default_factory=dict)
    routes: list[object] = Field(default_factory=list)
    rest: dict[str, object] | None = None


class _NodeShape(Shape):
    ae_title: str = "ANONODE"
    listen: str = "127.0.0.1:11112"
    data: str = ""
    sop_classes: list[object] = Field(default_factory=list)
    max_associations: str = "64"
    max_associations_per_address: str = "8"
    idle_s: str = "60"
    drain_s: str = "30"
    message_limit_bytes: str = str(4 << 30)
    header_limit_bytes: str = str(64 << 20)
    in_flight_limit_bytes: str = str(512 << 20)


class _RestShape(Shape):
    listen: str = "127.0.0.1:8042"
    profile: str = "basic"
    hosts: list[object] = Field(default_factory=list)
    credentials: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    upload_limit_bytes: str = str(4 << 30)
    body_limit_bytes: str = str(32 << 20)
    max_connections: str = "64"


class _DestinationShape(Shape):
    ae_title: str
    host: str
    port: str
    calling_ae_title: str = ""
    response_s: str = "120"
    retry_base_s: str = "5"
    retry_cap_s: str = "900"
    retry_lifetime_days: str = "30"


class _RouteShape(Shape):
    from_: object = Field(alias="from")
    to: str = ""
    peer: object = None
    profile: str
    store: str = "true"
    forward: object = None


# ---- from the document to the configuration


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

    def config(self, digest: str) -> Config:
        shape = shaped(_FileShape, self._document, (), self._problems) or _FileShape(version="1")
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
        routes = [self._route(n, profiles, destinations) for n in range(len(shape.routes))]
        self._check_reached([placed for placed in routes if placed])
        return Config(
            file=self._document.file,
            digest=digest,
            node=node,
            profiles=profiles,
            destinations=destinations,
            routes=tuple(placed.route for placed in routes if placed),
            rest=self._rest(profiles) if self._document.has(("rest",)) else None,
        )

    # -- parts

    def _node(self) -> NodeConfig:
        root = self._document.root
        written = isinstance(root, dict) and isinstance(root.get("node"), dict)
        shape = shaped(_NodeShape, self._document, ("node",), self._problems) if written else None
        shape = shape or _NodeShape()
        place: Place = ("node",)
        host, port = self._at((*place, "listen"), shape.listen, _listen, ("127.0.0.1", 0))
        return NodeConfig(
            ae_title=self._at((*place, "ae_title"), shape.ae_title, _ae_title, ""),
            host=host,
            port=port,
            data=self._folder / self._at((*place, "data"), shape.data, _folder_name, self._data),
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
        )

    def _sop_classes(self, entries: list[object]) -> Iterable[str]:
        for index, entry in enumerate(entries):
            place = ("node", "sop_classes", index)
            yield self._at(place, entry if isinstance(entry, str) else "", _uid, "")

    def _profile(self, name: str) -> Profile:
        place: Place = ("profiles", name)
        if name in BASES:
            said = f"the profile {name} is ready-made: choose another name"
            self._problems.add(self._document.key_mark(place), said)
        found = Problems()
        profile = read_profile(self._document, place, name, found, self._lookups.read)
        self._adopt(found.all() or _problems_of_plan(profile))
        return profile

    def _destination(self, name: str, node: NodeConfig) -> Destination:
        place: Place = ("destinations", name)
        said = name_problem(name)
        if said:
            self._problems.add(self._document.key_mark(place), said)
        shape = shaped(_DestinationShape, self._document, place, self._problems)
        shape = shape or _DestinationShape(ae_title="", host="", port="")
        at = (*place, "calling_ae_title")
        calling = self._at(at, shape.calling_ae_title, _ae_title, node.ae_title)
        base_s = self._number(place, shape, "retry_base_s", 1, 3600)
        cap_s = self._number(place, shape, "retry_cap_s", 1, _DAY_S)
        if base_s > cap_s:
            cap = (*place, "retry_cap_s")
            at = cap if self._document.has(cap) else (*place, "retry_base_s")
            self._say(at, "retry_base_s is longer than retry_cap_s")
        return Destination(
            name=name,
            ae_title=self._at((*place, "ae_title"), shape.ae_title, _ae_title, ""),
            host=self._at((*place, "host"), shape.host, _host, ""),
            port=self._at((*place, "port"), shape.port, _peer_port, 1),
            calling_ae_title=calling,
            response_s=self._number(place, shape, "response_s", 1, 3600),
            retry_base_s=base_s,
            retry_cap_s=cap_s,
            lifetime_days=self._number(place, shape, "retry_lifetime_days", 0.01, 3650),
        )

    # -- the REST API

    def _rest(self, profiles: Mapping[str, object]) -> RestConfig | None:
        """The REST API; None where it is off."""
        place: Place = ("rest",)
        written = isinstance(self._document.get(place), dict)
        shape = shaped(_RestShape, self._document, place, self._problems) if written else None
        shape = shape or _RestShape()
        if shape.listen == "off":
            return None
        host, port = self._at((*place, "listen"), shape.listen, _listen, ("127.0.0.1", 0))
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
            yield self._at(place, entry if isinstance(entry, str) else "", _host, "").lower()

    def _credentials(self, text: str) -> Path | str | None:
        return SYSTEMD if text == SYSTEMD else self._file(("rest", "credentials"), text)

    def _file(self, place: Place, text: str) -> Path | None:
        """A file by its path; None where none is named."""
        if not self._document.has(place):
            return None
        return self._folder / self._at(place, text, _file_name, "")

    # -- routes

    def _route(
        self, index: int, profiles: Mapping[str, object], destinations: Mapping[str, object]
    ) -> _Placed | None:
        """A route; None if it cannot be compared with others."""
        place: Place = ("routes", index)
        before = len(self._problems.all())
        shape = shaped(_RouteShape, self._document, place, self._problems)
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
                self._at(at, text, _title_glob, "")
                for at, text in self._texts(place, "from", shape.from_)
            ),
            called=self._at((*place, "to"), shape.to, _ae_title, None),
            peers=tuple(
                self._at(at, text, _network, _NOWHERE)
                for at, text in self._texts(place, "peer", shape.peer)
            ),
            profile=shape.profile,
            store=store,
            forward=tuple(text for _, text in forward),
        )
        return _Placed(index, route) if len(self._problems.all()) == before else None

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
        """A route behind one that takes all it would take is a mistake, not a fallback."""
        for number, later in enumerate(routes):
            for earlier in routes[:number]:
                if _covers(earlier.route, later.route):
                    line = self._document.mark(("routes", earlier.index)).line
                    said = f"never reached: the route on line {line} takes all it would take"
                    self._say(("routes", later.index), said)
                    break

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
        return self._at((*place, key), text, lambda one: _whole_number(one, least, most), least)

    def _number(self, place: Place, shape: Shape, key: str, least: float, most: float) -> float:
        text = str(getattr(shape, key))
        return self._at((*place, key), text, lambda one: _decimal(one, least, most), least)


_NOWHERE = IPv4Network("0.0.0.0/32")


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _problems_of_plan(profile: Profile) -> tuple[Problem, ...]:
    """A profile that reads well may still hold rules that can never apply."""
    try:
        compile_plan(profile)
    except DocumentError as error:
        return error.problems
    return ()


def _covers(earlier: Route, later: Route) -> bool:
    """Whether every association of the later route is surely one of the earlier."""
    titles = all(
        any(_glob_covers(wide, narrow) for wide in earlier.calling) for narrow in later.calling
    )
    called = earlier.called is None or earlier.called == later.called
    peers = not earlier.peers or (
        bool(later.peers)
        and all(any(_holds(wide, one) for wide in earlier.peers) for one in later.peers)
    )
    return titles and called and peers


def _glob_covers(wide: str, narrow: str) -> bool:
    """Whether all that `narrow` matches is matched by `wide`; False where it is not plain.

    A `*` of `wide` may stand for a wildcard of `narrow`; a `?` may not, because `*` is longer.
    """
    if wide == narrow:
        return True
    plain = not set(narrow) & set("*?")
    return (plain or "?" not in wide) and fnmatchcase(narrow, wide)


def _holds(wide: Network, narrow: Network) -> bool:
    if isinstance(wide, IPv4Network):
        return isinstance(narrow, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)


# ---- single values: each raises a ValueError that goes on behind the name of its key


def _ae_title(text: str) -> str:
    try:
        values.check("AE", text, "1")
    except ValueError:
        text = ""
    if not text or text != text.strip(" "):
        raise ValueError(
            f"is 1 to {_AE_CHARACTERS} ASCII characters, no backslash, no blanks around them"
        )
    return text


def _title_glob(text: str) -> str:
    """An AE title in which `*` and `?` stand for characters."""
    if "[" in text or "]" in text:
        raise ValueError('has brackets: * and ? are the only wildcards; write ["CT1", "CT2"]')
    literal = text.replace("*", "")
    if text and not literal:
        return "*"
    try:
        _ae_title(literal)
    except ValueError:
        raise ValueError(
            f"is an AE title of 1 to {_AE_CHARACTERS} ASCII characters, * and ? stand for others"
        ) from None
    return text


def _listen(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:]*)):([0-9]{1,5})", text)
    if not found or int(found[3]) not in _PORTS:
        raise ValueError("is HOST:PORT, such as 0.0.0.0:11112 or [::1]:11112, port up to 65535")
    if found[1] is not None and ":" not in found[1]:
        raise ValueError("has brackets, which are for IPv6 addresses such as [::1]:11112")
    return _host(found[1] or found[2]), int(found[3])


def _host(text: str) -> str:
    """An IP address or a name that could be resolved."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    labels = text.removesuffix(".").split(".")
    # A name whose last label is a number is an address with a mistake in it (RFC 1123 2.1).
    named = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdecimal()
    if not named or len(text) > _HOST_CHARACTERS:
        raise ValueError("is an IP address or a host name")
    return text


def _peer_port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) not in _PORTS[1:]:
        raise ValueError("is a TCP port, 1 to 65535")
    return int(text)


def _network(text: str) -> Network:
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is an IP address or a network such as 10.1.0.0/16") from None
    if str(wider.network_address) != str(ip_address(text.partition("/")[0])):
        raise ValueError(f"has bits behind its prefix: write {wider}")
    return wider


def _uid(text: str) -> str:
    try:
        values.check("UI", text, "1")
    except ValueError:
        text = ""
    if "." not in text:
        raise ValueError("is a list of SOP Class UIDs, such as 1.2.840.113619.4.26")
    return text


def _folder_name(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("is the path of a folder")
    return text


def _file_name(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("is the path of a file")
    return text


def _whole_number(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
        raise ValueError(f"is a whole number from {least} to {most}")
    return int(text)


def _decimal(text: str, least: float, most: float) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or not least <= float(text) <= most:
        raise ValueError(f"is a number from {least:g} to {most:g}")
    return float(text)

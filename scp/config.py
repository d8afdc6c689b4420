"""config.yaml -> Config, or every problem of it with line and column.

The file says what the node is, which profiles there are, where instances go and who may send
them. Nothing is started from a file with a problem in it.

Source: PS3.5 6.2 (VR AE); PS3.8 9.3.2 (AE titles of an association).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from rules.compiler import compile_plan
from rules.document import compose, quoted
from rules.errors import DocumentError, Mark, Problem
from rules.schema import (
    READY_MADE,
    Problems,
    Profile,
    Shape,
    name_problem,
    nearest,
    parse_switch,
    read_profile,
    ready_made,
    shaped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.document import Document
    from rules.document import Path as Place

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")

_AE_CHARACTERS = 16
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_UID_CHARACTERS = 64
_PORTS = range(65536)

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
        host: The address it listens on; empty for every interface.
        port: 0 for any free one.
        data: The folder of instances, journal and key.
        sop_classes: SOP Class UIDs it accepts beyond the standard's storage classes.
        associations: Open at once, all peers together.
        associations_per_address: Open at once from one address.
        idle_s: The longest silence between two messages.
        drain_s: How long messages under way may take at the stop.
        message_bytes: The longest dataset.
        header_bytes: The longest part of a dataset outside its pixel data.
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
    """Who may send, what is done to it, and where it goes."""

    calling: tuple[str, ...]
    called: str | None
    peers: tuple[Network, ...]
    profile: str
    store: bool
    forward: tuple[str, ...]

    def takes(self, calling_ae: str) -> bool:
        """Whether a calling AE title is one of its own; `*` and `?` stand for characters."""
        return any(fnmatchcase(calling_ae, pattern) for pattern in self.calling)

    def answers_to(self, called_ae: str) -> bool:
        """Whether a called AE title is the one it wants, if it wants any."""
        return self.called in (None, called_ae)

    def admits(self, address: str) -> bool:
        """Whether an address may use it."""
        if not self.peers:
            return True
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self.peers)


@dataclass(frozen=True, slots=True)
class RouteMiss:
    """Why no route is for an association: `calling`, `called` or `address`."""

    what: str


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says; `digest` is of its text."""

    file: str
    digest: str
    node: NodeConfig
    profiles: Mapping[str, Profile]
    destinations: Mapping[str, Destination]
    routes: tuple[Route, ...]

    def route_for(self, calling_ae: str, called_ae: str, address: str) -> Route | RouteMiss:
        """The first route that is for an association, or what about it fits none."""
        calling = [route for route in self.routes if route.takes(calling_ae)]
        called = [route for route in calling if route.answers_to(called_ae)]
        admitted = [route for route in called if route.admits(address)]
        if admitted:
            return admitted[0]
        if called:
            return RouteMiss("address")
        return RouteMiss("called" if calling else "calling")


def load_config(path: Path) -> Config:
    """Read a configuration file; its folder is where relative paths start.

    Raises:
        DocumentError: every problem of it; also when it cannot be read.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise DocumentError([Problem(Mark(str(path), 1, 1), message)]) from None
    except UnicodeDecodeError:
        message = "is not in UTF-8: save it as such"
        raise DocumentError([Problem(Mark(str(path), 1, 1), message)]) from None
    return parse_config(text, str(path), path.parent)


def embedded_default(folder: Path) -> Config:
    """The configuration of a node without a file, its data folder in `folder`."""
    return parse_config(EMBEDDED, "(embedded default)", folder)


def parse_config(text: str, file: str, folder: Path) -> Config:
    """Read the text of a configuration.

    Args:
        text: YAML.
        file: The name to show in messages.
        folder: Where relative paths start.

    Raises:
        DocumentError: every problem of it.
    """
    document, found = compose(text, file)
    problems = Problems(found)
    config = _Reading(document, problems).config(folder)
    problems.raise_any()
    assert config is not None  # noqa: S101 - without a problem there is a configuration
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Config(file, digest, *config)


class _FileShape(Shape):
    version: str
    node: dict[str, object] = {}
    profiles: dict[str, object] = {}
    destinations: dict[str, object] = {}
    routes: list[object]


class _NodeShape(Shape):
    ae_title: str = "ANONODE"
    listen: str = "127.0.0.1:11112"
    data: str = "./data"
    sop_classes: list[str] = []
    max_associations: str = "64"
    max_associations_per_address: str = "8"
    idle_s: str = "60"
    drain_s: str = "30"
    message_limit_bytes: str = str(4 << 30)
    header_limit_bytes: str = str(64 << 20)


class _DestinationShape(Shape):
    ae_title: str
    host: str
    port: str
    calling_ae_title: str | None = None
    response_s: str = "120"
    retry_base_s: str = "5"
    retry_cap_s: str = "900"
    retry_lifetime_days: str = "30"


class _RouteShape(Shape):
    from_: str | list[str] = Field(alias="from")
    to: str | None = None
    peer: str | list[str] = []
    profile: str
    store: str = "true"
    forward: str | list[str] = []


_Parts = tuple[NodeConfig, dict[str, Profile], dict[str, Destination], tuple[Route, ...]]


class _Reading:
    """Reads one file; every problem is noted, and what can be read is read on."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems

    def config(self, folder: Path) -> _Parts | None:
        if self._document.root is None:
            self._say((), "the file is empty: it needs version: 1 and routes")
            return None
        shape = shaped(_FileShape, self._document, (), self._problems)
        if shape is None:
            return None
        if shape.version != "1":
            self._say(("version",), f"version is 1, not {quoted(shape.version)}")
        node = self._node(folder)
        profiles = {name: self._profile(name) for name in shape.profiles}
        profiles |= {name: ready_made(name) for name in READY_MADE if name not in profiles}
        destinations = {
            name: found
            for name in shape.destinations
            if (found := self._destination(name, node)) is not None
        }
        self._known = (tuple(profiles), tuple(shape.destinations))
        routes = tuple(
            found
            for index in range(len(shape.routes))
            if (found := self._route(index)) is not None
        )
        if not shape.routes:
            self._say(("routes",), "routes is empty: nobody could send anything")
        self._unreached(routes)
        return (node, profiles, destinations, routes) if node else None

    # --- parts

    def _node(self, folder: Path) -> NodeConfig | None:
        place: Place = ("node",)
        has_node = isinstance(self._document.root, dict) and "node" in self._document.root
        shape = shaped(_NodeShape, self._document, place, self._problems) if has_node else None
        shape = shape or _NodeShape()
        host, port = self._at((*place, "listen"), _address, shape.listen) or ("", 0)
        uids = [
            self._at((*place, "sop_classes", index), _uid, uid)
            for index, uid in enumerate(shape.sop_classes)
        ]
        return NodeConfig(
            ae_title=self._at((*place, "ae_title"), _ae_title, shape.ae_title) or "",
            host=host,
            port=port,
            data=folder / shape.data,
            sop_classes=frozenset(uid for uid in uids if uid),
            associations=self._count(place, "max_associations", shape.max_associations),
            associations_per_address=self._count(
                place, "max_associations_per_address", shape.max_associations_per_address
            ),
            idle_s=self._amount(place, "idle_s", shape.idle_s),
            drain_s=self._amount(place, "drain_s", shape.drain_s),
            message_bytes=self._count(place, "message_limit_bytes", shape.message_limit_bytes),
            header_bytes=self._count(place, "header_limit_bytes", shape.header_limit_bytes),
        )

    def _profile(self, name: str) -> Profile:
        place: Place = ("profiles", name)
        problem = name_problem(name)
        if name in READY_MADE:
            problem = f"{name} is ready-made already: choose another name"
        if problem:
            self._problems.add(self._document.key_mark(place), problem)
        before = Problems()
        profile = read_profile(self._document, place, name, before)
        for found in before.all():
            self._problems.add(found.mark, found.message)
        if not before.all():
            self._compiled(profile)
        return profile

    def _compiled(self, profile: Profile) -> None:
        """A profile that reads well may still hold rules that can never apply."""
        try:
            compile_plan(profile)
        except DocumentError as error:
            for problem in error.problems:
                self._problems.add(problem.mark, problem.message)

    def _destination(self, name: str, node: NodeConfig | None) -> Destination | None:
        place: Place = ("destinations", name)
        problem = name_problem(name)
        if problem:
            self._problems.add(self._document.key_mark(place), problem)
        shape = shaped(_DestinationShape, self._document, place, self._problems)
        if shape is None:
            return None
        own = node.ae_title if node else ""
        calling = shape.calling_ae_title
        return Destination(
            name=name,
            ae_title=self._at((*place, "ae_title"), _ae_title, shape.ae_title) or "",
            host=self._at((*place, "host"), _host, shape.host) or "",
            port=self._at((*place, "port"), _peer_port, shape.port) or 0,
            calling_ae_title=own
            if calling is None
            else self._at((*place, "calling_ae_title"), _ae_title, calling) or "",
            response_s=self._amount(place, "response_s", shape.response_s),
            retry_base_s=self._amount(place, "retry_base_s", shape.retry_base_s),
            retry_cap_s=self._amount(place, "retry_cap_s", shape.retry_cap_s),
            lifetime_days=self._amount(place, "retry_lifetime_days", shape.retry_lifetime_days),
        )

    def _route(self, index: int) -> Route | None:
        place: Place = ("routes", index)
        shape = shaped(_RouteShape, self._document, place, self._problems)
        if shape is None:
            return None
        profiles, destinations = self._known
        self._one_of((*place, "profile"), shape.profile, profiles, "profile")
        forward = self._each((*place, "forward"), shape.forward)
        for where, name in forward:
            self._one_of(where, name, destinations, "destination")
        store = self._at((*place, "store"), parse_switch, shape.store) != "false"
        if not store and not forward:
            self._say((*place, "store"), "store is false and forward is empty: nothing would stay")
        peers = [self._at(where, _network, text) for where, text in self._each((*place, "peer"), shape.peer)]
        calling = [self._at(where, _glob, text) for where, text in self._each((*place, "from"), shape.from_)]
        if not calling:
            self._say((*place, "from"), 'from is empty: write the calling AE titles, or "*"')
        called = None if shape.to is None else self._at((*place, "to"), _ae_title, shape.to)
        return Route(
            calling=tuple(pattern for pattern in calling if pattern),
            called=called,
            peers=tuple(network for network in peers if network),
            profile=shape.profile,
            store=store,
            forward=tuple(dict.fromkeys(name for _, name in forward)),
        )

    def _unreached(self, routes: tuple[Route, ...]) -> None:
        """A route behind one that takes all it would take is a mistake, not a fallback."""
        for index, route in enumerate(routes):
            for earlier in routes[:index]:
                if _covers(earlier, route):
                    self._say(
                        ("routes", index),
                        "this route is never reached: an earlier one takes all it would",
                    )
                    break

    # --- values

    def _say(self, place: Place, message: str) -> None:
        self._problems.add(self._document.mark(place), message)

    def _at(self, place: Place, parse: Callable[[str], T], text: str) -> T | None:
        """A value parsed, or None and a problem at its place."""
        try:
            return parse(text)
        except ValueError as error:
            name = next(step for step in reversed(place) if isinstance(step, str))
            self._say(place, f"{name} {error}")
            return None

    def _each(self, place: Place, texts: str | list[str]) -> list[tuple[Place, str]]:
        if isinstance(texts, str):
            return [(place, texts)]
        return [((*place, index), text) for index, text in enumerate(texts)]

    def _one_of(self, place: Place, name: str, known: tuple[str, ...], what: str) -> None:
        if name not in known:
            near = nearest(name, known) or (f"; there are {', '.join(known)}" if known else "")
            self._say(place, f"there is no {what} {quoted(name)}{near}")

    def _count(self, place: Place, name: str, text: str) -> int:
        return self._at((*place, name), _whole_number, text) or 1

    def _amount(self, place: Place, name: str, text: str) -> float:
        return self._at((*place, name), _positive, text) or 1.0


def _covers(earlier: Route, later: Route) -> bool:
    """Whether every association of the later route is one of the earlier."""
    titles = all("*" in earlier.calling or pattern in earlier.calling for pattern in later.calling)
    called = earlier.called is None or earlier.called == later.called
    peers = not earlier.peers or (bool(later.peers) and set(later.peers) <= set(earlier.peers))
    return titles and called and peers


def _ae_title(text: str) -> str:
    if not 1 <= len(text.strip()) <= _AE_CHARACTERS or text != text.strip():
        raise ValueError(f"is 1 to {_AE_CHARACTERS} characters without spaces around them")
    if not text.isascii() or not text.isprintable() or "\\" in text:
        raise ValueError("is printable ASCII without a backslash")
    return text


def _glob(text: str) -> str:
    """An AE title in which `*` and `?` stand for characters."""
    if "[" in text or "]" in text:
        raise ValueError("may use * and ? only; write a list for a choice")
    if not text:
        raise ValueError('is empty; write "*" for everybody')
    if set(text) != {"*"}:
        _ae_title(text.replace("*", "") or "?")
    return text


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) not in _PORTS:
        raise ValueError("is HOST:PORT with a port up to 65535, such as 0.0.0.0:11112")
    bare = host.removeprefix("[").removesuffix("]")
    if ":" in bare and not host.startswith("["):
        raise ValueError("needs [ ] around an IPv6 address, such as [::1]:11112")
    return bare, int(port)


def _peer_port(text: str) -> int:
    if not text.isdecimal() or int(text) not in _PORTS[1:]:
        raise ValueError("is a TCP port, 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    if not text or not re.fullmatch(r"[A-Za-z0-9.:_%-]+", text):
        raise ValueError("is a host name or an IP address")
    return text


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is an IP address or a network, such as 10.1.0.0/16") from None
    raise ValueError(f"has bits behind its prefix; the network is written {wider}")


def _uid(text: str) -> str:
    if len(text) > _UID_CHARACTERS or not _UID.fullmatch(text):
        raise ValueError("holds a text that is not a UID")
    return text


def _whole_number(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) < 1:
        raise ValueError("is a whole number from 1")
    return int(text)


def _positive(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or float(text) <= 0:
        raise ValueError("is a number above 0")
    return float(text)

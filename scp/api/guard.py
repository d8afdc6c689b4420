"""The gate of the REST API: who may ask, by which name, and how much they may send.

In this order, before anything else looks at a request:

1. Host must be a name of this node, so that a foreign page cannot reach it by a name of its own
   (DNS rebinding). An address is one if it is the one the connection came to.
2. Origin, where a browser says it, must be the page of this node itself; so must Sec-Fetch-Site.
3. Where users are configured, Basic credentials must fit; few may wait for that, see `trials`.
4. A body may be as long as the limit of its address, which is low where it holds no document;
   what is longer is not read to its end.

Source: RFC 9110 7.2 and 15.5.14; RFC 6454; RFC 7617.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scp import logs
from scp.api.credentials import Users, basic
from scp.api.errors import Code, Fault, described
from scp.api.trials import Trials

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_UPLOAD: Final = ("POST", "/instances")
_WITH_DOCUMENTS: Final = frozenset(
    {"create-dicom", "anonymize", "bulk-anonymize", "modify", "bulk-modify"}
)
"""Last parts of the addresses whose bodies may hold pictures, PDFs or other values in base64."""
MOST_WITHOUT: Final = 4 << 20
"""Of a body without: ninety thousand identifiers, and hardly more memory than that as JSON."""
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_BUSY_STATUS: Final = 503
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="Anonode", charset="UTF-8"'}


@dataclass(frozen=True, slots=True)
class Guard:
    """What the gate checks.

    Attributes:
        hosts: Names of this node in lower case, `localhost` among them.
        users: Who may enter; None for everybody.
        body_limit_bytes: The longest body but for uploads; less where it holds no documents.
        upload_limit_bytes: The longest upload of instances.
    """

    hosts: frozenset[str]
    users: Users | None = field(repr=False)
    body_limit_bytes: int
    upload_limit_bytes: int

    def knows(self, host: str, own_address: str) -> bool:
        """Whether a Host header names this node; its port does not count."""
        name = _host_name(host)
        return name in self.hosts or (bool(name) and name == _plain(own_address))

    def limit_bytes(self, method: str, path: str) -> int:
        """The longest body of a request."""
        if (method, path) == _UPLOAD:
            return self.upload_limit_bytes
        if path.rpartition("/")[2] in _WITH_DOCUMENTS:
            return self.body_limit_bytes
        return min(self.body_limit_bytes, MOST_WITHOUT)


class Gate:
    """The layer that applies a guard to every request."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard
        self._trials = None if guard.users is None else Trials(guard.users)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Head.of(scope)
        fault = self._refusal(request) or await self._stranger(request, scope)
        if fault is not None:
            await _refuse(fault, request, scope, receive, send)
            return
        # Orthanc takes an address with a slash behind it for the same.
        scope["path"] = scope["path"].rstrip("/") or "/"
        limit = self._guard.limit_bytes(request.method, scope["path"])
        if request.length > limit:
            await _refuse(_too_long(limit), request, scope, receive, send)
            return
        await self._app(scope, _Limited(receive, limit).receive, send)

    def _refusal(self, request: _Head) -> Fault | None:
        if not self._guard.knows(request.host, request.own_address):
            said = "The Host header is no name of this node: add it to rest.hosts"
            return Fault(Code.BAD_REQUEST, said, http_status=403)
        if not request.is_of_own_page():
            said = "The request comes from a page of another origin"
            return Fault(Code.BAD_REQUEST, said, http_status=403)
        return None

    async def _stranger(self, request: _Head, scope: Scope) -> Fault | None:
        if self._trials is None:
            return None
        pair = basic(request.authorization)
        try:
            if pair is None or not await self._trials.admit(*pair):
                return Fault(Code.UNAUTHORIZED)
        except Fault as fault:
            return fault
        scope.setdefault("state", {})["user"] = pair[0]
        return None


@dataclass(frozen=True, slots=True)
class _Head:
    """What the gate reads of a request."""

    method: str
    path: str
    host: str
    own_address: str
    origin: str | None
    site: str | None
    authorization: str = field(repr=False)
    length: int
    has_body: bool
    peer: str

    @classmethod
    def of(cls, scope: Scope) -> _Head:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get(b"content-length", "0")
        return cls(
            method=scope["method"],
            path=scope["path"],
            host=headers.get(b"host", ""),
            own_address=str((scope.get("server") or ("",))[0]),
            origin=headers.get(b"origin"),
            site=headers.get(b"sec-fetch-site"),
            authorization=headers.get(b"authorization", ""),
            length=int(length) if length.isdecimal() else 0,
            has_body=length != "0" or b"transfer-encoding" in headers,
            peer=str((scope.get("client") or ("",))[0]),
        )

    def is_of_own_page(self) -> bool:
        """Whether a browser sends it for a page of this node, or no browser sends it."""
        if self.site is not None and self.site not in _OWN_SITE:
            return False
        if self.origin is None:
            return True
        try:
            return urlsplit(self.origin).netloc.lower() == self.host.lower()
        except ValueError:
            return False


class _Limited:
    """The receiving end of a request, up to a limit."""

    def __init__(self, receive: Receive, limit_bytes: int) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes

    async def receive(self) -> Message:
        message = await self._receive()
        self._left_bytes -= len(message.get("body", b""))
        if self._left_bytes < 0:
            raise _too_long(self._limit_bytes)
        return message


def _too_long(limit_bytes: int) -> Fault:
    said = f"The body is longer than {limit_bytes} bytes, the limit of this address"
    return Fault(Code.BAD_REQUEST, said, http_status=413)


async def _refuse(
    fault: Fault, request: _Head, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer, and do not wait for the rest of a body."""
    reason = fault.details or fault.code.message
    logs.log().warning("a request was refused", address=request.peer, reason=reason)
    headers = dict(_CHALLENGE) if fault.code is Code.UNAUTHORIZED else {}
    if fault.http_status == _BUSY_STATUS:
        headers["Retry-After"] = "1"
    if request.has_body:
        headers["Connection"] = "close"
    await described(fault, request.method, request.path, headers)(scope, receive, send)


def _host_name(host: str) -> str:
    """The name or address of a Host header, in lower case and without its port."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return _plain(name)


def _plain(name: str) -> str:
    """An address in its shortest form, IPv4 where IPv6 carries it; a name as it is."""
    try:
        parsed = ip_address(name.partition("%")[0])
    except ValueError:
        return name.removesuffix(".").lower()
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)

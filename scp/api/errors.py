"""Whatever goes wrong -> Orthanc's error body; of an exception nobody foresaw, nothing but 500.

- A body is `{"Details"?, "HttpError", "HttpStatus", "Message", "Method", "OrthancError",
  "OrthancStatus", "Uri"}` as pretty JSON, its type text/plain.
- An address that leads nowhere is 404, a method that it does not know 405 with Allow: no body.
- Details are sentences of this code: they name a field or a tag, never what an element holds.
"""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from rules.errors import DeidentificationError, InstanceRefused
from rules.requests import RequestFault
from scp import logs
from scp.api.answers import nothing, pretty
from scp.archive.job import JobRefused
from scp.archive.job_errors import job_error
from scp.errors import BadName, Conflict, JournalError, OutOfSpace, ScpError, UnknownResource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Code(IntEnum):
    """Numbers of Orthanc's errors, as far as they are used here."""

    INTERNAL = -1
    NOT_IMPLEMENTED = 2
    OUT_OF_RANGE = 3
    BAD_TYPE = 5
    NO_SUCH_ITEM = 7
    BAD_REQUEST = 8
    NETWORK = 9
    DATABASE = 11
    CANNOT_WRITE = 14
    BAD_FILE = 15
    TIMEOUT = 16
    UNKNOWN_RESOURCE = 17
    FULL_STORAGE = 19
    CORRUPTED = 20
    UNKNOWN_TAG = 27
    UNAUTHORIZED = 29
    CANCELED = 37
    REVISION = 43
    DUPLICATE = 46
    CANNOT_STORE = 2018
    OVERRIDES_PARENT = 2020
    NO_PARENT = 2024

    @property
    def message(self) -> str:
        """The sentence that goes with it."""
        return _MESSAGES[self]

    @property
    def http_status(self) -> int:
        """The status of HTTP that goes with it."""
        return _HTTP.get(self, 500)


_MESSAGES: Final = {
    Code.INTERNAL: "Internal error",
    Code.NOT_IMPLEMENTED: "Not implemented yet",
    Code.OUT_OF_RANGE: "Parameter out of range",
    Code.BAD_TYPE: "Bad type for a parameter",
    Code.NO_SUCH_ITEM: "Accessing an inexistent item",
    Code.BAD_REQUEST: "Bad request",
    Code.NETWORK: "Error in the network protocol",
    Code.DATABASE: "Error with the database engine",
    Code.CANNOT_WRITE: "Cannot write to file",
    Code.BAD_FILE: "Bad file format",
    Code.TIMEOUT: "Timeout",
    Code.UNKNOWN_RESOURCE: "Unknown resource",
    Code.FULL_STORAGE: "The file storage is full",
    Code.CORRUPTED: "Corrupted file (inconsistent MD5 hash)",
    Code.UNKNOWN_TAG: "Unknown DICOM tag",
    Code.UNAUTHORIZED: "Bad credentials were provided to an HTTP request",
    Code.CANCELED: "This job was canceled",
    Code.REVISION: (
        "A bad revision number was provided, which might indicate conflict between multiple "
        "writers"
    ),
    Code.DUPLICATE: "Duplicate resource",
    Code.CANNOT_STORE: "Cannot store an instance",
    Code.OVERRIDES_PARENT: "Trying to override a value inherited from a parent module",
    Code.NO_PARENT: "Trying to attach a new DICOM instance to an inexistent resource",
}
# What the rules refuse, or no codec can do, is for the client to change.
_HTTP: Final = {
    Code.CANNOT_STORE: 400,
    Code.NOT_IMPLEMENTED: 400,
    Code.OUT_OF_RANGE: 400,
    Code.BAD_TYPE: 400,
    Code.NO_SUCH_ITEM: 404,
    Code.BAD_REQUEST: 400,
    Code.BAD_FILE: 400,
    Code.UNKNOWN_RESOURCE: 404,
    Code.FULL_STORAGE: 507,
    Code.UNKNOWN_TAG: 400,
    Code.UNAUTHORIZED: 401,
    Code.OVERRIDES_PARENT: 400,
    Code.NO_PARENT: 400,
    Code.REVISION: 409,
    Code.DUPLICATE: 409,
}
_BY_KIND: Final = (
    (OutOfSpace, Code.FULL_STORAGE),
    (Conflict, Code.DUPLICATE),
    (JournalError, Code.DATABASE),
)
_METHODS: Final = ("DELETE", "GET", "POST", "PUT")
_BODILESS: Final = frozenset({404, 405})


def code_of(number: int) -> Code:
    """The error of a number; an internal one where the number is not known here."""
    return Code(number) if number in _MESSAGES else Code.INTERNAL


class Fault(ScpError):
    """A request that cannot be granted.

    Attributes:
        code: Orthanc's error.
        details: One sentence; empty for none.
        http_status: The code's own unless told otherwise.
    """

    def __init__(self, code: Code, details: str = "", *, http_status: int = 0) -> None:
        self.code = code
        self.details = details
        self.http_status = http_status or code.http_status
        super().__init__(details or code.message)


class Missing(Fault):
    """Nothing is at the address: 404 without a body, as Orthanc answers a GET or DELETE."""

    def __init__(self) -> None:
        super().__init__(Code.UNKNOWN_RESOURCE)


def unknown_resource(details: str = "") -> Fault:
    """404 with a body, as Orthanc answers a POST."""
    return Fault(Code.UNKNOWN_RESOURCE, details)


def error_body(fault: Fault, method: str, uri: str) -> bytes:
    """Orthanc's description of an error."""
    body: dict[str, object] = {
        "HttpError": HTTPStatus(fault.http_status).phrase,
        "HttpStatus": fault.http_status,
        "Message": fault.code.message,
        "Method": method,
        "OrthancError": fault.code.message,
        "OrthancStatus": int(fault.code),
        "Uri": uri,
    }
    if fault.details:
        body["Details"] = fault.details
    return pretty(body)


def described(
    fault: Fault, method: str, uri: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that tells of a fault."""
    body = error_body(fault, method, uri)
    return Response(body, fault.http_status, dict(headers or {}), "text/plain; charset=utf-8")


def install(app: FastAPI) -> None:
    """Give an application these answers."""
    app.add_exception_handler(HTTPException, _of_router)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    for kind in (Missing, UnknownResource):
        app.add_exception_handler(kind, _of_missing)
    for known in (ScpError, RequestFault, InstanceRefused, DeidentificationError):
        app.add_exception_handler(known, _of_known)
    app.add_middleware(Unforeseen)


def fault_of(error: Exception) -> Fault:
    """What a known exception is to a client; without a sentence where it is the node's own."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, RequestFault | JobRefused):
        return Fault(code_of(error.status), error.details)
    if isinstance(error, InstanceRefused | DeidentificationError):
        return _of_instance(error)
    if isinstance(error, BadName):
        return Fault(Code.OUT_OF_RANGE, str(error))
    return Fault(next((code for kind, code in _BY_KIND if isinstance(error, kind)), Code.INTERNAL))


def _of_instance(error: InstanceRefused | DeidentificationError) -> Fault:
    """What a job says of it."""
    return Fault(code_of(job_error(error).status), str(error))


def _of_known(request: Request, error: Exception) -> Response:
    fault = fault_of(error)
    # What a full disk turns away has one line for all of it: see `room`.
    known = isinstance(error, Fault | OutOfSpace)
    if not known and fault.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logs.log().error("a request could not be granted", **logs.of_error(error))
    return described(fault, request.method, request.url.path)


def _of_missing(_request: Request, _error: Exception) -> Response:
    return nothing(404)


def _of_parameters(request: Request, error: Exception) -> Response:
    """A parameter of the address that is no number, or lacks: its name, not its text."""
    lines = error.errors() if isinstance(error, RequestValidationError) else []
    names = sorted({str(line["loc"][-1]) for line in lines})
    fault = Fault(Code.OUT_OF_RANGE, f"Bad value of a parameter: {', '.join(names)}")
    return described(fault, request.method, request.url.path)


def _of_router(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return nothing(status, {"Allow": ", ".join(_methods(request))})
    if status in _BODILESS:
        return nothing(status)
    fault = Fault(Code.BAD_REQUEST, http_status=status)
    return described(fault, request.method, request.url.path)


def _methods(request: Request) -> list[str]:
    """What an address can be asked for; more than one route may have it."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


class Unforeseen:
    """The outermost layer: what nothing below has caught becomes 500 and a line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, and answer for what it raises."""
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, note)
        except ClientDisconnect:
            return  # nobody is left to be told
        except Exception as error:
            logs.log().error("a request failed", **logs.of_error(error))
            if begun:
                raise  # the server cuts the connection: half an answer must not look whole
            response = described(Fault(Code.INTERNAL), scope["method"], scope["path"])
            await response(scope, receive, send)

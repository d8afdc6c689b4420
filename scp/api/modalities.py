"""The destinations of the configuration as Orthanc's modalities: what they are, echo, store.

Where something is sent to comes from the configuration alone: no request names a host, a port or
a title. What is sent are stored instances, as they are, in their own transfer syntaxes.

Source: PS3.4 A (verification), B (storage).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from rules import requests
from scp.api.answers import answer
from scp.api.bodies import WholeBody, parse_json
from scp.api.errors import Code, Fault, Missing
from scp.api.jobs import origin, run
from scp.api.parameters import Flag, is_set
from scp.archive.job import JobKind, JobRequest
from scp.errors import TransportError
from scp.negotiation import VERIFICATION
from scp.sender import called

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scp.api.services import Services
    from scp.settings import Destination

_OPERATIONS: Final = ("configuration", "echo", "store")
_ECHO: Final = ((VERIFICATION, "1.2.840.10008.1.2"),)
_SUCCESS: Final = 0
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_OF_CONFIGURATION: Final = frozenset(
    {"CalledAet", "Host", "LocalAet", "MoveOriginatorAet", "MoveOriginatorID", "Port"}
)


def routes(services: Services) -> APIRouter:
    """The routes of these."""
    router = APIRouter(tags=["modalities"])

    @router.get("/modalities")
    def names(expand: Flag = None) -> Response:
        """Names of the destinations, or `?expand`: what each is."""
        if is_set(expand):
            known = services.config.destinations
            return answer({name: _described(one) for name, one in known.items()})
        return answer(sorted(services.config.destinations))

    @router.get("/modalities/{name}")
    def operations(name: str) -> Response:
        """What can be asked of a destination."""
        _get(services, name)
        return answer(list(_OPERATIONS))

    @router.get("/modalities/{name}/configuration")
    def configuration(name: str) -> Response:
        """What a destination is."""
        return answer(_described(_get(services, name)))

    @router.post("/modalities/{name}/echo")
    def echo(name: str) -> Response:
        """Ask a destination for an echo."""
        _echo(_post(services, name))
        return answer({})

    @router.post("/modalities/{name}/store")
    def store(name: str, body: WholeBody, request: Request) -> Response:
        """Send stored resources: an identifier, a list of some, or `{"Resources": [...]}`."""
        _post(services, name)
        ids, fields = read_store(body)
        options = requests.read_job_options(fields, keep_source_default=True)
        asked = JobRequest(
            JobKind.STORE, fields, tuple(ids), destination=name, origin=origin(request)
        )
        return run(services, asked, synchronous=options.synchronous)

    return router


def read_store(body: bytes) -> tuple[list[str], Mapping[str, object]]:
    """The identifiers that a body names, and what else it says.

    Raises:
        Fault: it names none, or asks for what only the configuration says.
    """
    ids: object = body.decode("latin-1").strip()
    fields: Mapping[str, object] = {}
    if not _ID.fullmatch(str(ids)):
        parsed = parse_json(body)
        fields = parsed if isinstance(parsed, dict) else {}
        ids = fields.get("Resources") if isinstance(parsed, dict) else parsed
    _check(fields)
    listed = [ids] if isinstance(ids, str) else ids
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise Fault(Code.BAD_FILE, 'JSON field "Resources" must contain an array of strings')
    return listed, fields


def _check(fields: Mapping[str, object]) -> None:
    fixed = sorted(fields.keys() & _OF_CONFIGURATION)
    if fixed:
        said = f"{fixed[0]} is what the configuration says of the destination: leave it out"
        raise Fault(Code.BAD_REQUEST, said)
    if fields.get("StorageCommitment"):
        said = "StorageCommitment: a destination is not asked for storage commitment"
        raise Fault(Code.NOT_IMPLEMENTED, said)


def _echo(destination: Destination) -> None:
    try:
        with called(destination, _ECHO) as association:
            if not association.accepted(*_ECHO[0]):
                raise Fault(Code.NETWORK, "The destination does not take an echo")
            status = association.echo()
    except TransportError as error:
        text = str(error)
        raise Fault(Code.NETWORK, text[:1].upper() + text[1:]) from None
    if status != _SUCCESS:
        said = f"The destination answered with status {status:#06x}"
        raise Fault(Code.NETWORK, said)


def _get(services: Services, name: str) -> Destination:
    found = services.config.destinations.get(name)
    if found is None:
        raise Missing
    return found


def _post(services: Services, name: str) -> Destination:
    found = services.config.destinations.get(name)
    if found is None:
        raise Fault(Code.NO_SUCH_ITEM, f"No modality with symbolic name: {name}")
    return found


def _described(destination: Destination) -> dict[str, object]:
    """As Orthanc does; what this node does not ask for is said not to be allowed."""
    return {
        "AET": destination.ae_title,
        "AllowEcho": True,
        "AllowEventReport": False,
        "AllowFind": False,
        "AllowFindWorklist": False,
        "AllowGet": False,
        "AllowMove": False,
        "AllowNAction": False,
        "AllowStorageCommitment": False,
        "AllowStore": True,
        "AllowTranscoding": False,
        "Host": destination.host,
        "LocalAet": destination.calling_ae_title,
        "Manufacturer": "Generic",
        "Port": destination.port,
        "Timeout": int(destination.response_s),
        "UseDicomTls": destination.tls is not None,
    }

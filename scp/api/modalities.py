"""The destinations of the configuration as Orthanc's modalities: what they are, echo, store.

Where something is sent to comes from the configuration alone: no request names a host, a port or
a title. What is sent are stored instances, as they are, in their own transfer syntaxes.

Source: PS3.4 A (verification), B (storage).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response

from scp.api.answers import answer
from scp.api.bodies import WholeBody, parse_json
from scp.api.errors import Code, Fault, Missing, unknown_resource
from scp.api.parameters import Flag, is_set
from scp.archive.sending import NotSent, send
from scp.errors import TransportError
from scp.negotiation import VERIFICATION
from scp.sender import SenderAssociation, Timeouts
from scp.tls import requestor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scp.api.services import Services
    from scp.archive.resources import StoredInstance
    from scp.archive.sending import Associate
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
    def store(name: str, body: WholeBody) -> Response:
        """Send stored resources: an identifier, a list of some, or `{"Resources": [...]}`."""
        destination = _post(services, name)
        ids, permissive = read_store(body)
        return answer(_store(services, destination, ids, permissive=permissive))

    return router


def read_store(body: bytes) -> tuple[list[str], bool]:
    """The identifiers that a body names, and whether failures are passed over.

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
    return listed, fields.get("Permissive") is True


def _check(fields: Mapping[str, object]) -> None:
    fixed = sorted(fields.keys() & _OF_CONFIGURATION)
    if fixed:
        said = f"{fixed[0]} is what the configuration says of the destination: leave it out"
        raise Fault(Code.BAD_REQUEST, said)
    if fields.get("Synchronous") is False or fields.get("Asynchronous") is True:
        said = "This store is synchronous; a route with `forward` sends without waiting"
        raise Fault(Code.NOT_IMPLEMENTED, said, http_status=400)
    if not isinstance(fields.get("Permissive", False), bool):
        raise Fault(Code.BAD_FILE, "Boolean value expected in field: Permissive")


def _store(
    services: Services, destination: Destination, ids: Sequence[str], *, permissive: bool
) -> dict[str, object]:
    instances = _instances(services, ids)
    try:
        failed = send(services.spool, instances, _associating(destination), permissive=permissive)
    except (TransportError, NotSent) as error:
        raise _network(error) from None
    found: dict[str, object] = {
        "Description": "REST API",
        "FailedInstancesCount": failed,
        "InstancesCount": len(instances),
        "LocalAet": destination.calling_ae_title,
        "RemoteAet": destination.ae_title,
    }
    return found | ({"ParentResources": list(ids)} if ids else {})


def _instances(services: Services, ids: Sequence[str]) -> list[StoredInstance]:
    for id_ in ids:
        if services.catalogue.find(id_) is None:
            raise unknown_resource("Resources: there is no such resource")
    return services.catalogue.instances(ids)


def _echo(destination: Destination) -> None:
    try:
        with _associating(destination)(_ECHO) as association:
            if not association.accepted(*_ECHO[0]):
                raise _network(NotSent("the destination does not take an echo"))
            status = association.echo()
    except TransportError as error:
        raise _network(error) from None
    if status != _SUCCESS:
        raise _network(NotSent(f"the destination answered with status {status:#06x}"))


def _network(error: Exception) -> Fault:
    text = str(error)
    return Fault(Code.NETWORK, text[:1].upper() + text[1:])


def _associating(destination: Destination) -> Associate:
    return lambda contexts: SenderAssociation(
        (destination.host, destination.port),
        destination.calling_ae_title,
        destination.ae_title,
        contexts,
        Timeouts.answering_in(destination.response_s),
        tls=requestor(destination),
    )


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

"""What the node says of itself, and its small tools: /system, /statistics, /tools/now and so on.

`Version` is the level of Orthanc's API that is spoken, so that its clients ask for what is here;
`Name` and `AnonodeVersion` are this node's own.

Source: PS3.5 B.2 (UIDs under 2.25).
"""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Response

from scp import __version__
from scp.api.answers import answer, plain
from scp.api.errors import Code, Fault
from scp.archive.identifiers import Level

if TYPE_CHECKING:
    from scp.api.services import Services

ORTHANC_VERSION: Final = "1.13.0"
API_VERSION: Final = 30
_DATABASE_VERSION: Final = 6
_MIB: Final = 1 << 20
_LEVELS: Final = {level.word.lower(): level for level in Level}


def routes(services: Services) -> APIRouter:
    """The routes of these."""
    router = APIRouter(tags=["system"])

    @router.get("/system")
    def system() -> Response:
        """What the node is."""
        return answer(_system(services))

    @router.get("/statistics")
    def statistics() -> Response:
        """How much is stored."""
        found = services.catalogue.statistics()
        size = {
            key: value
            for name in ("Disk", "Uncompressed")
            for key, value in (
                (f"Total{name}Size", str(found.size_bytes)),
                (f"Total{name}SizeMB", found.size_bytes // _MIB),
            )
        }
        counts = {
            "CountPatients": found.patients,
            "CountStudies": found.studies,
            "CountSeries": found.series,
            "CountInstances": found.instances,
        }
        return answer(counts | size)

    @router.get("/tools/now")
    def now() -> Response:
        """The time, UTC."""
        return plain(datetime.now(UTC).strftime("%Y%m%dT%H%M%S"))

    @router.get("/tools/now-local")
    def now_local() -> Response:
        """The time of the node's time zone."""
        return plain(datetime.now(UTC).astimezone().strftime("%Y%m%dT%H%M%S"))

    @router.get("/tools/generate-uid")
    def generate_uid(level: str) -> Response:
        """A new identifier for a patient, study, series or instance; it tells nothing."""
        if level not in _LEVELS:
            known = ", ".join(_LEVELS)
            raise Fault(Code.OUT_OF_RANGE, f"level is one of {known}")
        return plain(_new_identifier(_LEVELS[level]))

    return router


def _new_identifier(level: Level) -> str:
    if level is Level.PATIENT:
        return str(uuid.UUID(int=secrets.randbits(128), version=4))
    return f"2.25.{uuid.UUID(int=secrets.randbits(128), version=4).int}"


def _system(services: Services) -> dict[str, object]:
    rest = services.config.rest
    return {
        "AnonodeVersion": __version__,
        "ApiVersion": API_VERSION,
        "Capabilities": {"HasExtendedChanges": False, "HasExtendedFind": False},
        "CheckRevisions": False,
        "DatabaseBackendPlugin": None,
        "DatabaseServerIdentifier": services.config.node.ae_title,
        "DatabaseVersion": _DATABASE_VERSION,
        "DicomAet": services.config.node.ae_title,
        "DicomPort": services.dicom_port,
        "HasLabels": True,
        "HttpPort": services.http_port,
        "IngestTranscoding": "",
        "IsHttpServerSecure": bool(rest and rest.tls_certificate),
        "MaximumPatientCount": 0,
        "MaximumStorageMode": "Reject",
        "MaximumStorageSize": 0,
        "Name": "Anonode",
        "OverwriteInstances": False,
        "PluginsEnabled": False,
        "ReadOnly": False,
        "StorageAreaPlugin": None,
        "StorageCompression": False,
        "UserMetadata": {},
        "Version": ORTHANC_VERSION,
    }

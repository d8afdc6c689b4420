"""Instances in and out: upload through the rules of `rest.profile`, files, attachments, frames.

An instance that is uploaded takes the same way as one that a peer sends: it is de-identified
while it arrives, and answered once it is safe.

Source: PS3.10 (media type application/dicom).
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from scp.api.answers import Streamed, answer, plain
from scp.api.bodies import pieces
from scp.api.errors import Missing
from scp.api.previews import Previews
from scp.api.stored import begun, stored_instance
from scp.api.uploads import Landed, Upload, address_of, opening
from scp.archive.reading import dataset_of, stored_file

if TYPE_CHECKING:
    from scp.api.services import Services
    from scp.archive.resources import StoredInstance

DICOM: Final = "application/dicom"
_OPERATIONS: Final = (
    *("compressed-data", "compressed-md5", "compressed-size", "data", "info"),
    *("is-compressed", "md5", "size", "uuid"),
)
_DICOM_CONTENT: Final = 1
_MOST_FRAMES: Final = 1_000_000


def routes(services: Services) -> APIRouter:
    """The routes of these."""
    router = APIRouter(tags=["instances"])

    @router.post("/instances")
    def upload(request: Request) -> Response:
        """Store a DICOM file, or a zip of some; either may be in gzip."""
        body = Upload(opening(services, address_of(request)), services.config.node.message_bytes)
        try:
            for piece in pieces(request):
                body.feed(piece)
            landed_files = body.finish()
        except BaseException:
            body.abandon()
            raise
        return _uploaded(landed_files, is_archive=body.is_archive)

    @router.get("/instances/{id_}/file")
    def file(id_: str) -> Response:
        """The DICOM file."""
        return _file(services, stored_instance(services, id_))

    @router.get("/instances/{id_}/frames")
    def frames(id_: str) -> Response:
        """The numbers of the frames, from 0."""
        return answer(list(range(_frames(services, stored_instance(services, id_)))))

    _add_previews(router, services)
    _add_attachments(router, services)
    return router


def _add_previews(router: APIRouter, services: Services) -> None:
    previews = Previews(services)

    @router.get("/instances/{id_}/preview")
    @router.get("/instances/{id_}/rendered")
    async def preview(id_: str, request: Request) -> Response:
        """The first frame as a PNG, its grey values stretched."""
        return Response(await previews.of(id_, request), media_type="image/png")


def _add_attachments(router: APIRouter, services: Services) -> None:
    @router.get("/instances/{id_}/attachments")
    def attachments(id_: str, full: str | None = None) -> Response:
        """What is attached: the DICOM file, and nothing else."""
        stored_instance(services, id_)
        return answer(["dicom"] if full is None else {"dicom": _DICOM_CONTENT})

    @router.get("/instances/{id_}/attachments/dicom")
    def operations(id_: str) -> Response:
        """What can be asked of the file."""
        stored_instance(services, id_)
        return answer(list(_OPERATIONS))

    @router.get("/instances/{id_}/attachments/dicom/{what}")
    def attachment(id_: str, what: str) -> Response:
        """The file, or a fact about it."""
        instance = stored_instance(services, id_)
        if what in ("data", "compressed-data"):
            return _file(services, instance)
        return _fact(services, instance, what)


def _uploaded(landed: list[Landed], *, is_archive: bool) -> Response:
    """One object for a file, a list for an archive; a fault if nothing is stored."""
    faults = [one.fault for one in landed if one.fault is not None]
    if faults and len(faults) == len(landed):
        raise faults[0]
    if is_archive:
        return answer([one.answer for one in landed])
    return answer(landed[0].answer)


def _file(services: Services, instance: StoredInstance) -> Response:
    data = begun(services.spool.read(stored_file(instance)))
    headers = {
        "Content-Disposition": f'filename="{instance.id}.dcm"',
        "Content-Length": str(instance.size_bytes),
    }
    return Streamed(data, DICOM, headers)


def attachment_uuid(instance: StoredInstance) -> str:
    """A name of the bytes themselves, where Orthanc has one of the file."""
    return str(UUID(hex=instance.digest))


def _fact(services: Services, instance: StoredInstance, what: str) -> Response:
    size = str(instance.size_bytes)
    if what in ("size", "compressed-size"):
        return plain(size)
    if what == "is-compressed":
        return plain("0")
    if what == "uuid":
        return plain(attachment_uuid(instance))
    if what in ("md5", "compressed-md5"):
        return plain(_md5(services, instance))
    if what == "info":
        return answer(_info(services, instance))
    raise Missing


def _info(services: Services, instance: StoredInstance) -> dict[str, object]:
    digest = _md5(services, instance)
    return {
        "CompressedMD5": digest,
        "CompressedSize": instance.size_bytes,
        "ContentType": _DICOM_CONTENT,
        "UncompressedMD5": digest,
        "UncompressedSize": instance.size_bytes,
        "Uuid": attachment_uuid(instance),
    }


def _md5(services: Services, instance: StoredInstance) -> str:
    digest = md5(usedforsecurity=False)
    for piece in services.spool.read(stored_file(instance)):
        digest.update(piece)
    return digest.hexdigest()


def _frames(services: Services, instance: StoredInstance) -> int:
    """Number of Frames (0028,0008) where there are pixels; one where it is no number."""
    dataset, pixels = dataset_of(services.spool, instance)
    if pixels is None:
        return 0
    text = str(dataset.get("NumberOfFrames", 1) or 1)
    number = int(text) if text.isascii() and text.isdecimal() else 1
    return max(1, min(number, _MOST_FRAMES))

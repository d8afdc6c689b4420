"""Anonymize, modify, split and merge: a body in, a job or a file out.

An instance is answered with the new file and nothing is stored; whatever is above it becomes a
job whose results are stored, and is answered with what they are, or at once with the job.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from rules import requests
from scp.api.answers import Streamed
from scp.api.bodies import JsonBody  # noqa: TC001 - FastAPI reads annotations
from scp.api.documents import ANONYMIZE, BULK, JOB, MERGE, MODIFY, SPLIT, body_of
from scp.api.errors import Code, Fault, unknown_resource
from scp.api.jobs import origin, run
from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRequest
from scp.archive.job_stock import Stock
from scp.archive.modification_job import ModificationJob

if TYPE_CHECKING:
    from scp.api.services import Services
from scp.api.stored import begun

_DICOM: Final = "application/dicom"
_VERBS: Final = (("anonymize", ANONYMIZE), ("modify", MODIFY))


def routes(services: Services) -> APIRouter:
    """The routes that change what is stored, or a copy of it."""
    router = APIRouter(tags=["modification"])
    for verb, fields in _VERBS:
        is_anonymization = verb == "anonymize"
        _add_of_instance(router, services, verb, fields, is_anonymization=is_anonymization)
        for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
            _add_of_resource(router, services, level, verb, fields)
        _add_bulk(router, services, verb, fields)
    _add_of_study(router, services, "split", JobKind.SPLIT, SPLIT)
    _add_of_study(router, services, "merge", JobKind.MERGE, MERGE)
    return router


def _add_of_instance(
    router: APIRouter,
    services: Services,
    verb: str,
    fields: dict[str, Any],
    *,
    is_anonymization: bool,
) -> None:
    changing = ModificationJob(Stock(services.catalogue, services.pseudonyms))

    @router.post(
        f"/instances/{{id_}}/{verb}",
        name=f"{verb} instance",
        openapi_extra=body_of(fields),
        description=f"Give the DICOM file that one becomes if you {verb} it; nothing is stored.",
    )
    def of_instance(id_: str, body: JsonBody, request: Request) -> Response:
        _check_there(services, id_, Level.INSTANCE)
        asked, _ = changing.check(
            JobRequest(
                kind=JobKind.MODIFICATION,
                body=_object(body),
                ids=(id_,),
                is_anonymization=is_anonymization,
                level=Level.INSTANCE,
                origin=origin(request),
            )
        )
        order = changing.order(str(uuid.uuid4()), asked)
        if not order.instances:
            raise unknown_resource()
        pieces = begun(services.modifier.rewrite(order.instances[0], order.treatment))
        return Streamed(pieces, _DICOM)


def _add_of_resource(
    router: APIRouter, services: Services, level: Level, verb: str, fields: dict[str, Any]
) -> None:
    word = level.word.lower()

    @router.post(
        f"/{level.path}/{{id_}}/{verb}",
        name=f"{verb} {word}",
        openapi_extra=body_of(fields, JOB),
        description=f"Make a new {word} of one if you {verb} it; the source stays unless told.",
    )
    def of_resource(id_: str, body: JsonBody, request: Request) -> Response:
        _check_there(services, id_, level)
        asked = JobRequest(
            kind=JobKind.MODIFICATION,
            body=_object(body),
            ids=(id_,),
            is_anonymization=verb == "anonymize",
            level=level,
            origin=origin(request),
        )
        return _run(services, asked)


def _add_bulk(router: APIRouter, services: Services, verb: str, fields: dict[str, Any]) -> None:
    @router.post(
        f"/tools/bulk-{verb}",
        name=f"bulk {verb}",
        openapi_extra=body_of(fields, JOB, BULK),
        description=f"{verb.capitalize()} resources of any level together.",
    )
    def bulk(body: JsonBody, request: Request) -> Response:
        fields_sent = _object(body)
        is_anonymization = verb == "anonymize"
        level = None if is_anonymization else requests.read_level(fields_sent)
        asked = JobRequest(
            kind=JobKind.MODIFICATION,
            body=fields_sent,
            ids=tuple(requests.read_resources(fields_sent)),
            is_anonymization=is_anonymization,
            is_bulk=True,
            level=None if level is None else Level(level),
            origin=origin(request),
        )
        return _run(services, asked)


def _add_of_study(
    router: APIRouter, services: Services, verb: str, kind: JobKind, fields: dict[str, Any]
) -> None:
    said = {
        "split": "Move series or instances of a study to a new one.",
        "merge": "Move studies, series or instances into a study.",
    }

    @router.post(
        f"/studies/{{id_}}/{verb}",
        name=f"{verb} study",
        openapi_extra=body_of(fields, JOB),
        description=said[verb],
    )
    def of_study(id_: str, body: JsonBody, request: Request) -> Response:
        asked = JobRequest(
            kind=kind,
            body=_object(body),
            ids=(id_,),
            level=Level.STUDY,
            origin=origin(request),
        )
        return _run(services, asked)


def _run(services: Services, asked: JobRequest) -> Response:
    keeps_source = asked.kind is JobKind.MODIFICATION
    options = requests.read_job_options(asked.body, keep_source_default=keeps_source)
    return run(services, asked, synchronous=options.synchronous)


def _check_there(services: Services, id_: str, level: Level) -> None:
    if services.catalogue.find(id_, level) is None:
        raise unknown_resource(f"There is no such {level.word.lower()}")


def _object(body: object) -> dict[str, object]:
    if not isinstance(body, dict):
        raise Fault(Code.BAD_FILE, "The body must be a JSON object")
    return body

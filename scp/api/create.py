"""`/tools/create-dicom`: an instance made of attributes, a picture or a PDF, and a parent.

Attributes are written by the engine, as those of a modification are: what does not fit its VR, VM
or character set is refused. Then the instance is stored like any upload, through the rules of
`rest.profile`; a profile that gives new identifiers gives them to this one too, so that a parent
is only joined where the profile keeps them.

Source: PS3.3 A.8.1, A.45.1.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from rules import deidentify, requests
from rules.transfer import EXPLICIT_LITTLE
from scp.api.answers import answer
from scp.api.bodies import JsonBody  # noqa: TC001 - FastAPI reads annotations
from scp.api.errors import Code, Fault
from scp.api.stored import named_tag
from scp.api.uploads import Landed, Upload, address_of, opening
from scp.archive import creating
from scp.archive.identifiers import Level
from scp.archive.reading import dataset_of
from scp.images import NoPicture, picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydicom.dataset import Dataset

    from rules import Plan
    from scp.api.services import Services

_DATA: Final = re.compile(r"data:([A-Za-z0-9.+/-]*);base64,")
_PICTURES: Final = frozenset({"image/png", "image/jpeg"})
_CHARSET: Final = 0x00080005
_MOST_CONTENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Creation:
    """What a body asks for.

    Attributes:
        tags: Values by name, as of `Replace`.
        contents: Media types and bytes; one instance for each, or one without.
        parent: Identifier of a patient, study or series; empty for none.
        force: Whether the UIDs may be given.
        is_series: Whether a list of contents was given.
    """

    tags: Mapping[str, object]
    contents: tuple[tuple[str, bytes], ...]
    parent: str
    force: bool
    private_creator: str
    is_series: bool


def routes(services: Services) -> APIRouter:
    """The routes of these."""
    router = APIRouter(tags=["tools"])

    @router.post("/tools/create-dicom")
    def create(request: Request, body: JsonBody) -> Response:
        """Make an instance of `Tags`, perhaps with `Content` and below a `Parent`."""
        creation = read_creation(body)
        plan = _plan(creation)
        # All of it can be written before any of it is stored.
        written = [_written(services, one, plan) for one in _datasets(services, creation)]
        landed = [_stored(services, request, one) for one in written]
        return answer(_answer(landed, is_series=creation.is_series))

    return router


def read_creation(body: object) -> Creation:
    """What a body asks for; without `Tags` its fields are the attributes.

    Raises:
        Fault: a field is not what it should be.
    """
    if not isinstance(body, dict):
        raise Fault(Code.BAD_REQUEST, "The body must contain a JSON object")
    fields: Mapping[str, object] = body if "Tags" in body else {"Tags": body}
    tags = fields["Tags"]
    if not isinstance(tags, dict):
        raise Fault(Code.BAD_REQUEST, 'Field "Tags" should be a JSON object')
    force = fields.get("Force", False)
    if not isinstance(force, bool):
        raise Fault(Code.BAD_FILE, "Boolean value expected in field: Force")
    content = fields.get("Content", [])
    return Creation(
        tags=tags,
        contents=tuple(_contents(content)),
        parent=_text(fields, "Parent"),
        force=force,
        private_creator=_text(fields, "PrivateCreator"),
        is_series=isinstance(content, list) and bool(content),
    )


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise Fault(Code.BAD_REQUEST, f'Field "{name}" should be a string')
    return value


def _contents(content: object) -> Iterator[tuple[str, bytes]]:
    listed = content if isinstance(content, list) else [content]
    if len(listed) > _MOST_CONTENTS:
        raise Fault(Code.BAD_REQUEST, f"Content is a list of at most {_MOST_CONTENTS}")
    for one in listed:
        found = _DATA.match(one) if isinstance(one, str) else None
        if found is None:
            raise Fault(Code.BAD_FILE, 'Content is written as "data:TYPE;base64,..."')
        try:
            yield found[1], b64decode(str(one)[found.end() :], validate=True)
        except (Base64Error, ValueError):
            raise Fault(Code.BAD_FILE, "Content is not base64") from None


def _plan(creation: Creation) -> Plan:
    """Writes the attributes, and changes nothing else."""
    kept = [name for name in creating.UIDS if named_tag(name) not in _named(creation)]
    body: dict[str, object] = {"Replace": dict(creation.tags), "Keep": kept, "Force": True}
    if creation.private_creator:
        body["PrivateCreator"] = creation.private_creator
    modification = requests.read_modify(body, requests.Level.INSTANCE)
    return requests.plan_of(modification, scope="", renaming=requests.NOTHING_RENAMED)


def _named(creation: Creation) -> frozenset[int]:
    """The attributes at the root; a path is none of them."""
    plain = (name for name in creation.tags if "." not in name and "[" not in name)
    return frozenset(map(named_tag, plain))


def _datasets(services: Services, creation: Creation) -> Iterator[Dataset]:
    """One for each content, all of one series."""
    inherited = _inherited(services, creation)
    named = _named(creation)
    overridden = [e.keyword for e in inherited if int(e.tag) in named and e.tag != _CHARSET]
    if not creation.force:
        overridden += [name for name in creating.UIDS if named_tag(name) in named]
    if overridden:
        raise Fault(Code.OVERRIDES_PARENT, overridden[0])
    draft = creating.draft()
    draft.update(inherited)
    if not creation.contents:
        yield draft
    for number, (media_type, data) in enumerate(creation.contents, 1):
        dataset = deepcopy(draft)
        dataset.SOPInstanceUID = creating.new_uid()
        dataset.InstanceNumber = number
        _fill(dataset, media_type, data)
        yield dataset


def _inherited(services: Services, creation: Creation) -> Dataset:
    parent = services.catalogue.find(creation.parent) if creation.parent else None
    if parent is None or parent.level is Level.INSTANCE:
        if creation.parent:
            raise Fault(Code.NO_PARENT)
        return creating.nothing()
    instances = services.catalogue.instances([parent.id])
    if not instances:
        raise Fault(Code.NO_PARENT)
    dataset, _ = dataset_of(services.spool, instances[0])
    return creating.inherited(dataset, parent.level)


def _fill(dataset: Dataset, media_type: str, data: bytes) -> None:
    if media_type in _PICTURES:
        try:
            creating.with_picture(dataset, picture(data))
        except NoPicture as error:
            raise Fault(Code.BAD_FILE, str(error)) from None
    elif media_type == creating.PDF:
        if not data.startswith(b"%PDF-"):
            raise Fault(Code.BAD_FILE, "Not a PDF file")
        creating.with_document(dataset, data)
    else:
        said = f"Content is image/png, image/jpeg or {creating.PDF}"
        raise Fault(Code.NOT_IMPLEMENTED, said, http_status=400)


def _written(services: Services, dataset: Dataset, plan: Plan) -> bytes:
    data = creating.encoded(dataset)
    return deidentify(data, plan, services.pseudonyms, EXPLICIT_LITTLE)[0]


def _stored(services: Services, request: Request, file: bytes) -> Landed:
    upload = Upload(opening(services, address_of(request)), services.config.node.message_bytes)
    upload.feed(file)
    (landed,) = upload.finish()
    if landed.fault is not None:
        raise landed.fault
    return landed


def _answer(landed: list[Landed], *, is_series: bool) -> dict[str, object]:
    if not is_series:
        return landed[0].answer
    series = str(landed[0].answer["ParentSeries"])
    return {"ID": series, "Path": f"/{Level.SERIES.path}/{series}", "Status": "Success"}

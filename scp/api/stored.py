"""Instances by identifier, for the routes that read what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scp.api.errors import Code, Fault, Missing
from scp.archive.identifiers import Level
from scp.archive.tag_names import tag_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from scp.api.services import Services
    from scp.archive.resources import StoredInstance


def stored_instance(services: Services, id_: str) -> StoredInstance:
    """The instance of an identifier.

    Raises:
        Missing: there is none.
    """
    if services.catalogue.find(id_, Level.INSTANCE) is None:
        raise Missing
    for instance in services.catalogue.instances([id_]):
        if instance.id == id_:
            return instance
    raise Missing


def named_tag(name: str) -> int:
    """The tag of a name in a request.

    Raises:
        Fault: it means no attribute.
    """
    try:
        return tag_of(name)
    except ValueError as error:
        raise Fault(Code.UNKNOWN_TAG, str(error)) from None


def begun(pieces: Iterator[bytes]) -> Generator[bytes]:
    """The same pieces, the first of them read already.

    What cannot be read at all is then told by a status, before an answer begins.
    """
    return _going_on(next(pieces, b""), pieces)


def _going_on(first: bytes, pieces: Iterator[bytes]) -> Generator[bytes]:
    yield first
    yield from pieces

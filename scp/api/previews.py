"""The first frame of a stored instance as a PNG.

Compressed pixels are decoded where the node decodes all pixels, in a process of its own: what a
codec does with a hostile stream harms nobody else. Native ones are only copied.

Source: PS3.5 A.4.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from rules.compiler import compile_plan
from rules.errors import DeidentificationError, InstanceRefused
from rules.language.schema import ready_made
from rules.targets import NATIVE
from rules.transfer import EXPLICIT_LITTLE
from scp.api.errors import Code, Fault
from scp.archive.modifier import Treatment
from scp.archive.reading import stored_file
from scp.images import NoPicture, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules import Plan
    from scp.api.services import Services
    from scp.archive.resources import StoredInstance

_MOST_BYTES: Final = 256 << 20
"""Of pixels in memory at once for one picture."""
_UNSUPPORTED: Final = 415


def preview_of(services: Services, instance: StoredInstance) -> bytes:
    """A PNG.

    Raises:
        Fault: 415, with the reason: no pixels, no codec, too large.
        SpoolError: the instance is gone or damaged.
    """
    try:
        return png(_native(services, instance))
    except NoPicture as error:
        raise _no_picture(str(error)) from None
    except (InstanceRefused, DeidentificationError):
        raise _no_picture("the pixels cannot be decoded") from None


def _native(services: Services, instance: StoredInstance) -> bytes:
    if instance.transfer_syntax_uid in NATIVE:
        return _joined(services.spool.read(stored_file(instance)))
    treatment = Treatment(_keep_all(), EXPLICIT_LITTLE)
    return _joined(services.modifier.rewrite(instance, treatment))


def _joined(pieces: Iterator[bytes]) -> bytes:
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) > _MOST_BYTES:
            raise NoPicture("the pixels are too large for a preview")
    return bytes(found)


@cache
def _keep_all() -> Plan:
    return compile_plan(ready_made("keep-all"))


def _no_picture(reason: str) -> Fault:
    said = f"There is no preview: {reason}"
    return Fault(Code.NOT_IMPLEMENTED, said, http_status=_UNSUPPORTED)

"""docs/conformance.md, the DICOM Conformance Statement: its tables come out of the code.

Source: PS3.2 Annex N (what such a statement says).
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from pydicom.uid import UID

from rules.filemeta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from scp.errors import REJECTIONS
from scp.limits import Limits
from scp.negotiation import MOST_CONTEXTS, STORAGE_CLASSES, TRANSFER_SYNTAXES, VERIFICATION
from scp.patience import Policy
from scp.sender import Timeouts
from scp.status import BY_STATUS, Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BEFORE: Final = f"""\
# DICOM Conformance Statement

Made from the code by `make docs`: it says what is negotiated, answered and waited for.

## Overview

Anonode receives composite instances as Storage SCP, de-identifies them while they arrive (PS3.15
Annex E), stores them and forwards them as Storage SCU. It offers Verification in both roles.
Storage Commitment, Query/Retrieve, Worklist, MPPS, Print and media are not offered.

| | |
| --- | --- |
| Implementation Class UID | {IMPLEMENTATION_CLASS_UID} |
| Implementation Version Name | {IMPLEMENTATION_VERSION_NAME} |
| Application context | 1.2.840.10008.3.1.1.1 |
| Asynchronous operations | one at a time, in both roles (no window is negotiated) |
| Presentation contexts | up to {MOST_CONTEXTS} |
| Extended negotiation, user identity | ignored |
| SCP/SCU role selection | the requestor is SCU, the acceptor is SCP; anything else is declined |

## Who may associate

A route of the configuration decides by calling AE title, called AE title, address and, with TLS,
certificate; its profile and destinations hold for the whole association. Rejections:
"""
_CONTEXTS: Final = """\
## Presentation contexts

As SCP each of these SOP classes is accepted in each of these transfer syntaxes, the first that
the requestor lists; the configuration can add private classes. As SCU an instance is offered in
its own class and transfer syntax.
"""
_AS_SCP: Final = """\
## Statuses as Storage SCP

0x0000 is answered once the instance is durable, and to a repetition of the same content.
"""
_AS_SCU: Final = """\
## Statuses as Storage SCU

What the node makes of a destination's answer; all others are tried again.
"""
_LIMITS: Final = """\
## Limits and time-outs

Defaults; the configuration file names those that a site sets.
"""
_SECURITY: Final = """\
## Character sets

Every set of PS3.3 C.12.1.1.2 is read, code extensions included. What a set cannot hold becomes
ISO_IR 192, the whole instance at once.

## Security

- TLS 1.2 or newer with the cipher suites of BCP 195 (PS3.15 B.12) on a port of its own, 2762 by
  custom; certificates of peers are asked for where the configuration names their authority, and
  may be bound to AE titles. As SCU the name of the destination is verified.
- De-identification: PS3.15 Annex E; profiles, options and what happens to each attribute are in
  `docs/profiles.md`. References keep together within the scope that `Consistent` names.
- Replaced UIDs are `2.25.` and a number (PS3.5 B.2), keyed: the same for the same original.
"""


def page() -> str:
    """`docs/conformance.md`."""
    parts = [
        _BEFORE,
        _table(("A-ASSOCIATE-RJ", "meaning"), _rejections()),
        _CONTEXTS,
        _table(("transfer syntax", "UID"), _named(TRANSFER_SYNTAXES)),
        _table(("SOP class", "UID"), _named(STORAGE_CLASSES | {VERIFICATION})),
        _AS_SCP,
        _table(("status", "Error Comment (0000,0902)"), _answers()),
        _AS_SCU,
        _table(("status", "meaning to the node"), _verdicts()),
        _LIMITS,
        _table(("as SCP", "default"), _defaults(Limits)),
        _table(("as SCU", "default"), _defaults(Timeouts)),
        _table(("of deliveries", "default"), _defaults(Policy)),
        _SECURITY,
    ]
    return "\n".join(parts)


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {one} | {other} |" for one, other in (head, ("---", "---"), *rows)]
    return "\n".join(lines) + "\n"


def _rejections() -> Iterator[tuple[str, str]]:
    for (source, reason), meaning in REJECTIONS.items():
        yield f"source {source}, reason {reason}", meaning


def _named(uids: Iterable[str]) -> list[tuple[str, str]]:
    return sorted((UID(uid).name, uid) for uid in uids)


def _answers() -> Iterator[tuple[str, str]]:
    for answer in Answer:
        yield f"0x{answer.status:04X}", answer.comment or "none"


def _verdicts() -> Iterator[tuple[str, str]]:
    for first, last, verdict in BY_STATUS:
        span = f"0x{first:04X}" if first == last else f"0x{first:04X} to 0x{last:04X}"
        yield span, verdict.value


def _defaults(of: type) -> Iterator[tuple[str, str]]:
    given = of()
    for one in fields(of):
        yield f"`{one.name}`", f"{getattr(given, one.name):g}"

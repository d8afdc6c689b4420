"""The fields of a request beside its tags: how the job runs, and what the profile starts from.

Source: the Orthanc Book, "Anonymization and modification" and "Jobs"; PS3.15 E.3 (options).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]  # not re-exported by name

from rules.language.calls import scope
from rules.options import OPTIONS, REFUSED, conflicts
from rules.profile import EDITION
from rules.requests.faults import RequestFault, Status
from rules.requests.fields import body_of, boolean, integer, text, texts
from rules.requests.levels import Level
from rules.selectors import nearest
from rules.tables.confidentiality import EDITIONS

if TYPE_CHECKING:
    from rules.requests.fields import Body

_QUALITIES = range(1, 101)
_USUAL_QUALITY = 90
_TRANSFER_SYNTAX = "Transfer Syntax"
_LEVELS = {level.name.capitalize(): level for level in Level}


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a job runs.

    Attributes:
        synchronous: Whether the answer waits for it.
        priority: The higher the sooner.
        permissive: Whether it goes on when single instances fail.
        keep_source: Whether what it was made from stays.
        keep_labels: Whether labels pass to the results.
        user_data: Anything; the job shows it.
    """

    synchronous: bool = True
    priority: int = 0
    permissive: bool = False
    keep_source: bool = True
    keep_labels: bool = False
    user_data: object | None = field(default=None, repr=False)


def read_job_options(body: object, *, keep_source_default: bool) -> JobOptions:
    """What a body says of its job.

    Args:
        body: Parsed JSON.
        keep_source_default: True to anonymize and modify, False to split and merge.

    Raises:
        RequestFault: a field is not of its type.
    """
    fields = body_of(body)
    is_asynchronous = boolean(fields, "Asynchronous", default=False)
    return JobOptions(
        synchronous=boolean(fields, "Synchronous", default=not is_asynchronous),
        priority=integer(fields, "Priority", 0),
        permissive=boolean(fields, "Permissive", default=False),
        keep_source=boolean(fields, "KeepSource", default=keep_source_default),
        keep_labels=boolean(fields, "KeepLabels", default=False),
        user_data=fields.get("UserData"),
    )


def read_resources(body: object) -> list[str]:
    """The identifiers under `Resources`.

    Raises:
        RequestFault: they are missing, or no list of texts.
    """
    found = texts(body_of(body), "Resources")
    if found is None:
        raise RequestFault(Status.BAD_FILE, "List of strings expected in field: Resources")
    return found


def read_level(body: object) -> Level | None:
    """The level under `Level`; None if it is absent.

    Raises:
        RequestFault: it is no level.
    """
    word = text(body_of(body), "Level")
    if word is None:
        return None
    if word not in _LEVELS:
        raise RequestFault(Status.OUT_OF_RANGE, f"Level is one of {', '.join(_LEVELS)}")
    return _LEVELS[word]


def transcode(body: Body, status: int) -> str | None:
    """The UID of a transfer syntax under `Transcode`; None if it is absent.

    Raises:
        RequestFault: the standard knows no such transfer syntax, with this status.
    """
    uid = text(body, "Transcode")
    if uid is not None and (uid not in UID_dictionary or _kind(uid) != _TRANSFER_SYNTAX):
        raise RequestFault(status, "Transcode is not the UID of a transfer syntax")
    return uid


def _kind(uid: str) -> str:
    return str(UID_dictionary[uid][1])


def lossy_quality(body: Body) -> int:
    """The number under `LossyQuality`, from 1 to 100.

    Raises:
        RequestFault: it is no such number.
    """
    quality = integer(body, "LossyQuality", _USUAL_QUALITY)
    if quality not in _QUALITIES:
        raise RequestFault(Status.OUT_OF_RANGE, "LossyQuality is from 1 to 100")
    return quality


def consistent(body: Body) -> str | None:
    """The scope under `Consistent`; None if the job is to be a scope of its own.

    Raises:
        RequestFault: it is no name of a scope.
    """
    named = text(body, "Consistent")
    try:
        return None if named is None else scope(named)
    except ValueError as error:
        raise RequestFault(Status.BAD_REQUEST, f"Consistent {error}") from None


def edition(body: Body) -> str:
    """The edition of Table E.1-1 under `DicomVersion`.

    Raises:
        RequestFault: there is no such edition here.
    """
    named = text(body, "DicomVersion")
    if named is not None and named not in EDITIONS:
        known = ", ".join(EDITIONS)
        raise RequestFault(
            Status.OUT_OF_RANGE,
            f"Unknown specific version of the DICOM standard: DicomVersion is one of {known}",
        )
    return EDITION if named is None else named


def options(body: Body, of_edition: str) -> tuple[str, ...]:
    """The words under `Options`, in the order of the standard.

    Raises:
        RequestFault: they are no options, or cannot stand together.
    """
    chosen = texts(body, "Options", Status.BAD_REQUEST) or []
    for word in chosen:
        if word in REFUSED:
            raise RequestFault(Status.BAD_REQUEST, f"Options: {REFUSED[word]}")
        if word not in OPTIONS:
            said = nearest(word, OPTIONS) or f": there are {', '.join(OPTIONS)}"
            raise RequestFault(Status.BAD_REQUEST, f"Options has no such option{said}")
    contradiction = conflicts(chosen, edition=of_edition)
    if contradiction:
        raise RequestFault(Status.BAD_REQUEST, f"Options: {contradiction}")
    return tuple(option for option in OPTIONS if option in chosen)

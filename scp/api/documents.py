"""The bodies of anonymize, modify, split and merge, as OpenAPI describes them.

Only described here: what a body may be is checked where it is read.
"""

from __future__ import annotations

from typing import Any, Final

_TAGS: Final = {
    "type": "array",
    "items": {"type": "string"},
    "example": [
        "StudyDescription",
        "0010-0040",
        "ReferencedImageSequence[*].ReferencedSOPClassUID",
    ],
}
_IDS: Final = {"type": "array", "items": {"type": "string"}}


def _flag(description: str, *, default: bool) -> dict[str, Any]:
    return {"type": "boolean", "default": default, "description": description}


_COMMON: Final[dict[str, Any]] = {
    "Replace": {
        "type": "object",
        "additionalProperties": True,
        "description": "Tags or paths to new values; a list of objects is a sequence, a text "
        "that begins with data:application/octet-stream;base64, is binary.",
        "example": {"PatientName": "ANON", "0010,0020": "1"},
    },
    "Remove": _TAGS | {"description": "Tags or paths to remove."},
    "Keep": _TAGS | {"description": "Tags or paths to leave as they are."},
    "PrivateCreator": {"type": "string", "description": "Of the private tags in Replace."},
    "Force": _flag("Allow changes of PatientID and the three UIDs.", default=False),
    "Transcode": {"type": "string", "description": "Transfer syntax UID of the results."},
    "LossyQuality": {"type": "integer", "minimum": 1, "maximum": 100, "default": 90},
    "Consistent": {
        "type": "string",
        "description": "Scope whose pseudonyms ingest gives, so that requests agree.",
    },
}
ANONYMIZE: Final[dict[str, Any]] = _COMMON | {
    "KeepPrivateTags": _flag("Keep private elements.", default=False),
    "DicomVersion": {
        "type": "string",
        "enum": ["2008", "2017c", "2021b", "2023b", "2024b", "2026d"],
        "description": "Edition of PS3.15 Table E.1-1.",
    },
    "Options": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Options of PS3.15 E.3 by their names.",
    },
}
MODIFY: Final[dict[str, Any]] = _COMMON | {
    "RemovePrivateTags": _flag("Remove private elements, at every depth.", default=False)
}
JOB: Final[dict[str, Any]] = {
    "KeepSource": {"type": "boolean", "description": "Whether the source stays."},
    "KeepLabels": _flag("Give the results the labels of their sources.", default=False),
    "Synchronous": _flag("Wait for the end.", default=True),
    "Asynchronous": _flag("Answer with the job at once.", default=False),
    "Priority": {"type": "integer", "default": 0, "description": "Higher ones go first."},
    "Permissive": _flag("Leave out what fails, and never remove it.", default=False),
    "UserData": {"description": "Any JSON; the job hands it back."},
}
BULK: Final[dict[str, Any]] = {
    "Resources": _IDS | {"description": "Identifiers, of any level."},
    "Level": {"type": "string", "enum": ["Patient", "Study", "Series", "Instance"]},
}
SPLIT: Final[dict[str, Any]] = {
    "Series": _IDS | {"description": "Series of the study."},
    "Instances": _IDS | {"description": "Instances of the study."},
    "Replace": _COMMON["Replace"],
    "Remove": _COMMON["Remove"],
}
MERGE: Final[dict[str, Any]] = {
    "Resources": _IDS | {"description": "Studies, series and instances that are moved."},
}


def body_of(*parts: dict[str, Any]) -> dict[str, Any]:
    """An operation's body that may have all of these fields."""
    properties = {name: field for part in parts for name, field in part.items()}
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}

"""The fields of a body, each of its type.

A field that is absent has its default; one that is present has the right type, null included.
Fields that nobody asks for are ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.requests.faults import RequestFault, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

Body = dict[str, object]
_INTEGERS = range(-(1 << 31), 1 << 31)


def body_of(body: object) -> Body:
    """A parsed body that is an object.

    Raises:
        RequestFault: it is none.
    """
    if not isinstance(body, dict):
        raise RequestFault(Status.BAD_FILE, "The body must be a JSON object")
    return body


def boolean(body: Mapping[str, object], name: str, *, default: bool) -> bool:
    """A field that is true or false.

    Raises:
        RequestFault: it is neither.
    """
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise RequestFault(Status.BAD_FILE, f"Boolean value expected in field: {name}")
    return value


def integer(body: Mapping[str, object], name: str, default: int) -> int:
    """A field that is a whole number of 32 bits.

    Raises:
        RequestFault: it is none.
    """
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value not in _INTEGERS:
        raise RequestFault(Status.BAD_FILE, f"Integer value expected in field: {name}")
    return value


def text(body: Mapping[str, object], name: str, status: Status = Status.BAD_FILE) -> str | None:
    """A field that is a text; None if it is absent.

    Raises:
        RequestFault: it is none, with this status.
    """
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, str):
        raise RequestFault(status, f"String value expected in field: {name}")
    return value


def texts(
    body: Mapping[str, object], name: str, status: Status = Status.BAD_FILE
) -> list[str] | None:
    """A field that is a list of texts; None if it is absent.

    Raises:
        RequestFault: it is none, with this status.
    """
    if name not in body:
        return None
    value = body[name]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise RequestFault(status, f"List of strings expected in field: {name}")
    return [str(one) for one in value]


def mapping(body: Mapping[str, object], name: str) -> Body:
    """A field that is an object; empty if it is absent.

    Raises:
        RequestFault: it is none.
    """
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise RequestFault(Status.BAD_REQUEST, f"JSON object expected in field: {name}")
    return value

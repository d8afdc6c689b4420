"""Answers in Orthanc's shapes: pretty JSON, plain text, nothing; and moments as it writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

from fastapi import Response

_JSON: Final = "application/json; charset=utf-8"
_MOMENT: Final = "%Y%m%dT%H%M%S"


def pretty(content: object) -> bytes:
    """JSON for people: sorted keys, indented by three, UTF-8."""
    text = json.dumps(
        content, indent=3, separators=(",", " : "), sort_keys=True, ensure_ascii=False
    )
    return text.encode("utf-8", "replace") + b"\n"


def answer(content: object, status: int = 200) -> Response:
    """An answer in JSON."""
    return Response(pretty(content), status, media_type=_JSON)


def plain(text: str) -> Response:
    """An answer in plain text, without a line end of its own."""
    return Response(text, media_type="text/plain; charset=utf-8")


def nothing(status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status_code=status, headers=headers)


def moment(seconds: float) -> str:
    """Seconds since 1970 as `20261122T091707`, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_MOMENT)


def exact_moment(seconds: float) -> str:
    """Seconds since 1970 as `20261122T091707.177250`, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(f"{_MOMENT}.%f")

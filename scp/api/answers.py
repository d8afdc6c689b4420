"""Answers in Orthanc's shapes: pretty JSON, plain text, nothing; and moments as it writes them.

One that comes piece by piece ends what its pieces come from, also when nobody takes it to its end.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fastapi import Response
from fastapi.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import Receive, Scope, Send

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


class Streamed(StreamingResponse):
    """An answer that comes piece by piece."""

    def __init__(
        self,
        pieces: Generator[bytes],
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Take the pieces; they are closed in any case."""
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, as far as they are taken."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Else an open file would wait until cycles are collected.
            self._pieces.close()


def moment(seconds: float) -> str:
    """Seconds since 1970 as `20261122T091707`, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_MOMENT)


def exact_moment(seconds: float) -> str:
    """Seconds since 1970 as `20261122T091707.177250`, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime(f"{_MOMENT}.%f")

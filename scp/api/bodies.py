"""The body of a request: as a value of JSON, as bytes, or in pieces for a reading thread.

- JSON is read whatever the content type says, because curl calls it a form.
- What two readers could understand differently is refused: equal keys, NaN and infinities,
  characters that are none; and so is what is nested deeper, or has more values, than anybody
  needs: a value takes a hundred times the memory of its few bytes.
- How long a body may be is the guard's business: reading past the limit raises.

Source: RFC 8259; RFC 9110 15.5.14.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Final

from anyio import from_thread
from fastapi import Depends, Request

from scp.api.errors import Code, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 1 << 18
"""More than the identifiers that fit into the longest body of those without documents."""
_BEGIN_VALUES: Final = b",[{"
_TOO_LARGE_STATUS: Final = 413
_NOT_JSON: Final = "The body is not a JSON document"


async def whole_body(request: Request) -> bytes:
    """All of a body."""
    return await request.body()


def json_body(raw: Annotated[bytes, Depends(whole_body)]) -> object:
    """A body as a value of JSON.

    Raises:
        Fault: Bad file format.
    """
    return parse_json(raw)


WholeBody = Annotated[bytes, Depends(whole_body)]
JsonBody = Annotated[object, Depends(json_body)]


def pieces(request: Request) -> Iterator[bytes]:
    """A body as it comes, for an endpoint in a thread; what is not read stays unsent."""
    stream = request.stream()

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (piece := from_thread.run(following)) is not None:
        if piece:
            yield piece


def parse_json(raw: bytes) -> object:
    """Bytes as a value of JSON.

    Raises:
        Fault: Bad file format; 413 where it has too many values.
    """
    if sum(map(raw.count, _BEGIN_VALUES)) > MAX_VALUES:
        said = f"The body has more than {MAX_VALUES} values"
        raise Fault(Code.BAD_FILE, said, http_status=_TOO_LARGE_STATUS)
    try:
        value = json.loads(
            raw.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_number
        )
    except (ValueError, RecursionError):
        raise Fault(Code.BAD_FILE, _NOT_JSON) from None
    _check(value)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Fault(Code.BAD_FILE, "The body has a field twice in one object")
    return found


def _no_number(_text: str) -> float:
    raise Fault(Code.BAD_FILE, "The body has a number that is none")


def _check(value: object) -> None:
    """Level by level, so that no depth overflows the stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise Fault(Code.BAD_FILE, f"The body is nested deeper than {MAX_DEPTH} levels")


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        _no_number("")
    if isinstance(value, str) and not value.isascii() and not _is_text(value):
        raise Fault(Code.BAD_FILE, "The body has half a character in a text")
    return []


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

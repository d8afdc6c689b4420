"""Parameters behind the question mark of an address, and what answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Protocol

from fastapi import Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scp.archive.resources import Resource

_NO: Final = frozenset({"false", "0"})

Flag = Annotated[str | None, Query()]
Count = Annotated[int, Query(ge=0, le=1 << 31)]


class RequestedTags(Protocol):
    """Reads attributes beyond the main ones, for `?requested-tags`."""

    def __call__(
        self, resources: Sequence[Resource], names: Sequence[str], /
    ) -> Mapping[str, Mapping[str, object]]:
        """Values by identifier and keyword; raises `Fault` for a name that is none."""


def is_set(flag: str | None) -> bool:
    """Whether a parameter such as `?expand` is there, and not `=false`."""
    return flag is not None and flag.lower() not in _NO

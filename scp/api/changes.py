"""/changes: what has happened to the resources, in order, for those that follow along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from scp.api.answers import answer, moment, plain
from scp.api.parameters import Flag, is_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scp.api.services import Services
    from scp.archive.resources import Change


def routes(services: Services) -> APIRouter:
    """The routes of the changes."""
    router = APIRouter(tags=["changes"])
    catalogue = services.catalogue

    @router.get("/changes")
    def changes(
        *,
        since: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
        limit: Annotated[int, Query(ge=0, le=100_000)] = 100,
        last: Flag = None,
    ) -> Response:
        """Changes behind a number: ask again from `Last` until `Done`; `?last` is the newest."""
        if is_set(last):
            newest = catalogue.last_change()
            return answer(_page([newest] if newest else [], since=0, done=True))
        found, done = catalogue.changes(since=since, limit=limit or 100)
        return answer(_page(found, since=since, done=done))

    @router.delete("/changes")
    def clear() -> Response:
        """Forget them; their numbers go on."""
        catalogue.clear_changes()
        return plain("")

    return router


def _page(found: Sequence[Change], *, since: int, done: bool) -> dict[str, object]:
    return {
        "Changes": [_line(change) for change in found],
        "Done": done,
        "Last": found[-1].seq if found else since,
    }


def _line(change: Change) -> dict[str, object]:
    return {
        "ChangeType": change.kind,
        "Date": moment(change.at),
        "ID": change.id,
        "Path": f"/{change.level.path}/{change.id}",
        "ResourceType": change.level.word,
        "Seq": change.seq,
    }

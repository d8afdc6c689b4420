"""The application: every router behind the gate, and pages that say what there is.

The description is at /openapi.json; /docs lists it as a page that loads nothing from elsewhere.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from scp import __version__
from scp.api import (
    changes,
    create,
    downloads,
    errors,
    find,
    instances,
    jobs,
    modalities,
    modify,
    resources,
    system,
    tags,
)
from scp.api.guard import Gate, Guard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi.telemetry import TelemetryConfig

    from scp.api.services import Services

_TITLE: Final = "Anonode"
_SUMMARY: Final = (
    "De-identified instances by patient, study, series and instance, in the dialect of Orthanc."
)
# Spans and metrics would carry addresses, and exceptions their texts, out of the node.
_SILENT: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def build_app(services: Services, guard: Guard, *, threads: int = 64) -> FastAPI:
    """The application of one node.

    Args:
        services: The parts of the node.
        guard: Who may ask, and how much they may send.
        threads: How many requests are worked at together; others wait.
    """
    app = FastAPI(
        title=_TITLE,
        description=_SUMMARY,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_with_threads(threads),
        telemetry=_SILENT,
    )
    for router in (
        system.routes(services),
        instances.routes(services),
        tags.routes(services),
        downloads.routes(services),
        resources.routes(services, partial(find.requested_tags, services)),
        find.routes(services),
        create.routes(services),
        changes.routes(services),
        modalities.routes(services),
        jobs.routes(services),
        modify.routes(services),
    ):
        app.include_router(router)
    _add_pages(app)
    app.add_middleware(Gate, guard=guard)
    errors.install(app)
    return app


def _with_threads(count: int) -> Any:  # noqa: ANN401 - what FastAPI calls a lifespan
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = count
        yield

    return lifespan


def _add_pages(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def start() -> RedirectResponse:
        return RedirectResponse("docs")

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(_page(request.app.openapi()))


def _page(description: dict[str, Any]) -> str:
    lines = [
        f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(operation.get('description', ''))}</td></tr>"
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_TITLE}</title>'
        f"<h1>{_TITLE} {__version__}</h1><p>{escape(_SUMMARY)} "
        'For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<table>{''.join(lines)}</table></html>"
    )

"""The command line: `anonode COMMAND`; here is only what must happen before anything is imported.

- What the imports make is there to stay: looking for garbage in it would take a tenth of the
  start.
- pydicom loads an HTTP client, if one is installed, to download examples. This program
  downloads nothing, and starts a fifth of a second earlier without it.
- structlog loads rich, if it is installed, to print in colour what it never prints here.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    gc.disable()
    modules = cast("dict[str, object]", sys.modules)
    modules.setdefault("requests", None)
    with _without(modules, "rich"):
        from scp import logs  # noqa: F401, PLC0415 - as said above
    from scp.cli import app  # noqa: PLC0415 - as said above

    app.main()


@contextmanager
def _without(modules: dict[str, object], name: str) -> Iterator[None]:
    """Do as if a module were not installed, unless it is loaded already."""
    if name in modules:
        yield
        return
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]

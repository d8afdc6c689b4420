"""The command line: `anonode COMMAND`; here is only what must happen before anything is imported.

- What the imports make is there to stay: looking for garbage in it would take a tenth of the
  start.
- pydicom loads an HTTP client, if one is installed, to download examples. This program
  downloads nothing, and starts a fifth of a second earlier without it.
"""

from __future__ import annotations

import gc
import sys
from typing import cast

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    gc.disable()
    cast("dict[str, object]", sys.modules).setdefault("requests", None)
    from scp.cli import app  # noqa: PLC0415 - as said above

    app.main()

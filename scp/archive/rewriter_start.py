"""How such a process begins: `python -m scp.archive.rewriter_start`.

To load its modules takes a second of a processor. The job that has it started goes on meanwhile,
so they are loaded by a thread that waits for whoever else has something to do.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from importlib import import_module
from typing import Final

_MODULE: Final = "scp.archive.rewriter"
_LEAST_URGENT: Final = 19


def _load() -> None:
    with suppress(PermissionError):  # the unit lets nobody set priorities; then it is less polite
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_URGENT)
    import_module(_MODULE)


def main() -> None:
    """Load, and serve with the priority of the node."""
    loading = threading.Thread(target=_load, name="loading")
    loading.start()
    loading.join()
    import_module(_MODULE).main()


if __name__ == "__main__":
    main()

"""What the process is to the system: nothing of its memory may be written to a disk.

What is received lives in memory before it is de-identified. A core dump would write it down, and
whoever may trace the process could read it: so there is no core, and tracing is for root alone.

Source: prctl(2) PR_SET_DUMPABLE; core(5): where cores are piped to a program, their size limit
does not count, and only an undumpable process has none.
"""

from __future__ import annotations

import ctypes
import resource
from contextlib import suppress
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_SYSTEM: Final = ctypes.CDLL(None)


def seal() -> bool:
    """Let nobody dump or trace this process; whether the system has agreed.

    Children inherit the limit, but not the rest: each must call this itself.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return bool(_SYSTEM.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)

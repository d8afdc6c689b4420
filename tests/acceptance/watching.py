"""What a process holds and costs, seen from outside while it runs."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.processes import tree

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Held:
    """Open files and threads of a process.

    The empty files that a spool makes ahead do not count: it has more of them, the more comes.
    """

    files: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Self:
        process = Path(f"/proc/{pid}")
        files = sum(not _is_made_ahead(one) for one in (process / "fd").iterdir())
        return cls(files, len(list((process / "task").iterdir())))

    def is_within(self, base: Held) -> bool:
        """Whether it is no more than the other."""
        return self.files <= base.files and self.threads <= base.threads


def _is_made_ahead(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).endswith(".dcm") and not descriptor.stat().st_size
    except OSError:  # closed meanwhile
        return True


def rss_bytes(root: int) -> int:
    """What the process and its children hold of memory now."""
    return sum(_status_bytes(process.pid, "VmRSS") for process in tree(root))


def peak_bytes(root: int) -> int:
    """The most they have held since `forget_peak`, added up."""
    return sum(_status_bytes(process.pid, "VmHWM") for process in tree(root))


def forget_peak(root: int) -> None:
    """From here on the peak counts anew."""
    for process in tree(root):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def _status_bytes(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:  # it ended between the listing and now
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def until(condition: Callable[[], bool], limit_s: float, pause_s: float = 0.05) -> bool:
    """Whether something in another process comes true within the limit."""
    end, pause = time.monotonic() + limit_s, threading.Event()
    while not condition():
        if time.monotonic() > end:
            return False
        pause.wait(pause_s)
    return True


def open_files(pid: int) -> Counter[str]:
    """What the descriptors of a process are, for the message of a test that has failed."""
    found: Counter[str] = Counter()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found[re.sub(r"\w*\d\w*", "N", one.readlink().name)] += 1
    return found

"""What a server and all its children cost, as the kernel counts it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A row of /proc, as far as it matters."""

    pid: int
    parent: int
    own_ticks: int
    reaped_ticks: int


def tree(root: int) -> list[Process]:
    """The process and its living descendants; zombies still show what they used."""
    rows = {row.pid: row for row in map(_row, _pids()) if row}
    found = [rows[root]] if root in rows else []
    for parent in found:
        found.extend(row for row in rows.values() if row.parent == parent.pid)
    return found


def cpu_s(root: int) -> float:
    """Seconds of CPU that the tree has used, its ended children included."""
    return sum(row.own_ticks + row.reaped_ticks for row in tree(root)) / _TICKS_PER_S


def peak_bytes(root: int) -> int:
    """The most memory that each process of the tree ever held, added up (VmHWM)."""
    return sum(_status_bytes(row.pid, "VmHWM") for row in tree(root))


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _row(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return None  # it ended between the listing and now
    # The name may hold blanks and brackets; the fields are counted from behind it.
    fields = text[text.rindex(")") + 2 :].split()
    user, system, reaped_user, reaped_system = map(int, fields[11:15])
    return Process(pid, int(fields[1]), user + system, reaped_user + reaped_system)


def _status_bytes(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    values = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(next(values, "0"))

"""Figures as Markdown tables, for a terminal and for the README alike."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.archive import Anonymized
    from benchmarks.engine import Timed
    from benchmarks.network import Idle, Large, Measured

_MIB: Final = 1 << 20


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded; the first is left-aligned, figures are right."""
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(n) for cell, n in zip(row[1:], widths[1:]))]  # noqa: B905 - padded above
        for row in [header, *rows]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def network(measured: Sequence[Measured], base: str) -> str:
    """Rates, ratios to one server, CPU and memory."""
    reference = next((one.rate for one in measured if one.server == base), 0.0)
    return table(
        ("", "instances/s", "Anonode is x times", "CPU ms/instance", "peak MB", "refused"),
        [
            (
                f"{one.server}: {one.does}",
                f"{one.rate:.0f}",
                f"{reference / one.rate:.2f}" if reference else "-",
                f"{one.cpu:.2f}",
                f"{one.peak_bytes / _MIB:.0f}",
                f"{one.refused}",
            )
            for one in measured
        ],
    )


def engine(timed: Sequence[Timed], base: str) -> str:
    """Milliseconds for one instance, and how many times longer than one contender."""
    reference = next((one.median_ms for one in timed if one.name == base), 0.0)
    return table(
        (f"{timed[0].instance}, in memory", "ms median", "ms best", "times Anonode"),
        [
            (
                one.name,
                f"{one.median_ms:.3f}",
                f"{one.best_ms:.3f}",
                f"{one.median_ms / reference:.1f}" if reference else "-",
            )
            for one in timed
        ],
    )


def idle(measured: Sequence[Idle]) -> str:
    """Percent of a core, for one association."""
    return table(
        ("idle associations", "open", "% of a core, each"),
        [
            (one.server, f"{one.associations}", f"{one.percent / one.associations:.2f}")
            for one in measured
        ],
    )


def large(measured: Sequence[Large]) -> str:
    """Memory while one large instance arrives."""
    return table(
        ("one multi-frame instance", "MB sent", "peak MB", "MB before", "seconds", "stored"),
        [
            (
                one.server,
                f"{one.megabytes}",
                f"{one.peak_bytes / _MIB:.0f}",
                f"{one.resting_bytes / _MIB:.0f}",
                f"{one.seconds:.1f}",
                "yes" if one.stored else "no",
            )
            for one in measured
        ],
    )


def archive(measured: Sequence[Anonymized]) -> str:
    """Seconds for a stored study, how many times longer than the first, and memory."""
    return table(
        (
            *("", "instances", "seconds", "best", "times Anonode", "peak MB"),
            *("MB more than before", "MB more for four times as many"),
        ),
        [
            (
                one.server,
                f"{one.instances}",
                f"{one.median_s:.2f}",
                f"{one.best_s:.2f}",
                f"{one.median_s / measured[0].median_s:.1f}",
                f"{one.peak_bytes / _MIB:.0f}",
                f"{one.grown_bytes / _MIB:.0f}",
                f"{one.larger_bytes / _MIB:.0f}",
            )
            for one in measured
        ],
    )


def machine(folder: Path) -> dict[str, str]:
    """What the figures depend on; nothing that names the machine.

    Args:
        folder: On the disk that is written to.
    """
    found = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(folder)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "filesystem": found.stdout.strip(),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())

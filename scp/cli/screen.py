"""Tables on the terminal: what each command shows, and nothing of how it was found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules import Line
    from scp.instance import InstanceRecord, QueueLine
    from scp.preview import Row

# A pipe gets whole lines, whatever the width of the terminal.
_PIPED_WIDTH = 200
console = Console()
if not console.is_terminal:
    console = Console(width=_PIPED_WIDTH, highlight=False)

_COLOURS = {"kept": "dim", "removed": "red", "replaced": "yellow", "added": "green"}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Show plain rows; texts are never read as markup."""
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(str(cell)) for cell in row))
    console.print(shown)


def say(sentence: str) -> None:
    """One line."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def actions(lines: Iterable[Line]) -> None:
    """The explanation of a profile."""
    rows = [(line.selector, line.keyword, line.operator.describe(), line.why) for line in lines]
    table("", ("selector", "keyword", "action", "why"), rows)


def before_and_after(title: str, rows: Iterable[Row]) -> None:
    """A preview, side by side."""
    shown = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for column in ("tag", "name", "before", "after", ""):
        shown.add_column(column, overflow="fold")
    for row in rows:
        cells = (
            "  " * (row.depth - 1) + row.tag,
            row.name,
            "-" if row.before is None else row.before,
            "-" if row.after is None else row.after,
            row.change,
        )
        shown.add_row(*(Text(cell) for cell in cells), style=_COLOURS[row.change])
    console.print(shown)


def instances(records: Iterable[InstanceRecord]) -> None:
    """Stored instances, one a line."""
    columns = ("id", "received", "from", "profile", "modality", "patient", "SOP Instance UID")
    rows = [
        (
            record.id,
            moment(record.received_at),
            record.calling_ae,
            record.profile,
            record.modality,
            record.patient_id,
            record.sop_instance_uid,
        )
        for record in records
    ]
    table("", columns, rows)


def queue(lines: Iterable[QueueLine]) -> None:
    """What each destination is owed."""
    columns = ("destination", "state", "instances", "oldest", "next attempt", "last outcome")
    rows = [
        (
            line.destination,
            line.state.value,
            line.count,
            moment(line.oldest_at),
            moment(line.next_attempt_at) if line.next_attempt_at else "",
            line.last_outcome,
        )
        for line in lines
    ]
    table("", columns, rows)


def moment(seconds: float) -> str:
    """Seconds since 1970 as local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def progress() -> Progress:
    """A progress bar over a known number of steps."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )

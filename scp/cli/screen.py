"""Tables on the terminal: what each command shows, and nothing of how it was found."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rules.tables.dictionary import keyword_of
from scp.provenance import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rules import Line
    from rules.regions import PixelPolicy, PixelRule
    from scp.instance import InstanceRecord, QueueLine
    from scp.preview import Row
    from scp.provenance import StudyProvenance, Treatment

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


def pixels(policy: PixelPolicy) -> None:
    """The rules of pixels, and what happens where none of them matches."""
    rules = [(_asked(rule), _blanked(rule), f"Pixels, {rule.mark}") for rule in policy.rules]
    if rules:
        table("pixels", ("when the image says of", "blanked in every frame", "why"), rows=rules)
    if policy.looks:
        outcomes = [
            (f"BurnedIn {kind}", word, "where no rule of pixels matches")
            for kind, word in policy.burned_in.items()
        ]
        table("", ("instances that can carry text", "action", "why"), outcomes)


def _asked(rule: PixelRule) -> str:
    return ", ".join(keyword_of(tag) for tag, _ in rule.when.tests)


def _blanked(rule: PixelRule) -> str:
    boxes = [f"{box.x},{box.y} {box.width}x{box.height}" for box in rule.blank]
    regions = ["all outside the regions of the ultrasound"] if rule.keep_regions else []
    return "; ".join(boxes + regions)


def counted(counts: Mapping[str, int]) -> str:
    """How often each action code, in words."""
    said = [f"{counts[code]} {words}" for code, words in ACTIONS.items() if counts.get(code)]
    return ", ".join(said) or "none"


def provenance(studies: Iterable[StudyProvenance]) -> None:
    """What was done to each study."""
    for study in studies:
        between = f"{moment(study.first_at)} to {moment(study.last_at)}"
        say(f"\nstudy {study.study_instance_uid}: {study.instances} instances, {between}")
        for treatment in study.treatments:
            table("", ("", ""), _facts(treatment))
        if study.deliveries:
            rows = [
                (delivery.destination, delivery.state.value, delivery.instances)
                for delivery in study.deliveries
            ]
            table("", ("destination", "state", "instances"), rows)


def _facts(treatment: Treatment) -> list[tuple[str, object]]:
    rules = treatment.rule_set
    by = "not noted"
    if rules is not None:
        options = " ".join(rules.options) or "none"
        by = f"base {rules.base} {rules.edition}, options {options}, release {rules.release}"
    return [
        ("profile", treatment.profile),
        ("from", treatment.calling_ae),
        ("instances", treatment.instances),
        ("rules", by),
        ("rule set", treatment.digest or "not noted"),
        ("elements", counted(treatment.actions)),
    ]


def before_and_after(title: str, rows: Iterable[Row]) -> None:
    """A preview, side by side."""
    shown = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for column in ("tag", "name", "before", "after", ""):
        shown.add_column(column, overflow="fold")
    for row in rows:
        cells = (
            "  " * row.depth + row.tag,
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

"""Writes the pages of docs/ that are made from the code: `make docs`; a test holds them to it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from docs import conformance, promises
from rules import compile_plan, ready_made
from rules.marks import DEIDENTIFICATION_METHOD_CODES
from rules.options import code
from rules.profiles import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules import Line, Plan

DOCS: Final = Path(__file__).parent
README: Final = DOCS.parent / "README.md"
PROFILES: Final = ("basic", "research", "clinical-trial", "teaching")
_CODES: Final = "XZDUCK"
_ROW: Final = re.compile(r"\([0-9A-F]{4},[0-9A-F]{4}\)")
_INTRODUCTION: Final = """\
# The ready-made profiles

Made from the code by `make docs`. The table below is the generic reading, for an instance whose
SOP class nobody knows; `anonode check -v --sop-class CTImageStorage` shows how attribute types
decide. Actions are those of PS3.15 Table E.1-1a: X removed, Z emptied, D a dummy or pseudonym,
U a keyed UID, C cleaned, K kept.
"""


def profiles_page() -> str:
    """`docs/profiles.md`."""
    plans = {name: compile_plan(ready_made(name)) for name in PROFILES}
    parts = [_INTRODUCTION]
    parts += [_profile(name, plan) for name, plan in plans.items()]
    parts += ["## Row by row\n\n" + "\n".join(_table(plans)) + "\n"]
    parts += ["## Beyond the table\n\n" + "\n".join(_beyond(plans)) + "\n"]
    return "\n".join(parts)


def _profile(name: str, plan: Plan) -> str:
    """What one is for, and how much it does."""
    comment = [line[2:] for line in text_of(name).splitlines() if line.startswith("# ")]
    said = "\n".join(_item(line) for line in comment[1:])
    counts = Counter(line.operator.code for line in plan.lines if _ROW.fullmatch(line.selector))
    actions = ", ".join(f"{counts[one]} {one}" for one in _CODES if counts[one])
    options = [f"`{one}` ({code(one)[0]})" for one in ready_made(name).options]
    claims = plan.actions[DEIDENTIFICATION_METHOD_CODES].describe()
    return (
        f"## {name}\n\n{comment[0].partition(': ')[2]}\n\n{said}\n"
        f"- Options: {', '.join(options) or 'none'}\n- Rows of the table: {actions}\n"
        f"- (0012,0064): {claims}\n"
    )


def _item(line: str) -> str:
    """A line of the comment: a sentence of its own, or what goes on from the one before."""
    return line if line.startswith("  ") else f"- {line}"


def _table(plans: dict[str, Plan]) -> Iterator[str]:
    yield f"| tag | keyword | {' | '.join(plans)} |"
    yield f"| --- | --- | {' | '.join('---' for _ in plans)} |"
    by_tag = {name: _rows(plan) for name, plan in plans.items()}
    for tag in sorted({tag for rows in by_tag.values() for tag in rows}):
        lines = [rows.get(tag) for rows in by_tag.values()]
        keyword = next(line.keyword for line in lines if line)
        yield f"| {tag} | {keyword} | {' | '.join(map(_cell, lines))} |"


def _rows(plan: Plan) -> dict[str, Line]:
    """The lines of single attributes of the table, those that a rule names by keyword too."""
    tags = {line.keyword: line.selector for line in _basic().lines if line.keyword}
    rows = {tags.get(line.keyword, line.selector): line for line in plan.lines}
    return {tag: line for tag, line in rows.items() if _ROW.fullmatch(tag)}


def _basic() -> Plan:
    return compile_plan(ready_made("basic"))


def _cell(line: Line | None) -> str:
    if line is None:
        return ""
    words = line.operator.describe().partition(", scope ")[0]
    return "remove" if words == "remove" else f"{line.operator.code}: {words}"


def _beyond(plans: dict[str, Plan]) -> Iterator[str]:
    """What holds for everything that no row names; private entries are counted."""
    yield f"| of | {' | '.join(plans)} |"
    yield f"| --- | {' | '.join('---' for _ in plans)} |"
    safe = [sum("{" in line.selector for line in plan.lines) for plan in plans.values()]
    yield f"| entries of Table E.3.10-1 that stay | {' | '.join(map(str, safe))} |"
    general = [_general(plan) for plan in plans.values()]
    for what in general[0]:
        yield f"| {what} | {' | '.join(_cell(lines.get(what)) for lines in general)} |"


def _general(plan: Plan) -> dict[str, Line]:
    return {one.keyword: one for one in plan.lines if not one.selector or "gggg" in one.selector}


def main() -> None:
    """Write every page."""
    (DOCS / "profiles.md").write_text(profiles_page(), "utf-8")
    (DOCS / "conformance.md").write_text(conformance.page(), "utf-8")
    README.write_text(promises.within(README.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

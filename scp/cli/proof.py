"""`report` and `verify`: what was done to studies, and whether it shows in the results."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules import Pseudonyms
from scp.cli import screen
from scp.cli.options import ConfigOption, configuration
from scp.journal import Journal
from scp.key import load_key
from scp.part10 import files_below
from scp.proof.judging import Severity
from scp.proof.verification import steps
from scp.proof.verification import verify as compare
from scp.provenance import as_json, provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scp.proof.verification import Verdict
    from scp.settings import Config

_SHOWN_FINDINGS = 200


def report(
    study: Annotated[
        str | None,
        typer.Argument(help="Study Instance UID of the result; every study if absent."),
    ] = None,
    *,
    machine: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say by which rules each study was de-identified, what they changed, and where it went.

    A profile may be changed or gone since: its digest, edition and options are those of then.
    """
    with closing(Journal.existing(configuration(config).node.data)) as journal:
        found = provenance(journal, study)
    if study is not None and not found:
        message = "no such study; `anonode report` shows what there is"
        raise typer.BadParameter(message)
    if machine:
        typer.echo(json.dumps(as_json(found), indent=2))
    else:
        screen.provenance(found)


def verify(
    originals: Annotated[
        Path, typer.Argument(help="A DICOM file or folder, as received.", exists=True)
    ],
    results: Annotated[
        Path, typer.Argument(help="What was made of them: a file or folder.", exists=True)
    ],
    *,
    config: ConfigOption = None,
    machine: Annotated[
        Path | None, typer.Option("--json", help="Write all findings to this file, too.")
    ] = None,
) -> None:
    """Look for what originals have lost in the bytes of their results; nothing is changed.

    Another reader than the engine's takes UIDs, words of names, identifiers and dates from the
    originals and looks for them everywhere in the results: preamble, file meta information,
    private elements and pixel data included. What a result says that it keeps is no finding.
    It looks for the marks of a de-identified instance, follows references, and compares the
    errors that dciodvfy reports, where that is installed.

    A finding names file, tag and kind, never a value. A leak can come from an original only;
    a possible one, such as a name that is a word of the trade, needs a person's eyes; a fault
    gives nobody away. The key of the configuration tells which result belongs to which
    original; without it pixels and numbers tell. The exit status is 1 if anything was found.
    """
    loaded = configuration(config)
    before, after = files_below([originals]), files_below([results])
    with screen.progress() as bar:
        task = bar.add_task("verifying", total=steps(len(before), len(after)))
        verdict = compare(before, after, _renaming(loaded), lambda: bar.advance(task))
    _show(verdict)
    if machine is not None:
        machine.write_text(json.dumps(_verdict_as_json(verdict), indent=2) + "\n", "utf-8")
    if verdict.findings:
        raise typer.Exit(1)


def _renaming(config: Config) -> Callable[[str], Iterable[str]]:
    """The UIDs that the profiles of a configuration make of one; none while it has no key."""
    key = load_key(config.node.data)
    if key is None:
        return lambda _: ()
    pseudonyms = Pseudonyms(key)
    scopes = sorted({profile.scope for profile in config.profiles.values()})
    return lambda uid: (pseudonyms.uid(scope, uid) for scope in scopes)


def _show(verdict: Verdict) -> None:
    findings = verdict.findings
    shown = [
        (one.severity, one.kind, one.tag or "-", one.file, one.detail)
        for one in findings[:_SHOWN_FINDINGS]
    ]
    if shown:
        screen.table("", ("", "kind", "tag", "file", "what"), shown)
    if len(findings) > len(shown):
        screen.say(f"and {len(findings) - len(shown)} more, which --json FILE writes")
    screen.table("", ("", ""), _facts(verdict))


def _facts(verdict: Verdict) -> list[tuple[str, object]]:
    counts = Counter(one.severity for one in verdict.findings)
    validated = verdict.validated
    return [
        ("originals read", verdict.originals),
        ("results read", verdict.results),
        ("results known by their original", verdict.pairs),
        ("values, words, dates and UIDs looked for", verdict.traces),
        ("references that resolve, before", verdict.references.before),
        ("references that resolve, after", verdict.references.after),
        ("compared by dciodvfy", "not installed" if validated is None else validated),
        ("leaks", counts[Severity.LEAK]),
        ("possible leaks", counts[Severity.POSSIBLE]),
        ("faults", counts[Severity.FAULT]),
    ]


def _verdict_as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "originals": verdict.originals,
        "results": verdict.results,
        "pairs": verdict.pairs,
        "looked_for": verdict.traces,
        "references": {"before": verdict.references.before, "after": verdict.references.after},
        "dciodvfy": verdict.validated,
        "findings": [
            {
                "severity": one.severity.value,
                "kind": one.kind,
                "tag": one.tag,
                "file": str(one.file),
                "detail": one.detail,
            }
            for one in verdict.findings
        ],
    }

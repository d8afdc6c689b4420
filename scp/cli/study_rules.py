"""`check` and `preview`: what the rules will do, before they do it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules import RulesError, compile_plan
from scp.cli import screen
from scp.cli.options import ConfigOption, configuration, plan_of, pseudonyms_for_show
from scp.config import Route, load_config
from scp.errors import ScpError
from scp.part10 import files_below, open_part10
from scp.preview import preview as preview_file

_CODES = {
    "X": "removed",
    "Z": "emptied",
    "D": "given another value",
    "U": "given another UID",
    "K": "kept or marked",
}
"""Action codes of PS3.15 Table E.1-1a in words."""

if TYPE_CHECKING:
    from rules import Line, Pseudonyms
    from rules.plan import Plan
    from scp.config import Config


def check(
    config: Annotated[Path, typer.Argument(help="The configuration file.")] = Path("config.yaml"),
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Every action, also those of the base.")
    ] = False,
) -> None:
    """Read a configuration and say what each profile does, and why.

    Every mistake is named with its line and column; nothing is started.
    """
    loaded = load_config(config)
    used = {route.profile for route in loaded.routes}
    for name, profile in loaded.profiles.items():
        if profile.mark.file != str(config) and name not in used:
            continue
        lines = compile_plan(profile).lines
        screen.say(f"\nprofile {name}: {_counted(lines)}")
        shown = lines if verbose else [line for line in lines if str(config) in line.why]
        if shown:
            screen.actions(shown)
    screen.say("")
    _routes(loaded)
    screen.say(f"\n{config}: no mistakes")


def preview(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    *,
    calling: Annotated[
        str, typer.Option("--from", help="Calling AE title; its route names the profile.")
    ] = "",
    profile: Annotated[str, typer.Option("--profile", "-p", help="Or name it here.")] = "",
    config: ConfigOption = None,
    all_elements: Annotated[
        bool, typer.Option("--all", help="Also the elements that stay as they are.")
    ] = False,
) -> None:
    """Show files before and after, side by side; nothing is stored."""
    loaded = configuration(config)
    plan = plan_of(loaded, profile or _profile_of(loaded, calling))
    pseudonyms, is_own_key = pseudonyms_for_show(loaded)
    if not is_own_key:
        screen.say("The node has no key yet: pseudonyms are shown under a throw-away key.")
    failed = sum(
        not _previewed(path, plan, pseudonyms, all_elements=all_elements)
        for path in files_below(paths)
    )
    if failed:
        raise typer.Exit(1)


def _previewed(path: Path, plan: Plan, pseudonyms: Pseudonyms, *, all_elements: bool) -> bool:
    try:
        rows = preview_file(open_part10(path), plan, pseudonyms)
    except (RulesError, ScpError) as refusal:
        screen.say(f"{path}: refused: {refusal}")
        return False
    shown = [row for row in rows if all_elements or row.change != "kept"]
    screen.before_and_after(f"{path}, profile {plan.name}", shown)
    counts = Counter(row.change for row in rows)
    screen.say(", ".join(f"{count} {change}" for change, count in sorted(counts.items())))
    return True


def _profile_of(config: Config, calling: str) -> str:
    """The profile of the first route that this calling AE title could take."""
    for route in config.routes:
        if not calling or route.takes(calling):
            return route.profile
    message = f"no route of {config.file} is for the calling AE title {calling}"
    raise typer.BadParameter(message)


def _counted(lines: tuple[Line, ...]) -> str:
    counts = Counter(line.operator.code for line in lines)
    return ", ".join(f"{counts[code]} {words}" for code, words in _CODES.items() if counts[code])


def _routes(config: Config) -> None:
    rows = [_route_cells(route) for route in config.routes]
    screen.table("", ("from", "to", "peer", "profile", "store", "forward"), rows)


def _route_cells(route: Route) -> tuple[str, ...]:
    return (
        " ".join(route.calling),
        route.called or "any",
        " ".join(str(network) for network in route.peers) or "any",
        route.profile,
        "yes" if route.store else "no",
        " ".join(route.forward),
    )

"""`check` and `preview`: what the rules will do, before they do it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]  # not re-exported by name

from rules import RulesError, compile_plan
from rules.compiler import explain_class
from rules.errors import tag_text
from rules.marks import (
    DEIDENTIFICATION_METHOD,
    DEIDENTIFICATION_METHOD_CODES,
    LONGITUDINAL_TEMPORAL_INFORMATION,
    PATIENT_IDENTITY_REMOVED,
)
from rules.tables.dictionary import keyword_of
from scp.cli import screen
from scp.cli.options import ConfigOption, configuration, plan_of, pseudonyms_for_show
from scp.config import load_config
from scp.errors import ScpError
from scp.images import NoPicture, png
from scp.part10 import files_below, open_part10
from scp.pixel_worker import PixelWorker
from scp.preview import preview as preview_file
from scp.routes import Route

_MARKS = (
    PATIENT_IDENTITY_REMOVED,
    DEIDENTIFICATION_METHOD,
    DEIDENTIFICATION_METHOD_CODES,
    LONGITUDINAL_TEMPORAL_INFORMATION,
)

if TYPE_CHECKING:
    from rules import Line, Pseudonyms
    from rules.held import BlankEncapsulated
    from rules.plan import Plan
    from rules.profile import Profile
    from scp.preview import Preview
    from scp.settings import Config


def check(
    config: Annotated[Path, typer.Argument(help="The configuration file.")] = Path("config.yaml"),
    *,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Every action and mark, also those of the base."),
    ] = False,
    sop_class: Annotated[
        str,
        typer.Option(
            help="The same for one SOP class, by UID or keyword such as CTImageStorage: what "
            "the base does depends on the types of its attributes."
        ),
    ] = "",
) -> None:
    """Read a configuration and say what each profile does, and why.

    Every mistake is named with its line and column; nothing is started.
    """
    uid = _sop_class(sop_class) if sop_class else ""
    loaded = load_config(config)
    used = {route.profile for route in loaded.routes}
    for name, profile in loaded.profiles.items():
        if profile.mark.file != str(config) and name not in used:
            continue
        if verbose or uid:
            _check_in_full(profile, uid)
        else:
            _check_in_brief(profile, str(config))
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
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--png",
            help="A folder for pictures, before and after, of the first frame of files whose "
            "pixels change.",
        ),
    ] = None,
) -> None:
    """Show files before and after, side by side; nothing is stored, unless --png asks for it."""
    loaded = configuration(config)
    plan = plan_of(loaded, profile or _profile_of(loaded, calling))
    pseudonyms, is_own_key = pseudonyms_for_show(loaded)
    if not is_own_key:
        screen.say("The node has no key yet: pseudonyms are shown under a throw-away key.")
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True, mode=0o700)
    failed = 0
    with PixelWorker(processes=1) as worker:
        for number, path in enumerate(files_below(paths), start=1):
            found = _previewed(path, plan, pseudonyms, worker)
            if found is None:
                failed += 1
                continue
            _show(path, plan, found, all_elements=all_elements)
            if pictures is not None and found.pixels_changed:
                _draw(path, found, pictures, number)
    if failed:
        raise typer.Exit(1)


def _previewed(
    path: Path, plan: Plan, pseudonyms: Pseudonyms, blank: BlankEncapsulated
) -> Preview | None:
    try:
        return preview_file(open_part10(path), plan, pseudonyms, blank)
    except (RulesError, ScpError) as refusal:
        screen.say(f"{path}: refused: {refusal}")
        return None


def _show(path: Path, plan: Plan, found: Preview, *, all_elements: bool) -> None:
    shown = [row for row in found.rows if all_elements or row.change != "kept"]
    screen.before_and_after(f"{path}, profile {plan.name}", shown)
    counts = Counter(row.change for row in found.rows)
    screen.say(", ".join(f"{count} {change}" for change, count in sorted(counts.items())))


def _draw(path: Path, found: Preview, folder: Path, number: int) -> None:
    """Write the pictures of a file, named by its position: its own name may be a person's."""
    try:
        before, after = png(path.read_bytes()), png(found.result)
    except NoPicture as error:
        screen.say(f"{path}: no picture: {error}")
        return
    drawn = {"before": before, "after": after}
    for name, picture in drawn.items():
        _write_new(folder / f"{number}-{name}.png", picture)
    names = " and ".join(str(folder / f"{number}-{name}.png") for name in drawn)
    screen.say(f"pictures: {names}; the first of them is identifiable: delete it after use")


def _write_new(path: Path, content: bytes) -> None:
    """For the owner alone, and over nothing that exists."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _check_in_brief(profile: Profile, config: str) -> None:
    """What the file itself says."""
    plan = compile_plan(profile)
    screen.say(f"\nprofile {profile.name}: {_counted(plan.lines)}")
    shown = [line for line in plan.lines if config in line.why]
    if shown:
        screen.actions(shown)


def _check_in_full(profile: Profile, sop_class_uid: str) -> None:
    """Every action, what is said of pixels, and what the results say of themselves."""
    plan = compile_plan(profile)
    lines = explain_class(profile, sop_class_uid) if sop_class_uid else plan.lines
    of = f", instances of {UID_dictionary[sop_class_uid][0]}" if sop_class_uid else ""
    screen.say(f"\nprofile {profile.name}{of}: {_counted(lines)}")
    screen.actions(lines)
    screen.pixels(plan.pixels)
    if profile.base == "none":
        screen.say("no marks: results do not say that they were de-identified")
    else:
        marks = [(tag_text(tag), keyword_of(tag), plan.actions[tag].describe()) for tag in _MARKS]
        screen.table("marks", ("tag", "keyword", "action"), marks)
    screen.say(f"rule set {plan.digest}")


def _sop_class(text: str) -> str:
    """The UID of a SOP class named by UID or keyword.

    Raises:
        typer.BadParameter: the standard registers none of that name.
    """
    for uid, (_, kind, _, _, keyword) in UID_dictionary.items():
        if text in (uid, keyword) and kind == "SOP Class":
            return uid
    message = f"{text} is no SOP class of PS3.6; write a UID or a keyword such as CTImageStorage"
    raise typer.BadParameter(message)


def _profile_of(config: Config, calling: str) -> str:
    """The profile of the first route that this calling AE title could take."""
    for route in config.routes:
        if not calling or route.takes(calling):
            return route.profile
    message = f"no route of {config.file} is for the calling AE title {calling}"
    raise typer.BadParameter(message)


def _counted(lines: tuple[Line, ...]) -> str:
    return screen.counted(Counter(line.operator.code for line in lines))


def _routes(config: Config) -> None:
    rows = [_route_cells(route) for route in config.routes]
    screen.table("", ("from", "to", "peer", "profile", "store", "forward"), rows)


def _route_cells(route: Route) -> tuple[str, ...]:
    return (
        " ".join(route.calling),
        route.called or "any",
        " ".join([*map(str, route.peers), *route.certificates]) or "any",
        route.profile,
        "yes" if route.store else "no",
        " ".join(route.forward),
    )

"""`pseudonym` and `match`: from a value to its pseudonym, and from a list to who is behind one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules import Pseudonyms
from rules.profile import Pseudonym
from scp.candidates import identifier_of, read_candidates, uid_of
from scp.candidates import match as match_candidates
from scp.cli import screen
from scp.cli.options import ConfigOption, configuration, own_key
from scp.errors import KeyFileError
from scp.key import NAME as KEY_NAME

if TYPE_CHECKING:
    from scp.settings import Config

ScopeOption = Annotated[
    str,
    typer.Option(
        "--scope", "-s", help="Who shares the pseudonyms: Consistent of a profile, else its name."
    ),
]


def pseudonym(
    value: Annotated[str, typer.Argument(help="The original value; - to read it from stdin.")],
    *,
    scope: ScopeOption,
    uid: Annotated[bool, typer.Option("--uid", help="The UID of a UID.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say what a value becomes in a scope under the node's key.

    What is typed stays in the history of a shell: with - the value is the first line of
    standard input instead. Nothing is stored.
    """
    pseudonyms = _pseudonyms(config, scope)
    original = sys.stdin.readline().rstrip("\r\n") if value == "-" else value
    if not original.strip():
        raise typer.BadParameter("the value is empty, and nothing has no pseudonym")
    keyed = uid_of if uid else identifier_of
    typer.echo(keyed(pseudonyms, scope, original))


def match(
    candidates: Annotated[
        Path, typer.Argument(help="Who may be meant: CSV in UTF-8.", exists=True, dir_okay=False)
    ],
    wanted: Annotated[
        list[str], typer.Argument(metavar="PSEUDONYM...", help="Pseudonyms, or UIDs under 2.25.")
    ],
    *,
    scope: ScopeOption,
    column: Annotated[
        str | None,
        typer.Option(help="The column, by the first row; if absent the first, from the top."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Find who is behind pseudonyms, among candidates, under the node's key.

    Nothing is stored. The exit status is 1 if there is nobody behind one of them.
    """
    pseudonyms = _pseudonyms(config, scope)
    found = match_candidates(pseudonyms, scope, read_candidates(candidates, column), wanted)
    rows = [(one.pseudonym, name) for one in found for name in one.candidates]
    if rows:
        screen.table("", ("pseudonym", "candidate"), rows)
    unknown = [one.pseudonym for one in found if not one.candidates]
    for one in unknown:
        screen.say(f"{one}: none of the candidates, in scope {scope}")
    if unknown:
        raise typer.Exit(1)


def _pseudonyms(config: Path | None, scope: str) -> Pseudonyms:
    """Those of the node's own key; any other would find nobody.

    Raises:
        KeyFileError: it cannot be used, is not the one of the stored instances, or there is none.
    """
    loaded = configuration(config)
    key = own_key(loaded)
    if key is None:
        said = "there is no key: name the configuration of the node that has it with --config"
        raise KeyFileError(loaded.node.data / KEY_NAME, said)
    known = _scopes(loaded)
    if scope not in known:
        said = f"no profile of {loaded.file} has the scope {scope}; there are {', '.join(known)}"
        typer.echo(said, err=True)
    return Pseudonyms(key)


def _scopes(config: Config) -> list[str]:
    """Those of the profiles, and those that their rules name."""
    profiles = config.profiles.values()
    values = (rule.value for profile in profiles for rule in profile.replace)
    named = {value.scope for value in values if isinstance(value, Pseudonym)}
    return sorted(named | {profile.scope for profile in profiles})

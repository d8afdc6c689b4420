"""Options that several commands share, and what they turn into."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules import Pseudonyms, compile_plan
from rules.pseudonyms import KEY_BYTES
from scp.config import Config, embedded_default, load_config
from scp.key import load_key

if TYPE_CHECKING:
    from rules import Plan

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration; config.yaml here if there is one."),
]
ConfigArgument = Annotated[
    Path, typer.Argument(help="The configuration file.", show_default=True)
]
_BESIDE = Path("config.yaml")


def configuration(path: Path | None) -> Config:
    """The named configuration, else config.yaml of this folder, else the embedded default.

    Raises:
        DocumentError: it cannot be used.
    """
    if path is not None:
        return load_config(path)
    return load_config(_BESIDE) if _BESIDE.exists() else embedded_default(Path("data"))


def plan_of(config: Config, profile: str) -> Plan:
    """The compiled profile of that name.

    Raises:
        typer.BadParameter: there is none.
    """
    if profile not in config.profiles:
        names = ", ".join(sorted(config.profiles))
        message = f"there is no profile {profile}; there are {names}"
        raise typer.BadParameter(message)
    return compile_plan(config.profiles[profile])


def pseudonyms_for_show(config: Config) -> tuple[Pseudonyms, bool]:
    """The node's own pseudonyms, or throw-away ones (and False) while it has no key."""
    key = load_key(config.node.data)
    return Pseudonyms(key or secrets.token_bytes(KEY_BYTES)), key is not None

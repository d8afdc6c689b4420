"""Options that several commands share, and what they turn into."""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rules import Pseudonyms, compile_plan
from rules.pseudonyms import KEY_BYTES
from scp.config import embedded_default, load_config
from scp.disk import Disk
from scp.errors import JournalError, KeyFileError
from scp.journal import FILE_NAME as JOURNAL_NAME
from scp.journal import Journal
from scp.key import NAME as KEY_NAME
from scp.key import confirm_key, load_key, make_key
from scp.settings import Config
from scp.spool import Spool

if TYPE_CHECKING:
    from rules import Plan

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration; config.yaml here if there is one."),
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
    """The node's own pseudonyms, or throw-away ones (and False) while it has no key.

    Raises:
        KeyFileError: the key cannot be used, or is not the one of the stored instances.
    """
    key = own_key(config)
    return Pseudonyms(key or secrets.token_bytes(KEY_BYTES)), key is not None


def own_key(config: Config) -> bytes | None:
    """The node's key; None while it has none.

    Raises:
        KeyFileError: it cannot be used, or is not the one of the stored instances.
    """
    key = load_key(config.node.data)
    return None if key is None else confirmed(key, config)


def key_for_good(config: Config) -> bytes:
    """The node's key; a new one only where nothing was ever received under another.

    Raises:
        KeyFileError: it cannot be used, or is missing beside stored instances.
    """
    data = config.node.data
    key = load_key(data)
    if key is not None:
        return key  # the node compares it with the journal, once it has looked at that
    if (data / JOURNAL_NAME).exists():
        raise KeyFileError(data / KEY_NAME, "it is missing, but instances were received under it")
    return make_key(Spool(data).private_file(KEY_NAME), Disk())


def confirmed(key: bytes, config: Config) -> bytes:
    """A key, once compared with what the journal notes of it, if that can be read.

    Why it cannot be read, `run` says.

    Raises:
        KeyFileError: it is another.
    """
    data = config.node.data
    if (data / JOURNAL_NAME).exists():
        with suppress(JournalError), closing(Journal.existing(data)) as journal:
            confirm_key(journal, key, data)
    return key

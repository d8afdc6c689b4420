"""The commands by name, and the one place where an error becomes an exit status.

Exit statuses: 0 done; 1 something was refused or failed, and said so; 2 the command line is
wrong; 78 the configuration cannot be used (EX_CONFIG, which systemd must not retry).

What nobody has foreseen is logged by its type and its place in this program, with status 1: Typer
takes the hook away that would do so, and would print texts that may quote what an element holds.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final

import typer

from rules.errors import DocumentError, RulesError
from scp import __version__, logs
from scp.errors import KeyFileError, ScpError
from scp.process import seal

if TYPE_CHECKING:
    from collections.abc import Sequence

EX_FAILED = 1
EX_CONFIG = 78
COMMANDS: Final = {
    "run": "serve.run",
    "check": "study_rules.check",
    "preview": "study_rules.preview",
    "send": "files.send",
    "deidentify": "files.deidentify",
    "list": "store.list_instances",
    "show": "store.show",
    "queue": "store.queue",
    "retry": "store.retry",
    "report": "proof.report",
    "verify": "proof.verify",
    "pseudonym": "identify.pseudonym",
    "match": "identify.match",
    "hash-password": "passwords.hash_password",
    "demo": "demo.demo",
}
"""Module and function of each command: only what is asked for is imported, which is half of the
time that a short command takes."""


def command_line(words: Sequence[str]) -> typer.Typer:
    """The command that the first word names; every one if it names none, for the help.

    Args:
        words: The arguments, without the name of the program.
    """
    app = typer.Typer(
        name="anonode",
        help="A DICOM node that de-identifies what it receives.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        callback=_anonode,
    )
    asked = next((word for word in words if not word.startswith("-")), "")
    for name in [asked] if asked in COMMANDS else COMMANDS:
        module, function = COMMANDS[name].split(".")
        app.command(name)(getattr(import_module(f"scp.cli.{module}"), function))
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"anonode {__version__}")
        raise typer.Exit


def _anonode(
    *,
    version: bool = typer.Option(
        False, "--version", help="Say the version.", callback=_version, is_eager=True
    ),
) -> None:
    """De-identify on ingest, by rules chosen per calling AE title."""


def main() -> None:
    """Run the command line and exit."""
    logs.configure(level="error")  # from here on no library can print what an element holds
    seal()
    _print_any_name()
    try:
        commands = command_line(sys.argv[1:])
        gc.enable()
        commands()
    except (DocumentError, KeyFileError) as error:
        _fail(str(error), EX_CONFIG)
    except (RulesError, ScpError) as error:
        _fail(str(error), EX_FAILED)
    except OSError as error:
        said = error.strerror or type(error).__name__
        _fail(f"{error.filename or 'the system'}: {said}", EX_FAILED)
    except Exception as error:  # noqa: BLE001 - the last one: its text may quote a value
        kind, place = type(error).__name__, logs.own_place(error)
        logs.log().error("the process ends because of an error", error=kind, place=place)
        sys.exit(EX_FAILED)


def _print_any_name() -> None:
    """The name of a file need not be text, and one that is none must not end a command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fail(message: str, status: int) -> None:
    typer.echo(message, err=True)
    sys.exit(status)

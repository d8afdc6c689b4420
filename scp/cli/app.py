"""The commands by name, and the one place where an error becomes an exit status.

Exit statuses: 0 done; 1 something was refused or failed, and said so; 2 the command line is
wrong; 78 the configuration cannot be used (EX_CONFIG, which systemd must not retry).
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from rules.errors import DocumentError, RulesError
from scp import __version__, logs
from scp.cli import demo, files, identify, passwords, proof, serve, store, study_rules
from scp.errors import KeyFileError, ScpError

EX_FAILED = 1
EX_CONFIG = 78

app = typer.Typer(
    name="anonode",
    help="A DICOM node that de-identifies what it receives.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.run)
app.command()(study_rules.check)
app.command()(study_rules.preview)
app.command()(files.send)
app.command()(files.deidentify)
app.command("list")(store.list_instances)
app.command()(store.show)
app.command()(store.queue)
app.command()(store.retry)
app.command()(proof.report)
app.command()(proof.verify)
app.command()(identify.pseudonym)
app.command()(identify.match)
app.command("hash-password")(passwords.hash_password)
app.command()(demo.demo)


def _version(value: bool) -> None:
    if value:
        Console().print(f"anonode {__version__}")
        raise typer.Exit


@app.callback()
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
    try:
        app()
    except (DocumentError, KeyFileError) as error:
        _fail(str(error), EX_CONFIG)
    except (RulesError, ScpError) as error:
        _fail(str(error), EX_FAILED)
    except OSError as error:
        _fail(f"{error.filename or 'the system'}: {error.strerror}", EX_FAILED)


def _fail(message: str, status: int) -> None:
    Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)
    sys.exit(status)

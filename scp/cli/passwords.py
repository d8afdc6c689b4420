"""`hash-password`: a line for the file of those who may use the REST API."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import Annotated

import typer

from scp.api.credentials import PasswordHash, is_user_name


def hash_password(
    name: Annotated[str, typer.Argument(help="Who it is for.")],
) -> None:
    """Print a line for the file that `credentials` of `rest` names.

    The password is the first line of standard input, and asked for at a terminal. Only its hash
    is printed; it is stored nowhere.
    """
    if not is_user_name(name):
        raise typer.BadParameter("a name is at most 64 letters, digits, dots, dashes, _ and @")
    terminal = sys.stdin.isatty()
    password = getpass() if terminal else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise typer.BadParameter("the password is empty")
    typer.echo(f"{name}:{PasswordHash.of(password)}")

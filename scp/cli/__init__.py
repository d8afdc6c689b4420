"""The command line: `anonode COMMAND`."""

from scp.cli.app import main

__all__ = ["main"]

"""The configuration of a running node, read again: all of it counts, or nothing does.

Whatever is wrong with the file, with what it names, or with this code: the node goes on by what
it was told before, and says so in the log and to systemd.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rules.errors import DocumentError
from scp import logs
from scp.cli.options import configuration
from scp.errors import ScpError
from scp.key import load_key

if TYPE_CHECKING:
    from pathlib import Path

    from scp.node import Node
    from scp.settings import Config

_MOST_PROBLEMS: Final = 20
"""Of a file that is refused; `anonode check` says all of them."""
_REFUSED: Final = "reload refused, the rules before it stay"


def reload(node: Node, path: Path | None, key: bytes) -> str:
    """Take over what the file says now, or nothing.

    Args:
        node: That runs.
        path: Of the file; None for that of the folder, or none.
        key: That the node was started with.

    Returns:
        One sentence about it.
    """
    failure: Exception | None = None
    try:
        read = configuration(path)
        waiting = node.reload(read)
        return _reloaded(read, (*waiting, *_changed_key(read, key)))
    except DocumentError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001 - a node that receives is worth more than new rules
        failure = error
    said = _sentence(failure)
    logs.log().error("the configuration was not reloaded", reason=said, **logs.of_error(failure))
    return f"{_REFUSED}: {said}"


def _reloaded(read: Config, waiting: tuple[str, ...]) -> str:
    for name in waiting:
        logs.log().warning("this change takes a restart", reason=name)
    logs.log().info("configuration reloaded", rules=read.digest)
    restart = f"; a restart is needed for {', '.join(waiting)}" if waiting else ""
    return f"reloaded, rules {read.digest[:12]}{restart}"


def _refused(error: DocumentError) -> str:
    for problem in error.problems[:_MOST_PROBLEMS]:
        logs.log().error(
            "the configuration was not reloaded", place=str(problem.mark), reason=problem.message
        )
    more = len(error.problems) - 1
    return f"{_REFUSED}: {error.problems[0]}" + (f" and {more} more" if more else "")


def _sentence(error: Exception) -> str:
    """Our own sentences and the system's; of anything else only the type."""
    if isinstance(error, ScpError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror}"
    return f"failed with {type(error).__name__}"


def _changed_key(read: Config, key: bytes) -> tuple[str, ...]:
    """Whether there is another key than the one that counts; a missing one is for the start."""
    with suppress(ScpError, OSError):
        found = load_key(read.node.data)
        if found is not None and found != key:
            return ("the key",)
    return ()

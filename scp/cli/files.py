"""`send` and `deidentify`: folders out to a peer, and folders into folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scp.bulk_files import deidentify_files
from scp.bulk_send import send_files
from scp.cli import screen
from scp.cli.options import ConfigOption, configuration, confirmed, key_for_good, plan_of
from scp.config_values import ae_title
from scp.errors import NotPart10
from scp.part10 import Part10, files_below, open_part10

_PORTS = range(1, 65536)


def _title(text: str) -> str:
    """An AE title.

    Raises:
        typer.BadParameter: it is none; the option is named by Typer.
    """
    try:
        return ae_title(text)
    except ValueError as error:
        raise typer.BadParameter(f"an AE title {error}") from None


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    *,
    to: Annotated[str, typer.Option(help="The peer, as HOST:PORT.")],
    calling: Annotated[
        str, typer.Option("--from", help="Calling AE title.", callback=_title)
    ] = "ANONODE-SCU",
    called: Annotated[
        str, typer.Option("--called", help="Called AE title.", callback=_title)
    ] = "ANONODE",
) -> None:
    """Send files as they are, each in its own transfer syntax.

    The outcome of every file is said; the exit status is 1 if the peer lacks any.
    """
    files, failed = _readable(files_below(paths))
    with screen.progress() as bar:
        task = bar.add_task("sending", total=len(files))
        for sent in send_files(files, _address(to), calling_ae=calling, called_ae=called):
            bar.advance(task)
            if not sent.ok:
                failed += 1
                screen.say(f"{sent.file.path}: {sent.failure}")
    screen.say(f"{len(files)} files offered, {failed} failed")
    if failed:
        raise typer.Exit(1)


def deidentify(
    source: Annotated[Path, typer.Argument(help="A DICOM file or folder.", exists=True)],
    target: Annotated[Path, typer.Argument(help="The folder of the results.")],
    *,
    profile: Annotated[str, typer.Option("--profile", "-p", help="Whose rules apply.")],
    config: ConfigOption = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="How many at once; one per processor if absent.")
    ] = None,
) -> None:
    """De-identify a folder into another, by the same rules as on the network.

    Results are named by their new UIDs, and overwrite nothing. The exit status is 1 if any file
    was refused.
    """
    loaded = configuration(config)
    plan_of(loaded, profile)  # a mistake is better said here than in a worker
    key = confirmed(key_for_good(loaded), loaded)
    sources = files_below([source])
    refused = 0
    with screen.progress() as bar:
        task = bar.add_task("de-identifying", total=len(sources))
        chosen = loaded.profiles[profile]
        for done in deidentify_files(sources, target, chosen, key, processes):
            bar.advance(task)
            if done.result is None:
                refused += 1
                screen.say(f"{done.source}: refused: {done.refusal}")
    screen.say(f"{len(sources) - refused} files written to {target}, {refused} refused")
    if refused:
        raise typer.Exit(1)


def _readable(paths: list[Path]) -> tuple[list[Part10], int]:
    files: list[Part10] = []
    failed = 0
    for path in paths:
        try:
            file = open_part10(path)
        except NotPart10 as error:
            screen.say(str(error))
            failed += 1
            continue
        if file.sop_class_uid and file.sop_instance_uid:
            files.append(file)
        else:
            screen.say(f"{path}: its file meta information names no SOP class or instance")
            failed += 1
    return files, failed


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) not in _PORTS:
        message = f"{text!r} is not HOST:PORT, such as 127.0.0.1:11112"
        raise typer.BadParameter(message)
    return host.strip("[]"), int(port)

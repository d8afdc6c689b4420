"""`list`, `show`, `queue` and `retry`: what the node holds and owes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scp.cli import screen
from scp.cli.options import ConfigOption, configuration
from scp.journal import InstanceFilter, Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST: Final = (1 << 63) - 1
"""The journal counts no further."""


def list_instances(
    *,
    config: ConfigOption = None,
    patient: Annotated[str | None, typer.Option(help="Of the result, not the original.")] = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID of the result.")] = None,
    modality: Annotated[str | None, typer.Option(help="Such as CT.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST, help="At most so many.")] = 50,
) -> None:
    """List stored instances, the newest first."""
    wanted = InstanceFilter(study_instance_uid=study, patient_id=patient, modality=modality)
    with _journal(config) as journal:
        screen.instances(journal.instances(wanted, limit=limit))


def show(
    instance: Annotated[str, typer.Argument(help="Its id, or its new SOP Instance UID.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Show one instance and its deliveries."""
    with _journal(config) as journal:
        found = journal.instance(_key(instance))
    if found is None:
        message = "no such instance; `anonode list` shows what there is"
        raise typer.BadParameter(message)
    facts = [
        ("id", found.id),
        ("received", screen.moment(found.received_at)),
        ("from", found.calling_ae),
        ("profile", found.profile),
        ("transfer syntax", found.transfer_syntax_uid),
        ("file", found.file_name or "swept after delivery"),
        ("bytes", found.size_bytes),
        *found.tags.items(),
    ]
    screen.table("", ("", ""), facts)
    deliveries = [
        (
            delivery.destination,
            delivery.state.value,
            delivery.attempts,
            "" if delivery.last_status is None else f"{delivery.last_status:#06x}",
            delivery.last_outcome or delivery.state.sentence,
        )
        for delivery in found.deliveries
    ]
    screen.table("", ("destination", "state", "attempts", "status", "outcome"), deliveries)


def queue(*, config: ConfigOption = None) -> None:
    """Show what each destination is owed, had, or failed to get."""
    with _journal(config) as journal:
        screen.queue(journal.queue())


def retry(
    destination: Annotated[
        str | None, typer.Argument(help="Only this destination; all of them if absent.")
    ] = None,
    *,
    instance: Annotated[
        int | None, typer.Option(min=1, max=_MOST, help="Only this instance, by its id.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make failed and held deliveries due at once."""
    loaded = configuration(config)
    if destination is not None and destination not in loaded.destinations:
        message = f"{loaded.file} has no destination {destination}"
        raise typer.BadParameter(message)
    with _journal(config) as journal:
        count = journal.retry(destination=destination, instance_id=instance)
    screen.say(f"{count} deliveries are due now; a running node takes them within a minute")


def _key(text: str) -> int | str:
    """An id, or a UID; a number too long for an id can be nothing but a UID."""
    is_id = text.isdecimal() and len(text) < len(str(_MOST))
    return int(text) if is_id else text


@contextmanager
def _journal(config: Path | None) -> Iterator[Journal]:
    journal = Journal.existing(configuration(config).node.data)
    try:
        yield journal
    finally:
        journal.close()

"""What the tests of the durable half store: instances that nobody ever was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scp.instance import NewInstance, StoredFile

if TYPE_CHECKING:
    from scp.spool import Spool

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
META = bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + (8).to_bytes(4, "little") + b"metameta"
"""The beginning of a Part 10 file whose dataset starts at byte 152."""
OFFSET = 152


def uid(number: int) -> str:
    """A UID of ours."""
    return f"2.25.{number}"


def new(number: int = 1, *destinations: str, **changes: object) -> NewInstance:
    """An instance of which only the journal knows; its file is in nobody's spool."""
    instance = NewInstance(
        sop_instance_uid=uid(number),
        sop_class_uid=CT,
        transfer_syntax_uid=EXPLICIT,
        study_instance_uid="2.25.100",
        series_instance_uid="2.25.200",
        patient_id="PSEUDONYM",
        modality="CT",
        file=StoredFile(f"ab/{number}.dcm", 1000, f"{number:064x}"),
        dataset_offset=OFFSET,
        profile="basic",
        calling_ae="CT1",
        called_ae="ANONODE",
        destinations=destinations,
        store=True,
        tags={"StudyDescription": "Größe"},
    )
    return replace(instance, **changes)


def stored(spool: Spool, number: int = 1, *destinations: str, **changes: object) -> NewInstance:
    """An instance whose file is in the spool."""
    draft = spool.draft()
    draft.write([META, b"dataset %d" % number])
    file = draft.seal()
    draft.keep()
    return new(number, *destinations, file=file, **changes)

"""What a job says of a result, in one line of JSON: between processes, and in its ledger.

Only values of the de-identified instance. What all results of a job have in common is not said.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scp.instance import NewInstance, StoredFile

if TYPE_CHECKING:
    from scp.archive.modifier import Treatment


def facts_of(new: NewInstance) -> bytes:
    """The line, without its end."""
    said = (
        *(new.file.name, new.file.size_bytes, new.file.digest, new.dataset_offset),
        *(new.sop_instance_uid, new.sop_class_uid, new.transfer_syntax_uid),
        *(new.study_instance_uid, new.series_instance_uid, new.patient_id, new.modality),
        *(dict(new.tags), dict(new.actions), new.rule_set),
    )
    return json.dumps(said, separators=(",", ":")).encode("ascii")


def new_of(facts: bytes, treatment: Treatment) -> NewInstance:
    """What `facts_of` was of, as the result of a treatment.

    Raises:
        ValueError: it is no such line.
    """
    said: list[Any] = json.loads(facts)
    name, size_bytes, digest, offset, uid, class_uid, syntax, study, series, *rest = said
    patient_id, modality, tags, actions, rule_set = rest
    return NewInstance(
        sop_instance_uid=uid,
        sop_class_uid=class_uid,
        transfer_syntax_uid=syntax,
        study_instance_uid=study,
        series_instance_uid=series,
        patient_id=patient_id,
        modality=modality,
        file=StoredFile(name, size_bytes, digest),
        dataset_offset=offset,
        profile=treatment.profile,
        calling_ae="",
        called_ae="",
        destinations=(),
        store=True,
        tags=tags,
        actions=actions,
        rule_set=rule_set,
        origin="RestApi",
        remote_ip=treatment.remote_ip,
    )


def file_of(facts: bytes) -> str:
    """The name of the result's file."""
    return str(json.loads(facts)[0])

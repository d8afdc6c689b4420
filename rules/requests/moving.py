"""What a body of split or merge asks for.

A split may change attributes of the Patient and General Study modules only, and those by a text;
a merge takes them from the study it merges into.

Source: the Orthanc Book, "Anonymization and modification" (split and merge); PS3.3 C.7.1.1,
C.7.2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules.errors import tag_text
from rules.requests.faults import RequestFault, Status
from rules.requests.fields import body_of, mapping, texts
from rules.requests.held import value_of
from rules.requests.levels import STUDY_INSTANCE_UID
from rules.requests.options import read_resources
from rules.requests.renaming import Renaming
from rules.requests.tags import name, parse_tag
from rules.tables.study_modules import study_module_tags

if TYPE_CHECKING:
    from rules.profile import Value
    from rules.pseudonyms import Pseudonyms
    from rules.requests.fields import Body
    from rules.requests.renaming import Touched


@dataclass(frozen=True, slots=True)
class Split:
    """A request to split a study.

    Attributes:
        replace: What is written, by tag.
        remove: Tags that go; none that is replaced.
        series: Identifiers of series that move.
        instances: Identifiers of instances that move.
    """

    replace: tuple[tuple[int, Value], ...] = field(repr=False)
    remove: tuple[int, ...]
    series: tuple[str, ...]
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """A request to merge into a study: the identifiers of what moves there."""

    resources: tuple[str, ...]


def read_split(body: object) -> Split:
    """A body of split.

    Raises:
        RequestFault: it cannot be done.
    """
    fields = body_of(body)
    series, instances = texts(fields, "Series"), texts(fields, "Instances")
    if not series and not instances:
        raise RequestFault(
            Status.BAD_REQUEST, 'Both the "Series" and the "Instances" fields are missing'
        )
    written = dict(_replacements(fields))
    lost = {_movable(one) for one in texts(fields, "Remove", Status.BAD_REQUEST) or ()}
    return Split(
        replace=tuple(sorted(written.items(), key=_tag)),
        remove=tuple(sorted(lost - written.keys())),
        series=tuple(series or ()),
        instances=tuple(instances or ()),
    )


def read_merge(body: object) -> Merge:
    """A body of merge.

    Raises:
        RequestFault: it cannot be done.
    """
    return Merge(tuple(read_resources(body)))


def renaming_of_move(
    touched: Touched, pseudonyms: Pseudonyms, scope: str, study_instance_uid: str
) -> Renaming:
    """What moved resources are called afterwards.

    Args:
        touched: UIDs as stored; of studies those that move as a whole.
        pseudonyms: The keyed functions.
        scope: The same as that of the plan.
        study_instance_uid: Of the study that they move to.
    """
    names = dict.fromkeys(touched.studies, study_instance_uid)
    for uids in (touched.series, touched.instances):
        names.update((uid, pseudonyms.uid(scope, uid)) for uid in uids)
    return Renaming(names)


def _replacements(fields: Body) -> list[tuple[int, Value]]:
    replaced = mapping(fields, "Replace")
    for key, plain in replaced.items():
        if not isinstance(plain, str):
            tag = _movable(key)
            raise RequestFault(Status.BAD_FILE, f"{name(tag)} can be replaced by a string only")
    return [(_movable(key), value_of(plain, _movable(key))) for key, plain in replaced.items()]


def _movable(text: str) -> int:
    """A tag of the two modules, the identifier of the study aside."""
    tag = parse_tag(text)
    if tag == STUDY_INSTANCE_UID or tag not in study_module_tags():
        raise RequestFault(
            Status.OUT_OF_RANGE,
            "Cannot modify the following tag while splitting a study (not in the patient/study "
            f"modules): {name(tag)} {tag_text(tag).lower()}",
        )
    return tag


def _tag(pair: tuple[int, Value]) -> int:
    return pair[0]

"""A request -> the plan of the walk.

The job settles the renaming of what it touches (`renaming_of`, `renaming_of_move`) with the same
scope; the plan takes care of everything else. What becomes of each instance, the report says.

Source: PS3.15 E.1 to E.3; PS3.3 C.7.1.1, C.7.2.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rules.compiler import compile_plan
from rules.operators import REMOVE, Constant
from rules.profile import Literal, Profile, RemoveRule, ReplaceRule
from rules.regions import KINDS
from rules.requests.levels import (
    KEYWORDS,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from rules.requests.modification import MARK, PATIENT_NAME
from rules.requests.readings import anonymizing, keyed, modifying
from rules.selectors import EXACT, Selector, TagPattern
from rules.values import encode

if TYPE_CHECKING:
    from rules.operators import Operator
    from rules.plan import Plan
    from rules.requests.modification import Modification
    from rules.requests.modules import ModuleElements
    from rules.requests.moving import Split
    from rules.requests.renaming import Renaming

_MOVED = (KEYWORDS[SERIES_INSTANCE_UID], KEYWORDS[SOP_INSTANCE_UID])


def plan_of(
    modification: Modification, *, scope: str, renaming: Renaming, patient_name: str = ""
) -> Plan:
    """The plan of a request to anonymize or to modify.

    Args:
        modification: The request.
        scope: Of keyed functions: its own, if it names one, or one of the job.
        renaming: Of what the job touches.
        patient_name: What the job makes up where the request needs one; empty leaves the name
            to the profile.
    """
    profile = replace(modification.profile, consistent=scope)
    if not modification.is_anonymization:
        identifiers = keyed(modification.renewed, scope)
        return compile_plan(profile, modifying(renaming.names, identifiers, MARK))
    made_up = (PATIENT_NAME,) if modification.needs_patient_name and patient_name else ()
    named = tuple(_replacement(tag, patient_name) for tag in made_up)
    profile = replace(profile, replace=(*profile.replace, *named))
    return compile_plan(profile, anonymizing(made_up, renaming.names))


def split_plan(split: Split, *, scope: str, renaming: Renaming, new_study_uid: str) -> Plan:
    """The plan of what moves into a study of its own.

    Args:
        split: The request.
        scope: Of keyed UIDs.
        renaming: Of what moves.
        new_study_uid: Of the new study.
    """
    profile = replace(
        _moving("split", scope),
        remove=tuple(RemoveRule(_selector(tag), MARK) for tag in split.remove),
        replace=tuple(ReplaceRule(_selector(tag), one, MARK) for tag, one in split.replace),
    )
    return compile_plan(profile, modifying(renaming.names, _moved(scope, new_study_uid), MARK))


def merge_plan(target: ModuleElements, *, scope: str, renaming: Renaming) -> Plan:
    """The plan of what moves into an existing study.

    Args:
        target: The two modules of one instance of that study.
        scope: Of keyed UIDs.
        renaming: Of what moves.
    """
    written: dict[int, Operator] = {
        **dict.fromkeys(target.absent, REMOVE),
        **target.operators,
        **keyed(_MOVED, scope),
    }
    return compile_plan(_moving("merge", scope), modifying(renaming.names, written, MARK))


def _moving(name: str, scope: str) -> Profile:
    burned_in = dict.fromkeys(KINDS, "keep")
    return Profile(name, MARK, "none", consistent=scope, private="keep", burned_in=burned_in)


def _moved(scope: str, study_instance_uid: str) -> dict[int, Operator]:
    study = Constant(encode("UI", study_instance_uid), "the new study")
    return {STUDY_INSTANCE_UID: study, **keyed(_MOVED, scope)}


def _replacement(tag: int, text: str) -> ReplaceRule:
    return ReplaceRule(_selector(tag), Literal(text), MARK)


def _selector(tag: int) -> Selector:
    return Selector((), TagPattern(tag, EXACT), KEYWORDS.get(tag, ""))

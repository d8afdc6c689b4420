"""What a body of anonymize or modify asks for: a profile, and what the identifiers become.

- anonymize starts from the basic profile; every UID is new, whatever the level of the request.
- modify starts from keeping all; which UIDs are new goes by the level.
- An identifier that is replaced or kept is named by the request, and only with `Force`.

Source: the Orthanc Book, "Anonymization and modification"; PS3.15 E.1 to E.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rules.errors import Mark
from rules.nodes import unreachable
from rules.options import RETAIN_UIDS, SAFE_PRIVATE
from rules.profile import KeepRule, Literal, Profile, RemoveRule, ReplaceRule
from rules.regions import KINDS
from rules.requests import options
from rules.requests.edits import Edits, read_edits
from rules.requests.faults import RequestFault, Status
from rules.requests.fields import body_of, boolean
from rules.requests.levels import KEYWORDS, PATIENT_ID, SOP_INSTANCE_UID, UIDS, Level
from rules.requests.readings import rules_of
from rules.requests.renaming import Renaming
from rules.selectors import EXACT, Selector, TagPattern
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.pseudonyms import Pseudonyms
    from rules.requests.fields import Body
    from rules.requests.renaming import Touched

MARK = Mark("request", 1, 1)
"""The place of every rule of a request."""
PATIENT_NAME = 0x00100010
BEYOND_2008 = (0x00101040, 0x00102000, 0x00102154, 0x00321032)
"""Patient's address, medical alerts, patient's telephone numbers, requesting physician: the
edition of 2008 does not list them, and Orthanc removes them."""
_UIDS_FROM_THE_TOP = (Level.STUDY, Level.SERIES, Level.INSTANCE)


@dataclass(frozen=True, slots=True)
class Modification:
    """A request to anonymize or to modify.

    Attributes:
        is_anonymization: Which of the two.
        level: Of the request; of an anonymization it makes no difference.
        profile: The rules.
        transcode: UID of the transfer syntax of the results; None keeps each as it is.
        lossy_quality: From 1 to 100.
        consistent: The scope of keyed functions; None asks for one of the job's own.
        replaced: Literals by keyword, of those among the four identifiers that get one.
        kept: Keywords of those that stay because the request says so.
        renewed: Keywords of the UIDs that become keyed ones.
        replacements: Literals by keyword, of every attribute that gets one at the top.
        needs_patient_name: Whether the job is to make up a name of the patient; not where
            requests are to agree, for it would make up another one each time.
    """

    is_anonymization: bool
    level: Level
    profile: Profile
    transcode: str | None
    lossy_quality: int
    consistent: str | None
    replaced: Mapping[str, str] = field(repr=False)
    kept: frozenset[str]
    renewed: frozenset[str]
    replacements: Mapping[str, str] = field(repr=False)
    needs_patient_name: bool


def read_anonymize(body: object, *, transcode_status: int = Status.BAD_FILE) -> Modification:
    """A body of anonymize, of any level.

    Args:
        body: Parsed JSON.
        transcode_status: Orthanc's number for a transfer syntax that it does not know: 15 of
            resources, 3 of single instances.

    Raises:
        RequestFault: it cannot be done.
    """
    fields = body_of(body)
    edition = options.edition(fields)
    chosen = options.options(fields, edition)
    private = "safe" if SAFE_PRIVATE in chosen else "remove"
    if boolean(fields, "KeepPrivateTags", default=False):
        private = "keep"
    edits = read_edits(fields, is_forced=boolean(fields, "Force", default=False))
    if edition == "2008":
        edits = _beyond_2008(edits)
    settings = Profile("anonymize", MARK, "basic", edition, chosen, private=private)
    profile = _profile(settings, edits)
    stays = UIDS if RETAIN_UIDS in chosen else frozenset()
    return _modification(fields, edits, profile, Level.PATIENT, transcode_status, stays)


def read_modify(
    body: object, level: Level, *, transcode_status: int = Status.BAD_FILE
) -> Modification:
    """A body of modify.

    Args:
        body: Parsed JSON.
        level: Of the request; of a bulk without one, Level.INSTANCE.
        transcode_status: As above.

    Raises:
        RequestFault: it cannot be done.
    """
    fields = body_of(body)
    is_forced = boolean(fields, "Force", default=False)
    private = "remove" if boolean(fields, "RemovePrivateTags", default=False) else "keep"
    edits = read_edits(fields, is_forced=is_forced)
    if level == Level.PATIENT and not is_forced and PATIENT_ID not in edits.values():
        raise RequestFault(
            Status.BAD_REQUEST,
            "When modifying a patient, her PatientID is required to be modified.",
        )
    profile = _profile(
        Profile(f"modify-{level.name.lower()}", MARK, "none", private=private), edits
    )
    return _modification(fields, edits, profile, level, transcode_status, frozenset())


def renaming_of(
    modification: Modification, touched: Touched, pseudonyms: Pseudonyms, scope: str
) -> Renaming:
    """What the touched resources are called afterwards.

    Args:
        modification: The request.
        touched: UIDs as stored.
        pseudonyms: The keyed functions.
        scope: The same as that of the plan.
    """
    names: dict[str, str] = {}
    for level, uids in zip(_UIDS_FROM_THE_TOP, touched, strict=True):
        literal = modification.replaced.get(level.keyword)
        if literal is not None:
            names.update(dict.fromkeys(uids, literal))
        elif level.keyword in modification.renewed:
            names.update((uid, pseudonyms.uid(scope, uid)) for uid in uids)
        elif modification.is_anonymization:
            names.update((uid, uid) for uid in uids)
    return Renaming(names)


def _beyond_2008(edits: Edits) -> Edits:
    """With what Orthanc removes beyond that edition, but for what the request names."""
    named = edits.values().keys() | edits.kept() | edits.removed()
    more = (tag for tag in BEYOND_2008 if tag not in named)
    gone = tuple(Selector((), TagPattern(tag, EXACT), keyword_of(tag)) for tag in more)
    return replace(edits, remove=(*edits.remove, *gone))


def _modification(
    fields: Body,
    edits: Edits,
    profile: Profile,
    level: Level,
    transcode_status: int,
    stays: frozenset[int],
) -> Modification:
    is_anonymization = profile.base == "basic"
    texts = {tag: one.text for tag, one in edits.values().items() if isinstance(one, Literal)}
    kept = frozenset(edits.kept() & KEYWORDS.keys())
    renewed = _renewed(texts, level) - texts.keys() - kept - stays
    named = edits.values().keys() | edits.kept() | edits.removed()
    scope = options.consistent(fields)
    return Modification(
        is_anonymization=is_anonymization,
        level=level,
        profile=profile,
        transcode=options.transcode(fields, transcode_status),
        lossy_quality=options.lossy_quality(fields),
        consistent=scope,
        replaced={KEYWORDS[tag]: text for tag, text in texts.items() if tag in KEYWORDS},
        kept=frozenset(KEYWORDS[tag] for tag in kept),
        renewed=frozenset(KEYWORDS[tag] for tag in renewed),
        replacements={keyword: text for keyword, text in _by_keyword(texts) if keyword},
        needs_patient_name=is_anonymization and PATIENT_NAME not in named and scope is None,
    )


def _renewed(texts: Mapping[int, str], level: Level) -> set[int]:
    """The UIDs that are new by the level; an instance goes by the highest that it replaces."""
    if level == Level.INSTANCE:
        level = next((one for one in Level if one.identifier in texts), level)
    return {one.identifier for one in _UIDS_FROM_THE_TOP if one >= level} | {SOP_INSTANCE_UID}


def _by_keyword(texts: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    return ((keyword_of(tag), text) for tag, text in texts.items())


def _profile(settings: Profile, edits: Edits) -> Profile:
    """A profile with the rules of a request."""
    is_kept = settings.base == "none"  # everything stays anyway
    profile = replace(
        settings,
        keep=() if is_kept else tuple(KeepRule(one, MARK) for one in edits.keep),
        remove=tuple(RemoveRule(one, MARK) for one in edits.remove),
        replace=tuple(ReplaceRule(one, value, MARK) for one, value in edits.replace),
        burned_in=dict.fromkeys(KINDS, "keep"),
    )
    for _ in unreachable(rules_of(profile)):
        raise RequestFault(
            Status.BAD_REQUEST,
            "A path leads through a sequence that another path removes, replaces or keeps",
        )
    return profile

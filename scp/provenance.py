"""What was done to a study: by which rules, for whom, how often, and where it went.

Everything here is of results: new UIDs, digests, counts, names of the configuration, and the
calling AE titles of senders. No original value is known to it.

`as_json` gives, for machines:

    {"anonode": "the release that reports",
     "studies": [{
        "study_instance_uid": "2.25...",
        "instances": 120,
        "first_received": "2026-01-02T03:04:05Z", "last_received": ...,
        "treatments": [{
            "profile": "trial", "calling_ae": "CT1", "instances": 120,
            "first_received": ..., "last_received": ...,
            "rule_set": "the SHA-256 of profile, edition and release",
            "base": "basic", "edition": "2026d", "options": ["retain-uids"], "release": "0.3.0",
            "actions": {"D": 240, "X": 1200, ...}}],
        "deliveries": [{"destination": "archive", "state": "delivered", "instances": 120}]}]}

`actions` are the elements touched, summed over the instances, by the codes of PS3.15 Table
E.1-1a; empty, as `rule_set` is, for instances that came before they were noted. What a digest
stands for is null where the node that made it never said so. Instances that were refused are
not part of a study: the log has them.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from scp import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scp.instance import RuleSet, StudyDelivery, StudyShare
    from scp.journal import Journal

ACTIONS = {
    "X": "removed",
    "Z": "emptied",
    "D": "given another value",
    "U": "given another UID",
    "C": "cleaned",
    "K": "kept or marked",
}
"""Action codes of PS3.15 Table E.1-1a in words."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """Instances of one study that one sender had treated by one set of rules.

    Attributes:
        profile: Its name.
        digest: Of the plan; empty for what came before it was noted.
        rule_set: What the digest stands for; None if that was never noted.
        calling_ae: AE title of the sender.
        instances: How many.
        actions: Elements touched in all of them together, by action code.
        first_at: When the first was received, in seconds since 1970, UTC.
        last_at: Likewise the last.
    """

    profile: str
    digest: str
    rule_set: RuleSet | None
    calling_ae: str
    instances: int
    actions: Mapping[str, int]
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class StudyProvenance:
    """One study of the results."""

    study_instance_uid: str
    treatments: tuple[Treatment, ...]
    deliveries: tuple[StudyDelivery, ...]

    @property
    def instances(self) -> int:
        """How many were stored; one that was swept after its delivery counts."""
        return sum(one.instances for one in self.treatments)

    @property
    def first_at(self) -> float:
        """When the first instance was received, in seconds since 1970, UTC."""
        return min(one.first_at for one in self.treatments)

    @property
    def last_at(self) -> float:
        """Likewise the last."""
        return max(one.last_at for one in self.treatments)


def provenance(
    journal: Journal, study_instance_uid: str | None = None
) -> tuple[StudyProvenance, ...]:
    """What the journal knows of every study, or of one; the oldest first.

    Args:
        journal: Of the node, running or not.
        study_instance_uid: Of the result, not the original.
    """
    studies: dict[str, list[StudyShare]] = {}
    for share in journal.studies(study_instance_uid):
        studies.setdefault(share.study_instance_uid, []).append(share)
    deliveries: dict[str, list[StudyDelivery]] = {}
    for delivery in journal.study_deliveries(study_instance_uid):
        deliveries.setdefault(delivery.study_instance_uid, []).append(delivery)
    rule_sets = journal.rule_sets()
    return tuple(
        StudyProvenance(uid, tuple(_treatments(shares, rule_sets)), tuple(deliveries.get(uid, ())))
        for uid, shares in studies.items()
    )


def as_json(studies: Sequence[StudyProvenance]) -> dict[str, Any]:
    """The document above."""
    return {"anonode": __version__, "studies": [_study(study) for study in studies]}


def _treatments(
    shares: Sequence[StudyShare], rule_sets: Mapping[str, RuleSet]
) -> Iterable[Treatment]:
    """Shares that differ in nothing but what was counted in each instance, together."""
    for key, group in groupby(sorted(shares, key=_key), _key):
        together = list(group)
        profile, digest, calling_ae = key
        yield Treatment(
            profile=profile,
            digest=digest,
            rule_set=rule_sets.get(digest),
            calling_ae=calling_ae,
            instances=sum(share.instances for share in together),
            actions=_summed(together),
            first_at=min(share.first_at for share in together),
            last_at=max(share.last_at for share in together),
        )


def _key(share: StudyShare) -> tuple[str, str, str]:
    return share.profile, share.rule_set, share.calling_ae


def _summed(shares: Iterable[StudyShare]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for share in shares:
        for code, count in share.actions.items():
            total[code] += count * share.instances
    return dict(sorted(total.items()))


def _study(study: StudyProvenance) -> dict[str, Any]:
    return {
        "study_instance_uid": study.study_instance_uid,
        "instances": study.instances,
        **_received(study),
        "treatments": [_treatment(one) for one in study.treatments],
        "deliveries": [
            {"destination": one.destination, "state": one.state.value, "instances": one.instances}
            for one in study.deliveries
        ],
    }


def _treatment(treatment: Treatment) -> dict[str, Any]:
    stands_for = treatment.rule_set
    return {
        "profile": treatment.profile,
        "calling_ae": treatment.calling_ae,
        "instances": treatment.instances,
        **_received(treatment),
        "rule_set": treatment.digest,
        "base": stands_for and stands_for.base,
        "edition": stands_for and stands_for.edition,
        "options": stands_for and list(stands_for.options),
        "release": stands_for and stands_for.release,
        "actions": dict(treatment.actions),
    }


def _received(of: StudyProvenance | Treatment) -> dict[str, str]:
    return {"first_received": _moment(of.first_at), "last_received": _moment(of.last_at)}


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

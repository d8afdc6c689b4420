"""What a job does to each instance, in words: each process compiles the same plan from them.

A plan holds functions and does not travel; the request, the scope and the settled names do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from rules import requests
from scp.archive.identifiers import Level
from scp.archive.job import JobKind, JobRequest
from scp.archive.modifier import Treatment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.requests import Modification


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the instances of one job are made; of a modification or a split.

    Attributes:
        request: The job's.
        scope: Of keyed functions.
        names: UIDs whose new names are settled.
        new_study_uid: Of the study that a split makes.
    """

    request: JobRequest
    scope: str
    names: Mapping[str, str] = field(repr=False)
    new_study_uid: str = ""

    def treatment(self) -> Treatment:
        """What is done to each instance; the same in every process.

        Raises:
            RequestFault: the request cannot be understood.
        """
        renaming = requests.Renaming(self.names)
        remote_ip = self.request.origin.get("RemoteIP", "")
        if self.request.kind is JobKind.SPLIT:
            split = requests.read_split(self.request.body)
            plan = requests.split_plan(
                split, scope=self.scope, renaming=renaming, new_study_uid=self.new_study_uid
            )
            return Treatment(plan, remote_ip=remote_ip)
        modification = modification_of(self.request)
        return Treatment(
            requests.plan_of(
                modification,
                scope=self.scope,
                renaming=renaming,
                patient_name=self.request.patient_name,
            ),
            target=modification.transcode,
            lossy_quality=modification.lossy_quality,
            profile="(anonymized)" if self.request.is_anonymization else "(modified)",
            remote_ip=remote_ip,
        )

    @property
    def is_of_bytes(self) -> bool:
        """Whether pixels stay as they are."""
        is_split = self.request.kind is JobKind.SPLIT
        return is_split or modification_of(self.request).transcode is None

    def to_json(self) -> str:
        """The words."""
        request = replace(self.request, ids=(), user_data=None)  # of no concern to a plan
        said = [request.to_json(), self.scope, dict(self.names), self.new_study_uid]
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` was of."""
        said: list[Any] = json.loads(text)
        return cls(JobRequest.from_json(said[0]), *said[1:])


def modification_of(request: JobRequest) -> Modification:
    """What the body of a request to anonymize or to modify asks for.

    Raises:
        RequestFault: it cannot be understood.
    """
    of_instance = request.level is Level.INSTANCE and not request.is_bulk
    unknown = requests.Status.OUT_OF_RANGE if of_instance else requests.Status.BAD_FILE
    if request.is_anonymization:
        return requests.read_anonymize(request.body, transcode_status=unknown)
    level = requests.Level.INSTANCE if request.level is None else requests.Level(request.level)
    return requests.read_modify(request.body, level, transcode_status=unknown)

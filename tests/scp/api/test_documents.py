"""What OpenAPI says of bodies is what the readers of bodies take."""

from __future__ import annotations

from rules import requests
from scp.api.documents import ANONYMIZE, JOB, MERGE, MODIFY, SPLIT, body_of


def test_every_example_can_be_asked_for():
    """A page that shows what is refused is worse than none."""
    sample = {"Replace": ANONYMIZE["Replace"]["example"], "Remove": ANONYMIZE["Remove"]["example"]}

    assert requests.read_anonymize(sample | {"Force": True})
    assert requests.read_modify(sample | {"Force": True}, requests.Level.PATIENT)


def test_the_editions_that_are_named_are_known():
    """Each of them."""
    for edition in ANONYMIZE["DicomVersion"]["enum"]:
        assert requests.read_anonymize({"DicomVersion": edition})


def test_a_body_has_the_fields_of_all_its_parts():
    """Those of the request and those of its job."""
    schema = body_of(MODIFY, JOB)["requestBody"]["content"]["application/json"]["schema"]

    assert {"Replace", "RemovePrivateTags", "KeepSource", "Synchronous"} <= schema[
        "properties"
    ].keys()
    assert {"Series", "Instances"} <= SPLIT.keys()
    assert "Resources" in MERGE

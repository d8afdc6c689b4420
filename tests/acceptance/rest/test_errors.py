"""What cannot be done, and how it is said: Orthanc's statuses and bodies, row by row.

Where a row says `better`, docs/quirks.md says why Orthanc answers differently.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.acceptance.rest.asking import PAGE, packaged_file, packaged_files

pytestmark = pytest.mark.slow

NOWHERE = "00000000-00000000-00000000-00000000-00000000"
JOB = "00000000-0000-0000-0000-000000000000"
MESSAGES = {
    2: "Not implemented yet",
    3: "Parameter out of range",
    5: "Bad type for a parameter",
    7: "Accessing an inexistent item",
    8: "Bad request",
    15: "Bad file format",
    17: "Unknown resource",
    27: "Unknown DICOM tag",
    46: "Duplicate resource",
    2020: "Trying to override a value inherited from a parent module",
}
KEYS = {
    *("HttpError", "HttpStatus", "Message", "Method"),
    *("OrthancError", "OrthancStatus", "Uri"),
}


@dataclass(frozen=True)
class Row:
    """A request that is refused.

    Attributes:
        path: Where it goes; `{study}` and the like are filled in.
        body: What it sends; `{study}` and the like are filled in.
        orthanc: Orthanc's number of the error.
        http: HTTP's.
        details: What Details contains; empty where nothing is promised.
        better: Whether Orthanc answers otherwise, on purpose.
    """

    path: str
    body: str
    orthanc: int
    http: int = 400
    details: str = ""
    better: bool = False

    def __str__(self) -> str:
        return f"{self.path} {self.body}"[:90]


S = "/studies/{study}"
MODIFY, ANONYMIZE, STUDY = (
    "/instances/{instance}/modify",
    "/instances/{instance}/anonymize",
    f"{S}/modify",
)
MPEG_2 = "1.2.840.10008.1.2.4.100"

ROWS = (
    # ---- 15: Bad file format
    Row(ANONYMIZE, "", 15),
    Row(ANONYMIZE, "no JSON", 15),
    Row(ANONYMIZE, "[]", 15),
    Row(MODIFY, '"text"', 15),
    Row(STUDY, "", 15),
    Row("/tools/bulk-modify", "[]", 15),
    Row(f"{S}/merge", "7", 15),
    Row("/instances", "no DICOM", 15),
    Row(MODIFY, '{"Force":1}', 15, details="Force"),
    Row(ANONYMIZE, '{"KeepPrivateTags":"yes"}', 15, details="KeepPrivateTags"),
    Row(STUDY, '{"KeepSource":"no"}', 15, details="KeepSource"),
    Row(STUDY, '{"Synchronous":1}', 15, details="Synchronous"),
    Row(STUDY, '{"Priority":"high"}', 15, details="Priority"),
    Row(ANONYMIZE, '{"DicomVersion":2008}', 15, details="DicomVersion"),
    Row(STUDY, '{"Transcode":"1.2.3"}', 15),
    Row(MODIFY, '{"Replace":{"Rows":"seven"}}', 15, details="Rows"),
    Row(f"{S}/split", '{"Series":["{series}"],"Replace":{"PatientName":7}}', 15),
    Row(f"{S}/merge", "{}", 15, details="List of strings expected in field: Resources"),
    Row(f"{S}/merge", '{"Resources":"{other}"}', 15, details="Resources"),
    Row("/tools/bulk-anonymize", "{}", 15, details="Resources"),
    Row("/tools/bulk-delete", "{}", 15, details="Resources"),
    # ---- 8: Bad request
    Row(MODIFY, '{"Replace":[]}', 8, details="Replace"),
    Row(MODIFY, '{"Remove":"StudyDate"}', 8, details="Remove"),
    Row(MODIFY, '{"Keep":[7]}', 8, details="Keep"),
    Row(
        MODIFY,
        '{"Replace":{"PatientID":"x"}}',
        8,
        details='Marking tag "PatientID" as to be replaced requires the "Force" option to be set '
        "to true",
    ),
    Row(
        ANONYMIZE,
        '{"Keep":["StudyInstanceUID"]}',
        8,
        details='Marking tag "StudyInstanceUID" as to be kept requires the "Force" option',
    ),
    Row(
        MODIFY,
        '{"Remove":["SOPInstanceUID"]}',
        8,
        details='Marking tag "SOPInstanceUID" as to be removed requires the "Force" option',
    ),
    Row(
        MODIFY,
        '{"Remove":["SeriesInstanceUID"],"Force":true}',
        8,
        details="It is forbidden to remove one of the main Dicom identifiers",
    ),
    Row(
        "/patients/{patient}/modify",
        '{"Replace":{"PatientName":"x"}}',
        8,
        details="When modifying a patient, her PatientID is required to be modified",
    ),
    Row(f"{S}/split", "{}", 8, details='Both the "Series" and the "Instances" fields are missing'),
    Row(f"{S}/split", '{"Series":[],"Instances":[]}', 8, details="fields are missing"),
    # ---- 3: Parameter out of range
    Row(
        ANONYMIZE,
        '{"DicomVersion":"nope"}',
        3,
        details="Unknown specific version of the DICOM standard",
    ),
    Row(MODIFY, '{"Remove":["ContentSequence.TextValue"]}', 3, details="contain an index"),
    Row(MODIFY, '{"Remove":["ContentSequence[x].TextValue"]}', 3),
    Row(MODIFY, '{"Remove":["ContentSequence[-1].TextValue"]}', 3),
    Row(MODIFY, '{"Transcode":"1.2.3"}', 3),
    Row("/tools/bulk-modify", '{"Resources":["{study}"],"Level":"Room"}', 3, details="Level"),
    Row(
        f"{S}/split",
        '{"Series":["{series}"],"Replace":{"SeriesDescription":"x"}}',
        3,
        details="Cannot modify the following tag while splitting a study",
    ),
    # ---- 5: Bad type for a parameter
    Row(MODIFY, '{"Replace":{"PatientName":7}}', 5),
    Row(MODIFY, '{"Replace":{"PatientName":true}}', 5),
    Row(MODIFY, '{"Replace":{"PatientName":{}}}', 5),
    Row(MODIFY, '{"Replace":{"PatientName":[]}}', 5),
    # ---- 17: Unknown resource
    *(
        Row(f"/{level}/{NOWHERE}/{verb}", "{}", 17, 404)
        for level in ("instances", "series", "studies", "patients")
        for verb in ("anonymize", "modify")
        if (level, verb) != ("patients", "modify")
    ),
    Row("/tools/bulk-anonymize", f'{{"Resources":["{NOWHERE}"]}}', 17, 404),
    Row(f"/studies/{NOWHERE}/split", '{"Series":["{series}"]}', 17, 404),
    Row(f"/studies/{NOWHERE}/merge", '{"Resources":["{other}"]}', 17, 404),
    Row(f"{S}/split", '{"Series":["{foreign}"]}', 17, 404, "does not belong to the study"),
    Row(f"{S}/split", f'{{"Instances":["{NOWHERE}"]}}', 17, 404),
    Row(f"{S}/merge", f'{{"Resources":["{NOWHERE}"]}}', 17, 404),
    Row(f"{S}/merge", '{"Resources":["{study}"]}', 17, 404, "Cannot merge a study into the same"),
    Row(f"{S}/merge", '{"Resources":["{series}"]}', 17, 404, "into its parent study"),
    Row(f"{S}/merge", '{"Resources":["{patient}"]}', 17, 404, "neither a study, nor a series"),
    # ---- better
    Row(f"{S}/split", "[]", 15, better=True),
    Row(MODIFY, '{"Remove":["StudyDat"]}', 27, details="StudyDate", better=True),
    Row(ANONYMIZE, '{"Keep":[""]}', 27, better=True),
    Row(MODIFY, '{"Replace":{"PatientNam":"x"}}', 27, details="PatientName", better=True),
    Row(MODIFY, '{"Replace":{"StudyDate":"garbage"}}', 15, details="StudyDate", better=True),
    Row(MODIFY, '{"Replace":{"Modality":"lower"}}', 15, details="Modality", better=True),
    Row("/series/{study}/modify", "{}", 17, 404, better=True),
    Row(
        "/studies/{study}/modify",
        '{"Replace":{"PatientID":"x"},"Force":true,'
        '"Keep":["StudyInstanceUID","SeriesInstanceUID","SOPInstanceUID"]}',
        46,
        409,
        better=True,
    ),
    Row(ANONYMIZE, '{"Force":true,"Force":false}', 15, better=True),
    Row(MODIFY, f'{{"Transcode":"{MPEG_2}"}}', 2, better=True),
    Row(STUDY, f'{{"Transcode":"{MPEG_2}"}}', 2, better=True),
)


def filled(server) -> dict[str, str]:
    """Two studies on a server, and the names that rows have for their parts."""
    server.clear()
    files = [packaged_file("CT_small.dcm"), packaged_files("98892003")[0]]
    ct, mr = map(server.upload, files)
    return {
        "{instance}": ct["ID"],
        "{series}": ct["ParentSeries"],
        "{study}": ct["ParentStudy"],
        "{patient}": ct["ParentPatient"],
        "{other}": mr["ParentStudy"],
        "{foreign}": mr["ParentSeries"],
    }


@pytest.fixture(scope="module")
def named(ours):
    """What the names of rows stand for at our node."""
    return filled(ours)


@pytest.fixture(scope="module")
def named_there(theirs):
    """What they stand for at Orthanc."""
    return filled(theirs)


def refused(server, row: Row, named: dict[str, str]):
    """The answer to a row's request."""
    path, body = row.path, row.body
    for name, id_ in named.items():
        path, body = path.replace(name, id_), body.replace(name, id_)
    return path, server.ask("POST", path, body)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_cannot_be_done_is_said_as_orthanc_says_it(ours, named, row):
    """Status, number, sentence and place; nothing is stored."""
    path, answer = refused(ours, row, named)
    said = answer.json

    assert (answer.status, said["OrthancStatus"]) == (row.http, row.orthanc)
    assert said["HttpStatus"] == row.http
    assert said["Message"] == said["OrthancError"] == MESSAGES[row.orthanc]
    assert (said["Method"], said["Uri"]) == ("POST", path)
    assert row.details in said.get("Details", "")
    assert KEYS <= set(said) <= KEYS | {"Details"}
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(ours.get("/instances")) == 2


@pytest.mark.slow
def test_orthanc_gives_the_same_numbers(theirs, named_there):
    """Of every row but those that are better on purpose."""
    different = []

    for row in ROWS:
        said = refused(theirs, row, named_there)[1]
        try:
            found = (said.status, said.json["OrthancStatus"], said.json["Message"])
        except (ValueError, KeyError):
            found = (said.status, 0, "")
        if (found == (row.http, row.orthanc, MESSAGES[row.orthanc])) == row.better:
            different.append(f"{row}: {found}")

    assert not different, "\n".join(different)


@pytest.mark.parametrize(
    "path", ["/nowhere", f"/instances/{NOWHERE}", f"/studies/{NOWHERE}/series", f"/jobs/{JOB}"]
)
def test_what_is_not_there_is_404_without_a_body(ours, path):
    """As Orthanc's router answers."""
    answer = ours.line(f"curl {PAGE}{path}")

    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("verb", ["anonymize", "modify"])
def test_get_of_a_verb_is_405_and_says_what_is_allowed(ours, named, verb):
    """Without a body."""
    answer = ours.ask("GET", f"/instances/{named['{instance}']}/{verb}")

    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("action", ["cancel", "pause", "resume", "resubmit"])
def test_an_unknown_job_is_400_without_a_body(ours, action):
    """As Orthanc answers actions."""
    answer = ours.ask("POST", f"/jobs/{JOB}/{action}", "")

    assert (answer.status, answer.body) == (400, b"")


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_a_finished_job_is_not_changed(ours, action):
    """200 and an empty object, without an effect."""
    body = {"Asynchronous": True, "Resources": []}
    job = ours.post("/tools/bulk-anonymize", body)["ID"]
    ours.finished(job)

    answer = ours.ask("POST", f"/jobs/{job}/{action}", "")

    assert (answer.status, answer.json) == (200, {})
    assert ours.get(f"/jobs/{job}")["State"] == "Success"
    assert ours.ask("POST", f"/jobs/{job}/resubmit", "").status == 400


def test_an_unknown_job_is_not_deleted(ours):
    """404 with a body."""
    answer = ours.ask("DELETE", f"/jobs/{JOB}")

    assert (answer.status, answer.json["OrthancStatus"]) == (404, 7)
    assert answer.json["Details"] == "No job found with this id"


def test_a_merge_of_nothing_is_done(ours, named):
    """200 and no instances."""
    answer = ours.post(f"/studies/{named['{study}']}/merge", {"Resources": []})

    assert answer["InstancesCount"] == 0

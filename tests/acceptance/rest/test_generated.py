"""Requests that nobody thought of, generated from our own OpenAPI document.

ANONODE_GENERATED   how many; 3,000 unless told
ANONODE_GENERATED_S how many seconds at most; 120 unless told
"""

# ruff: noqa: T201 - what is printed are the figures that `pytest -s` shows

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from io import BytesIO

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydicom import dcmread

from tests.acceptance.rest.asking import packaged_file, packaged_files

REQUESTS = int(os.environ.get("ANONODE_GENERATED", "3000"))
LIMIT_S = float(os.environ.get("ANONODE_GENERATED_S", "120"))
LONGEST_S = 10.0


def stored(ours) -> dict[str, list[str]]:
    """Identifiers of every level, of files that are stored anew if a request has deleted them."""
    for path in (packaged_file("CT_small.dcm"), *packaged_files("98892003")[:4]):
        ours.ask("POST", "/instances", path.read_bytes())
    ours.post("/tools/bulk-anonymize", {"Resources": []})
    levels = ("patients", "studies", "series", "instances", "jobs")
    return {level: ours.get(f"/{level}") for level in levels}


def operations(ours):
    """What the document describes, each with its requests as a strategy."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{ours.port}/openapi.json")
    return [result.ok() for result in schema.get_all_operations()]


@pytest.mark.slow
def test_no_generated_request_is_a_mistake_of_ours(ours, node):
    """No 500, no traceback, no answer that takes long."""
    every = operations(ours)
    each = REQUESTS // len(every) + 2
    seen: Counter[int] = Counter()
    broken: list[str] = []
    deadline = time.monotonic() + LIMIT_S

    for operation in every:
        if time.monotonic() < deadline:
            _send(operation, each, stored(ours), seen, broken, deadline)

    print(f"{seen.total()} requests to {len(every)} operations: {dict(seen)}")
    assert not broken, "\n".join(broken)
    assert seen[200] > 0
    assert seen.total() >= min(REQUESTS // 3, 1000)
    assert "Traceback" not in node.output.read_text()
    assert "a request failed" not in node.output.read_text()
    assert ours.get("/system")["Name"] == "Anonode"


def _send(operation, count, there, seen, broken, deadline) -> None:
    level = operation.path.split("/")[1]
    known = st.sampled_from(there.get(level, there["studies"]))
    below = st.lists(st.sampled_from([*there["series"], *there["studies"]]), max_size=3)

    @seed(4)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), id_=known, ids=below, is_known=st.integers(0, 3))
    def send(case, id_, ids, is_known) -> None:
        if time.monotonic() > deadline:
            return
        if is_known and "id_" in (case.path_parameters or {}):
            case.path_parameters["id_"] = id_
        if is_known and isinstance(case.body, dict):
            case.body.update({name: ids for name in ("Resources", "Series") if name in case.body})
        began = time.monotonic()
        response = case.call(timeout=LONGEST_S * 3)
        took_s = time.monotonic() - began
        seen[response.status_code] += 1
        if response.status_code == 500 or took_s > LONGEST_S:
            body = json.dumps(case.body, default=repr)[:200]
            broken.append(
                f"{case.method} {case.formatted_path} {case.query} {body}: "
                f"{response.status_code} after {took_s:.1f} s"
            )

    send()


# ---- bodies that are nearly right: real tags, with values that may fit


TAGS = st.sampled_from(
    [
        *("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyTime", "Modality"),
        *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows"),
        *("SpecificCharacterSet", "PixelData", "PixelSpacing", "ImageType", "InstanceNumber"),
        *("OtherPatientIDsSequence", "ReferencedStudySequence", "ReferencedStudySequence[0]"),
        *("OtherPatientIDsSequence[0].PatientID", "OtherPatientIDsSequence[*].PatientName"),
        *("OtherPatientIDsSequence[9].PatientID", "ReferencedImageSequence[*].StudyDate"),
        *("0009,0010", "0009,1001", "0009,1027", "0029,1001", '(0009,"GEMS_IDEN_01",27)'),
        *("(0009,{GEMS_IDEN_01}27)", "0010-1001", "00101001", "0008,0000", "6000,3000"),
        *("0002,0010", "FFFE,E000", "TransferSyntaxUID", "", "Nonsense", "FrameIncrementPointer"),
        *("LUTData", "EncapsulatedDocument", "OverlayData", "7FE0,0010", "FFFC,FFFC"),
    ]
)
_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=80),
    st.sampled_from(
        [
            *(
                "",
                "20200101",
                "1.2.3",
                "CT",
                "a^b=c^d",
                "1\\2",
                "12.5",
                "7",
                "ISO_IR 192",
                "Müller",
            ),
            *("山田^太郎", "x" * 70_000, "data:application/octet-stream;base64,AAEC"),
            *(
                "data:application/octet-stream;base64,!",
                "data:image/png;base64,AAAA",
                "\0",
                "\x1b$B",
            ),
        ]
    ),
)
VALUES = st.recursive(
    _PLAIN, lambda inner: st.lists(st.dictionaries(TAGS, inner, max_size=3), max_size=3)
)
_LISTS = st.one_of(st.lists(TAGS, max_size=4), VALUES)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "Replace": st.one_of(st.dictionaries(TAGS, VALUES, max_size=4), VALUES),
        "Remove": _LISTS,
        "Keep": _LISTS,
        "Force": st.booleans(),
        "KeepPrivateTags": st.booleans(),
        "RemovePrivateTags": st.booleans(),
        "PrivateCreator": st.text(max_size=70),
        "DicomVersion": st.sampled_from(["2008", "2017c", "2021b", "2023b", "x"]),
        "Transcode": st.sampled_from(
            [
                f"1.2.840.10008.1.2{end}"
                for end in ("", ".1", ".2", ".5", ".4.50", ".4.70", ".4.90")
            ]
        ),
        "LossyQuality": st.integers(-1, 101),
        "KeepSource": st.booleans(),
        "Permissive": st.booleans(),
        "Consistent": st.text(max_size=5),
        "Options": st.lists(st.sampled_from(["retain-uids", "clean-graphics", "x"]), max_size=2),
    },
)
PATHS = (
    *("/instances/{instances}/anonymize", "/instances/{instances}/modify"),
    *("/studies/{studies}/anonymize", "/studies/{studies}/modify", "/series/{series}/modify"),
    *("/patients/{patients}/modify", "/studies/{studies}/split", "/tools/create-dicom"),
)


@pytest.mark.slow
def test_no_body_that_is_nearly_right_is_a_mistake_of_ours(ours, node):
    """Every answer is a result that pydicom reads, or says what is wrong; never 500."""
    seen: Counter[int] = Counter()
    broken: list[str] = []
    deadline = time.monotonic() + LIMIT_S
    there = stored(ours)

    @seed(4)
    @settings(
        max_examples=max(100, REQUESTS // 3),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(path=st.sampled_from(PATHS), body=BODIES, number=st.integers(0, 3))
    def send(path, body, number) -> None:
        nonlocal there
        if time.monotonic() > deadline:
            return
        if body.get("KeepSource") is False or "split" in path:
            there = stored(ours)
            body = {"Series": there["series"][:1], **body}
        if path == "/tools/create-dicom":
            body = {"Tags": body.get("Replace", {}), "Force": body.get("Force", False)}
        filled = path.format(**{level: ids[number % len(ids)] for level, ids in there.items()})
        answer = ours.ask("POST", filled, body)
        seen[answer.status] += 1
        if answer.status not in (200, 400, 404, 409):
            broken.append(f"{filled} {json.dumps(body)[:300]}: {answer}"[:900])
        if answer.status == 200 and filled.startswith("/instances/"):
            str(dcmread(BytesIO(answer.body)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        send()

    print(f"{seen.total()} requests: {dict(seen)}")
    assert not broken, "\n".join(broken[:10])
    assert seen[200] > seen.total() // 20
    assert "Traceback" not in node.output.read_text()

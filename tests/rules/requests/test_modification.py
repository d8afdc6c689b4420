"""What a body of anonymize or modify asks for, before any instance is seen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.requests import (
    Level,
    RequestFault,
    Touched,
    plan_of,
    read_anonymize,
    read_job_options,
    read_merge,
    read_modify,
    read_split,
    renaming_of,
)
from rules.requests.modification import BEYOND_2008
from rules.requests.renaming import NOTHING_RENAMED
from tests import driving
from tests.asked import fault

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
FORCE = {"Force": True}


@pytest.mark.parametrize("replaced", [None, "PatientID", *UIDS])
def test_an_anonymization_renews_every_uid(replaced):
    """Whatever it replaces, but for that."""
    asked = read_anonymize({**FORCE, "Replace": {replaced: "1.2"}} if replaced else {})

    assert asked.renewed == set(UIDS) - {replaced}


@pytest.mark.parametrize(
    ("level", "replaced", "renewed"),
    [
        (Level.INSTANCE, None, UIDS[2:]),
        (Level.INSTANCE, "PatientID", UIDS),
        (Level.INSTANCE, "StudyInstanceUID", UIDS[1:]),
        (Level.INSTANCE, "SeriesInstanceUID", UIDS[2:]),
        (Level.INSTANCE, "SOPInstanceUID", ()),
        (Level.SERIES, None, UIDS[1:]),
        (Level.SERIES, "PatientID", UIDS[1:]),
        (Level.SERIES, "StudyInstanceUID", UIDS[1:]),
        (Level.STUDY, None, UIDS),
        (Level.STUDY, "StudyInstanceUID", UIDS[1:]),
        (Level.PATIENT, "PatientID", UIDS),
    ],
)
def test_a_modification_renews_uids_by_its_level(level, replaced, renewed):
    """An instance goes by the highest identifier that it replaces."""
    body = {**FORCE, "Replace": {replaced: "1.2"}} if replaced else {}

    assert read_modify(body, level).renewed == set(renewed)


def test_what_is_kept_is_not_renewed():
    """Kept by force."""
    asked = read_modify({**FORCE, "Keep": list(UIDS)}, Level.STUDY)

    assert (asked.kept, asked.renewed) == (set(UIDS), frozenset())


def test_a_patient_needs_another_id():
    """Unless by force."""
    told = fault(read_modify, {"Replace": {"PatientName": "x"}}, Level.PATIENT)

    assert (told.status, told.details) == (
        8,
        "When modifying a patient, her PatientID is required to be modified.",
    )
    assert read_modify({**FORCE, "Replace": {"PatientName": "x"}}, Level.PATIENT).replaced == {}


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ({}, True),
        ({"Replace": {"PatientName": "x"}}, False),
        ({"Keep": ["PatientName"]}, False),
        ({"Remove": ["PatientName"]}, False),
        ({"Remove": ["ReferencedPatientSequence[*].PatientName"]}, True),
    ],
)
def test_a_name_is_made_up_unless_the_request_speaks_of_it(body, needs):
    """At the root; a modification never needs one."""
    assert read_anonymize(body).needs_patient_name is needs
    assert not read_modify(body, Level.STUDY).needs_patient_name


def test_replacements_are_known_by_keyword():
    """For who compares them with what is stored."""
    asked = read_modify(
        {**FORCE, "Replace": {"PatientID": "A", "0010,0040": None, "ContentSequence": []}},
        Level.STUDY,
    )

    assert asked.replacements == {"PatientID": "A", "PatientSex": ""}
    assert asked.replaced == {"PatientID": "A"}


@pytest.mark.parametrize("read", [read_anonymize, lambda body: read_modify(body, Level.STUDY)])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 15),
        ({"Force": "yes"}, 15),
        ({"Transcode": "1.2.3"}, 15),
        ({"LossyQuality": 0}, 3),
        ({"Consistent": 1}, 15),
        ({"Remove": ["Nonsense"]}, 27),
        ({"Replace": {"PatientName": 1}}, 5),
        ({"PrivateCreator": 1}, 15),
        ({"Remove": ["ContentSequence[0].ContentSequence"],
          "Replace": {"ContentSequence[0].ContentSequence[0].TextValue": "x"}}, 8),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_fault(read, body, status):
    """With Orthanc's number."""
    assert fault(read, body).status == status


@pytest.mark.parametrize("field", ["KeepPrivateTags", "DicomVersion", "Options"])
def test_fields_of_an_anonymization_have_their_types(field):
    """A modification ignores them."""
    assert fault(read_anonymize, {field: 1}).status in {8, 15}
    assert read_modify({field: 1}, Level.STUDY)


def test_a_renaming_is_settled_by_request_scope_and_key():
    """New, literal, or as it is."""
    body = {**FORCE, "Replace": {"StudyInstanceUID": "1.9"}, "Keep": ["SeriesInstanceUID"]}
    touched, keys = Touched({"1.1"}, {"1.2"}, {"1.3"}), driving.pseudonyms()

    renaming = renaming_of(read_anonymize(body), touched, keys, "s")

    assert [renaming(uid) for uid in ("1.1", "1.2", "1.3", "1.4")] == [
        "1.9",
        "1.2",
        keys.uid("s", "1.3"),
        "1.4",
    ]


def test_a_renaming_touches_only_what_the_level_renews():
    """References to a study that stays stay."""
    touched = Touched({"1.1"}, {"1.2"}, {"1.3"})

    renaming = renaming_of(read_modify({}, Level.INSTANCE), touched, driving.pseudonyms(), "s")

    assert (renaming("1.1"), renaming("1.2")) == ("1.1", "1.2")
    assert renaming("1.3") == driving.pseudonyms().uid("s", "1.3")


# ---- laws

SECRET = "Grünewald1965"  # noqa: S105 - a name

texts = st.sampled_from(
    [
        SECRET,
        "",
        "1.2.3",
        "PatientName",
        "basic",
        "2026d",
        "data:application/octet-stream;base64,!",
    ]
)
keys = st.sampled_from(
    [
        "PatientName", "PatientID", "0010,0040", "0009,1001", "0009,0010", "SOPInstanceUID",
        "Rows", "ContentSequence", "ContentSequence[0].TextValue",
        "ContentSequence[*].ContentSequence",
        "SpecificCharacterSet", "PixelData", "(0019,{A}01)", "0002,0010", "FFFA,FFFA", "nonsense",
        "ContentSequence[0].ContentSequence[0].PatientName", "StudyDate", "0010,0000",
        "EncapsulatedDocument", "ContentSequence[0].0009,1001",
    ]
)  # fmt: skip
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "Replace": st.dictionaries(keys, plain, max_size=4) | plain,
        "Remove": st.lists(keys, max_size=4) | plain,
        "Keep": st.lists(keys, max_size=4) | plain,
        "Force": st.booleans() | plain,
        "PrivateCreator": st.sampled_from(["OWNER", "é"]) | plain,
        "KeepPrivateTags": st.booleans() | plain,
        "RemovePrivateTags": st.booleans() | plain,
        "DicomVersion": texts | plain,
        "Options": st.lists(st.sampled_from(["retain-uids", SECRET]), max_size=2) | plain,
        "Consistent": texts | plain,
        "Transcode": texts | plain,
        "LossyQuality": plain,
        "Series": st.lists(texts, max_size=2) | plain,
        "Resources": st.lists(texts, max_size=2) | plain,
        "Priority": plain,
        "Synchronous": plain,
    },
)
READERS = (
    read_anonymize,
    read_split,
    read_merge,
    lambda body: read_job_options(body, keep_source_default=True),
    *(lambda body, level=level: read_modify(body, level) for level in Level),
)


@given(body=fields | plain, read=st.sampled_from(READERS))
def test_any_body_is_read_or_a_fault_that_quotes_no_value(body, read):
    """Never another exception, whatever JSON brings."""
    try:
        read(body)
    except RequestFault as fault_:
        told = str(fault_)
    else:
        return

    assert told
    assert SECRET not in told
    assert json.dumps(SECRET) not in told


@given(fields.map(lambda body: {**body, "Force": True}))
def test_whatever_is_read_has_a_plan(body):
    """What a plan cannot do is told when the body is read, not when the job runs."""
    for read in (read_anonymize, lambda one: read_modify(one, Level.SERIES)):
        try:
            asked = read(body)
        except RequestFault:
            continue
        assert plan_of(asked, scope="s", renaming=NOTHING_RENAMED, patient_name="x").digest


@pytest.mark.parametrize("keep", [[], ["PatientAddress"]])
def test_edition_2008_removes_what_orthanc_removes(keep):
    """Four attributes beyond the table, unless the request names them."""
    asked = read_anonymize({"DicomVersion": "2008", "Keep": keep})

    removed = {rule.selector.target.value for rule in asked.profile.remove}
    assert removed == {*BEYOND_2008} - ({0x00101040} if keep else set())


def test_requests_that_agree_make_up_no_name():
    """A name for each job would tell the studies of one patient apart."""
    assert read_anonymize({}).needs_patient_name
    assert not read_anonymize({"Consistent": "trial"}).needs_patient_name

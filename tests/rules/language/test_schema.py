"""Profiles: what the words of the file become."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.conditions import Absent, AnyOf, Equals, Pattern
from rules.errors import DocumentError, Mark
from rules.language.schema import PROFILE_KEYS, parse_profile
from rules.options import OPTIONS
from rules.profile import (
    Items,
    Literal,
    Profile,
    Pseudonym,
)
from rules.selectors import PrivateTag, TagPattern
from rules.tables.confidentiality import EDITIONS
from rules.values import DATA_PREFIX

EXACT = 0xFFFFFFFF
LOOKUP = "A-1,001\nM\u00fcller , 002\n"


def profile(text: str) -> Profile:
    """The profile that a file makes; any lookup file that it names holds LOOKUP."""
    return parse_profile(text, name="research", file="f", read_lookup=lambda _: LOOKUP)


def problems_of(text: str) -> list[str]:
    """What reading it says."""
    with pytest.raises(DocumentError) as refused:
        profile(text)
    return [str(problem) for problem in refused.value.problems]


def test_an_empty_map_is_plain_basic():
    """The safe reading of saying nothing, as long as it is said."""
    empty = profile("{}")

    assert empty == Profile("research", Mark("f", 1, 1))
    assert (empty.base, empty.edition, empty.private) == ("basic", "2026d", "remove")
    assert not empty.passes_identity


@pytest.mark.parametrize("text", ["", "# only a comment", "~"])
def test_nothing_at_all_is_a_mistake(text):
    """A profile that was begun and not written must not be one that runs."""
    assert problems_of(text) == ['f:1:1: "research" says nothing: write {} for plain basic']


def test_a_body_for_orthanc_is_a_profile():
    """Pasted as it is, JSON and all."""
    body = {
        "Replace": {"PatientID": "A-001", "0010-1001": "World"},
        "Keep": ["StudyDescription", "ReferencedStudySequence[*].ReferencedSOPInstanceUID"],
        "Remove": ["InstitutionName"],
        "KeepPrivateTags": True,
        "DicomVersion": "2023b",
        "Force": True,
    }

    read = profile(json.dumps(body, indent=2))

    assert (read.edition, read.private) == ("2023b", "keep")

    assert [rule.selector.text for rule in read.keep] == body["Keep"]
    assert [rule.selector.text for rule in read.remove] == ["InstitutionName"]
    assert [(rule.selector.text, rule.value) for rule in read.replace] == [
        ("PatientID", Literal("A-001")),
        ("OtherPatientNames", Literal("World")),
    ]


def test_rules_know_their_place():
    """`check` says why an action stands: the line of its rule."""
    read = profile("Keep:\n  - StudyDescription\nReplace:\n  PatientName: ANON\n")

    assert read.keep[0].mark == Mark("f", 2, 5)
    assert read.replace[0].mark == Mark("f", 4, 3)


@pytest.mark.parametrize("written", ["NO", "00100010", "2001-02-03", "12:30:00", "1.10", "~x"])
def test_a_bare_literal_is_the_text_that_was_written(written):
    """YAML would make a truth value, numbers and a date of these."""
    assert profile(f"Replace:\n  StudyID: {written}").replace[0].value == Literal(written)


@pytest.mark.parametrize(
    ("line", "tag", "value"),
    [
        ("PatientSex: NO", 0x00100040, Literal("NO")),
        ("00100010: ANON", 0x00100010, Literal("ANON")),
        ("(0010,0040): F", 0x00100040, Literal("F")),
        ("PatientName: Иван", 0x00100010, Literal("Иван")),
        ('InstitutionName: ""', 0x00080080, Literal("")),
        ('ReferencedStudySequence: ""', 0x00081110, Literal("")),
        ("ReferencedStudySequence: []", 0x00081110, Items(())),
        ("ImageType: DERIVED\\PRIMARY", 0x00080008, Literal("DERIVED\\PRIMARY")),
        ("Rows: 512", 0x00280010, Literal("512")),
        ("SmallestImagePixelValue: 40000", 0x00280106, Literal("40000")),
        (f"ICCProfile: {DATA_PREFIX}QUI=", 0x00282000, Literal(f"{DATA_PREFIX}QUI=")),
        ("PatientID: {pseudonym: project a}", 0x00100020, Pseudonym("project a")),
        ("StudyInstanceUID: 1.2.3", 0x0020000D, Literal("1.2.3")),
    ],
)
def test_a_value_replaces_an_attribute(line, tag, value):
    """A plain scalar is always a literal, a map of one key a function, a list items."""
    (rule,) = profile(f"Replace:\n  {line}").replace

    assert rule.selector.target == TagPattern(tag, EXACT)
    assert rule.value == value


def test_a_sequence_is_a_list_of_maps():
    """Attributes of an item stand by ascending tag, however they were written."""
    read = profile(
        "Replace:\n"
        "  RequestAttributesSequence:\n"
        "    - 0040,1001: b\n"
        "      ScheduledProcedureStepID: a\n"
        "      ScheduledProtocolCodeSequence:\n"
        "        - CodeValue: '1'\n"
        "    - {}\n"
    )

    nested = Items((((0x00080100, Literal("1")),),))
    first = ((0x00400008, nested), (0x00400009, Literal("a")), (0x00401001, Literal("b")))
    assert read.replace[0].value == Items((first, ()))


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ('(50xx,xxxx): ""', TagPattern(0x50000000, 0xFF000000)),
        ("(60xx,0022): text", TagPattern(0x60000022, 0xFF00FFFF)),
        ('OverlayRows: "5"', TagPattern(0x60000010, 0xFF00FFFF)),
    ],
)
def test_a_mask_is_replaced_where_it_has_one_vr(line, pattern):
    """The dictionary knows repeating groups; any other mask can only be emptied."""
    assert profile(f"Replace:\n  {line}").replace[0].selector.target == pattern


def test_a_private_attribute_is_kept_or_removed_by_its_creator():
    """Its block number is not part of its name."""
    read = profile("Keep:\n  - (0019,{A}0C)\nRemove:\n  - (0019,{B}0C)\nPrivateTags: keep")

    assert read.keep[0].selector.target == PrivateTag(0x0019, "A", 0x0C)
    assert read.remove[0].selector.target == PrivateTag(0x0019, "B", 0x0C)


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("Base: basic", "remove"),
        ("Base: none", "keep"),
        ("Base: nothing", "remove"),
        ("PrivateTags: keep", "keep"),
        ("KeepPrivateTags: true", "keep"),
        ("{Base: none, KeepPrivateTags: false}", "remove"),
        ("RemovePrivateTags: true\nBase: none", "remove"),
        ("RemovePrivateTags: False", "keep"),
        ("RemovePrivateTags: true\nKeepPrivateTags: false\nPrivateTags: remove", "remove"),
        ("PrivateTags: safe", "safe"),
        ("Options: [retain-safe-private]", "safe"),
        ("{Base: none, PrivateTags: safe}", "safe"),
        ("{Options: [retain-safe-private], PrivateTags: remove}", "remove"),
    ],
)
def test_three_spellings_say_what_happens_to_private_attributes(text, private):
    """Without any, they go where the option or the base says."""
    assert profile(text).private == private


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_edition_of_the_table_can_be_asked_for(edition):
    """As Orthanc names them."""
    assert profile(f"DicomVersion: {edition}").edition == edition


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_the_standard_is_a_word(option):
    """Those that are not offered are told apart."""
    assert profile(f"Options: [{option}]").options == (option,)


def test_options_stand_in_the_order_of_the_standard():
    """So that two profiles that say the same are the same."""
    read = profile("Options: [retain-uids, clean-pixel-data, clean-descriptors]")

    assert read.options == ("clean-pixel-data", "clean-descriptors", "retain-uids")


def test_a_faulty_option_leaves_the_others_checked():
    """Each of several mistakes stands at its own option."""
    found = problems_of(
        "Options: [retain-uid, retain-longitudinal-full-dates, clean-graphics,"
        " retain-longitudinal-modified-dates, clean-graphics]"
    )

    assert [line.split(":")[2] for line in found] == ["11", "71", "107"]


def test_conditions_are_read():
    """Literals, lists, patterns and null."""
    read = profile(
        "Reject:\n"
        '  - {BurnedInAnnotation: "YES"}\n'
        "  - Modality: [SR, PR]\n"
        "    SeriesDescription: /dose report/i\n"
        "  - PatientID: null\n"
    )

    assert [condition.tests for condition in read.reject] == [
        ((0x00280301, Equals("YES")),),
        (
            (0x00080060, AnyOf((Equals("SR"), Equals("PR")))),
            (0x0008103E, Pattern("dose report", ignore_case=True)),
        ),
        ((0x00100020, Absent()),),
    ]
    assert read.reject[1].mark == Mark("f", 3, 5)


@pytest.mark.parametrize("word", ["ignore", "trust"])
def test_an_instance_may_speak_for_its_own_private_attributes(word):
    """If the profile says so."""
    assert profile(f"PrivateCharacteristics: {word}").characteristics == word


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]", "f:1:1: the file is a map"),
        ("Consistent: ", "f:1:12: Consistent is empty; it is a text"),
        ('Consistent: " "', "f:1:13: Consistent is 1 to 64 printable characters"),
        ("PrivateTags: ", "f:1:13: PrivateTags is empty"),
        ("Force: maybe", 'f:1:8: Force is true or false, not "maybe"'),
        ("Force: yes", 'f:1:8: Force is true or false, not "yes": write true'),
        ("Base: {a: b}", "f:1:7: Base is a text"),
        ("Replace: [a]", "f:1:10: Replace is a map"),
        ("Replace: ", "f:1:9: Replace is empty; it is a map"),
        ("Keep: ", "f:1:6: Keep is empty; it is a list"),
        ("Keep:\n  -", "f:2:4: an attribute is missing here"),
        ("Keep:\n  - [PatientSex]", "f:2:5: an attribute is missing here"),
        ("Options: [{a: b}]", "f:1:11: an option is a text"),
        ("Reject: [x]", "f:1:10: a condition is a map"),
        ("Reject: [{Modalit: x}]", "f:1:11: Modalit is no attribute; did you mean Modality?"),
        ("Reject: [{PixelData: x}]", "f:1:11: a condition on an attribute of VR OB or OW"),
        (
            "Reject: [{RequestAttributesSequence: }]",
            "f:1:11: a condition on an attribute of VR SQ",
        ),
        ("Reject: [{Modality: {a: b}}]", "f:1:21: a condition asks for a text"),
        ("Reject: [{(60xx: x}]", "f:1:11: (60xx is half a tag"),
        ("Replace:\n  (0010,xxxx): x", 'f:2:3: (0010,xxxx) is of no one VR: only "" can'),
        ("Replace:\n  (0020,xxxx): ''", "f:2:3: StudyInstanceUID cannot be empty"),
        ("Replace:\n  0008,0002: x", "f:2:3: (0008,0002) is not in the dictionary"),
        ("Replace:\n  StudyInstanceUID: ''", "f:2:3: StudyInstanceUID cannot be empty"),
        ("Replace:\n  SOPInstanceUID: ''", "f:2:3: SOPInstanceUID cannot be the same"),
        ("Replace:\n  (7FE0,xxxx): ''", "f:2:3: to replace pixel data"),
        ("Replace:\n  PatientID: {}", "f:2:14: PatientID takes a text or one function"),
        ("Replace:\n  ContentSequence: {pseudonym: a}", "f:2:20: ContentSequence is of VR SQ"),
        ("Replace:\n  ContentSequence: [a]", "f:2:21: an item of a sequence is a map"),
        ("Replace:\n  ContentSequence: [{Foo: b}]", "f:2:22: Foo is no attribute"),
        ("Replace:\n  ContentSequence: [{(60xx: b}]", 'f:2:22: "(60xx" is half a tag'),
        ("Replace:\n  ContentSequence: [{TextValue: {pseudonym: a}}]", "f:2:33: functions need"),
        ("Replace:\n  ContentSequence: [{TextValue: [{}]}]", "f:2:33: TextValue is of VR UT"),
        ("Replace:\n  PatientID: {hash: [1]}", "f:2:14: PatientID takes {hash: n}"),
        ("Replace:\n  PatientID: {hash: 0}", "f:2:14: PatientID takes {hash: n}"),
        ("Replace:\n  PatientID: {with: a}", 'f:2:14: PatientID knows no function "with"'),
        ("Replace:\n  PatientID: {shft: a}", 'f:2:14: PatientID knows no function "shft"; did'),
        ("Replace:\n  Rows: {regex: '1', with: '2'}", "f:2:9: Rows is of VR US, which cannot"),
        ("Replace:\n  (50xx,xxxx): {hash: 5}", "f:2:3: (50xx,xxxx) is of no one VR"),
        ("Replace:\n  (0019,{A}01): {hash: 5}", "f:2:3: to replace a private attribute"),
        (
            "Replace:\n  StudyID: {regex: a, with: abcdefghijklmnopq}",
            "f:2:12: StudyID cannot hold",
        ),
        ("Replace:\n  StudyDate: {regex: a, with: \u00e9}", "f:2:14: StudyDate is of VR DA: with"),
        ("Replace:\n  StudyID: {lookup: [a]}", "f:2:12: StudyID takes {lookup: FILE.csv}"),
        ("ShiftDays: ", "f:1:11: ShiftDays is two whole numbers"),
        ("ShiftDays: [1, {a: b}]", "f:1:12: ShiftDays is two whole numbers"),
        ("ShiftSeconds: [1.5, 2]", "f:1:15: ShiftSeconds is two whole numbers"),
        ("BurnedIn: ", "f:1:10: BurnedIn is refuse or keep"),
        ("BurnedIn: {Ultrasound: [keep]}", "f:1:24: Ultrasound is refuse or keep"),
        ("Options: [clean-graphics]\nDescriptors: [a]", "f:2:14: Descriptors is a map"),
        ("Options: [clean-graphics]\nDescriptors: {Deny: [[a]]}", "f:2:22: a word is missing"),
        ("Pixels: [a]", "f:1:10: an item of Pixels is a map"),
        ("Replace:\n  ContentSequence: [{'0008,0002': b}]", "f:2:22: (0008,0002) is not in"),
        ("Replace:\n  ContentSequence: [{'50xx,0010': b}]", "f:2:22: here stands one attribute"),
        ("Replace:\n  ContentSequence: [{SpecificCharacterSet: ''}]", "f:2:22: SpecificChar"),
        ("Remove: [SpecificCharacterSet]", "f:1:10: SpecificCharacterSet stays as it is"),
        ("Remove: ['(xxxx,0020)']", "f:1:10: (xxxx,0020) covers PatientID"),
    ],
)
def test_what_cannot_be_is_told_where_it_stands(text, said):
    """One line for one mistake, at the value or at the key, whichever is wrong."""
    found = problems_of(text)

    assert len(found) == 1
    assert found[0].startswith(said)


@pytest.mark.parametrize("tag", ["PatientID", "SOPInstanceUID", "SpecificCharacterSet"])
def test_below_a_sequence_an_identifier_is_one_of_many(tag):
    """Only that of the instance itself must stay; but texts are encoded at every depth."""
    text = f"Remove:\n  - ContentSequence[*].{tag}"
    if tag == "SpecificCharacterSet":
        assert "stays as it is" in problems_of(text)[0]
    else:
        assert profile(text).remove[0].selector.text == f"ContentSequence[*].{tag}"


def test_a_faulty_key_does_not_hide_the_others():
    """All problems of a profile are found in one pass."""
    found = problems_of("Base: [x]\nKeeep: [a]\nKeep:\n  - Foo1\nReplace:\n  Bar1: x\nForce: 1\n")

    assert [line.split(":")[1] for line in found] == ["1", "2", "4", "6", "7"]


def test_an_alias_shares_a_list_between_keys_and_is_checked_in_both():
    """A list that two keys share names everything twice."""
    found = problems_of("Keep: &both [PatientSex]\nRemove: *both\n")

    assert len(found) == 1
    assert re.search("PatientSex stands in (Keep|Remove) on line 1 already", found[0])


NAMES = st.sampled_from(
    [
        *("PatientName", "0010,0020", "(0019,{A}01)", "50xx,xxxx", "ContentSequence[*].TextValue"),
        *("(0008", "0050)", "PixelData", "Rows", "ContentSequence", "pseudonym", "/a/", "", "x"),
        *(
            "hash",
            "lookup",
            "missing",
            "regex",
            "with",
            "patient",
            "keyed",
            "12",
            "-1",
            "StudyDate",
        ),
        *(
            "When",
            "Blank",
            "Test",
            "Matches",
            "Passes",
            "KeepOnly",
            "0,0 5x5",
            "clean-descriptors",
        ),
        *("Allow", "Deny", "Ultrasound", "keep", "safe", "none", "retain-uids", "2008"),
    ]
)
VALUES = st.recursive(
    st.none() | NAMES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(PROFILE_KEYS) | NAMES, VALUES, max_size=5) | VALUES)
def test_any_body_is_a_profile_or_a_document_error(body):
    """Whatever is posted or typed, nothing ends in a traceback."""
    try:
        outcome = profile(json.dumps(body)).name
    except DocumentError as refused:
        outcome = refused.problems

    assert outcome

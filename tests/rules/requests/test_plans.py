"""Requests through the engine: what becomes of an instance, tag by tag."""

from __future__ import annotations

import struct

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.errors import DeidentificationError
from rules.requests import (
    Level,
    Renaming,
    RequestFault,
    Touched,
    merge_plan,
    module_elements,
    read_anonymize,
    read_modify,
    read_split,
    renaming_of_move,
    split_plan,
)
from tests import driving, encoded, instances
from tests.asked import (
    INSTANCE,
    SCOPE,
    SERIES,
    STUDY,
    anonymized,
    done,
    modified,
    new,
)
from tests.encoded import BIG_ENDIAN, EXPLICIT, IMPLICIT, El
from tests.instances import SYNTAXES, code, small_ct, text

FORCE = {"Force": True}


def reference(uid, tag=0x00081155):
    """An item that refers to something."""
    return [text(0x00081150, "UI", instances.CT_IMAGE), text(tag, "UI", uid)]


def patient(name="Inner^Name", number="PAT-4711", *more):
    """An item that tells whose it is."""
    return [*more, text(0x00100010, "PN", name), text(0x00100020, "LO", number)]


# ---- anonymize


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_anonymization_is_the_basic_profile_with_a_made_up_name(syntax):
    """In every transfer syntax."""
    result = anonymized({}, syntax=syntax)

    assert str(result.PatientName) == "Anonymized1"
    assert result.PatientID == driving.pseudonyms().identifier(SCOPE, "PAT-4711")
    assert result.SOPInstanceUID == new(INSTANCE)
    assert result.SeriesInstanceUID == new(SERIES)
    assert result.StudyInstanceUID == new(STUDY)
    assert result.PatientIdentityRemoved == "YES"
    assert result.DeidentificationMethod == "Anonode: anonymize, basic 2026d"
    assert "StudyDescription" not in result
    assert (0x0009, 0x1001) not in result


def test_burned_in_pixels_are_for_those_who_have_stored_them():
    """What ingest let in is not refused here."""
    capture = [text(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7"), text(0x00280301, "CS", "YES")]

    assert anonymized({}, small_ct(capture)).PatientIdentityRemoved == "YES"


def test_the_example_of_the_book_holds():
    """Replace, Keep, KeepPrivateTags and DicomVersion at once."""
    result = anonymized(
        {
            "Replace": {"PatientName": "Hello", "0010-1001": "World"},
            "Keep": ["StudyDescription", "SeriesDescription"],
            "KeepPrivateTags": True,
            "DicomVersion": "2017c",
        }
    )

    assert (str(result.PatientName), str(result.OtherPatientNames)) == ("Hello", "World")
    assert result.StudyDescription == "Abdomen of Mrs Doe"
    assert result[0x0009, 0x0010].value == "MAKER HEADER"
    assert result[0x0009, 0x1001].value == "secret of the maker"
    assert result.DeidentificationMethod == "Anonode: anonymize, basic 2017c"


def test_nested_names_and_identifiers_follow():
    """The literal of the root, and no made-up name: neither is anybody's."""
    nested = El(0x00081032, "SQ", [patient()])

    named = anonymized(
        {**FORCE, "Replace": {"PatientID": "X1", "PatientName": "Y"}}, small_ct([nested])
    )
    plain = anonymized({}, small_ct([nested]))

    assert named.ProcedureCodeSequence[0].PatientID == "X1"
    assert str(named.ProcedureCodeSequence[0].PatientName) == "Y"
    assert plain.ProcedureCodeSequence[0].PatientID == plain.PatientID
    assert "Inner" not in str(plain)


def test_a_literal_stays_out_of_items_that_say_nothing_of_anyone():
    """A code value in an item is not the attribute that the request means."""
    nested = El(0x00081032, "SQ", [code("C1", "99X", "kept")])

    result = anonymized({"Replace": {"CodeMeaning": "mine", "Modality": "MR"}}, small_ct([nested]))

    assert (result.CodeMeaning, result.Modality) == ("mine", "MR")
    assert result.ProcedureCodeSequence[0].CodeMeaning == "kept"


def test_a_kept_sequence_is_kept_whole():
    """With the names, UIDs and private elements in it, byte for byte."""
    item = [*reference("1.2.3"), text(0x00091001, "LO", "orphan"), *patient()]
    sequence = El(0x00081140, "SQ", [item], True, True)  # noqa: FBT003
    output = done(read_anonymize({"Keep": ["ReferencedImageSequence"]}), small_ct([sequence]))

    assert encoded.encode([sequence], encoded.Form(implicit=False)) in output.dataset


def test_what_is_removed_is_removed_at_every_depth():
    """As in Orthanc."""
    nested = El(0x00081032, "SQ", [code("C1", "99X", "kept")])

    result = anonymized({"Remove": ["CodeMeaning"]}, small_ct([nested]))

    assert "CodeMeaning" not in result.ProcedureCodeSequence[0]


def test_an_identifier_that_is_replaced_takes_its_references_along():
    """References to what is not touched are keyed as ever."""
    refers = El(0x00081115, "SQ", [[*reference("1.2.3"), text(0x0020000D, "UI", STUDY)]])

    result = anonymized({**FORCE, "Replace": {"StudyInstanceUID": "1.9"}}, small_ct([refers]))

    item = result.ReferencedSeriesSequence[0]
    assert (result.StudyInstanceUID, item.StudyInstanceUID) == ("1.9", "1.9")
    assert item.ReferencedSOPInstanceUID == new("1.2.3")


def test_references_to_a_kept_instance_are_kept():
    """By whatever attribute; other instances have new names."""
    refers = El(0x00081140, "SQ", [reference(INSTANCE), reference("1.2.3")])

    result = anonymized({**FORCE, "Keep": ["SOPInstanceUID"]}, small_ct([refers]))

    uids = [item.ReferencedSOPInstanceUID for item in result.ReferencedImageSequence]
    assert (result.SOPInstanceUID, uids) == (INSTANCE, [INSTANCE, new("1.2.3")])
    assert "DeidentificationMethodCodeSequence" not in result


def test_overlays_and_curves_go():
    """At the root too, where Orthanc leaves them."""
    drawn = [El(0x60003000, "OW", bytes(8)), text(0x50003000, "LO", "curve")]

    result = anonymized({}, small_ct(drawn))

    assert not [element for element in result if element.tag.group >> 8 in {0x50, 0x60}]


def test_a_private_tag_that_is_kept_keeps_its_creator():
    """And nothing else of its block."""
    more = text(0x00091002, "LO", "another secret")

    result = anonymized({"Keep": ["0009,1001"]}, small_ct([more]))

    assert result[0x0009, 0x0010].value == "MAKER HEADER"
    assert result[0x0009, 0x1001].value == "secret of the maker"
    assert (0x0009, 0x1002) not in result


def test_options_of_the_standard_apply():
    """Words of PS3.15 E.3."""
    result = anonymized({"Options": ["retain-device-identity", "retain-uids"]})

    assert result.DeviceSerialNumber == "SERIAL-9"
    assert result.SOPInstanceUID == INSTANCE
    codes = {item.CodeValue for item in result.DeidentificationMethodCodeSequence}
    assert codes == {"113100", "113109", "113110"}


def test_a_dummy_is_valid_where_a_value_is_needed():
    """Orthanc empties it."""
    result = anonymized({}, small_ct([text(0x0040A730, "LO", "")]))

    assert result.PatientID
    assert result.FrameOfReferenceUID == new(f"{instances.ROOT}.1.9")


def test_a_path_keeps_no_sequence_that_the_profile_removes():
    """What is not there any more cannot be edited."""
    nested = El(0x00101002, "SQ", [patient()])

    result = anonymized(
        {"Replace": {"OtherPatientIDsSequence[*].PatientName": "x"}}, small_ct([nested])
    )

    assert "OtherPatientIDsSequence" not in result


def test_a_path_wins_over_everything():
    """It is applied last: in its item only, and inserted where it is absent."""
    nested = El(0x00081032, "SQ", [code("C1", "99X", "one"), code("C2", "99X", "two")])
    path = "ProcedureCodeSequence[1]"

    result = anonymized(
        {
            "Replace": {f"{path}.CodeMeaning": "mine", f"{path}.PatientName": "Z"},
            "Remove": ["CodeMeaning", "ProcedureCodeSequence[*].CodeValue"],
        },
        small_ct([nested]),
    )

    first, second = result.ProcedureCodeSequence
    assert ("CodeMeaning" in first, second.CodeMeaning) == (False, "mine")
    assert (str(second.PatientName), "PatientName" in first) == ("Z", False)
    assert not [item for item in (first, second) if "CodeValue" in item]


# ---- modify


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_modification_leaves_everything_else_byte_for_byte(syntax):
    """Only the UID of the instance is another one."""
    elements = instances.with_every_length_form()
    form = encoded.Form.of(syntax)

    output = done(read_modify({}, Level.INSTANCE), elements, syntax)

    before = encoded.read(encoded.encode(elements, form), form)
    after = encoded.read(output.dataset, form)
    differing = [one.tag for one, two in zip(before, after, strict=True) if one.raw != two.raw]
    assert differing == [0x00080018]


def test_a_modified_instance_is_not_marked():
    """It is no de-identification."""
    result = modified({"Replace": {"PatientName": "x"}})

    assert "PatientIdentityRemoved" not in result
    assert "DeidentificationMethod" not in result


@pytest.mark.parametrize(
    ("level", "renewed"), [(Level.INSTANCE, 1), (Level.SERIES, 2), (Level.STUDY, 3)]
)
def test_uids_are_new_by_the_level(level, renewed):
    """From the instance upwards."""
    result = modified({}, level=level)

    found = [result.SOPInstanceUID, result.SeriesInstanceUID, result.StudyInstanceUID]
    old = [INSTANCE, SERIES, STUDY]
    assert found == [new(uid) for uid in old[:renewed]] + old[renewed:]
    assert result.FrameOfReferenceUID == f"{instances.ROOT}.1.9"
    assert result.PatientID == "PAT-4711"


def test_references_among_touched_instances_follow():
    """At any depth, in any attribute, among several values, private ones too; others stay."""
    evidence = El(0x0040A375, "SQ", [[El(0x00081115, "SQ", [[*reference(INSTANCE)]])]], True)  # noqa: FBT003
    elements = small_ct(
        [
            El(0x00081140, "SQ", [reference(INSTANCE), reference("1.2.3")]),
            text(0x00083010, "UI", rf"1.2.3\{INSTANCE}\1.5"),
            text(0x00091003, "UI", SERIES),
            evidence,
        ]
    )

    result = modified({}, elements, Level.SERIES)

    uids = [item.ReferencedSOPInstanceUID for item in result.ReferencedImageSequence]
    assert uids == [new(INSTANCE), "1.2.3"]
    assert list(result.IrradiationEventUID) == ["1.2.3", new(INSTANCE), "1.5"]
    assert result[0x0009, 0x1003].value == new(SERIES)
    inner = result.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert inner.ReferencedSOPInstanceUID == new(INSTANCE)


def test_a_frame_of_reference_is_no_reference():
    """Others share it, even if it is named like the study that is modified."""
    result = modified({}, small_ct([text(0x00200052, "UI", STUDY)]), Level.STUDY)

    assert result.StudyInstanceUID == new(STUDY)
    assert result.FrameOfReferenceUID == STUDY


def test_a_kind_is_no_reference():
    """Even if a resource were named like one."""
    touched = Touched(instances={INSTANCE, instances.CT_IMAGE})

    result = modified({}, touched=touched)

    assert result.SOPClassUID == instances.CT_IMAGE


def test_edits_without_a_path_are_for_the_root():
    """Items stay as they are."""
    nested = El(0x00081032, "SQ", [patient()])

    result = modified(
        {**FORCE, "Replace": {"PatientName": "New"}, "Remove": ["StudyDate", "CodeMeaning"]},
        small_ct([nested]),
    )

    assert str(result.PatientName) == "New"
    assert "StudyDate" not in result
    assert str(result.ProcedureCodeSequence[0].PatientName) == "Inner^Name"


def test_replaced_then_kept_is_as_it_was():
    """The last mention holds."""
    body = {"Replace": {"StudyDescription": "x"}, "Keep": ["StudyDescription"]}

    assert modified(body).StudyDescription == "Abdomen of Mrs Doe"


def test_a_sequence_is_written_anew():
    """With items in items, and bytes from base64."""
    result = modified(
        {
            "Replace": {
                "ReferencedStudySequence": [
                    {
                        "StudyInstanceUID": "1.2.3",
                        "PurposeOfReferenceCodeSequence": [{"CodeValue": "C"}, []],
                        "PatientName": "data:application/octet-stream;base64,SGVsbG8=",
                    }
                ]
            }
        }
    )

    item = result.ReferencedStudySequence[0]
    assert (item.StudyInstanceUID, str(item.PatientName)) == ("1.2.3", "Hello")
    assert [len(one) for one in item.PurposeOfReferenceCodeSequence] == [1, 0]


def test_null_is_empty_and_what_is_absent_is_inserted():
    """At its place."""
    output = done(
        read_modify({"Replace": {"PatientSex": None, "PatientWeight": "70"}}, Level.INSTANCE)
    )

    assert driving.irregularity(output.dataset, EXPLICIT) == ""
    result = driving.read(output.file)
    assert (result.PatientSex, result.PatientWeight) == ("", 70)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_text_beyond_the_character_set_widens_it(syntax):
    """Orthanc drops the characters."""
    result = modified({"Replace": {"PatientName": "Иван"}}, syntax=syntax)

    assert result.SpecificCharacterSet == "ISO_IR 192"
    assert str(result.PatientName) == "Иван"


def test_a_new_character_set_rewrites_every_text():
    """Not only its name."""
    name = El(0x00100010, "PN", "Müller ".encode("latin-1") + b" ")

    result = modified({"Replace": {"SpecificCharacterSet": "ISO_IR 192"}}, small_ct([name]))

    assert result.SpecificCharacterSet == "ISO_IR 192"
    assert str(result.PatientName) == "Müller"


def test_private_elements_go_at_every_depth():
    """Orthanc leaves those in items."""
    inner = [
        text(0x00080104, "LO", "stays"),
        text(0x00090010, "LO", "M"),
        text(0x00091001, "LO", "x"),
    ]
    nested = El(0x00081032, "SQ", [inner])

    result = modified({"RemovePrivateTags": True}, small_ct([nested]))

    assert (0x0009, 0x1001) not in result
    assert [element.keyword for element in result.ProcedureCodeSequence[0]] == ["CodeMeaning"]


def test_a_private_element_is_replaced_where_its_creator_has_it():
    """In the block that the instance gives it."""
    moved = [text(0x00090011, "LO", "OWNER"), text(0x00091101, "LO", "old")]

    result = modified(
        {"Replace": {"0009,1001": "new"}, "PrivateCreator": "OWNER"}, small_ct(moved)
    )

    assert result[0x0009, 0x1101].value == "new"
    assert result[0x0009, 0x1001].value == "secret of the maker"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_new_private_element_comes_with_its_creator(syntax):
    """In the first block that is free, in the VR that the private dictionary gives."""
    body = {
        "Replace": {"0009,1001": "new", "0019,100C": "1000"},
        "PrivateCreator": "SIEMENS MR HEADER",
    }

    output = done(read_modify(body, Level.INSTANCE), syntax=syntax)

    assert encoded.read(output.dataset, encoded.Form.of(syntax))
    result = driving.read(output.file)
    assert result[0x0009, 0x0011].value == "SIEMENS MR HEADER"
    assert result[0x0009, 0x1101].value in {"new", b"new "}
    assert result[0x0019, 0x0010].value == "SIEMENS MR HEADER"
    assert result[0x0019, 0x100C].value == 1000


def test_a_new_private_element_takes_the_block_of_what_goes():
    """Its number is then the one of the request."""
    body = {"Replace": {"0009,1001": "new"}, "PrivateCreator": "OWNER"}

    for result in (anonymized(body), modified({**body, "RemovePrivateTags": True})):
        assert result[0x0009, 0x0010].value == "OWNER"
        assert result[0x0009, 0x1001].value == "new"
        assert len([one for one in result if one.tag.is_private]) == 2


def test_a_private_element_is_written_into_items():
    """Under a path, each item with a creator of its own."""
    nested = El(0x00081032, "SQ", [code("C1", "99X", "a"), code("C2", "99X", "b")])
    body = {"Replace": {"ProcedureCodeSequence[*].(0009,{OWNER}01)": "new"}}

    result = modified(body, small_ct([nested]))

    for item in result.ProcedureCodeSequence:
        assert (item[0x0009, 0x0010].value, item[0x0009, 0x1001].value) == ("OWNER", "new")


def test_a_group_without_a_free_block_is_told():
    """Nothing is overwritten."""
    full = [text(0x00090000 | block, "LO", f"OWNER {block}") for block in range(0x10, 0x100)]
    asked = read_modify(
        {"Replace": {"0009,1001": "new"}, "PrivateCreator": "MINE"}, Level.INSTANCE
    )

    with pytest.raises(DeidentificationError):
        done(asked, small_ct(full))


@pytest.mark.parametrize("tag", ["0009,1001", "(0009,{MAKER HEADER}01)"])
def test_a_private_element_is_removed_with_a_creator_that_is_left_alone(tag):
    """By its tag, or by its creator."""
    result = modified({"Remove": [tag]})

    assert not [one for one in result if one.tag.is_private]


def test_group_lengths_go():
    """They would not be true any more."""
    length = El(0x00100000, "UL", struct.pack("<I", 42))

    assert (0x0010, 0x0000) not in modified({}, small_ct([length]))


def test_pixel_data_can_be_removed():
    """As any attribute."""
    assert "PixelData" not in modified({"Remove": ["PixelData"]})


def test_the_report_tells_what_the_identifiers_become():
    """Of a reference that was not followed as well."""
    report = done(read_modify({}, Level.SERIES)).report

    assert report.sop_instance_uid == new(INSTANCE)
    assert report.series_instance_uid == new(SERIES)
    assert (report.study_instance_uid, report.patient_id) == (STUDY, "PAT-4711")


def test_the_same_request_gives_the_same_plan():
    """And a literal is part of it."""
    one, two = ({"Replace": {"PatientName": name}} for name in ("A", "B"))

    digests = [done(read_anonymize(body)).report.rule_set for body in (one, one, two)]

    assert digests[0] == digests[1] != digests[2]


# ---- split


def moved(plan, elements, syntax=EXPLICIT):
    """An instance that has moved, as pydicom reads it."""
    return driving.read(
        driving.engine(instances.dataset(elements, syntax), syntax, plan=plan).file
    )


def test_a_split_writes_a_new_study_with_new_series_and_instances():
    """And what is asked for; references follow, the rest stays."""
    split = read_split(
        {"Series": ["s"], "Replace": {"PatientName": "Split"}, "Remove": ["AccessionNumber"]}
    )
    touched = Touched(series={SERIES}, instances={INSTANCE})
    renaming = renaming_of_move(touched, driving.pseudonyms(), SCOPE, "1.9")
    refers = El(0x00081140, "SQ", [reference(INSTANCE), reference("1.2.3")])

    plan = split_plan(split, scope=SCOPE, renaming=renaming, new_study_uid="1.9")
    result = moved(plan, small_ct([refers]))

    assert (result.StudyInstanceUID, str(result.PatientName)) == ("1.9", "Split")
    assert (result.SeriesInstanceUID, result.SOPInstanceUID) == (new(SERIES), new(INSTANCE))
    assert "AccessionNumber" not in result
    assert result.ReferencedImageSequence[0].ReferencedSOPInstanceUID == new(INSTANCE)
    assert result.ReferencedImageSequence[1].ReferencedSOPInstanceUID == "1.2.3"
    assert result[0x0009, 0x1001].value == "secret of the maker"


# ---- merge

TARGET_STUDY = "1.7.7"


def target(*extra):
    """An instance of the study that is merged into."""
    return small_ct(
        [
            text(0x0020000D, "UI", TARGET_STUDY),
            text(0x00100010, "PN", "Target^Name"),
            text(0x00100020, "LO", "TARGET"),
            *extra,
        ]
    )


def merged(target_elements, source=None, syntaxes=(EXPLICIT, EXPLICIT)):
    """A source instance after the merge."""
    modules = module_elements(instances.dataset(target_elements, syntaxes[0]), syntaxes[0])
    touched = Touched({STUDY}, {SERIES}, {INSTANCE})
    renaming = renaming_of_move(touched, driving.pseudonyms(), SCOPE, TARGET_STUDY)
    plan = merge_plan(modules, scope=SCOPE, renaming=renaming)
    return moved(plan, source or small_ct(), syntaxes[1])


@pytest.mark.parametrize("syntaxes", [(one, two) for one in SYNTAXES for two in SYNTAXES])
def test_a_merge_takes_the_modules_of_the_target(syntaxes):
    """Sequences and long texts included, whatever the transfer syntaxes of the two."""
    comments = "x" * 1000
    target_elements = target(
        El(0x00081032, "SQ", [code("C1", "99X", "target code")], True, True),  # noqa: FBT003
        text(0x00104000, "LT", comments),
    )

    result = merged(target_elements, syntaxes=syntaxes)

    assert (str(result.PatientName), result.PatientID) == ("Target^Name", "TARGET")
    assert (result.StudyInstanceUID, result.PatientComments) == (TARGET_STUDY, comments)
    assert result.ProcedureCodeSequence[0].CodeMeaning == "target code"
    assert (result.SeriesInstanceUID, result.SOPInstanceUID) == (new(SERIES), new(INSTANCE))


def test_a_merge_removes_what_the_target_has_not():
    """Of the two modules only."""
    without = [one for one in target() if one.tag not in {0x00080050, 0x00081030}]

    result = merged(without)

    assert "AccessionNumber" not in result
    assert "StudyDescription" not in result
    assert result.DeviceSerialNumber == "SERIAL-9"


def test_references_of_what_is_merged_follow():
    """The study that moved as a whole included."""
    refers = El(0x00081115, "SQ", [[*reference(INSTANCE), text(0x0020000D, "UI", STUDY)]])

    result = merged(target(), small_ct([refers]))

    item = result.ReferencedSeriesSequence[0]
    assert item.ReferencedSOPInstanceUID == new(INSTANCE)
    assert item.StudyInstanceUID == TARGET_STUDY


def test_texts_of_the_target_are_written_in_the_character_set_of_the_source():
    """At every depth; one that it cannot hold makes the source UTF-8."""
    greek = [
        El(0x00100010, "PN", "Ωνά ".encode("iso8859_7")),
        text(0x00080005, "CS", "ISO_IR 126"),
    ]
    nested = El(0x00081032, "SQ", [[El(0x00080104, "LO", "Ωω".encode("iso8859_7"))]])
    umlaut = [El(0x00100010, "PN", "Müller".encode()), text(0x00080005, "CS", "ISO_IR 192")]

    widened = merged(target(*greek, nested))
    fitting = merged(target(*umlaut))

    assert widened.SpecificCharacterSet == "ISO_IR 192"
    assert str(widened.PatientName) == "Ωνά"
    assert widened.ProcedureCodeSequence[0].CodeMeaning == "Ωω"
    assert fitting.SpecificCharacterSet == "ISO_IR 100"
    assert fitting[0x00100010].value == "Müller"


def test_a_plan_serves_many_instances():
    """Nothing of one of them stays in it."""
    split = read_split({"Series": ["s"], "Replace": {"PatientName": "Иван"}})
    plan = split_plan(split, scope=SCOPE, renaming=Renaming(), new_study_uid="1.9")

    results = [
        moved(plan, small_ct(instance=number), syntax)
        for number, syntax in enumerate((EXPLICIT, IMPLICIT, BIG_ENDIAN), 1)
    ]

    assert len({result.SOPInstanceUID for result in results}) == 3
    assert {str(result.PatientName) for result in results} == {"Иван"}


# ---- laws

PLACES = (
    *(
        "PatientName",
        "StudyDate",
        "CodeMeaning",
        "ProcedureCodeSequence",
        "0009,1001",
        "PixelData",
    ),
    *("(0009,{OWNER}02)", "(0019,{OWNER}0C)", "ProcedureCodeSequence[*].PatientName"),
    *("ProcedureCodeSequence[0].(0009,{MAKER}01)", "OtherPatientIDsSequence[0].PatientID"),
    *(
        "ConceptCodeSequence",
        "0040,A170",
        "MappingResource",
        "AnatomicRegionSequence[1].0008,0104",
    ),
)
VALUES = {
    "StudyDate": "20260101",
    "ProcedureCodeSequence": [{"CodeMeaning": "Ж"}, {}],
    "ConceptCodeSequence": [],
    "0040,A170": [{"CodeValue": "1"}],
}
requests = st.fixed_dictionaries(
    {
        "Replace": st.lists(st.sampled_from(PLACES), max_size=5).map(
            lambda names: {name: VALUES.get(name, "Ω") for name in names}
        ),
        "Remove": st.lists(st.sampled_from(PLACES), max_size=3),
        "Keep": st.lists(st.sampled_from(PLACES), max_size=3),
        "PrivateCreator": st.sampled_from(["OWNER", "MAKER HEADER"]),
        "KeepPrivateTags": st.booleans(),
        "RemovePrivateTags": st.booleans(),
    }
)


@given(requests, st.sampled_from(SYNTAXES), st.sampled_from(["anonymize", *Level]))
@settings(deadline=None, max_examples=60)
def test_whatever_is_asked_the_result_is_well_formed(body, syntax, level):
    """Ascending tags, sound lengths, no private element without its creator."""
    try:
        forced = {**FORCE, **body}
        asked = read_anonymize(forced) if level == "anonymize" else read_modify(forced, level)
    except RequestFault:
        assume(False)  # noqa: FBT003 - as Hypothesis has it
    elements = instances.with_every_length_form()

    output = done(asked, elements, syntax)

    read = encoded.read(output.dataset, encoded.Form.of(syntax))
    private = [one.tag for one in read if one.tag & 0x10000]
    blocks = {tag & ~0xFFFF | (tag & 0xFFFF) >> 8 for tag in private if tag & 0xFF00}
    assert blocks <= set(private)

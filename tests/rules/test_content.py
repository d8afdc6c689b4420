"""Clean Structured Content: what comes of content items, by concept name, value type and option.

What the table asks for is read here from its CSV file, and shares nothing with the engine.

Source: PS3.15 E.3.4, Table E.3.4-1; PS3.3 C.17.3.
"""

from __future__ import annotations

import csv
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.sr._snomed_dict import mapping as snomed

import rules.tables
from rules import compile_plan
from rules.errors import Mark
from rules.profile import KeepRule, Literal, RemoveRule, ReplaceRule
from rules.selectors import parse_selector
from rules.tables.structured_content import concepts
from tests import driving, encoded, instances
from tests.acceptance.test_validity import kinds
from tests.encoded import EXPLICIT, IMPLICIT, El, Form
from tests.instances import merged, text

CLEAN = "clean-structured-content"
COLUMN_OF = {
    "retain-uids": "retain_uids",
    "retain-device-identity": "retain_device_identity",
    "retain-institution-identity": "retain_institution_identity",
    "retain-patient-characteristics": "retain_patient_characteristics",
    "retain-longitudinal-full-dates": "retain_longitudinal_full_dates",
    "retain-longitudinal-modified-dates": "retain_longitudinal_modified_dates",
    "clean-descriptors": "clean_descriptors",
}
SHIFTED = "retain-longitudinal-modified-dates"
EVERYTHING_BUT_DATES = tuple(option for option in COLUMN_OF if "dates" not in option)
OPTION_SETS = [
    (),
    *((option,) for option in COLUMN_OF),
    (*EVERYTHING_BUT_DATES, "retain-longitudinal-full-dates"),
    (*EVERYTHING_BUT_DATES, SHIFTED),
]

CONTENT, ACQUISITION_CONTEXT = 0x0040A730, 0x00400555
VALUE_TYPE, NAME = 0x0040A040, 0x0040A043
DATE, PERSON, UID, TEXT, CODE, NUMBER = (
    *(0x0040A121, 0x0040A123, 0x0040A124, 0x0040A160, 0x0040A168, 0x0040A300),
)
REFERENCE, MEANING = 0x00081199, 0x00080104
SENTENCE, DATE_SENT, UID_SENT = "Lesion seen in Mrs Doe", "20200102", f"{instances.ROOT}.5"

FINDING = ("121071", "DCM")  # X/D as TEXT
ACCESSION_NUMBER = ("121022", "DCM")  # X as TEXT
SUBJECT_NAME = ("121029", "DCM")  # D as PNAME
SUBJECT_BIRTH_DATE = ("121031", "DCM")  # X as DATE, whatever the date options
FETUS_ID = ("11951-1", "LN")  # D as TEXT
UNLISTED = ("9999", "DCM")


def table() -> list[dict[str, str]]:
    """The CSV file, line for line."""
    folder = Path(rules.tables.__file__).parent
    path = folder / "ps315_E3.4-1_clean_structured_content_2026d.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def asked(row: dict[str, str], options: tuple[str, ...]) -> str:
    """One of X D K C: a date option says so, else C before K, else the profile."""
    said = {option: row[COLUMN_OF[option]] for option in options}
    dates = [code for option, code in said.items() if code and "dates" in option]
    for code in (*dates, "C", "K"):
        if code in said.values():
            return code
    return row["basic_prof"][-1]


# ---------------------------------------------------------------- items


def reference() -> El:
    """To another instance."""
    uids = [
        text(0x00081150, "UI", instances.CT_IMAGE),
        text(0x00081155, "UI", UID_SENT),
    ]
    return El(REFERENCE, "SQ", [uids])


def measured(number: str = "7") -> El:
    """A number with its unit."""
    unit = El(0x004008EA, "SQ", [instances.code("mm", "UCUM", "mm")])
    return El(NUMBER, "SQ", [[unit, text(0x0040A30A, "DS", number)]])


def coded(scheme: str = "SCT", meaning: str = "Doe") -> El:
    """A coded value."""
    return El(CODE, "SQ", [instances.code("4711", scheme, meaning)])


VALUES = {
    "CODE": coded(),
    "COMPOSITE": reference(),
    "CONTAINER": text(0x0040A050, "CS", "SEPARATE"),
    "DATE": text(DATE, "DA", DATE_SENT),
    "DATETIME": text(0x0040A120, "DT", "20200102101112"),
    "IMAGE": reference(),
    "NUM": measured(),
    "PNAME": text(PERSON, "PN", "Doe^Jane"),
    "TEXT": text(TEXT, "UT", SENTENCE),
    "TIME": text(0x0040A122, "TM", "101112"),
    "UIDREF": text(UID, "UI", UID_SENT),
    "WAVEFORM": reference(),
}
DUMMIES = {
    "DATE": b"19000101",
    "DATETIME": b"19000101000000",
    "PNAME": b"ANONYMIZED",
    "TEXT": b"ANONYMIZED",
    "TIME": b"000000",
}


def item(
    value_type: str, name: tuple[str, str] = UNLISTED, value: El | None = None, *more: El
) -> list[El]:
    """A content item."""
    elements = [
        text(0x0040A010, "CS", "CONTAINS"),
        text(VALUE_TYPE, "CS", value_type),
        El(NAME, "SQ", [instances.code(*name, "Concept")]),
        value or VALUES[value_type],
    ]
    return merged(elements, list(more))


def container(
    *items: list[El], name: tuple[str, str] = UNLISTED, undefined: bool = False
) -> list[El]:
    """A container of content items."""
    content = El(CONTENT, "SQ", list(items), undefined, items_undefined=undefined)
    return item("CONTAINER", name, None, content)


def document(*items: list[El], sequence: int = CONTENT, **form: object) -> list[El]:
    """A report of a patient named Doe."""
    return merged(instances.report_on(1), [El(sequence, "SQ", list(items), **form)])


# ---------------------------------------------------------------- results


def plan_of(*options: str, **said: object):
    """A compiled profile with Clean Structured Content and other options."""
    return compile_plan(driving.profile(options=(CLEAN, *options), **said))


def cleaned(
    elements: list[El], *options: str, syntax: str = EXPLICIT, plan=None
) -> dict[int, encoded.Element]:
    """The root of what the engine makes of a dataset, by tag."""
    sent = instances.dataset(elements, syntax)
    output = driving.engine(sent, syntax, plan=plan or plan_of(*options))
    return by_tag(encoded.read(output.dataset, Form.of(syntax)))


def by_tag(elements: tuple[encoded.Element, ...]) -> dict[int, encoded.Element]:
    """Elements of one level."""
    return {element.tag: element for element in elements}


def items_of(level: dict[int, encoded.Element], tag: int = CONTENT) -> list[dict]:
    """The items of a sequence, each by tag."""
    return [by_tag(one.elements) for one in level[tag].items]


def only(*items: list[El], options: tuple[str, ...] = (), **how: object) -> list[dict]:
    """The items that come of some."""
    return items_of(cleaned(document(*items), *options, **how))


def name_of(one: dict) -> tuple[str, str, str]:
    """Code, scheme and value type of an item."""
    name = items_of(one, NAME)[0]
    parts = name[0x00080100], name[0x00080102], one[VALUE_TYPE]
    return tuple(part.value.decode().strip(" \0") for part in parts)


def value_of(one: dict, value_type: str) -> bytes:
    """The value of an item; of a reference or a container what identifies it."""
    tag = VALUES[value_type].tag
    if tag == REFERENCE:
        return items_of(one, REFERENCE)[0][0x00081155].value
    return one[tag].value


def judged(value_type: str, action: str, new: bytes) -> bool:
    """Whether a value is what an action makes of the one that was sent."""
    is_uid = value_type in {"COMPOSITE", "IMAGE", "UIDREF", "WAVEFORM"}
    sent = UID_SENT.encode() if is_uid else VALUES[value_type].value
    if action == "K":
        return value_type in {"CODE", "NUM", "CONTAINER"} or new.rstrip(b"\0") == sent
    if action == "D" and is_uid:
        return new.startswith(b"2.25.")
    if action == "D":
        return new == DUMMIES[value_type]
    if value_type == "TEXT":
        return b"Doe" not in new and b"esion" in new
    return new not in (DUMMIES[value_type], *([] if value_type == "TIME" else [sent]))


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("options", OPTION_SETS, ids="+".join)
def test_every_row_does_what_it_says(options, syntax):
    """Each concept of the table is removed, replaced, kept or cleaned as its columns ask."""
    sent = [item(row["value_type"], (row["code_value"], row["coding_scheme"])) for row in table()]
    wanted = [(row, asked(row, options)) for row in table()]

    got = only(*sent, options=options, syntax=syntax)

    names = [name_of(one) for one in got]
    staying = [(row, action) for row, action in wanted if action != "X"]
    assert names == [
        (row["code_value"], row["coding_scheme"], row["value_type"]) for row, _ in staying
    ]
    wrong = [
        (row["code_meaning"], action, value_of(one, row["value_type"]))
        for one, (row, action) in zip(got, staying, strict=True)
        if not judged(row["value_type"], action, value_of(one, row["value_type"]))
    ]
    assert not wrong


def test_the_table_is_all_there():
    """214 rows, some concepts with several value types."""
    assert len(table()) == 214
    assert len(concepts()) == len({(row["code_value"], row["coding_scheme"]) for row in table()})


@pytest.mark.parametrize("scheme", ["SRT", "SNM3", "99SDM"])
def test_concepts_are_known_by_their_former_codes(scheme):
    """Every SNOMED concept of the table, as it was written before SCT."""
    rows = [row for row in table() if row["coding_scheme"] == "SCT"]
    former = [(snomed["SCT"][row["code_value"]], scheme) for row in rows]
    sent = [item(row["value_type"], name) for row, name in zip(rows, former, strict=True)]
    stays = [name for row, name in zip(rows, former, strict=True) if asked(row, ()) != "X"]

    got = only(*sent)

    assert [name_of(one)[:2] for one in got] == stays
    assert all(one[TEXT].value == b"ANONYMIZED" for one in got if TEXT in one)


@pytest.mark.parametrize("tag", [0x00080119, 0x00080120])
def test_long_and_urn_codes_name_concepts_too(tag):
    """Wherever the code value of a concept name stands, it counts."""
    name = [text(0x00080102, "SH", "DCM"), text(MEANING, "LO", "Concept")]
    code = text(tag, "UC" if tag == 0x00080119 else "UR", ACCESSION_NUMBER[0])
    sent = item("TEXT")
    sent[2] = El(NAME, "SQ", [merged(name, [code])])

    assert not only(sent)


# ---------------------------------------------------------------- what is not listed


def test_text_of_an_unlisted_concept_loses_the_patients_name():
    """Without Clean Descriptors as well: free text can hold anything."""
    (got,) = only(item("TEXT"))

    assert b"Doe" not in got[TEXT].value
    assert b"esion" in got[TEXT].value


def test_a_person_is_always_a_dummy():
    """Whatever the concept."""
    (got,) = only(item("PNAME"))

    assert got[PERSON].value == b"ANONYMIZED"


@pytest.mark.parametrize("value_type", ["DATE", "DATETIME", "TIME"])
def test_without_a_date_option_dates_are_dummies(value_type):
    """Of concepts that the table does not list."""
    (got,) = only(item(value_type))

    assert value_of(got, value_type) == DUMMIES[value_type]


def test_full_dates_keep_dates():
    """Of concepts that the table does not list; what is called something else must be a date."""
    sent = [item("DATE", UNLISTED, text(DATE, "LO", date)) for date in ("20200102", "Mrs Doe")]

    real, other = only(*sent, options=("retain-longitudinal-full-dates",))

    assert real[DATE].value == b"20200102"
    assert DATE not in other


def test_modified_dates_move_all_dates_alike():
    """In a listed concept as in one that is not, and within the instance."""
    listed = ("111060", "DCM")  # Study Date

    one, other = only(item("DATE", listed), item("DATE"), options=(SHIFTED,))

    assert one[DATE].value == other[DATE].value
    assert one[DATE].value not in (b"20200102", b"19000101")


def test_a_birth_date_goes_under_every_option():
    """The table gives it no column."""
    for option in ("retain-longitudinal-full-dates", SHIFTED):
        assert not only(item("DATE", SUBJECT_BIRTH_DATE), options=(option,))


@pytest.mark.parametrize("options", [(), ("retain-uids",)])
def test_uids_are_replaced_unless_they_are_retained(options):
    """Of concepts that the table does not list, in values and in references."""
    got = only(item("UIDREF"), item("IMAGE"), options=options)

    values = [value_of(one, kind) for one, kind in zip(got, ("UIDREF", "IMAGE"), strict=True)]
    assert [value.startswith(b"2.25.") for value in values] == [not options] * 2
    assert len({value.strip(b"\0") for value in values}) == 1


def test_numbers_and_codes_of_the_standard_stay():
    """Byte for byte."""
    sent = [item("NUM"), item("CODE")]

    got = only(*sent)

    form = Form(implicit=False)
    assert [one[tag].raw for one, tag in zip(got, (NUMBER, CODE), strict=True)] == [
        encoded.encode_one(one[-1], form) for one in sent
    ]


@pytest.mark.parametrize("scheme", ["99HOSPITAL", "L", ""])
def test_meanings_of_private_codes_are_cleaned(scheme):
    """In names and in values; the codes stay."""
    meaning = "Lesion of Doe"
    name = El(NAME, "SQ", [instances.code("4711", scheme, meaning)])
    sent = merged(item("CODE", UNLISTED, coded(scheme, meaning)), [name])

    (got,) = only(sent)

    for tag in (NAME, CODE):
        (code,) = items_of(got, tag)
        assert b"Doe" not in code[MEANING].value
        assert b"esion" in code[MEANING].value
        assert code[0x00080100].value == b"4711"


# ---------------------------------------------------------------- values that no row speaks of


@pytest.mark.parametrize("value_type", ["NUM", "DATE", "UIDREF", "PNAME", "SCOORD", "ODD", ""])
def test_another_value_of_a_concept_that_goes_goes_too(value_type):
    """An accession number is one whatever its value type."""
    value = VALUES.get(value_type, VALUES["TEXT"])

    assert not only(item(value_type, ACCESSION_NUMBER, value))


def test_another_value_of_a_concept_that_is_replaced_is_replaced():
    """Options speak of the value types that the table names."""
    kinds = ("NUM", "DATE", "UIDREF", "PNAME")
    sent = [item(kind, FETUS_ID) for kind in kinds]

    number, date, uid, person = only(*sent, options=("retain-longitudinal-full-dates",))

    (measurement,) = items_of(number, NUMBER)
    assert measurement[0x0040A30A].value == b"0 "
    assert date[DATE].value == b"19000101"
    assert uid[UID].value.startswith(b"2.25.")
    assert person[PERSON].value == b"ANONYMIZED"


def test_every_value_of_an_unknown_value_type_is_replaced():
    """Where the concept is one whose value must not stay."""
    (got,) = only(item("ODD", FETUS_ID, VALUES["TEXT"], measured(), coded()))

    assert got[TEXT].value == b"ANONYMIZED"
    assert items_of(got, NUMBER)[0][0x0040A30A].value == b"0 "
    assert items_of(got, CODE)[0][0x00080100].value == b"ANONYMIZED"


def test_a_code_of_the_standard_says_what_it_says():
    """The table's row of a concept with text is not about codes."""
    sent = item("CODE", FINDING)

    (got,) = only(sent)

    assert got[CODE].raw == encoded.encode_one(sent[-1], Form(implicit=False))


def test_a_private_code_is_as_good_as_text():
    """Where the table lists the concept with text it becomes a dummy."""
    (got,) = only(item("CODE", FINDING, coded("99HOSPITAL", "Mrs Doe")))

    (code,) = items_of(got, CODE)
    texts = {tag: element.value for tag, element in code.items()}
    assert texts == {
        0x00080100: b"ANONYMIZED",
        0x00080102: b"99ANONODE ",
        MEANING: b"ANONYMIZED",
    }


def test_values_of_other_types_in_one_item_are_cleaned():
    """An item that is kept for its text may hold a name beside it."""
    device_name = ("113877", "DCM")
    sent = item("TEXT", device_name, None, VALUES["PNAME"], VALUES["UIDREF"])

    (got,) = only(sent, options=("retain-device-identity",))

    assert got[TEXT].value.strip() == SENTENCE.encode()
    assert got[PERSON].value == b"ANONYMIZED"
    assert got[UID].value.startswith(b"2.25.")


def test_a_container_is_judged_by_what_is_in_it():
    """A heading may bear the name of a concept that goes as text."""
    (got,) = only(container(item("TEXT", ACCESSION_NUMBER), item("NUM"), name=FINDING))

    assert [name_of(one) for one in items_of(got)] == [(*UNLISTED, "NUM")]


def test_a_container_that_the_table_lists_goes_with_all_that_is_in_it():
    """Unique Device Identifiers, X but for Retain Device Identity."""
    sent = container(item("NUM"), name=("121000", "DCM"))

    assert not only(sent)
    assert len(only(sent, options=("retain-device-identity",))) == 1


def test_an_item_without_a_concept_name_is_like_one_that_is_not_listed():
    """References seldom have one."""
    sent = [one for one in item("IMAGE", UNLISTED, None, VALUES["PNAME"]) if one.tag != NAME]

    (got,) = only(sent)

    assert got[PERSON].value == b"ANONYMIZED"
    assert value_of(got, "IMAGE").startswith(b"2.25.")


def test_an_item_whose_concept_name_cannot_be_read_goes():
    """Nobody could say what its value is."""
    sent = item("NUM")
    sent[2] = El(NAME, "OB", b"no items")

    assert not only(sent)


# ---------------------------------------------------------------- where items stand


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", instances.SYNTAXES)
def test_items_are_found_three_containers_deep(syntax, undefined):
    """In every transfer syntax and length form."""
    leaves = item("TEXT", ACCESSION_NUMBER), item("PNAME", SUBJECT_NAME), item("NUM")
    nest = container(container(container(*leaves, undefined=undefined)), undefined=undefined)
    sent = document(nest, undefined=undefined, items_undefined=undefined)

    level = cleaned(sent, syntax=syntax)

    for _ in range(3):
        (level,) = items_of(level)
    assert [name_of(one) for one in items_of(level)] == [
        (*SUBJECT_NAME, "PNAME"),
        (*UNLISTED, "NUM"),
    ]
    assert items_of(level)[0][PERSON].value == b"ANONYMIZED"


def test_a_sequence_that_a_peer_calls_unknown_is_read():
    """As items in implicit VR, whatever is around them."""
    hidden = [item("TEXT", ACCESSION_NUMBER), item("PNAME")]
    sent = merged(document(), [El(CONTENT, "UN", hidden, undefined=True)])

    (got,) = items_of(cleaned(sent))

    assert got[PERSON].value == b"ANONYMIZED"


def test_acquisition_context_is_made_of_items():
    """Sequences of content items stand outside reports as well."""
    context = El(ACQUISITION_CONTEXT, "SQ", [item("TEXT", ACCESSION_NUMBER), item("TEXT")])

    (got,) = items_of(cleaned(instances.small_ct([context])), ACQUISITION_CONTEXT)

    assert b"Doe" not in got[TEXT].value


def test_specimen_preparation_is_made_of_items():
    """Three sequences deep."""
    steps = El(0x00400612, "SQ", [item("TEXT", ("121041", "DCM")), item("NUM")])
    specimen = El(0x00400560, "SQ", [[El(0x00400610, "SQ", [[steps]])]])

    level = cleaned(instances.small_ct([specimen]))

    for tag in (0x00400560, 0x00400610):
        (level,) = items_of(level, tag)
    assert [name_of(one) for one in items_of(level, 0x00400612)] == [(*UNLISTED, "NUM")]


def test_without_the_option_content_is_a_dummy():
    """The basic profile does not look into it."""
    sent = document(item("NUM"), item("NUM"))

    (got,) = items_of(cleaned(sent, plan=driving.basic_plan()))

    assert name_of(got) == ("121106", "DCM", "TEXT")


# ---------------------------------------------------------------- rules of the profile


def rule(kind: type, selector: str, *value: object) -> object:
    """A line of a profile."""
    return kind(parse_selector(selector), *value, Mark("test.yaml", 1, 1))


def test_a_rule_that_removes_a_value_beats_the_table():
    """Text that would be cleaned, and text that an option keeps."""
    plan = plan_of("retain-device-identity", remove=(rule(RemoveRule, "TextValue"),))

    got = only(item("TEXT"), item("TEXT", ("113877", "DCM")), plan=plan)

    assert [TEXT in one for one in got] == [False, False]


def test_a_rule_that_replaces_a_value_beats_the_table():
    """Under a path as anywhere, and the item stays for it."""
    replacing = rule(ReplaceRule, "ContentSequence[*].TextValue", Literal("as told"))
    plan = plan_of(replace=(replacing,))

    got = only(item("TEXT", ACCESSION_NUMBER), item("TEXT", FETUS_ID), item("TEXT"), plan=plan)

    assert [one[TEXT].value for one in got] == [b"as told "] * 3


def test_a_rule_that_keeps_a_value_beats_the_table():
    """The profile answers for it."""
    plan = plan_of(keep=(rule(KeepRule, "ContentSequence[*].PersonName"),))

    (got,) = only(item("PNAME", SUBJECT_NAME), plan=plan)

    assert got[PERSON].value == b"Doe^Jane"


# ---------------------------------------------------------------- laws, size, real files

CONCEPTS = st.sampled_from(
    [UNLISTED, *((row["code_value"], row["coding_scheme"]) for row in table()[::7])]
)
LEAVES = st.builds(
    item,
    st.sampled_from([*VALUES, "ODD", "SCOORD"]),
    CONCEPTS,
    st.sampled_from([one for one in VALUES.values() if one.tag not in (CODE, 0x0040A050)]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda items, name, undefined: container(*items, name=name, undefined=undefined),
        st.lists(inner, max_size=4),
        CONCEPTS,
        st.booleans(),
    ),
    max_leaves=12,
)


@given(st.lists(TREES, max_size=4), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_whatever_the_tree_nobody_is_named_in_it(trees, syntax):
    """Nesting, concepts and values of the wrong type make no difference; the result is regular."""
    sent = instances.dataset(document(*trees, undefined=True), syntax)

    output = driving.engine(sent, syntax, plan=NOTHING_RETAINED)

    assert not driving.irregularity(output.dataset, syntax)
    assert b"Doe" not in output.dataset
    assert UID_SENT.encode() not in output.dataset
    assert DATE_SENT.encode() not in output.dataset


NOTHING_RETAINED = plan_of()


@pytest.mark.slow
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_ten_thousand_items_take_less_than_a_second(syntax, deadline_s):
    """Choosing costs no more than walking."""
    names = [(row["code_value"], row["coding_scheme"]) for row in table()]
    value_types = ("NUM", "CODE", "UIDREF", "DATE")
    sent = [
        item(value_types[at % len(value_types)], names[at % len(names)]) for at in range(10_000)
    ]
    dataset = instances.dataset(document(*sent), syntax)
    driving.engine(dataset, syntax, plan=NOTHING_RETAINED)

    begin = perf_counter()
    driving.engine(dataset, syntax, plan=NOTHING_RETAINED)

    assert perf_counter() - begin < deadline_s(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reportsi.dcm", "test-SR.dcm"])
@pytest.mark.parametrize("options", OPTION_SETS, ids="+".join)
def test_a_real_report_stays_valid(options, name, peer, tmp_path):
    """No kind of error comes up that dciodvfy did not find before."""
    source = Path(get_testdata_file(name))
    file = source.read_bytes()
    _, dataset = encoded.split_part10(file)
    result = tmp_path / "result.dcm"

    output = driving.engine(dataset, driving.transfer_syntax_of(file), plan=plan_of(*options))
    result.write_bytes(output.file)

    dciodvfy = peer("dciodvfy")
    assert kinds(dciodvfy, result) <= kinds(dciodvfy, source)

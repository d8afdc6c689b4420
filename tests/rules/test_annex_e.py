"""Every cell of Table E.1-1 (2026d) does in the engine what it says, wherever it applies.

Each row's attribute stands in one instance for each option: at the root, in the items of a
sequence that the standard puts it into, and three sequences deep in an instance of a class that
nobody knows; with explicit and with implicit VR. What must become of it is computed here, from
the CSV file and from a few attribute types of PS3.3 (2026b), and shares nothing with the engine.

Source: PS3.15 E.1-E.3, Tables E.1-1 and E.1-1a.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword

import rules.tables
from rules import compile_plan
from rules.tables.confidentiality import rows as engine_rows
from tests import driving, encoded, instances
from tests.encoded import EXPLICIT, IMPLICIT, El, Element

FOLDER = Path(rules.tables.__file__).parent
BASIC = "basic"
COLUMN_OF = {
    BASIC: "basic_prof",
    "retain-safe-private": "rtn_safe_priv",
    "retain-uids": "rtn_uids",
    "retain-device-identity": "rtn_dev_id",
    "retain-institution-identity": "rtn_inst_id",
    "retain-patient-characteristics": "rtn_pat_chars",
    "retain-longitudinal-full-dates": "rtn_long_full_dates",
    "retain-longitudinal-modified-dates": "rtn_long_modif_dates",
    "clean-descriptors": "clean_desc",
    "clean-structured-content": "clean_struct_cont",
    "clean-graphics": "clean_graph",
}
EDITION_ROWS = {
    "2008": 48,
    "2017c": 278,
    "2021b": 460,
    "2023b": 608,  # printed: 611, of which three are there twice
    "2024b": 621,  # as transcribed, without the row of private attributes
    "2026d": 657,
}
UNKNOWN_CLASS = "1.2.826.0.1.3680043.9.9999.77"
TEXT_VRS = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
DATE_VRS = {"DA", "DT", "TM"}
SCOPE = driving.PROFILE

# ---------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Row:
    """One row, for one tag of those that it names."""

    tag: int
    name: str
    vr: str
    cells: tuple[tuple[str, str], ...]

    def cell(self, option: str) -> str:
        return dict(self.cells)[option]


def records(edition: str) -> list[dict[str, str]]:
    """The CSV file of an edition, line for line."""
    with (FOLDER / f"ps315_E1-1_{edition}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


CONCRETE = {"50xxxxxx": 0x50023000, "60xx3000": 0x60023000, "60xx4000": 0x60024000, "": 0x00091001}


@cache
def table() -> tuple[Row, ...]:
    """All rows; those of a group of tags stand for one tag of it."""
    return tuple(sorted(map(_row, records("2026d")), key=lambda row: row.tag))


@cache
def supplement() -> dict[int, str]:
    """VRs of attributes that are newer than pydicom's dictionary."""
    with (FOLDER / "ps36_supplement_2026d.csv").open(newline="", encoding="utf-8") as file:
        return {int(record["tag"], 16): record["vr"] for record in csv.DictReader(file)}


def _row(record: dict[str, str]) -> Row:
    tag = CONCRETE.get(record["tag_hex"]) or int(record["tag_hex"], 16)
    newer = supplement().get(tag, "UN")
    vr = (record["vr"] or encoded.vr_in_dictionary(tag) or newer).split(" or ")[0]
    if tag in CONCRETE.values():
        vr = "LO" if tag == CONCRETE[""] else "OW"
    cells = tuple((option, record[column]) for option, column in COLUMN_OF.items())
    return Row(tag, record["keyword"] or record["name"].replace(" ", ""), vr, cells)


# ---------------------------------------------------------------- types

# Attributes of compound actions that the IOD of a class wants, by their strictest type; all
# others are of type 3, or not in the IOD.
ROOT_TYPES = {
    instances.CT_IMAGE: {
        1: "",
        2: "ContentDate ContentTime PatientID PatientSexNeutered",
    },
    "1.2.840.10008.5.1.4.1.1.2.1": {  # Enhanced CT
        1: "ContentDate ContentTime AcquisitionDateTime ReferencedPerformedProcedureStepSequence "
        "DeviceSerialNumber",
        2: "PatientID PatientSexNeutered AcquisitionContextSequence",
    },
    "1.2.840.10008.5.1.4.1.1.88.33": {  # Comprehensive SR
        1: "ContentDate ContentTime ObservationDateTime",
        2: "PatientID PatientSexNeutered ReferencedPerformedProcedureStepSequence",
    },
    "1.2.840.10008.5.1.4.1.1.481.5": {  # RT Plan
        1: "",
        2: "PatientID PatientSexNeutered OperatorsName ReviewerName RTPlanDate RTPlanTime",
    },
    "1.2.840.10008.5.1.4.1.1.9.1.1": {  # 12-lead ECG
        1: "ContentDate ContentTime AcquisitionDateTime WaveformAnnotationSequence",
        2: "PatientID PatientSexNeutered AcquisitionContextSequence",
    },
    "1.2.840.10008.5.1.4.1.1.11.1": {  # Grayscale softcopy presentation state
        1: "PresentationCreationDate PresentationCreationTime",
        2: "PatientID PatientSexNeutered",
    },
}
# Where table and IOD conflict, the IOD wins (PS3.3 C.11.10, C.7.1.1).
CONFLICTING = {0x00700082, 0x00700083, 0x00102297, 0x00102299}
for _types in ROOT_TYPES.values():
    _types[2] += " ResponsiblePerson ResponsibleOrganization"
# Nested: the parent, the type of all IODs that have it there.
NESTED_TYPES = {
    "ContributingSourcesSequence": {
        1: "AcquisitionDateTime OperatorsName OperatorIdentificationSequence ProtocolName "
        "AcquisitionDeviceProcessingDescription DetectorID DateOfLastDetectorCalibration "
        "TimeOfLastDetectorCalibration",
    },
    "XRay3DAcquisitionSequence": {
        1: "ContrastBolusAgent StartAcquisitionDateTime EndAcquisitionDateTime "
        "SourceImageSequence",
        3: "DetectorID",
    },
    "SourceSeriesInformationSequence": {1: "SeriesDate SeriesTime"},
    "AuthorIdentificationSequence": {2: "InstitutionName InstitutionCodeSequence StationName"},
    "ReferencedRequestSequence": {2: "ReferencedStudySequence RequestedProcedureDescription"},
    "FractionStatusSummarySequence": {2: "TreatmentDate TreatmentTime"},
    "AcquisitionDeviceSequence": {2: "DeviceSerialNumber"},
    "ContributingEquipmentSequence": {3: "StationName OperatorsName"},
    "BeamSequence": {2: "TreatmentMachineName", 3: "InstitutionName"},
    "PlanOverviewSequence": {2: "TreatmentSite"},
    "GroupOfPatientsIdentificationSequence": {1: "PatientID"},
}


def type_of(row: Row, wanted: dict[int, str]) -> int:
    """1, 2 or 3; what is not wanted is as good as of type 3."""
    return next((number for number, names in wanted.items() if row.name in names.split()), 3)


BY_TYPE = {  # compound action: what it is for types 1, 2 and 3 (Table E.1-1a)
    "X/Z": "DZX",
    "X/D": "DDX",
    "Z/D": "DZZ",
    "X/Z/D": "DZX",
    "X/Z/U*": "UUU",
}
UNKNOWN_TYPE = {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}

# ---------------------------------------------------------------- what must become of a row


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows stand: the class, and the sequences from the root inwards."""

    name: str
    sop_class: str
    path: tuple[str, ...] = ()

    def type_of(self, row: Row) -> int | None:
        """The type of an attribute here; None if nobody knows."""
        if self.sop_class == UNKNOWN_CLASS:
            return None
        if self.path:
            return type_of(row, NESTED_TYPES[self.path[-1]])
        return type_of(row, ROOT_TYPES[self.sop_class])


ROOT = Place("root", instances.CT_IMAGE)
ROOT_UNKNOWN = Place("root-of-unknown", UNKNOWN_CLASS)
DEEP = Place(
    "three-deep",
    UNKNOWN_CLASS,
    (
        "ReferencedSeriesSequence",
        "ReferencedInstanceSequence",
        "CodingSchemeIdentificationSequence",
    ),
)
PLACES = (ROOT, ROOT_UNKNOWN, DEEP)
CLASS_PLACES = [Place(f"class-{uid[20:]}", uid) for uid in ROOT_TYPES if uid != ROOT.sop_class]
CLASS_OF_PARENT = {"BeamSequence": "1.2.840.10008.5.1.4.1.1.481.5"}
NESTED_PLACES = [
    Place(f"in-{parent}", CLASS_OF_PARENT.get(parent, instances.CT_IMAGE), (parent,))
    for parent in NESTED_TYPES
]


def expected(row: Row, option: str, place: Place) -> str:
    """X, Z, D, U or K; or which cleaner must have worked."""
    if row.tag >> 16 in {0x0000, 0x0002} or row.tag >> 24 in {0x50, 0x60} or row.tag >> 16 & 1:
        return "X"  # not of a dataset; overlays, curves and private elements
    cell, option = deciding(row, option.split("+"))
    if cell == "K":
        return "K"
    if cell == "C":
        return cleaned(row, option) or resolved(row, place)
    return resolved(row, place)


def deciding(row: Row, options: list[str]) -> tuple[str, str]:
    """Of the options selected, the cell that decides: of a date option, then C, then K."""
    cells = [(row.cell(option), option) for option in options if option != BASIC]
    said = [one for one in cells if one[0]]
    dates = [one for one in said if "dates" in one[1]]
    return next(iter(dates or sorted(said)), ("", BASIC))


def resolved(row: Row, place: Place) -> str:
    """The basic action, compound ones by type."""
    code, known = row.cell(BASIC), place.type_of(row)
    if row.name == "PatientID":
        return "D"
    if code == "X" and row.tag in CONFLICTING and known and not place.path:
        return "DZX"[known - 1]
    if code not in BY_TYPE:
        return code
    return UNKNOWN_TYPE[code] if known is None else BY_TYPE[code][known - 1]


def cleaned(row: Row, option: str) -> str:
    """The cleaner for an option's C; empty where none fits the VR."""
    if option == "retain-longitudinal-modified-dates":
        return {"SH": "K"}.get(row.vr, "shift" if row.vr in DATE_VRS else "")
    if option == "retain-device-identity":
        return "identifier" if row.vr == "AE" else ""
    if row.vr in TEXT_VRS:
        return "clean"
    return "clean-items" if row.vr == "SQ" else ""


# ---------------------------------------------------------------- the instances

NAME, WORD = b"Zephyrine", b"Liver"
VALUES = {
    "AE": b"STATION7",
    "AS": b"050Y",
    "CS": b"CODEWORD",
    "DA": b"20200229",
    "DS": b"12.5",
    "DT": b"20200229101112",
    "IS": b"17",
    "OB": b"blob of bytes 78",
    "OW": b"blob of words 78",
    "PN": b"Zephyrine^Quillon ",
    "TM": b"101112",
    "UN": b"nobody knows78",
    "UR": b"http://x.example/Zephyrine",
    "US": b"\7\0",
}
TEXT = b"Liver Zephyrine "
ORDINARY = b"Quarterdeck 78"


def value_of(row: Row) -> bytes:
    """A value of the row's VR; a text that cleaners are meant for says a word and a name."""
    if row.name == "TimezoneOffsetFromUTC":
        return b"+0100 "
    if row.vr == "UI":
        return encoded_uid(f"1.2.3.{row.tag}")
    if row.vr in VALUES:
        return VALUES[row.vr] + b" " * (len(VALUES[row.vr]) % 2)
    return TEXT if "C" in dict(row.cells).values() else ORDINARY


def encoded_uid(uid: str) -> bytes:
    """Padded as UI asks."""
    return uid.encode() + b"\0" * (len(uid) % 2)


def element_of(row: Row) -> El:
    """The row's attribute with a value, or with one item."""
    if row.vr != "SQ":
        return El(row.tag, row.vr, value_of(row))
    return El(row.tag, "SQ", [ITEMS.get(row.name, PLAIN_ITEM)])


PLAIN_ITEM = [
    El(0x00080104, "LO", b"Meaning "),
    El(0x00081155, "UI", encoded_uid("1.2.3.4.5")),
    El(0x00100010, "PN", VALUES["PN"]),
]
CONTENT_ITEM = [
    instances.text(0x0040A010, "CS", "CONTAINS"),
    instances.text(0x0040A040, "CS", "TEXT"),
    El(0x0040A043, "SQ", [instances.code("111001", "DCM", "Algorithm Name")]),
    El(0x0040A160, "UT", TEXT),
]
ITEMS = {
    "ContentSequence": CONTENT_ITEM,
    "AcquisitionContextSequence": CONTENT_ITEM[1:],
    "SpecimenPreparationSequence": [El(0x00400612, "SQ", [CONTENT_ITEM[1:]])],
    "WaveformAnnotationSequence": [El(0x00700006, "ST", TEXT)],
    "GraphicAnnotationSequence": [
        instances.text(0x00700002, "CS", "LAYER"),
        El(0x00700008, "SQ", [[El(0x00700006, "ST", TEXT)]]),
    ],
}


@cache
def dataset(place: Place, syntax: str) -> bytes:
    """An instance of the place's class with every row in its place."""
    rows = [element_of(row) for row in table()]
    rows.append(instances.text(0x00090010, "LO", "NOBODY'S BLOCK"))
    rows.sort(key=lambda element: element.tag)
    for keyword in reversed(place.path):
        rows = [El(tag_for_keyword(keyword), "SQ", [rows])]
    own = [
        instances.text(0x00080016, "UI", place.sop_class),
        El(0x00100010, "PN", VALUES["PN"]),
        El(0x00080020, "DA", VALUES["DA"]),
    ]
    if not place.path:
        rows = [row for row in rows if row.tag != 0x00080016]
    return instances.dataset(instances.merged(instances.small_ct(own), rows), syntax)


@cache
def outcome(
    option: str, place: Place, syntax: str
) -> tuple[dict[int, Element], dict[int, Element]]:
    """The elements of the place before and after, by tag."""
    before = dataset(place, syntax)
    after = driving.engine(before, syntax, plan=plan(option)).dataset
    return elements(before, place, syntax), elements(after, place, syntax)


@cache
def plan(option: str):
    """The basic profile with one option."""
    if option == BASIC:
        return compile_plan(driving.profile())
    chosen = tuple(one for one in COLUMN_OF if one in option.split("+"))
    private = "safe" if "retain-safe-private" in chosen else "remove"
    return compile_plan(driving.profile(options=chosen, private=private))


def elements(data: bytes, place: Place, syntax: str) -> dict[int, Element]:
    """The elements of the place by tag."""
    found = encoded.read(data, encoded.Form.of(syntax))
    for keyword in place.path:
        (sequence,) = (one for one in found if one.tag == tag_for_keyword(keyword))
        found = sequence.items[0].elements
    return {one.tag: one for one in found}


# ---------------------------------------------------------------- the judgement


def judge(row: Row, wanted: str, before: Element, after: Element | None) -> str:
    """What is wrong with an element; empty if nothing is."""
    if wanted == "X" or after is None:
        return "" if wanted == "X" and after is None else "is there" if after else "is missing"
    if after.vr not in {None, row.vr, "UN" if row.vr == "UN" else row.vr}:
        return f"has VR {after.vr}"
    if row.vr == "SQ" and before.items is None:  # implicit VR, newer than pydicom's dictionary
        return "names the patient" if NAME in after.raw else ""
    if row.vr == "SQ":
        return judge_sequence(wanted, before, after)
    return {
        "Z": judge_empty,
        "D": judge_dummy,
        "U": judge_uid,
        "K": lambda _, old, new: "" if old.raw == new.raw else "changed",
        "shift": judge_shifted,
        "clean": judge_cleaned,
        "identifier": judge_dummy,
    }[wanted](row, before, after)


def judge_empty(_row: Row, _before: Element, after: Element) -> str:
    """Z, of zero length."""
    return "is not empty" if after.value else ""


def judge_dummy(row: Row, before: Element, after: Element) -> str:
    """D: there is a value of the VR, and it is another."""
    if not after.value:
        return "is empty"
    if after.value == before.value or NAME in after.value:
        return "still says what it said"
    return "" if fits(row.vr, after.value) else f"is no {row.vr}"


def judge_uid(_row: Row, before: Element, after: Element) -> str:
    """U: the keyed UID of what stood there."""
    old = before.value.decode().strip("\0")
    wanted = encoded_uid(driving.pseudonyms().uid(SCOPE, old))
    return "" if after.value == wanted else "is not the keyed UID"


def judge_cleaned(_row: Row, _before: Element, after: Element) -> str:
    """C of a text: the name is gone, the clinical word is not."""
    if NAME in after.value:
        return "names the patient"
    return "" if WORD in after.value else "lost a clinical word"


def judge_shifted(row: Row, before: Element, after: Element) -> str:
    """C of a date: another day, the same time of day."""
    if row.vr == "TM":  # shift_seconds is (0, 0)
        return "" if after.value.strip() == before.value.strip() else "changed the time of day"
    if after.value[:8] == before.value[:8]:
        return "was not moved"
    if after.value[8:] != before.value[8:]:
        return "changed the time of day"
    return "" if fits(row.vr, after.value) else f"is no {row.vr}"


def judge_sequence(wanted: str, before: Element, after: Element) -> str:
    """Whatever the action: no item names the patient."""
    items = after.items or ()
    if wanted == "Z":
        return "is not empty" if items else ""
    if not items:
        return "has no items"
    if NAME in after.raw:
        return "names the patient"
    if wanted in {"K", "U"}:
        return judge_items(wanted, before, after)
    is_lost = wanted == "clean-items" and WORD in before.raw and WORD not in after.raw
    return "lost a clinical word" if is_lost else ""


def judge_items(wanted: str, before: Element, after: Element) -> str:
    """Kept: its items too, with the rules applied inside."""
    if len(after.items) != len(before.items):
        return "has other items"
    old = {one.tag: one for one in before.items[0].elements}
    new = {one.tag: one for one in after.items[0].elements}
    if 0x00080104 in old and (0x00080104 not in new or new[0x00080104].raw != old[0x00080104].raw):
        return "changed what the table does not name"
    if wanted == "U" and new[0x00081155].raw == old[0x00081155].raw:
        return "refers to the original"
    return ""


FORMS = {
    "AE": rb"[ -\[\]-~]{1,16}",
    "AS": rb"\d{3}[DWMY]",
    "CS": rb"[A-Z0-9_ ]{1,16}",
    "DA": rb"\d{8}",
    "DS": rb"[-+0-9.eE ]{1,16}",
    "DT": rb"\d{4,14}(\.\d{1,6})?([+-]\d{4})? ?",
    "IS": rb"[-+0-9 ]{1,12}",
    "LO": rb"[^\\]{1,64}",
    "PN": rb"[^\\]{1,64}",
    "SH": rb"[^\\]{1,16}",
    "TM": rb"\d{2,6}(\.\d{1,6})? ?",
    "UI": rb"[0-9.]{1,64}\0?",
    "UR": rb"[^ \\]+ ?",
    "US": rb"..",
}


def fits(vr: str, value: bytes) -> bool:
    """Whether an encoded value is one of its VR (PS3.5 6.2)."""
    return len(value) % 2 == 0 and bool(re.fullmatch(FORMS.get(vr, rb".*"), value, re.DOTALL))


# ---------------------------------------------------------------- the claims


def _ids(option: str, places: list[Place] | tuple[Place, ...], syntaxes: tuple[str, ...]):
    for place in places:
        for syntax in syntaxes:
            form = "implicit" if syntax == IMPLICIT else "explicit"
            for row in table():
                label = f"{option}-{place.name}-{form}-{row.tag:08X}"
                yield pytest.param(option, place, syntax, row, id=label)


def _nested():
    """In each parent, the attributes whose type the standard states there; in one, all rows."""
    for place in NESTED_PLACES:
        names = " ".join(NESTED_TYPES[place.path[-1]].values()).split()
        for case in _ids(BASIC, [place], (EXPLICIT, IMPLICIT)):
            row = case.values[3]
            plain = row.cell(BASIC) not in BY_TYPE and place.path == ("BeamSequence",)
            if row.name in names or plain:
                yield case


def _of_classes():
    """In each class, what depends on types."""
    for case in _ids(BASIC, CLASS_PLACES, (EXPLICIT,)):
        row = case.values[3]
        if row.cell(BASIC) in BY_TYPE or row.tag in CONFLICTING:
            yield case


def _of_options():
    """Every cell at the root; those that say something in every place and form."""
    for option in OPTIONS:
        yield from _ids(option, [ROOT], (EXPLICIT,))
        others = [*_ids(option, [ROOT], (IMPLICIT,)), *_ids(option, [DEEP], (EXPLICIT, IMPLICIT))]
        yield from (case for case in others if case.values[3].cell(option))


def _of_pairs():
    """Rows of which two options say something, in the order of the columns and in the other."""
    full, modified = (f"retain-longitudinal-{dates}-dates" for dates in ("full", "modified"))
    for one, other in combinations(OPTIONS, 2):
        if (one, other) == (full, modified):
            continue  # exclude each other (E.3.6)
        for case in _ids(f"{one}+{other}", [ROOT, DEEP], (EXPLICIT,)):
            row = case.values[3]
            if row.cell(one) and row.cell(other):
                yield case


OPTIONS = tuple(option for option in COLUMN_OF if option != BASIC)
ALL_CASES = [
    *_ids(BASIC, PLACES, (EXPLICIT, IMPLICIT)),
    *_of_classes(),
    *_nested(),
    *_of_options(),
    *_of_pairs(),
]


def _groups():
    """The cases of one option in one place and form: one instance holds them all."""
    groups = {}
    for case in ALL_CASES:
        option, place, syntax, row = case.values
        groups.setdefault((option, place, syntax), []).append(row)
    for (option, place, syntax), rows in groups.items():
        form = "implicit" if syntax == IMPLICIT else "explicit"
        label = f"{option}-{place.name}-{form}"
        yield pytest.param(option, place, syntax, tuple(rows), id=label)


@pytest.mark.parametrize(("option", "place", "syntax", "rows"), [*_groups()])
def test_each_row_does_what_its_cell_says(option, place, syntax, rows):
    """All rows under one option, in one place and form."""
    before, after = outcome(option, place, syntax)
    assert {row.tag for row in rows} <= before.keys()
    wanted = {row: expected(row, option, place) for row in rows}
    found = [
        f"{wanted[row]}: {row.name} {row.vr} {fault}"
        for row in rows
        if (fault := judge(row, wanted[row], before[row.tag], after.get(row.tag)))
    ]
    assert found == []


def test_there_are_as_many_cases_as_promised():
    """And none twice."""
    assert len(ALL_CASES) >= 14_000
    assert max(Counter(case.id for case in ALL_CASES).values()) == 1


@pytest.mark.parametrize(("edition", "count"), EDITION_ROWS.items())
def test_each_edition_has_the_rows_it_was_printed_with(edition, count):
    """The CSV file, a tag printed twice counted once; the engine reads all of them."""
    tags = {record["tag"] for record in records(edition)}
    private = {tag for tag in tags if "gggg" in tag}

    assert len(tags) == count
    assert len(engine_rows(edition)) == count - len(private)


def test_one_offset_moves_all_dates_of_a_patient():
    """Whatever the VR, the class or the depth: the Patient ID of the root says whose it is."""
    option = "retain-longitudinal-modified-dates"
    for place in (ROOT, DEEP):
        before, after = outcome(option, place, EXPLICIT)
        moved = {
            (before[row.tag].value[:8], after[row.tag].value[:8])
            for row in table()
            if row.vr in {"DA", "DT"} and row.cell(option) == "C"
        }
        assert len(moved) == 1


def test_the_places_are_kept_by_the_table():
    """A parent that goes takes its rows along, and proves nothing."""
    listed = {row.tag for row in table()}
    for place in (*PLACES, *NESTED_PLACES):
        for keyword in place.path:
            assert tag_for_keyword(keyword) not in listed
            assert keyword_for_tag(tag_for_keyword(keyword)) == keyword


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("nested", [False, True])
def test_the_row_of_private_attributes(syntax, nested):
    """Safe ones stay with their creator (Table E.3.10-1); the rest of the block goes."""
    block = [
        instances.text(0x20010011, "LO", "Philips Imaging DD 001"),
        El(0x20011103, "FL", bytes(4)),  # Diffusion B-Factor
        El(0x200111FE, "LO", b"Zephyrine "),  # not in the table
        instances.text(0x20030010, "LO", "Philips Imaging DD 001"),
        El(0x20031003, "FL", bytes(4)),  # the same creator, of another group
    ]
    extra = [El(0x00081115, "SQ", [block])] if nested else block
    dataset = instances.dataset(instances.small_ct(extra), syntax)
    kept = {}
    for option in (BASIC, "retain-safe-private"):
        result = driving.engine(dataset, syntax, plan=plan(option)).dataset
        found = encoded.read(result, encoded.Form.of(syntax))
        if nested:
            (sequence,) = (one for one in found if one.tag == 0x00081115)
            found = sequence.items[0].elements
        kept[option] = [one.tag for one in found if one.tag >> 16 & 1]

    assert kept == {BASIC: [], "retain-safe-private": [0x20010011, 0x20011103]}

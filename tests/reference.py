"""The basic profile, slowly and obviously: the second opinion that the engine is held to.

`deidentify` takes a pydicom dataset and returns another, element by element, recursively.
It knows nothing of the engine: it reads Table E.1-1 and the attribute types of PS3.3 from their
CSV files, asks pydicom's dictionary, and borrows only the keyed functions `Pseudonyms.uid` and
`.identifier`.

`flat` turns a dataset into plain nested data, values still encoded, and `differences` compares
two of those, so that pydicom's own conversions (VR corrections, UN replaced) decide nothing.

Source: PS3.15 E.1-E.2 and Table E.1-1 (2026d); PS3.3 (2026b) for types; PS3.5 6.2 for values.
"""

from __future__ import annotations

import csv
import re
import struct
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.charset import decode_bytes
from pydicom.datadict import (
    DicomDictionary,
    dictionary_keyword,
    keyword_for_tag,
)
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID_dictionary
from pydicom.valuerep import TEXT_VR_DELIMS

import rules.pseudonyms
from tests.encoded import UNDEFINED, UNIT_BYTES, swapped, vr_in_dictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.pseudonyms import Pseudonyms

TABLES = Path(rules.pseudonyms.__file__).parent / "tables"
EDITION = "2026d"

PIXEL_REPRESENTATION = 0x00280103
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
PATIENT_ID = 0x00100020
IDENTITY_REMOVED, METHOD, METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
TEMPORAL_INFORMATION = 0x00280303
CODE_VALUE, CODING_SCHEME, CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
CONTENT_SEQUENCE, CONCEPT_NAME = 0x0040A730, 0x0040A043
GRAPHIC_ANNOTATIONS = 0x00700001
VERIFYING_OBSERVERS = 0x0040A073
TRAILING_PADDING = 0xFFFCFFFC

DUMMY = {
    "AE": b"ANONYMIZED",
    "AS": b"000Y",
    "AT": bytes(4),
    "CS": b"ANONYMIZED",
    "DA": b"19000101",
    "DS": b"0 ",
    "DT": b"19000101000000",
    "FD": bytes(8),
    "FL": bytes(4),
    "IS": b"0 ",
    "LO": b"ANONYMIZED",
    "LT": b"ANONYMIZED",
    "OB": bytes(2),
    "OD": bytes(8),
    "OF": bytes(4),
    "OL": bytes(4),
    "OV": bytes(8),
    "OW": bytes(2),
    "PN": b"ANONYMIZED",
    "SH": b"ANONYMIZED",
    "SL": bytes(4),
    "SS": bytes(2),
    "ST": b"ANONYMIZED",
    "SV": bytes(8),
    "TM": b"000000",
    "UC": b"ANONYMIZED",
    "UL": bytes(4),
    "UN": bytes(2),
    "UR": b"urn:anonymized",
    "US": bytes(2),
    "UT": b"ANONYMIZED",
    "UV": bytes(8),
}

# What a compound action means for types 1, 2 and 3, and where nobody knows the type: there the
# reading that is always conformant. X/Z/U* keeps the references and remaps the UIDs in them.
RESOLVED = {
    "X": "XXXX",
    "Z": "ZZZZ",
    "D": "DDDD",
    "U": "UUUU",
    "X/Z": "DZXZ",
    "X/D": "DDXD",
    "Z/D": "DZZD",
    "X/Z/D": "DZXD",
    "X/Z/U*": "UUUU",
}
X_AT_THE_TOP = "DZXX"  # plain X meets an IOD that wants the attribute: the IOD wins
UNKNOWN = 4
NET = {"PN": "D", "DA": "D", "TM": "D", "DT": "D", "UI": "U"}
"""Attributes outside the table, by VR."""


class Refused(Exception):
    """The instance has no usable SOP class or SOP instance UID."""


KINDS = frozenset(
    {
        *("RelatedGeneralSOPClassUID", "OriginalSpecializedSOPClassUID", "SOPClassesInStudy"),
        *("SOPClassUID", "CodingSchemeUID", "ContextGroupExtensionCreatorUID", "ContextUID"),
        *("MappingResourceUID", "StoredInstanceTransferSyntaxUID", "ReferencedSOPClassUID"),
        *("SOPClassesSupported", "AvailableTransferSyntaxUID", "CreatorVersionUID"),
        *("FlowTransferSyntaxUID", "MACCalculationTransferSyntaxUID", "SegmentationTemplateUID"),
        *("EncryptedContentTransferSyntaxUID", "PertinentSOPClassesInStudy"),
        *("PertinentSOPClassesInSeries", "ReferencedSOPClassUIDInFile"),
        *("ReferencedTransferSyntaxUIDInFile", "ReferencedRelatedGeneralSOPClassUIDInFile"),
    }
)
"""UIDs outside the table that say what a thing is, not which: they stay (PS3.15 E.1.1)."""


def records(name: str) -> list[dict[str, str]]:
    """The lines of a table."""
    with (TABLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def codes() -> dict[int, str]:
    """Action code by tag, of the rows that name one tag."""
    rows = records(f"ps315_E1-1_{EDITION}.csv")
    exact = (row for row in rows if row["tag_hex"] and "x" not in row["tag_hex"])
    return {int(row["tag_hex"], 16): row["basic_prof"] for row in exact}


@cache
def table() -> dict[int, str]:
    """What the codes mean where nobody knows the type."""
    return {tag: RESOLVED[code][UNKNOWN - 1] for tag, code in codes().items()}


@cache
def vr_in_table() -> dict[int, str]:
    """VR by tag of attributes newer than pydicom's dictionary."""
    return {int(row["tag"], 16): row["vr"] for row in records(f"ps36_supplement_{EDITION}.csv")}


def standard_vr(tag: int) -> str | None:
    """The VR of the standard; None for what it does not know."""
    return vr_in_dictionary(tag) or vr_in_table().get(tag)


Types = dict[int, int]


def _types(row: dict[str, str]) -> Types:
    second = {int(tag, 16): 2 for tag in row["type_2"].split()}
    return second | {int(tag, 16): 1 for tag in row["type_1"].split()}


@cache
def types_of_class() -> dict[str, Types]:
    """Type 1 or 2 of root attributes, by SOP class."""
    by_iod = {row["iod"]: _types(row) for row in records("ps33_root_types_2026b.csv")}
    classes = records("ps33_sop_classes_2026b.csv")
    return {row["sop_class_uid"]: by_iod[row["iod"]] for row in classes}


@cache
def types_in_items() -> dict[int, Types]:
    """Type 1 or 2 of the attributes in the items of a sequence, by its tag."""
    return {int(row["tag"], 16): _types(row) for row in records("ps33_nested_types_2026b.csv")}


def action(tag: int, types: Types | None = None, *, top: bool = False) -> str:
    """The action of the basic profile for a tag: X, Z, D, U or K.

    Args:
        tag: Of the attribute.
        types: Of the attributes around it; None where nobody knows them.
        top: Whether it stands at the top of an instance.
    """
    group, element = tag >> 16, tag & 0xFFFF
    group_length, private = element == 0, group % 2 == 1
    no_dataset = group in {0x0000, 0x0002}
    curve = 0x5000 <= group <= 0x50FE
    overlay = 0x6000 <= group <= 0x60FE
    if no_dataset or group_length or private or curve or overlay or tag == TRAILING_PADDING:
        return "X"
    if tag == PATIENT_ID:
        return "D"  # the pseudonym, so that a patient's instances stay together
    wanted = UNKNOWN if types is None else types.get(tag, 3)
    if tag in codes():
        by_type = RESOLVED[codes()[tag]]
        return (X_AT_THE_TOP if top and codes()[tag] == "X" else by_type)[wanted - 1]
    vr = standard_vr(tag)
    if vr is None:
        return "X"
    if vr == "UI" and dictionary_keyword(tag) in KINDS:
        return "K"
    return NET.get(vr, "K")


def every_action() -> dict[int, str]:
    """What the dictionary's attributes outside the table get, beside those of the table."""
    return table() | {tag: action(tag) for tag in DicomDictionary if tag not in table()}


@dataclass(frozen=True)
class Rewriter:
    """Everything that the rewriting of one instance needs to know."""

    profile_name: str
    scope: str
    pseudonyms: Pseudonyms
    knows_class: bool

    def dataset(self, source: Dataset, types: Types | None, *, top: bool = False) -> Dataset:
        """One dataset or item, in the order of its tags."""
        result = Dataset()
        for tag in sorted(source.keys()):
            element = self.element(source, tag, action(tag, types, top=top))
            if element is not None:
                put(result, tag, element)
        return result

    def element(
        self, parent: Dataset, tag: BaseTag, code: str
    ) -> DataElement | RawDataElement | None:
        """What becomes of one element; None when it is removed.

        An element that gets a new value gets it under the VR of the standard, whatever was
        stated (E.1-1a: a dummy is consistent with the VR). A sequence that should be walked
        but is stated as something that cannot be walked is removed, and so is a value kept
        under another VR that is none of the standard's.
        """
        original = parent.get_item(tag)
        if code == "X":
            return None
        if code == "K" and not is_sequence_by_standard(tag):
            return original if is_as_it_should_be(original) else None
        if is_sequence_by_standard(tag):
            return self.new_sequence(parent, original, code)
        return self.new_leaf(parent, original, code)

    def new_sequence(
        self, parent: Dataset, original: DataElement | RawDataElement, code: str
    ) -> DataElement | None:
        """K and U walk the items, Z empties, D puts one item in the place of all."""
        if code == "Z":
            return sequence(original.tag, [])
        if code == "D":
            return sequence(original.tag, [self.dummy_item(original.tag)])
        return self.kept(parent, original) if is_sequence(original) else None

    def new_leaf(
        self, parent: Dataset, original: DataElement | RawDataElement, code: str
    ) -> RawDataElement:
        """The element with its new value; items under a tag that is no sequence are no value."""
        tag, vr = original.tag, (standard_vr(original.tag) or "UN").split(" or ")[0]
        value = original.value if isinstance(original, RawDataElement) else b""
        if code == "Z":
            return raw(tag, vr, b"")
        if code == "U" or vr == "UI":
            return raw(tag, vr, self.new_uids(value or b"", dummy=code == "D"))
        if tag == PATIENT_ID:
            return raw(tag, vr, self.new_patient_id(value or b"", parent._character_set))
        return raw(tag, vr, TERMS.get(tag) or DUMMY[vr])

    def kept(self, parent: Dataset, original: DataElement | RawDataElement) -> DataElement:
        """A sequence in its own length form, every item rewritten."""
        types = types_in_items().get(original.tag) if self.knows_class else None
        items = [self.dataset(item, types) for item in items_of(parent, original)]
        kept = sequence(original.tag, items)
        kept.is_undefined_length = is_undefined(original)
        return kept

    def new_uids(self, value: bytes, *, dummy: bool = False) -> bytes:
        """Every UID of a value replaced, but for empty ones and those that DICOM registers."""
        values = [part.strip(" \0") for part in value.decode("latin-1").split("\\")]
        return even("\\".join(self.new_uid(part, dummy=dummy) for part in values), b"\0")

    def new_uid(self, original: str, *, dummy: bool = False) -> str:
        """One UID replaced; a dummy may not be empty, so there the empty one is too."""
        if original in UID_dictionary or (original == "" and not dummy):
            return original
        return self.pseudonyms.uid(self.scope, original)

    def new_patient_id(self, value: bytes, encodings: list[str]) -> bytes:
        """The pseudonym of the ID as its character set spells it."""
        original = decode_bytes(value, encodings, TEXT_VR_DELIMS).strip(" \0")
        if not original:
            return b"ANONYMIZED"
        return even(self.pseudonyms.identifier(self.scope, original))

    def dummy_item(self, tag: int) -> Dataset:
        """The one item that stands for a sequence whose action is D."""
        if keyword_of(tag).endswith("CodeSequence"):
            return code_item("ANONYMIZED", "99ANONODE", "Anonymized")
        item = item_of(*DUMMY_ITEMS.get(tag, ()))
        if tag == CONTENT_SEQUENCE:
            comment = code_item("121106", "DCM", "Comment")
            put(item, CONCEPT_NAME, sequence(CONCEPT_NAME, [comment]))
        if tag == VERIFYING_OBSERVERS:
            put(item, 0x0040A088, sequence(0x0040A088, []))
        if tag == GRAPHIC_ANNOTATIONS:
            put(item, TEXT_OBJECTS, sequence(TEXT_OBJECTS, [item_of(*DUMMY_ITEMS[TEXT_OBJECTS])]))
        if tag == OPERATORS:
            person = code_item("ANONYMIZED", "99ANONODE", "Anonymized")
            put(item, 0x00401101, sequence(0x00401101, [person]))
        if tag == PERFORMED_STEPS:
            put(item, 0x00081155, raw(0x00081155, "UI", self.new_uids(b"", dummy=True)))
        return item

    def mark(self, result: Dataset) -> None:
        """PS3.15 E.2: say that identity was removed, and how; never wipe what was said before."""
        put(result, IDENTITY_REMOVED, raw(IDENTITY_REMOVED, "CS", even("YES")))
        put(result, TEMPORAL_INFORMATION, raw(TEMPORAL_INFORMATION, "CS", even("REMOVED")))
        put(result, METHOD, self.marked_method(result))
        self.mark_codes(result)

    def marked_method(self, result: Dataset) -> RawDataElement:
        """Our value of (0012,0063) behind those that were there."""
        ours = f"Anonode: {self.profile_name}, basic {EDITION}"[:64].strip()
        before = result.get_item(METHOD).value or b"" if METHOD in result else b""
        text = before.decode("latin-1")
        if ours in (part.strip(" \0") for part in text.split("\\")):
            return result.get_item(METHOD)
        text = text.rstrip(" \0")
        return raw(METHOD, "LO", even(f"{text}\\{ours}" if text else ours))

    def mark_codes(self, result: Dataset) -> None:
        """Our item of (0012,0064) behind those that were there."""
        ours = {CODE_VALUE: "113100", CODING_SCHEME: "DCM"}
        items = list(result[METHOD_CODES].value or []) if METHOD_CODES in result else []
        for item in items:
            if all(text_of(item, tag) == text for tag, text in ours.items()):
                return
        added = code_item("113100", "DCM", "Basic Application Confidentiality Profile")
        was_undefined = METHOD_CODES in result and result[METHOD_CODES].is_undefined_length
        put(result, METHOD_CODES, sequence(METHOD_CODES, [*items, added]))
        result[METHOD_CODES].is_undefined_length = was_undefined


def deidentify(
    source: Dataset, pseudonyms: Pseudonyms, *, profile_name: str, scope: str | None = None
) -> Dataset:
    """The result of the basic profile for one instance; `source` may be changed.

    Raises:
        Refused: there is no SOP Class UID or no SOP Instance UID.
    """
    if not re.fullmatch(r"[0-9][0-9.]{0,63}", text_of(source, SOP_CLASS_UID)):
        raise Refused(hex(SOP_CLASS_UID))
    if not re.fullmatch(r"[^\\]+", text_of(source, SOP_INSTANCE_UID)):
        raise Refused(hex(SOP_INSTANCE_UID))
    types = types_of_class().get(text_of(source, SOP_CLASS_UID))
    rewriter = Rewriter(profile_name, scope or profile_name, pseudonyms, types is not None)
    result = rewriter.dataset(source, types, top=True)
    rewriter.mark(result)
    return result


# ---------------------------------------------------------------- values


def is_as_it_should_be(element: DataElement | RawDataElement) -> bool:
    """Whether an element's VR is one of the standard's, or its value fits one of those."""
    if is_sequence(element):
        return False
    allowed = (standard_vr(element.tag) or "").split(" or ")
    stated = element.VR
    if isinstance(element, RawDataElement) and element.is_implicit_VR:
        return True
    if stated in allowed:
        return True
    value = element.value if isinstance(element, RawDataElement) else _encoded(element)
    possible = [vr for vr in allowed if vr in FORMS or (stated not in FORMS and stated != "PN")]
    return any(fits(vr, value or b"") for vr in possible)


FORMS = {
    "AE": rb"[^\\\x00-\x1f\x7f-\xff]{1,16}",
    "AS": rb"[0-9]{3}[DWMY]",
    "CS": rb"[A-Z0-9_ ]{1,16}",
    "DS": rb" *[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)? *",
    "IS": rb" *[-+]?[0-9]{1,12} *",
    "LO": rb"[^\x00-\x1a\x1c-\x1f\x7f]{0,64}",
    "LT": rb"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]*",
    "SH": rb"[^\x00-\x1a\x1c-\x1f\x7f]{0,16}",
    "ST": rb"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]*",
    "UC": rb"[^\x00-\x1a\x1c-\x1f\x7f]*",
    "UI": rb"[0-9]+(\.[0-9]+)*",
    "UR": rb"[!-~]*",
    "UT": rb"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]*",
}
READS_AS_TEXT = re.compile(rb"[A-Za-z0-9^.-]{5}")  # no number, where a number should be
ONE_VALUE = {"LT", "ST", "UT", "UR"}
MOST_BYTES = {"DS": 16, "IS": 12, "UI": 64, "LT": 10240, "ST": 1024}


def fits(vr: str, value: bytes) -> bool:
    """Whether encoded bytes are a value of this VR (PS3.5 6.2); an empty one is of every VR."""
    if not value or vr in {"OB", "UN"}:
        return vr != "SQ"
    if vr not in FORMS:
        is_text = vr[0] != "O" and READS_AS_TEXT.search(value)
        return vr != "SQ" and len(value) % UNIT_BYTES[vr] == 0 and not is_text
    padded = value.rstrip(b" \0") if vr == "UI" else value.rstrip(b" ")
    values = [padded] if vr in ONE_VALUE else padded.split(b"\\")
    return all(_is_one(vr, one) for one in values)


def _is_one(vr: str, value: bytes) -> bool:
    within = len(value) <= MOST_BYTES.get(vr, len(value))
    return not value or (within and bool(re.fullmatch(FORMS[vr], value)))


def keyword_of(tag: int) -> str:
    """The keyword, also of attributes newer than pydicom's dictionary; empty if unknown."""
    newer = {
        int(row["tag"], 16): row["keyword"] for row in records(f"ps36_supplement_{EDITION}.csv")
    }
    return keyword_for_tag(tag) or newer.get(tag, "")


TERMS = {  # where PS3.3 defines the terms, or the form
    0x00080201: b"+0000 ",
    0x00100040: b"O ",
    0x00102203: b"UNALTERED ",
    0x04000565: b"COERCE",
}
TEXT_OBJECTS, OPERATORS, PERFORMED_STEPS = 0x00700008, 0x00081072, 0x00081111
DUMMY_ITEMS: dict[int, tuple[tuple[int, str, str | bytes], ...]] = {
    CONTENT_SEQUENCE: (
        (0x0040A010, "CS", "CONTAINS"),
        (0x0040A040, "CS", "TEXT"),
        (0x0040A160, "UT", "ANONYMIZED"),
    ),
    VERIFYING_OBSERVERS: (
        (0x0040A027, "LO", "ANONYMIZED"),
        (0x0040A030, "DT", "19000101000000"),
        (0x0040A075, "PN", "ANONYMIZED"),
    ),
    GRAPHIC_ANNOTATIONS: ((0x00700002, "CS", "ANONYMIZED"),),
    TEXT_OBJECTS: (
        (0x00700004, "CS", "PIXEL"),
        (0x00700006, "ST", "ANONYMIZED"),
        (0x00700014, "FL", bytes(8)),
        (0x00700015, "CS", "N"),
    ),
    OPERATORS: ((0x00080080, "LO", "ANONYMIZED"),),
    PERFORMED_STEPS: ((0x00081150, "UI", b"1.2.840.10008.3.1.2.3.3\0"),),
    0x00340001: ((0x00340002, "OB", bytes(2)),),
    0x0040B020: ((0x0040A0B0, "US", b"\1\0\0\0"), (0x00700006, "ST", "ANONYMIZED")),
}


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of the Code Sequence Macro (PS3.3 8.8)."""
    return item_of(
        (CODE_VALUE, "SH", value), (CODING_SCHEME, "SH", scheme), (CODE_MEANING, "LO", meaning)
    )


def item_of(*elements: tuple[int, str, str | bytes]) -> Dataset:
    """An item of leaves: tag, VR, and text or encoded value of each."""
    item = Dataset()
    for tag, vr, value in elements:
        put(item, tag, raw(tag, vr, even(value) if isinstance(value, str) else value))
    return item


# ---------------------------------------------------------------- pydicom, kept raw


def raw(tag: int, vr: str | None, value: bytes) -> RawDataElement:
    """An element whose value is already encoded."""
    return RawDataElement(
        BaseTag(tag),
        vr,
        len(value),
        value,
        value_tell=0,
        is_implicit_VR=False,
        is_little_endian=True,
    )


def put(dataset: Dataset, tag: int, element: DataElement | RawDataElement) -> None:
    """Add an element as it is; pydicom's own way in decodes Pixel Representation."""
    dataset._dict[BaseTag(tag)] = element


def sequence(tag: int, items: list[Dataset]) -> DataElement:
    """A sequence of these items, of defined length."""
    return DataElement(BaseTag(tag), "SQ", Sequence(items))


def even(text: str, padding: bytes = b" ") -> bytes:
    """Text as encoded, padded to even length."""
    value = text.encode("latin-1")
    return value + padding * (len(value) % 2)


def is_undefined(element: DataElement | RawDataElement) -> bool:
    """Whether the length is undefined."""
    if isinstance(element, RawDataElement):
        return element.length == UNDEFINED
    return element.is_undefined_length


def is_sequence(element: DataElement | RawDataElement) -> bool:
    """SQ as stated, or by the dictionary where nothing or UN is stated (PS3.5 6.2.2)."""
    if isinstance(element, DataElement) or element.VR == "SQ":
        return element.VR == "SQ"
    return element.VR in {None, "UN"} and is_sequence_by_standard(element.tag)


def is_sequence_by_standard(tag: int) -> bool:
    """Whether the dictionary, or the table for what is newer, calls it SQ."""
    return standard_vr(tag) == "SQ"


def items_of(parent: Dataset, element: DataElement | RawDataElement) -> list[Dataset]:
    """The items of a sequence, read in implicit VR where UN hides them (PS3.5 6.2.2)."""
    if isinstance(element, DataElement):
        return list(element.value or [])
    value = element.value or b""
    implicit = element.is_implicit_VR or element.VR == "UN"
    charsets = getattr(parent, "_character_set", None) or "iso8859"
    return list(
        read_sequence(BytesIO(value), implicit, element.is_little_endian, len(value), charsets)
    )


def text_of(dataset: Dataset, tag: int) -> str:
    """The text of an element without its padding; empty when absent."""
    element = dataset.get_item(tag)
    if element is None or is_sequence(element):
        return ""
    value = element.value or b""
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else str(value)


# ---------------------------------------------------------------- comparing


@dataclass(frozen=True, slots=True)
class Leaf:
    """One element that is no sequence; `vr` is None where the header states none."""

    vr: str | None
    value: bytes


@dataclass(frozen=True, slots=True)
class Branch:
    """One sequence."""

    items: tuple[dict[int, Leaf | Branch], ...]
    undefined: bool


def flat(dataset: Dataset) -> dict[int, Leaf | Branch]:
    """A dataset as plain data in the order of its tags, values as encoded."""
    return {int(tag): _flat_element(dataset, tag) for tag in dataset._dict}


def _flat_element(dataset: Dataset, tag: BaseTag) -> Leaf | Branch:
    element = dataset.get_item(tag)
    if is_sequence(element):
        items = items_of(dataset, element)
        return Branch(tuple(flat(item) for item in items), is_undefined(element))
    implicit = isinstance(element, RawDataElement) and element.is_implicit_VR
    return Leaf(None if implicit else element.VR, _encoded(element))


def _encoded(element: DataElement | RawDataElement) -> bytes:
    """The value as encoded in little endian.

    While reading, pydicom may have decoded two elements that it needs itself: Specific
    Character Set and Pixel Representation. They are encoded again, in little endian.
    """
    if isinstance(element, RawDataElement):
        value = element.value or b""
        vr = "US" if element.tag == PIXEL_REPRESENTATION else element.VR or "UN"
        return value if element.is_little_endian else swapped(value, vr)
    values = [element.value] if isinstance(element.value, str | int) else element.value or []
    if element.tag == PIXEL_REPRESENTATION:
        return b"".join(struct.pack("<H", number) for number in values)
    return even("\\".join(values))


def differences(
    expected: dict[int, Leaf | Branch], got: dict[int, Leaf | Branch], place: str = ""
) -> Iterator[str]:
    """One sentence for each disagreement: the place, what was expected and what was found."""
    for tag in sorted(expected.keys() | got.keys()):
        where = f"{place}({tag >> 16:04X},{tag & 0xFFFF:04X})"
        if tag not in got:
            yield f"{where} is missing; expected {expected[tag]!r:.200}"
        elif tag not in expected:
            yield f"{where} should not be there: {got[tag]!r:.200}"
        else:
            yield from _different(expected[tag], got[tag], where)


def _different(expected: Leaf | Branch, got: Leaf | Branch, where: str) -> Iterator[str]:
    match expected, got:
        case Branch(), Branch():
            if expected.undefined != got.undefined:
                yield f"{where} undefined length: expected {expected.undefined}"
            nothing: dict[int, Leaf | Branch] = {}
            if len(expected.items) != len(got.items):
                yield f"{where} has {len(got.items)} items; expected {len(expected.items)}"
            for index, pair in enumerate(
                zip_longest(expected.items, got.items, fillvalue=nothing)
            ):
                yield from differences(*pair, f"{where}[{index}].")
        case Leaf(), Leaf():
            if expected.vr and got.vr and expected.vr != got.vr:
                yield f"{where} has VR {got.vr}; expected {expected.vr}"
            if expected.value != got.value:
                yield f"{where} is {got.value!r:.120}; expected {expected.value!r:.120}"
        case _:
            yield f"{where} is {type(got).__name__}; expected {type(expected).__name__}"

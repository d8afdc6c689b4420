"""The basic profile, slowly and obviously: the second opinion that the engine is held to.

`deidentify` takes a pydicom dataset and returns another, element by element, recursively.
It knows nothing of the engine: it reads Table E.1-1 from its CSV file, asks pydicom's
dictionary, and borrows only the keyed functions `Pseudonyms.uid` and `.identifier`.

`flat` turns a dataset into plain nested data, values still encoded, and `differences` compares
two of those, so that pydicom's own conversions (VR corrections, UN replaced) decide nothing.

Source: PS3.15 E.1-E.2 and Table E.1-1 (2026d).
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
    dictionary_has_tag,
    dictionary_keyword,
    keyword_for_tag,
    repeater_has_tag,
)
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID_dictionary
from pydicom.valuerep import TEXT_VR_DELIMS

import rules.pseudonyms
from tests.encoded import UNDEFINED, swapped, vr_in_dictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.pseudonyms import Pseudonyms

TABLE = Path(rules.pseudonyms.__file__).parent / "tables" / "ps315_E1-1_2026d.csv"
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

# What a compound action means when the type of the attribute is not asked for: the reading
# that is always conformant. X/Z/U* keeps the references and remaps the UIDs in them.
RESOLVED = {
    "X": "X",
    "Z": "Z",
    "D": "D",
    "U": "U",
    "X/Z": "Z",
    "X/D": "D",
    "Z/D": "D",
    "X/Z/D": "D",
    "X/Z/U*": "U",
}


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


@cache
def table() -> dict[int, str]:
    """Resolved action by tag, of the rows that name one tag."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    exact = (row for row in rows if row["tag_hex"] and "x" not in row["tag_hex"])
    return {int(row["tag_hex"], 16): RESOLVED[row["basic_prof"]] for row in exact}


@cache
def vr_in_table() -> dict[int, str]:
    """VR by tag where the table states one; for attributes newer than pydicom's dictionary."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    exact = (row for row in rows if row["tag_hex"] and "x" not in row["tag_hex"] and row["vr"])
    return {int(row["tag_hex"], 16): row["vr"] for row in exact}


def action(tag: int) -> str:
    """The action of the basic profile for a tag: X, Z, D, U or K."""
    group, element = tag >> 16, tag & 0xFFFF
    group_length, private = element == 0, group % 2 == 1
    no_dataset = group in {0x0000, 0x0002}
    curve = 0x5000 <= group <= 0x50FE
    overlay = 0x6000 <= group <= 0x60FE
    if no_dataset or group_length or private or curve or overlay or tag == TRAILING_PADDING:
        return "X"
    if tag in table():
        return table()[tag]
    known = dictionary_has_tag(tag) or repeater_has_tag(tag)
    if known and vr_in_dictionary(tag) == "UI" and dictionary_keyword(tag) not in KINDS:
        return "U"
    return "K" if known else "X"


def every_action() -> dict[int, str]:
    """What the dictionary's attributes outside the table get, beside those of the table."""
    return table() | {tag: action(tag) for tag in DicomDictionary if tag not in table()}


@dataclass(frozen=True)
class Rewriter:
    """Everything that the rewriting of one instance needs to know."""

    profile_name: str
    scope: str
    pseudonyms: Pseudonyms

    def dataset(self, source: Dataset) -> Dataset:
        """One dataset or item, in the order of its tags."""
        result = Dataset()
        for tag in sorted(source.keys()):
            element = self.element(source, tag)
            if element is not None:
                put(result, tag, element)
        return result

    def element(self, parent: Dataset, tag: BaseTag) -> DataElement | RawDataElement | None:
        """What becomes of one element; None when it is removed.

        An element that gets a new value gets it under the VR of the standard, whatever was
        stated (E.1-1a: a dummy is consistent with the VR). A sequence that should be walked
        but is stated as something that cannot be walked is removed.
        """
        original = parent.get_item(tag)
        code = action(tag)
        if code == "X":
            return None
        if code == "K" and not is_sequence_by_standard(tag):
            return self.kept(parent, original) if is_sequence(original) else original
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
            return sequence(original.tag, [dummy_item(original.tag)])
        return self.kept(parent, original) if is_sequence(original) else None

    def new_leaf(
        self, parent: Dataset, original: DataElement | RawDataElement, code: str
    ) -> RawDataElement:
        """The element with its new value; items under a tag that is no sequence are no value."""
        tag, vr = original.tag, vr_in_dictionary(original.tag) or "UN"
        value = original.value if isinstance(original, RawDataElement) else b""
        if code == "Z":
            return raw(tag, vr, b"")
        if code == "U" or vr == "UI":
            return raw(tag, vr, self.new_uids(value or b"", dummy=code == "D"))
        if tag == PATIENT_ID:
            return raw(tag, vr, self.new_patient_id(value or b"", parent._character_set))
        return raw(tag, vr, DUMMY[vr])

    def kept(self, parent: Dataset, original: DataElement | RawDataElement) -> DataElement:
        """A sequence in its own length form, every item rewritten."""
        items = [self.dataset(item) for item in items_of(parent, original)]
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
        added = item_of(
            (CODE_VALUE, "SH", "113100"),
            (CODING_SCHEME, "SH", "DCM"),
            (CODE_MEANING, "LO", "Basic Application Confidentiality Profile"),
        )
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
    rewriter = Rewriter(profile_name, scope or profile_name, pseudonyms)
    result = rewriter.dataset(source)
    rewriter.mark(result)
    return result


# ---------------------------------------------------------------- dummies


def dummy_item(tag: int) -> Dataset:
    """The one item that stands for a sequence whose action is D."""
    if tag == CONTENT_SEQUENCE:
        name = item_of(
            (CODE_VALUE, "SH", "121106"),
            (CODING_SCHEME, "SH", "DCM"),
            (CODE_MEANING, "LO", "Comment"),
        )
        item = item_of(
            (0x0040A010, "CS", "CONTAINS"),
            (0x0040A040, "CS", "TEXT"),
            (0x0040A160, "UT", "ANONYMIZED"),
        )
        put(item, CONCEPT_NAME, sequence(CONCEPT_NAME, [name]))
        return item
    if tag == GRAPHIC_ANNOTATIONS:
        return item_of((0x00700002, "CS", "ANONYMIZED"))
    if tag == VERIFYING_OBSERVERS:
        item = item_of(
            (0x0040A027, "LO", "ANONYMIZED"),
            (0x0040A030, "DT", "19000101000000"),
            (0x0040A075, "PN", "ANONYMIZED"),
        )
        put(item, 0x0040A088, sequence(0x0040A088, []))
        return item
    if keyword_for_tag(tag).endswith("CodeSequence"):
        return item_of(
            (CODE_VALUE, "SH", "ANONYMIZED"),
            (CODING_SCHEME, "SH", "99ANONODE"),
            (CODE_MEANING, "LO", "Anonymized"),
        )
    return Dataset()


def item_of(*elements: tuple[int, str, str]) -> Dataset:
    """An item of text elements: tag, VR and text of each."""
    item = Dataset()
    for tag, vr, text in elements:
        put(item, tag, raw(tag, vr, even(text)))
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
    return (vr_in_dictionary(tag) or vr_in_table().get(tag)) == "SQ"


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
    """The value as encoded.

    While reading, pydicom may have decoded two elements that it needs itself: Specific
    Character Set and Pixel Representation. They are encoded again, in little endian.
    """
    if isinstance(element, RawDataElement):
        value = element.value or b""
        turned = element.tag == PIXEL_REPRESENTATION and not element.is_little_endian
        return swapped(value, "US") if turned else value
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

"""Instances made by functions: images, nested sequences, private blocks, canaries.

Every function returns elements (`tests.encoded.El`) in the order of their tags, to be encoded
by `dataset` or `file` in one of the transfer syntaxes. Values are in little endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pydicom.datadict import DicomDictionary, repeater_has_tag

from tests import reference
from tests.encoded import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    El,
    Form,
    encode,
    part10,
    transferred,
)

SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
LITTLE_SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.11"
ROOT = "1.2.826.0.1.3680043.9.9999"
PIXEL_DATA = 0x7FE00010

# Sixteen sequences that the basic profile keeps, for the sixteen mixtures of length forms.
KEPT_SEQUENCES = (
    0x00080051, 0x00080110, 0x00080121, 0x00080220, 0x00080300, 0x00081032, 0x0008103F, 0x00081115,
    0x00081130, 0x0008113A, 0x00081145, 0x0008114A, 0x00081250, 0x00082218, 0x00082228, 0x00082229,
)  # fmt: skip


def text(tag: int, vr: str, value: str) -> El:
    """An element of text, padded to even length as its VR asks."""
    encoded = value.encode("utf-8")
    padding = b"\0" if vr == "UI" else b" "
    return El(tag, vr, encoded + padding * (len(encoded) % 2))


def number(tag: int, vr: str, value: int) -> El:
    """An element of one number."""
    return El(tag, vr, struct.pack({"US": "<H", "UL": "<I", "SS": "<h"}[vr], value))


def code(value: str, scheme: str, meaning: str) -> list[El]:
    """The elements of one code item."""
    return [
        text(0x00080100, "SH", value),
        text(0x00080102, "SH", scheme),
        text(0x00080104, "LO", meaning),
    ]


def merged(elements: list[El], extra: list[El]) -> list[El]:
    """Both in the order of tags; an element of `extra` takes the place of its like."""
    by_tag = {element.tag: element for element in [*elements, *extra]}
    return [by_tag[tag] for tag in sorted(by_tag)]


def dataset(elements: list[El], transfer_syntax: str) -> bytes:
    """The dataset as a peer sends it in this transfer syntax, deflated if so called."""
    return transferred(encode(elements, Form.of(transfer_syntax)), transfer_syntax)


def file(elements: list[El], transfer_syntax: str) -> bytes:
    """The same as a Part 10 file."""
    return part10(dataset(elements, transfer_syntax), transfer_syntax)


# ---------------------------------------------------------------- images


def ct(
    rows: int = 512, columns: int = 512, *, instance: int = 1, extra: list[El] | None = None
) -> list[El]:
    """A CT image with the elements that a scanner sends, private ones among them."""
    pixels = (struct.pack("<H", instance & 0xFFFF) * columns) * rows
    elements = [
        text(0x00080005, "CS", "ISO_IR 100"),
        text(0x00080008, "CS", r"ORIGINAL\PRIMARY\AXIAL"),
        text(0x00080012, "DA", "20200102"),
        text(0x00080013, "TM", "101112"),
        text(0x00080016, "UI", CT_IMAGE),
        text(0x00080018, "UI", f"{ROOT}.1.1.{instance}"),
        text(0x00080020, "DA", "20200102"),
        text(0x00080030, "TM", "101000"),
        text(0x00080050, "SH", "ACC-77"),
        text(0x00080060, "CS", "CT"),
        text(0x00080070, "LO", "Maker"),
        text(0x00080080, "LO", "Hospital of St Elsewhere"),
        text(0x00080090, "PN", "Referrer^Ruth"),
        text(0x00081030, "LO", "Abdomen of Mrs Doe"),
        El(0x00081140, "SQ", [_reference(instance + 1)]),
        text(0x00090010, "LO", "MAKER HEADER"),
        text(0x00091001, "LO", "secret of the maker"),
        text(0x00100010, "PN", "Doe^Jane"),
        text(0x00100020, "LO", "PAT-4711"),
        text(0x00100030, "DA", "19700102"),
        text(0x00100040, "CS", "F"),
        text(0x00101010, "AS", "050Y"),
        text(0x00180050, "DS", "5.0"),
        text(0x00181000, "LO", "SERIAL-9"),
        text(0x00181030, "LO", "Abdomen routine"),
        text(0x0020000D, "UI", f"{ROOT}.1"),
        text(0x0020000E, "UI", f"{ROOT}.1.1"),
        text(0x00200010, "SH", "S1"),
        text(0x00200011, "IS", "1"),
        text(0x00200013, "IS", str(instance)),
        text(0x00200052, "UI", f"{ROOT}.1.9"),
        number(0x00280002, "US", 1),
        text(0x00280004, "CS", "MONOCHROME2"),
        number(0x00280010, "US", rows),
        number(0x00280011, "US", columns),
        number(0x00280100, "US", 16),
        number(0x00280101, "US", 12),
        number(0x00280102, "US", 11),
        number(0x00280103, "US", 0),
        text(0x00281052, "DS", "-1024"),
        El(PIXEL_DATA, "OW", pixels),
    ]
    return merged(elements, extra or [])


def _reference(instance: int) -> list[El]:
    return [
        text(0x00081150, "UI", CT_IMAGE),
        text(0x00081155, "UI", f"{ROOT}.1.1.{instance}"),
    ]


def small_ct(extra: list[El] | None = None, *, instance: int = 1) -> list[El]:
    """A CT of 8 x 8."""
    return ct(8, 8, instance=instance, extra=extra)


def report_on(instance: int) -> list[El]:
    """A structured report whose evidence is a `ct` of that number."""
    series = [
        El(0x00081199, "SQ", [_reference(instance)]),
        text(0x0020000E, "UI", f"{ROOT}.1.1"),
    ]
    study = [El(0x00081115, "SQ", [series]), text(0x0020000D, "UI", f"{ROOT}.1")]
    content = [
        text(0x0040A010, "CS", "CONTAINS"),
        text(0x0040A040, "CS", "TEXT"),
        El(0x0040A043, "SQ", [code("121071", "DCM", "Finding")]),
        text(0x0040A160, "UT", "Mrs Doe is well"),
    ]
    return [
        text(0x00080016, "UI", SR),
        text(0x00080018, "UI", f"{ROOT}.1.2.{instance}"),
        text(0x00080060, "CS", "SR"),
        text(0x00100010, "PN", "Doe^Jane"),
        text(0x00100020, "LO", "PAT-4711"),
        text(0x0020000D, "UI", f"{ROOT}.1"),
        text(0x0020000E, "UI", f"{ROOT}.1.2"),
        text(0x0040A040, "CS", "CONTAINER"),
        El(0x0040A375, "SQ", [study], undefined=True, items_undefined=True),
        El(0x0040A730, "SQ", [content], undefined=True),
    ]


def encapsulated(extra: list[El] | None = None) -> list[El]:
    """A JPEG image: offset table and fragments, one of which looks like a delimiter inside."""
    fragments = [bytes(4), b"\xff\xd8" + b"\xfe\xff\xdd\xe0\0\0\0\0" * 3 + b"\xff\xd9"]
    pixels = El(PIXEL_DATA, "OB", fragments=fragments)
    return small_ct([pixels, *(extra or [])])


def with_every_length_form() -> list[El]:
    """Nested sequences, three deep, in all sixteen mixtures of the length forms."""
    nests = [_nest(tag, shape) for shape, tag in enumerate(KEPT_SEQUENCES)]
    return small_ct(nests)


def _nest(tag: int, shape: int) -> El:
    inner = El(0x0040A170, "SQ", [code("in", "99X", "kept"), []], bool(shape & 1), bool(shape & 2))
    item = [text(0x00080104, "LO", "Meaning"), text(0x00100010, "PN", "Inner^Name"), inner]
    return El(tag, "SQ", [item, [], item], bool(shape & 4), bool(shape & 8))


# ---------------------------------------------------------------- canaries


@dataclass(slots=True)
class Canaries:
    """Words, each unique, by whether the basic profile lets them stay."""

    gone: set[bytes] = field(default_factory=set)
    stay: set[bytes] = field(default_factory=set)
    count: int = 0

    def word(self, *, stays: bool, uid: bool = False) -> bytes:
        """Sixteen bytes found nowhere else: a length that suits every VR, text or number."""
        self.count += 1
        name = f"1.2.7.1{self.count:09d}" if uid else f"CANARY{self.count:08d}QX"
        (self.stay if stays else self.gone).add(name.encode())
        return name.encode()


UNKNOWN_EVEN = 0x00080FF0  # in no edition of the dictionary
NO_CANARY = frozenset(
    # Read by the engine, and by every reader, in order to read the rest; or not text at all.
    [
        0x00080005,
        0x00080016,
        0x00080018,
        0x00120062,
        0x00120063,
        0x00120064,
        0x00280303,
        PIXEL_DATA,
    ]
)


def canary_dataset(action: dict[int, str], *, stated_vr: str | None = None) -> _CanaryDataset:
    """An instance with a unique word in every element of the dictionary, and in every place.

    Args:
        action: X, Z, D, U or K by tag; what is not named stays (K) if the dictionary has it.
        stated_vr: Instead of the dictionary's, for everything but sequences: `UN`.
    """
    return _CanaryDataset(action, stated_vr)


class _CanaryDataset:
    def __init__(self, action: dict[int, str], stated_vr: str | None) -> None:
        self._action = action
        self._stated_vr = stated_vr
        self.words = Canaries()
        self.elements = self._all()

    def _all(self) -> list[El]:
        elements = self._odd_ones()
        taken = {element.tag for element in elements}
        tags = [tag for tag in DicomDictionary if self._wanted(tag) and tag not in taken]
        elements += [self._element(tag, DicomDictionary[tag][0]) for tag in tags]
        elements += [self._leaf(tag, "LO", stays=False) for tag in (0x50002500, 0x60020022)]
        elements += [text(0x00080016, "UI", CT_IMAGE), text(0x00080005, "CS", "ISO_IR 192")]
        instance = self.words.word(stays=False, uid=True)  # one value: no instance has two
        elements.append(El(0x00080018, "UI", instance))
        fragments = [b"", self.words.word(stays=True)]
        elements.append(El(PIXEL_DATA, "OB", fragments=fragments))
        return sorted(elements, key=lambda element: element.tag)

    def _wanted(self, tag: int) -> bool:
        special = tag in NO_CANARY or tag >> 16 in {0x0000, 0x0002, 0x0004, 0xFFFE}
        return not special and not tag >> 16 & 1 and not repeater_has_tag(tag)

    def _element(self, tag: int, vr: str) -> El:
        action = self._action.get(tag, "K")
        if vr == "SQ":
            return self._sequence(tag, stays=action in "KU")
        return self._leaf(tag, vr, stays=action == "K")

    def _leaf(self, tag: int, vr: str, *, stays: bool) -> El:
        choices = vr.split(" or ")
        stated = self._stated_vr or choices[0]
        if stays and stated not in choices and vr != "UI":
            # What is stated as something else is kept if it could be what it should be.
            stays = any(reference.fits(one, b"CANARY00000000QX") for one in choices)
        if vr == "UI":
            two = [self.words.word(stays=stays, uid=True) for _ in range(2)]
            return El(tag, stated, two[0] + b"\\" + two[1] + b"\0")
        if vr == "PN":
            three = [self.words.word(stays=stays) for _ in range(3)]
            return El(tag, stated, three[0] + b"^" + three[1] + b"=" + three[2])
        return El(tag, stated, self.words.word(stays=stays))

    def _sequence(self, tag: int, *, stays: bool) -> El:
        """Every place in which a word can hide below a sequence, in changing length forms."""
        shape = self.words.count
        deep = [self._leaf(0x00080104, "LO", stays=stays), *self._removed_ones()]
        inner = El(0x0040A170, "SQ", [deep], bool(shape & 1), bool(shape & 2))
        item = sorted([self._element_in(0x00080104, stays=stays), inner], key=lambda el: el.tag)
        return El(tag, "SQ", [[], item], bool(shape & 4), bool(shape & 8))

    def _element_in(self, tag: int, *, stays: bool) -> El:
        return self._leaf(tag, DicomDictionary[tag][0], stays=stays)

    def _removed_ones(self) -> list[El]:
        return [
            self._leaf(0x00100010, "PN", stays=False),
            self._leaf(0x00100020, "LO", stays=False),
            self._leaf(0x00110010, "LO", stays=False),
            El(0x00111001, "SQ", [[self._leaf(0x00080104, "LO", stays=False)]], undefined=True),
            self._leaf(0x00200200, "UI", stays=False),
        ]

    def _odd_ones(self) -> list[El]:
        """Private blocks, tags nobody knows, and what UN of undefined length hides."""
        return [
            self._leaf(UNKNOWN_EVEN, "LO", stays=False),
            El(UNKNOWN_EVEN + 1, "SQ", [self._hidden(stays=False)], undefined=True),
            El(UNKNOWN_EVEN + 2, "UN", [self._hidden(stays=False)], undefined=True),
            self._leaf(0x00090010, "LO", stays=False),
            self._leaf(0x00091001, "UN", stays=False),
            El(0x00091002, "UN", [self._hidden(stays=False)], undefined=True),
            self._leaf(0x00290010, "LO", stays=False),
            El(0x00291010, "SQ", [self._hidden(stays=False)], items_undefined=True),
            self._leaf(0x00311001, "LO", stays=False),  # without its creator
            El(KEPT_SEQUENCES[0], "UN", [self._hidden(stays=True)], undefined=True),
            El(KEPT_SEQUENCES[1], "UN", [self._hidden(stays=True)]),
        ]

    def _hidden(self, *, stays: bool) -> list[El]:
        return [
            self._leaf(0x00080104, "LO", stays=stays),
            self._leaf(0x00100010, "PN", stays=False),
        ]

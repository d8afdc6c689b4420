"""Unique words planted into real instances, wherever identity has been found to hide.

`plant` takes a well-formed Part 10 file and puts words into it without touching another byte of
its dataset; `survivors` says which of them are left, and `changed` what else became different.

A word that free text should lose is one of the patient's own values, planted elsewhere, too:
nothing else tells it from a clinical one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests import driving, encoded, instances, reference
from tests.encoded import El, Element

if TYPE_CHECKING:
    from collections.abc import Iterator

META = 0x0002
BLOCK = 0xF1  # of private elements; no real file uses it
SAFE_CREATOR = "Philips Imaging DD 001"
NOBODY = "QX NOBODY"
CONTENT_SEQUENCE = 0x0040A730
IMAGE_COMMENTS = 0x00204000
PATH = (0x00081115, 0x0008114A, 0x0040A170)  # sequences that the table does not name


@dataclass(slots=True)
class Words:
    """The words of one instance, by the place that they were planted in."""

    number: int = 0
    places: dict[bytes, str] = field(default_factory=dict)

    def name(self, place: str) -> str:
        """A word of letters only, as names are."""
        letters, number = "", self._next()
        for _ in range(3):
            number, digit = divmod(number, 23)
            letters += "bcdfghjklmnpqrstvwxyzqv"[digit] + "aeiou"[digit % 5]
        return self._planted(f"Qx{letters}zuv", place)

    def identifier(self, place: str) -> str:
        """Capitals and digits, as record numbers are."""
        return self._planted(f"QXID{self._next():06d}", place)

    def uid(self, place: str) -> str:
        return self._planted(f"1.2.7.88.{self._next():06d}.1", place)

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _planted(self, word: str, place: str) -> str:
        self.places[word.encode()] = place
        return word


@dataclass(frozen=True, slots=True)
class Planted:
    """A file with words in it, and the tags at its root that were planted."""

    file: bytes
    dataset: bytes
    transfer_syntax: str
    words: dict[bytes, str]
    tags: frozenset[int]


def plant(file: bytes, *, charset: str = "") -> Planted:
    """The file with words in every place; raises `encoded.Irregular` for one not well formed.

    Args:
        file: Part 10, or a dataset alone.
        charset: A Specific Character Set to be planted, too.
    """
    _, dataset = encoded.split_part10(file)
    syntax = driving.transfer_syntax_of(file)
    form = encoded.Form.of(syntax)
    plain = encoded.inflate(dataset) if syntax == encoded.DEFLATED else dataset
    words = Words()
    added = [*_everything(words), *_wrong_vrs(words, form)]
    if charset:
        added.append(instances.text(0x00080005, "CS", charset))
    if form.big:  # what UN hides there is read differently by every reader
        added = [one for one in added if one.vr != "UN"]
    merged = _merged(encoded.read(plain, form), added, form)
    new = encoded.transferred(merged, syntax)
    meta = _meta(words)
    preamble = words.identifier("preamble").encode() * 9
    whole = preamble + encoded.part10(new, syntax, meta=meta)[len(preamble) :]
    there = {word: place for word, place in words.places.items() if word in merged + whole}
    return Planted(whole, new, syntax, there, frozenset(one.tag for one in added))


def _merged(standing: tuple[Element, ...], added: list[El], form: encoded.Form) -> bytes:
    """The bytes of what stands, and between them what is added, in the order of tags."""
    parts = {one.tag: one.raw for one in standing}
    parts |= {one.tag: encoded.encode_one(one, form) for one in added}
    return b"".join(parts[tag] for tag in sorted(parts))


def _meta(words: Words) -> list[El]:
    creator = words.uid("private information creator")
    return [
        El(0x00020016, "AE", _even(words.identifier("source AE"))),
        El(0x00020100, "UI", _even(creator, b"\0")),
        El(0x00020102, "OB", _even(words.identifier("private information"))),
    ]


def _even(text: str, padding: bytes = b" ") -> bytes:
    return text.encode() + padding * (len(text.encode()) % 2)


# ---------------------------------------------------------------- where words are planted


@dataclass(frozen=True, slots=True)
class Patient:
    """The values that free text may repeat."""

    family: str
    given: str
    record: str
    accession: str
    referrer: str

    def text(self, before: str = "Chest of") -> str:
        return f"{before} {self.family}, {self.record}"

    @property
    def name(self) -> str:
        return f"{self.family}^{self.given}"


def _everything(words: Words) -> list[El]:
    patient = Patient(
        words.name("family name"),
        words.name("given name"),
        words.identifier("PatientID"),
        words.identifier("AccessionNumber"),
        words.name("referring physician"),
    )
    return [
        *_identity(words, patient),
        *_free_text(patient),
        _nested(words, patient),
        *_private(words, patient),
        *_graphics(words, patient),
        *_odd(words, patient),
        El(CONTENT_SEQUENCE, "SQ", report(words, patient), undefined=True),
    ]


def _identity(words: Words, patient: Patient) -> list[El]:
    """What says who the patient is, and who took care."""
    return [
        instances.text(0x00080050, "SH", patient.accession),
        instances.text(0x00080080, "LO", f"{words.name('institution')} Hospital"),
        instances.text(0x00080081, "ST", f"7 {words.name('institution address')} Street"),
        instances.text(0x00080090, "PN", f"{patient.referrer}^Dr"),
        instances.text(0x00080092, "ST", f"9 {words.name('referrer address')} Street"),
        instances.text(0x00081050, "PN", f"{words.name('performer')}^Dr"),
        instances.text(0x00081070, "PN", f"{words.name('operator')}^Dr"),
        instances.text(0x00100010, "PN", patient.name),
        instances.text(0x00100020, "LO", patient.record),
        instances.text(0x00100021, "LO", words.identifier("issuer")),
        instances.text(0x00101000, "LO", words.identifier("other ID")),
        instances.text(0x00101001, "PN", f"{words.name('other name')}^X"),
        instances.text(0x00101040, "LO", f"11 {words.name('address')} Road"),
        instances.text(0x00102154, "SH", "+49 30 1234567"),
        instances.text(0x00321032, "PN", f"{words.name('requester')}^Dr"),
        instances.text(0x00380010, "LO", words.identifier("admission")),
        instances.text(0x0040A123, "PN", f"{words.name('stray person name')}^X"),
        instances.text(0x00200242, "UI", words.uid("unlisted UID")),
    ]


def _free_text(patient: Patient) -> list[El]:
    """Descriptions that repeat the patient's own values."""
    return [
        instances.text(0x00081030, "LO", patient.text()),
        instances.text(0x0008103E, "LO", f"T1 {patient.given} {patient.accession}"),
        instances.text(0x001021B0, "LT", patient.text("Smoker,")),
        instances.text(0x00104000, "LT", f"Comes from Dr {patient.referrer}, {patient.name}"),
        instances.text(0x00181030, "LO", f"Head {patient.family.upper()}"),
        instances.text(IMAGE_COMMENTS, "LT", f"{patient.given.lower()} held breath"),
    ]


def _nested(words: Words, patient: Patient) -> El:
    """Three sequences deep, in changing length forms."""
    elements = [
        instances.text(0x00080104, "LO", "Meaning"),
        instances.text(0x00080050, "SH", words.identifier("nested accession")),
        instances.text(0x00081030, "LO", patient.text()),
        instances.text(0x00090000 + BLOCK, "LO", NOBODY),
        instances.text(0x00090000 + (BLOCK << 8), "LO", words.identifier("nested private")),
        instances.text(0x00100010, "PN", f"{words.name('nested name')}^Y"),
        instances.text(0x00100020, "LO", words.identifier("nested ID")),
        instances.text(0x0020000E, "UI", words.uid("nested UID")),
    ]
    elements.sort(key=lambda one: one.tag)
    element = El(PATH[-1], "SQ", [elements], undefined=True)
    for depth, tag in enumerate(reversed(PATH[:-1])):
        items = [[element], [instances.text(0x00100010, "PN", words.name("second item"))]]
        element = El(tag, "SQ", items, items_undefined=bool(depth))
    return element


def _private(words: Words, patient: Patient) -> list[El]:
    """Blocks that nobody knows, an orphan, and a block of which the standard knows a part."""
    unknown, safe = 0x00090000, 0x20010000
    hidden = [[instances.text(0x00100010, "PN", words.name("name hidden in private UN"))]]
    stack = [
        instances.text(0x00100010, "PN", words.name("name in safe sequence")),
        instances.text(0x00110000 + BLOCK, "LO", NOBODY),
        instances.text(0x00110000 + (BLOCK << 8), "LO", words.identifier("unsafe in safe")),
    ]
    start, known = unknown + (BLOCK << 8), safe + (BLOCK << 8)
    return [
        instances.text(unknown + BLOCK, "LO", NOBODY),
        instances.text(start + 1, "LO", words.identifier("unknown private")),
        El(start + 2, "UN", _even(words.identifier("private blob") + "\0\1\2\3")),
        El(start + 3, "UN", hidden, undefined=True),
        El(start + 4, "SQ", hidden),
        instances.text(0x00130000 + (BLOCK << 8) + 1, "LO", words.identifier("orphan")),
        instances.text(safe + BLOCK, "LO", SAFE_CREATOR),
        El(known + 0x01, "LO", _even(words.identifier("wrong VR in safe block"))),
        El(known + 0x03, "UN", _even(words.identifier("UN in safe block"))),
        El(known + 0x5F, "SQ", [stack]),
        instances.text(known + 0x80, "LO", patient.text("Right")),
        instances.text(known + 0xFE, "LO", words.identifier("unlisted in safe block")),
    ]


def _graphics(words: Words, patient: Patient) -> list[El]:
    icon = [
        instances.number(0x00280010, "US", 4),
        El(instances.PIXEL_DATA, "OW", _even(words.identifier("icon"))),
    ]
    text = [instances.text(0x00700006, "ST", patient.text("Right"))]
    return [
        El(0x00880200, "SQ", [icon]),
        instances.text(0x50002500, "LO", words.identifier("curve label")),
        El(0x50003000, "OW", _even(words.identifier("curve"))),
        instances.text(0x60000022, "LO", words.identifier("overlay description")),
        El(0x60003000, "OW", _even(words.identifier("overlay"))),
        instances.text(0x60004000, "LT", words.identifier("overlay comment")),
        El(0x00700001, "SQ", [[El(0x00700008, "SQ", [text])]]),
    ]


def _odd(words: Words, patient: Patient) -> list[El]:
    """What survives where only the named attributes are looked at."""
    attributes = [instances.text(0x00100010, "PN", words.name("original attribute"))]
    nobody = instances.UNKNOWN_EVEN
    return [
        El(nobody, "UN", _even(words.identifier("unknown tag"))),
        El(nobody + 1, "SQ", [[instances.text(0x00080104, "LO", words.name("unknown tag"))]]),
        El(0x00081032, "UN", [[instances.text(0x00100010, "PN", patient.name)]], undefined=True),
        El(0x04000561, "SQ", [[El(0x04000550, "SQ", [attributes])]]),
        El(0xFFFAFFFA, "SQ", [[instances.text(0x04000115, "LO", words.name("signature"))]]),
        El(0xFFFCFFFC, "OB", _even(words.identifier("trailing padding"))),
    ]


def _wrong_vrs(words: Words, form: encoded.Form) -> Iterator[El]:
    """Text under attributes that are no text; implicit VR has no way to say so."""
    if form.implicit:
        return
    yield El(0x00080022, "LO", _even(words.name("text in DA")))
    yield El(0x00180072, "LO", _even(f"about {words.name('text in DS')}"))
    yield El(0x00189073, "ST", _even(f"about {words.name('text in FD')}, long"))
    yield El(0x00185101, "UN", _even(f"of {words.name('text in CS')}^x"))
    yield El(0x00280A02, "UT", _even(f"of {words.name('free text in CS')}, free"))


def report(words: Words, patient: Patient) -> list[list[El]]:
    """Content items of several value types, the patient's own values among their text."""
    uid = words.uid("UIDREF")
    nested = [_content("TEXT", "Comment", El(0x0040A160, "UT", _even(patient.text("Seen:"))))]
    container = _content("CONTAINER", "Findings", El(CONTENT_SEQUENCE, "SQ", nested))
    named = instances.code("QX1", "99QX", patient.text("Scar of"))
    person = instances.text(0x0040A123, "PN", f"{words.name('PNAME')}^Z")
    return [
        _content("TEXT", "Finding", El(0x0040A160, "UT", _even(patient.text("Well,")))),
        _content("PNAME", "Person Observer Name", person),
        _content("UIDREF", "UID", El(0x0040A124, "UI", _even(uid, b"\0"))),
        _content("CODE", "Finding", El(0x0040A168, "SQ", [named])),
        container,
    ]


CONCEPTS = {
    "Comment": "121106",
    "Finding": "121071",
    "Findings": "121070",
    "Person Observer Name": "121008",
    "UID": "112040",
}


def _content(value_type: str, concept: str, value: El) -> list[El]:
    return sorted(
        [
            instances.text(0x0040A010, "CS", "CONTAINS"),
            instances.text(0x0040A040, "CS", value_type),
            El(0x0040A043, "SQ", [instances.code(CONCEPTS[concept], "DCM", concept)]),
            value,
        ],
        key=lambda element: element.tag,
    )


# ---------------------------------------------------------------- what is left of them


def survivors(words: dict[bytes, str], result: driving.Output) -> dict[str, str]:
    """The places of words that are found in the result, and where; also written otherwise."""
    haystacks = {
        "dataset": result.dataset,
        "file": result.file,
        "report": repr(result.report).encode(),
    }
    found = {}
    for where, haystack in haystacks.items():
        lowered = haystack.lower()
        for word, place in words.items():
            if any(spelling in lowered for spelling in _spellings(word)):
                found[place] = where
    return found


def _spellings(word: bytes) -> tuple[bytes, ...]:
    """As bytes, in two-byte characters, and as numbers of the other byte order; in lower case."""
    text = word.decode().lower()
    plain = text.encode()
    numbers = encoded.swapped(plain, "US")
    return plain, text.encode("utf-16-le"), text.encode("utf-16-be"), numbers, plain[::-1]


def changed(planted: Planted, result: driving.Output) -> list[str]:
    """The places of elements that Annex E does not touch and that are not what they were."""
    form = encoded.Form.of(planted.transfer_syntax)
    deflated = planted.transfer_syntax == encoded.DEFLATED
    plain = encoded.inflate(planted.dataset) if deflated else planted.dataset
    skipped = planted.tags | MARKS
    before = [one for one in encoded.read(plain, form) if one.tag not in skipped]
    return list(_changed(before, encoded.read(result.dataset, form)))


MARKS = frozenset(
    [
        *(reference.IDENTITY_REMOVED, reference.METHOD, reference.METHOD_CODES),
        *(reference.TEMPORAL_INFORMATION, 0x00280301),
    ]
)


def _changed(
    before: list[Element] | tuple[Element, ...], after: tuple[Element, ...], place: str = ""
) -> Iterator[str]:
    found = {one.tag: one for one in after}
    for one in before:
        where = f"{place}({one.tag:08X})"
        if not untouched(one):
            continue
        there = found.get(one.tag)
        if there is None:
            yield f"{where} is missing"
        elif one.items is None:
            if there.raw != one.raw:
                yield f"{where} differs"
        elif there.items is None or len(there.items) != len(one.items):
            yield f"{where} has other items"
        else:
            for index, (old, new) in enumerate(zip(one.items, there.items, strict=True)):
                yield from _changed(old.elements, new.elements, f"{where}[{index}].")


def untouched(element: Element) -> bool:
    """Whether neither the table nor what is said beyond it gives an attribute an action.

    A value under another VR than the dictionary's is somebody's mistake, which may go.
    """
    known = encoded.vr_in_dictionary(element.tag)
    if known is None or reference.action(element.tag) != "K":
        return False
    fits = element.vr is None or element.vr in known.split(" or ")
    return fits and known not in {"PN", "DA", "TM", "DT"}

"""What an instance says of people, found wherever it stands (PS3.15 E.3.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.framing import Header
from rules.identity import Identity, collect, no_identity
from tests import driving, instances, reference
from tests.encoded import EXPLICIT, IMPLICIT, El, Form, encode
from tests.instances import small_ct, text

PATIENT, PATIENT_ID, INSTITUTION = 0x00100010, 0x00100020, 0x00080080
ADDRESS, STATION, STUDY_ID = 0x00101040, 0x00081010, 0x00200010
FORMS = (Form(implicit=False), Form(implicit=True))


def collected(*elements: El, form: Form = FORMS[0], charsets: tuple[str, ...] = ()) -> Identity:
    """The identity of these elements."""
    return collect(encode(elements, form), implicit=form.implicit, charsets=charsets)


def person(value: bytes, *charsets: str) -> Identity:
    """Of an instance that names one person."""
    padded = value + b" " * (len(value) % 2)
    return collected(El(PATIENT, "PN", padded), charsets=charsets)


def test_every_component_of_a_person_name_counts() -> None:
    """Family, given and middle name, whatever their case; initials do not."""
    assert person(b"DOE^Jane^Mary Q").names == {"doe", "jane", "mary"}


def test_all_three_component_groups_count() -> None:
    """Ideographic and phonetic ones too, single characters among them, and run together."""
    value = "Li^Ming=李^明=リー^ミン".encode()

    names = person(value, "ISO_IR 192").names

    assert {"li", "ming", "李", "明", "李明", "明李", "リー", "ミン"} <= names


def test_names_are_read_in_the_character_set_of_the_instance() -> None:
    """ISO 2022 with its escapes; without diacritics afterwards."""
    assert person("Dvořák".encode("iso8859-2"), "ISO_IR 101").names == {"dvorak"}
    assert "山田" in person("=山田^太郎".encode("iso2022_jp"), "", "ISO 2022 IR 87").names


def test_a_name_in_the_character_set_of_an_item_is_read_in_that_one_too() -> None:
    """Items may have a Specific Character Set of their own."""
    inner = [text(0x00080005, "CS", "ISO_IR 192"), text(PATIENT, "PN", "Dvořák")]

    assert "dvorak" in collected(El(0x00400275, "SQ", [inner])).names


def test_a_name_with_a_hyphen_or_an_apostrophe_counts_in_parts_and_joined() -> None:
    """O'Brien is written OBrien, Hans-Peter Hanspeter."""
    assert person(b"O'Brien^Hans-Peter").names == {"brien", "obrien", "hans", "peter", "hanspeter"}


def test_an_umlaut_counts_in_both_spellings() -> None:
    """Müller and Mueller, whichever the instance has; short names are left alone."""
    assert person("Müller".encode(), "ISO_IR 192").names == {"muller", "mueller"}
    assert person(b"Mueller").names == {"muller", "mueller"}
    assert person(b"Doe").names == {"doe"}


def test_titles_and_particles_name_nobody() -> None:
    """DR is a modality as well; but a family may be called Ing or De."""
    assert person(b"de la Cruz^Ana^^DR^MD").names == {"cruz", "ana"}
    assert person(b"Dr. Cruz").names == {"cruz"}
    assert person(b"Ing^De").names == {"ing", "de"}


def test_a_person_who_is_called_like_a_part_of_the_body_counts() -> None:
    """Dr. Hand: what is not safe is not kept."""
    assert person(b"Hand^Head").names == {"hand", "head"}


def test_generic_words_of_an_institution_count_only_in_its_whole_name() -> None:
    """Erasing heart, general or hospital would erase medicine."""
    found = collected(text(INSTITUTION, "LO", "Rosenau General Heart Hospital"))

    assert found.names == {"rosenau"}
    assert found.phrases == {("rosenau", "general", "heart", "hospital")}


def test_the_words_of_a_department_are_no_phrase() -> None:
    """Nuclear Medicine is clinical as a whole."""
    found = collected(text(0x00081040, "LO", "Nuclear Medicine Rosenau"))

    assert (found.names, found.phrases) == ({"rosenau"}, frozenset())


def test_an_address_counts_by_line_by_word_and_by_postal_code() -> None:
    """House numbers alone do not."""
    found = collected(text(ADDRESS, "LO", "12 Main Street, Rosenau CT 80331"))

    assert found.names == {"rosenau"}
    assert found.identifiers == {"80331"}
    assert ("12", "main", "street") in found.phrases


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (PATIENT_ID, "LO", "PAT-47 11", {"pat4711"}),
        (PATIENT_ID, "LO", "000123", {"123"}),
        (PATIENT_ID, "LO", "12", set()),
        (PATIENT_ID, "LO", "Heart", {"heart"}),
        (0x00101000, "LO", "A123\\B456", {"a123", "b456"}),
        (0x00080050, "SH", "2024/771", {"2024771"}),
        (0x00102154, "SH", "030 1234567", {"301234567"}),
        (STUDY_ID, "SH", "1024", set()),
        (STUDY_ID, "SH", "20771", {"20771"}),
        (STUDY_ID, "SH", "CHEST", set()),
        (STATION, "SH", "CT01-ROSENAU", {"ct01rosenau"}),
        (STATION, "SH", "MR1", set()),
        (0x00080055, "AE", "ARCHIVE7", {"archive7"}),
        (PATIENT, "PN", "4711^Doe", {"4711"}),
    ],
)
def test_an_identifier_counts_from_a_length_that_tells_it_from_numbers_of_the_trade(
    tag: int, vr: str, value: str, expected: set[str]
) -> None:
    """Letters and digits only; numbers without leading zeros."""
    assert collected(text(tag, vr, value)).identifiers == expected


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DA", "19700102", {"19700102"}),
        ("DA", "1970.01.02", {"19700102"}),
        ("DA", "20010101-20011231", {"20010101", "20011231"}),
        ("DT", "20240229101112.000+0100", {"20240229"}),
        ("DA", "19701399", set()),
        ("DT", "2024", set()),
    ],
)
def test_every_date_counts(vr: str, value: str, expected: set[str]) -> None:
    """DA and DT wherever they are; what is no date says nothing."""
    assert collected(text(0x0040A13A, vr, value)).dates == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("undefined", [False, True])
def test_names_are_found_at_every_depth(form: Form, *, undefined: bool) -> None:
    """Whatever the form of lengths; deeper than a call stack would like."""
    inner = [text(PATIENT, "PN", "Deep^Down")]
    for _ in range(60):
        inner = [El(0x00400275, "SQ", [inner], undefined=undefined, items_undefined=undefined)]

    found = collected(*inner, text(0x00400280, "ST", "x"), text(0x40080042, "LO", "y"), form=form)

    assert found.names == {"deep", "down"}


@pytest.mark.parametrize("undefined", [False, True])
def test_names_are_found_in_a_sequence_that_is_announced_as_unknown(*, undefined: bool) -> None:
    """UN holds implicit VR (PS3.5 6.2.2), private or known."""
    inner = [[text(PATIENT, "PN", "Hidden^Name")]]
    behind = text(0x40080114, "PN", "Behind")

    for tag in (0x00091001, 0x00400275):
        found = collected(El(tag, "UN", inner, undefined=undefined), behind)

        assert found.names == {"hidden", "name", "behind"}


def test_a_name_that_is_announced_as_unknown_or_private_counts() -> None:
    """The dictionary knows the one, its VR tells of the other."""
    assert collected(El(PATIENT, "UN", b"Doe ")).names == {"doe"}
    assert collected(text(0x00091001, "PN", "Secret^Name")).names == {"secret", "name"}


def test_the_meaning_of_a_code_that_stands_for_a_person_counts() -> None:
    """Person Identification Code Sequence and Institution Code Sequence."""
    code = [text(0x00080100, "SH", "EMP7788"), text(0x00080104, "LO", "Ashworth, Ann")]
    place = [text(0x00080104, "LO", "Rosenau Clinic")]

    found = collected(El(0x00080082, "SQ", [place], undefined=True), El(0x00401101, "SQ", [code]))

    assert found.names == {"ashworth", "ann", "rosenau"}
    assert found.identifiers == {"emp7788"}


def test_the_meaning_of_any_other_code_says_nothing_of_people() -> None:
    """Anatomic regions and the like."""
    code = [text(0x00080104, "LO", "Anatomic Region")]

    assert collected(El(0x00082218, "SQ", [code])) == no_identity()


@pytest.mark.parametrize("form", FORMS)
def test_an_image_says_what_its_text_must_lose(form: Form) -> None:
    """The whole of a made instance."""
    found = collected(*small_ct()[:-1], form=form, charsets=("ISO_IR 100",))

    assert found.names == {"referrer", "ruth", "doe", "jane", "elsewhere"}
    assert found.identifiers == {"acc77", "pat4711", "serial9"}
    assert found.dates == {"20200102", "19700102"}
    assert ("hospital", "of", "st", "elsewhere") in found.phrases


@given(st.data())
def test_data_that_are_cut_off_or_spoiled_say_less_and_raise_nothing(data: st.DataObject) -> None:
    """The walk refuses the instance elsewhere."""
    form = data.draw(st.sampled_from(FORMS))
    whole = bytearray(encode(small_ct()[:-1], form))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])

    with driving.within(5):
        found = collect(cut, implicit=form.implicit, charsets=("ISO_IR 192",))

    assert isinstance(found, Identity)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_raise_nothing(data: bytes, implicit) -> None:
    """Neither do bytes that were never a dataset."""
    assert isinstance(collect(data, implicit=implicit, charsets=("",)), Identity)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_headers_that_were_read_before_make_no_difference(syntax):
    """They spare the first of two readings, and nothing else."""
    form = Form.of(syntax)
    made = instances.canary_dataset(reference.every_action()).elements
    data = encode([one for one in made if one.tag < 0x7FE00000], form)
    header = Header(implicit=form.implicit, size_limit=1 << 24, depth_limit=64)
    header.feed(data)
    header.finish()
    arguments = {"implicit": form.implicit, "charsets": ("ISO_IR 192",)}

    assert collect(data, entries=header.entries, **arguments) == collect(data, **arguments)

"""No word that must be gone is found in what the engine gives out; the others are there.

One made instance holds a unique word in every element of the data dictionary, at the root and in
sequences of every form, in private, unknown and hidden places, in preamble, file meta
information and behind the pixel data. Then words are planted into every real file there is, under
each ready-made profile; what Annex E does not touch must still be byte for byte what it was.
"""

from __future__ import annotations

import re
import traceback
from functools import cache

import pytest
from pydicom.charset import convert_encodings, encode_string

from rules import compile_plan
from rules.errors import DeidentificationError, InstanceRefused, Reason
from tests import driving, encoded, instances, reference
from tests.encoded import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, El
from tests.rules import planting

CASES = [(syntax, None) for syntax in instances.SYNTAXES] + [(EXPLICIT, "UN"), (DEFLATED, "UN")]
WORD_BYTES = 16
every_case = pytest.mark.parametrize(
    ("syntax", "stated_vr"),
    [pytest.param(*case, marks=() if case == CASES[1] else pytest.mark.slow) for case in CASES],
)


@cache
def _canaries(syntax: str, stated_vr: str | None):
    """The instance fit for a transfer syntax: no fragments where there can be none."""
    made = instances.canary_dataset(reference.every_action(), stated_vr=stated_vr)
    if syntax in {IMPLICIT, BIG_ENDIAN}:
        last = next(el for el in made.elements if el.tag == instances.PIXEL_DATA)
        made.elements[made.elements.index(last)] = El(last.tag, "OW", last.fragments[1])
    if syntax == BIG_ENDIAN:  # what UN hides is in little endian; no reader agrees on it here
        made.elements = [el for el in made.elements if not _hides(el)]
    made.elements = sorted(made.elements, key=lambda el: el.tag)
    return made


def _hides(element: El) -> bool:
    return element.vr == "UN" and isinstance(element.value, list)


def _dataset(syntax: str, stated_vr: str | None) -> bytes:
    return instances.dataset(_canaries(syntax, stated_vr).elements, syntax)


def _spellings(word: bytes, syntax: str) -> set[bytes]:
    """A word as it may stand in the bytes: in big endian, numbers are turned round."""
    if syntax != BIG_ENDIAN:
        return {word}
    return {word, *(encoded.swapped(word, vr) for vr in ("US", "UL", "FD"))}


def _present(words: set[bytes], data: bytes, syntax: str) -> set[bytes]:
    """The words that stand in `data`, at any offset."""
    windows = {data[at : at + WORD_BYTES] for at in range(len(data))}
    return {word for word in words if not windows.isdisjoint(_spellings(word, syntax))}


@every_case
def test_the_canaries_are_all_there_before(syntax, stated_vr):
    """The search would find every word, were nothing removed."""
    words = _canaries(syntax, stated_vr).words
    plain = encoded.encode(_canaries(syntax, stated_vr).elements, encoded.Form.of(syntax))

    expected = words.gone | words.stay
    missing = expected - _present(expected, plain, syntax)
    assert missing == set() or syntax == BIG_ENDIAN
    assert len(missing) < 20


@every_case
@pytest.mark.parametrize("chunk_bytes", [0, 1009])
def test_no_word_that_must_be_gone_is_in_the_result(syntax, stated_vr, chunk_bytes):
    """Neither in the file nor in the report."""
    gone = _canaries(syntax, stated_vr).words.gone
    output = driving.engine(_dataset(syntax, stated_vr), syntax, chunk_bytes)

    assert _present(gone, output.dataset, syntax) == set()
    assert _present(gone, output.file[: -len(output.dataset)] or output.file, syntax) == set()
    assert _present(gone, repr(output.report).encode(), syntax) == set()


@every_case
def test_the_words_that_must_stay_are_in_the_result(syntax, stated_vr):
    """A de-identifier that loses everything is easy to write."""
    made = _canaries(syntax, stated_vr)
    before = encoded.encode(made.elements, encoded.Form.of(syntax))
    stay = _present(made.words.stay, before, syntax)
    output = driving.engine(_dataset(syntax, stated_vr), syntax)

    # Under UN the words in attributes of numbers must go: 3,761 are left to stay.
    assert len(stay) > (4000 if stated_vr is None else 3750)
    assert stay - _present(stay, output.dataset, syntax) == set()


@every_case
def test_engine_and_reference_agree_on_the_canaries(syntax, stated_vr):
    """Every element of the dictionary, in every place."""
    output = driving.engine(_dataset(syntax, stated_vr), syntax)
    file = instances.file(_canaries(syntax, stated_vr).elements, syntax)

    assert driving.disagreements(file, output) == []


@pytest.mark.slow
@every_case
def test_no_error_tells_a_word(syntax, stated_vr):
    """Cut short or damaged at a dozen places, the errors name tags and reasons only."""
    dataset = _dataset(syntax, stated_vr)
    step = max(1, len(dataset) // 12)
    told = ""
    for at in range(1, len(dataset), step):
        told += _told(dataset[:at], syntax)
        told += _told(dataset[:at] + b"\xff\xff\xfe\xff\0ZZ\xff" + dataset[at:], syntax)

    assert told
    for beginning in ("CANARY", "1.2.7.1", "YRANAC", "ACANYR"):
        assert beginning not in told


def _told(dataset: bytes, syntax: str) -> str:
    try:
        driving.engine(dataset, syntax)
    except (InstanceRefused, DeidentificationError) as error:
        return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    return ""


@pytest.mark.parametrize("group", [0x0000, 0x0002])
def test_command_and_file_meta_elements_do_not_pass(group):
    """What belongs in front of a dataset is dropped when a peer sends it inside."""
    words = instances.Canaries()
    before = [
        El(group << 16 | 0x0003, "UI", words.word(stays=False, uid=True)),
        El(group << 16 | 0x0016, "AE", words.word(stays=False)),
        El(group << 16 | 0x1000, "UI", words.word(stays=False, uid=True)),
    ]
    dataset = instances.dataset(instances.small_ct(), EXPLICIT)
    output = driving.engine(encoded.encode(before, encoded.Form.of(EXPLICIT)) + dataset, EXPLICIT)

    assert _present(words.gone, output.file, EXPLICIT) == set()
    assert output.file == driving.engine(dataset, EXPLICIT).file


# ---------------------------------------------------------------- planted into real files

every_profile = pytest.mark.parametrize(
    "name",
    [  # `research` does the most; the others are as thorough and take as long
        pytest.param(name, marks=() if name == "research" else pytest.mark.slow)
        for name in driving.OPTIONS_OF
    ],
)
FILES = driving.instance_files()
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
FEWEST_WORDS = 40


@cache
def _planted(path) -> planting.Planted | None:
    """None for a file that is not well formed, into which nothing can be planted."""
    try:
        return planting.plant(path.read_bytes())
    except encoded.Irregular:
        return None


@cache
def _result(path, name: str) -> driving.Output | None:
    planted = _planted(path)
    plan = driving.named_plan(name)
    try:
        return driving.engine(planted.dataset, planted.transfer_syntax, plan=plan)
    except (InstanceRefused, DeidentificationError) as refusal:
        if refusal.reason is not Reason.NO_SOP_INSTANCE:
            raise
        return None


def _both(path, name: str) -> tuple[planting.Planted, driving.Output]:
    planted = _planted(path)
    if planted is None:
        pytest.skip("not well formed")
    result = _result(path, name)
    if result is None:
        pytest.skip("refused: no SOP Instance UID")
    return planted, result


@every_profile
@every_file
def test_no_planted_word_survives(path, name):
    """Identifiers, names in text, private blocks, blobs, overlays, padding, wrong VRs."""
    planted, result = _both(path, name)

    assert planting.survivors(planted.words, result) == {}


@every_profile
@every_file
def test_what_annex_e_does_not_touch_is_as_it_was(path, name):
    """Byte for byte, header included, at every depth."""
    planted, result = _both(path, name)

    assert planting.changed(planted, result) == []


@every_file
def test_words_enough_are_planted(path):
    """Big endian and implicit VR have no place for a few of them."""
    planted = _planted(path)
    if planted is None:
        pytest.skip("not well formed")

    assert len(planted.words) >= FEWEST_WORDS


@pytest.mark.slow
def test_words_are_planted_into_nearly_every_file():
    """Those that are skipped above are few."""
    files = driving.instance_files()
    planted = [path for path in files if _planted(path)]
    refused = [path for path in planted for name in driving.OPTIONS_OF if not _result(path, name)]

    assert len(files) - len(planted) <= 5
    assert len(refused) <= len(driving.OPTIONS_OF)


# ---------------------------------------------------------------- text, in every alphabet

NAMES = {
    "ISO_IR 100": "M\xfcnchhausen^J\xf6rg",
    "ISO_IR 144": "\u041b\u044e\u043acemburg^\u0420\u043e\u0437\u0430",
    "ISO_IR 192": "Brz\u0119czyszczykiewicz^\u017baneta=\u738b^\u5c0f\u6771",
    "GB18030": "Wang^XiaoDong=\u738b\u5c0f^\u5c0f\u4e1c",
    r"\ISO 2022 IR 87": "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"
    "=\u3084\u307e\u3060^\u305f\u308d\u3046",
    r"\ISO 2022 IR 149": "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9",
}


def _in_charset(charset: str) -> tuple[bytes, list[str]]:
    """A dataset whose descriptions repeat the patient's name, and the parts of that."""
    encodings = convert_encodings(charset.split("\\"))
    parts = [part for part in re.split(r"[\^=]", NAMES[charset]) if len(part) > 1]
    description = " ".join(["Liver", parts[0], "and", parts[-1]])
    values = [
        (0x00081030, "LO", description),
        (0x0008103E, "LO", f"Liver {parts[0].upper()}"),
        (0x00100010, "PN", NAMES[charset]),
        (0x00104000, "LT", f"Tall; {NAMES[charset]}"),
        (0x00204000, "LT", " ".join(parts)),
    ]
    elements = [El(tag, vr, _padded(_text(text, vr, encodings))) for tag, vr, text in values]
    own = [instances.text(0x00080005, "CS", charset), *elements]
    return instances.dataset(instances.small_ct(own), EXPLICIT), parts


def _text(text: str, vr: str, encodings: list[str]) -> bytes:
    """As pydicom encodes it; the groups and components of a name each by itself."""
    pieces = re.split(r"([\^=])", text) if vr == "PN" else [text]
    return b"".join(encode_string(piece, encodings) for piece in pieces)


def _padded(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)


@pytest.mark.parametrize("charset", NAMES)
@pytest.mark.parametrize("name", driving.OPTIONS_OF)
def test_no_name_survives_in_any_character_set(charset, name):
    """Neither as it was encoded nor in UTF-8, alone or in what describes the images."""
    dataset, parts = _in_charset(charset)
    result = driving.engine(dataset, EXPLICIT, plan=driving.named_plan(name))
    encodings = convert_encodings(charset.split("\\"))
    spellings = {part.encode() for part in parts}
    spellings |= {encode_string(part, encodings) for part in parts}

    assert {one for one in spellings if one in result.file} == set()
    text = str(driving.read(result.file).get("StudyDescription", ""))
    assert [part for part in parts if part in text] == []
    assert "Liver" in text or name == "basic"


def test_a_report_keeps_its_findings_and_loses_the_patient():
    """Text, names, UIDs and codes of content items, also in a container."""
    planted = planting.plant(instances.file(instances.report_on(1), EXPLICIT))
    options = ("clean-descriptors", "clean-structured-content")
    plan = compile_plan(driving.profile(options=options))
    result = driving.engine(planted.dataset, EXPLICIT, plan=plan)
    texts = [
        item.TextValue for item in driving.read(result.file).ContentSequence if "TextValue" in item
    ]

    assert planting.survivors(planted.words, result) == {}
    assert [text for text in texts if "Well" in text]

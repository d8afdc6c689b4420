"""Laws of the engine, tried on generated datasets and on damaged ones.

Whatever arrives, in whatever pieces: the result is the reference's, or a refusal that tells a
reason and no value. Never another exception, never a hang.
"""

from __future__ import annotations

import gc
import struct
import traceback
import weakref
import zlib

import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, dictionary_VR

from rules import Deidentifier, Limits
from rules.errors import DeidentificationError, InstanceRefused, Reason
from tests import driving, encoded, instances, reference
from tests.encoded import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, UNIT_BYTES, El, Form

REFUSALS = (InstanceRefused, DeidentificationError)
WORD = b"CANARY"
EASY_S = 20

# ---------------------------------------------------------------- generated datasets

PLAIN_TAGS = [
    tag
    for tag, (vr, *_) in DicomDictionary.items()
    if 0x0008 <= tag >> 16 < 0x7FE0 and tag & 0xFFFF and vr not in {"NONE", "SQ"}
]
SEQUENCE_TAGS = [
    tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ" and 0x0008 <= tag >> 16 < 0x7FE0
]
TABLE_TAGS = [tag for tag in reference.table() if 0x0008 <= tag >> 16 < 0x7FE0]
OWN_TAGS = {0x00080005, reference.SOP_CLASS_UID, reference.SOP_INSTANCE_UID}
UIDS = st.sampled_from(
    ["1.2.840.10008.1.2", "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.3.4.55", "", "not a UID", " "]
)

tags = st.one_of(
    st.sampled_from(TABLE_TAGS),
    st.sampled_from(PLAIN_TAGS),
    st.sampled_from(SEQUENCE_TAGS),
    st.sampled_from([0x00080000, 0x00100000, 0x00280000, 0x00120063, 0x00120064, 0x00280303]),
    st.sampled_from([0x00080FF0, 0x00280FF0, 0x77000010, 0x60023000, 0x60020010, 0x50000010]),
    st.integers(0x0009, 0x7FDF).map(lambda group: (group | 1) << 16 | 0x1001),
)


def _stated_vr(tag: int) -> str:
    if tag & 0xFFFF == 0:
        return "UL"
    try:
        return str(dictionary_VR(tag)).split(" or ")[0]
    except KeyError:
        return reference.vr_in_table().get(tag, "LO")


@st.composite
def values(draw, vr: str) -> bytes:
    """A value of this VR, at times empty, at times of many values."""
    if vr == "UI":
        text = "\\".join(draw(st.lists(UIDS, max_size=3)))
        return (text + "\0" * (len(text) % 2)).encode()
    if vr in UNIT_BYTES:
        count = draw(st.integers(0, 3)) * (2 if vr == "AT" else 1)
        return draw(st.binary(min_size=count * UNIT_BYTES[vr], max_size=count * UNIT_BYTES[vr]))
    if vr in {"OB", "UN"}:
        return draw(st.integers(0, 6).flatmap(lambda n: st.binary(min_size=2 * n, max_size=2 * n)))
    text = draw(st.text("abcXYZ 012.\\^=", max_size=12))
    return (text + " " * (len(text) % 2)).encode()


@st.composite
def elements(draw, syntax: str, depth: int = 0) -> list[El]:
    """Elements in the order of their tags, with sequences up to three deep."""
    chosen = draw(st.lists(tags, unique=True, max_size=8 if depth == 0 else 4))
    return [draw(element(tag, syntax, depth)) for tag in sorted(set(chosen) - OWN_TAGS)]


@st.composite
def element(draw, tag: int, syntax: str, depth: int) -> El:
    """One element; a sequence in any length form, at times hidden in UN."""
    vr = _stated_vr(tag)
    private_or_unknown = encoded.vr_in_dictionary(tag) is None and tag & 0xFFFF != 0
    wraps = vr == "SQ" or (private_or_unknown and draw(st.booleans()))
    if not wraps:
        stated = draw(st.sampled_from([vr, vr, vr, "UN"])) if syntax != BIG_ENDIAN else vr
        return El(tag, stated, draw(values(vr)))
    if depth == 3:
        return El(tag, "SQ", [], undefined=draw(st.booleans()) or vr != "SQ")
    hidden = syntax in {EXPLICIT, DEFLATED} and draw(st.integers(0, 4)) == 0
    inner = IMPLICIT if hidden else syntax
    items = draw(st.lists(elements(inner, depth + 1), max_size=3))
    undefined = draw(st.booleans()) or vr != "SQ"
    forms = draw(st.lists(st.booleans(), min_size=1, max_size=3))
    return El(tag, "UN" if hidden else "SQ", items, undefined, forms)


@st.composite
def endings(draw) -> list[El]:
    """The pixel data, native or encapsulated or none, and what may follow it."""
    pixels = draw(
        st.sampled_from(
            [
                [],
                [El(instances.PIXEL_DATA, "OW", bytes(range(64)))],
                [El(instances.PIXEL_DATA, "OB", fragments=[b"", bytes(10)])],
                [El(0x7FE00008, "OF", bytes(16))],
            ]
        )
    )
    behind = draw(
        st.lists(
            st.sampled_from(
                [
                    El(0xFFFAFFFA, "SQ", [[instances.text(0x04000115, "LO", "signer")]], True),  # noqa: FBT003
                    El(0xFFFCFFFC, "OB", bytes(8)),
                    El(0x7FE10010, "LO", b"private "),
                ]
            ),
            unique_by=lambda element: element.tag,
        )
    )
    return [*pixels, *sorted(behind, key=lambda element: element.tag)]


@st.composite
def whole_instances(draw) -> tuple[str, list[El]]:
    """A transfer syntax and the elements of an instance fit for it."""
    syntax = draw(st.sampled_from(instances.SYNTAXES))
    end = draw(endings())
    if syntax in {IMPLICIT, BIG_ENDIAN}:
        assume(not any(element.fragments for element in end))
    own = [
        instances.text(reference.SOP_CLASS_UID, "UI", instances.CT_IMAGE),
        instances.text(reference.SOP_INSTANCE_UID, "UI", f"{instances.ROOT}.1.1.1"),
    ]
    return syntax, instances.merged(draw(elements(syntax)), [*own, *end])


@given(whole_instances(), st.lists(st.integers(1, 300), max_size=20))
def test_engine_and_reference_agree_on_generated_datasets(instance, cuts):
    """Same elements and values; chunks do not matter; the result is well formed."""
    syntax, chosen = instance
    dataset = instances.dataset(chosen, syntax)
    with driving.within(EASY_S):
        output = driving.engine(dataset, syntax)
        again = driving.feed(_pieces(dataset, cuts), syntax)

    assert driving.disagreements(instances.file(chosen, syntax), output) == []
    assert again.file == output.file
    encoded.read(output.dataset, Form.of(syntax))


def _pieces(dataset: bytes, cuts: list[int]):
    for size in cuts:
        yield dataset[:size]
        dataset = dataset[size:]
    yield dataset


# ---------------------------------------------------------------- damaged datasets


def _victims() -> list[tuple[str, bytes]]:
    """Small instances with the word in every text, in each encoding."""
    secret = [
        instances.text(0x00080090, "PN", "CANARY^REFERRER"),
        instances.text(0x00100010, "PN", "CANARY^NAME"),
        instances.text(0x00100020, "LO", "CANARY-ID"),
        instances.text(0x00104000, "LT", "CANARY comment"),
        instances.text(0x00200010, "SH", "CANARY-STUDY"),
    ]
    hidden = El(0x0008114A, "UN", [secret[1:2]], undefined=True)
    nested = El(0x00081115, "SQ", [secret, []], undefined=True, items_undefined=[True, False])
    defined = El(0x00081032, "SQ", [instances.code("CANARY", "CANARY", "CANARY"), secret])
    private = [
        instances.text(0x00110010, "LO", "CANARY MAKER"),
        El(0x00111001, "UN", [secret], undefined=True),
    ]
    body = instances.small_ct([*secret, nested, defined])
    made = [
        (syntax, instances.dataset(instances.merged(body, private), syntax))
        for syntax in instances.LITTLE_SYNTAXES
    ]
    # What UN hides is in little endian, whatever is around it: no reader agrees on that.
    made.append((BIG_ENDIAN, instances.dataset(body, BIG_ENDIAN)))
    jpeg = instances.encapsulated([*secret, hidden, nested])
    return [*made, (encoded.JPEG, instances.dataset(jpeg, encoded.JPEG))]


VICTIMS = _victims()
every_victim = pytest.mark.parametrize(("syntax", "dataset"), VICTIMS, ids=[v[0] for v in VICTIMS])
NASTY = st.sampled_from(
    [
        b"\xff\xff\xff\xff",
        b"\xfe\xff\xff\xff",
        b"\0\0\0\0",
        b"\xff\xff",
        b"\xfe\xff\0\xe0",
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"SQ\0\0\xff\xff\xff\xff",
        b"UN\0\0\xff\xff\xff\xff",
        b"OB\0\0",
        b"ZZ",
        b"\x08\0\x05\0",
        b"\x08\0\x18\0",
        b"\xe0\x7f\x10\0",
        b"\x10\0\x20\0",
    ]
)
damage = st.tuples(
    st.sampled_from(["overwrite", "insert", "delete", "cut", "copy"]),
    st.integers(0, 1 << 20),
    st.integers(1, 40),
    st.one_of(NASTY, st.binary(min_size=1, max_size=8)),
)


def damaged(dataset: bytes, blows: list[tuple[str, int, int, bytes]]) -> bytes:
    """The dataset after these blows, one after the other."""
    for kind, where, length, new in blows:
        at = where % (len(dataset) + 1)
        head, tail = dataset[:at], dataset[at:]
        dataset = {
            "overwrite": head + new + tail[len(new) :],
            "insert": head + new + tail,
            "delete": head + tail[length:],
            "cut": head,
            "copy": head + head[-length:] + tail,
        }[kind]
    return dataset


def _tried(dataset: bytes, syntax: str, chunk_bytes: int = 0) -> driving.Output | None:
    """The output, or None for a refusal; its text and what was logged have been searched."""
    with driving.within(EASY_S), driving.logged() as lines:
        try:
            return driving.engine(dataset, syntax, chunk_bytes)
        except REFUSALS as refusal:
            _assert_discreet(refusal)
            return None
        finally:
            assert WORD.decode() not in "".join(lines)


def _assert_discreet(refusal: Exception) -> None:
    """Neither the message nor anything chained to it tells a value."""
    assert isinstance(refusal.reason, Reason)
    told = "".join(traceback.format_exception(refusal)) + repr(refusal) + repr(refusal.args)
    told += repr(vars(refusal))
    assert WORD.decode() not in told
    assert instances.ROOT not in told


@given(
    st.sampled_from(VICTIMS),
    st.lists(damage, min_size=1, max_size=4),
    st.sampled_from([0, 1, 7, 64]),
)
def test_damage_ends_in_a_result_or_a_discreet_refusal(victim, blows, chunk_bytes):
    """No other exception, no hang; what comes out is well formed; chunks do not matter."""
    syntax, dataset = victim
    hit = damaged(dataset, blows)
    output = _tried(hit, syntax)
    in_chunks = _tried(hit, syntax, chunk_bytes)

    assert (output and output.file) == (in_chunks and in_chunks.file)
    if output is not None:
        encoded.read(output.dataset, Form.of(syntax))


@given(st.sampled_from(VICTIMS), st.lists(damage, min_size=1, max_size=2))
def test_damage_that_leaves_a_well_formed_dataset_agrees(victim, blows):
    """Whatever the damage made of it: if it can be read, engine and reference agree."""
    syntax, dataset = victim
    hit = damaged(dataset, blows)
    assume(_is_sound(hit, syntax))
    assume(hit[:2] not in {b"\0\0", b"\2\0", b"\0\2"})  # to pydicom, no part of the dataset
    wanted = _expected(encoded.part10(hit, syntax))
    output = _tried(hit, syntax)

    if wanted is None:
        assert output is None
    else:
        assert output is not None
        assert list(reference.differences(wanted, driving.got(output))) == []


def _expected(file: bytes):
    """What the reference makes of it, None if it refuses; no example if pydicom cannot read it."""
    try:
        return driving.expected(file)
    except reference.Refused:
        return None
    except Exception:  # noqa: BLE001 -- whatever pydicom raises on damaged bytes
        reject()


def _is_sound(dataset: bytes, syntax: str) -> bool:
    try:
        return not driving.irregularity(dataset, syntax)
    except Exception:  # noqa: BLE001 -- deflated bytes that do not inflate
        return False


CHARSETS = [
    b"CANARY",
    b"CANARY\\ISO 2022 IR 87",
    b"ISO 2022 IR 6\\CANARY",
    b"CANA\0RY ",
    b"\xff\xfeCANARY",
    b"ISO_IR 192\\ISO 2022 IR 87",
    b"\\\\",
    b"",
]


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("value", CHARSETS)
@pytest.mark.parametrize("syntax", instances.SYNTAXES)
def test_a_character_set_that_nobody_knows_is_told_to_nobody(syntax, value, nested):
    """Whatever (0008,0005) holds: no warning, no log line, and the text that goes is gone."""
    stated = El(0x00080005, "CS", value + b" " * (len(value) % 2))
    item = [stated, instances.text(0x00080104, "LO", "Meaning")]
    name = El(0x00100010, "PN", b"CANARY^\xe4\xff\x1b$B")
    extra = [El(0x00081115, "SQ", [item])] if nested else [stated]
    output = _tried(instances.dataset(instances.small_ct([*extra, name]), syntax), syntax)

    assert output is None or b"CANARY^" not in output.dataset


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("syntax", instances.SYNTAXES)
def test_a_character_set_in_an_irregular_dataset_is_told_to_nobody(syntax, nested):
    """The same when the elements are out of order, so that the dataset takes the slow path."""
    stated = El(0x00080005, "CS", b"CANARY")
    item = [stated, instances.text(0x00080104, "LO", "Meaning")]
    ordered = instances.small_ct([El(0x00081115, "SQ", [item])] if nested else [stated])
    shuffled = [ordered[-2], *ordered[:-2], ordered[-1]]

    _tried(instances.dataset(shuffled, syntax), syntax)


@given(st.sampled_from(instances.SYNTAXES), st.binary(max_size=400))
def test_noise_is_refused(syntax, noise):
    """Bytes that are no dataset end in a refusal."""
    assert _tried(noise, syntax) is None


@every_victim
def test_a_dataset_cut_anywhere_is_refused_unless_cut_between_elements(syntax, dataset):
    """What ends inside an element is never taken for the whole."""
    plain_ends = set()
    if syntax != DEFLATED:
        read = encoded.read(dataset, Form.of(syntax))
        plain_ends = {element.end for element in read if element.tag >= reference.SOP_INSTANCE_UID}
    accepted = {at for at in range(0, len(dataset), 3) if _tried(dataset[:at], syntax) is not None}

    if syntax == DEFLATED:
        assert accepted <= {len(dataset) - 1}  # the padding byte behind the deflated stream
    else:
        assert accepted == plain_ends & set(range(0, len(dataset), 3))


# ---------------------------------------------------------------- hostile shapes


def _tower(levels: int, syntax: str, *, undefined: bool, vr: str = "SQ") -> bytes:
    """Sequences in sequences, `levels` deep, built from the inside without recursion."""
    form = Form.of(syntax)
    inner = encoded.HIDDEN if vr == "UN" else form
    body = b""
    for level in range(levels):
        at = form if level == levels - 1 else inner
        length = encoded.UNDEFINED if undefined else len(body)
        item = encoded.header(encoded.ITEM, "", length, inner) + body
        if undefined:
            item += encoded.header(encoded.ITEM_END, "", 0, inner)
            item += encoded.header(encoded.SEQUENCE_END, "", 0, inner)
        body = encoded.header(0x00081115, vr, encoded.UNDEFINED if undefined else len(item), at)
        body += item
    own = [
        instances.text(reference.SOP_CLASS_UID, "UI", instances.CT_IMAGE),
        instances.text(reference.SOP_INSTANCE_UID, "UI", "1.2.3"),
    ]
    return encoded.encode(own, form) + body


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize(
    ("syntax", "vr"),
    [(IMPLICIT, "SQ"), (EXPLICIT, "SQ"), (EXPLICIT, "UN"), (BIG_ENDIAN, "SQ"), (DEFLATED, "SQ")],
)
def test_nesting_without_end_is_refused(syntax, vr, undefined):
    """Five thousand levels are too deep for everybody, and no RecursionError."""
    tower = _tower(5000, syntax, undefined=undefined, vr=vr)
    sent = encoded.transferred(tower, syntax)
    with driving.within(EASY_S), pytest.raises(DeidentificationError) as refusal:
        driving.engine(sent, syntax)

    assert refusal.value.reason is Reason.TOO_DEEP


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("tag", [0x00100010, 0x00091001, 0x00081115, 0x7FE00010, 0xFFFCFFFC])
def test_a_length_that_is_not_there_is_refused(syntax, tag):
    """Four thousand million bytes are announced; a few come."""
    form = Form.of(syntax)
    body = encoded.encode(instances.small_ct()[:-1], form)
    elements_before = [el for el in instances.small_ct()[:-1] if el.tag < tag]
    body = encoded.encode(elements_before, form)
    lie = body + encoded.header(tag, "UN", 0xFFFFFFF0, form) + b"few"
    with driving.within(EASY_S), pytest.raises(REFUSALS):
        driving.engine(lie, syntax)


@pytest.mark.parametrize("syntax", instances.SYNTAXES)
@pytest.mark.parametrize("missing", [reference.SOP_CLASS_UID, reference.SOP_INSTANCE_UID])
@pytest.mark.parametrize("empty", [True, False])
def test_an_instance_without_its_uids_is_refused(syntax, missing, empty):
    """Without SOP class or instance UID there is nothing to store or to answer for."""
    body = [element for element in instances.small_ct() if element.tag != missing]
    if empty:
        body = instances.merged(body, [El(missing, "UI")])
    with pytest.raises(REFUSALS) as refusal:
        driving.engine(instances.dataset(body, syntax), syntax)

    assert refusal.value.reason in {Reason.NO_SOP_CLASS, Reason.NO_SOP_INSTANCE}


def test_an_empty_dataset_is_refused():
    """Nothing is no instance."""
    with pytest.raises(REFUSALS):
        driving.engine(b"", EXPLICIT)


def test_elements_out_of_order_lose_nothing_and_leak_nothing():
    """Irregular order is set right or refused; a name never passes in its shadow."""
    body = instances.small_ct()
    shuffled = [body[-2], *body[:-2], body[-1]]
    output = _tried(encoded.encode(shuffled, Form.of(EXPLICIT)), EXPLICIT)

    if output is not None:
        assert b"Doe" not in output.dataset
        assert driving.disagreements(instances.file(body, EXPLICIT), output) == []


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_an_element_given_twice_leaks_neither(syntax):
    """A duplicate is set right or refused."""
    body = instances.small_ct()
    twice = sorted([*body, instances.text(0x00100010, "PN", "Doe^Twice")], key=lambda el: el.tag)
    output = _tried(encoded.encode(twice, Form.of(syntax)), syntax)

    if output is not None:
        assert b"Doe" not in output.dataset
        encoded.read(output.dataset, Form.of(syntax))


def test_a_value_longer_than_its_short_length_can_say():
    """In explicit VR 65534 bytes is the most; the engine does not wrap around."""
    long = El(0x00120063, "LO", b"\\".join([b"x" * 63] * 1023))
    body = instances.small_ct([long])
    dataset = encoded.encode(body, Form.of(EXPLICIT))
    output = _tried(dataset, EXPLICIT)

    if output is not None:
        encoded.read(output.dataset, Form.of(EXPLICIT))


def test_struct_is_what_the_encoder_says():
    """The encoder under all these tests writes PS3.5's own examples."""
    pair = El(0x00280010, "US", struct.pack("<H", 512))
    assert encoded.encode([pair], Form.of(EXPLICIT)) == b"\x28\0\x10\0US\x02\0\0\x02"
    assert encoded.encode([pair], Form.of(BIG_ENDIAN)) == b"\0\x28\0\x10US\0\x02\x02\0"
    assert encoded.encode([pair], Form.of(IMPLICIT)) == b"\x28\0\x10\0\x02\0\0\0\0\x02"


@every_victim
def test_a_refusal_lets_go_of_what_was_held(syntax, dataset):
    """What was received must not wait in memory until cycles are collected."""
    gc.collect()
    gc.disable()
    try:
        engine = Deidentifier(driving.basic_plan(), driving.pseudonyms(), syntax)
        with pytest.raises(REFUSALS) as refusal:
            _feed_and_finish(engine, dataset[:-3])
        left = weakref.ref(engine._body)
        del refusal, engine
        assert left() is None
    finally:
        gc.enable()


def _feed_and_finish(engine: Deidentifier, dataset: bytes) -> None:
    for at in range(0, len(dataset), 100):
        engine.feed(dataset[at : at + 100])
    engine.finish()


UNENDING = encoded.header(0x00091001, "SQ", encoded.UNDEFINED, Form(implicit=False))
UNENDING += encoded.header(encoded.ITEM, "", encoded.UNDEFINED, Form(implicit=False))
UNENDING += encoded.header(0x00091001, "OB", 1 << 30, Form(implicit=False))
OUT_OF_ORDER = encoded.encode_one(instances.text(0x00200010, "SH", "S1"), Form(implicit=False))
OUT_OF_ORDER += encoded.encode_one(instances.text(0x00080060, "CS", "CT"), Form(implicit=False))


def _most_held(engine: Deidentifier, pieces: list[bytes]) -> int:
    """The most bytes that are held until it is refused."""
    held = [0]

    def feed() -> None:
        for piece in pieces:
            engine.feed(piece)
            held.append(engine.held_bytes)

    with pytest.raises(DeidentificationError) as refusal:
        feed()
    assert refusal.value.reason is Reason.TOO_LARGE
    return max(held)


@pytest.mark.parametrize("head", [UNENDING, OUT_OF_ORDER], ids=["in a sequence", "out of order"])
def test_what_inflates_a_thousandfold_is_refused_before_it_is_held(head):
    """T20: a sequence without an end, or a dataset that would have to be held to be repaired."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    pieces = [packer.compress(head)]
    pieces += [packer.compress(bytes(1 << 20)) for _ in range(64)]
    limits = Limits(inflated_held_bytes=1 << 20)
    engine = Deidentifier(driving.basic_plan(), driving.pseudonyms(), DEFLATED, limits=limits)

    assert _most_held(engine, pieces) <= 3 << 20


def test_a_header_without_an_end_is_refused_at_the_limit():
    """However it comes, what is held is the limit and no more than a fragment beyond it."""
    limits = Limits(header_bytes=1 << 20)
    engine = Deidentifier(driving.basic_plan(), driving.pseudonyms(), EXPLICIT, limits=limits)
    pieces = [UNENDING, *[bytes(1 << 14)] * 200]

    assert _most_held(engine, pieces) <= (1 << 20) + (1 << 14) + 12


@pytest.mark.parametrize("step", [1 << 12, 1 << 20])
def test_a_deflated_dataset_as_real_ones_are_is_not(step):
    """A header of half a megabyte that deflates well passes where a tenth could be held."""
    items = [[instances.text(0x00080104, "LO", f"Meaning {number}")] for number in range(20_000)]
    body = instances.small_ct([El(0x00081115, "SQ", items, undefined=True)])
    dataset = instances.dataset(body, DEFLATED)
    limits = Limits(inflated_held_bytes=1 << 16)
    engine = Deidentifier(driving.basic_plan(), driving.pseudonyms(), DEFLATED, limits=limits)
    for at in range(0, len(dataset), step):
        engine.feed(dataset[at : at + step])

    engine.finish()

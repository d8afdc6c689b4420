"""Widening to UTF-8: every text is kept as a text, everything else as bytes."""

from __future__ import annotations

import contextlib
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import DeidentificationError, Mark, Reason, compile_plan
from rules.conditions import Pattern
from rules.elements import Irregular
from rules.profile import Literal, Regex, ReplaceRule
from rules.selectors import parse_selector
from rules.widening import widened
from tests import driving, encoded, instances
from tests.encoded import EXPLICIT, IMPLICIT, El, Form

CHARSET, NAME, OTHER_NAMES, COMMENTS = 0x00080005, 0x00100010, 0x00101001, 0x00104000
SEQUENCE, ICON, TEXT = 0x00081140, 0x00880200, 0x0040A160
LATIN_1, JAPANESE, UTF_8 = "ISO_IR 100", "\\ISO 2022 IR 87", "ISO_IR 192"
UTF_8_BYTES = b"ISO_IR 192"
FORMS = [Form(implicit=False), Form(implicit=True)]
UMLAUT, NAMES = "Grünewald^Jürgen", "Müller^Bärbel"
KANJI = "Yamada^Tarou=山田^太郎=やまだ^たろう"
CYRILLIC = "Жижка"
NEITHER = "Жижка^Žižka"  # no single character set holds it, nor does the Japanese one


def padded(value, vr="LO"):
    """A value at even length."""
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


def text(tag, vr, value, codec="latin-1"):
    """An element of text in a codec."""
    return El(tag, vr, padded(value.encode(codec)))


def charset(term):
    """Specific Character Set."""
    return El(CHARSET, "CS", padded(term.encode()))


def widen(elements, form, charsets=LATIN_1, **options):
    """The elements of the widened dataset, which must be well formed."""
    data = encoded.encode(elements, form)
    terms = tuple(charsets.split("\\")) if charsets else ()
    return encoded.read(widened(data, implicit=form.implicit, charsets=terms, **options), form)


def leaves(elements):
    """Tags, and values without padding, of what is no sequence, at every depth."""
    for element in elements:
        if element.items is None:
            yield element.tag, element.value.rstrip(b" ")
        for item in element.items or ():
            yield from leaves(item.elements)


# ---- texts


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("items_undefined", [False, True])
@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_texts_at_every_depth_are_written_in_utf_8(form, undefined, items_undefined, vr):
    """In sequences of either length, and in those that a peer did not know as such."""
    inner = El(ICON, "SQ", [[text(NAME, "PN", NAMES)]], undefined, items_undefined)
    item = [text(NAME, "PN", UMLAUT), inner]
    elements = [
        charset(LATIN_1),
        El(SEQUENCE, vr, [item, item], undefined, items_undefined),
        text(NAME, "PN", UMLAUT),
    ]

    result = list(leaves(widen(elements, form)))

    names = [UMLAUT.encode(), NAMES.encode()]
    assert [value for tag, value in result if tag == NAME] == [*names, *names, names[0]]
    assert result[0] == (CHARSET, UTF_8_BYTES)


@pytest.mark.parametrize("form", FORMS)
def test_all_but_texts_stays_byte_for_byte(form):
    """Numbers, codes, UIDs, ASCII, lengths that are undefined, and fragments."""
    icon = El(0x7FE00010, "OB" if not form.implicit else "OW", b"\xfc\xe4")
    if not form.implicit:
        icon.fragments, icon.value = [b"", b"\xff\xd8\xfe\xff\x00\xe0\xe4\xf6"], b""
    kept = [
        El(0x00080060, "CS", b"\xe4\xf6"),
        El(0x00081140, "SQ", [], undefined=True),
        El(0x00081150, "UI", b"1.2\0"),
        El(0x00090010, "LO", b"NOBODY"),
        El(0x00091001, "UN", b"\xe4\xf6"),
        El(NAME, "PN", b"plain odd "),
        El(0x00280010, "US", b"\xe4\xf6"),
        El(ICON, "SQ", [[icon]], undefined=True, items_undefined=True),
    ]

    _, *rest = widen([charset(LATIN_1), *kept], form)

    assert b"".join(element.raw for element in rest) == encoded.encode(kept, form)


def test_blanks_in_front_stay_and_padding_is_made_anew():
    """Those in front count, those behind do not."""
    comment = El(COMMENTS, "LT", b"  \xe4  ")

    (_, result) = widen([charset(LATIN_1), comment], FORMS[0])

    assert result.value == "  ä".encode()


@pytest.mark.parametrize(
    ("declared", "vr", "value", "expected"),
    [
        (LATIN_1, "PN", UMLAUT.encode("latin-1"), UMLAUT),
        ("ISO_IR 144", "PN", CYRILLIC.encode("iso8859-5"), CYRILLIC),
        ("ISO_IR 13", "PN", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "PN", "王^小东".encode("gb18030"), "王^小东"),
        ("GB18030", "LO", "俓\\俓".encode("gb18030"), "俓\\俓"),
        (
            JAPANESE,
            "PN",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            KANJI,
        ),
        (
            "\\ISO 2022 IR 149",
            "PN",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=",
            "Hong^Gildong=洪^吉洞=",
        ),
        ("\\ISO 2022 IR 149", "LT", b"\x1b$)C\xb1\xe8=\xb1\xe8^\xb1\xe8", "김=김^김"),
        ("\\ISO 2022 IR 149", "LT", b"\x1b$)C\xb1\xe8\r\n\x1b$)C\xb1\xe8", "김\r\n김"),
        ("", "PN", b"\xe4", "ä"),
        ("no such term", "PN", b"\xe4", "ä"),
        (UTF_8, "PN", UMLAUT.encode(), UMLAUT),
        (UTF_8, "PN", b"a\xffb", "a\ufffdb"),
        (LATIN_1, "PN", b"\x1b$Bab", "\ufffd$Bab"),
    ],
)
def test_a_text_is_read_as_declared(declared, vr, value, expected):
    """Also one that changes its character set on the way, or cannot be read at all."""
    tag = {"PN": NAME, "LO": 0x00100020, "LT": COMMENTS}[vr]

    (_, result) = widen([charset(declared), El(tag, vr, padded(value))], FORMS[0], declared)

    assert result.value.decode().rstrip(" ") == expected


def test_an_item_may_declare_its_own_character_set():
    """It holds for what is inside, and for nothing behind."""
    cyrillic = text(NAME, "PN", CYRILLIC, "iso8859-5")
    inside = El(SEQUENCE, "SQ", [[charset("ISO_IR 144"), El(ICON, "SQ", [[cyrillic]]), cyrillic]])
    inside.value[0].sort(key=lambda element: element.tag)
    elements = [charset(LATIN_1), inside, text(NAME, "PN", UMLAUT)]

    result = list(leaves(widen(elements, FORMS[0])))

    assert [value.decode() for tag, value in result if tag == NAME] == [CYRILLIC] * 2 + [UMLAUT]
    assert [value for tag, value in result if tag == CHARSET] == [UTF_8_BYTES] * 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tags", [[], [0x00080001], [0x00080001, NAME], [0x00080008]])
def test_the_character_set_is_declared_where_it_is_absent(form, tags):
    """At its place among the tags, once, and not in items."""
    elements = [El(tag, "UL" if tag == 0x00080001 else "PN", b"\0\0\0\0") for tag in tags]
    elements.append(El(ICON, "SQ", [[text(NAME, "PN", UMLAUT)]]))

    result = widen(elements, form, "")

    assert [one.tag for one in result] == sorted([*tags, CHARSET, ICON])
    assert sum(tag == CHARSET for tag, _ in leaves(result)) == 1


def test_what_stands_behind_the_pixels_declares_nothing():
    """The element that says so stands in front of them."""
    padding = El(0xFFFCFFFC, "OB", b"\0\0")

    assert [one.tag for one in widen([padding], FORMS[0], declare=False)] == [0xFFFCFFFC]


# ---- VRs that are not said


def test_in_implicit_vr_a_private_text_is_one_by_its_creator():
    """As far as the private dictionary knows; of others the bytes stay."""
    elements = [
        charset(LATIN_1),
        El(0x00190010, "", b"SIEMENS MR HEADER "),
        El(0x00190011, "", b"M\xfcller "),
        El(0x00191008, "", "Größe".encode("latin-1") + b" "),  # CS
        El(0x0019100F, "", "Größe".encode("latin-1") + b" "),  # SH
        El(0x00191101, "", "Größe".encode("latin-1") + b" "),
    ]

    result = [one.value.rstrip() for one in widen(elements, FORMS[1])]

    latin, utf_8 = "Größe".encode("latin-1"), "Größe".encode()
    assert result[2:] == ["Müller".encode(), latin, utf_8, latin]


@pytest.mark.parametrize("form", FORMS)
def test_a_text_that_a_peer_did_not_know_is_one_by_the_dictionary(form):
    """Its VR stays UN, which readers understand by the dictionary too."""
    (_, result) = widen([charset(LATIN_1), El(NAME, "UN", b"M\xfcller")], form)

    assert result.value.rstrip() == "Müller".encode()
    assert result.vr in ("UN", None)


def test_a_value_of_unknown_vr_that_reads_as_items_is_descended():
    """A peer that did not know the sequence wrote a length."""
    items = encoded.encode_one(El(0x00091001, "UN", [[text(NAME, "PN", UMLAUT)]]), FORMS[0])

    data = widened(items, implicit=False, charsets=(LATIN_1,), declare=False)

    assert UMLAUT.encode() in data
    assert struct.unpack_from("<L", data, 8)[0] == len(data) - 12


@pytest.mark.parametrize("tag", [0x00091001, SEQUENCE])
@pytest.mark.parametrize("vr", ["UN", "SQ"])
@pytest.mark.parametrize(
    "value",
    [
        b"\xfe\xff\x00\xe0\x04\0\0\0\xe4\xe4\xe4\xe4",
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x10\0\x10\0\x02\0\0\0\xe4\xe4",
        b"\xfe\xff\x00\xe0\x00\x01\0\0",
        b"\xfe\xff\x00\xe0\0\0\0\0\xe4\xe4",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"\xe4\xe4",
    ],
)
def test_what_only_looks_like_items_stays_as_it_is(tag, vr, value):
    """Whether it may is for the walk to judge."""
    elements = [El(tag, vr, value), text(NAME, "PN", UMLAUT)]
    data = encoded.encode(elements, FORMS[0])

    result = widened(data, implicit=False, charsets=(LATIN_1,), declare=False)

    kept = encoded.encode(elements[:1], FORMS[0])
    assert result[: len(kept)] == kept
    assert UMLAUT.encode() in result[len(kept) :]


# ---- limits


def test_a_text_too_long_for_its_vr_is_refused():
    """By its tag, and without its value."""
    data = encoded.encode([El(COMMENTS, "LT", b"\xe4" * 0xFFF0)], FORMS[0])

    with pytest.raises(DeidentificationError) as refused:
        widened(data, implicit=False, charsets=(LATIN_1,))

    assert (refused.value.reason, refused.value.tag) == (Reason.OPERATOR, COMMENTS)


def nested(levels, *, undefined, ends=True):
    """A name that many levels down, in implicit VR."""
    inner = encoded.encode([text(NAME, "PN", UMLAUT)], FORMS[1])
    rests = [len(inner) + 16 * level for level in range(levels - 1, -1, -1)]
    starts = [
        struct.pack("<HHLHHL", 0x0008, 0x1140, rest + 8, 0xFFFE, 0xE000, rest)
        if not undefined
        else struct.pack("<HHLHHL", 0x0008, 0x1140, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
        for rest in rests
    ]
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return b"".join(starts) + inner + closing * (levels if undefined and ends else 0)


@pytest.mark.parametrize("undefined", [False, True])
def test_depth_costs_no_more_than_length(undefined):
    """However deep a sender nests."""
    data = nested(20_000, undefined=undefined)

    with driving.within(10):
        result = widened(data, implicit=True, charsets=(LATIN_1,), declare=False)

    assert UMLAUT.encode() in result
    assert len(result) == len(data) + 2


def test_depth_without_an_end_is_refused():
    """As what it is: data that end too early."""
    data = nested(20_000, undefined=True, ends=False)

    with driving.within(10), pytest.raises(DeidentificationError) as refused:
        widened(data, implicit=True, charsets=(LATIN_1,))

    assert refused.value.reason is Reason.TRUNCATED


def test_many_values_that_only_look_like_items_cost_no_more_than_length():
    """Each is looked at once."""
    one = El(0x00091001, "UN", b"\xfe\xff\x00\xe0\x04\0\0\0\xe4\xe4\xe4\xe4")
    data = encoded.encode([one] * 30_000, FORMS[0])

    with driving.within(10):
        assert widened(data, implicit=False, charsets=(LATIN_1,), declare=False) == data


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_widened_or_refused(data, implicit):
    """Nothing else can come of them, and nothing hangs."""
    with contextlib.suppress(DeidentificationError, Irregular):
        widened(data, implicit=implicit, charsets=(LATIN_1,))


# ---- laws


def sorted_once(elements):
    """Ascending at every level, each tag once."""
    by_tag = {element.tag: element for element in elements}
    for element in by_tag.values():
        if isinstance(element.value, list):
            element.value = [sorted_once(item) for item in element.value]
    return [by_tag[tag] for tag in sorted(by_tag)]


LEAVES = st.builds(
    text,
    st.sampled_from([NAME, OTHER_NAMES]),
    st.just("PN"),
    st.text("aÄöü^", max_size=6),
) | st.builds(
    El, st.sampled_from([0x00280010, 0x00280011]), st.just("US"), st.binary(min_size=2, max_size=2)
)
TREES = st.recursive(
    st.lists(LEAVES, max_size=3),
    lambda inner: st.tuples(
        inner,
        st.builds(
            El,
            st.sampled_from([SEQUENCE, ICON]),
            st.just("SQ"),
            st.lists(inner, max_size=3),
            st.booleans(),
            st.booleans(),
        ),
    ).map(lambda pair: [*pair[0], pair[1]]),
    max_leaves=6,
).map(sorted_once)


@given(TREES, st.sampled_from(FORMS))
def test_only_the_bytes_of_texts_differ(elements, form):
    """Read back in UTF-8, every value is what it was in Latin-1."""
    before = list(leaves(encoded.read(encoded.encode(elements, form), form)))

    after = list(leaves(widen([charset(LATIN_1), *elements], form)))[1:]

    expected = [
        (tag, value.decode("latin-1").encode() if tag in (NAME, OTHER_NAMES) else value)
        for tag, value in before
    ]
    assert after == expected


@given(TREES, st.sampled_from(FORMS))
def test_what_is_widened_is_not_widened_again(elements, form):
    """UTF-8 in UTF-8 is itself."""
    data = encoded.encode([charset(LATIN_1), *elements], form)

    once = widened(data, implicit=form.implicit, charsets=(LATIN_1,))

    assert widened(once, implicit=form.implicit, charsets=(UTF_8,)) == once


@given(TREES, st.sampled_from(FORMS), st.data())
def test_a_damaged_dataset_is_widened_or_refused(elements, form, draw):
    """Whatever a byte or an early end makes of lengths, tags and delimiters."""
    data = bytearray(encoded.encode(elements, form))
    for _ in range(draw.draw(st.integers(1, 3)) if data else 0):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    kept = bytes(data[: draw.draw(st.integers(0, len(data)))])

    with contextlib.suppress(DeidentificationError, Irregular):
        widened(kept, implicit=form.implicit, charsets=(LATIN_1,))


# ---- end to end


def rules(**by_keyword):
    """What Replace says."""
    mark = Mark("test.yaml", 1, 1)
    pairs = by_keyword.items()
    return tuple(ReplaceRule(parse_selector(keyword), value, mark) for keyword, value in pairs)


def replacing(**by_keyword):
    """A plan that keeps all but replaces these."""
    return compile_plan(driving.profile("none", replace=rules(**by_keyword)))


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("chunk", [0, 7])
@pytest.mark.parametrize(
    ("declared", "institution", "codec"),
    [
        (LATIN_1, "Klinik Gräfelfing", "latin-1"),
        (JAPANESE, "病院", "iso2022_jp"),
        ("", "St Elsewhere", "ascii"),
    ],
)
def test_a_text_that_the_character_set_cannot_hold_widens_the_instance(
    syntax, chunk, declared, institution, codec
):
    """The new name is there, and so is every other text, in front of the pixels and behind."""
    inside = text(0x00080080, "LO", institution, codec)
    behind = text(0x00104000, "LT", institution, codec)
    elements = instances.small_ct(
        [
            *([charset(declared)] if declared else []),
            inside,
            El(0x00081140, "SQ", [[inside]]),
            El(0xFFFAFFFA, "SQ", [[inside, behind]]),
        ]
    )
    if not declared:
        elements = [one for one in elements if one.tag != CHARSET]
    plan = replacing(PatientName=Literal(NEITHER))

    output = driving.engine(instances.dataset(elements, syntax), syntax, chunk, plan)

    result = encoded.read(output.dataset, Form.of(syntax))
    texts = [value.decode() for tag, value in leaves(result) if tag in (0x00080080, 0x00104000)]
    assert texts == [institution] * 4
    read = driving.read(output.file)
    assert read.SpecificCharacterSet == UTF_8
    assert read.PatientName == NEITHER
    assert read.InstitutionName == institution
    assert output.report.tags["InstitutionName"] == institution


def test_a_text_that_the_character_set_holds_widens_nothing():
    """Instances stay as they are wherever they can."""
    elements = instances.small_ct([text(0x00080080, "LO", "Gräfelfing")])
    plan = replacing(PatientName=Literal("Müller"))

    output = driving.engine(instances.dataset(elements, EXPLICIT), EXPLICIT, plan=plan)

    assert driving.read(output.file).SpecificCharacterSet == LATIN_1
    assert driving.read(output.file).PatientName == "Müller"


def test_pseudonyms_do_not_depend_on_widening():
    """The patient of a widened instance is that of all others."""
    elements = instances.small_ct([text(0x00100020, "LO", "Größe 4")])
    narrow = compile_plan(driving.profile())
    wide = compile_plan(driving.profile(replace=rules(PatientName=Literal("Ж"))))

    results = [
        driving.read(
            driving.engine(instances.dataset(elements, EXPLICIT), EXPLICIT, plan=plan).file
        )
        for plan in (narrow, wide)
    ]

    assert results[1].SpecificCharacterSet == UTF_8
    assert results[0].PatientID == results[1].PatientID
    assert results[0].StudyInstanceUID == results[1].StudyInstanceUID


def test_half_a_surrogate_pair_is_refused():
    """It is no character, and no character set holds it."""
    plan = replacing(PatientName=Regex(Pattern("Doe"), "\ud800"))

    with pytest.raises(DeidentificationError, match=re.escape(str(Reason.OPERATOR))):
        driving.engine(instances.dataset(instances.small_ct(), EXPLICIT), EXPLICIT, plan=plan)

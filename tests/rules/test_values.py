"""Values: what a literal may be for each VR, and how it is encoded."""

from __future__ import annotations

import contextlib
import re
import struct
from base64 import b64encode
from io import BytesIO

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from rules.values import DATA_PREFIX, TEXT_VRS, check, choose_vr, encode, encode_text

FORMS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR")
INTEGERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q"}
FLOATS = {"FL": "f", "FD": "d"}
BYTES = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
ALL_VRS = (*FORMS, *INTEGERS, *FLOATS, *BYTES, *sorted(TEXT_VRS), "AT")
# One standard attribute of each VR, so that pydicom reads the value back by its dictionary.
KEYWORDS = {
    "LO": "PatientID",
    "LT": "AdditionalPatientHistory",
    "PN": "PatientName",
    "SH": "StudyID",
    "ST": "InstitutionAddress",
    "UC": "LongCodeValue",
    "UT": "TextValue",
}


def data(value: bytes) -> str:
    """Bytes as a literal."""
    return DATA_PREFIX + b64encode(value).decode()


def read_back(vr: str, value: bytes, charsets: tuple[str, ...]) -> str:
    """What pydicom reads where such a value stands."""
    dataset = Dataset()
    if charsets:
        dataset.SpecificCharacterSet = list(charsets)
    head = BytesIO()
    dataset.save_as(head, implicit_vr=True, little_endian=True)
    tag = Dataset()
    setattr(tag, KEYWORDS[vr], "")
    (element,) = tag
    encoded = struct.pack("<HHL", element.tag.group, element.tag.element, len(value)) + value
    read = dcmread(BytesIO(head.getvalue() + encoded), force=True)
    return str(read[KEYWORDS[vr]].value)


@pytest.mark.parametrize("vr", [*ALL_VRS, "SQ"])
def test_an_empty_text_is_the_empty_value_of_any_vr(vr):
    """Present but empty is how a type 2 attribute says nothing."""
    check(vr, "", "3")

    assert encode(vr, "") == b""


GOOD = [
    ("AE", "CT1", b"CT1 "),
    ("AS", "042Y", b"042Y"),
    ("CS", "NO", b"NO"),
    ("CS", "ORIGINAL\\PRIMARY", b"ORIGINAL\\PRIMARY"),
    ("DA", "20240229", b"20240229"),
    ("DS", "-1.5e3", b"-1.5e3"),
    ("DS", "1\\\\3", b"1\\\\3"),
    ("DT", "2024", b"2024"),
    ("DT", "20240229115960.123456+1400", b"20240229115960.123456+1400"),
    ("IS", "-2147483648", b"-2147483648 "),
    ("TM", "2359", b"2359"),
    ("TM", "115960.5", b"115960.5"),
    ("UI", "1.2.840.0", b"1.2.840.0\0"),
    ("UR", "urn:x", b"urn:x "),
    ("US", "1\\65535", b"\x01\x00\xff\xff"),
    ("SS", "-1", b"\xff\xff"),
    ("UL", "4294967295", b"\xff" * 4),
    ("SV", "-9223372036854775808", b"\0" * 7 + b"\x80"),
    ("FL", "1.5", struct.pack("<f", 1.5)),
    ("FD", "-2e3", struct.pack("<d", -2000)),
    ("AT", "(0010,0020)", b"\x10\x00\x20\x00"),
    ("AT", "00100020\\0010,0010", b"\x10\x00\x20\x00\x10\x00\x10\x00"),
    ("OB", data(b"abc"), b"abc\0"),
    ("OW", data(b"ab"), b"ab"),
    ("DA", data(b"20240229"), b"20240229"),
    ("UI", data(b"1.2.3"), b"1.2.3\0"),
    ("LO", data(b"\xff"), b"\xff "),
    ("LO", "ANON", b"ANON"),
    ("LT", "a\\b\r\nc", b"a\\b\r\nc"),
    ("PN", "A^B^C^D^E=F=G", b"A^B^C^D^E=F=G "),
    ("US or SS", "40000", b"\x40\x9c"),
    ("US or SS", "-1", b"\xff\xff"),
    ("OB or OW", data(b"a"), b"a\0"),
]


@pytest.mark.parametrize(("vr", "text", "value"), GOOD)
def test_a_literal_is_cast_to_its_vr(vr, text, value):
    """Little endian, even length, padded as the VR is padded."""
    check(vr, text)

    assert encode(vr, text) == value


BAD = [
    ("AE", "A TITLE THAT IS TOO LONG", "at most 16"),
    ("AE", "   ", "not only blanks"),
    ("AS", "42Y", "three digits"),
    ("CS", "yes", "capitals"),
    ("CS", "A" * 17, "at most 16"),
    ("DA", "1.1.1970", "YYYYMMDD"),
    ("DA", "20230229", "a date of the calendar"),
    ("DA", "00000101", "a date of the calendar"),
    ("DA", "20241301", "a date of the calendar"),
    ("DA", "20240101-20240201", "YYYYMMDD"),
    ("DS", "1,5", "a decimal number"),
    ("DS", "1.23456789012345678", "at most 16"),
    ("DS", "nan", "a decimal number"),
    ("DT", "20240229+1500", "a date and time"),
    ("DT", "20240229-0000", "a date and time"),
    ("DT", "20240229+0199", "a date and time"),
    ("IS", "3000000000", "2147483647"),
    ("IS", "1.5", "a whole number"),
    ("TM", "2400", "a time of day"),
    ("TM", "12:30:00", "a time of day"),
    ("UI", "1.02", "without leading zeros"),
    ("UI", "1..2", "separated by dots"),
    ("UI", "1." * 32 + "1", "at most 64"),
    ("UR", "a b", "without blanks"),
    ("US", "-1", "from 0 to 65535"),
    ("US", "65536", "from 0 to 65535"),
    ("US", "1.0", "a whole number"),
    ("US", "1\\", "a whole number"),
    ("US", "\uff11", "a whole number"),
    ("FL", "1e39", "a number such as"),
    ("FD", "inf", "a number such as"),
    ("FD", "1e400", "a number such as"),
    ("AT", "PatientID", "AT is a tag"),
    ("OB", "abc", "OB is bytes"),
    ("OW", data(b"abc"), "2 bytes each"),
    ("US", data(b"abc"), "2 bytes each"),
    ("OB", DATA_PREFIX + "a", "is not base64"),
    ("OB", DATA_PREFIX + "YQ==\n", "is not base64"),
    ("DA", data(b"today"), "YYYYMMDD"),
    ("DA", data(b"\xff"), "YYYYMMDD"),
    ("SQ", "x", "a list of maps"),
    ("SQ", data(b""), "a list of maps"),
    ("XX", "x", "XX is no VR"),
    ("SH", "x" * 17, "at most 16 characters"),
    ("LO", "x" * 65, "at most 64 characters"),
    ("ST", "x" * 1025, "at most 1024 characters"),
    ("LO", "a\nb", "no control characters"),
    ("LT", "a\x1bb", "no control characters"),
    ("PN", "A^B^C^D^E^F", "at most 5 components"),
    ("PN", "A=B=C=D", "at most 3 groups"),
    ("US or SS", "70000", "from 0 to 65535"),
]


@pytest.mark.parametrize(("vr", "text", "said"), BAD)
def test_what_a_vr_cannot_hold_says_what_it_holds(vr, text, said):
    """The sentence names the VR and never the value."""
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        check(vr, text)

    assert vr == "SQ" or len(text) < 5 or text not in str(refused.value)
    with pytest.raises(ValueError, match=r"."):
        encode(vr, text)


@pytest.mark.parametrize(
    ("vr", "text", "vm"),
    [
        ("CS", "A", "1"),
        ("CS", "A\\B", "1-n"),
        ("CS", "A\\B", "2"),
        ("DS", "1\\2", "2-2n"),
        ("DS", "1\\2\\3\\4", "2-2n"),
        ("IS", "1\\2", "1-3"),
        ("US", "1\\2\\3", "3"),
        ("US", data(b"\0" * 6), "3"),
        ("LT", "a\\b", "1"),
        ("OB", data(b"abc"), "1"),
    ],
)
def test_the_number_of_values_is_that_of_the_dictionary(vr, text, vm):
    """A backslash separates values, but not in LT, ST, UT and UR."""
    check(vr, text, vm)


@pytest.mark.parametrize(
    ("vr", "text", "vm", "said"),
    [
        ("LO", "A\\B", "1", "it holds 1 value, not 2"),
        ("DS", "1", "2", "it holds 2 values, not 1"),
        ("DS", "1\\2\\3", "2-2n", "it holds 2 to 2n values, not 3"),
        ("IS", "1\\2\\3\\4", "1-3", "it holds 1 to 3 values, not 4"),
        ("US", data(b"\0" * 4), "3", "it holds 3 values, not 2"),
    ],
)
def test_another_number_of_values_is_an_error(vr, text, vm, said):
    """An attribute of one value with two would be read as neither."""
    with pytest.raises(ValueError, match=re.escape(said)):
        check(vr, text, vm)


def test_where_the_dictionary_leaves_a_choice_the_first_that_fits_is_taken():
    """The order is the dictionary's."""
    assert choose_vr("US or SS", "1") == "US"
    assert choose_vr("US or SS", "-1") == "SS"
    assert choose_vr("US or SS or OW", data(b"ab")) == "US"


def test_a_value_longer_than_its_length_field_is_an_error():
    """Two bytes of length hold 65534 bytes."""
    with pytest.raises(ValueError, match="at most 65534 bytes"):
        encode("LT", data(b"x" * 65535))


CHARSETS = [
    ((), "Buc^Jerome"),
    (("ISO_IR 100",), "Buc^Jérôme"),
    (("ISO_IR 144",), "Иванов^Иван"),
    (("ISO_IR 192",), "王^小東=Wang"),
    (("GB18030",), "王^小东"),
    (("GBK",), "王^小东"),
    (("ISO_IR 13",), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (("ISO 2022 IR 13", "ISO 2022 IR 87"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞=홍^길동"),
    (("", "ISO 2022 IR 100", "ISO 2022 IR 144"), "éДé"),
    (("ISO 2022 IR 6", "ISO 2022 IR 159"), "丂"),
    (("", "ISO 2022 IR 166"), "ก^ข"),
]


@pytest.mark.parametrize(("charsets", "text"), CHARSETS)
def test_text_is_encoded_in_the_character_set_of_the_instance(charsets, text):
    """What was written is what pydicom reads."""
    value = encode_text("PN", text, charsets)

    assert len(value) % 2 == 0
    assert read_back("PN", value, charsets) == text


@pytest.mark.parametrize(
    ("charsets", "text"),
    [
        ((), "é"),
        (("ISO_IR 6",), "é"),
        (("",), "é"),
        (("ISO_IR 100",), "Иван"),
        (("ISO_IR 13",), "山"),
        (("ISO_IR 13",), "¥"),
        (("", "ISO 2022 IR 87"), "é"),
        (("", "ISO 2022 IR 87"), "山é"),
        (("GBK",), "\U0001f600"),
        (("made up",), "é"),
    ],
)
def test_no_character_is_ever_dropped(charsets, text):
    """What the character set cannot hold refuses the instance; Orthanc would drop it."""
    with pytest.raises(ValueError, match="character set"):
        encode_text("LO", text, charsets)


def test_ascii_needs_no_character_set():
    """Every character set of DICOM holds it, an unknown one included."""
    assert encode_text("LO", "ANON", ("made up",)) == b"ANON"


NUMBERS = st.one_of(
    [st.integers(-(1 << 64), 1 << 64).map(lambda number, vr=vr: (vr, number)) for vr in INTEGERS]
)


@given(NUMBERS)
def test_a_whole_number_is_what_struct_packs(case):
    """And an error exactly where struct has one."""
    vr, number = case
    try:
        expected = struct.pack(f"<{INTEGERS[vr]}", number)
    except struct.error:
        with pytest.raises(ValueError, match="whole number"):
            encode(vr, str(number))
    else:
        assert encode(vr, str(number)) == expected


@given(
    st.sampled_from(ALL_VRS), st.text(max_size=30) | st.text("0123456789.+-\\ ABZ", max_size=20)
)
def test_a_value_is_of_even_length_or_an_error(vr, text):
    """Whatever a person may type."""
    with contextlib.suppress(ValueError):
        assert len(encode(vr, text)) % 2 == 0


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")  # pydicom counts escapes
@given(
    st.sampled_from(sorted(TEXT_VRS)),
    st.sampled_from([(), ("ISO_IR 100",), ("ISO_IR 192",), ("", "ISO 2022 IR 87"), ("GB18030",)]),
    st.text(
        st.characters(max_codepoint=0x30FF, categories=["L", "N", "P"]), min_size=1, max_size=16
    ),
)
def test_text_is_read_back_or_an_error(vr, charsets, text):
    """Neither lost nor changed."""
    assume(not set(text) & set("\\^="))
    try:
        value = encode_text(vr, text, charsets)
    except ValueError:
        assume(condition=False)

    assert len(value) % 2 == 0
    assert read_back(vr, value, charsets) == text

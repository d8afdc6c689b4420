r"""Literal text of a rule -> the encoded value of an element, or why it cannot be one.

- Nothing is bent to fit: a text that its VR, its VM or the character set of the instance
  cannot hold is an error, and no character is ever dropped.
- Values are little endian and of even length, separated by `\` where the VR has several.
- An empty text is the empty value of every VR, sequences included.
- `data:application/octet-stream;base64,...` gives the bytes of any VR but SQ.

Source: PS3.5 6.1 (character sets), 6.2 (VRs), 6.4 (VM), 7.1.2 (lengths).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from calendar import monthrange
from dataclasses import dataclass
from math import isfinite
from struct import Struct
from struct import error as StructError  # noqa: N812 - the struct module spells it small
from typing import TYPE_CHECKING

from pydicom.charset import ENCODINGS_TO_CODES, decode_bytes, python_encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA_PREFIX = "data:application/octet-stream;base64,"
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The VRs that Specific Character Set (0008,0005) applies to."""

_INTEGERS = {
    "US": Struct("<H"),
    "SS": Struct("<h"),
    "UL": Struct("<I"),
    "SL": Struct("<i"),
    "UV": Struct("<Q"),
    "SV": Struct("<q"),
}
_FLOATS = {"FL": Struct("<f"), "FD": Struct("<d")}
NUMBER_VRS = frozenset({*_INTEGERS, *_FLOATS})
"""The VRs of binary numbers."""

_TAGS = Struct("<HH")
_BYTES_OF_ONE = {"OB": 1, "UN": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_SHORT_LENGTH_BYTES = 0xFFFE
_LONG_LENGTH_BYTES = 0xFFFFFFFE
_LONG_LENGTH_VRS = frozenset({*_BYTES_OF_ONE, "SV", "UV", "UC", "UR", "UT"})
_ONE_VALUE_VRS = frozenset({"LT", "ST", "UT", "UR"})
_CHARACTERS = {"LO": 64, "SH": 16, "LT": 10240, "ST": 1024}
_PN_GROUPS, _PN_GROUP_CHARACTERS, _PN_COMPONENTS = 3, 64, 5
_LINES = "\t\n\f\r"
_ZONE_MINUTES = range(-12 * 60, 14 * 60 + 1)
_MONTHS = range(1, 13)


class Unencodable(ValueError):
    """The character sets of the instance cannot hold a text; UTF-8 would."""


@dataclass(frozen=True, slots=True)
class _Form:
    """One value of a VR in ASCII: what it looks like, and what else must hold."""

    pattern: re.Pattern[str]
    sentence: str
    holds: Callable[[re.Match[str]], bool] = lambda _: True

    def check(self, vr: str, value: str) -> None:
        found = self.pattern.fullmatch(value)
        if not found or not self.holds(found):
            raise ValueError(f"{vr} is {self.sentence}")


def check(vr: str, text: str, vm: str = "1-n") -> None:
    """Raise unless an element can hold a text, whatever the character set.

    Args:
        vr: Of the dictionary; `US or SS` means the first that fits.
        text: As the rule has it; empty is the empty value.
        vm: Of the dictionary: `1`, `2`, `1-3`, `1-n`, `2-2n`.

    Raises:
        ValueError: with what the VR or VM asks for; the text is not quoted.
    """
    if not text:
        return
    chosen = choose_vr(vr, text)
    if chosen in TEXT_VRS and not text.startswith(DATA_PREFIX):
        _check_text(chosen, text)
        count = len(_split(chosen, text))
    else:
        count = _count(chosen, text, _encoded(chosen, text))
    if not _vm_allows(vm, count):
        raise ValueError(f"{_values(vm)}, not {count}")


def choose_vr(vr: str, text: str) -> str:
    """The VR that holds a text where the dictionary leaves a choice.

    Args:
        vr: One VR, or several as the dictionary writes them: `US or SS or OW`.
        text: As the rule has it.

    Raises:
        ValueError: none of several holds it.
    """
    choice = vr.split(" or ")
    if len(choice) == 1:
        return vr
    reasons = []
    for one in choice:
        try:
            encode(one, text)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return one
    raise ValueError(reasons[0])


def numbers(vr: str, value: bytes) -> str:
    r"""The numbers of a value as text, `\` between them; bytes that fill none are left out.

    Args:
        vr: One of NUMBER_VRS.
        value: Encoded, little endian; empty gives an empty text.
    """
    form = _INTEGERS.get(vr) or _FLOATS[vr]
    whole = value[: len(value) - len(value) % form.size]
    return "\\".join(repr(number) for (number,) in form.iter_unpack(whole))


def encode(vr: str, text: str) -> bytes:
    """Encode a text in the default character repertoire.

    Args:
        vr: Of the dictionary; `US or SS` means the first that fits.
        text: As the rule has it; empty gives no bytes.

    Returns:
        The value field, little endian, of even length.

    Raises:
        ValueError: the VR cannot hold it, or it is not ASCII; the text is not quoted.
    """
    chosen = choose_vr(vr, text)
    if chosen in TEXT_VRS and not text.startswith(DATA_PREFIX):
        return encode_text(chosen, text, ())
    return _bounded(chosen, _encoded(chosen, text))


def encode_text(vr: str, text: str, charsets: tuple[str, ...]) -> bytes:
    """Encode a text of LO, LT, PN, SH, ST, UC or UT.

    Args:
        vr: One of `TEXT_VRS`.
        text: As the rule has it; empty gives no bytes.
        charsets: The values of Specific Character Set (0008,0005) of the instance; empty
            means the default repertoire.

    Returns:
        The value field, padded with a space to even length.

    Raises:
        Unencodable: the character sets cannot hold it.
        ValueError: the VR cannot; the text is not quoted.
    """
    if text.startswith(DATA_PREFIX):
        return encode(vr, text)
    _check_text(vr, text)
    return transcribed(vr, text, charsets)


def transcribed(vr: str, text: str, charsets: tuple[str, ...]) -> bytes:
    """Encode a text that stands elsewhere already: as above, but its form is not judged.

    Raises:
        Unencodable: the character sets cannot hold it.
        ValueError: it has more bytes than the VR can say, or a character set is not known.
    """
    if text.isascii():
        return _bounded(vr, text.encode("ascii"))
    encodings = _encodings(charsets)
    pieces = re.split(_delimiters(vr), text)
    return _bounded(vr, b"".join(_encode_piece(piece, encodings) for piece in pieces))


def _encoded(vr: str, text: str) -> bytes:
    """A value that no character set changes, not yet padded."""
    if not text:
        return b""
    if text.startswith(DATA_PREFIX):
        return _data(vr, text.removeprefix(DATA_PREFIX))
    if vr in _FORMS:
        _check_forms(vr, text)
        return text.encode("ascii")
    if vr in _INTEGERS:
        return b"".join(_integer(vr, value) for value in text.split("\\"))
    if vr in _FLOATS:
        return b"".join(_float(vr, value) for value in text.split("\\"))
    if vr == "AT":
        return b"".join(_tag(value) for value in text.split("\\"))
    if vr in _BYTES_OF_ONE:
        raise ValueError(f'{vr} is bytes: write "{DATA_PREFIX}..." or ""')
    if vr == "SQ":
        raise ValueError('a sequence is a list of maps, or ""')
    raise ValueError(f"{vr} is no VR")


def _bounded(vr: str, value: bytes) -> bytes:
    limit = _LONG_LENGTH_BYTES if vr in _LONG_LENGTH_VRS else _SHORT_LENGTH_BYTES
    if len(value) > limit:
        raise ValueError(f"{vr} holds at most {limit} bytes")
    if len(value) % 2 == 0:
        return value
    return value + (b" " if vr in TEXT_VRS or (vr in _FORMS and vr != "UI") else b"\0")


def _data(vr: str, encoded: str) -> bytes:
    try:
        value = b64decode(encoded, validate=True)
    except (Base64Error, ValueError):
        raise ValueError('what follows "base64," is not base64') from None
    if vr == "SQ":
        raise ValueError("a sequence cannot be given as bytes: write a list of maps")
    size = _size_of_one(vr)
    if len(value) % size:
        raise ValueError(f"{vr} is made of {size} bytes each; {len(value)} bytes are given")
    if vr in _FORMS and value:
        _check_forms(vr, value.decode("latin-1").rstrip(" \0"))
    return value


def _size_of_one(vr: str) -> int:
    number = _INTEGERS.get(vr) or _FLOATS.get(vr) or (_TAGS if vr == "AT" else None)
    return number.size if number else _BYTES_OF_ONE.get(vr, 1)


def _count(vr: str, text: str, value: bytes) -> int:
    if vr in _BYTES_OF_ONE or not value:
        return 1
    if vr in _INTEGERS or vr in _FLOATS or vr == "AT":
        return len(value) // _size_of_one(vr)
    return len(_split(vr, value.decode("latin-1") if text.startswith(DATA_PREFIX) else text))


def _split(vr: str, text: str) -> list[str]:
    return [text] if vr in _ONE_VALUE_VRS else text.split("\\")


def _vm_allows(vm: str, count: int) -> bool:
    least, _, most = vm.partition("-")
    if not most:
        return count == int(least)
    if count < int(least):
        return False
    if most.endswith("n"):
        return count % int(most[:-1] or 1) == 0
    return count <= int(most)


def _values(vm: str) -> str:
    if vm == "1":
        return "it holds 1 value"
    return f"it holds {vm.replace('-', ' to ')} values"


# ---- numbers


def _integer(vr: str, value: str) -> bytes:
    number = _INTEGERS[vr]
    bits = 8 * number.size
    signed = vr.startswith("S")
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    sentence = f"{vr} is a whole number from {least} to {most}"
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", value.strip(" ")):
        raise ValueError(sentence)
    if not least <= int(value) <= most:
        raise ValueError(sentence)
    return number.pack(int(value))


def _float(vr: str, value: str) -> bytes:
    sentence = f"{vr} is a number such as 1.5 or -2e3, of {_FLOATS[vr].size} bytes"
    if not _DECIMAL.fullmatch(value.strip(" ")) or not isfinite(float(value)):
        raise ValueError(sentence)
    try:
        return _FLOATS[vr].pack(float(value))
    except (OverflowError, StructError):
        raise ValueError(sentence) from None


def _tag(value: str) -> bytes:
    found = re.fullmatch(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?", value.strip(" "))
    if not found:
        raise ValueError("AT is a tag such as (0010,0020)")
    return _TAGS.pack(int(found[1], 16), int(found[2], 16))


# ---- strings of the default repertoire


def _is_date(found: re.Match[str]) -> bool:
    year, month, day = found["year"], found["month"], found["day"]
    if int(year) == 0:
        return False
    if month is None:
        return True
    if int(month) not in _MONTHS:
        return False
    return day is None or 1 <= int(day) <= monthrange(int(year), int(month))[1]


def _is_zone(found: re.Match[str]) -> bool:
    if found["zone"] is None:
        return True
    hours, minutes = int(found["zone"][1:3]), int(found["zone"][3:])
    signed = (hours * 60 + minutes) * (-1 if found["zone"][0] == "-" else 1)
    # PS3.5 6.2: -1200 to +1400, and -0000 is not allowed.
    return signed in _ZONE_MINUTES and minutes < 60 and found["zone"] != "-0000"  # noqa: PLR2004


_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TIME = r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_MOMENT = (
    r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?:(?P<day>[0-9]{2})"
    rf"(?:{_TIME})?)?)?(?P<zone>[+-][0-9]{{4}})?"
)
_FORMS = {
    "AE": _Form(
        re.compile(r"(?=.*[^ ])[ -\[\]-~]{1,16}"),
        "at most 16 ASCII characters, no backslash, not only blanks",
    ),
    "AS": _Form(re.compile(r"[0-9]{3}[DWMY]"), "three digits and one of D W M Y, such as 042Y"),
    "CS": _Form(
        re.compile(r"[A-Z0-9 _]{1,16}"), "at most 16 of capitals, digits, blanks and underscores"
    ),
    "DA": _Form(
        re.compile(r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"),
        "a date of the calendar, YYYYMMDD",
        _is_date,
    ),
    "DS": _Form(
        re.compile(rf"(?=.{{1,16}}$) *{_DECIMAL.pattern} *"),
        "a decimal number of at most 16 characters",
    ),
    "DT": _Form(
        re.compile(_MOMENT),
        "a date and time, YYYYMMDDHHMMSS, with less digits, a fraction or a zone if needed",
        lambda found: _is_date(found) and _is_zone(found),
    ),
    "IS": _Form(
        re.compile(r"(?=.{1,12}$) *[+-]?[0-9]+ *"),
        "a whole number from -2147483648 to 2147483647",
        lambda found: -(1 << 31) <= int(found[0]) < 1 << 31,
    ),
    "TM": _Form(re.compile(_TIME), "a time of day, HHMMSS, with a fraction if needed"),
    "UI": _Form(
        re.compile(r"(?=.{1,64}$)(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*"),
        "at most 64 characters: numbers without leading zeros, separated by dots",
    ),
    "UR": _Form(
        re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"),
        "a URI without blanks",
    ),
}


def _check_forms(vr: str, text: str) -> None:
    for value in _split(vr, text):
        if value:  # PS3.5 6.4: a value among several may be empty
            _FORMS[vr].check(vr, value)


# ---- text in the character set of the instance


def _check_text(vr: str, text: str) -> None:
    allowed = _LINES if vr in _ONE_VALUE_VRS else ""
    if any(_is_control(character) and character not in allowed for character in text):
        raise ValueError(f"{vr} holds no control characters")
    for value in _split(vr, text):
        if len(value) > _CHARACTERS.get(vr, len(value)):
            raise ValueError(f"{vr} holds at most {_CHARACTERS[vr]} characters a value")
        if vr == "PN":
            _check_name(value)


def _is_control(character: str) -> bool:
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or character in "\u2028\u2029"  # noqa: PLR2004 - C0, DEL and C1


def _check_name(value: str) -> None:
    groups = value.split("=")
    fits = len(groups) <= _PN_GROUPS and all(
        len(group) <= _PN_GROUP_CHARACTERS and group.count("^") < _PN_COMPONENTS
        for group in groups
    )
    if not fits:
        raise ValueError(
            "PN holds at most 3 groups (=) of 64 characters, each of at most 5 components (^)"
        )


def _delimiters(vr: str) -> str:
    """Behind each of these, and at the start, value 1 of the character sets holds again.

    Source: PS3.5 6.1.2.5.3.
    """
    if vr == "PN":
        return r"([\\^=])"
    return r"([\t\n\f\r])" if vr in _ONE_VALUE_VRS else r"(\\)"


def _encodings(charsets: tuple[str, ...]) -> tuple[str, ...]:
    """Python's names, the initial one first.

    Raises:
        ValueError: a term is not one of PS3.3 C.12.1.1.2.
    """
    terms = tuple(term.strip(" \0") for term in charsets) or ("",)
    unknown = [term for term in terms if term not in python_encoding]
    if unknown:
        raise ValueError("the instance names a character set that is not known")
    # pydicom reads the default repertoire as Latin-1; to write it means ASCII.
    ascii_terms = ("", "ISO_IR 6", "ISO 2022 IR 6")
    return tuple("ascii" if term in ascii_terms else python_encoding[term] for term in terms)


def _encode_piece(piece: str, encodings: tuple[str, ...]) -> bytes:
    """A piece between delimiters, with escapes wherever its character set changes.

    Source: PS3.5 6.1.2.5; PS3.3 C.12.1.1.2.
    """
    if piece.isascii():
        return piece.encode("ascii")
    encoded = b"".join(_runs(piece, encodings))
    readable = tuple("iso8859" if name == "ascii" else name for name in encodings)
    if decode_bytes(encoded, readable, set()) != piece:
        raise Unencodable("the character set of the instance cannot hold the text")
    return encoded


def _runs(piece: str, encodings: tuple[str, ...]) -> Iterator[bytes]:
    """Encoded runs of characters that share a character set."""
    upper = encodings[0]
    for run, encoding in _divided(piece, encodings):
        if encoding in _SEVEN_BIT:
            # Python's codec goes back to ASCII; with JIS X 0201 that is another escape.
            back = b"\x1b(J" if encodings[0] == "shift_jis" else b"\x1b(B"
            yield run.encode(encoding).removesuffix(b"\x1b(B") + back
            continue
        if not run.isascii() and encoding != upper:
            yield ENCODINGS_TO_CODES[encoding]
            upper = encoding
        yield run.encode(encoding)


def _divided(piece: str, encodings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    start, current = 0, ""
    for position, character in enumerate(piece):
        chosen = _encoding_for(character, encodings, current)
        if chosen != current and position > start:
            yield piece[start:position], current
            start = position
        current = chosen
    yield piece[start:], current


def _encoding_for(character: str, encodings: tuple[str, ...], current: str) -> str:
    if character.isascii():
        return "ascii"
    for encoding in (current, *encodings):
        if encoding and _holds(character, encoding):
            return encoding
    raise Unencodable("the character set of the instance cannot hold the text")


_SEVEN_BIT = ("iso2022_jp", "iso2022_jp_2")


def _holds(character: str, encoding: str) -> bool:
    try:
        encoded = character.encode(encoding)
    except UnicodeError:
        return False
    if encoding == "shift_jis":  # stands for JIS X 0201: half-width katakana, one byte each
        return len(encoded) == 1 and encoded >= b"\xa1"
    if encoding in _SEVEN_BIT:
        return encoded.startswith(ENCODINGS_TO_CODES[encoding])
    return True

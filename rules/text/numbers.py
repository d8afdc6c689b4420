"""What identifies by its look alone, whoever it belongs to.

Telephone, record and social security numbers, long numbers, UIDs and network addresses,
e-mail, URLs, numbers behind a label (MRN, Acc. No.), ages over 89, years of birth. Every
pattern begins at a boundary and is bounded or possessive, so that a scan is linear in the text.

Source: PS3.15 E.3.5.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.text.wording import Span, Word

_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
_DASH = "\\-\u2010-\u2015\u2212\uff0d"
_APART = rf"(?:[ .(){_DASH}]{{0,3}}|/)"
_LEAST_DIGITS_OF = {"phone": 7, "national": 8, "hyphenated": 7, "call": 4, "labelled": 3}

_NUMBERS = re.compile(
    "|".join(
        (
            # 1.2.840.10008, 192.168.0.1
            rf"{_START}\d{{1,39}}(?:\.\d{{1,39}}){{3,}}+",
            # +49 30 1234567, 0049 30 1234567
            rf"(?P<phone>(?:{_START}\+\(?|{_START}00|\((?=\d{{2,5}}\)))"
            rf"\d(?:{_APART}\d){{6,18}}{_END})",
            # 030 1234567, 06 12 34 56 78
            rf"(?P<national>{_START}0\d{{1,4}}(?:[ ./{_DASH}]{{1,3}}\d{{2,8}}){{1,6}}+)",
            rf"(?P<hyphenated>{_START}\d{{1,12}}(?:[{_DASH}]\d{{1,12}}){{1,6}}+{_END})",
            # 12.345.678-9
            rf"{_START}\d{{1,3}}(?:\.\d{{3}}){{2,3}}(?:[{_DASH}][\dkK]{{1,2}})?{_END}",
            rf"{_START}\d{{3}}[ .{_DASH}]\d{{2,3}}[ .{_DASH}]\d{{4}}{_END}",
            rf"{_START}\d{{2}}(?: \d{{2}}){{3,12}}+{_END}",
            rf"{_START}[1278] ?\d\d ?\d\d ?\d[\dAB] ?\d{{3}} ?\d{{3}}(?: ?\d\d)?{_END}",
        )
    )
)
_ADDRESSES = re.compile(
    rf"{_START}(?:"
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}"
    r"|[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,7}::[0-9a-f:]{0,40}"
    r"|[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){4,15}+"
    rf"){_END}",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    rf"{_START}(?:"
    r"(?P<call>(?:tel(?:e(?:ph|f)[a-zé]{1,6})?|t[ée]l|phone|ph|fax|mob(?:ile?)?|handy|cell"
    r"|pager|bleep|call)[ .:#=_-]{1,4}(?:no|nr)?[ .:#=]{0,3}"
    rf"\+?\(?\d(?:{_APART}\d){{2,18}}{_END})"
    r"|(?P<labelled>(?:mrn|pid|id|pat(?:ient)?(?:en)?[ ._-]{0,2}(?:id|no|nr|num(?:ber|mer))"
    r"|acc(?:ession|n)?|ssn|svnr|nhs|ahv|kvnr|nss|nir|cpf|dni|fall|case|visit|encounter|chart"
    r"|record|file|order|auftrag|req|insurance|policy|kasse|dossier)"
    r"[ .:#=_-]{0,4}(?:no|nr|num(?:ber|mer)?|id|#)?[ .:#=_-]{0,4}"
    rf"(?:[a-z]{{1,4}}[/{_DASH}]?)?\d[\da-z/.{_DASH}]{{2,40}})"
    r")",
    re.IGNORECASE,
)
_LONG = re.compile(r"\d{6}")
_FRACTION = re.compile(rf"\.\d{{1,9}}{_END}")
_DECIMAL = re.compile(rf"(?<![\w.,])\d{{1,4}}[.,](?P<fraction>\d{{6,}}+)(?![\w.{_DASH}])")
_AGES = re.compile(
    r"(?<![^\W_])(?<!\d[.,])(?P<years>0?(?:9\d|1[0-4]\d))"
    r"(?=[ -]{0,2}(?:y(?:ears?|rs?|o)?|jahren?|jahre|jährig[a-z]{0,2}|j|ans|años|anos|anni)"
    rf"{_END})",
    re.IGNORECASE,
)
_AGED = re.compile(
    rf"{_START}(?:aged?|alter|âge|edad|età)[ :=]{{0,3}}(?P<years>9\d|1[0-4]\d){_END}",
    re.IGNORECASE,
)
_BIRTH = re.compile(
    rf"{_START}(?:born|dob|d\.o\.b|birth(?:date|day)?|geb(?:oren)?|née?|nacid[oa]|nat[oa]|\*)"
    rf"[ .:]{{0,4}}(?:am|on|in|le|el|en|il)?[ :]{{0,3}}(?P<years>(?:1[89]|20)\d\d){_END}",
    re.IGNORECASE,
)
_CHUNK = re.compile(r"[^\s,;<>()\[\]\"|]++")
_DOMAINS = (
    *(".com", ".org", ".net", ".edu", ".gov", ".info", ".eu", ".de", ".fr", ".uk", ".ch", ".at"),
    *(".nl", ".es", ".it", ".us"),
)
_DIGIT = re.compile(r"\d")
_OLD = re.compile(r"9\d|1[0-4]\d")
_LEAST_DIGITS, _LEAST_SIGNS = 3, 4


def of_anybody(text: str, seen: list[Word]) -> Iterator[Span]:
    """Where something stands that looks like an identifier.

    Args:
        text: To be searched.
        seen: Its words.
    """
    if "." in text or "@" in text or ":" in text:
        yield from _network(text)
    if "::" in text or text.count(":") + text.count("-") >= _LEAST_SIGNS:
        yield from (found.span() for found in _ADDRESSES.finditer(text))
    digits = len(_DIGIT.findall(text))
    if digits >= _LEAST_DIGITS:
        yield from _numbers(text)
        yield from _long_numbers(text, seen)
    if _OLD.search(text):
        yield from _years(text, _AGES, _AGED)


def _numbers(text: str) -> Iterator[Span]:
    for pattern in (_NUMBERS, _LABELLED):
        for found in pattern.finditer(text):
            least = _LEAST_DIGITS_OF.get(found.lastgroup or "", 0)
            if sum(map(str.isdecimal, found[0])) >= least:
                yield found.span()
    yield from _years(text, _BIRTH)


def _years(text: str, *patterns: re.Pattern[str]) -> Iterator[Span]:
    for pattern in patterns:
        yield from (found.span("years") for found in pattern.finditer(text))


def _long_numbers(text: str, seen: list[Word]) -> Iterator[Span]:
    """Whole words with six digits in a row, but for the fraction of a decimal number."""
    fractions = {found.start("fraction") for found in _DECIMAL.finditer(text)}
    for start, end, word in seen:
        if _LONG.search(word) and start not in fractions:
            behind = _FRACTION.match(text, end)
            yield start, behind.end() if behind else end


def _network(text: str) -> Iterator[Span]:
    """E-mail, URLs and host names; what surrounds one without a blank goes with it."""
    for found in _CHUNK.finditer(text):
        chunk = found[0]
        if "." in chunk or "@" in chunk or "://" in chunk:
            plain = chunk.casefold().rstrip(".:!?")
            host = plain.partition("/")[0]
            named = host.startswith("www.") or (host.endswith(_DOMAINS) and host[0] != ".")
            if named or "@" in plain.strip("@") or "://" in plain:
                yield found.span()

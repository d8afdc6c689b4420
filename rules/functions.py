r"""The functions of Replace that are neither pseudonyms nor dates: one operator each.

A text is read in the character set of the instance, in Unicode's composed form (NFC) and
without padding. Several values count as one text, with `\` between them, unless it is said
otherwise. A result that the VR cannot hold is a ValueError: nothing is bent to fit.

Source: PS3.5 6.2 (what each VR can hold).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from unicodedata import normalize

from rules import values
from rules.charsets import decoded
from rules.elements import padded
from rules.errors import Reason
from rules.operators import Refusal, encode_literal, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.conditions import Pattern
    from rules.operators import Context

_UNKNOWN_VR = "UN"
_ONE_VALUE_VRS = frozenset(("LT", "ST", "UR", "UT"))
_AGE = re.compile(r"(?P<number>[0-9]{3})(?P<unit>[DWMY])")
_UNITS_OF_A_CENTURY = {"D": 36525, "W": 5218, "M": 1200, "Y": 100}


@dataclass(frozen=True, slots=True)
class HashText:
    """`{hash: n}`: `characters` of base 32 that depend on the key, the scope and the value.

    Several values make one hash, and an empty value stays empty.
    """

    scope: str
    characters: int
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"keyed hash of {self.characters} characters, scope {self.scope}"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        original = _text(vr, value, context)
        if not original:
            return b""
        hashed = context.pseudonyms.characters(self.scope, original, self.characters)
        return _encoded(vr, hashed, context)


@dataclass(frozen=True, slots=True)
class CapAge:
    """`{age: cap-89}`: an age above `years` becomes it (PS3.5 6.2, AS).

    Whole years count, whatever unit the age is in. Each of several values is judged, and one
    that is no age becomes empty.
    """

    years: int
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        return f"at most {self.years} years"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:  # noqa: ARG002
        """See Operator."""
        if vr not in ("AS", _UNKNOWN_VR):
            raise ValueError(f"{vr} holds no age")
        return padded("AS", "\\".join(map(self._one, plain(value).split("\\"))).encode("ascii"))

    def _one(self, text: str) -> str:
        found = _AGE.fullmatch(text.strip(" \0"))
        if not found:
            return ""
        years = int(found["number"]) * 100 // _UNITS_OF_A_CENTURY[found["unit"]]
        return f"{self.years:03}Y" if years > self.years else found[0]


@dataclass(frozen=True, slots=True)
class LookUp:
    """`{lookup: FILE.csv}`: the text that a table has for the value.

    An empty value is in no table.

    Attributes:
        table: New texts by original ones; never shown.
        missing: What happens to a value without an entry: `reject` refuses the instance,
            `remove` leaves the element empty.
        file: Where the table stands.
    """

    table: Mapping[str, str] = field(repr=False)
    missing: str
    file: str
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        otherwise = "refused" if self.missing == "reject" else "emptied"
        return f"looked up in {self.file}, {otherwise} if missing"

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator; raises operators.Refusal where nothing is found and that refuses."""
        original = _text(vr, value, context).strip()
        found = self.table.get(original) if original else None
        if found is not None:
            return _encoded(vr, found, context)
        if self.missing == "reject":
            raise Refusal(Reason.NOT_IN_LOOKUP)
        return b""


@dataclass(frozen=True, slots=True)
class Substitute:
    """`{regex: PATTERN, with: TEXT}`: every occurrence, in time linear in the value.

    What stands in the place of an occurrence is `replacement` as it is. A value in which the
    pattern does not occur stays byte for byte. More values than before, and a text too long to
    be searched, are a ValueError.
    """

    pattern: Pattern
    replacement: str
    code: str = "D"
    constant: ClassVar[bool] = False

    def describe(self) -> str:
        """See Operator."""
        flag = "i" if self.pattern.ignore_case else ""
        return f'"{self.replacement}" for each /{self.pattern.source}/{flag}'

    def apply(self, vr: str, value: bytes, context: Context) -> bytes:
        """See Operator."""
        original = _text(vr, value, context)
        spans = list(self.pattern.spans(original))
        if not spans:
            return padded(vr, value)
        result = self._replaced(original, spans)
        if _count(vr, result) > _count(vr, original) or result.startswith(values.DATA_PREFIX):
            raise ValueError("the replacement makes something else of the value")
        return _encoded(vr, result, context)

    def _replaced(self, text: str, spans: list[tuple[int, int]]) -> str:
        pieces, behind = [], 0
        for start, end in spans:
            pieces += [text[behind:start], self.replacement]
            behind = end
        return "".join([*pieces, text[behind:]])


def _text(vr: str, value: bytes, context: Context) -> str:
    """A value as text; of VRs that no character set changes, byte for character."""
    if vr in values.NUMBER_VRS:
        return values.numbers(vr, value)
    if vr in values.TEXT_VRS or vr == _UNKNOWN_VR:
        return normalize("NFC", decoded(value, "\\".join(context.charsets)))
    return plain(value).strip(" \0")


def _encoded(vr: str, text: str, context: Context) -> bytes:
    """A text as its VR asks; of an unknown VR as the one that holds any text."""
    return encode_literal("UT" if vr == _UNKNOWN_VR else vr, text, context.charsets)


def _count(vr: str, text: str) -> int:
    return 1 if vr in _ONE_VALUE_VRS else text.count("\\") + 1

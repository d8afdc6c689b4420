"""One function of Replace as a file writes it -> its value; whether an attribute can hold it.

A function is a map of one key, `{pseudonym: scope}`; `lookup` and `regex` take a second one.
Every mistake is a ValueError whose sentence goes on behind the keyword of the attribute.

Source: PS3.5 6.2 (what each VR can hold).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_VM

from rules import values
from rules.conditions import Pattern, parse_test
from rules.language.document import quoted
from rules.language.lookup_tables import read_table
from rules.profile import (
    CapAge,
    CoarseDate,
    Hash,
    KeyedUID,
    Lookup,
    Pseudonym,
    Regex,
    ShiftDate,
)
from rules.selectors import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.profile import Value

    ReadLookup = Callable[[str], str]
    """The text of a lookup file by the name that the profile gives it; raises a ValueError
    whose sentence goes on behind that name."""

_SCOPE_CHARACTERS = 64
_LOOKUP_NAME_CHARACTERS = 255
_DATES = frozenset({"DA", "DT"})
# A pseudonym and a hash are capitals and digits.
_CODE_VRS = frozenset({"AE", "CS", *values.TEXT_VRS})
_CODE_CHARACTERS = {"AE": 16, "CS": 16, "SH": 16}
_HASH_CHARACTERS = 64
_TEXTUAL_VRS = frozenset(
    {*("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UR"), *values.TEXT_VRS}
)
_WHOLE_VALUES = frozenset({*values.TEXT_VRS, "CS", "UR"})
_PLAIN = re.compile(r"[ -\[\]-~]{0,64}")
_MOST_YEARS = 999
# StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID.
_NEVER_EMPTY = frozenset({0x0020000D, 0x0020000E, 0x00080018})


def scope(text: str) -> str:
    """The name of a set of pseudonyms.

    Raises:
        ValueError: it is no such name.
    """
    if not text.strip() or len(text) > _SCOPE_CHARACTERS or not text.isprintable():
        raise ValueError(f"is 1 to {_SCOPE_CHARACTERS} printable characters, not all blanks")
    return text


def no_lookups(_: str) -> str:
    """What stands in for lookup files where there is no folder to find them in.

    Raises:
        ValueError: always.
    """
    raise ValueError("needs a file beside a configuration, and here is none")


def check_held(text: str, tag: int, vr: str | None) -> None:
    """Raise unless an attribute can hold a literal.

    Args:
        text: Empty fits everywhere.
        tag: For its VM.
        vr: Of the dictionary; None where it is not known.

    Raises:
        ValueError: why not; the text is not quoted.
    """
    if not text or vr is None:
        return
    if vr == "SQ":
        raise ValueError('is a sequence: write a list of maps, or ""')
    try:
        # A plan writes the first VR where the dictionary leaves a choice (US or SS).
        values.check(vr.split(" or ", 1)[0], text, _vm_of(tag))
    except ValueError as error:
        raise ValueError(f"cannot be this: {error}") from None


def _vm_of(tag: int) -> str:
    try:
        return dictionary_VM(tag)
    except KeyError:  # newer than pydicom
        return "1-n"


@dataclass(frozen=True, slots=True)
class Call:
    """A function and the attribute that it is for.

    Attributes:
        argument: What stands behind the name of the function; empty if it is no text.
        beside: What stands behind the second key; None if there is no such key.
        tag: Of the attribute; of a mask, of its first.
        vr: Of the attribute.
        read_lookup: Gives the text of a lookup file.
    """

    argument: str
    beside: str | None
    tag: int
    vr: str
    read_lookup: ReadLookup


def read_call(
    plain: Mapping[str, object], tag: int, vr: str | None, read_lookup: ReadLookup
) -> Value:
    """The value of a function.

    Args:
        plain: The map.
        tag: Of the attribute; of a mask, of its first.
        vr: Of the attribute; None where the dictionary does not know it.
        read_lookup: Gives the text of a lookup file.

    Raises:
        ValueError: what is wrong with it.
    """
    name, function = _named(plain)
    other = next((key for key in plain if key not in (name, function.beside)), None)
    if other is not None:
        raise ValueError(_foreign(name, other, function))
    if vr not in function.vrs:
        raise ValueError(f"is of VR {vr}, which cannot hold {function.result}")
    beside = _text(plain[function.beside]) if function.beside in plain else None
    return function.read(Call(_text(plain[name]), beside, tag, vr, read_lookup))


def _text(plain: object) -> str:
    return plain if isinstance(plain, str) else ""


def _named(plain: Mapping[str, object]) -> tuple[str, _Function]:
    """The one function of a map."""
    names = [name for name in plain if name in _FUNCTIONS]
    if len(names) > 1 or not plain:
        raise ValueError("takes a text or one function such as {pseudonym: scope}")
    if not names:
        unknown = next((key for key in plain if key not in _BESIDE), next(iter(plain)))
        near = nearest(unknown, tuple(_FUNCTIONS))
        there = f": there are {', '.join(_FUNCTIONS)}"
        raise ValueError(f"knows no function {quoted(unknown)}{near or there}")
    return names[0], _FUNCTIONS[names[0]]


def _foreign(name: str, other: str, function: _Function) -> str:
    near = nearest(other, (function.beside,)) if function.beside else ""
    return f"knows no {quoted(other)} beside {name}{near or f': write {function.form}'}"


# ---- the functions


def _pseudonym(call: Call) -> Value:
    try:
        return Pseudonym(scope(call.argument))
    except ValueError as error:
        raise ValueError(f"takes {{pseudonym: scope}}, where scope {error}") from None


def _hash(call: Call) -> Value:
    most = _CODE_CHARACTERS.get(call.vr, _HASH_CHARACTERS)
    if not re.fullmatch(r"[0-9]{1,2}", call.argument) or not 1 <= int(call.argument) <= most:
        raise ValueError(f"takes {{hash: n}}, where n is a whole number from 1 to {most}")
    return Hash(int(call.argument))


def _uid(call: Call) -> Value:
    if call.argument != "keyed":
        raise ValueError("takes {uid: keyed}")
    return KeyedUID()


def _shift(call: Call) -> Value:
    if call.argument != "patient":
        raise ValueError("takes {shift: patient}: one offset for each patient, see ShiftDays")
    return ShiftDate()


def _date(call: Call) -> Value:
    if call.argument not in ("year", "month"):
        raise ValueError("takes {date: year} or {date: month}")
    return CoarseDate(call.argument)


def _age(call: Call) -> Value:
    found = re.fullmatch(r"cap-([0-9]{1,3})", call.argument)
    if not found or not int(found[1]):
        raise ValueError(f"takes {{age: cap-89}}, a cap of 1 to {_MOST_YEARS} years")
    return CapAge(int(found[1]))


def _lookup(call: Call) -> Value:
    name, missing = call.argument, call.beside if call.beside is not None else "reject"
    if not name.strip() or len(name) > _LOOKUP_NAME_CHARACTERS or not name.isprintable():
        raise ValueError("takes {lookup: FILE.csv}, the name of a file beside the configuration")
    if missing not in ("reject", "remove"):
        raise ValueError(f"takes missing: reject or remove, not {quoted(missing)}")
    if missing == "remove" and call.tag in _NEVER_EMPTY:
        raise ValueError("cannot be empty: write missing: reject")
    try:
        table = read_table(call.read_lookup(name), _fits(call))
    except ValueError as error:
        raise ValueError(f"looks up in {quoted(name)}: {error}") from None
    return Lookup(table, missing, name)


def _fits(call: Call) -> Callable[[str], None]:
    """Whether the attribute of a call can hold a replacement."""
    vr, vm = call.vr, _vm_of(call.tag)

    def check(replacement: str) -> None:
        if not replacement and call.tag in _NEVER_EMPTY:
            raise ValueError("this attribute cannot be empty")
        values.check(vr, replacement, vm)

    return check


def _regex(call: Call) -> Value:
    if call.beside is None:
        raise ValueError('takes {regex: PATTERN, with: TEXT}; write with: "" to cut it out')
    pattern = _pattern(call.argument)
    if pattern.search(""):
        raise ValueError("has a pattern that fits where nothing is: ask for a character at least")
    _check_replacement(call.vr, call.beside)
    return Regex(pattern, call.beside)


def _pattern(text: str) -> Pattern:
    """A pattern, with or without slashes around it."""
    try:
        tested = parse_test(text) if text.startswith("/") else Pattern(text)
    except ValueError as error:
        raise ValueError(f"cannot use this pattern: {error}") from None
    if not isinstance(tested, Pattern):
        raise TypeError(type(tested).__name__)
    return tested


def _check_replacement(vr: str, text: str) -> None:
    """Whether any value of a VR could hold a text as a part."""
    if "\\" in text:
        raise ValueError("takes a plain text behind with: \\1 and the like mean nothing here")
    try:
        if vr in _WHOLE_VALUES:
            values.check(vr, text, "1")
    except ValueError as error:
        raise ValueError(f"cannot hold what stands behind with: {error}") from None
    if vr not in values.TEXT_VRS and not _PLAIN.fullmatch(text):
        raise ValueError(f"is of VR {vr}: with takes at most 64 characters of ASCII")


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of Replace: the VRs it is for, what it makes, how it is written."""

    vrs: frozenset[str]
    result: str
    form: str
    read: Callable[[Call], Value]
    beside: str = ""


_FUNCTIONS = {
    "pseudonym": _Function(_CODE_VRS, "a pseudonym", "{pseudonym: scope}", _pseudonym),
    "hash": _Function(_CODE_VRS, "a hash", "{hash: 16}", _hash),
    "uid": _Function(frozenset({"UI"}), "a UID", "{uid: keyed}", _uid),
    "shift": _Function(_DATES | {"TM"}, "a date or time", "{shift: patient}", _shift),
    "date": _Function(_DATES, "a date", "{date: year}", _date),
    "age": _Function(frozenset({"AS"}), "an age", "{age: cap-89}", _age),
    "lookup": _Function(
        _TEXTUAL_VRS | {"UI"},
        "what a lookup gives",
        "{lookup: FILE.csv, missing: reject}",
        _lookup,
        beside="missing",
    ),
    "regex": _Function(
        _TEXTUAL_VRS,
        "a text with parts replaced",
        "{regex: PATTERN, with: TEXT}",
        _regex,
        beside="with",
    ),
}
FUNCTIONS = tuple(_FUNCTIONS)
"""The names of all functions."""

_BESIDE = frozenset(one.beside for one in _FUNCTIONS.values())

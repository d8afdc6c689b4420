"""Clean Structured Content: what happens to a content item depends on its concept name.

- An item whose concept Table E.3.4-1 lists gets what the table says, under the options of the
  profile as on Table E.1-1: it goes, or its value becomes a dummy, stays or is cleaned.
- In every other item text is cleaned, a person name becomes a dummy, a UID is replaced and a
  date gets what a date option says. The rest stays.
- A row holds for values that can say the same thing. Another value of a listed concept gets the
  strictest action of its rows, whatever the options; a container has no value, and its items
  speak for themselves.
- A code of a private scheme means whatever somebody wrote: its meaning is cleaned, and it becomes
  a dummy where the table lists the concept with something else than codes.
- A rule of the profile for a value beats the table.

Source: PS3.15 E.3.4 and Table E.3.4-1; PS3.3 8.8 (codes), C.17.3 (content items); PS3.16 8
(coding schemes, private ones among them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rules.content_values import (
    ALL_VALUES,
    CONCEPT_CODE,
    DATES,
    PERSON_NAME,
    TEXT,
    UID,
    VALUES,
    dummies,
    says_the_same,
)
from rules.descriptors import CleanText
from rules.elements import (
    UNDEFINED,
    Incomplete,
    Irregular,
    TooDeep,
    headers,
    item_values,
    undefined_end,
)
from rules.operators import KEEP, KEEP_FITTING, REMOVE, Dummy, RemapUID, constant, plain
from rules.options import RETAIN_UIDS, action
from rules.resolution import ANYWHERE, resolved
from rules.tables.structured_content import concept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rules.descriptors import Lists
    from rules.operators import Operator
    from rules.plan import Plan
    from rules.tables.structured_content import Row


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What the chooser needs to know of a profile.

    Attributes:
        options: Words of PS3.15 E.3, clean-structured-content among them.
        scope: Of keyed functions.
        lists: For free text.
        dates: The operator of dates that a date option asks for; None means dummies.
    """

    options: tuple[str, ...]
    scope: str
    lists: Lists
    dates: Operator | None


CONTENT_SEQUENCES = (0x0040A730, 0x00400555, 0x00400612, 0x00400440, 0x00400441, 0x0040A808)
"""Content Sequence, Acquisition Context Sequence, Specimen Preparation Step Content Item
Sequence, Protocol Context Sequence, Content Item Modifier Sequence, Cell Values Sequence:
sequences of content items."""

_CODE_VALUES = (0x00080100, 0x00080119, 0x00080120)  # one of them, by its length and form
_SCHEME, _SCHEME_VERSION, _MEANING = 0x00080102, 0x00080103, 0x00080104
_EQUIVALENT_CODES = 0x00080121
_VALUE_TYPE, _CONCEPT_NAME = 0x0040A040, 0x0040A043

# SNOMED codes as they were written before SCT, which stand in older objects.
_SNOMED = frozenset(("SRT", "SNM3", "99SDM"))
_SCT = {
    "DD-60002": "116224001",
    "DF-0068E": "398325003",
    "DF-0070B": "398164008",
    "F-00033": "271921002",
    "F-02455": "160476009",
    "G-C0E3": "363698007",
    "G-D320": "397898000",
    "G-D321": "398201009",
    "PA-30029": "440252007",
    "R-42B89": "371524004",
}
_DUMMY_CODE: Mapping[int, Operator] = {
    **dict.fromkeys((*_CODE_VALUES, _MEANING), Dummy()),
    **dict.fromkeys((_SCHEME_VERSION, _EQUIVALENT_CODES), REMOVE),
    _SCHEME: constant("SH", "99ANONODE"),
}

_GOES, _DUMMY, _STAYS, _CLEANED, _LOCAL = "X", "D", "K", "C", "local codes become dummies"
_DEPTH = 64
_REMEMBERED = 1 << 12
_LONGEST_REMEMBERED = 512

Outcome = tuple[str, str]
"""What happens to an item: one of the words above, and its value type, empty if not known."""
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class ContentChooser:
    """Chooses the plan of one content item: a `rules.plan.Chooser`."""

    def __init__(self, rules: ContentRules) -> None:
        """Bind what a profile says."""
        self._rules = rules
        self._outcomes: dict[tuple[bytes, bytes, bool], Outcome] = {}
        self._variants = _Variants()
        self._codes = _LocalCodes({_MEANING: CleanText(rules.lists, Dummy())})
        self._listed_codes = _LocalCodes(_DUMMY_CODE)

    def choose(
        self, plan: Plan, data: bytes, start: int, stop: int, *, implicit: bool
    ) -> Plan | None:
        """See Chooser."""
        value_type, name, implicit_name = _said(data, start, stop, implicit=implicit)
        outcome = self._outcome(value_type, name, implicit=implicit_name)
        if outcome[0] == _GOES and not _is_wanted(plan, outcome[1]):
            return None
        return self._variants.of(plan, outcome, self._changed)

    def _changed(self, plan: Plan, outcome: Outcome) -> Plan:
        """The plan of an item of this outcome."""
        what, value_type = outcome
        overrides = _unlisted(self._rules)
        wanted = VALUES.get(value_type, ALL_VALUES)
        if what == _DUMMY:
            instead = dummies(self._rules.scope)
            overrides |= {tag: instead[tag] for tag in wanted}
        elif what == _STAYS:
            overrides |= {tag: KEEP_FITTING for tag in wanted if tag in overrides}
        codes = self._listed_codes if what == _LOCAL else self._codes
        return plan.changed(overrides, {_CONCEPT_NAME: self._codes, CONCEPT_CODE: codes})

    def _outcome(self, value_type: bytes, name: bytes, *, implicit: bool) -> Outcome:
        """What happens to an item, remembered by the bytes that say so."""
        key = value_type, name, implicit
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self._decided(value_type, name, implicit=implicit)
            if len(value_type) + len(name) <= _LONGEST_REMEMBERED:
                _remember(self._outcomes, key, outcome)
        return outcome

    def _decided(self, value_type: bytes, name: bytes, *, implicit: bool) -> Outcome:
        word = _text(value_type)
        known = word if word in VALUES else ""
        try:
            code = next(item_values(name, implicit=implicit, depth=_DEPTH), {})
        except (Irregular, Incomplete, TooDeep):
            return _GOES, ""
        row = _row(code, known)
        return self._by_table(row, known) if row else _CLEANED, known

    def _by_table(self, row: Row, value_type: str) -> str:
        """What the table says of a value of a listed concept."""
        if value_type not in row.value_types and value_type in ("CODE", "CONTAINER"):
            return _LOCAL if value_type == "CODE" else _CLEANED
        holds = says_the_same(value_type, row.value_types)
        choice = action(row, self._rules.options if holds else ())
        return resolved(choice.code, _CONCEPT_NAME, ANYWHERE)


class _LocalCodes:
    """Changes what codes of private schemes say: a `rules.plan.Chooser` of code sequences."""

    def __init__(self, overrides: Mapping[int, Operator]) -> None:
        self._overrides = overrides
        self._variants = _Variants()

    def choose(
        self, plan: Plan, data: bytes, start: int, stop: int, *, implicit: bool
    ) -> Plan | None:
        """See Chooser."""
        resume = [start]
        for tag, _, _, value, length in headers(data, start, stop, resume, implicit=implicit):
            if tag > _SCHEME or length == UNDEFINED:
                break
            if tag == _SCHEME and not _is_private(bytes(data[value : value + length])):
                return plan
        return self._variants.of(plan, ("", ""), self._changed)

    def _changed(self, plan: Plan, _: Outcome) -> Plan:
        return plan.changed(self._overrides, {})


class _Variants:
    """Plans made of other plans, each once for each outcome."""

    def __init__(self) -> None:
        # The plan that one is made of stays with it, so that no other gets its id.
        self._made: dict[tuple[int, Outcome], tuple[Plan, Plan]] = {}

    def of(self, plan: Plan, outcome: Outcome, make: Callable[[Plan, Outcome], Plan]) -> Plan:
        """What `make` makes of a plan."""
        key = id(plan), outcome
        standing = self._made.get(key)
        if standing is None:
            standing = plan, make(plan, outcome)
            _remember(self._made, key, standing)
        return standing[1]


def _remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Keys are made by the wire, so a full memory begins anew."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value


def _said(data: bytes, start: int, stop: int, *, implicit: bool) -> tuple[bytes, bytes, bool]:
    """Value type and concept name of an item, and whether the latter is in implicit VR.

    Raises:
        Incomplete, Irregular, TooDeep: as the walk would of the same bytes.
    """
    value_type, name, hidden = b"", b"", False
    resume = [start]
    for tag, vr, _, value, length in headers(data, start, stop, resume, implicit=implicit):
        if tag > _CONCEPT_NAME:
            break
        end = value + length
        if length == UNDEFINED:
            end = undefined_end(data, value, vr, implicit=implicit, depth=_DEPTH)
            resume[0] = end
        if tag == _VALUE_TYPE:
            value_type = bytes(data[value:end])
        elif tag == _CONCEPT_NAME:
            name, hidden = bytes(data[value:end]), vr == b"UN"
    return value_type, name, implicit or hidden


def _row(code: Mapping[int, bytes], value_type: str) -> Row | None:
    """What the table says of a concept name, if it lists it."""
    value = _text(next((code[tag] for tag in _CODE_VALUES if code.get(tag)), b""))
    scheme = _text(code.get(_SCHEME, b""))
    if scheme in _SNOMED and value in _SCT:
        value, scheme = _SCT[value], "SCT"
    return concept(value, scheme, value_type)


def _text(value: bytes) -> str:
    return plain(value).strip(" \0")


def _is_private(scheme: bytes) -> bool:
    """Whether anybody may have given a code its meaning; so may they where nobody is named."""
    word = _text(scheme)
    return word in ("", "L") or (word.startswith("99") and word not in _SNOMED)


def _is_wanted(plan: Plan, value_type: str) -> bool:
    """Whether a rule of the profile wants the value of an item to stay, changed or not."""
    tags = VALUES.get(value_type, ())
    return any(plan.actions.ruled(tag) and plan.actions[tag] is not REMOVE for tag in tags)


def _unlisted(rules: ContentRules) -> dict[int, Operator]:
    """What values become that the table says nothing of."""
    dates = KEEP_FITTING if rules.dates is KEEP else rules.dates or Dummy()
    keeps_uids = RETAIN_UIDS in rules.options
    return {
        **dict.fromkeys(DATES, dates),
        PERSON_NAME: Dummy(),
        UID: KEEP_FITTING if keeps_uids else RemapUID(rules.scope),
        TEXT: CleanText(rules.lists, Dummy()),
    }

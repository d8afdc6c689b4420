"""What a profile may say: from a document to `Profile`, or every problem of it at once.

A profile is spelled as Orthanc spells the body of `/anonymize`, so that one pasted under a
name is a profile. pydantic states the shape; what the words mean is checked here, one
sentence per mistake, at its own line and column.

Source: PS3.15 E.1, E.3 (profiles and options); the Orthanc Book, "Anonymization and
modification".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic.alias_generators import to_pascal
from pydicom.datadict import dictionary_VM

from rules import values
from rules.conditions import Condition, parse_test
from rules.document import compose, quoted
from rules.errors import DocumentError, Mark, Problem, tag_text
from rules.profile import (
    BASES,
    EDITION,
    Items,
    KeepRule,
    Literal,
    Profile,
    Pseudonym,
    RemoveRule,
    ReplaceRule,
    Value,
)
from rules.selectors import (
    PrivateTag,
    Selector,
    TagPattern,
    closest,
    is_half_a_tag,
    keyword_pattern,
    nearest,
    parse_selector,
)
from rules.tables.dictionary import keyword_of, vr_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.conditions import Test
    from rules.document import Document, Path
    from rules.document import Value as Plain

READY_MADE = BASES
"""Names of profiles that need no definition, each the base of that name and nothing else."""

_LATER_EDITIONS = ("2008", "2017c", "2021b", "2023b", "2024b")
_OPTIONS = (
    *("clean-pixel-data", "clean-recognizable-visual-features", "clean-graphics"),
    *("clean-structured-content", "clean-descriptors", "retain-longitudinal-full-dates"),
    *("retain-longitudinal-modified-dates", "retain-patient-characteristics"),
    *("retain-device-identity", "retain-institution-identity", "retain-uids"),
    "retain-safe-private",
)
_LATER_FUNCTIONS = ("age", "date", "hash", "lookup", "regex", "shift", "uid")
_FUNCTIONS = ("pseudonym", *_LATER_FUNCTIONS)
_JOB_KEYS = frozenset(
    {
        *("Asynchronous", "Instances", "KeepLabels", "KeepSource", "Level", "LossyQuality"),
        *("Permissive", "Priority", "PrivateCreator", "Resources", "Series", "Synchronous"),
        "UserData",
    }
)
_NOT_YET = "is not in this release"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SCOPE_CHARACTERS = 64

_SPECIFIC_CHARACTER_SET = 0x00080005
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_PATIENT_ID = 0x00100020
_MAIN_IDENTIFIERS = (
    *(_PATIENT_ID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID),
    *(_SOP_INSTANCE_UID, _SOP_CLASS_UID),
)
_PIXEL_GROUP = 0x7FE0
# A pseudonym is 16 capitals and digits.
_PSEUDONYM_VRS = frozenset({"AE", "CS", *values.TEXT_VRS})
# What is held as characters, so that a condition can compare it as text.
_COMPARED_VRS = frozenset(
    {
        *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"),
        *(values.TEXT_VRS | values.NUMBER_VRS | {"US or SS"}),
    }
)


def ready_made(name: str) -> Profile:
    """The profile that is the base of this name and nothing else, one of `READY_MADE`."""
    return Profile(name, Mark("(ready-made)", 1, 1), base=name, private=_private_of(name))


def parse_profile(text: str, *, name: str, file: str) -> Profile:
    """Read a document that is the body of one profile, for example Orthanc's.

    Args:
        text: YAML or JSON.
        name: For the profile.
        file: The name to show in messages.

    Raises:
        DocumentError: every problem of it.
    """
    document, found = compose(text, file)
    problems = Problems(found)
    profile = read_profile(document, (), name, problems)
    problems.raise_any()
    return profile


class Problems:
    """Collects problems, one for each place: the first said there is the cause."""

    def __init__(self, found: Iterable[Problem] = ()) -> None:
        self._by_mark: dict[Mark, Problem] = {}
        for problem in found:
            self.add(problem.mark, problem.message)

    def add(self, mark: Mark, message: str) -> None:
        """Note a problem, unless this place has one."""
        self._by_mark.setdefault(mark, Problem(mark, message))

    def all(self) -> tuple[Problem, ...]:
        """What was noted so far."""
        return tuple(self._by_mark.values())

    def raise_any(self) -> None:
        """Raise if there is any.

        Raises:
            DocumentError: all of them.
        """
        if self._by_mark:
            raise DocumentError(list(self._by_mark.values()))


# ---- shapes: what both files and requests are made of, stated with pydantic


class Shape(BaseModel):
    """The keys that a map may have; anything else is a problem."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Shape = TypeVar("_Shape", bound=Shape)


def shaped(
    model: type[_Shape], document: Document, path: Path, problems: Problems
) -> _Shape | None:
    """The map at a path as a model.

    Every key that does not fit and every one that is missing becomes a problem. In the model
    they have their default, or an empty text, so that the rest is checked in the same pass;
    `Document.has` tells them from what was written. None if there is no map.
    """
    plain = document.get(path)
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        misfits = [_Misfit.of(line) for line in error.errors(include_url=False)]
    _report(model, misfits, document, path, problems)
    if not isinstance(plain, dict):
        return None
    faulty = {str(misfit.located[0]) for misfit in misfits}
    needed = (_alias(model, key) for key, one in model.model_fields.items() if one.is_required())
    usable = {key: value for key, value in plain.items() if key not in faulty}
    return model.model_validate(dict.fromkeys(needed, "") | usable)


@dataclass(frozen=True, slots=True)
class _Misfit:
    """One error of pydantic: its kind, where it is, and the sentence of ours it carries."""

    kind: str
    located: Path
    sentence: str

    @classmethod
    def of(cls, line: Mapping[str, object]) -> _Misfit:
        located, context = line["loc"], line.get("ctx")
        said = context.get("error", "") if isinstance(context, dict) else ""
        return cls(str(line["type"]), located if isinstance(located, tuple) else (), str(said))


def _report(
    model: type[Shape],
    misfits: list[_Misfit],
    document: Document,
    path: Path,
    problems: Problems,
) -> None:
    known = tuple(_alias(model, key) for key in model.model_fields)
    meant: set[str | None] = set()
    for misfit in misfits:
        if misfit.kind == "extra_forbidden":
            name = str(misfit.located[-1])
            meant.add(closest(name, known))
            problems.add(document.key_mark((*path, *misfit.located)), _unknown_key(name, known))
        elif misfit.kind != "missing":
            whole = (*path, *misfit.located)
            problems.add(document.mark(whole), _unfit(misfit, whole, document))
    missing = [str(one.located[-1]) for one in misfits if one.kind == "missing"]
    # A key that is misspelt is not missing as well.
    absent = [name for name in missing if name not in meant]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        said = f"{' and '.join(absent)} {verb} missing{_of(path)}"
        problems.add(document.key_mark(path), said)


def _alias(model: type[Shape], key: str) -> str:
    return model.model_fields[key].alias or key


_KINDS = {
    "string_type": "a text",
    "list_type": 'a list: write "- " before each item, or [ ] around them',
    "dict_type": "a map: write key: value on lines of their own",
    "model_type": "a map: write key: value on lines of their own",
}


def _unfit(misfit: _Misfit, whole: Path, document: Document) -> str:
    name = next((str(step) for step in reversed(whole) if isinstance(step, str)), "the file")
    if whole and isinstance(whole[-1], int):
        name = f"an item of {name}"
    if misfit.sentence:
        return f"{name} {misfit.sentence}"
    wanted = _KINDS.get(misfit.kind, "a text")
    if document.get(whole) is None:
        return f"{name} is empty; it is {wanted}"
    return f"{name} is {wanted}"


def _unknown_key(name: str, known: tuple[str, ...]) -> str:
    if name in _JOB_KEYS:
        return f"{name} is for a job of Orthanc, not for a profile: drop this line"
    return f"{quoted(name)} is no key here{nearest(name, known) or _known_are(known)}"


def _known_are(known: tuple[str, ...]) -> str:
    return f"; known are {', '.join(known)}"


def _of(path: Path) -> str:
    named = [str(step) for step in path if isinstance(step, str)]
    item = "an item of " if path and isinstance(path[-1], int) else ""
    return f" in {item}{named[-1]}" if named else ""


def name_problem(name: str) -> str | None:
    """Why a text cannot be the name of a profile or a destination; None if it can."""
    if _NAME.fullmatch(name):
        return None
    return "a name is at most 32 letters, digits, dots, dashes and underscores of ASCII"


# ---- profiles


class _ProfileShape(Shape):
    """The keys of a profile, as Orthanc spells them."""

    model_config = ConfigDict(alias_generator=to_pascal)

    dicom_version: str = EDITION
    base: str = "basic"
    consistent: str = ""
    options: list[object] = []
    keep: list[object] = []
    remove: list[object] = []
    replace: dict[str, object] = {}
    private_tags: str = ""
    keep_private_tags: str = ""
    remove_private_tags: str = ""
    force: str = "true"
    reject: list[object] = []
    transcode: object = None
    pixels: object = None

    @field_validator("base")
    @classmethod
    def _known_base(cls, word: str) -> str:
        return _one_of(word, BASES)

    @field_validator("dicom_version")
    @classmethod
    def _known_edition(cls, word: str) -> str:
        if word in _LATER_EDITIONS:
            raise ValueError(f'{word} {_NOT_YET}: write "{EDITION}"')
        return _one_of(word, (EDITION,))

    @field_validator("consistent")
    @classmethod
    def _usable_scope(cls, scope: str) -> str:
        return _scope(scope)

    @field_validator("private_tags")
    @classmethod
    def _known_private(cls, word: str) -> str:
        if word == "safe":
            raise ValueError(f"safe {_NOT_YET}: write remove or keep")
        return _one_of(word, ("remove", "keep"))

    @field_validator("keep_private_tags", "remove_private_tags", "force")
    @classmethod
    def _switch(cls, word: str) -> str:
        return parse_switch(word)


def parse_switch(word: str) -> str:
    """`true` or `false`.

    Raises:
        ValueError: it is neither; a sentence with the remedy.
    """
    folded = word.casefold()
    if folded in ("true", "false"):
        return folded
    meant = {"yes": "true", "on": "true", "1": "true"}.get(folded)
    meant = meant or {"no": "false", "off": "false", "0": "false"}.get(folded)
    hint = f": write {meant}" if meant else ""
    raise ValueError(f"is true or false, not {quoted(word)}{hint}")


def _one_of(word: str, known: tuple[str, ...]) -> str:
    if word in known:
        return word
    near = nearest(word, known) if len(known) > 1 else ""
    choice = known[0] if len(known) == 1 else f"{', '.join(known[:-1])} or {known[-1]}"
    raise ValueError(f"is {choice}, not {quoted(word)}{near}")


def _scope(scope: str) -> str:
    if not scope.strip() or len(scope) > _SCOPE_CHARACTERS or not scope.isprintable():
        raise ValueError(f"is 1 to {_SCOPE_CHARACTERS} printable characters, not all blanks")
    return scope


def read_profile(document: Document, path: Path, name: str, problems: Problems) -> Profile:
    """The profile at a path of a document.

    Args:
        document: With the profile in it.
        path: Of the map that is the profile.
        name: Of the profile.
        problems: Takes every problem; with any, the result is only good for further checks.
    """
    return _Reading(document, path, problems).profile(name)


@dataclass(slots=True)
class _Seen:
    """A selector of a profile and where it stands."""

    mark: Mark
    where: str
    selector: Selector


@dataclass(slots=True)
class _Reading:
    """Reads one profile."""

    document: Document
    path: Path
    problems: Problems
    seen: list[_Seen] = field(default_factory=list)

    def profile(self, name: str) -> Profile:
        mark = self.document.key_mark(self.path)
        if self.document.get(self.path) is None:
            self.problems.add(mark, f"{quoted(name)} says nothing: write {{}} for plain basic")
            return Profile(name, mark)
        said = name_problem(name)
        if said:
            self.problems.add(mark, said)
        shape = shaped(_ProfileShape, self.document, self.path, self.problems)
        if shape is None:
            return Profile(name, mark)
        profile = self._filled(name, mark, shape)
        self._check_repeated()
        return profile

    def _filled(self, name: str, mark: Mark, shape: _ProfileShape) -> Profile:
        self._check_options(shape.options)
        self._check_later_keys()
        return Profile(
            name=name,
            mark=mark,
            base=shape.base,
            edition=shape.dicom_version,
            consistent=shape.consistent or None,
            keep=tuple(KeepRule(one, at) for one, at in self._listed("Keep", shape.keep)),
            remove=tuple(self._removals(shape.remove)),
            replace=tuple(self._replacements(shape.replace)),
            private=self._private(shape),
            reject=tuple(self._conditions(shape.reject)),
        )

    # -- what stands in no list of attributes

    def _check_options(self, options: list[object]) -> None:
        for index, option in enumerate(options):
            mark = self._mark("Options", index)
            if option in _OPTIONS:
                self.problems.add(mark, f"the option {option} {_NOT_YET}: drop this line")
            elif isinstance(option, str):
                near = nearest(option, _OPTIONS)
                self.problems.add(mark, f"{quoted(option)} is no option of PS3.15 E.3{near}")
            else:
                self.problems.add(mark, "an option is a text such as retain-uids")

    def _check_later_keys(self) -> None:
        plain = self.document.get(self.path)
        for key in ("Pixels", "Transcode"):
            if isinstance(plain, dict) and key in plain:
                self.problems.add(self._key_mark(key), f"{key} {_NOT_YET}: drop it")

    def _private(self, shape: _ProfileShape) -> str:
        """What the three spellings agree on; without any, what the base says."""
        words = {"true": "keep", "false": "remove"}
        opposite = {"true": "remove", "false": "keep"}
        said = (
            ("PrivateTags", shape.private_tags),
            ("KeepPrivateTags", words.get(shape.keep_private_tags)),
            ("RemovePrivateTags", opposite.get(shape.remove_private_tags)),
        )
        placed = sorted((self._key_mark(key), key, word) for key, word in said if word)
        for mark, _, word in placed[1:]:
            first, key, meant = placed[0]
            if word != meant:
                self.problems.add(mark, f"contradicts {key} on line {first.line}: drop one")
        return placed[0][2] if placed else _private_of(shape.base)

    # -- lists of attributes

    def _listed(self, key: str, entries: list[object]) -> Iterator[tuple[Selector, Mark]]:
        places = [(entry, self._mark(key, index)) for index, entry in enumerate(entries)]
        for entry, mark in self._without_halves(places):
            if isinstance(entry, str):
                selector = self._selector(entry, mark, key)
                if selector:
                    yield selector, mark
            elif isinstance(entry, dict):
                self.problems.add(mark, f"{key} takes names only; values belong into Replace")
            else:
                self.problems.add(mark, "an attribute is missing here")

    def _removals(self, entries: list[object]) -> Iterator[RemoveRule]:
        for selector, mark in self._listed("Remove", entries):
            said = _why_not_removed(selector)
            if said:
                self.problems.add(mark, said)
            else:
                yield RemoveRule(selector, mark)

    def _without_halves(self, places: list[tuple[object, Mark]]) -> Iterator[tuple[object, Mark]]:
        """What remains once the halves of tags that YAML split at their comma are told."""
        waiting = iter(places)
        for entry, mark in waiting:
            if not isinstance(entry, str) or not is_half_a_tag(entry):
                yield entry, mark
                continue
            other, _ = next(waiting, (None, mark))
            whole = f"{entry},{other}" if isinstance(other, str) else "(0010,0020)"
            self.problems.add(
                mark, f"{quoted(entry)} is half a tag, split at its comma: write {quoted(whole)}"
            )
            if isinstance(other, str) and not is_half_a_tag(other):
                yield other, _

    def _selector(self, text: str, mark: Mark, where: str) -> Selector | None:
        try:
            selector = parse_selector(text)
        except ValueError as error:
            self.problems.add(mark, str(error))
            return None
        self.seen.append(_Seen(mark, where, selector))
        return selector

    def _check_repeated(self) -> None:
        first: dict[Selector, _Seen] = {}
        for one in sorted(self.seen, key=lambda seen: seen.mark):
            other = first.setdefault(one.selector, one)
            if other is not one:
                there = f"{other.where} on line {other.mark.line}"
                self.problems.add(one.mark, f"{one.selector.text} stands in {there} already")

    # -- Replace

    def _replacements(self, entries: dict[str, object]) -> Iterator[ReplaceRule]:
        places: list[tuple[object, Mark]] = [
            (key, self._key_mark("Replace", key)) for key in entries
        ]
        for key, mark in self._without_halves(places):
            selector = self._selector(str(key), mark, "Replace")
            if selector:
                value = self._replacement(selector, ("Replace", str(key)), mark)
                if value is not None:
                    yield ReplaceRule(selector, value, mark)

    def _replacement(self, selector: Selector, path: Path, mark: Mark) -> Value | None:
        plain = self.document.get((*self.path, *path))
        said = _why_not_replaced(selector, plain)
        if said:
            self.problems.add(mark, said)
            return None
        target = selector.target
        if not isinstance(target, TagPattern):
            return None
        vr = _vr_of(target)
        if vr is None and plain != "":
            self.problems.add(mark, f'{selector.text} is of no one VR: only "" can replace it')
            return None
        return self._value(plain, target.value, vr, path)

    def _value(self, plain: Plain, tag: int, vr: str | None, path: Path) -> Value | None:
        """The value that replaces an attribute, or None with a problem noted."""
        said = None
        if isinstance(plain, str):
            said = _why_not_held(plain, tag, vr)
            if said is None:
                return Literal(plain)
        elif isinstance(plain, dict):
            said, scope = _function(plain, vr)
            if said is None:
                return Pseudonym(scope)
        elif plain is None:
            said = 'has no value: write "" for an empty one'
        elif vr == "SQ":
            return self._items(plain, path)
        else:
            said = f"is of VR {vr}, not a sequence: it takes no list"
        self.problems.add(self._mark(*path), f"{keyword_of(tag)} {said}".strip())
        return None

    def _items(self, plain: list[Plain], path: Path) -> Items:
        return Items(tuple(self._item(item, (*path, n)) for n, item in enumerate(plain)))

    def _item(self, item: Plain, path: Path) -> tuple[tuple[int, Value], ...]:
        if not isinstance(item, dict):
            self.problems.add(self._mark(*path), "an item of a sequence is a map of attributes")
            return ()
        places: list[tuple[object, Mark]] = [(key, self._key_mark(*path, key)) for key in item]
        held: dict[int, Value] = {}
        for key, mark in self._without_halves(places):
            tag = self._own_tag(str(key), mark, held)
            value = self._held(tag, (*path, str(key)), mark) if tag is not None else None
            if tag is not None and value is not None:
                held[tag] = value
        return tuple(sorted(held.items(), key=lambda pair: pair[0]))

    def _held(self, tag: int, path: Path, mark: Mark) -> Value | None:
        """The value of an attribute of a new item."""
        plain = self.document.get((*self.path, *path))
        vr = vr_of(tag)
        if vr is None:
            self.problems.add(mark, _unknown_vr(tag_text(tag)))
        elif tag == _SPECIFIC_CHARACTER_SET:
            self.problems.add(mark, _CHARACTER_SET_STAYS)
        elif isinstance(plain, dict):
            self.problems.add(self._mark(*path), "functions need an original; a new item has none")
        else:
            return self._value(plain, tag, vr, path)
        return None

    def _own_tag(self, text: str, mark: Mark, known: Mapping[int, object]) -> int | None:
        """The one tag of the standard that a key of an item or a condition names."""
        try:
            selector = parse_selector(text)
        except ValueError as error:
            self.problems.add(mark, str(error))
            return None
        target = selector.target
        if selector.steps or isinstance(target, PrivateTag) or not target.exact:
            self.problems.add(mark, "here stands one attribute of the standard, without a path")
            return None
        if target.value in known:
            self.problems.add(mark, f"{selector.text} stands here already")
            return None
        return target.value

    # -- Reject

    def _conditions(self, entries: list[object]) -> Iterator[Condition]:
        for index, entry in enumerate(entries):
            mark = self._mark("Reject", index)
            if not isinstance(entry, dict) or not entry:
                self.problems.add(mark, 'a condition is a map such as {Modality: "SR"}')
                continue
            tests = self._tests(entry, ("Reject", index))
            if tests:
                yield Condition(tests, mark)

    def _tests(self, entry: dict[str, object], path: Path) -> tuple[tuple[int, Test], ...]:
        tests: dict[int, Test] = {}
        for key, asked in entry.items():
            mark = self._key_mark(*path, key)
            tag = self._own_tag(key, mark, tests)
            if tag is None:
                continue
            vr = vr_of(tag)
            if vr not in _COMPARED_VRS:
                self.problems.add(mark, f"a condition on {_of_vr(vr)} {_NOT_YET}")
                continue
            try:
                tests[tag] = parse_test(asked)
            except ValueError as error:
                self.problems.add(self._mark(*path, key), str(error))
        return tuple(tests.items())

    def _mark(self, *path: str | int) -> Mark:
        return self.document.mark((*self.path, *path))

    def _key_mark(self, *path: str | int) -> Mark:
        return self.document.key_mark((*self.path, *path))


_CHARACTER_SET_STAYS = (
    "SpecificCharacterSet stays as it is: the texts that are kept are encoded by it"
)


def _of_vr(vr: str | None) -> str:
    return f"an attribute of VR {vr}" if vr else "an attribute that is not in the dictionary"


def _private_of(base: str) -> str:
    return "keep" if base == "none" else "remove"


def _covers(selector: Selector, tag: int) -> bool:
    return isinstance(selector.target, TagPattern) and selector.target.matches(tag)


def _why_not_removed(selector: Selector) -> str | None:
    if _covers(selector, _SPECIFIC_CHARACTER_SET):
        return _CHARACTER_SET_STAYS
    covered = [tag for tag in _MAIN_IDENTIFIERS if _covers(selector, tag)]
    if selector.steps or not covered:
        return None
    main = keyword_of(covered[0])
    if selector.text == main:
        return f"{main} is a main identifier: it cannot be removed"
    return f"{selector.text} covers {main}, a main identifier that cannot be removed"


def _why_not_replaced(selector: Selector, plain: Plain) -> str | None:
    target = selector.target
    if isinstance(target, PrivateTag):
        return f"to replace a private attribute {_NOT_YET}"
    if target.value >> 16 == _PIXEL_GROUP:
        return f"to replace pixel data {_NOT_YET}"
    if target.exact and vr_of(target.value) is None:
        return _unknown_vr(selector.text)
    if _covers(selector, _SPECIFIC_CHARACTER_SET):
        return _CHARACTER_SET_STAYS
    return None if selector.steps else _why_not_new_identity(selector, plain)


def _unknown_vr(name: str) -> str:
    return f"{name} is not in the dictionary: its VR is unknown"


def _why_not_new_identity(selector: Selector, plain: Plain) -> str | None:
    if _covers(selector, _SOP_CLASS_UID):
        return "SOPClassUID says what the instance is: it cannot be replaced"
    if _covers(selector, _SOP_INSTANCE_UID) and not isinstance(plain, dict):
        return "SOPInstanceUID cannot be the same for every instance"
    for tag in (_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID):
        if _covers(selector, tag) and plain == "":
            return f"{keyword_of(tag)} cannot be empty"
    return None


def _vr_of(target: TagPattern) -> str | None:
    """The VR of all tags of a pattern; None where it differs or is unknown."""
    keyword = keyword_of(target.value)
    if not target.exact and (not keyword or keyword_pattern(keyword) != target):
        return None
    return vr_of(target.value)


def _why_not_held(text: str, tag: int, vr: str | None) -> str | None:
    if not text or vr is None:
        return None
    if vr == "SQ":
        return 'is a sequence: write a list of maps, or ""'
    try:
        # A plan writes the first VR where the dictionary leaves a choice (US or SS).
        values.check(vr.split(" or ")[0], text, dictionary_VM(tag))
    except ValueError as error:
        return f"cannot be this: {error}"
    return None


def _function(plain: Mapping[str, object], vr: str | None) -> tuple[str | None, str]:
    """What is wrong with a function, else None and its scope."""
    if len(plain) != 1:
        return "takes a text or one function such as {pseudonym: scope}", ""
    ((name, argument),) = plain.items()
    if name not in _FUNCTIONS:
        near = nearest(name, _FUNCTIONS)
        return f"knows no function {quoted(name)}{near or ': there is {pseudonym: scope}'}", ""
    if name in _LATER_FUNCTIONS:
        return f"asks for {{{name}: ...}}, which {_NOT_YET}", ""
    if vr not in _PSEUDONYM_VRS:
        return f"is of VR {vr}, which cannot hold a pseudonym", ""
    try:
        return None, _scope(argument if isinstance(argument, str) else "")
    except ValueError as error:
        return f"takes {{pseudonym: scope}}, where scope {error}", ""

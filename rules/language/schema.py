"""What a profile may say: from a document to `Profile`, or every problem of it at once.

A profile is spelled as Orthanc spells the body of `/anonymize`, so that one pasted under a
name is a profile. pydantic states the shape; what the words mean is checked here, one
sentence per mistake, at its own line and column.

Source: PS3.15 E.1, E.3 (profiles and options); the Orthanc Book, "Anonymization and
modification".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import field_validator

from rules import profiles
from rules.language.calls import no_lookups, scope
from rules.language.document import compose, quoted
from rules.language.places import Places
from rules.language.readings import (
    CHARACTER_SET_STAYS,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    condition,
    covers,
    replacement,
)
from rules.language.region_rules import burned_in, pixel_rules
from rules.language.shapes import (
    NOT_YET,
    PascalShape,
    Problems,
    name_problem,
    one_of,
    parse_switch,
    shaped,
)
from rules.language.tuning import shift_days, shift_seconds, word_lists
from rules.options import OPTIONS, REFUSED, SAFE_PRIVATE, conflicts
from rules.profile import BASES, EDITION, KeepRule, Profile, RemoveRule
from rules.selectors import nearest
from rules.tables.confidentiality import EDITIONS
from rules.tables.dictionary import keyword_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.conditions import Condition
    from rules.errors import Mark
    from rules.language.calls import ReadLookup
    from rules.language.document import Document, Path
    from rules.profile import ReplaceRule
    from rules.selectors import Selector

READY_MADE = profiles.NAMES
"""Names of profiles that need no definition."""

_OF_A_JOB = (
    *("Asynchronous", "Instances", "KeepLabels", "KeepSource", "Level", "LossyQuality"),
    *("Permissive", "Priority", "PrivateCreator", "Resources", "Series", "Synchronous"),
    "UserData",
)
_PRIVATE_WORDS = ("remove", "safe", "keep")
_MAIN_IDENTIFIERS = (
    *(0x00100020, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
    *(SOP_INSTANCE_UID, SOP_CLASS_UID),
)


@cache
def ready_made(name: str) -> Profile:
    """One of the profiles that need no definition.

    Args:
        name: One of `READY_MADE`.

    Raises:
        KeyError: there is no such profile.
    """
    return parse_profile(profiles.text_of(name), name=name, file=f"(ready-made {name})")


def parse_profile(
    text: str, *, name: str, file: str, read_lookup: ReadLookup = no_lookups
) -> Profile:
    """Read a document that is the body of one profile, for example Orthanc's.

    Args:
        text: YAML or JSON.
        name: For the profile.
        file: The name to show in messages.
        read_lookup: Gives the text of a lookup file by its name; without it a profile can
            name none.

    Raises:
        DocumentError: every problem of it.
    """
    document, found = compose(text, file)
    problems = Problems(found)
    profile = read_profile(document, (), name, problems, read_lookup)
    problems.raise_any()
    return profile


def read_profile(
    document: Document,
    path: Path,
    name: str,
    problems: Problems,
    read_lookup: ReadLookup = no_lookups,
) -> Profile:
    """The profile at a path of a document.

    Args:
        document: With the profile in it.
        path: Of the map that is the profile.
        name: Of the profile.
        problems: Takes every problem; with any, the result is only good for further checks.
        read_lookup: Gives the text of a lookup file by its name.
    """
    return _Reading(Places(document, path, problems), read_lookup).profile(name)


class _ProfileShape(PascalShape):
    """The keys of a profile, as Orthanc spells them."""

    elsewhere = MappingProxyType(
        {
            name: f"{name} is for a job of Orthanc, not for a profile: drop this line"
            for name in _OF_A_JOB
        }
    )

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
    private_characteristics: str = "ignore"
    force: str = "true"
    reject: list[object] = []
    shift_days: object = None
    shift_seconds: object = None
    descriptors: dict[str, object] = {}
    pixels: list[object] = []
    burned_in: object = None
    transcode: object = None

    @field_validator("base")
    @classmethod
    def _known_base(cls, word: str) -> str:
        return one_of(word, BASES)

    @field_validator("dicom_version")
    @classmethod
    def _known_edition(cls, word: str) -> str:
        return one_of(word, EDITIONS)

    @field_validator("consistent")
    @classmethod
    def _usable_scope(cls, word: str) -> str:
        return scope(word)

    @field_validator("private_tags")
    @classmethod
    def _known_private(cls, word: str) -> str:
        return one_of(word, _PRIVATE_WORDS)

    @field_validator("private_characteristics")
    @classmethod
    def _known_trust(cls, word: str) -> str:
        return one_of(word, ("ignore", "trust"))

    @field_validator("keep_private_tags", "remove_private_tags", "force")
    @classmethod
    def _switch(cls, word: str) -> str:
        return parse_switch(word)


PROFILE_KEYS = tuple(str(one.alias) for one in _ProfileShape.model_fields.values())
"""Every key that a profile may have."""


@dataclass(slots=True)
class _Seen:
    """A selector of a profile and where it stands."""

    mark: Mark
    where: str
    selector: Selector


@dataclass(slots=True)
class _Reading:
    """Reads one profile."""

    at: Places
    read_lookup: ReadLookup
    seen: list[_Seen] = field(default_factory=list)

    def profile(self, name: str) -> Profile:
        at = self.at
        mark = at.key_mark()
        if at.plain() is None:
            at.problems.add(mark, f"{quoted(name)} says nothing: write {{}} for plain basic")
            return Profile(name, mark)
        said = name_problem(name)
        if said:
            at.problems.add(mark, said)
        shape = shaped(_ProfileShape, at.document, at.top, at.problems)
        if shape is None:
            return Profile(name, mark)
        profile = self._filled(name, mark, shape)
        self._check_repeated()
        return profile

    def _filled(self, name: str, mark: Mark, shape: _ProfileShape) -> Profile:
        options = self._options(shape)
        private = self._private(shape, options)
        if self.at.has("Transcode"):
            self.at.problems.add(self.at.key_mark("Transcode"), f"Transcode {NOT_YET}: drop it")
        return Profile(
            name=name,
            mark=mark,
            base=shape.base,
            edition=shape.dicom_version,
            options=options,
            consistent=shape.consistent or None,
            keep=tuple(KeepRule(one, at) for one, at in self._listed("Keep", shape.keep)),
            remove=tuple(self._removals(shape.remove)),
            replace=tuple(self._replacements(shape.replace)),
            private=private,
            characteristics=shape.private_characteristics,
            shift_days=shift_days(self.at),
            shift_seconds=shift_seconds(self.at),
            descriptors=word_lists(self.at, options, private),
            pixels=tuple(pixel_rules(self.at, shape.pixels)),
            burned_in=burned_in(self.at),
            reject=tuple(self._rejections(shape.reject)),
        )

    # -- options and private elements

    def _options(self, shape: _ProfileShape) -> tuple[str, ...]:
        """The options that can stand together, in the order of the standard."""
        chosen: list[str] = []
        for index, word in enumerate(shape.options):
            said = _why_no_option(word, chosen, shape)
            if said:
                self.at.say(said, "Options", index)
            else:
                chosen.append(str(word))
        return tuple(option for option in OPTIONS if option in chosen)

    def _private(self, shape: _ProfileShape, options: tuple[str, ...]) -> str:
        """What the three spellings agree on; without any, what options and base say."""
        words = {"true": "keep", "false": "remove"}
        opposite = {"true": "remove", "false": "keep"}
        said = (
            ("PrivateTags", shape.private_tags),
            ("KeepPrivateTags", words.get(shape.keep_private_tags)),
            ("RemovePrivateTags", opposite.get(shape.remove_private_tags)),
        )
        placed = sorted((self.at.key_mark(key), key, word) for key, word in said if word)
        for mark, _, word in placed[1:]:
            first, key, meant = placed[0]
            if word != meant:
                self.at.problems.add(mark, f"contradicts {key} on line {first.line}: drop one")
        chosen = placed[0][2] if placed else _private_of(shape.base, options)
        without = conflicts({SAFE_PRIVATE}, edition=shape.dicom_version)
        if chosen == "safe" and shape.base == "basic" and without:
            self.at.say(f"PrivateTags safe is an option, and {without}", "PrivateTags")
        return chosen

    # -- lists of attributes

    def _listed(self, key: str, entries: list[object]) -> Iterator[tuple[Selector, Mark]]:
        places = [(entry, self.at.mark(key, index)) for index, entry in enumerate(entries)]
        for entry, mark in self.at.without_halves(places):
            if isinstance(entry, str):
                selector = self._selector(entry, mark, key)
                if selector:
                    yield selector, mark
            elif isinstance(entry, dict):
                said = f"{key} takes names only; values belong into Replace"
                self.at.problems.add(mark, said)
            else:
                self.at.problems.add(mark, "an attribute is missing here")

    def _removals(self, entries: list[object]) -> Iterator[RemoveRule]:
        for selector, mark in self._listed("Remove", entries):
            said = _why_not_removed(selector)
            if said:
                self.at.problems.add(mark, said)
            else:
                yield RemoveRule(selector, mark)

    def _replacements(self, entries: dict[str, object]) -> Iterator[ReplaceRule]:
        places: list[tuple[object, Mark]] = [
            (key, self.at.key_mark("Replace", key)) for key in entries
        ]
        for key, mark in self.at.without_halves(places):
            selector = self._selector(str(key), mark, "Replace")
            if selector:
                path = ("Replace", str(key))
                rule = replacement(self.at, selector, path, mark, self.read_lookup)
                if rule:
                    yield rule

    def _rejections(self, entries: list[object]) -> Iterator[Condition]:
        for index in range(len(entries)):
            found = condition(self.at, "Reject", index)
            if found:
                yield found

    def _selector(self, text: str, mark: Mark, where: str) -> Selector | None:
        selector = self.at.selector(text, mark)
        if selector:
            self.seen.append(_Seen(mark, where, selector))
        return selector

    def _check_repeated(self) -> None:
        first: dict[Selector, _Seen] = {}
        for one in sorted(self.seen, key=lambda seen: seen.mark):
            other = first.setdefault(one.selector, one)
            if other is not one:
                there = f"{other.where} on line {other.mark.line}"
                said = f"{one.selector.text} stands in {there} already"
                self.at.problems.add(one.mark, said)


# ---- why something cannot be: a sentence, or None


def _why_no_option(word: object, chosen: list[str], shape: _ProfileShape) -> str | None:
    if not isinstance(word, str):
        return "an option is a text such as retain-uids"
    if word in REFUSED:
        return REFUSED[word]
    if word not in OPTIONS:
        return f"{quoted(word)} is no option of PS3.15 E.3{nearest(word, OPTIONS)}"
    if word in chosen:
        return f"{word} stands here already"
    if shape.base != "basic":
        return f"options say what becomes of the table, and Base {shape.base} asks for none"
    return conflicts([*chosen, word], edition=shape.dicom_version)


def _why_not_removed(selector: Selector) -> str | None:
    if covers(selector, SPECIFIC_CHARACTER_SET):
        return CHARACTER_SET_STAYS
    covered = [tag for tag in _MAIN_IDENTIFIERS if covers(selector, tag)]
    if selector.steps or not covered:
        return None
    main = keyword_of(covered[0])
    if selector.text == main:
        return f"{main} is a main identifier: it cannot be removed"
    return f"{selector.text} covers {main}, a main identifier that cannot be removed"


def _private_of(base: str, options: tuple[str, ...]) -> str:
    if SAFE_PRIVATE in options:
        return "safe"
    return "keep" if base == "none" else "remove"

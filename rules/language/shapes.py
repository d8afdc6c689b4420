"""What files and requests are made of: maps of known keys, and every misfit as a sentence.

pydantic states the shape; what is wrong is told here, one sentence for one place, with the
nearest spelling. Whatever does not fit has its default, so that the rest is checked in the
same pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from rules.errors import DocumentError, Problem
from rules.language.document import quoted
from rules.selectors import closest, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.errors import Mark
    from rules.language.document import Document, Path

NOT_YET = "is not in this release"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


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


class Shape(BaseModel):
    """The keys that a map may have; anything else is a problem.

    `elsewhere` holds keys that people bring along from another place, and what to tell them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    elsewhere: ClassVar[Mapping[str, str]] = {}


class PascalShape(Shape):
    """The same, with keys spelled as Orthanc spells them: `KeepOnly` for `keep_only`."""

    model_config = ConfigDict(alias_generator=to_pascal)


ShapeT = TypeVar("ShapeT", bound=Shape)


def shaped(
    model: type[ShapeT], document: Document, path: Path, problems: Problems
) -> ShapeT | None:
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
            said = model.elsewhere.get(name) or unknown_key(name, known)
            problems.add(document.key_mark((*path, *misfit.located)), said)
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


def unknown_key(name: str, known: tuple[str, ...]) -> str:
    """The sentence for a key that is none of those that are known."""
    there = f"; known are {', '.join(known)}"
    return f"{quoted(name)} is no key here{nearest(name, known) or there}"


def _of(path: Path) -> str:
    named = [str(step) for step in path if isinstance(step, str)]
    item = "an item of " if path and isinstance(path[-1], int) else ""
    return f" in {item}{named[-1]}" if named else ""


def name_problem(name: str) -> str | None:
    """Why a text cannot be the name of a profile or a destination; None if it can."""
    if _NAME.fullmatch(name):
        return None
    return "a name is at most 32 letters, digits, dots, dashes and underscores of ASCII"


# ---- words: each raises a ValueError that goes on behind the name of its key


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


def one_of(word: str, known: tuple[str, ...]) -> str:
    """The word, if it is one of two or more.

    Raises:
        ValueError: it is not; a sentence with the nearest.
    """
    if word in known:
        return word
    choice = f"{', '.join(known[:-1])} or {known[-1]}"
    raise ValueError(f"is {choice}, not {quoted(word)}{nearest(word, known)}")

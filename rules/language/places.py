"""Where the words of a profile stand in its document, and which attributes they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.language.document import quoted
from rules.selectors import PrivateTag, is_half_a_tag, parse_selector

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from typing import TypeVar

    from rules.errors import Mark
    from rules.language.document import Document, Path
    from rules.language.document import Value as Plain
    from rules.language.shapes import Problems
    from rules.selectors import Selector

    T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Places:
    """One map of a document, and who is told of its problems; paths start at the map."""

    document: Document
    top: Path
    problems: Problems

    def plain(self, *path: str | int) -> Plain:
        """The value at a path."""
        return self.document.get((*self.top, *path))

    def has(self, *path: str | int) -> bool:
        """Whether anything is written there."""
        return self.document.has((*self.top, *path))

    def mark(self, *path: str | int) -> Mark:
        """The place of the value at a path."""
        return self.document.mark((*self.top, *path))

    def key_mark(self, *path: str | int) -> Mark:
        """The place of the key that leads to it."""
        return self.document.key_mark((*self.top, *path))

    def say(self, message: str, *path: str | int) -> None:
        """Note a problem of the value at a path."""
        self.problems.add(self.mark(*path), message)

    def parsed(self, parse: Callable[[str], T], *path: str | int) -> T | None:
        """A text parsed; None, and a problem behind the name of its key, if it cannot be."""
        plain = self.plain(*path)
        name = next(str(step) for step in reversed(path) if isinstance(step, str))
        try:
            return parse(plain if isinstance(plain, str) else "")
        except ValueError as error:
            self.say(f"{name} {error}", *path)
            return None

    def keys(self, *path: str | int) -> list[tuple[object, Mark]]:
        """The keys of a map, each with its place."""
        plain = self.plain(*path)
        keys = plain if isinstance(plain, dict) else ()
        return [(key, self.key_mark(*path, key)) for key in keys]

    def selector(self, text: str, mark: Mark) -> Selector | None:
        """What a text names; None with a problem noted if it names nothing."""
        try:
            return parse_selector(text)
        except ValueError as error:
            self.problems.add(mark, str(error))
            return None

    def own_tag(self, text: str, mark: Mark, known: Container[int]) -> int | None:
        """The one tag of the standard that a key names, which is not known yet."""
        selector = self.selector(text, mark)
        if selector is None:
            return None
        target = selector.target
        if selector.steps or isinstance(target, PrivateTag) or not target.exact:
            self.problems.add(mark, "here stands one attribute of the standard, without a path")
            return None
        if target.value in known:
            self.problems.add(mark, f"{selector.text} stands here already")
            return None
        return target.value

    def without_halves(self, places: list[tuple[object, Mark]]) -> Iterator[tuple[object, Mark]]:
        """What remains once the halves of tags that YAML split at their comma are told."""
        waiting = iter(places)
        for entry, mark in waiting:
            if not isinstance(entry, str) or not is_half_a_tag(entry):
                yield entry, mark
                continue
            other, other_mark = next(waiting, (None, mark))
            whole = f"{entry},{other}" if isinstance(other, str) else "(0010,0020)"
            self.problems.add(
                mark, f"{quoted(entry)} is half a tag, split at its comma: write {quoted(whole)}"
            )
            if isinstance(other, str) and not is_half_a_tag(other):
                yield other, other_mark

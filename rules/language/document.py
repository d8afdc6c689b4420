"""YAML (and so JSON) text -> values whose leaves are text, with a place for every one of them.

- No typing: `00100010`, `NO`, `12:30:00` and `1.10` stay what was written. Only a plain
  `null`, `~` or nothing at all is None.
- Nothing is constructed: tags (`!!python/object`) are problems, as are equal keys, keys that
  are not text and merge keys.
- Bounded before anything is built: bytes, depth, and the number of values after aliases are
  expanded.
- Messages quote keys, never long text.

Source: YAML 1.1 as PyYAML parses it; only its events are used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

import yaml

from rules.errors import DocumentError, Mark, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 50_000

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
Path: TypeAlias = tuple[str | int, ...]

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_QUOTED_CHARACTERS = 40
_LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class _Node:
    """A value and everything below it; aliases share nodes."""

    mark: Mark
    plain: Value
    children: dict[str | int, tuple[Mark, _Node]] = field(default_factory=dict)
    values: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    Attributes:
        file: The name that its marks carry.
        root: None for an empty file. Parts may be shared by aliases: read, do not change.
    """

    file: str
    root: Value
    _top: _Node

    def get(self, path: Path) -> Value:
        """The value at a path.

        Raises:
            KeyError: the document has no such path.
        """
        _, node, missing = self._walk(path)
        if missing:
            raise KeyError(path)
        return node.plain

    def has(self, path: Path) -> bool:
        """Whether there is a value at a path, be it None."""
        return not self._walk(path)[2]

    def mark(self, path: Path) -> Mark:
        """The place of the value at a path, or of the nearest value above it."""
        return self._walk(path)[1].mark

    def key_mark(self, path: Path) -> Mark:
        """The place of the key that leads to a value; of the value itself in a list."""
        return self._walk(path)[0]

    def _walk(self, path: Path) -> tuple[Mark, _Node, bool]:
        mark, node = self._top.mark, self._top
        for step in path:
            if step not in node.children:
                return mark, node, True
            mark, node = node.children[step]
        return mark, node, False


def parse(text: str, file: str) -> Document:
    """Read a document in which nothing is wrong.

    Args:
        text: YAML or JSON, at most 1 MiB in UTF-8.
        file: The name to show in messages.

    Raises:
        DocumentError: it cannot be read, or any value of it is not what it may be.
    """
    document, problems = compose(text, file)
    if problems:
        raise DocumentError(problems)
    return document


def compose(text: str, file: str) -> tuple[Document, list[Problem]]:
    """Read a document and whatever is wrong with single values of it.

    A value that has a problem is left out or taken as text, so that the rest can be checked
    in the same pass; a caller that goes on must show the problems with its own.

    Raises:
        DocumentError: the text cannot be read to its end.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _unreadable(Mark(file, 1, 1), f"the file is larger than {MAX_BYTES >> 20} MiB")
    builder = _Builder(file)
    for event in _events(text.removeprefix("\ufeff"), file):
        builder.take(event)
    top = builder.top or _Node(Mark(file, 1, 1), None)
    return Document(file, top.plain, top), builder.problems


def quoted(text: str) -> str:
    """Text of the file for a message: printable, short, between quotation marks."""
    short = text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}..."
    return f'"{"".join(c if c.isprintable() else "?" for c in short)}"'


@dataclass(slots=True)
class _Open:
    """A list or map whose end has not been read yet."""

    mark: Mark
    anchor: str | None
    is_map: bool
    is_flow: bool
    children: dict[str | int, tuple[Mark, _Node]] = field(default_factory=dict)
    key: tuple[Mark, str | None] | None = None
    values: int = 1
    depth: int = 0

    def close(self) -> _Node:
        plain: Value
        if self.is_map:
            plain = {str(key): node.plain for key, (_, node) in self.children.items()}
        else:
            plain = [node.plain for _, node in self.children.values()]
        return _Node(self.mark, plain, self.children, self.values, self.depth + 1)


class _Builder:
    """Turns events into nodes."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self.top: _Node | None = None
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node | None] = {}
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark = self._place(event)
        if isinstance(event, yaml.DocumentStartEvent):
            self._begin_document(mark)
        elif isinstance(event, yaml.ScalarEvent):
            self._count(mark, 1, 1)
            self._finish(_Node(mark, self._scalar(event, mark)), event.anchor, event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event, mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self._open.pop()
            self._finish(ended.close(), ended.anchor, event)

    def _begin_document(self, mark: Mark) -> None:
        self._documents += 1
        if self._documents > 1:
            raise _unreadable(mark, "a second document begins here; write one file for each")

    def _begin(self, event: yaml.CollectionStartEvent, mark: Mark) -> None:
        self._count(mark, 1, 1)
        self._check_tag(event.tag, mark)
        if event.anchor:
            self._anchors[event.anchor] = None
        is_map = isinstance(event, yaml.MappingStartEvent)
        self._open.append(_Open(mark, event.anchor, is_map, bool(event.flow_style)))

    def _alias(self, event: yaml.AliasEvent, mark: Mark) -> None:
        name = event.anchor
        if name not in self._anchors:
            message = f"*{name} names nothing above; a text that begins with * needs quotes"
            raise _unreadable(mark, message)
        node = self._anchors[name]
        if node is None:
            raise _unreadable(mark, f"*{name} stands inside what it names")
        self._count(mark, node.values, node.depth)
        self._finish(node, None, event)

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> str | None:
        self._check_tag(event.tag, mark)
        if event.style is None and event.value in _NULLS:
            return None
        try:
            # JSON writes characters beyond the first plane as two escapes, \ud83d\ude00.
            return event.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._problem(mark, "an escape in this text is only one half of a character")
            return ""

    def _finish(self, node: _Node, anchor: str | None, event: yaml.Event) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.top = node
            return
        parent = self._open[-1]
        if not parent.is_map:
            parent.children[len(parent.children)] = (node.mark, node)
        elif parent.key is None:
            parent.key = (node.mark, self._key(node, event, parent))
            return
        else:
            mark, key = parent.key
            parent.key = None
            if key is not None:
                parent.children[key] = (mark, node)
        parent.values += node.values
        parent.depth = max(parent.depth, node.depth)

    def _key(self, node: _Node, event: yaml.Event, parent: _Open) -> str | None:
        """The key, or None when its value must be left out."""
        if not isinstance(event, yaml.ScalarEvent):
            at = self._place(event) if isinstance(event, yaml.AliasEvent) else node.mark
            self._problem(at, "a key is text: no list, map or alias")
            return None
        if not isinstance(node.plain, str):
            self._problem(node.mark, "a key is missing before this colon")
            return None
        if node.plain == "<<" and event.style is None:
            self._problem(node.mark, "merge keys are not read; repeat the lines")
            return None
        if node.plain in parent.children:
            self._equal_keys(node.plain, node.mark, parent)
            return None
        return node.plain

    def _equal_keys(self, key: str, mark: Mark, parent: _Open) -> None:
        first, value = parent.children[key]
        if parent.is_flow and value.plain is None and key == next(reversed(parent.children)):
            # {0010,0010: ANON} is a key without a value, and then that key again.
            message = f"between {{ }} a comma separates: write {quoted(f'{key},{key}')}"
            self._problem(first, message)
        else:
            self._problem(mark, f"{quoted(key)} stands on line {first.line} already")

    def _check_tag(self, tag: str | None, mark: Mark) -> None:
        if tag is not None:
            self._problem(mark, "YAML tags are not read; a text that begins with ! needs quotes")

    def _count(self, mark: Mark, values: int, depth: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise _unreadable(mark, f"more than {MAX_VALUES} values, aliases expanded")
        if len(self._open) + depth > MAX_DEPTH:
            raise _unreadable(mark, f"nested deeper than {MAX_DEPTH} levels")

    def _place(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return _mark(self._file, start) if start else Mark(self._file, 1, 1)

    def _problem(self, mark: Mark, message: str) -> None:
        self.problems.append(Problem(mark, message))


def _events(text: str, file: str) -> Iterator[yaml.Event]:
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_event():
            yield loader.get_event()  # type: ignore[no-untyped-call]
    except yaml.reader.ReaderError as error:
        raise _unreadable(*_bad_character(error, text, file)) from None
    except yaml.MarkedYAMLError as error:
        raise _unreadable(*_syntax(error, file)) from None
    except (ValueError, OverflowError):
        # PyYAML turns the digits of an escape or a %YAML directive into numbers unchecked.
        at = _mark(file, loader.get_mark()) if loader is not None else Mark(file, 1, 1)
        raise _unreadable(at, "an escape or directive here is no character or number") from None
    finally:
        if loader is not None:
            loader.dispose()


class _AnyMark(Protocol):
    """A place as PyYAML tells it, counting from 0."""

    @property
    def line(self) -> int:
        """Of the file."""

    @property
    def column(self) -> int:
        """Of the line."""


def _mark(file: str, mark: _AnyMark) -> Mark:
    return Mark(file, mark.line + 1, mark.column + 1)


def _unreadable(mark: Mark, message: str) -> DocumentError:
    return DocumentError([Problem(mark, message)])


def _bad_character(error: yaml.reader.ReaderError, text: str, file: str) -> tuple[Mark, str]:
    lines = _LINE_END.split(text[: error.position])
    mark = Mark(file, len(lines), len(lines[-1]) + 1)
    return mark, f"the character U+{int(error.character):04X} cannot stand in a file of rules"


_OPEN = (
    "of line {opened} is not closed, or a text in it needs quotes because it holds one of "
    "[ ] {{ }} , : ?"
)
_MISPLACED = (
    "does not fit the lines above it: compare its indentation and dashes with line {opened}, "
    "and look for text behind a closing quotation mark"
)
_COLON = (
    "a second colon on this line, or none on the line above; a text that holds a colon and a "
    "space needs quotes"
)
# What PyYAML says -> what a person can do about it. "{opened}" is where the thing began.
_SYNTAX = (
    (r"character '\\t'", "a tab; indent with spaces"),
    (r"character '(.)' that cannot start", "a text that begins with {0} needs quotes"),
    ("mapping values are not allowed", _COLON),
    ("sequence entries are not allowed", 'a list begins on a line of its own, each item "- "'),
    ("while scanning an alias", "a text that begins with * needs quotes"),
    ("while scanning an anchor", "a text that begins with & needs quotes"),
    ("while (scanning|parsing) a (tag|node)", "a text that begins with ! needs quotes"),
    ("while scanning a quoted scalar", "the quotation mark of line {opened} is never closed"),
    ("unknown escape", "in double quotes \\ begins an escape: write \\\\, or use single quotes"),
    ("escape sequence", "an escape in this text is not complete"),
    ("while parsing a flow sequence", f"the [ {_OPEN}"),
    ("while parsing a flow mapping", f"the {{{{ {_OPEN}"),
    ("expected <block end>", _MISPLACED),
    ("simple key", "a key without a colon behind it"),
    ("<document start>", "indented less than the first line, or behind a line that begins with %"),
    ("block scalar", "a text that begins with | or > needs quotes"),
    ("directive|YAML document", "a line that begins with % needs quotes"),
)
_AT_THE_OPENING = re.compile(r"while scanning (an alias|an anchor|a quoted scalar|a tag)")


def _syntax(error: yaml.MarkedYAMLError, file: str) -> tuple[Mark, str]:
    said = f"{error.context or ''}; {error.problem or ''}"
    ended = error.problem_mark or error.context_mark
    opened = error.context_mark or ended
    if ended is None or opened is None:
        return Mark(file, 1, 1), "this is not YAML"
    at_end = "<stream end>" in said or "end of stream" in said
    shown = opened if at_end or _AT_THE_OPENING.match(said) else ended
    if "escape" in said:
        shown = ended
    for pattern, sentence in _SYNTAX:
        found = re.search(pattern, said)
        if found:
            return _mark(file, shown), sentence.format(*found.groups(), opened=opened.line + 1)
    return _mark(file, shown), "this is not YAML: look for quotes, brackets and indentation"

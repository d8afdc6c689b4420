"""What can go wrong in the rules, and nothing an element ever held.

RulesError
    DocumentError           the file says something that cannot be; every problem at once
    InstanceRefused         the rules say this instance must not pass
    DeidentificationError   this instance cannot be de-identified as it is

A message names the place (file, line and column, or a tag) and the remedy. It never
quotes the value of an element.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One sentence about one place, printed as `config.yaml:12:5: ...`."""

    mark: Mark
    message: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.message}"


class Reason(StrEnum):
    """Why an instance is not accepted; each value is the sentence an operator reads."""

    REJECTED = "a Reject rule of the profile matches"
    SOP_CLASS_DIFFERS = "the SOP Class UID of the dataset is not the one of the request"
    SOP_INSTANCE_DIFFERS = "the SOP Instance UID of the dataset is not the one of the request"
    NO_SOP_CLASS = "the dataset has no usable SOP Class UID"
    NO_SOP_INSTANCE = "the dataset has no usable SOP Instance UID"
    UNREADABLE = "the dataset cannot be read as its transfer syntax says"
    TRUNCATED = "the dataset ends inside an element"
    TRANSFER_SYNTAX = "the transfer syntax is not one the node can read"
    TOO_DEEP = "sequences are nested deeper than the limit"
    TOO_MANY_ELEMENTS = "the dataset has more elements than the limit"
    TOO_LARGE = "the part of the dataset held in memory is larger than the limit"
    OPERATOR = "a rule could not be applied to an element"
    BURNED_IN = "the image can carry burned-in text and no rule of the profile says where"
    PIXELS_UNREADABLE = "the pixels must be blanked and cannot be decoded"
    PIXELS_TOO_LARGE = "the pixels must be blanked or encoded anew and are larger than the limit"
    TRANSCODE = "the pixels cannot be encoded in the transfer syntax asked for"
    NOT_IN_LOOKUP = "a lookup of the profile has no entry for the value"


class RulesError(Exception):
    """Anything the rules raise."""


class DocumentError(RulesError):
    """A file that cannot be used; `problems` are sorted by place and never empty."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class _InstanceError(RulesError):
    def __init__(self, reason: Reason, tag: int | None = None) -> None:
        self.reason = reason
        self.tag = tag
        super().__init__(str(reason) if tag is None else f"{reason} at {tag_text(tag)}")


class InstanceRefused(_InstanceError):
    """The rules refuse this instance; `tag` is the attribute that decided, if one did."""


class DeidentificationError(_InstanceError):
    """This instance cannot be de-identified; `tag` is where it failed, if known."""


def tag_text(tag: int) -> str:
    """`0x00100010` as `(0010,0010)`, the standard's way of writing a tag."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"

"""What the node and a process that rewrites for it say to each other, over pipes.

To the process: frames of a length and JSON. First `Setup`, with the key: pipes show nothing to
anybody else, as arguments and environments do. Then recipes, and chunks of what is to be done by
the last one. From it: a line for each instance of a chunk, in any order.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from rules import Limits
from scp.room import Marks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from scp.archive.modifier import Stored

READY: Final = b"ready"
"""The line that says that a process can be given something to do."""
FATAL: Final = b"fatal"
"""The line that says that a sync has failed."""
_LENGTH: Final = struct.Struct(">Q")
_BETWEEN: Final = b"\t"


class Lost(Exception):
    """The other side is gone, or says what it should not."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process must know of the node.

    Attributes:
        data: The data folder.
        key: Of the pseudonyms; never shown.
        budget_bytes: What it may hold, beside what every instance may hold unasked.
        idle_s: How long it waits for something to do before it ends.
    """

    data: Path
    key: bytes
    marks: Marks
    limits: Limits
    budget_bytes: int
    idle_s: float

    def __repr__(self) -> str:
        return "Setup(<key>)"

    def to_json(self) -> bytes:
        """For its pipe."""
        said = {
            "data": str(self.data),
            "key": self.key.hex(),
            "marks": asdict(self.marks),
            "limits": asdict(self.limits),
            "budget_bytes": self.budget_bytes,
            "idle_s": self.idle_s,
        }
        return json.dumps(said).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """What `to_json` was of."""
        said: dict[str, Any] = json.loads(text)
        return cls(
            data=Path(said["data"]),
            key=bytes.fromhex(said["key"]),
            marks=Marks(**said["marks"]),
            limits=Limits(**said["limits"]),
            budget_bytes=said["budget_bytes"],
            idle_s=said["idle_s"],
        )


@dataclass(frozen=True, slots=True)
class Task:
    """An instance to be made anew: its number in the job, and where its bytes are."""

    number: int
    file_name: str
    size_bytes: int
    digest: str
    dataset_offset: int
    transfer_syntax_uid: str


def chunk_of(sources: Mapping[int, Stored]) -> bytes:
    """Instances by number, as a frame's content."""
    tasks = [
        (
            *(number, one.file_name, one.size_bytes, one.digest),
            *(one.dataset_offset, one.transfer_syntax_uid),
        )
        for number, one in sources.items()
    ]
    return json.dumps({"chunk": tasks}, separators=(",", ":")).encode()


def recipe_of(text: str) -> bytes:
    """A recipe, as a frame's content."""
    return json.dumps({"recipe": text}).encode()


def read_order(content: bytes) -> str | list[Task]:
    """A recipe or a chunk."""
    said: dict[str, Any] = json.loads(content)
    if "recipe" in said:
        return str(said["recipe"])
    return [Task(*one) for one in said["chunk"]]


def framed(content: bytes) -> bytes:
    """With its length in front."""
    return _LENGTH.pack(len(content)) + content


def read_frame(pipe: BinaryIO) -> bytes | None:
    """The content of the next frame; None at the end."""
    head = _exactly(pipe, _LENGTH.size)
    return None if head is None else _exactly(pipe, _LENGTH.unpack(head)[0])


def _exactly(pipe: BinaryIO, size: int) -> bytes | None:
    pieces = []
    while size:
        piece = pipe.read(size)
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def line_of(number: int, facts: bytes = b"") -> bytes:
    """An answer: a result, or without facts that there is none."""
    return b"%d%b%b\n" % (number, _BETWEEN, facts)


def read_line(line: bytes) -> tuple[int, bytes]:
    """The number and the facts of an answer; the latter empty where there is no result.

    Raises:
        Lost: it is none.
    """
    number, found, facts = line.rstrip(b"\n").partition(_BETWEEN)
    if not (line.endswith(b"\n") and found and number.isdigit()):
        raise Lost
    return int(number), facts

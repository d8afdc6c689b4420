"""No original word outlives its instance: not on disk, in the logs, on the screen or forwarded.

Instances with a unique word in every element of the data dictionary, at the root and in
sequences of every form, in private, unknown and hidden places, go through a running node. Some
are stored and forwarded, others refused: by a rule, by a rule that raises, because they are
damaged, or not what their request said, or because their sender hangs up. Then everything that
the node has written or said is searched. The words that may stay are found there, so it would
find the others.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass, field
from functools import cache

import pytest

from scp.sender import SenderAssociation
from tests import encoded, instances, reference
from tests.acceptance.peers import SUCCESS, Archive
from tests.acceptance.running import RunningNode, anonode
from tests.encoded import DEFLATED, EXPLICIT, IMPLICIT, JPEG, El
from tests.scp import raw_peer

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  research: {{Base: basic}}
  fails: {{Base: basic, Replace: {{PatientName: "\\u0418\\u0432\\u0430\\u043d"}}}}
  rejects: {{Base: basic, Reject: [{{Modality: "/.+QX/"}}]}}
destinations:
  archive: {{ae_title: ARCHIVE, host: 127.0.0.1, port: {archive}}}
  closed: {{ae_title: CLOSED, host: 127.0.0.1, port: {closed}}}
routes:
  - {{from: CT1, to: ANONODE, profile: research, forward: [archive, closed]}}
  - {{from: FAILS, profile: fails, forward: [archive]}}
  - {{from: REJECTS, profile: rejects, forward: [archive]}}
"""
SOP_CLASS, SOP_INSTANCE = 0x00080016, 0x00080018
STUDY, SERIES = 0x0020000D, 0x0020000E
REJECTED, NOT_DEIDENTIFIED, UNREADABLE, DIFFERS, CONFLICT = 0xC101, 0xC102, 0xC103, 0xA900, 0xC105
WORD = re.compile(rb"CANARY\d*(?:QX)?|1\.2\.7\.1\d{9}", re.IGNORECASE)
"""Also the beginning of a word that was cut."""


@cache
def _model(syntax: str) -> tuple[bytes, frozenset[bytes], frozenset[bytes]]:
    """A plain dataset, and the words of it that must go and that may stay.

    UIDs are single where the standard wants one, so that they can be in a request, too.
    """
    made = instances.canary_dataset(reference.table())
    single = [
        El(tag, "UI", made.words.word(stays=False, uid=True))
        for tag in (SOP_INSTANCE, STUDY, SERIES)
    ]
    extra = [*single, instances.text(0x00080005, "CS", "ISO_IR 100")]
    if syntax != JPEG:
        extra.append(El(instances.PIXEL_DATA, "OW", made.words.word(stays=True) * 64))
    elements = instances.merged(made.elements, extra)
    plain = encoded.encode(elements, encoded.Form.of(syntax))
    there = set(WORD.findall(plain))
    return plain, frozenset(made.words.gone & there), frozenset(made.words.stay & there)


def numbered(data: bytes, number: int) -> bytes:
    """The same with words of their own: two digits of each tell the instance."""
    return data.replace(b"CANARY00", b"CANARY%02d" % number).replace(
        b"1.2.7.100", b"1.2.7.1%02d" % number
    )


@dataclass(frozen=True)
class Instance:
    """One instance with words of its own; `number` is from 1 to 99."""

    number: int
    syntax: str = EXPLICIT

    @property
    def plain(self) -> bytes:
        """The dataset before it is deflated."""
        return numbered(_model(self.syntax)[0], self.number)

    @property
    def gone(self) -> set[bytes]:
        return {numbered(word, self.number) for word in _model(self.syntax)[1]}

    @property
    def stay(self) -> set[bytes]:
        return {numbered(word, self.number) for word in _model(self.syntax)[2]}

    @property
    def uid(self) -> str:
        """Its SOP Instance UID."""
        found = self.plain.index(struct.pack("<HH", 0x0008, 0x0018)) + 8
        return self.plain[found : found + 16].decode()

    @property
    def dataset(self) -> bytes:
        return encoded.transferred(self.plain, self.syntax)

    def file(self) -> bytes:
        """A Part 10 file with further words in its preamble and file meta information."""
        mine = [f"CANARY{self.number:02d}9{digit:05d}QX".encode() for digit in range(3)]
        meta = [
            El(0x00020003, "UI", self.uid.encode()),
            El(0x00020016, "AE", mine[0]),
            El(0x00020100, "UI", b"1.2.7.1%02d9999999" % self.number),
            El(0x00020102, "OB", mine[1]),
        ]
        return mine[2] * 8 + encoded.part10(self.dataset, self.syntax, meta=meta)[128:]


ACCEPTED = [Instance(number, ts) for number, ts in enumerate((EXPLICIT, IMPLICIT, DEFLATED, JPEG))]
FROM_FILES = [Instance(10, EXPLICIT), Instance(11, DEFLATED)]
MIDDLE = len(Instance(0).plain) // 2


@dataclass(frozen=True)
class Refused:
    """An instance that does not get through, and what its sender is to hear."""

    instance: Instance
    status: int
    calling: str = "CT1"
    data: bytes | None = None
    uid: str = ""

    def send(self, port: int) -> int:
        data = self.instance.dataset if self.data is None else self.data
        return send(port, self.instance.syntax, self.uid or self.instance.uid, data, self.calling)


def _without(instance: Instance, start: int, end: int) -> bytes:
    return instance.plain[:start] + instance.plain[end:]


def _refused() -> dict[str, Refused]:
    """Every kind of refusal, each of an instance of its own."""
    every = [Instance(number) for number in range(20, 40)]
    other_class = b"\x08\x00\x16\x00UI" + struct.pack("<H", 26)
    conflicting = every[7].plain.replace(every[7].uid.encode(), ACCEPTED[0].uid.encode())
    deflated = Instance(40, DEFLATED)
    return {
        "a Reject rule": Refused(every[0], REJECTED, "REJECTS"),
        "a rule that raises": Refused(every[1], NOT_DEIDENTIFIED, "FAILS"),
        "another instance than requested": Refused(every[2], DIFFERS, uid="1.2.7.1220009999"),
        "another class than requested": Refused(
            every[3], DIFFERS, data=every[3].plain.replace(other_class, other_class, 1)
        ),
        "cut short": Refused(every[4], UNREADABLE, data=every[4].plain[:MIDDLE]),
        "bytes lost in the middle": Refused(
            every[5], UNREADABLE, data=_without(every[5], MIDDLE, MIDDLE + 1001)
        ),
        "bytes of no meaning": Refused(
            every[6], UNREADABLE, data=every[6].plain[:MIDDLE] + b"\xff" * 64 + every[6].plain[:99]
        ),
        "other content under a known UID": Refused(
            every[7], CONFLICT, data=conflicting, uid=ACCEPTED[0].uid
        ),
        "deflated and damaged": Refused(
            deflated, UNREADABLE, data=deflated.dataset[:9000] + bytes(99)
        ),
        "nothing at all": Refused(every[8], UNREADABLE, data=b""),
    }

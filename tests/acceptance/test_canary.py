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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import pytest

from scp.sender import SenderAssociation
from tests import encoded, instances, reference
from tests.acceptance.peers import SUCCESS, Archive
from tests.acceptance.running import RunningNode, anonode
from tests.encoded import DEFLATED, EXPLICIT, IMPLICIT, JPEG, El
from tests.scp import raw_peer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
node: {{ae_title: ANONODE, listen: "127.0.0.1:0"}}
profiles:
  research: {{Base: basic}}
  fails: {{Base: basic, Replace: {{StudyDate: {{regex: "[0-9]", with: x}}}}}}
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
    made = instances.canary_dataset(reference.every_action())
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

    @cached_property
    def plain(self) -> bytes:
        """The dataset before it is deflated."""
        return numbered(_model(self.syntax)[0], self.number)

    @cached_property
    def gone(self) -> set[bytes]:
        return {numbered(word, self.number) for word in _model(self.syntax)[1]}

    @cached_property
    def stay(self) -> set[bytes]:
        return {numbered(word, self.number) for word in _model(self.syntax)[2]}

    @cached_property
    def uid(self) -> str:
        """Its SOP Instance UID."""
        found = self.plain.index(struct.pack("<HH", 0x0008, 0x0018)) + 8
        return self.plain[found : found + 16].decode()

    @cached_property
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
OWN_CLASS = instances.CT_IMAGE.encode() + b"\0"
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
        uid = self.uid or self.instance.uid
        return send(port, uid, data, self.instance.syntax, self.calling)


@cache
def refused() -> dict[str, Refused]:
    """Every kind of refusal, each of an instance of its own."""
    every = [Instance(number) for number in range(20, 30)]
    plain = [instance.plain for instance in every]
    deflated = Instance(30, DEFLATED)
    known = ACCEPTED[0].uid
    return {
        "a Reject rule": Refused(every[0], REJECTED, "REJECTS"),
        "a rule that raises": Refused(every[1], NOT_DEIDENTIFIED, "FAILS"),
        "another instance than requested": Refused(every[2], DIFFERS, uid=_uid_of_request(22)),
        "another class than requested": Refused(
            every[3], DIFFERS, data=plain[3].replace(OWN_CLASS, b"1.2.7.1239999999.123456789")
        ),
        "cut short": Refused(every[4], UNREADABLE, data=plain[4][:MIDDLE]),
        "bytes lost in the middle": Refused(
            every[5], UNREADABLE, data=plain[5][:MIDDLE] + plain[5][MIDDLE + 1001 :]
        ),
        "bytes of no meaning in the middle": Refused(
            every[6], UNREADABLE, data=plain[6][:MIDDLE] + b"\xff" * 99 + plain[6][MIDDLE:]
        ),
        "other content under a known UID": Refused(
            every[7],
            CONFLICT,
            data=plain[7].replace(every[7].uid.encode(), known.encode()),
            uid=known,
        ),
        "no UIDs": Refused(every[8], UNREADABLE, data=plain[8][plain[8].index(OWN_CLASS) + 26 :]),
        "damaged where it is deflated": Refused(
            deflated, UNREADABLE, data=deflated.dataset[:9000] + b"\xff" * 99
        ),
    }


def _uid_of_request(number: int) -> str:
    return f"1.2.7.1{number:02d}8888888"


HANGS_UP = Instance(31)


def send(port: int, uid: str, data: bytes, syntax: str, calling: str) -> int:
    """Store a dataset under what a request says of it; the status of the response."""
    context = (instances.CT_IMAGE, syntax)
    with SenderAssociation(("127.0.0.1", port), calling, "ANONODE", [context]) as association:
        return association.store(*context[:1], uid, syntax, [data])


def hang_up(port: int) -> None:
    """Log in with a name, begin to send, and abort."""
    user = b"CANARY3188888888"
    login = raw_peer.item(0x58, struct.pack(">BBH", 1, 0, len(user)) + user + b"\0\0")
    with raw_peer.RawPeer(("127.0.0.1", port)) as peer:
        peer.associate(user=login)
        command = raw_peer.store_command(HANGS_UP.uid)
        peer.send(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 3, command)))
        for start in range(0, MIDDLE, 8192):
            fragment = HANGS_UP.plain[start : start + 8192]
            peer.send(raw_peer.pdu(raw_peer.P_DATA, raw_peer.pdv(1, 0, fragment)))
        peer.send(raw_peer.pdu(raw_peer.ABORT, bytes(4)))
        assert peer.read(1) == b""


@dataclass
class Scene:
    """Everything that was sent, and all that the node wrote or said, by place."""

    statuses: dict[str, int] = field(default_factory=dict)
    heard: dict[str, bytes] = field(default_factory=dict)
    arrived: list[bytes] = field(default_factory=list)
    key: bytes = b""

    @cached_property
    def kept(self) -> set[bytes]:
        """The words that may stay: the profile keeps them, in what was accepted."""
        return set().union(*(instance.stay for instance in ACCEPTED + FROM_FILES))

    def hear(self, place: str, content: bytes | str) -> None:
        content = content.encode() if isinstance(content, str) else content
        self.heard[place] = self.heard.get(place, b"") + content

    def hear_files(self, node: RunningNode, when: str) -> None:
        """All files as they are now; what is deflated is inflated beside it."""
        for path in node.every_file():
            place = str(path.relative_to(node.folder))
            if place != "config.yaml":
                self.hear(f"{place} {when}", _searchable(path.read_bytes()))

    @cached_property
    def found(self) -> dict[str, set[bytes]]:
        """The words in each place."""
        return {
            place: {word.upper() for word in set(WORD.findall(content))}
            for place, content in self.heard.items()
        }

    def words(self, prefix: str) -> set[bytes]:
        """Every word in the places of that prefix."""
        return set().union(
            *(words for place, words in self.found.items() if place.startswith(prefix))
        )


def _searchable(content: bytes) -> bytes:
    if content[128:132] != b"DICM":
        return content
    meta, dataset = encoded.split_part10(content)
    deflated = encoded.text_of(meta, 0x00020010) == DEFLATED
    return content + (encoded.inflate(dataset) if deflated else b"")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The whole story, told once: one node, one archive, one destination that is closed."""
    folder = tmp_path_factory.mktemp("words")
    found = Scene()
    with Archive() as archive, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        ports = {"archive": archive.port, "closed": closed.getsockname()[1]}
        node = RunningNode(folder / "node", CONFIG.format(**ports))
        node.environ["TMPDIR"] = str(node.folder)
        with node:
            _send_all(node, found)
            _use_files(node, found, folder / "originals")
            assert archive.wait_for(len(ACCEPTED) + len(FROM_FILES), 30)
            found.hear_files(node, "running")
            _ask_everything(node, found)
        found.hear_files(node, "stopped")
        found.key = (node.data / "key").read_bytes().strip()
    found.arrived = [_searchable(content) for _, content in archive.received]
    for content in found.arrived:
        found.hear("forwarded", content)
    return found


def _send_all(node: RunningNode, found: Scene) -> None:
    for instance in ACCEPTED:
        args = (instance.uid, instance.dataset, instance.syntax, "CT1")
        found.statuses[f"accepted {instance.number}"] = send(node.port, *args)
    for name, each in refused().items():
        found.statuses[name] = each.send(node.port)
    hang_up(node.port)


def _use_files(node: RunningNode, found: Scene, folder: Path) -> None:
    folder.mkdir()
    for instance in FROM_FILES:
        (folder / f"{instance.number}.dcm").write_bytes(instance.file())
    files = [folder / f"{instance.number}.dcm" for instance in FROM_FILES]
    sent = anonode("send", *files, "--to", f"127.0.0.1:{node.port}", "--from", "CT1")
    assert sent.returncode == 0, sent
    found.hear("send", sent.stdout + sent.stderr)
    (folder / "damaged.dcm").write_bytes(Instance(12).file()[: MIDDLE // 2])
    done = node.run("deidentify", folder, node.folder / "results", "--profile", "research")
    assert len(list((node.folder / "results").rglob("*.dcm"))) == len(FROM_FILES), done
    found.hear("deidentify", done.stdout + done.stderr)


def _ask_everything(node: RunningNode, found: Scene) -> None:
    """Every command that tells what the node holds."""
    commands = [("list",), ("show", "1"), ("queue",)]
    with ThreadPoolExecutor() as pool:
        for command, answer in zip(
            commands, pool.map(lambda each: node.run(*each), commands), strict=True
        ):
            assert answer.returncode == 0, answer
            found.hear(f"screen {command[0]}", answer.stdout + answer.stderr)


def test_every_word_is_in_what_was_sent():
    """The search would find them all."""
    for instance in ACCEPTED:
        there = set(WORD.findall(instance.plain))
        assert there == instance.gone | instance.stay
        assert len(instance.gone) > 2000
        assert len(instance.stay) > 4000


def test_each_refusal_is_the_one_that_was_meant(scene):
    """An instance refused for another reason would have gone another way."""
    expected = {name: each.status for name, each in refused().items()}
    accepted = {f"accepted {instance.number}": SUCCESS for instance in ACCEPTED}
    assert scene.statuses == accepted | expected


def test_no_word_that_must_be_gone_is_found_anywhere(scene):
    """Of accepted instances, the words that the profile keeps; of the others, none."""
    leaked = {place: words - scene.kept for place, words in scene.found.items()}

    assert {place: words for place, words in leaked.items() if words} == {}


def test_the_words_that_stay_are_stored_and_forwarded(scene):
    """A node that loses everything, or a search that finds nothing, would not pass."""
    assert scene.kept <= scene.words("forwarded")
    assert scene.kept <= scene.words("data")
    assert len(scene.arrived) == len(ACCEPTED) + len(FROM_FILES)
    for place in ("data/journal", "screen list", "screen show", "results"):
        assert scene.words(place), f"not even a word that may stay is in {place}"


def test_the_key_is_in_its_own_file_only(scene):
    """Whoever has it can find the original of a pseudonym by trying."""
    places = [place for place, content in scene.heard.items() if scene.key in content]
    raw = [place for place, c in scene.heard.items() if bytes.fromhex(scene.key.decode()) in c]

    assert {place.split()[0] for place in places} == {"data/key"}
    assert raw == []
